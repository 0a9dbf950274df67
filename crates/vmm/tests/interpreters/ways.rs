//! Ways to an interrupt's handler, and to another task: what the manual says of one it says of all.

use crate::fake::*;
use cpu::{Activity, CpuModel, Fault, eflags as e, vector};
use vmm::interpreters::interrupt::{Event, EventKind};

/// A way through the IDT.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) vector: u8,
    /// The EXT bit of error codes (SDM vol. 3A, 6.13): the event is not INT n, INT3 or INTO.
    pub(crate) ext: u16,
    /// Of INT n, INT3 and INTO the gate's DPL is checked (SDM vol. 3A, 6.12.1.1).
    pub(crate) by_program: bool,
    pub(crate) run: fn(&mut Fake) -> Result<(), Fault>,
}

pub(crate) const WAYS: [Way; 5] = [
    Way { name: "INT n", vector: 0x30, ext: 0, by_program: true, run: |f| f.run(&[0xcd, 0x30]).map(|_| ()) },
    Way { name: "INT3", vector: 3, ext: 0, by_program: true, run: |f| f.run(&[0xcc]).map(|_| ()) },
    Way { name: "INTO", vector: 4, ext: 0, by_program: true, run: into },
    Way { name: "INT1", vector: 1, ext: 1, by_program: false, run: |f| f.run(&[0xf1]).map(|_| ()) },
    Way { name: "INTR", vector: 0x30, ext: 1, by_program: false, run: hardware },
];

fn into(f: &mut Fake) -> Result<(), Fault> {
    f.cpu.set_arithmetic_flags(e::OF);
    f.run(&[0xce]).map(|_| ())
}

fn hardware(f: &mut Fake) -> Result<(), Fault> {
    let event = Event::plain(0x30, EventKind::Hardware, f.cpu.eip);
    deliver(f, event)
}

impl Way {
    pub(crate) fn named(name: &str) -> Way {
        WAYS.into_iter().find(|w| w.name == name).unwrap()
    }

    /// The error code that names the IDT's entry.
    pub(crate) fn entry(&self) -> u16 {
        u16::from(self.vector) << 3 | 2 | self.ext
    }
}

/// A gate of the chip's width.
pub(crate) fn wide_gate(f: &Fake, selector: u16, offset: u32, access: u8) -> u64 {
    gate(selector, offset, if f.cpu.model == CpuModel::I286 { access & !8 } else { access }, 0)
}

/// The selector of the task that the chip can have, and the linear address of its TSS.
pub(crate) fn task_of(f: &Fake) -> (u16, u32) {
    if f.cpu.model == CpuModel::I286 { (TASK16, TSS16) } else { (TASK2, TSS2) }
}

/// A field of a TSS (SDM vol. 3A, figures 7-2 and 7-10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    Ip,
    Flags,
    Sp,
    Es,
    Cs,
    Ss,
    Ds,
    Ldt,
    Sp0,
    Ss0,
}

impl Field {
    /// Offsets in TSSs of 32 and of 16 bits.
    fn offset(self, wide: bool) -> u32 {
        let (of_32, of_16) = match self {
            Field::Ip => (0x20, 0x0e),
            Field::Flags => (0x24, 0x10),
            Field::Sp => (0x38, 0x1a),
            Field::Es => (0x48, 0x22),
            Field::Cs => (0x4c, 0x24),
            Field::Ss => (0x50, 0x26),
            Field::Ds => (0x54, 0x28),
            Field::Ldt => (0x60, 0x2a),
            Field::Sp0 => (4, 2),
            Field::Ss0 => (8, 4),
        };
        if wide { of_32 } else { of_16 }
    }
}

/// Writes a field of the task that the chip can have.
pub(crate) fn set_field(f: &mut Fake, field: Field, value: u32) {
    let wide = f.cpu.model != CpuModel::I286;
    let at = task_of(f).1 + field.offset(wide);
    f.write(at, if wide { 4 } else { 2 }, value.into());
}

/// A task of level 3, with an LDT, and handlers for the faults of its segments.
pub(crate) fn write_task(f: &mut Fake) {
    for (field, value) in [
        (Field::Ip, 0x5555),
        (Field::Flags, 2),
        (Field::Sp, 0x1_1000),
        (Field::Es, DATA3.into()),
        (Field::Cs, CODE3.into()),
        (Field::Ss, DATA3.into()),
        (Field::Ds, DATA3.into()),
        (Field::Ldt, LOCAL.into()),
        (Field::Sp0, STACK0),
        (Field::Ss0, DATA0.into()),
    ] {
        set_field(f, field, value);
    }
    for v in [vector::TS, vector::NP, vector::SS, vector::GP] {
        let handler = wide_gate(f, CODE0, HANDLER + u32::from(v), 0x8e);
        f.idt(v, handler);
    }
}

/// Where [`write_task`]'s handlers are.
const HANDLER: u32 = 0x4400;

/// The fault that the new task has begun with: its handler runs, with the error code on top of the stack.
pub(crate) fn begun_with(f: &Fake) -> Result<(), Fault> {
    if f.cpu.activity == Activity::Shutdown {
        return Err(Fault::plain(vector::DF));
    }
    match f.cpu.eip.checked_sub(HANDLER) {
        Some(v @ 10..=13) => {
            let code =
                if f.cpu.model == CpuModel::I286 { f.stack16::<1>()[0] } else { f.stack32::<1>()[0] as u16 };
            Err(Fault::with_code(v as u8, code))
        }
        _ => Ok(()),
    }
}

/// A way to another task.
#[derive(Clone, Copy)]
pub(crate) enum ToTask {
    Jmp,
    Call,
    JmpGate,
    CallGate,
    /// IRET with NT set: the TSS has to be busy.
    Iret,
    Gate(Way),
}

impl ToTask {
    pub(crate) fn ext(self) -> u16 {
        if let ToTask::Gate(way) = self { way.ext } else { 0 }
    }

    /// The TSS goes from available to busy.
    pub(crate) fn takes_available(self) -> bool {
        !matches!(self, ToTask::Iret)
    }

    /// Switches to a task, as far as that goes.
    pub(crate) fn run(self, f: &mut Fake, selector: u16) -> Result<(), Fault> {
        match self {
            ToTask::Jmp => f.far(0xea, selector, 0),
            ToTask::Call => f.far(0x9a, selector, 0),
            ToTask::JmpGate | ToTask::CallGate => {
                f.write(GDT + u32::from(TASK_GATE), 8, gate(selector, 0, 0xe5, 0));
                f.far(if matches!(self, ToTask::JmpGate) { 0xea } else { 0x9a }, TASK_GATE, 0)
            }
            ToTask::Iret => {
                f.cpu.eflags |= e::NT;
                f.write(f.cpu.tr.base, 2, selector.into());
                f.run(&[0xcf]).map(|_| ())
            }
            ToTask::Gate(way) => {
                f.idt(way.vector, gate(selector, 0, 0xe5, 0));
                (way.run)(f)
            }
        }?;
        begun_with(f)
    }

    /// Switches to the task that [`write_task`] has written.
    pub(crate) fn switch(self, f: &mut Fake) -> Result<(), Fault> {
        let (selector, _) = task_of(f);
        if !self.takes_available() {
            let access = f.access(selector);
            f.set_access(selector, access | 2);
        }
        self.run(f, selector)
    }
}
