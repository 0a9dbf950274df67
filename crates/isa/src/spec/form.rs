//! What a specification says of an instruction.

use super::config::Configuration;
use super::cover::Pair;
use super::expr::Expr;

/// A kind of sensitivity (Popek and Goldberg 1974, section 3; `isa-specs/README.md` says how
/// they are read for machines with more state than the paper's).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Kind {
    /// Changes the resources or the mode without a trap.
    Control,
    /// Behaves differently where the resources lie elsewhere.
    Location,
    /// Behaves differently in the other mode.
    Mode,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Control, Kind::Location, Kind::Mode];

    /// As the files write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Control => "control",
            Kind::Location => "location",
            Kind::Mode => "mode",
        }
    }
}

/// What an instruction is under a condition.
#[derive(Clone, PartialEq, Debug)]
pub struct Case {
    /// The condition; a form's last case has none.
    pub when: Option<Expr>,
    /// In all states user mode traps and supervisor mode does not.
    pub privileged: bool,
    /// In which ways it is sensitive; in none: innocuous.
    pub sensitive: Vec<Kind>,
    /// Control sensitive from user mode, or location sensitive with both modes user.
    pub user_sensitive: bool,
    /// What user mode gets instead, where it gets a trap.
    pub trap: Option<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// The manual's section.
    pub source: String,
    /// The manual was read for this; else it is from memory or from another's account.
    pub checked: bool,
}

/// An instruction, or the forms of it that behave alike.
#[derive(Clone, PartialEq, Debug)]
pub struct Form {
    /// The manual's name.
    pub name: String,
    /// x86: the decoder's forms and the modes in which it has them.
    pub pairs: Vec<Pair>,
    /// What it takes, where the file says it.
    pub operands: Option<String>,
    /// State that it reads, where the file says it.
    pub reads: Option<String>,
    /// State that it writes, where the file says it.
    pub writes: Option<String>,
    /// The first whose condition holds is the one; the last has none.
    pub cases: Vec<Case>,
    /// It is a rule for many innocuous instructions and no row of its own.
    pub rule: bool,
    /// `ia32/flags.toml:12`
    pub place: String,
}

impl Form {
    /// The case of a configuration.
    pub fn case(&self, configuration: &Configuration) -> &Case {
        let holds = |c: &&Case| c.when.as_ref().is_none_or(|e| e.eval(&|bit| configuration.has(bit)));
        // the loader sees to it that the last case has no condition
        self.cases.iter().find(holds).unwrap_or(&self.cases[self.cases.len() - 1])
    }
}

/// An instruction at which the hardware leaves the guest (VT-x).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exit {
    /// The manual's name.
    pub name: String,
    /// The control that asks for the exit; none: it always happens.
    pub control: Option<String>,
    /// What the exit is for, in a sentence.
    pub reason: String,
    /// The manual's section.
    pub source: String,
}
