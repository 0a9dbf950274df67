//! Every question of every routine, as the exploration of the model meets it.

use crate::place::Places;
use classify::derive::{applies, in_parallel, starts};
use classify::explore::explore;
use classify::world::{Run, World};
use classify::{CodeMode, Configuration, Form, forms};
use cpu::CpuModel;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::Location;
use vmm::Atom;

const LIST: &str = include_str!("../../../vmm/tests/mutants/explored.tsv");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmm/tests/mutants/explored.tsv");
const UPDATE: &str = "RINGER_UPDATE";
const HEAD: &str = "# questions that the classifier asks: routine, atom, place";

type Asked = HashSet<(&'static str, Atom, &'static Location<'static>)>;

/// The questions of a form, in every configuration that makes a difference, those with real mode among them.
fn questions(form: &Form, name: &'static str) -> Asked {
    let mut asked = Asked::default();
    let mut waiting: Vec<Configuration> = starts(form.mode).collect();
    let mut seen: BTreeSet<Configuration> = waiting.iter().copied().collect();
    while let Some(configuration) = waiting.pop() {
        let mut world = World::new(form, configuration);
        let found = explore(&mut world, |_, _, runs| runs.iter().for_each(|r| add(&mut asked, name, r)));
        for (_, bit) in Configuration::ALL.iter().filter(|(_, bit)| found.asked().has(*bit)) {
            let next = configuration.toggled(*bit);
            if applies(form.mode, next) && seen.insert(next) {
                waiting.push(next);
            }
        }
    }
    asked
}

/// As the test machine of `vmm` names them: what an instruction asks once it delivers a fault is no longer its own.
fn add(asked: &mut Asked, name: &'static str, run: &Run) {
    let own = u32::from(matches!(name, "Int" | "Int1" | "Int3" | "Into"));
    let mut deliveries = 0;
    for ((atom, _), place) in run.path.iter().zip(&run.places) {
        let delivers = *atom == Atom::ProtectionEnabled && place.file().ends_with("/interrupt.rs");
        deliveries += u32::from(delivers);
        asked.insert((if deliveries > own { "Deliver" } else { name }, *atom, place));
    }
}

/// Every form that has a routine.
fn chosen() -> Vec<(Form, &'static str)> {
    let mut names: BTreeMap<String, &'static str> = BTreeMap::new();
    let mut all = Vec::new();
    for mode in CodeMode::ALL {
        for form in forms::all(mode, CpuModel::Newest) {
            let Some(routine) = form.routine else { continue };
            let name = format!("{routine:?}");
            let name = *names.entry(name.clone()).or_insert_with(|| name.leak());
            all.push((form, name));
        }
    }
    all
}

#[test]
fn the_list_of_questions_is_complete() {
    let forms = chosen();
    let asked: Asked =
        in_parallel(&forms, |(form, name)| questions(form, name)).into_iter().flatten().collect();
    let mut places = Places::default();
    let mut lines: Vec<String> = asked
        .into_iter()
        .map(|(name, atom, place)| format!("{name}\t{atom:?}\t{}", places.name(&place.to_string()).unwrap()))
        .collect();
    lines.sort();
    lines.dedup();
    let text = format!("{HEAD}\n{}\n", lines.join("\n"));
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(FILE, text).unwrap();
        return;
    }
    let (now, listed): (BTreeSet<&str>, BTreeSet<&str>) = (text.lines().collect(), LIST.lines().collect());
    let differ: Vec<_> = now.symmetric_difference(&listed).collect();
    assert!(differ.is_empty(), "with {UPDATE}=1 this test writes the list anew; it differs in {differ:#?}");
}
