//! Mutants of the specification of IA-32: each is refused by the loader, by the derivation, or by the tests of `isa`.

use crate::edits::{Edit, edits};
use classify::catalogue::beyond_the_model;
use classify::derive::in_parallel;
use classify::ledger::{Derived, Ruling, Voter, rulings, unexplained};
use isa::spec::{Isa, Specs};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const EQUIVALENT: &str = include_str!("equivalent.tsv");
const FOLDER: &str = "ia32";

fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs").join(folder)
}

/// A mutant of a file.
struct Mutant {
    file: String,
    edit: Edit,
}

impl Mutant {
    /// As `equivalent.tsv` names it.
    fn line(&self) -> String {
        format!("{}\t{}\t{}\t{}", self.file, self.edit.form, self.edit.case, self.edit.change)
    }

    fn load(&self) -> Option<Isa> {
        let mut specs = Specs::embedded();
        specs.add(FOLDER, &self.file, &self.edit.text);
        specs.isa(FOLDER).ok()
    }

    fn place(&self) -> String {
        format!("{FOLDER}/{}:{}", self.file, self.edit.line)
    }
}

/// How a mutant was noticed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum By {
    Loader,
    Derivation,
    Tests,
}

/// The mutants of forms that Ringer executes.
fn mutants(derived: &Derived, isa: &Isa) -> Vec<Mutant> {
    let mut all = Vec::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(source(FOLDER)).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for path in files.iter().filter(|p| p.extension().is_some_and(|e| e == "toml")) {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if file == "isa.toml" {
            continue;
        }
        for edit in edits(&std::fs::read_to_string(path).unwrap()) {
            let mutant = Mutant { file: file.clone(), edit };
            // one of 64-bit code alone is not there
            let Some(form) = isa.forms.iter().find(|f| f.place == mutant.place()) else { continue };
            if form.pairs.iter().any(|(code, _)| derived.has(*code) && !beyond_the_model(*code)) {
                all.push(mutant);
            }
        }
    }
    all
}

fn noticed(mutant: &Mutant, derived: &Derived, rulings: &[Ruling]) -> Option<By> {
    let Some(mut isa) = mutant.load() else { return Some(By::Loader) };
    isa.forms.retain(|f| f.place == mutant.place());
    let found = derived.against(&isa);
    let (open, _) = unexplained(&found, rulings, Voter::Derivation);
    if !open.is_empty() {
        return Some(By::Derivation);
    }
    fails_the_tests(mutant).then_some(By::Tests)
}

/// The tests of `isa`, which are part of this program, on a directory with the mutant.
fn fails_the_tests(mutant: &Mutant) -> bool {
    let name = mutant.line().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let directory = std::env::temp_dir().join(format!("ringer-specs-{}-{name}", std::process::id()));
    for folder in [FOLDER, "ia32-pentium", "x86-64"] {
        std::fs::create_dir_all(directory.join(folder)).unwrap();
        for entry in std::fs::read_dir(source(folder)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, directory.join(folder).join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::write(directory.join(FOLDER).join(&mutant.file), &mutant.edit.text).unwrap();
    // those that find most, then all
    let failed = [&["what_no_model_shows", "every_violation_has_its_group"][..], &["spec_x86::"]]
        .into_iter()
        .any(|names| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command
                .env("RINGER_SPECS", &directory)
                .env("RUST_BACKTRACE", "0")
                .args(names)
                .args(["--test-threads", "1"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            !command.status().unwrap().success()
        });
    std::fs::remove_dir_all(&directory).unwrap();
    failed
}

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
    let derived = Derived::everywhere();
    let isa = Specs::embedded().isa(FOLDER).unwrap();
    let rulings = rulings().unwrap();
    let found = derived.against(&isa);
    assert!(unexplained(&found, &rulings, Voter::Derivation).0.is_empty(), "it differs without any mutant");
    let all = mutants(&derived, &isa);
    let results = in_parallel(&all, |m| noticed(m, &derived, &rulings));
    let argued = equivalent();
    let alive: BTreeSet<String> =
        all.iter().zip(&results).filter(|(_, by)| by.is_none()).map(|(m, _)| m.line()).collect();
    score(&all, &results);
    let open: Vec<&String> = alive.iter().filter(|m| !argued.contains_key(*m)).collect();
    let idle: Vec<&String> = argued.keys().filter(|m| !alive.contains(*m)).collect();
    let lines = |all: &[&String]| all.iter().map(|m| format!("{m}\n")).collect::<String>();
    assert!(open.is_empty(), "{} mutants that nothing notices:\n{}", open.len(), lines(&open));
    assert!(idle.is_empty(), "noticed, or none, and listed as equivalent:\n{}", lines(&idle));
    assert!(all.len() >= 500, "{} mutants", all.len());
}

/// What a change is about.
fn kind(change: &str) -> &str {
    match change {
        c if c.contains(": ") => "conditions",
        c if c.starts_with("with") => "kinds",
        c if c.ends_with("the next") => "order",
        c => c,
    }
}

fn score(all: &[Mutant], results: &[Option<By>]) {
    let mut kinds: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    for (mutant, by) in all.iter().zip(results) {
        for kind in ["all", kind(&mutant.edit.change)] {
            let n = kinds.entry(kind).or_default();
            n[0] += 1;
            n[match by {
                Some(By::Derivation) => 1,
                Some(By::Loader) => 2,
                Some(By::Tests) => 3,
                None => 4,
            }] += 1;
        }
    }
    for (kind, [n, derivation, loader, tests, alive]) in kinds {
        let killed = derivation + loader + tests;
        println!(
            "specifications, {kind}: {n} mutants, {killed} killed ({derivation} by the derivation, {loader} by the loader, \
             {tests} by tests of isa), {alive} argued equivalent"
        );
    }
}
