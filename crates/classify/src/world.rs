//! Complete states of the model: registers, tables and memory, by a value of each axis.

use crate::axes::{Axis, Choice};
use crate::layout as at;
use crate::model::{Effect, Memory, Model};
use crate::relocation::Relocation;
use crate::tables::{fill, held, tables};
use crate::{CodeMode, Configuration, Form};
use cpu::descriptor::gate;
use cpu::{CpuModel, DescriptorTable, InterruptShadow, Kind, Segment, State, cr0, cr4, eflags, reg, seg};
use isa::Routine;
use std::panic::Location;
use vmm::Atom;

/// The mode of the machine in the paper's sense: M.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Level {
    /// CPL 3, or V86 mode.
    User,
    /// CPL 0 of protected mode.
    Supervisor,
}

impl Level {
    /// Both.
    pub const ALL: [Level; 2] = [Level::User, Level::Supervisor];
}

/// What came of running an instruction in a state.
#[derive(Clone, Debug)]
pub struct Run {
    /// The state before.
    pub before: State,
    /// The state after.
    pub after: State,
    /// The vector of the trap that it ended in: an exception, or the entry through the monitor's IDT that INT n is.
    pub trap: Option<u8>,
    /// The trap is what the instruction is for (INT n), and no fault.
    pub meant: bool,
    /// Bytes of memory that changed, by address.
    pub changes: Vec<(u32, u8)>,
    /// What it did besides.
    pub effects: Vec<Effect>,
    /// The questions that it asked, with their answers.
    pub path: Vec<(Atom, bool)>,
    /// Where the routine asked them.
    pub places: Vec<&'static Location<'static>>,
    /// Where the window was.
    pub window: u32,
}

impl Run {
    /// An empty one, to be filled.
    pub fn new(model: CpuModel) -> Run {
        let state = State::new(model);
        Run {
            before: state.clone(),
            after: state,
            trap: None,
            meant: false,
            changes: Vec::new(),
            effects: Vec::new(),
            path: Vec::new(),
            places: Vec::new(),
            window: 0,
        }
    }

    /// It ended in a fault because a limit did not cover an access: the paper's memory trap.
    pub fn memory_trapped(&self) -> bool {
        self.trap.is_some() && self.path.last() == Some(&(Atom::LimitCovers, false))
    }

    /// An arithmetic trap, which the paper sets aside likewise.
    pub fn arithmetic_trapped(&self) -> bool {
        use cpu::vector as v;
        !self.meant && self.trap.is_some_and(|vector| matches!(vector, v::DE | v::BR | v::MF | v::XM))
    }
}

/// A state of the model with all that is in it, and what the model makes of it.
#[derive(Clone, Debug)]
pub struct Posed {
    /// The instruction as the model runs it.
    pub insn: isa::Insn,
    /// The instruction, which is to be at CS:EIP; the memory does not have it.
    pub bytes: Vec<u8>,
    /// Memory from address 0 on, before.
    pub memory: Vec<u8>,
    /// The registers before, and the run.
    pub run: Run,
    /// The offset that far transfers and gates lead to.
    pub target: u32,
    /// Where the memory operand is, in the model's usual place of the window.
    pub operand: u32,
}

/// Base states of a form in a configuration.
pub struct World {
    form: Form,
    configuration: Configuration,
    templates: [State; 2],
    pub(crate) memory: Memory,
}

const SELECTORS: [u16; 40] = [
    at::OTHER_CODE3,
    0,
    at::OTHER_DATA3,
    at::CODE0,
    at::DATA0,
    at::CONFORMING,
    at::EXECUTE_ONLY,
    at::READ_ONLY,
    at::ABSENT_DATA,
    at::ABSENT_CODE,
    at::LOCAL_DATA,
    at::OUTSIDE,
    at::LOCAL_OUTSIDE,
    at::LOCAL_TABLE[0],
    at::TASK2,
    at::BUSY_TASK,
    at::TASK16,
    at::SHORT_TASK,
    at::GATE_INWARD,
    at::GATE_LEVEL,
    at::GATE16,
    at::GATE0,
    at::TASK_GATE,
    at::ABSENT_GATE,
    at::GATE_CONFORMING,
    at::GATE_NULL,
    at::EXPAND_DOWN,
    at::CODE3,
    at::DATA3,
    at::OTHER_DATA0,
    at::OTHER_CODE0,
    at::OTHER_DATA3 & !3,
    at::OTHER_CODE0 | 3,
    3,
    at::LOCAL_DATA0,
    at::LOCAL_CODE3,
    at::LOCAL_CODE0,
    at::LOCAL_ABSENT,
    at::LOCAL_CONFORMING,
    at::LOCAL_READ_ONLY,
];

/// Values of an axis whose values' names are hexadecimal numbers.
fn number(choice: &Choice, axis: Axis) -> u32 {
    u32::from_str_radix(choice.name(axis), 16).unwrap_or(0)
}

impl World {
    /// Base states; the model is the newest, which has all that the others have.
    pub fn new(form: &Form, configuration: Configuration) -> World {
        World::of_model(form, configuration, CpuModel::Newest)
    }

    /// Base states of a chip.
    pub fn of_model(form: &Form, configuration: Configuration, model: CpuModel) -> World {
        let mut memory = Memory::new();
        let vm = configuration.has(Configuration::VM);
        let code32 = form.mode == CodeMode::Bits32;
        fill(&mut memory, code32, configuration);
        let base = |level| template(level, vm, code32, configuration, model);
        let templates = [base(Level::User), base(Level::Supervisor)];
        World { form: form.clone(), configuration, templates, memory }
    }

    /// The form.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The configuration.
    pub fn configuration(&self) -> Configuration {
        self.configuration
    }

    /// Whether a relocation means anything: segments of V86 and real mode have their bases by their selectors,
    /// which are the program's.
    pub fn admits(&self, x: Relocation) -> bool {
        !(x == Relocation::Window && self.configuration.has(Configuration::VM))
    }

    /// Runs the form once in a state.
    pub fn run(&mut self, choice: &Choice, level: Level, x: Option<Relocation>, out: &mut Run) {
        let mark = self.memory.mark();
        let (insn, outside) = self.prepare(choice, level, x, out);
        self.execute(&insn, &outside, out);
        self.memory.undo(mark);
    }

    /// Runs the form once in a state, and gives all of that state: what another machine has to be put in to be asked
    /// the same. An innocuous body has no run here, so that it counts as one that completes.
    pub fn pose(&mut self, choice: &Choice, level: Level, x: Option<Relocation>) -> Posed {
        let mark = self.memory.mark();
        let mut run = Run::new(CpuModel::Newest);
        let (insn, outside) = self.prepare(choice, level, x, &mut run);
        let memory = self.memory.bytes().to_vec();
        let bytes = self.encoded(&insn);
        self.execute(&insn, &outside, &mut run);
        self.memory.undo(mark);
        Posed { insn, bytes, memory, run, target: at::TARGET, operand: at::WINDOW[0] + at::OPERAND }
    }

    /// Makes the state, in `out.before` and in memory; the instruction with its operands.
    fn prepare(
        &mut self,
        choice: &Choice,
        level: Level,
        x: Option<Relocation>,
        out: &mut Run,
    ) -> (isa::Insn, Outside) {
        out.before.clone_from(&self.templates[level as usize]);
        out.window = at::WINDOW[0];
        self.choose(choice, &mut out.before);
        let mut insn = self.form.insn;
        self.place_operands(choice, &mut insn, &mut out.before);
        let mut outside = Outside { devices: 0x1234_5678, apic_base: apic(choice) };
        if let Some(x) = x {
            self.relocate(x, out, &mut outside);
        }
        (insn, outside)
    }

    /// Runs the form in the state that `out.before` and memory are.
    fn execute(&mut self, insn: &isa::Insn, outside: &Outside, out: &mut Run) {
        let ran = self.memory.mark();
        out.path.clear();
        out.places.clear();
        out.effects.clear();
        let mut model = Model {
            cpu: out.before.clone(),
            memory: &mut self.memory,
            path: &mut out.path,
            places: &mut out.places,
            effects: &mut out.effects,
            devices: outside.devices,
            apic_base: outside.apic_base,
        };
        let Some(routine) = self.form.routine else { return };
        let fault = model.interpret(insn, routine).err();
        out.after = model.cpu;
        let entered = entered(out, insn, routine).filter(|_| fault.is_none());
        (out.trap, out.meant) = (fault.map(|f| f.vector).or(entered), entered.is_some());
        self.memory.changes(ran, &mut out.changes);
    }

    /// The instruction's bytes, with the far pointer in them that the state has.
    fn encoded(&self, insn: &isa::Insn) -> Vec<u8> {
        let mut bytes = self.form.bytes.clone();
        let far = matches!(self.form.routine, Some(Routine::CallFar | Routine::JmpFar));
        if far && insn.kind[0] == Kind::Imm {
            let size = if insn.op32 { 4 } else { 2 };
            let pointer = [&insn.imm.to_le_bytes()[..size], &insn.imm2.to_le_bytes()].concat();
            bytes.truncate(bytes.len() - pointer.len());
            bytes.extend(pointer);
        }
        bytes
    }

    /// Sets what the axes say of registers and tables.
    fn choose(&mut self, choice: &Choice, cpu: &mut State) {
        for axis in choice.unusual() {
            self.set(axis, choice.get(axis), cpu);
        }
        cpu.set_r32(reg::AX, number(choice, Axis::Value));
        cpu.set_r32(reg::CX, number(choice, Axis::Index));
        cpu.set_r32(reg::DX, number(choice, Axis::Port));
        self.set_gate(choice.get(Axis::Gate));
    }

    fn set(&mut self, axis: Axis, value: u8, cpu: &mut State) {
        match axis {
            Axis::InterruptFlag => cpu.eflags &= !eflags::IF,
            Axis::Virtual => {
                cpu.eflags |= [0, eflags::VIF, eflags::VIP, eflags::VIF | eflags::VIP][usize::from(value & 3)]
            }
            Axis::NestedTask => cpu.eflags |= eflags::NT,
            Axis::Arithmetic => {
                let flags = if value == 1 { eflags::OF } else { eflags::ARITHMETIC };
                cpu.set_flags_image(cpu.flags_image() | flags);
            }
            Axis::Trap => cpu.eflags |= if value == 1 { eflags::TF } else { eflags::AC },
            Axis::Shadow => {
                cpu.shadow = if value == 1 { InterruptShadow::Sti } else { InterruptShadow::MovSs };
                cpu.shadow_until = cpu.retired + 1;
            }
            Axis::Coprocessor => {
                cpu.cr0 |= [0, cr0::TS, cr0::EM, cr0::MP | cr0::TS, cr0::MP][usize::from(value).min(4)]
            }
            Axis::Debug if value == 1 => cpu.cr4 |= cr4::DE,
            Axis::Debug => cpu.dr[7] |= 0x2000,
            Axis::Pae => {
                cpu.cr4 |= cr4::PAE;
                cpu.cr0 |= cr0::PG;
                let entry = if value == 1 { 1 } else { 3 };
                at::TABLES.iter().for_each(|t| self.memory.write(*t, 8, entry));
            }
            Axis::Sysenter => cpu.sysenter[0] = 0,
            Axis::Local => cpu.ldtr = Segment::null(0),
            Axis::Stack => {
                let ss = &mut cpu.seg[usize::from(seg::SS)];
                ss.rights ^= cpu::rights::BIG;
                ss.refresh();
            }
            Axis::Fpu => {
                cpu.fpu.control &= !1;
                cpu.fpu.status |= 0x8081;
            }
            Axis::Fxsr => cpu.cr4 &= !cr4::OSFXSR,
            Axis::Components => cpu.xcr0 = 1,
            Axis::Data => self.set_data(value, cpu),
            Axis::Table => cpu.idtr.limit = 0,
            // the bitmap allows the port in this configuration
            Axis::Task if self.configuration.has(Configuration::IOBITMAP) => {}
            Axis::Task => set_task(value, cpu),
            Axis::Accessed => self.clear_accessed(),
            _ => self.set_tss(axis, value),
        }
    }

    fn set_data(&mut self, value: u8, cpu: &mut State) {
        if cpu.eflags & eflags::VM != 0 || cpu.cr0 & cr0::PE == 0 {
            return;
        }
        let held = match value {
            2 => self.held(at::DATA0),
            3 => self.held(at::CONFORMING),
            _ => Segment::null(0),
        };
        for n in [seg::DS, seg::ES, seg::FS, seg::GS] {
            cpu.seg[usize::from(n)] = held;
        }
    }

    /// A register that holds what the GDT describes.
    fn held(&self, selector: u16) -> Segment {
        held(&self.memory, selector)
    }

    fn set_tss(&mut self, axis: Axis, value: u8) {
        match axis {
            Axis::InnerStack => {
                let ss = [at::DATA0, 0, at::DATA3, at::ABSENT_DATA & !3, at::OUTSIDE & !3]
                    [usize::from(value).min(4)];
                at::TSS.iter().for_each(|t| self.memory.write(t + 8, 2, ss.into()));
            }
            Axis::Link => {
                let link = [at::BUSY_TASK, at::TASK2, 0, at::DATA3, at::OUTSIDE][usize::from(value).min(4)];
                at::TSS.iter().for_each(|t| self.memory.write(*t, 2, link.into()));
            }
            Axis::Redirection => {
                at::TSS.iter().for_each(|t| (0x68..0x88).for_each(|n| self.memory.write(t + n, 1, 0xff)));
            }
            Axis::NewTask => match value {
                1 => self.memory.write(at::TSS2 + 0x64, 2, 1),
                2 => self.memory.write(at::TSS2 + 0x50, 2, at::DATA3.into()),
                3 => self.memory.write(at::TSS2 + 0x4c, 2, at::DATA0.into()),
                _ => self.memory.write(at::TSS2 + 0x60, 2, at::DATA0.into()),
            },
            _ => {}
        }
    }

    fn clear_accessed(&mut self) {
        for (table, end) in tables() {
            for n in (8..end).step_by(8) {
                let rights = self.memory.read(table + n + 5, 1);
                if rights & 0x10 != 0 {
                    self.memory.write(table + n + 5, 1, rights & !1);
                }
            }
        }
    }

    /// The gate of each vector that an instruction may name.
    fn set_gate(&mut self, value: u8) {
        if !self.raises() {
            return;
        }
        let wide = gate(at::CODE0, at::TARGET, 0xee, 0);
        let to = |selector: u16| gate(selector, at::TARGET, 0xee, 0);
        let content = match value {
            1 => gate(at::CODE0, at::TARGET, 0xef, 0),
            2 => gate(at::CODE0, at::TARGET, 0x8e, 0),
            3 => to(at::CODE3),
            4 => gate(at::TASK2, 0, 0xe5, 0),
            5 => gate(at::CODE0, at::TARGET, 0x6e, 0),
            6 => gate(at::CODE0, at::TARGET, 0xe2, 0),
            7 => gate(at::CODE0, at::TARGET, 0xe6, 0),
            8 => to(at::CONFORMING),
            9 => to(0),
            10 => to(at::DATA0),
            11 => to(at::OUTSIDE),
            12 => to(at::ABSENT_CODE),
            13 => gate(at::CODE0, at::WINDOW_SIZE + 4, 0xee, 0),
            _ => wide,
        };
        for vector in [0, 1, 3, 4] {
            at::IDT.iter().for_each(|t| self.memory.write(t + vector * 8, 8, content));
        }
    }

    fn raises(&self) -> bool {
        use Routine as R;
        matches!(self.form.routine, Some(R::Int | R::Int1 | R::Int3 | R::Into))
    }

    /// Puts operands where the instruction looks for them.
    fn place_operands(&mut self, choice: &Choice, insn: &mut isa::Insn, cpu: &mut State) {
        use Routine as R;
        let selector = SELECTORS[usize::from(choice.get(Axis::Selector)) % SELECTORS.len()];
        let offset = if choice.get(Axis::Offset) == 0 { at::TARGET } else { 0xffff_fff0 };
        let size = if insn.op32 { 4 } else { 2 };
        let operand = at::WINDOW[0] + at::OPERAND;
        let Some(routine) = self.form.routine else { return };
        match routine {
            R::CallFar | R::JmpFar if insn.kind[0] == Kind::Imm => {
                let encodable = if insn.op32 { u32::MAX } else { 0xffff };
                (insn.imm, insn.imm2) = (offset & encodable, selector);
            }
            R::CallFar | R::JmpFar | R::LoadFarPointer => {
                self.memory.write(operand, size, offset.into());
                self.memory.write(operand + size, 2, selector.into());
            }
            R::MovToSreg | R::Lar | R::Lsl | R::Verr | R::Verw | R::Lldt | R::Ltr | R::Arpl => {
                self.memory.write(operand, 2, selector.into());
                let n = usize::from(matches!(routine, R::MovToSreg | R::Lar | R::Lsl));
                if insn.kind[n] == Kind::Reg {
                    cpu.set_r16(insn.reg[n], selector);
                }
            }
            R::Lmsw => self.memory.write(operand, 2, cpu.r16(reg::AX).into()),
            R::MovToCr | R::MovToDr => cpu.set_r32(insn.reg[1], number(choice, Axis::Value)),
            R::Lgdt | R::Lidt => self.memory.write(operand, 6, 0x1800_00f7),
            R::Fldenv | R::Frstor => {
                (0..28).for_each(|n| self.memory.write(operand + n, 1, 0x11 * u64::from(n % 8)))
            }
            R::Fxrstor | R::Xrstor => {
                let reserved = if choice.get(Axis::Offset) == 0 { 0x1f80 } else { 0xffff_0000 };
                self.memory.write(operand + 24, 4, reserved);
                self.memory.write(operand + 512, 1, [0, 3, 0x80][usize::from(choice.get(Axis::Area)).min(2)]);
            }
            R::Bound => self.memory.write(operand, 8, 0x0000_7fff_0000_0000),
            R::PopSreg => self.push(cpu, size, &[selector.into()]),
            R::Popf => self.push(cpu, size, &[image(choice)]),
            R::RetFar => {
                insn.imm = 0;
                let items = [offset, selector.into(), at::STACK - 0x100, outer_stack(choice)];
                self.push(cpu, size, &items);
            }
            R::Iret => {
                let data = [0x1000, 0x1000, 0x1000, 0x1000];
                let [es, ds, fs, gs] = data;
                let items = [offset, selector.into(), image(choice), at::STACK - 0x100, outer_stack(choice)];
                self.push(cpu, size, &[items[0], items[1], items[2], items[3], items[4], es, ds, fs, gs]);
            }
            _ => {}
        }
    }

    /// Writes items upwards from the top of the stack.
    fn push(&mut self, cpu: &State, size: u32, items: &[u32]) {
        let top = cpu.segment(seg::SS).base.wrapping_add(at::STACK);
        for (n, item) in (0u32..).zip(items) {
            self.memory.write(top + n * size, size, (*item).into());
        }
    }
}

/// The vector through whose gate an INT n or its like went. Where the redirection bitmap sends it to the program the
/// monitor sees nothing of it.
fn entered(run: &Run, insn: &isa::Insn, routine: Routine) -> Option<u8> {
    let vector = match routine {
        Routine::Int => insn.imm as u8,
        Routine::Int1 => 1,
        Routine::Int3 => 3,
        Routine::Into => 4,
        _ => return None,
    };
    let next = run.before.eip.wrapping_add(u32::from(insn.len));
    let redirected = run.path.contains(&(Atom::InterruptRedirected, true));
    (run.after.eip != next && !redirected).then_some(vector)
}

/// What is neither registers nor memory.
pub(crate) struct Outside {
    pub(crate) devices: u32,
    pub(crate) apic_base: u32,
}

fn apic(choice: &Choice) -> u32 {
    if choice.get(Axis::Apic) == 0 { 0xfee0_0000 | vmm::APIC_ENABLE } else { 0xfee0_0000 }
}

fn outer_stack(choice: &Choice) -> u32 {
    let all = [at::DATA3, 0, at::OTHER_DATA0, at::ABSENT_DATA, at::READ_ONLY, at::OUTSIDE];
    all[usize::from(choice.get(Axis::OuterStack)).min(5)].into()
}

fn image(choice: &Choice) -> u32 {
    use eflags as f;
    f::RESERVED1
        | match choice.get(Axis::Image) {
            0 => 0,
            1 => f::IF,
            2 => f::IOPL,
            3 => f::TF,
            4 => f::NT,
            5 => f::AC | f::ID,
            6 => f::VIF | f::VIP,
            7 => f::VM,
            8 => f::ARITHMETIC,
            _ => f::ARITHMETIC | f::IF | f::IOPL | f::AC | f::ID,
        }
}

fn set_task(value: u8, cpu: &mut State) {
    match value {
        1 => cpu.tr.limit = 0x67,
        2 => (cpu.tr.rights, cpu.tr.limit) = (0x83, 0x2b),
        _ => cpu.tr = Segment::null(0),
    }
}

/// The registers of a level.
fn template(level: Level, vm: bool, code32: bool, configuration: Configuration, model: CpuModel) -> State {
    let mut memory = Memory::new();
    fill(&mut memory, code32, configuration);
    let mut cpu = State::new(model);
    configuration.apply(&mut cpu);
    cpu.eflags |= eflags::IF;
    cpu.cr0 = cr0::ET | cr0::PE;
    cpu.cr3 = at::TABLES[0];
    cpu.gdtr = DescriptorTable { base: at::GDT[0], limit: at::GDT_LIMIT };
    cpu.idtr = DescriptorTable { base: at::IDT[0], limit: 0xff };
    (cpu.ldtr, cpu.tr) = (held(&memory, at::LOCAL_TABLE[0]), held(&memory, at::TASK[0]));
    cpu.sysenter = [at::CODE0.into(), at::INNER_STACK, at::TARGET];
    cpu.cr4 |= cr4::OSFXSR;
    cpu.xcr0 = 3;
    cpu.fpu = cpu::Fpu { ip: at::CODE, dp: at::OPERAND, ..cpu::Fpu::default() };
    let (code, stack) = match level {
        Level::User => (at::CODE3, at::DATA3),
        Level::Supervisor => (at::CODE0, at::DATA0),
    };
    let user = level == Level::User;
    let real = !user && configuration.has(Configuration::REAL);
    cpu.cpl = if user { 3 } else { 0 };
    if real {
        cpu.cr0 &= !cr0::PE;
    }
    for n in 0..6u8 {
        let selector = match n {
            seg::CS => code,
            seg::SS => stack,
            _ => at::DATA3,
        };
        cpu.seg[usize::from(n)] = if real || vm && user {
            Segment::real((at::WINDOW[0] >> 4) as u16, cpu.cpl.into())
        } else {
            held(&memory, selector)
        };
    }
    cpu.eflags |= if vm && user { eflags::VM } else { 0 };
    // the last x87 instruction was this program's
    cpu.fpu.cs = cpu.seg[usize::from(seg::CS)].selector;
    cpu.fpu.ds = cpu.seg[usize::from(seg::DS)].selector;
    cpu.eip = at::CODE;
    let pointers =
        [(reg::BX, at::OPERAND), (reg::SP, at::STACK), (reg::SI, at::SOURCE), (reg::DI, at::DESTINATION)];
    pointers.into_iter().for_each(|(r, v)| cpu.set_r32(r, v));
    cpu
}
