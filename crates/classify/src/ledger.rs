//! The ledger: where voters disagree about a form, what each says, and who is right by the manual.

use crate::catalogue::{beyond_the_model, join, modelled, specified};
use crate::derive::{Class, in_parallel, lattice, starts};
use crate::forms::{self, CodeMode};
use crate::{Configuration, Derivation};
use cpu::CpuModel;
use isa::Code;
use isa::spec::{self, Isa};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Somebody who classifies instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Voter {
    /// The derivation from Ringer's own semantics.
    Derivation,
    /// iced-x86's `is_privileged`.
    Iced,
    /// The host CPU at CPL 3.
    Host,
    /// QEMU's TCG.
    Qemu,
    /// Bochs.
    Bochs,
    /// Intel's XED.
    Xed,
    /// KVM: the processor by it, or its instruction emulator.
    Kvm,
}

/// A voter does not say what the specification says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// Who.
    pub voter: Voter,
    /// Of which form.
    pub code: Code,
    /// In code of 16, 32 or 64 bits.
    pub mode: u8,
    /// The configuration's bits that are set.
    pub configuration: String,
    /// What the voter says.
    pub says: String,
    /// What the specification says.
    pub specified: String,
}

/// A disagreement that was looked into.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// Who disagrees.
    pub voter: Voter,
    /// About which forms: names of `Code`, one with `*` at its end is a prefix.
    pub forms: Vec<String>,
    /// What the voter says; with `*` at its end, how that begins.
    pub says: String,
    /// Who is right: the specification, or the voter.
    pub right: Right,
    /// Why, in a sentence.
    pub reason: String,
    /// The manual's section, or where the voter's error is known from.
    pub source: String,
}

/// Who is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// What the rows say.
    Specification,
    /// Neither: they speak of different things.
    Both,
}

/// Sensitive pairs without a witness, and why they have none.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unwitnessed {
    /// In code of these sizes.
    pub modes: Vec<u8>,
    /// Which forms, as in [`Ruling::forms`].
    pub forms: Vec<String>,
    /// How many pairs these are.
    pub pairs: usize,
    /// Why, in a sentence.
    pub reason: String,
    /// What says so.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    entry: Vec<Ruling>,
    unwitnessed: Vec<Unwitnessed>,
}

/// The file's text.
const TEXT: &str = include_str!("../../../isa-specs/ledger.toml");

/// The rulings that are written down.
///
/// # Errors
/// What is wrong with the file.
pub fn rulings() -> Result<Vec<Ruling>, toml::de::Error> {
    Ok(toml::from_str::<File>(TEXT)?.entry)
}

/// The pairs that have no witness, as they are written down.
///
/// # Errors
/// What is wrong with the file.
pub fn unwitnessed() -> Result<Vec<Unwitnessed>, toml::de::Error> {
    Ok(toml::from_str::<File>(TEXT)?.unwitnessed)
}

fn names(patterns: &[String], code: Code) -> bool {
    let name = format!("{code:?}");
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => *pattern == name,
    })
}

impl Unwitnessed {
    /// It is about this pair.
    pub fn has(&self, code: Code, mode: u8) -> bool {
        self.modes.contains(&mode) && names(&self.forms, code)
    }
}

impl Ruling {
    /// It is about this.
    pub fn settles(&self, d: &Disagreement) -> bool {
        let says = match self.says.strip_suffix('*') {
            Some(start) => d.says.starts_with(start),
            None => d.says == self.says,
        };
        self.voter == d.voter && says && names(&self.forms, d.code)
    }
}

/// Where the derivation differs from the specification, in every configuration that makes a difference to a form.
pub fn derivation_against(isa: &Isa) -> Vec<Disagreement> {
    Derived::everywhere().against(isa)
}

/// Classes by form and configuration, in code of 16 and of 32 bits.
pub struct Derived([ByForm; 2]);

/// Classes, and the vector that user mode gets where that is one.
type ByForm = BTreeMap<(Code, Configuration), (Class, Option<u8>)>;

impl Derived {
    /// Derives every form that Ringer executes, in every configuration that makes a difference to it.
    pub fn everywhere() -> Derived {
        Derived(CodeMode::ALL.map(derived_everywhere))
    }

    /// Something was derived of this form.
    pub fn has(&self, code: Code) -> bool {
        self.0.iter().flat_map(BTreeMap::keys).any(|(derived, _)| *derived == code)
    }

    /// Where it differs from a specification.
    pub fn against(&self, isa: &Isa) -> Vec<Disagreement> {
        let rows = rows(isa);
        CodeMode::ALL
            .into_iter()
            .zip(&self.0)
            .flat_map(|(mode, all)| differences(mode, all, &rows, isa))
            .collect()
    }
}

fn differences(
    mode: CodeMode,
    derived: &ByForm,
    rows: &BTreeMap<spec::Pair, &spec::Form>,
    isa: &Isa,
) -> Vec<Disagreement> {
    let mut all = Vec::new();
    for ((code, configuration), (class, trap)) in derived {
        let (code, configuration, class) = (*code, *configuration, *class);
        let pair = (code, mode.bits() as u8);
        let Some(form) = rows.get(&pair) else { continue };
        let Ok(bits) = spec::Configuration::parse(isa, &configuration.names()) else { continue };
        debug_assert_eq!(modelled(&bits), configuration);
        let case = form.case(&bits);
        let specified = specified(case);
        let (mut says, mut said) = (comparable(class), comparable(specified));
        if let Some((other, trap)) = other_trap(case, class, *trap) {
            says += &format!(", {other}");
            said += &format!(", {trap}");
        }
        if says != said {
            let (configuration, voter) = (configuration.names(), Voter::Derivation);
            all.push(Disagreement { voter, code, mode: pair.1, configuration, says, specified: said });
        }
    }
    all
}

fn derived_everywhere(mode: CodeMode) -> ByForm {
    let forms = forms::all(mode, CpuModel::Newest);
    let lattices =
        in_parallel(&forms, |f| starts(mode).flat_map(|from| lattice(f, from)).collect::<Vec<_>>());
    let mut groups: BTreeMap<(Code, Configuration), Vec<Derivation>> = BTreeMap::new();
    for (form, lattice) in forms.iter().zip(lattices) {
        for d in lattice {
            groups.entry((form.code(), d.configuration)).or_default().push(d);
        }
    }
    let trap = |all: &[Derivation]| all[0].trap.filter(|_| all.iter().all(|d| d.trap == all[0].trap));
    groups.into_iter().map(|(key, all)| (key, (join(all.iter()).class, trap(&all)))).collect()
}

/// The traps of a privileged instruction, as derived and as specified, where they differ.
fn other_trap(case: &spec::Case, class: Class, derived: Option<u8>) -> Option<(&'static str, String)> {
    let name = match derived? {
        cpu::vector::UD => "#UD",
        cpu::vector::GP => "#GP",
        _ => "another trap",
    };
    let specified =
        case.trap.clone().filter(|t| case.privileged && class.privileged && !t.starts_with(name))?;
    Some((name, specified))
}

/// A class in words.
fn comparable(class: Class) -> String {
    let mut words = vec![if class.privileged { "privileged" } else { "unprivileged" }];
    words.extend(class.kinds());
    if class.user {
        words.push("user");
    }
    words.join(" ")
}

fn rows(isa: &Isa) -> BTreeMap<spec::Pair, &spec::Form> {
    isa.forms.iter().flat_map(|f| f.pairs.iter().map(move |p| (*p, f))).collect()
}

/// Where iced's `is_privileged` differs from the specification's in its default configuration.
pub fn iced_against(isa: &Isa) -> Vec<Disagreement> {
    privilege_against(isa, Voter::Iced, |code| Some(code.op_code().is_privileged())).0
}

/// Where a voter that says only what is privileged, if anything, differs from the specification in its default
/// configuration, and of how many pairs it has spoken.
pub(crate) fn privilege_against(
    isa: &Isa,
    voter: Voter,
    says: impl Fn(Code) -> Option<bool>,
) -> (Vec<Disagreement>, usize) {
    let configuration = spec::Configuration::default_of(isa);
    let word = |privileged: bool| if privileged { "privileged" } else { "unprivileged" }.to_owned();
    let (mut all, mut asked) = (Vec::new(), 0);
    for form in &isa.forms {
        let specified = specified(form.case(&configuration)).privileged;
        for &(code, mode) in &form.pairs {
            let Some(said) = says(code) else { continue };
            asked += 1;
            if said != specified {
                let (says, specified) = (word(said), word(specified));
                all.push(Disagreement { voter, code, mode, configuration: String::new(), says, specified });
            }
        }
    }
    (all, asked)
}

/// Disagreements that no ruling settles, and rulings that settle none.
pub fn unexplained<'a>(
    found: &'a [Disagreement],
    rulings: &'a [Ruling],
    voter: Voter,
) -> (Vec<&'a Disagreement>, Vec<&'a Ruling>) {
    let own: Vec<&Ruling> = rulings.iter().filter(|r| r.voter == voter).collect();
    let open = found.iter().filter(|d| !own.iter().any(|r| r.settles(d))).collect();
    let idle = own.into_iter().filter(|r| !found.iter().any(|d| r.settles(d))).collect();
    (open, idle)
}

/// Forms that are derived, and those that the model has nothing to say of.
pub fn derived_forms(mode: CodeMode) -> (BTreeSet<Code>, BTreeSet<Code>) {
    let all: BTreeSet<Code> = forms::all(mode, CpuModel::Newest).iter().map(forms::Form::code).collect();
    all.into_iter().partition(|code| !beyond_the_model(*code))
}
