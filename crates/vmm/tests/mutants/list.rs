//! The list of mutants, from records of the tests and of the classifier's exploration.

use crate::mutant::Change;
use crate::place::Places;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A mutant; its names are those of `equivalent.tsv`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Mutant {
    pub(crate) routine: String,
    pub(crate) change: String,
    pub(crate) atom: String,
    /// The place's name.
    pub(crate) place: String,
}

impl Mutant {
    pub(crate) fn line(&self) -> String {
        format!("{}\t{}\t{}\t{}", self.routine, self.change, self.atom, self.place)
    }
}

/// What is to be done about a mutant: how the test machine is told, and which tests reach it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Plan {
    pub(crate) variable: String,
    pub(crate) tests: BTreeSet<String>,
}

/// What all tests have asked at a place.
#[derive(Default)]
struct Record {
    asked: BTreeSet<String>,
    /// Tests in which it was the last question before a fault, and those faults.
    faulted: BTreeSet<String>,
    faults: BTreeSet<String>,
    /// Faults that came behind later questions.
    later: BTreeSet<String>,
}

/// Reads the records of a directory: by `routine atom place`.
fn records(directory: &Path) -> BTreeMap<String, Record> {
    let mut all: BTreeMap<String, Record> = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let test = path.file_name().unwrap().to_str().unwrap().to_owned();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let record = all.entry(words[1..4].join(" ")).or_default();
            let what = words[4..].join(" ");
            match words[0] {
                "asked" => _ = record.asked.insert(test.clone()),
                "fault" => {
                    record.faulted.insert(test.clone());
                    record.faults.insert(what);
                }
                _ => _ = record.later.insert(what),
            }
        }
    }
    all
}

/// The mutants of what was recorded, and of what the classifier has asked besides (`explored.tsv`), which no
/// test does.
pub(crate) fn mutants(directory: &Path, explored: &str) -> BTreeMap<Mutant, Plan> {
    let mut places = Places::default();
    let mut all = BTreeMap::new();
    for (question, record) in records(directory) {
        let words: Vec<&str> = question.split(' ').collect();
        let place = places.name(words[2]).unwrap_or_else(|| "-".to_owned());
        for (name, tests) in changes(&record, place != "-") {
            let mutant = Mutant {
                routine: words[0].to_owned(),
                change: name.to_owned(),
                atom: words[1].to_owned(),
                place: place.clone(),
            };
            all.insert(mutant, Plan { variable: format!("{name} {question}"), tests: tests.clone() });
        }
    }
    for line in explored.lines().filter(|l| !l.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        for name in ["yes", "no", "not"] {
            let [routine, atom, place] = [0, 1, 2].map(|n| columns[n].to_owned());
            all.entry(Mutant { routine, change: name.to_owned(), atom, place }).or_default();
        }
    }
    all
}

/// The changes that mean something at a place, and the tests that may notice.
fn changes(record: &Record, asked: bool) -> Vec<(&'static str, &BTreeSet<String>)> {
    let coded = record.faults.iter().any(|f| !f.ends_with("none"));
    let other = record.later.iter().any(|l| record.faults.iter().any(|f| f != l));
    let meant = |change: Change| match change {
        Change::Yes | Change::No | Change::Not => asked,
        Change::Vector | Change::Code => !record.faults.is_empty(),
        Change::Bare => coded,
        Change::Last => asked && !record.faults.is_empty() && other,
    };
    let tests = |change| match change {
        Change::Yes | Change::No | Change::Not => &record.asked,
        _ => &record.faulted,
    };
    Change::ALL.iter().filter(|(_, c)| meant(*c)).map(|(name, c)| (*name, tests(*c))).collect()
}

/// Places, as `file:line`, where some test has a routine ask.
pub(crate) fn places(directory: &Path) -> BTreeSet<String> {
    let all = records(directory);
    let place = |question: &String| question.rsplit_once(' ').map(|(_, place)| place.to_owned());
    all.keys().filter_map(place).filter_map(|p| p.rsplit_once(':').map(|(line, _)| line.to_owned())).collect()
}
