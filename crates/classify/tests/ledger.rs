//! The voters against the specification: zero disagreements without a ruling, and no ruling without one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use classify::catalogue::catalogue;
use classify::ledger::{
    Disagreement, Voter, derivation_against, iced_against, rulings, unexplained, unwitnessed,
};
use isa::Code;
use isa::spec::{Configuration, Specs};

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

/// A ruling on a voter that is not everywhere may be idle, but it is about forms that there are.
#[test]
fn rulings_name_forms_and_sources() {
    for ruling in rulings().unwrap() {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some(start) => Code::values().any(|c| format!("{c:?}").starts_with(start)),
            None => Code::values().any(|c| format!("{c:?}") == *pattern),
        };
        assert!(ruling.forms.iter().all(named), "{ruling:?}");
        assert!(ruling.reason.len() > 20 && !ruling.source.is_empty(), "{ruling:?}");
    }
}

/// Sensitive pairs without a witness, in the default configuration.
fn without_witness() -> Vec<(Code, u8)> {
    let specs = Specs::embedded();
    let mut all = Vec::new();
    for (name, mode) in [("ia32", 16), ("ia32", 32), ("x86-64", 64)] {
        let isa = specs.isa(name).unwrap();
        let entries = catalogue(&isa, &Configuration::default_of(&isa), mode, &|_| true);
        let bare = entries.iter().filter(|e| e.class.sensitive() && e.witnesses.is_empty());
        all.extend(bare.map(|e| (e.code, mode)));
    }
    all
}

/// Each sensitive pair has a witness, or one entry of the ledger says why it has none; the entries are no wider than that.
#[test]
fn every_sensitive_pair_has_a_witness_or_a_reason() {
    let entries = unwitnessed().unwrap();
    let mut counts = vec![0; entries.len()];
    let mut odd = Vec::new();
    for (code, mode) in without_witness() {
        let found: Vec<usize> = (0..entries.len()).filter(|n| entries[*n].has(code, mode)).collect();
        match found[..] {
            [one] => counts[one] += 1,
            _ => odd.push((code, mode, found.len())),
        }
    }
    assert!(odd.is_empty(), "in no entry, or in several: {odd:?}");
    let expected: Vec<usize> = entries.iter().map(|e| e.pairs).collect();
    assert_eq!(counts, expected, "pairs by entry");
    assert!(entries.iter().all(|e| e.reason.len() > 20 && !e.source.is_empty() && e.pairs > 0));
}
