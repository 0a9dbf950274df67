//! Architectural state of one virtual CPU.

use crate::{DescriptorTable, Segment, seg};
use isa::{CodeSize, CpuModel};

/// Bits of EFLAGS (SDM vol. 1, 3.4.3).
#[allow(missing_docs)]
pub mod eflags {
    pub const CF: u32 = 1;
    pub const RESERVED1: u32 = 2;
    pub const PF: u32 = 4;
    pub const AF: u32 = 0x10;
    pub const ZF: u32 = 0x40;
    pub const SF: u32 = 0x80;
    pub const TF: u32 = 0x100;
    pub const IF: u32 = 0x200;
    pub const DF: u32 = 0x400;
    pub const OF: u32 = 0x800;
    pub const IOPL: u32 = 0x3000;
    pub const NT: u32 = 0x4000;
    pub const RF: u32 = 0x1_0000;
    pub const VM: u32 = 0x2_0000;
    pub const AC: u32 = 0x4_0000;
    pub const VIF: u32 = 0x8_0000;
    pub const VIP: u32 = 0x10_0000;
    pub const ID: u32 = 0x20_0000;
    /// CF, PF, AF, ZF, SF, OF: kept apart in canonical lazy form.
    pub const ARITHMETIC: u32 = CF | PF | AF | ZF | SF | OF;
}

/// Bits of CR0.
#[allow(missing_docs)]
pub mod cr0 {
    pub const PE: u32 = 1;
    pub const MP: u32 = 2;
    pub const EM: u32 = 4;
    pub const TS: u32 = 8;
    pub const ET: u32 = 0x10;
    pub const NE: u32 = 0x20;
    pub const WP: u32 = 0x1_0000;
    pub const AM: u32 = 0x4_0000;
    pub const NW: u32 = 0x2000_0000;
    pub const CD: u32 = 0x4000_0000;
    pub const PG: u32 = 0x8000_0000;
}

/// Bits of CR4.
#[allow(missing_docs)]
pub mod cr4 {
    pub const VME: u32 = 1;
    pub const PVI: u32 = 2;
    pub const TSD: u32 = 4;
    pub const DE: u32 = 8;
    pub const PSE: u32 = 0x10;
    pub const PAE: u32 = 0x20;
    pub const MCE: u32 = 0x40;
    pub const PGE: u32 = 0x80;
    pub const PCE: u32 = 0x100;
    pub const OSFXSR: u32 = 0x200;
    pub const OSXMMEXCPT: u32 = 0x400;
    pub const UMIP: u32 = 0x800;
    pub const OSXSAVE: u32 = 0x4_0000;
}

/// One of the FPU's registers (SDM vol. 1, 8.1.2): ten bytes as the host's own FPU loads and stores
/// them, at the stride of an FXSAVE image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C, align(16))]
pub struct Register {
    /// The significand, whose top bit is the integer.
    pub significand: u64,
    /// Sign and exponent.
    pub exponent: u16,
}

/// The x87 FPU, whose significands are the MMX registers as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Fpu {
    /// By physical register, not by distance from TOP; MMn is `registers[n].significand`.
    pub registers: [Register; 8],
    /// Control word.
    pub control: u16,
    /// Status word; TOP in bits 11 to 13.
    pub status: u16,
    /// Bit n set: physical register n is not empty.
    pub occupied: u8,
    /// Last opcode (11 bits).
    pub opcode: u16,
    /// Last instruction pointer.
    pub ip: u32,
    /// Its code segment selector.
    pub cs: u16,
    /// Last operand pointer.
    pub dp: u32,
    /// Its segment selector.
    pub ds: u16,
}

impl Default for Fpu {
    /// The state after FNINIT.
    fn default() -> Fpu {
        Fpu {
            registers: [Register::default(); 8],
            control: 0x37f,
            status: 0,
            occupied: 0,
            opcode: 0,
            ip: 0,
            cs: 0,
            dp: 0,
            ds: 0,
        }
    }
}

/// Whether the CPU executes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Activity {
    /// Executing.
    Running,
    /// HLT: waits for an interrupt.
    Halted,
    /// A triple fault: waits for a reset.
    Shutdown,
}

/// What inhibits interrupts for one instruction (SDM vol. 3A, 6.8.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum InterruptShadow {
    /// Nothing.
    None,
    /// STI: maskable interrupts.
    Sti,
    /// MOV SS or POP SS: also debug exceptions and NMI.
    MovSs,
}

/// What a translation depends on besides the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Key(pub u32);

/// The virtual CPU. `repr(C)`: compiled code addresses it by offset.
#[derive(Clone, PartialEq, Debug)]
#[repr(C)]
pub struct State {
    /// Sixteen 64-bit registers (a 32-bit guest uses the low halves of eight), then the zero
    /// register at 16; the rest is padding that makes the index a mask.
    pub gpr: [u64; 32],
    /// Canonical lazy flags, first word: the result; ZF is `result == 0`.
    pub flags_result: u64,
    /// Second word: carries and deltas (see `sem::flags`).
    pub flags_aux: u64,
    /// Offset of the next instruction in CS.
    pub eip: u32,
    /// EFLAGS without the arithmetic flags.
    pub eflags: u32,
    /// Instructions retired; a REP iteration counts one, and so does a fault.
    pub retired: u64,
    /// The engine runs no instruction once `retired` has reached this.
    pub until: u64,
    /// It may stop before, where what is left does not cover a block: nobody counts instructions.
    pub about: bool,
    /// The engine is to return to the dispatcher after this instruction.
    pub leave: bool,
    /// Current privilege level.
    pub cpl: u8,
    /// Executing, halted or shut down.
    pub activity: Activity,
    /// What inhibits interrupts, in force while `retired < shadow_until`.
    pub shadow: InterruptShadow,
    /// See `shadow`.
    pub shadow_until: u64,
    /// ES, CS, SS, DS, FS, GS; the last two are padding that makes the index a mask.
    pub seg: [Segment; 8],
    /// LDTR.
    pub ldtr: Segment,
    /// TR.
    pub tr: Segment,
    /// GDTR.
    pub gdtr: DescriptorTable,
    /// IDTR.
    pub idtr: DescriptorTable,
    /// CR0.
    pub cr0: u32,
    /// CR2.
    pub cr2: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// The PDPTE registers (SDM vol. 3A, 4.4.1): what PAE paging uses of the table at CR3.
    pub pdptes: [u64; 4],
    /// IA32_EFER.
    pub efer: u64,
    /// DR0 to DR7.
    pub dr: [u32; 8],
    /// Debug conditions met by the running instruction, as DR6 bits; #DB follows it.
    pub debug_hits: u32,
    /// x87 and MMX.
    pub fpu: Fpu,
    /// XMM0 to XMM15.
    pub xmm: [u128; 16],
    /// MXCSR.
    pub mxcsr: u32,
    /// IA32_SYSENTER_CS, ESP, EIP.
    pub sysenter: [u32; 3],
    /// XCR0: the components of state that XSAVE and XRSTOR look at.
    pub xcr0: u32,
    /// MSR_MISC_FEATURES_ENABLES bit 0: CPUID faults above CPL 0.
    pub cpuid_faulting: bool,
    /// IA32_TSC_AUX.
    pub tsc_aux: u32,
    /// TSC minus the clock's count.
    pub tsc_offset: u64,
    /// Address lines in use: all ones, or bit 20 clear with A20 masked.
    pub a20_mask: u32,
    /// NMI is blocked until IRET.
    pub nmi_blocked: bool,
    /// An NMI waits.
    pub nmi_pending: bool,
    /// The chip that this is.
    pub model: CpuModel,
    /// The running instruction's accesses must be aligned (CR0.AM, EFLAGS.AC and CPL 3). Segments
    /// are then never flat, so that every access comes past the check.
    pub aligned: bool,
}

impl State {
    /// A CPU after RESET (SDM vol. 3A, table 9-1).
    pub fn new(model: CpuModel) -> State {
        let mut s = State {
            gpr: [0; 32],
            flags_result: 1,
            flags_aux: 0,
            eip: 0xfff0,
            eflags: eflags::RESERVED1,
            retired: 0,
            until: 0,
            about: false,
            leave: false,
            cpl: 0,
            activity: Activity::Running,
            shadow: InterruptShadow::None,
            shadow_until: 0,
            seg: [Segment::real(0, 0); 8],
            ldtr: Segment { limit: 0xffff, rights: 0x82, ..Segment::default() },
            tr: Segment { limit: 0xffff, rights: 0x8b, ..Segment::default() },
            gdtr: DescriptorTable { base: 0, limit: 0xffff },
            idtr: DescriptorTable { base: 0, limit: 0xffff },
            cr0: 0x6000_0010,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            pdptes: [0; 4],
            efer: 0,
            dr: [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400],
            debug_hits: 0,
            fpu: Fpu { control: 0x40, ..Fpu::default() },
            xmm: [0; 16],
            mxcsr: 0x1f80,
            sysenter: [0; 3],
            xcr0: 1,
            cpuid_faulting: false,
            tsc_aux: 0,
            tsc_offset: 0,
            a20_mask: u32::MAX,
            nmi_blocked: false,
            nmi_pending: false,
            model,
            aligned: false,
        };
        s.reset_for(model);
        s
    }

    fn reset_for(&mut self, model: CpuModel) {
        let cs = &mut self.seg[usize::from(seg::CS)];
        cs.selector = 0xf000;
        cs.base = match model {
            CpuModel::I8086 => 0xf_0000,
            CpuModel::I286 => 0xff_0000,
            _ => 0xffff_0000,
        };
        if model == CpuModel::I8086 {
            (cs.selector, cs.base, self.eip) = (0xffff, 0xf_fff0, 0);
            self.a20_mask = 0xf_ffff;
        }
        if model == CpuModel::I286 {
            self.a20_mask = 0xff_ffff;
        }
        if model < CpuModel::I486 {
            self.cr0 = 0;
        }
        if model >= CpuModel::I386 {
            self.gpr[2] = u64::from(model.signature());
        }
    }

    /// A segment register by its number ([`seg`]).
    #[inline(always)]
    pub fn segment(&self, n: u8) -> &Segment {
        &self.seg[usize::from(n & 7)]
    }

    /// The low 32 bits of a general register.
    #[inline(always)]
    pub fn r32(&self, n: u8) -> u32 {
        self.gpr[usize::from(n & 31)] as u32
    }

    /// Sets a general register to a zero-extended 32-bit value.
    #[inline(always)]
    pub fn set_r32(&mut self, n: u8, value: u32) {
        self.gpr[usize::from(n & 15)] = u64::from(value);
    }

    /// The low 16 bits of a general register.
    #[inline(always)]
    pub fn r16(&self, n: u8) -> u16 {
        self.gpr[usize::from(n & 31)] as u16
    }

    /// Sets the low 16 bits of a general register.
    #[inline(always)]
    pub fn set_r16(&mut self, n: u8, value: u16) {
        let r = &mut self.gpr[usize::from(n & 15)];
        *r = *r & !0xffff | u64::from(value);
    }

    /// The default sizes of the running code segment.
    #[inline(always)]
    pub fn code_size(&self) -> CodeSize {
        if self.seg[usize::from(seg::CS)].big() { CodeSize::Bits32 } else { CodeSize::Bits16 }
    }

    /// The stack pointer is ESP, not SP.
    #[inline(always)]
    pub fn stack32(&self) -> bool {
        self.seg[usize::from(seg::SS)].big()
    }

    /// What decoded code at EIP depends on: the code size (bit 0).
    #[inline(always)]
    pub fn key(&self) -> Key {
        Key(u32::from(self.seg[usize::from(seg::CS)].rights & crate::rights::BIG != 0))
    }

    /// What an access beyond a segment's limit raises. In real mode the 80286 has one vector for
    /// all segments (iAPX 286 Programmer's Reference Manual, interrupt 13).
    pub fn limit_fault(&self, segment: u8) -> crate::Fault {
        if self.model <= CpuModel::I286 && !self.protected() {
            return crate::Fault::GP0;
        }
        crate::Fault::limit(segment)
    }

    /// CR0.PE and not V86: selectors name descriptors.
    #[inline(always)]
    pub fn protected(&self) -> bool {
        self.cr0 & cr0::PE != 0 && self.eflags & eflags::VM == 0
    }

    /// CR0.AM, EFLAGS.AC and CPL 3: unaligned accesses raise #AC (SDM vol. 3A, interrupt 17).
    #[inline]
    pub fn alignment_checked(&self) -> bool {
        self.eflags & eflags::AC != 0 && self.cr0 & cr0::AM != 0 && self.cpl == 3
    }

    /// Switches the check of alignment on or off for what runs next.
    pub fn set_aligned(&mut self, on: bool) {
        self.aligned = on;
        for s in &mut self.seg {
            s.refresh();
            if on {
                (s.flat_read, s.flat_write, s.read_last, s.write_last) = (false, false, -1, -1);
            }
        }
    }

    /// Whether an access may be made where alignment is checked.
    #[inline]
    pub fn permits_alignment(&self, linear: u32, size: u32) -> bool {
        let unit = match size {
            2 | 4 | 8 => size,
            10 => 8,
            // whole SSE registers have rules of their own
            _ => 1,
        };
        !self.aligned || linear & (unit - 1) == 0
    }

    /// Interrupts are held off by STI, MOV SS or POP SS.
    #[inline]
    pub fn in_shadow(&self) -> InterruptShadow {
        if self.retired < self.shadow_until { self.shadow } else { InterruptShadow::None }
    }

    /// The six arithmetic flags in EFLAGS positions, from their canonical form: CF is bit 63
    /// of `flags_aux`, CF xor OF bit 62, AF bit 3, the parity byte's delta bits 8 to 15, SF's
    /// delta bit 16.
    #[inline]
    pub fn arithmetic_flags(&self) -> u32 {
        let (r, x) = (self.flags_result, self.flags_aux);
        let cf = (x >> 63) as u32;
        let of = cf ^ (x >> 62 & 1) as u32;
        let pf = u32::from(((r ^ x >> 8) as u8).count_ones() & 1 == 0);
        let sf = (r >> 63 ^ x >> 16 & 1) as u32;
        cf | pf << 2 | (x as u32 >> 3 & 1) << 4 | u32::from(r == 0) << 6 | sf << 7 | of << 11
    }

    /// Puts the six arithmetic flags of an EFLAGS image into canonical form.
    #[inline]
    pub fn set_arithmetic_flags(&mut self, image: u32) {
        let bit = |mask: u32| u64::from(image & mask != 0);
        let (cf, of) = (bit(eflags::CF), bit(eflags::OF));
        self.flags_result = 1 - bit(eflags::ZF);
        // the parity of `result` is odd when ZF is clear and even when it is set
        let parity_delta = self.flags_result ^ (1 - bit(eflags::PF));
        self.flags_aux =
            cf << 63 | (cf ^ of) << 62 | bit(eflags::AF) << 3 | parity_delta << 8 | bit(eflags::SF) << 16;
    }

    /// The whole EFLAGS.
    #[inline]
    pub fn flags_image(&self) -> u32 {
        self.eflags & !eflags::ARITHMETIC | self.arithmetic_flags() | eflags::RESERVED1
    }

    /// Replaces the whole EFLAGS; the caller has masked what may not change.
    #[inline]
    pub fn set_flags_image(&mut self, image: u32) {
        self.eflags = image & !eflags::ARITHMETIC | eflags::RESERVED1;
        self.set_arithmetic_flags(image);
    }
}
