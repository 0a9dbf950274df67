//! The interpreter and the JIT in lockstep, over as much of each guest as a run of all tests has
//! time for. `ringer-lockstep` goes on where this ends.
//!
//! `cargo xtask guests` fetches the guests; without, their trials are reported as ignored, aloud.

use cpu::Engine;
use libtest_mimic::{Arguments, Failed, Trial};
use testkit::lockstep::guests::{Chosen, Start};
use testkit::lockstep::{Failure, Lockstep, MakeEngine, Options, Party, maker};

/// Runs of a block before it is compiled: few, so that the start of a guest has compiled code.
const HOT: u32 = 8;
const MILLION: u64 = 1_000_000;

fn main() {
    let arguments = Arguments::from_args();
    let whole = 1_000 * MILLION;
    let mut trials = vec![
        prepared("embedded", whole, 1000),
        prepared("freedos", 20 * MILLION, 10_000),
        prepared("memtest", 20 * MILLION, 10_000),
        prepared("debian", 100 * MILLION, 10_000),
    ];
    trials.extend((0..4).map(|seed| {
        let chosen = Chosen { start: Start::Random(seed), memory: 0 };
        Trial::test(format!("random_bytes_{seed}"), move || check(&chosen, MILLION, 1000))
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

/// A guest by name, if it is here.
fn prepared(name: &'static str, instructions: u64, every: u64) -> Trial {
    match Chosen::by_name(name, None) {
        Ok(chosen) => Trial::test(name, move || check(&chosen, instructions, every)),
        Err(why) => {
            eprintln!("SKIPPED: {name}: {why}");
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

fn jit() -> MakeEngine {
    Box::new(|| match jit::Jit::new(HOT) {
        Ok(jit) => Ok(Box::new(jit) as Box<dyn Engine + Send>),
        Err(e) => Err(e.to_string()),
    })
}

/// Both do the same for so many instructions, or up to the same end.
fn check(chosen: &Chosen, instructions: u64, every: u64) -> Result<(), Failed> {
    let first = Party { name: "interpreter".to_owned(), engine: maker("interpreter")? };
    let second = Party { name: format!("JIT, hot after {HOT}"), engine: jit() };
    let options = Options { every, ..Options::default() };
    match Lockstep::new(chosen, first, second, options).run(instructions) {
        Ok(report) if report.retired > 0 && report.comparisons > 0 => Ok(()),
        Ok(report) => Err(format!("nothing was run: {report:?}").into()),
        Err(Failure::Cannot(why)) => Err(why.into()),
        Err(Failure::Diverged(found)) => Err(found.to_string().into()),
    }
}
