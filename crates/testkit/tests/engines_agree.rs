//! The interpreter and the JIT in lockstep, over as much of each guest as a run of all tests has
//! time for. `ringer-lockstep` goes on where this ends.
//!
//! `cargo xtask guests` fetches the guests; without, their trials are reported as ignored, aloud.

use cpu::Engine;
use jit::{Config, Jit, Lookup};
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
        prepared("embedded", Lookup::Flat, whole, 1000),
        prepared("freedos", Lookup::Flat, 20 * MILLION, 10_000),
        prepared("memtest", Lookup::Flat, 20 * MILLION, 10_000),
        prepared("debian", Lookup::Flat, 100 * MILLION, 10_000),
        prepared("freedos", Lookup::Tagged, 20 * MILLION, 10_000),
        prepared("debian", Lookup::Tagged, 50 * MILLION, 10_000),
    ];
    let seeds = (0..4).map(|seed| (seed, Lookup::Flat)).chain([(3, Lookup::Tagged)]);
    trials.extend(seeds.map(|(seed, lookup)| {
        let chosen = Chosen { start: Start::Random(seed), memory: 0 };
        let name = named(&format!("random_bytes_{seed}"), lookup);
        Trial::test(name, move || check(&chosen, lookup, MILLION, 1000))
    }));
    libtest_mimic::run(&arguments, trials).exit();
}

fn named(guest: &str, lookup: Lookup) -> String {
    if lookup == Lookup::Tagged { format!("{guest}_by_tagged_tables") } else { guest.to_owned() }
}

/// A guest by name, if it is here.
fn prepared(guest: &str, lookup: Lookup, instructions: u64, every: u64) -> Trial {
    let name = named(guest, lookup);
    match Chosen::by_name(guest, None) {
        Ok(chosen) => Trial::test(name, move || check(&chosen, lookup, instructions, every)),
        Err(why) => {
            eprintln!("SKIPPED: {name}: {why}");
            Trial::test(name, || Ok(())).with_ignored_flag(true)
        }
    }
}

fn jit(lookup: Lookup) -> MakeEngine {
    Box::new(move || match Jit::with(Config { hot: HOT, lookup, ..Config::default() }) {
        Ok(jit) => Ok(Box::new(jit) as Box<dyn Engine + Send>),
        Err(e) => Err(e.to_string()),
    })
}

/// Both do the same for so many instructions, or up to the same end.
fn check(chosen: &Chosen, lookup: Lookup, instructions: u64, every: u64) -> Result<(), Failed> {
    let first = Party { name: "interpreter".to_owned(), engine: maker("interpreter")? };
    let second = Party { name: format!("JIT, hot after {HOT}, {lookup:?}"), engine: jit(lookup) };
    let options = Options { every, ..Options::default() };
    match Lockstep::new(chosen, first, second, options).run(instructions) {
        Ok(report) if report.retired > 0 && report.comparisons > 0 => Ok(()),
        Ok(report) => Err(format!("nothing was run: {report:?}").into()),
        Err(Failure::Cannot(why)) => Err(why.into()),
        Err(Failure::Diverged(found)) => Err(found.to_string().into()),
    }
}
