//! Monitors under monitors, and what they cost.

use super::programs::{SIZE, system};
use super::{other, percent};
use crate::coded::{Nest, run};
use crate::equivalence::{Trial, compare};
use crate::monitor::{Discipline, Monitor};
use crate::third::{Machine, Real, Variant};
use std::io::{self, Write};

/// `recursion`.
pub(super) fn recursion(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "The monitor asks of its machine what a supervisor sees of it, and makes such machines.\n"
    )?;
    for depth in 1..=3 {
        let report = compare(&Trial::nested(depth), 10_000, 1);
        let found = report.difference.map_or("no difference".to_owned(), |d| d.to_string());
        writeln!(
            out,
            "  {depth} deep, {} random programs, {} traps: {found}",
            report.programs, report.traps
        )?;
    }
    writeln!(
        out,
        "\nThe same to the letter: the monitor as a program of the machine, in the memory of another copy.\n"
    )?;
    let start = system(Variant::Virtualizable, 10, 5).map_err(other)?;
    let mut end = start.clone();
    run(&mut end, 1 << 20);
    let bare = end.processor.steps;
    writeln!(out, "  bare:   {bare:>9} steps, console {:?}", end.store.console)?;
    for depth in 1..=3 {
        let nest = Nest::new(depth, SIZE).map_err(other)?;
        let mut machine = nest.start(&start);
        run(&mut machine, 1 << 32);
        let steps = machine.processor.steps;
        let guest = nest.guest(&machine);
        let same = guest.store == end.store && guest.processor.psw == end.processor.psw;
        let same = if same { "the same state" } else { "another state" };
        let factor = steps as f64 / bare as f64;
        writeln!(
            out,
            "  {depth} deep: {steps:>9} steps ({factor:.1} times), {} words of monitors, {same}",
            nest.overhead()
        )?;
    }
    writeln!(out, "\nNo monitor depends on time: the virtual timer counts the guest's own instructions.")
}

/// `efficiency`.
pub(super) fn efficiency(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "A user that adds up numbers and calls its supervisor, less and less often.\n")?;
    writeln!(out, "work a call   direct  interpreted  traps given  steps of a coded monitor, over bare")?;
    let nest = Nest::new(1, SIZE).map_err(other)?;
    for work in [1, 10, 100, 1000] {
        let start = system(Variant::Virtualizable, work, 20).map_err(other)?;
        let mut monitor = Monitor::new(Real::new(start.isa(), SIZE + 8), Discipline::Trapping);
        monitor.add(SIZE).map_err(other)?;
        monitor.load(&start.store.memory, &start.processor);
        run(&mut monitor, 1 << 24);
        let c = monitor.guest().counts;
        let all = monitor.processor().steps;
        let mut machine = nest.start(&start);
        run(&mut machine, 1 << 32);
        writeln!(
            out,
            "{work:>11} {:>6.2} %     {:>6.2} %     {:>6.2} %  {:>5.2}",
            percent(c.direct, all),
            percent(c.interpreted, all),
            percent(c.reflected, all),
            machine.processor.steps as f64 / all as f64
        )?;
    }
    writeln!(out, "\nInnocuous instructions cost nothing: the monitor does not see them.")
}
