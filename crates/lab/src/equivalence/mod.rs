//! Equivalence: the same program bare and under a monitor, compared under f at every trap and at the end.

mod difference;
mod program;

pub use difference::Difference;
pub use program::{SIZE, fill};

use crate::monitor::{Counts, Discipline, Interpreters, Monitor, f};
use crate::random::Random;
use crate::third::{Event, Isa, Machine, Op, Real, Variant};

/// What is compared.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The instruction set.
    pub variant: Variant,
    /// How the monitors run supervisors.
    pub discipline: Discipline,
    /// Monitors on top of each other: 1 to 3.
    pub depth: u32,
    /// Least and most steps of a program.
    pub steps: (u64, u64),
    /// The interpreters of the topmost monitor.
    pub interpreters: Interpreters,
}

impl Trial {
    /// A trap-and-emulate monitor on the bare machine.
    pub fn new(variant: Variant) -> Trial {
        Trial {
            variant,
            discipline: Discipline::Trapping,
            depth: 1,
            steps: (50, 200),
            interpreters: Interpreters::default(),
        }
    }

    /// The same with a hybrid monitor.
    pub fn hybrid(variant: Variant) -> Trial {
        Trial { discipline: Discipline::Hybrid, ..Trial::new(variant) }
    }

    /// The same with monitors on top of each other.
    pub fn nested(depth: u32) -> Trial {
        Trial { depth: depth.clamp(1, 3), ..Trial::new(Variant::Virtualizable) }
    }
}

/// What a comparison has found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Programs run.
    pub programs: u64,
    /// Steps of the bare machine.
    pub steps: u64,
    /// Traps of the bare machine, at each of which the states were compared.
    pub traps: u64,
    /// What the guests used of the topmost monitor.
    pub counts: Counts,
    /// The first difference; the comparison ends with it.
    pub difference: Option<Box<Difference>>,
}

/// Runs `n` random programs bare and under a monitor, on the machine that theorem 1 is about.
pub fn equivalence(n: u64, seed: u64) -> Report {
    compare(&Trial::new(Variant::Virtualizable), n, seed)
}

/// Runs `n` random programs both ways, up to the first difference.
pub fn compare(trial: &Trial, n: u64, seed: u64) -> Report {
    let machine = |monitors: usize| Real::new(Isa::full(trial.variant), SIZE + 8 * monitors);
    match trial.depth {
        1 => Pair::new(trial, machine(1)).compare(n, seed),
        2 => Pair::new(trial, under(machine(2), trial)).compare(n, seed),
        _ => Pair::new(trial, under(under(machine(3), trial), trial)).compare(n, seed),
    }
}

/// A monitor with one guest, which has all memory but a few words.
fn under<H: Machine>(host: H, trial: &Trial) -> Monitor<H> {
    let size = host.memory().len() - 8;
    let mut monitor = Monitor::new(host, trial.discipline);
    // there is room: the monitor keeps less than eight words
    let _ = monitor.add(size);
    monitor
}

/// The bare machine and the virtual one.
struct Pair<'a, H> {
    trial: &'a Trial,
    bare: Real,
    monitor: Monitor<H>,
}

impl<'a, H: Machine> Pair<'a, H> {
    fn new(trial: &'a Trial, host: H) -> Pair<'a, H> {
        let mut monitor = under(host, trial);
        monitor.interpreters = trial.interpreters.clone();
        Pair { trial, bare: Real::new(Isa::full(trial.variant), SIZE), monitor }
    }

    /// Both in the start state of a program; its number of steps.
    fn start(&mut self, seed: u64, n: u64) -> u64 {
        let mut r = Random::new(seed, n);
        fill(&mut self.bare, &mut r);
        self.monitor.load(&self.bare.store.memory, &self.bare.processor);
        let (least, most) = self.trial.steps;
        least + r.below(most - least + 1)
    }

    fn compare(&mut self, n: u64, seed: u64) -> Report {
        let mut report = Report::default();
        for program in 0..n {
            let until = self.start(seed, program);
            let same = self.run(until, &mut report);
            report.programs += 1;
            report.steps += self.bare.processor.steps;
            let c = self.monitor.guest().counts;
            report.counts.direct += c.direct;
            report.counts.interpreted += c.interpreted;
            report.counts.reflected += c.reflected;
            report.counts.traps += c.traps;
            if !same {
                report.difference = self.locate(seed, program).map(Box::new);
                break;
            }
        }
        report
    }

    /// Runs both from trap to trap. Whether all states were the same.
    fn run(&mut self, until: u64, report: &mut Report) -> bool {
        loop {
            let event = self.bare.run(until);
            let same = self.monitor.run(until) == event && self.agree();
            let Event::Trap(cause) = event else { return same };
            if !same {
                return false;
            }
            report.traps += 1;
            self.bare.trap(cause);
            self.monitor.trap(cause);
        }
    }

    /// The machine's state is f of the bare one.
    fn agree(&self) -> bool {
        f(&self.bare, self.monitor.guest().region) == self.monitor.image()
    }

    /// Runs a program again, step by step, up to the instruction that makes the difference.
    fn locate(&mut self, seed: u64, program: u64) -> Option<Difference> {
        let end = self.start(seed, program);
        for until in 1..=end {
            let before = self.bare.clone();
            let events = (self.bare.run(until), self.monitor.run(until));
            if events.0 != events.1 || !self.agree() {
                let image = self.monitor.image();
                let isa = self.bare.isa();
                let after = crate::monitor::inverse(&image, isa);
                let found = Difference::new(&before, (&self.bare, events.0), (&after, events.1));
                return Some(Difference { program, seed, ..found });
            }
            if let Event::Trap(cause) = events.0 {
                self.bare.trap(cause);
                self.monitor.trap(cause);
            }
        }
        None
    }
}

/// The wrong interpreter that tests and lessons put in: it loads P and R, and forgets M.
pub fn without_mode(interpreters: &Interpreters) -> Interpreters {
    let mut broken = interpreters.clone();
    broken.set(Op::Lpsw, |v, a| {
        let loaded = crate::third::Psw::unpack(v.operand(a)?, v.format);
        v.processor.psw = crate::third::Psw { mode: v.processor.psw.mode, ..loaded };
        Ok(())
    });
    broken
}
