//! What was said, counted, and held against the ledger.

use classify::Form;
use classify::ledger::{Disagreement, Voter, rulings, unexplained};
use classify::world::Posed;
use cpu::vector as v;
use libtest_mimic::Failed;
use std::collections::{BTreeMap, BTreeSet};
use testkit::kvm::{Kvm, Outcome, mode};

/// What was said in one mode.
#[derive(Default)]
struct Mode {
    agreed: usize,
    differed: usize,
    aside: usize,
    /// Completed with the same results.
    same: usize,
    silent: BTreeMap<&'static str, usize>,
    /// Sensitive forms by name, and whether an opinion of them was heard.
    sensitive: BTreeMap<String, bool>,
}

/// What was said.
#[derive(Default)]
pub(crate) struct Count {
    modes: BTreeMap<&'static str, Mode>,
    found: Vec<Disagreement>,
}

impl Count {
    /// Counts what KVM made of a state.
    pub(crate) fn weigh(&mut self, form: &Form, bits: &str, posed: &Posed, outcome: Outcome) {
        let expected = posed.run.trap.map_or(Outcome::Completes, Outcome::Traps);
        let place = mode(&posed.run.before);
        let counted = self.modes.entry(place).or_default();
        let heard = !matches!(outcome, Outcome::Silent(_));
        if form.routine.is_some() {
            let name = format!("{:?}/{}", form.code(), form.mode.bits());
            *counted.sensitive.entry(name).or_default() |= heard;
        }
        match outcome {
            _ if outcome == expected => counted.agreed += 1,
            Outcome::Silent(why) => *counted.silent.entry(why).or_default() += 1,
            // what the definitions set aside, of instructions that are innocuous
            Outcome::Traps(v::DE | v::BR | v::PF | v::AC | v::MF | v::XM) if form.routine.is_none() => {
                counted.aside += 1;
            }
            _ => {
                counted.differed += 1;
                self.disagree(form, bits, format!("{outcome} {place}"), expected.to_string());
            }
        }
    }

    /// Counts what an instruction left that was done.
    pub(crate) fn compare(
        &mut self,
        form: &Form,
        bits: &str,
        posed: &Posed,
        found: Option<Result<(), &str>>,
    ) {
        let place = mode(&posed.run.before);
        match found {
            None => {}
            Some(Ok(())) => self.modes.entry(place).or_default().same += 1,
            Some(Err(what)) => {
                self.disagree(form, bits, format!("leaves other {what} {place}"), String::new())
            }
        }
    }

    fn disagree(&mut self, form: &Form, bits: &str, says: String, specified: String) {
        let (code, mode) = (form.code(), form.mode.bits() as u8);
        let configuration = bits.to_owned();
        self.found.push(Disagreement { voter: Voter::Kvm, code, mode, configuration, says, specified });
    }

    /// How often it agreed in a mode.
    pub(crate) fn agreed(&self, place: &str) -> usize {
        self.modes.get(place).map_or(0, |m| m.agreed)
    }

    /// Says what was counted; an error if a disagreement has no ruling.
    pub(crate) fn settle(&self, what: &str, kvm: &Kvm) -> Result<(), Failed> {
        println!("{what}, says {}:", kvm.who());
        self.modes.iter().for_each(|(place, mode)| mode.tell(place));
        let rulings = rulings()?;
        for ruling in rulings.iter().filter(|r| r.voter == Voter::Kvm) {
            let settled = self.found.iter().filter(|d| ruling.settles(d)).count();
            // another kernel has other faults, and a processor has none of the emulator's
            println!("{settled} settled by: {} {}", ruling.forms.join(" "), ruling.says);
        }
        let (open, _) = unexplained(&self.found, &rulings, Voter::Kvm);
        let lines: BTreeSet<String> = open.iter().map(|d| line(d)).collect();
        let listing: Vec<String> = lines.into_iter().collect();
        if open.is_empty() { Ok(()) } else { Err(listing.join("\n").into()) }
    }
}

impl Mode {
    fn tell(&self, place: &str) {
        let (agreed, differed, aside) = (self.agreed, self.differed, self.aside);
        let silent: usize = self.silent.values().sum();
        println!(
            "{place}: {agreed} agreed, {differed} differed, {aside} set aside, {silent} without an opinion"
        );
        if self.same > 0 {
            println!("  {} left the same registers and memory", self.same);
        }
        self.silent.iter().for_each(|(why, n)| println!("  {n}: {why}"));
        let unheard: Vec<&str> =
            self.sensitive.iter().filter(|(_, heard)| !**heard).map(|(name, _)| name.as_str()).collect();
        let (of, not) = (self.sensitive.len(), unheard.len());
        println!("  {} of {of} sensitive forms were heard of; not of: {}", of - not, unheard.join(" "));
    }
}

fn line(d: &Disagreement) -> String {
    format!("{:?}/{} with {:?}: {}, not: {}", d.code, d.mode, d.configuration, d.says, d.specified)
}
