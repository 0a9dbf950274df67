//! Runs the tests that reach a mutant once for each mutant, in processes of their own.

use crate::list::{Mutant, Plan, mutants, places};
use crate::mutant::{MUTANT, RECORD};
use crate::sources::asking;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EQUIVALENT: &str = include_str!("equivalent.tsv");
const EXPLORED: &str = include_str!("explored.tsv");

/// The project asks for as many.
const LEAST: usize = 500;
/// A run of a few tests takes milliseconds; one that does not end is a mutant that was noticed.
const PATIENCE: Duration = Duration::from_secs(20);

/// This program with some of its tests.
fn tests() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env_remove(MUTANT).env_remove(RECORD).env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A directory that is gone in the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let path = std::env::temp_dir().join(format!("ringer-mutants-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the tests ask, written into a directory; they pass.
fn record(directory: &Path) {
    let mut command = tests();
    command.env(RECORD, directory).args(["--skip", "driver::", "--test-threads", "4"]);
    assert!(command.status().unwrap().success(), "the tests fail without any mutant");
}

/// Whether some test fails.
fn killed(plan: &Plan) -> bool {
    if plan.tests.is_empty() {
        return false;
    }
    let mut command = tests();
    command.env(MUTANT, &plan.variable).args(["--exact", "--test-threads", "1"]).args(&plan.tests);
    fails(command.spawn().unwrap())
}

fn fails(mut child: Child) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return !status.success();
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// The mutants that no test has noticed.
fn survivors(all: &BTreeMap<Mutant, Plan>) -> BTreeSet<&Mutant> {
    let (next, alive) = (AtomicUsize::new(0), Mutex::new(BTreeSet::new()));
    let list: Vec<_> = all.iter().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((mutant, plan)) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !killed(plan) {
                        alive.lock().unwrap().insert(*mutant);
                    }
                }
            });
        }
    });
    alive.into_inner().unwrap()
}

/// Those that nobody could notice, with the reason.
fn equivalent() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for line in EQUIVALENT.lines().filter(|l| !l.starts_with('#')) {
        let (mutant, argument) = line.rsplit_once('\t').expect("five columns");
        assert!(argument.len() > 20, "an argument is expected: {line}");
        assert!(all.insert(mutant.to_owned(), argument.to_owned()).is_none(), "twice: {line}");
    }
    all
}

#[test]
#[cfg_attr(
    not(target_arch = "x86_64"),
    ignore = "nothing here depends on the host, and emulated processes are slow"
)]
fn every_mutant_is_killed_or_equivalent() {
    let directory = Directory::new();
    record(&directory.0);
    let reached = places(&directory.0);
    let unasked: Vec<String> = asking().into_iter().filter(|place| !reached.contains(place)).collect();
    assert!(unasked.is_empty(), "no test gets to these questions: {unasked:#?}");
    let all = mutants(&directory.0, EXPLORED);
    let alive: BTreeSet<String> = survivors(&all).into_iter().map(Mutant::line).collect();
    let argued = equivalent();
    score(&all, &alive, &argued);
    let open: Vec<&String> = alive.iter().filter(|m| !argued.contains_key(*m)).collect();
    let idle: Vec<&String> = argued.keys().filter(|m| !alive.contains(*m)).collect();
    let lines = |all: &[&String]| all.iter().map(|m| format!("{m}\n")).collect::<String>();
    assert!(open.is_empty(), "{} mutants that no test notices:\n{}", open.len(), lines(&open));
    assert!(idle.is_empty(), "noticed, or none, and listed as equivalent:\n{}", lines(&idle));
    assert!(all.len() >= LEAST, "{} mutants", all.len());
}

fn score(all: &BTreeMap<Mutant, Plan>, alive: &BTreeSet<String>, argued: &BTreeMap<String, String>) {
    let mut kinds: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for mutant in all.keys() {
        let line = mutant.line();
        for kind in ["all", &mutant.change] {
            let n = kinds.entry(kind).or_default();
            n[0] += 1;
            n[1] += usize::from(!alive.contains(&line));
            n[2] += usize::from(argued.contains_key(&line));
        }
    }
    for (kind, [n, killed, argued]) in kinds {
        println!("routines, {kind}: {n} mutants, {killed} killed, {argued} argued equivalent");
    }
}
