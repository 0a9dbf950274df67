//! The theorems of Popek and Goldberg as questions to a specification.

use super::config::Configuration;
use super::cover::Pair;
use super::form::{Case, Form, Kind};
use super::load::Isa;

/// Which theorem's condition is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Theorem {
    /// Theorem 1: the sensitive instructions are among the privileged ones.
    Virtualizable,
    /// Theorem 2: so they are, and a monitor without timing dependencies can be built.
    Recursive,
    /// Theorem 3: the user sensitive instructions are among the privileged ones.
    Hybrid,
}

impl Theorem {
    /// Every theorem, in the paper's order.
    pub const ALL: [Theorem; 3] = [Theorem::Virtualizable, Theorem::Recursive, Theorem::Hybrid];

    /// 1, 2 or 3.
    pub fn number(self) -> u8 {
        match self {
            Theorem::Virtualizable => 1,
            Theorem::Recursive => 2,
            Theorem::Hybrid => 3,
        }
    }

    /// The theorem of that number.
    pub fn from_number(n: u8) -> Option<Theorem> {
        Theorem::ALL.into_iter().find(|t| t.number() == n)
    }

    fn broken_by(self, case: &Case) -> bool {
        let asked = match self {
            Theorem::Virtualizable | Theorem::Recursive => !case.sensitive.is_empty(),
            Theorem::Hybrid => case.user_sensitive,
        };
        asked && !case.privileged
    }
}

/// Whether a theorem's condition holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holds {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The model of the paper is not this machine's, for a reason.
    NotApplicable(String),
}

/// An instruction that breaks the condition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The manual's name.
    pub name: String,
    /// x86: the decoder's forms and their modes.
    pub pairs: Vec<Pair>,
    /// In which ways it is sensitive.
    pub kinds: Vec<Kind>,
    /// It is user sensitive.
    pub user_sensitive: bool,
    /// Why.
    pub reason: String,
    /// The manual's section.
    pub source: String,
    /// The manual was read for this.
    pub checked: bool,
}

/// An instruction that has to trap in user mode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repair {
    /// The manual's name.
    pub name: String,
    /// Configuration bits of which a change of each alone settles it: `UMIP`, `!PCE`.
    pub bits: Vec<String>,
}

/// The answer to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The ISA's name.
    pub isa: String,
    /// Which theorem.
    pub theorem: Theorem,
    /// Between which levels: `EL1/EL0`.
    pub levels: String,
    /// The configuration bits that are set.
    pub configuration: Vec<String>,
    /// Whether the condition holds.
    pub holds: Holds,
    /// The instructions that break it, in the order of the files.
    pub violations: Vec<Violation>,
    /// What the theorem asks for besides and is not the case (theorem 2).
    pub unmet: Option<String>,
    /// The smallest set of instructions which, made to trap in user mode, would make the condition
    /// hold. It is the set of those that break it: the condition is an inclusion and looks at each instruction by
    /// itself, so every one that breaks it has to change, and none else.
    pub repair: Vec<Repair>,
}

/// Asks whether a theorem's condition holds under a configuration.
pub fn prove(isa: &Isa, configuration: &Configuration, theorem: Theorem) -> Verdict {
    let broken: Vec<&Form> = isa.forms.iter().filter(|f| theorem.broken_by(f.case(configuration))).collect();
    let unmet = (theorem == Theorem::Recursive && !isa.recursion.holds).then(|| isa.recursion.reason.clone());
    let holds = if !isa.applies.holds {
        Holds::NotApplicable(isa.applies.reason.clone())
    } else if broken.is_empty() && unmet.is_none() {
        Holds::Yes
    } else {
        Holds::No
    };
    Verdict {
        isa: isa.name.clone(),
        theorem,
        levels: levels(isa, configuration),
        configuration: configuration.names().map(str::to_owned).collect(),
        holds,
        violations: broken.iter().map(|f| violation(f, configuration)).collect(),
        unmet,
        repair: broken.iter().map(|f| repair(isa, f, configuration, theorem)).collect(),
    }
}

/// The question for each pair of levels of an ISA.
pub fn prove_levels(isa: &Isa, configuration: &Configuration, theorem: Theorem) -> Vec<Verdict> {
    let others = isa.levels.iter().flat_map(|l| &l.with);
    let plain = others.fold(configuration.clone(), |c, bit| c.with(bit, false));
    let of = |l: &super::Levels| l.with.iter().fold(plain.clone(), |c, bit| c.with(bit, true));
    isa.levels.iter().map(|l| prove(isa, &of(l), theorem)).collect()
}

/// The pair that a configuration selects: of those whose bits are set, the one with most bits.
fn levels(isa: &Isa, configuration: &Configuration) -> String {
    let selected = isa.levels.iter().filter(|l| l.with.iter().all(|b| configuration.has(b)));
    // of equals the first: max_by_key would give the last
    let best = selected.rev().max_by_key(|l| l.with.len());
    best.map(|l| l.name.clone()).unwrap_or_default()
}

fn violation(form: &Form, configuration: &Configuration) -> Violation {
    let case = form.case(configuration);
    Violation {
        name: form.name.clone(),
        pairs: form.pairs.clone(),
        kinds: case.sensitive.clone(),
        user_sensitive: case.user_sensitive,
        reason: case.reason.clone(),
        source: case.source.clone(),
        checked: case.checked,
    }
}

fn repair(isa: &Isa, form: &Form, configuration: &Configuration, theorem: Theorem) -> Repair {
    let selects_levels = |bit: &str| isa.levels.iter().any(|l| l.with.iter().any(|w| w == bit));
    let mut bits = Vec::new();
    for bit in isa.bits.iter().filter(|b| !selects_levels(&b.name)) {
        let set = configuration.has(&bit.name);
        if !theorem.broken_by(form.case(&configuration.with(&bit.name, !set))) {
            bits.push(format!("{}{}", if set { "!" } else { "" }, bit.name));
        }
    }
    Repair { name: form.name.clone(), bits }
}
