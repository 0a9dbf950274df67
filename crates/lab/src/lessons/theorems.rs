//! What breaks theorem 1's condition, and what theorem 3 makes of it.

use super::programs::{SIZE, system};
use super::{other, percent};
use crate::coded::run;
use crate::equivalence::{Report, Trial, compare, without_mode};
use crate::monitor::{Discipline, Interpreters, Monitor};
use crate::third::{Machine, Real, Variant};
use std::io::{self, Write};

const PROGRAMS: u64 = 20_000;

/// A comparison's result.
fn show(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    match &report.difference {
        Some(d) => write!(out, "{d}"),
        None => writeln!(out, "no difference in {} programs, {} steps", report.programs, report.steps),
    }
}

/// `critical`.
pub(super) fn critical(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Random programs, bare and under a trap-and-emulate monitor, up to the first difference.")?;
    for variant in Variant::ALL {
        writeln!(out, "\n{}:", variant.name())?;
        show(out, &compare(&Trial::new(variant), PROGRAMS, 1))?;
    }
    Ok(())
}

/// `wrong-interpreter`.
pub(super) fn wrong_interpreter(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "The virtualizable machine, and a monitor whose interpreter of LPSW loads P and R only:\n"
    )?;
    let interpreters = without_mode(&Interpreters::default());
    show(out, &compare(&Trial { interpreters, ..Trial::new(Variant::Virtualizable) }, PROGRAMS, 1))?;
    writeln!(out, "\nWith M:\n")?;
    show(out, &compare(&Trial::new(Variant::Virtualizable), PROGRAMS, 1))
}

/// `hybrid`.
pub(super) fn hybrid(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "JRST 1 returns to user mode. In user mode it is a jump, and does not trap.")?;
    writeln!(out, "\nUnder a trap-and-emulate monitor:")?;
    show(out, &compare(&Trial::new(Variant::Jrst1), PROGRAMS, 1))?;
    writeln!(out, "\nUnder a hybrid one, which interprets all that a virtual supervisor does:")?;
    for variant in Variant::ALL {
        let report = compare(&Trial::hybrid(variant), PROGRAMS, 1);
        writeln!(out, "\n{}:", variant.name())?;
        show(out, &report)?;
        let c = report.counts;
        let share = percent(c.interpreted, c.interpreted + c.direct);
        writeln!(out, "  {share:.1} % of the instructions were interpreted")?;
    }
    let c = compare(&Trial::new(Variant::Virtualizable), PROGRAMS, 1).counts;
    let share = percent(c.interpreted, c.interpreted + c.direct);
    writeln!(out, "\nUnder trap-and-emulate it would be {share:.1} %, where that is possible.")?;
    writeln!(out, "\nA system whose user works more between its calls:")?;
    for work in [1, 10, 100] {
        let start = system(Variant::Jrst1, work, 20).map_err(other)?;
        let mut monitor = Monitor::new(Real::new(start.isa(), SIZE + 8), Discipline::Hybrid);
        monitor.add(SIZE).map_err(other)?;
        monitor.load(&start.store.memory, &start.processor);
        run(&mut monitor, 1 << 24);
        let c = monitor.guest().counts;
        let share = percent(c.interpreted, c.interpreted + c.direct);
        writeln!(out, "  {work:>3} times: {share:.1} % interpreted")?;
    }
    writeln!(
        out,
        "\nA readable R shows to users as well: theorem 3's condition fails, and so does the monitor."
    )
}
