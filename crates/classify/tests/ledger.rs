//! The voters against the specification: zero disagreements without a ruling, and no ruling without one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use classify::ledger::{Disagreement, Voter, derivation_against, iced_against, rulings, unexplained};
use isa::spec::Specs;

fn settled(found: &[Disagreement], voter: Voter) {
    let rulings = rulings().unwrap();
    let (open, idle) = unexplained(found, &rulings, voter);
    let line = |d: &&Disagreement| {
        format!(
            "{:?}/{} with {:?}: says {:?}, specified {:?}\n",
            d.code, d.mode, d.configuration, d.says, d.specified
        )
    };
    assert!(
        open.is_empty(),
        "{} disagreements without a ruling:\n{}",
        open.len(),
        open.iter().map(line).collect::<String>()
    );
    assert!(idle.is_empty(), "rulings that settle nothing: {idle:?}");
}

#[test]
fn the_derivation() {
    settled(&derivation_against(&Specs::embedded().isa("ia32").unwrap()), Voter::Derivation);
}

#[test]
fn iced() {
    let specs = Specs::embedded();
    let found = ["ia32", "x86-64"].map(|isa| iced_against(&specs.isa(isa).unwrap()));
    settled(&found.concat(), Voter::Iced);
}
