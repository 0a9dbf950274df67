//! The third generation machine and its monitor.

use super::other;
use super::programs::{SIZE, system};
use crate::definitions::{Verdict, classify};
use crate::equivalence::equivalence;
use crate::monitor::{Discipline, Monitor, Region, f};
use crate::third::{Event, Instruction, Isa, Machine, Mode, Op, Psw, Real, Relocation, Variant, Word};
use std::io::{self, Write};

/// `definitions`.
pub(super) fn definitions(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "The machine has two words of memory, of five bits. Every instruction, in every state of it:\n"
    )?;
    let verdict = Verdict::of(Variant::Virtualizable);
    for class in &verdict.classes {
        writeln!(out, "  {:<6} {:>9} states  {}", class.op.name(), class.states, class.names())?;
    }
    writeln!(out, "\nThe theorems' conditions, on this machine and on those with one change:\n")?;
    conditions(out, "virtualizable", &verdict.critical(), &verdict.user_critical())?;
    for variant in Variant::ALL {
        // the other instructions are as they were
        let Some(op) = variant.culprit() else { continue };
        let class = classify(op, variant);
        let broken = |breaks: bool| if breaks { vec![op] } else { vec![] };
        let (first, third) =
            (class.sensitive() && !class.privileged, class.user_sensitive && !class.privileged);
        conditions(out, variant.name(), &broken(first), &broken(third))?;
        writeln!(out, "    {} is {}", op.name(), class.names())?;
        if let Some(run) = &class.control {
            writeln!(out, "    it changes M or R:  {run}")?;
        }
        for pair in [&class.location, &class.mode].into_iter().flatten() {
            writeln!(out, "    it shows R or M:    {}\n                        {}", pair.0, pair.1)?;
        }
    }
    Ok(())
}

fn conditions(out: &mut dyn Write, name: &str, first: &[Op], third: &[Op]) -> io::Result<()> {
    let say = |ops: &[Op]| match ops {
        [] => "holds".to_owned(),
        ops => format!("fails for {}", ops.iter().map(|o| o.name()).collect::<Vec<_>>().join(", ")),
    };
    writeln!(out, "  {name:<14} theorem 1 {:<16} theorem 3 {}", say(first), say(third))
}

/// `trap-and-emulate`.
pub(super) fn trap_and_emulate(out: &mut dyn Write) -> io::Result<()> {
    let mut bare = system(Variant::Virtualizable, 2, 1).map_err(other)?;
    let mut monitor = Monitor::new(Real::new(bare.isa(), SIZE + 8), Discipline::Trapping);
    monitor.add(SIZE).map_err(other)?;
    monitor.load(&bare.store.memory, &bare.processor);
    writeln!(out, "A supervisor and its user on a virtual machine of {SIZE} words, at 5 in the real one.")?;
    writeln!(out, "virtual PSW                real PSW                   instruction\n")?;
    let mut same = true;
    for step in 1..=200 {
        let (psw, i, before) = (monitor.processor().psw, monitor.next(), monitor.guest().counts);
        let real = monitor.image().psw;
        let event = monitor.run(step);
        same &= bare.run(step) == event && f(&bare, monitor.guest().region) == monitor.image();
        let how = match event {
            Event::Trap(cause) => format!("traps: the {} is the guest's", cause.name()),
            _ if monitor.guest().counts.interpreted > before.interpreted => "traps: interpreted".to_owned(),
            _ => String::new(),
        };
        let i = i.map_or(String::new(), |i| i.to_string());
        writeln!(out, "{:<26} {:<26} {i:<8} {how}", psw.to_string(), real.to_string())?;
        if let Event::Trap(cause) = event {
            monitor.trap(cause);
            bare.trap(cause);
        }
        if event == Event::Halted || monitor.processor().halted {
            break;
        }
    }
    let yes = if same { "yes" } else { "no" };
    writeln!(
        out,
        "\nconsole: {:?}. The real state was f of the bare machine's after each step: {yes}",
        monitor.console()
    )?;
    let report = equivalence(20_000, 1);
    writeln!(out, "{} random programs, {} steps, {} traps:", report.programs, report.steps, report.traps)?;
    match report.difference {
        None => writeln!(out, "no difference"),
        Some(d) => writeln!(out, "{d}"),
    }
}

/// `resources`.
pub(super) fn resources(out: &mut dyn Write) -> io::Result<()> {
    let isa = Isa::full(Variant::Virtualizable);
    let mut monitor = Monitor::new(Real::new(isa, 64), Discipline::Trapping);
    for _ in 0..2 {
        monitor.add(16).map_err(other)?;
    }
    let (first, second) = (monitor.guests()[0].region, monitor.guests()[1].region);
    writeln!(out, "Two guests of 16 words, at {} and {}.\n", first.base, second.base)?;
    writeln!(out, "What a guest loads into R, and what the machine then has:")?;
    for (l, b) in [(0, 16), (4, 8), (4, 1000), (16, 16), (20_000, 30_000)] {
        let guest = Psw { mode: Mode::Supervisor, p: 0, r: Relocation { l, b } };
        let Relocation { l: at, b: bound } = Region::compose(first, guest).r;
        writeln!(out, "  ({l}, {b}): words {at} to {}", at + bound)?;
    }
    writeln!(out, "\nThe first loops for ever, the second writes to its console and halts.")?;
    monitor.choose(0);
    monitor.memory_mut()[2] = Instruction::new(Op::Jmp, 2).encode();
    monitor.choose(1);
    let program = [Instruction::new(Op::Li, 42), Instruction::new(Op::Out, 0), Instruction::new(Op::Halt, 0)];
    for (to, i) in monitor.memory_mut()[2..].iter_mut().zip(program) {
        *to = i.encode();
    }
    monitor.round_robin(1000);
    for (n, guest) in monitor.guests().iter().enumerate() {
        let Psw { mode, p, .. } = guest.processor.psw;
        let steps: Word = guest.processor.steps;
        writeln!(
            out,
            "  guest {n}: {steps} steps, M={} P={p}, console {:?}{}",
            mode.letter(),
            guest.console,
            if guest.processor.halted { ", halted" } else { "" }
        )?;
    }
    Ok(())
}
