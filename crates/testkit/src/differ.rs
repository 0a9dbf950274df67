//! Random 32-bit user code on the host and on the interpreter.

use crate::flat::Flat;
use crate::native::{AREA, CODE, DATA, DONE, HostFault, Native, Registers, STACK, STUBS};
use crate::random::Random;
use cpu::{Activity, CodeSize, CpuModel, Engine, Segment, State, StopReason, cr0, eflags, seg, vector};
use isa::CpuidFeature as F;
use mem::{Memory, PageKind};
use sem::Binding;

/// One test.
#[derive(Clone, Debug)]
pub struct Case {
    /// The code, and where its instructions start.
    pub code: Vec<u8>,
    /// Registers at its start.
    pub registers: Registers,
}

/// The model that stands for a current chip.
pub const MODEL: CpuModel = CpuModel::N270;

/// Whether the host and the model both have the form, as an integer instruction that user code
/// may use.
fn comparable(insn: &isa::Insn) -> bool {
    let integer = insn.code.cpuid_features().iter().all(|f| {
        matches!(
            f,
            F::INTEL8086
                | F::INTEL186
                | F::INTEL286
                | F::INTEL386
                | F::INTEL486
                | F::CX8
                | F::CMOV
                | F::MULTIBYTENOP
                | F::MOVBE
                | F::PAUSE
        )
    });
    // FS and GS are the host's own
    integer && sem::binding(insn.code) == Binding::Innocuous && insn.seg < seg::FS
}

/// Bytes of one random instruction that both can run.
fn instruction(r: &mut Random, out: &mut Vec<u8>) {
    loop {
        let mut bytes = Vec::with_capacity(16);
        if r.once_in(4) {
            bytes.push([0x66, 0x66, 0x66, 0xf0, 0xf2, 0xf3, 0x3e, 0x67][r.below(8) as usize]);
        }
        let escape = r.once_in(3);
        if escape {
            bytes.push(0x0f);
        }
        let op = r.bits() as u8;
        // returns and indirect jumps leave the code, and REP changes what BSF and BSR are
        if !escape && matches!(op, 0xc2 | 0xc3)
            || escape && matches!(op, 0xbc | 0xbd) && bytes[0] != 0x0f && bytes[0] != 0x66
        {
            continue;
        }
        bytes.push(op);
        operand_bytes(r, &mut bytes);
        let Ok(insn) = isa::decode(&bytes, CodeSize::Bits32, MODEL) else { continue };
        if !comparable(&insn) {
            continue;
        }
        bytes.truncate(usize::from(insn.len));
        use isa::Mnemonic as M;
        let code = insn.code;
        // on AMD chips a repeat prefix of LOOPE or LOOPNE overrides the opcode's condition, and 0F 0D
        // is no instruction on registers
        let conditional = matches!(code.mnemonic(), M::Loope | M::Loopne) && insn.prefix.repeated();
        let reserved =
            matches!(code, isa::Code::Reservednop_rm16_r16_0F0D | isa::Code::Reservednop_rm32_r32_0F0D);
        // TZCNT and LZCNT, which the model takes for BSF and BSR
        let counts = matches!(code.mnemonic(), M::Bsf | M::Bsr)
            && bytes.iter().take_while(|&&b| b != 0x0f).any(|&b| b == 0xf3);
        if conditional || reserved || counts {
            continue;
        }
        let loops =
            matches!(code.mnemonic(), M::Jmp | M::Call | M::Jecxz | M::Jcxz | M::Loop | M::Loope | M::Loopne);
        if code.is_jcc_short() || code.is_jcc_near() || loops {
            if insn.kind[0] != cpu::Kind::Imm || bytes[0] == 0x66 {
                continue;
            }
            // over the INC EAX behind it
            let size = if code.is_jcc_near() || !escape && matches!(op, 0xe8 | 0xe9) { 4 } else { 1 };
            let at = bytes.len() - size;
            bytes[at..].fill(0);
            bytes[at] = 1;
            bytes.push(0x40);
        }
        out.extend_from_slice(&bytes);
        return;
    }
}

/// ModRM, SIB, displacement and immediates, with memory operands near the data.
fn operand_bytes(r: &mut Random, bytes: &mut Vec<u8>) {
    let mut modrm = r.bits() as u8;
    if modrm & 7 == 5 && modrm < 0x40 || modrm & 0xc0 == 0x80 {
        // a 32-bit displacement: absolute, or small
        let absolute = modrm < 0x40;
        bytes.push(modrm);
        if modrm & 7 == 4 {
            bytes.push(r.bits() as u8 & 7 | 0x20);
        }
        let displacement =
            if absolute { DATA + r.below(AREA as u32) } else { r.below(256).wrapping_sub(128) };
        bytes.extend_from_slice(&displacement.to_le_bytes());
    } else {
        if modrm & 7 == 4 && modrm < 0xc0 {
            modrm = modrm & !0xc0 | 0x40;
            bytes.push(modrm);
            // no index, or EAX
            bytes.push(r.bits() as u8 & 0xc7 | if r.once_in(2) { 0x20 } else { 0 });
        } else {
            bytes.push(modrm);
        }
        bytes.push(r.bits() as u8);
    }
    for _ in 0..2 {
        bytes.extend_from_slice(&r.value().to_le_bytes());
    }
}

/// A random test of up to `longest` instructions.
pub fn case(r: &mut Random, longest: u32) -> Case {
    let mut code = Vec::new();
    for _ in 0..=r.below(longest) {
        instruction(r, &mut code);
    }
    let mut general = [0; 8];
    for (n, g) in general.iter_mut().enumerate() {
        let pointer = DATA + r.below(AREA as u32);
        *g = match n {
            4 => STACK + 0x1000 + (r.below(0x400) & !3),
            0 => {
                if r.once_in(2) {
                    r.below(256)
                } else {
                    r.value()
                }
            }
            1 => {
                if r.once_in(2) {
                    r.below(40)
                } else {
                    r.value()
                }
            }
            2 => r.value(),
            _ => {
                if r.once_in(4) {
                    r.value()
                } else {
                    pointer
                }
            }
        };
    }
    let flags = r.bits() as u32 & (eflags::ARITHMETIC | eflags::DF) | 0x202;
    Case { code, registers: Registers { general, flags } }
}

/// Vector, error code and address of a #PF, EIP.
type Fault = (u8, u32, u32, u32);

/// Both sides, with what they need.
pub struct Pair {
    host: Native,
    mem: Memory,
    engine: Box<dyn Engine>,
    cpu: State,
    data: Box<[u8; AREA]>,
    stack: Box<[u8; AREA]>,
}

impl Pair {
    /// The host and an engine.
    ///
    /// # Errors
    /// The host does not run such code.
    pub fn new(seed: u64, engine: Box<dyn Engine>) -> Result<Pair, String> {
        let mut mem = Memory::new(0x23_0000).map_err(|e| e.to_string())?;
        mem.set_kind(0, 0x23_0000, PageKind::Mmio);
        for (at, len) in [(CODE, 0x1000), (DATA, AREA as u32), (STACK, AREA as u32)] {
            mem.set_kind(at, len, PageKind::Ram);
        }
        mem.set_user(true);
        let mut r = Random::new(seed ^ 0x5eed);
        let (mut data, mut stack) = (Box::new([0; AREA]), Box::new([0; AREA]));
        data.iter_mut().chain(stack.iter_mut()).for_each(|b| *b = r.bits() as u8);
        Ok(Pair { host: Native::new()?, mem, engine, cpu: user_state(), data, stack })
    }

    /// Runs a test on both; says how they differ, if they do.
    pub fn run(&mut self, case: &Case) -> Option<String> {
        self.host.set_areas(&self.data, &self.stack);
        self.host.set_code(&case.code);
        let (theirs, their_fault) = self.host.run(&case.registers);
        let ours = self.interpret(case);
        // an access that wraps past 4 GiB may fault or not (SDM vol. 3A, 5.3)
        // and the pages of the harness are the host's own
        let beyond = |at: u32| at >= 0xffff_fff0 || at & !0xffff == STUBS;
        if ours.is_some_and(|(v, _, at, _)| v == vector::PF && beyond(at)) {
            return None;
        }
        // data is not executable on the host, and a test that overwrites its own end has none
        let end = CODE + case.code.len() as u32;
        if their_fault
            .is_some_and(|f| f.vector == vector::PF && f.code & 0x11 == 0x11 || f.eip.wrapping_sub(end) < 5)
        {
            return None;
        }
        if ours.is_some() && ours == their_fault.map(shown_fault) && pops_many(&case.code) {
            return None;
        }
        let mut differences = Vec::new();
        const NAMES: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
        for (n, name) in NAMES.iter().enumerate() {
            let (a, b) = (self.cpu.r32(n as u8), theirs.general[n]);
            if a != b {
                differences.push(format!("{name} {a:08x} not {b:08x}"));
            }
        }
        let shown = eflags::ARITHMETIC | eflags::DF;
        let (a, b) = (self.cpu.flags_image() & shown, theirs.flags & shown);
        if a != b {
            differences.push(format!("flags {}", crate::vectors::flag_names(a, b)));
        }
        let their_fault = their_fault.map(shown_fault);
        if ours != their_fault && !self.other_operand(case, ours, their_fault) {
            differences.push(format!("fault {ours:x?} not {their_fault:x?}"));
        }
        // ENTER and PUSHA push until they find that the stack has no room; the pushes show
        if !(ours.is_some() && pushes_many(&case.code)) {
            self.compare_areas(&mut differences);
        }
        (!differences.is_empty()).then(|| differences.join(", "))
    }

    /// CMPS reads two operands, in an order that the manual leaves open: where neither can be read, chips
    /// differ in which of the two faults they report.
    fn other_operand(&self, case: &Case, ours: Option<Fault>, theirs: Option<Fault>) -> bool {
        let (Some((.., eip)), Some((vector, code, address, their_eip))) = (ours, theirs) else {
            return false;
        };
        let bytes = case.code.get(eip.wrapping_sub(CODE) as usize..).unwrap_or(&[]);
        let Ok(insn) = isa::decode(bytes, CodeSize::Bits32, MODEL) else { return false };
        use isa::Mnemonic as M;
        let size = match insn.code.mnemonic() {
            M::Cmpsb => 1,
            M::Cmpsw => 2,
            M::Cmpsd => 4,
            _ => return false,
        };
        let short = iced_x86::Decoder::new(32, bytes, iced_x86::DecoderOptions::NONE).decode().op0_kind()
            == iced_x86::OpKind::MemorySegSI;
        let operand = |n| if short { self.cpu.r32(n) & 0xffff } else { self.cpu.r32(n) };
        let explained = |at: u32| match vector {
            vector::PF => code == 4 && address.wrapping_sub(at) < size,
            vector::GP => at.checked_add(size - 1).is_none(),
            _ => false,
        };
        eip == their_eip && [6, 7].into_iter().map(operand).any(explained)
    }

    fn interpret(&mut self, case: &Case) -> Option<Fault> {
        self.mem.write_physical(u64::from(DATA), &*self.data);
        self.mem.write_physical(u64::from(STACK), &*self.stack);
        self.mem.write_physical(u64::from(CODE), &case.code);
        // the same bytes as on the host, though DONE is an absent page here
        let next = CODE + case.code.len() as u32 + 5;
        self.mem.write_physical(u64::from(next - 5), &[0xe9]);
        self.mem.write_physical(u64::from(next - 4), &DONE.wrapping_sub(next).to_le_bytes());
        for (n, &v) in case.registers.general.iter().enumerate() {
            self.cpu.set_r32(n as u8, v);
        }
        self.cpu.set_flags_image(case.registers.flags);
        (self.cpu.eip, self.cpu.activity) = (CODE, Activity::Running);
        let end = self.cpu.retired + 100_000;
        loop {
            match self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat::default(), end) {
                StopReason::Fault(_) if self.cpu.eip == DONE => return None,
                StopReason::Fault(f) => {
                    let code = if f.vector == vector::PF { f.code.unwrap_or(0) } else { 0 };
                    return Some((f.vector, u32::from(code), f.address, self.cpu.eip));
                }
                StopReason::Leave if self.cpu.activity == Activity::Running => {}
                _ => return None,
            }
        }
    }

    fn compare_areas(&mut self, differences: &mut Vec<String>) {
        let mut theirs = [[0; AREA]; 2];
        let [data, stack] = &mut theirs;
        self.host.areas(data, stack);
        for (at, theirs) in [(DATA, &theirs[0]), (STACK, &theirs[1])] {
            let mut ours = [0; AREA];
            self.mem.read_physical(u64::from(at), &mut ours);
            if ours == *theirs {
                continue;
            }
            let places = (0..AREA).filter(|&n| ours[n] != theirs[n]).take(4);
            differences.extend(
                places.map(|n| format!("[{:x}] {:02x} not {:02x}", at as usize + n, ours[n], theirs[n])),
            );
        }
    }
}

/// What is compared of a fault: the vector, and of a #PF its code and address; EIP.
fn shown_fault(f: HostFault) -> Fault {
    let page = f.vector == vector::PF;
    (f.vector, if page { f.code & 7 } else { 0 }, if page { f.address } else { 0 }, f.eip)
}

/// The test has a POPA, whose registers come one by one until the stack ends; that shows as well.
fn pops_many(code: &[u8]) -> bool {
    let decoder = iced_x86::Decoder::new(32, code, iced_x86::DecoderOptions::NONE);
    decoder.into_iter().any(|i| matches!(i.mnemonic(), iced_x86::Mnemonic::Popa | iced_x86::Mnemonic::Popad))
}

/// The test has an ENTER or a PUSHA.
fn pushes_many(code: &[u8]) -> bool {
    let decoder = iced_x86::Decoder::new(32, code, iced_x86::DecoderOptions::NONE);
    decoder.into_iter().any(|i| {
        matches!(
            i.mnemonic(),
            iced_x86::Mnemonic::Enter | iced_x86::Mnemonic::Pusha | iced_x86::Mnemonic::Pushad
        )
    })
}

/// CPL 3 in flat 32-bit segments, as the host's own.
fn user_state() -> State {
    let mut cpu = State::new(MODEL);
    cpu.cr0 |= cr0::PE;
    cpu.cpl = 3;
    let flat = |selector, rights| {
        let mut s = Segment { base: 0, limit: u32::MAX, rights, selector, ..Segment::default() };
        s.refresh();
        s
    };
    for n in [seg::ES, seg::SS, seg::DS] {
        cpu.seg[usize::from(n)] = flat(0x2b, 0xc0f3);
    }
    cpu.seg[usize::from(seg::CS)] = flat(0x23, 0xc0fb);
    cpu.seg[usize::from(seg::FS)] = Segment::null(0);
    cpu.seg[usize::from(seg::GS)] = Segment::null(0);
    cpu
}

/// The instructions of a test.
pub fn listing(code: &[u8]) -> String {
    use iced_x86::Formatter;
    let mut text = Vec::new();
    let mut formatter = iced_x86::NasmFormatter::new();
    for i in &mut iced_x86::Decoder::with_ip(32, code, u64::from(CODE), iced_x86::DecoderOptions::NONE) {
        let mut line = String::new();
        formatter.format(&i, &mut line);
        text.push(line);
    }
    text.join("; ")
}
