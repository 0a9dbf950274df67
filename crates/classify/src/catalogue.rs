//! Every form of the decoder in every mode, with its class: derived where Ringer executes it, else as specified.

use crate::config::Configuration;
use crate::derive::{Class, Derivation, applies, derive, in_parallel};
use crate::forms::{self, CodeMode};
use crate::witness::Witness;
use cpu::CpuModel;
use isa::Code;
use isa::spec::{self, Isa, Kind};
use std::collections::BTreeMap;

/// What a class rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Basis {
    /// On runs of the monitor's interpreters, or the words of the body.
    Derived,
    /// On the specification alone: Ringer does not execute the form, or the model lacks what it is about.
    Specified,
}

impl Basis {
    /// As reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Basis::Derived => "derived",
            Basis::Specified => "specified",
        }
    }
}

/// A form in a mode.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The form.
    pub code: Code,
    /// 16, 32 or 64.
    pub mode: u8,
    /// Its class.
    pub class: Class,
    /// What that rests on.
    pub basis: Basis,
    /// What the specification says of it.
    pub form: &'a spec::Form,
    /// Its case in the configuration.
    pub case: &'a spec::Case,
    /// A witness of each kind of sensitivity that was derived.
    pub witnesses: Vec<Witness>,
}

impl Entry<'_> {
    /// `privileged`, `sensitive` (and not privileged), or `innocuous`.
    pub fn word(&self) -> &'static str {
        word(self.class)
    }
}

/// As [`Entry::word`], of a class.
pub fn word(class: Class) -> &'static str {
    match (class.privileged, class.sensitive()) {
        (true, _) => "privileged",
        (false, true) => "sensitive",
        (false, false) => "innocuous",
    }
}

/// The class that a case of a specification gives.
pub fn specified(case: &spec::Case) -> Class {
    let has = |kind| case.sensitive.contains(&kind);
    Class {
        privileged: case.privileged,
        control: has(Kind::Control),
        location: has(Kind::Location),
        mode: has(Kind::Mode),
        user: case.user_sensitive,
    }
}

/// The bits of a specification's configuration that the model has.
pub fn modelled(configuration: &spec::Configuration) -> Configuration {
    let set = Configuration::ALL.iter().filter(|(name, _)| configuration.has(name));
    set.fold(Configuration::NONE, |all, (_, bit)| all.with(*bit))
}

/// What was derived of a form, over its instructions: privileged if all of them are, sensitive in a way if one is.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The class.
    pub class: Class,
    /// Witnesses, one of each kind.
    pub witnesses: Vec<Witness>,
}

/// Joins what was derived of the instructions of one form.
pub fn join<'a>(derivations: impl Iterator<Item = &'a Derivation>) -> Joined {
    let mut all = Joined { class: Class { privileged: true, ..Class::default() }, witnesses: Vec::new() };
    for d in derivations {
        all.class.privileged &= d.class.privileged;
        all.class.control |= d.class.control;
        all.class.location |= d.class.location;
        all.class.mode |= d.class.mode;
        all.class.user |= d.class.user;
        for w in &d.witnesses {
            if all.witnesses.iter().all(|old| old.claim != w.claim) {
                all.witnesses.push(w.clone());
            }
        }
    }
    all
}

/// Those of [`without_wait`].
const WITH_WAIT: [Code; 4] =
    [Code::Fstenv_m14byte, Code::Fstenv_m28byte, Code::Fsave_m94byte, Code::Fsave_m108byte];

/// FSTENV and FSAVE are an assembler's names for WAIT and another instruction (SDM vol. 2A, FSTENV/FNSTENV), and no form
/// of their own: WAIT does nothing but trap, so that the other's class is theirs.
fn without_wait(code: Code) -> Option<Code> {
    Some(match code {
        Code::Fstenv_m14byte => Code::Fnstenv_m14byte,
        Code::Fstenv_m28byte => Code::Fnstenv_m28byte,
        Code::Fsave_m94byte => Code::Fnsave_m94byte,
        Code::Fsave_m108byte => Code::Fnsave_m108byte,
        _ => return None,
    })
}

/// Derives the wanted forms of those that Ringer executes in a mode and a configuration.
pub fn derive_all(
    mode: CodeMode,
    configuration: Configuration,
    wanted: &dyn Fn(Code) -> bool,
) -> BTreeMap<Code, Joined> {
    if !applies(mode, configuration) {
        return BTreeMap::new();
    }
    let mut forms = forms::all(mode, CpuModel::Newest);
    forms.retain(|f| wanted(f.code()));
    let derived = in_parallel(&forms, |f| derive(f, configuration));
    let mut by_code: BTreeMap<Code, Vec<Derivation>> = BTreeMap::new();
    for (form, derivation) in forms.iter().zip(derived) {
        by_code.entry(form.code()).or_default().push(derivation);
    }
    by_code.into_iter().map(|(code, all)| (code, join(all.iter()))).collect()
}

/// Forms that Ringer answers with #UD in every mode, though the manual gives them a meaning: no model has them.
pub fn beyond_the_model(code: Code) -> bool {
    use isa::Mnemonic as M;
    matches!(code.mnemonic(), M::Monitor | M::Mwait | M::Rsm | M::Syscall | M::Sysret)
}

fn code_mode(mode: u8) -> Option<CodeMode> {
    CodeMode::ALL.into_iter().find(|m| m.bits() == u32::from(mode))
}

/// The wanted forms of those that the specification covers in a mode, in the decoder's order.
pub fn catalogue<'a>(
    isa: &'a Isa,
    configuration: &spec::Configuration,
    mode: u8,
    wanted: &dyn Fn(Code) -> bool,
) -> Vec<Entry<'a>> {
    let asked_for = |code: Code| {
        wanted(code) || WITH_WAIT.into_iter().any(|c| without_wait(c) == Some(code) && wanted(c))
    };
    let derived =
        code_mode(mode).map(|m| derive_all(m, modelled(configuration), &asked_for)).unwrap_or_default();
    let mut entries = Vec::new();
    for form in &isa.forms {
        let case = form.case(configuration);
        let codes = form.pairs.iter().filter(|(code, m)| *m == mode && wanted(*code)).map(|(code, _)| *code);
        entries.extend(codes.map(|code| entry(code, mode, form, case, &derived)));
    }
    entries.sort_by_key(|e| e.code as usize);
    entries
}

fn entry<'a>(
    code: Code,
    mode: u8,
    form: &'a spec::Form,
    case: &'a spec::Case,
    derived: &BTreeMap<Code, Joined>,
) -> Entry<'a> {
    let found = derived.get(&without_wait(code).unwrap_or(code)).filter(|_| !beyond_the_model(code));
    let (class, basis) = found.map_or((specified(case), Basis::Specified), |d| (d.class, Basis::Derived));
    let witnesses = found.map(|d| d.witnesses.clone()).unwrap_or_default();
    Entry { code, mode, class, basis, form, case, witnesses }
}
