//! Kinds of virtual machines, and several of them on one machine.

use super::programs::{SIZE, system};
use super::{other, percent};
use crate::coded::{Nest, run};
use crate::monitor::{Discipline, Monitor};
use crate::third::{Cause, Event, Instruction, Machine, Mode, Op, Psw, Real, Relocation, Variant, Word};
use std::io::{self, Write};

/// Steps that no program here needs.
const ENOUGH: u64 = 1 << 24;
/// Where the user of `programs` lies, and its words.
const USER: Relocation = Relocation { l: 64, b: 32 };

/// `design-space`.
pub(super) fn design_space(out: &mut dyn Write) -> io::Result<()> {
    let start = system(Variant::Virtualizable, 100, 5).map_err(other)?;
    let mut bare = start.clone();
    run(&mut bare, ENOUGH);
    let steps = bare.processor.steps;
    writeln!(out, "One program: a user that computes and calls, and its operating system.\n")?;
    writeln!(out, "{:36} {:>8}  console", "", "steps")?;
    let console = |words: &[Word]| format!("{words:?}");
    writeln!(out, "{:36} {steps:>8}  {}", "the bare machine", console(&bare.store.console))?;
    let (own, said) = process(&start);
    writeln!(out, "{:36} {own:>8}  {}", "process VM: the user alone", console(&said))?;
    let nest = Nest::new(1, SIZE).map_err(other)?;
    let mut first = nest.start(&start);
    run(&mut first, ENOUGH);
    let guest = nest.guest(&first);
    writeln!(
        out,
        "{:36} {:>8}  {}",
        "system VM, type 1: monitor below",
        first.processor.steps,
        console(&guest.store.console)
    )?;
    for (name, discipline) in [
        ("system VM, hosted: trap-and-emulate", Discipline::Trapping),
        ("system VM, hosted: hybrid", Discipline::Hybrid),
    ] {
        let mut monitor = hosted(&start, discipline)?;
        run(&mut monitor, ENOUGH);
        let c = monitor.guest().counts;
        writeln!(
            out,
            "{name:36} {:>8}  {}, {:.1} % interpreted by the host's program",
            monitor.processor().steps,
            console(monitor.console()),
            percent(c.interpreted, c.interpreted + c.direct)
        )?;
    }
    writeln!(
        out,
        "\nA process VM offers an operating system's calls, a system VM a machine. A type 1 monitor has the"
    )?;
    writeln!(
        out,
        "machine to itself; a hosted one is a program of an operating system, which has the devices. An emulator"
    )?;
    writeln!(out, "is a system VM of another instruction set: it interprets everything, or compiles it.")
}

fn hosted(start: &Real, discipline: Discipline) -> io::Result<Monitor<Real>> {
    let mut monitor = Monitor::new(Real::new(start.isa(), SIZE + 8), discipline);
    monitor.add(SIZE).map_err(other)?;
    monitor.load(&start.store.memory, &start.processor);
    Ok(monitor)
}

/// The user without its system: whoever runs it does what it calls for. Its steps, and what it has said.
fn process(start: &Real) -> (u64, Vec<Word>) {
    let mut machine = start.clone();
    machine.processor.psw = Psw { mode: Mode::User, p: 0, r: USER };
    let mut said = Vec::new();
    // as many turns as there may be calls
    for _ in 0..1000 {
        match machine.run(ENOUGH) {
            Event::Trap(Cause::Supervisor) => {
                said.push(machine.processor.acc);
                machine.processor.psw.p += 1;
            }
            _ => break,
        }
    }
    (machine.processor.steps, said)
}

/// `side-by-side`.
pub(super) fn side_by_side(out: &mut dyn Write) -> io::Result<()> {
    let os = system(Variant::Virtualizable, 10, 5).map_err(other)?;
    let nest = Nest::new(1, SIZE).map_err(other)?;
    let cp = nest.start(&os);
    let sizes = [SIZE, cp.memory().len(), 16];
    let mut monitor =
        Monitor::new(Real::new(os.isa(), sizes.iter().sum::<usize>() + 8), Discipline::Trapping);
    for size in sizes {
        monitor.add(size).map_err(other)?;
    }
    for (n, start) in [(0, &os), (1, &cp)] {
        monitor.choose(n);
        monitor.load(&start.store.memory, &start.processor);
    }
    monitor.choose(2);
    let single = [Instruction::new(Op::Li, 42), Instruction::new(Op::Out, 0), Instruction::new(Op::Halt, 0)];
    for (to, i) in monitor.memory_mut()[2..].iter_mut().zip(single) {
        *to = i.encode();
    }
    monitor.round_robin(ENOUGH);
    let names =
        ["an operating system with a user", "a monitor with that system under it", "a single-user system"];
    writeln!(out, "Three virtual machines, a quantum of {} instructions each in turn.\n", monitor.quantum)?;
    for (name, guest) in names.iter().zip(monitor.guests()) {
        let c = guest.counts;
        writeln!(
            out,
            "  {name:36} at {:>3}, {:>3} words: {:>5} steps, {:>4} interpreted, console {:?}{}",
            guest.region.base,
            guest.region.size,
            guest.processor.steps,
            c.interpreted,
            guest.console,
            if guest.processor.halted { ", halted" } else { "" }
        )?;
    }
    let mut alone = os.clone();
    run(&mut alone, ENOUGH);
    let same = monitor.guests()[0].console == alone.store.console;
    writeln!(
        out,
        "\nThe first says {} as on a machine of its own.",
        if same { "the same" } else { "something else" }
    )?;
    writeln!(
        out,
        "None knows of the others: what each has of the machine is a window of memory and a share of time."
    )
}
