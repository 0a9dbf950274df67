//! The decoder's forms: which a row or rule names, and that each is named exactly once.

use super::error::{SpecError, hint, nearest, shorten};
use super::form::Form;
use super::toml_file::{At, Source};
use iced_x86::{Code, Instruction, Mnemonic};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// A form of the decoder and the size of the code (16, 32 or 64) in which it decodes.
pub type Pair = (Code, u8);

/// What a row or a rule names.
pub(crate) struct Selector {
    /// Names of `Code`; one with `*` at its end is a prefix.
    pub(crate) codes: Vec<At<String>>,
    /// Names of `Mnemonic`.
    pub(crate) mnemonics: Vec<At<String>>,
    /// Names of `CpuidFeature`: forms that need no other feature than these.
    pub(crate) features: Vec<At<String>>,
    /// Names of `Code` that do not belong to it after all.
    pub(crate) except: Vec<At<String>>,
    /// Modes; all if empty.
    pub(crate) modes: Vec<u8>,
}

impl Selector {
    pub(crate) fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.mnemonics.is_empty() && self.features.is_empty()
    }
}

/// What the selectors look at.
struct Known {
    name: String,
    mnemonic: String,
    features: Vec<String>,
    pairs: Vec<Pair>,
}

/// Every form that is an instruction: INVALID, the four Declare pseudo-forms and the zero bytes
/// are none.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let instruction = |c: &Code| c.op_code().is_instruction();
    Code::values().filter(instruction).map(known).collect()
});

fn known(code: Code) -> Known {
    let info = code.op_code();
    let modes = [(info.mode16(), 16), (info.mode32(), 32), (info.mode64(), 64)];
    Known {
        name: format!("{code:?}"),
        mnemonic: format!("{:?}", code.mnemonic()),
        features: code.cpuid_features().iter().map(|f| format!("{f:?}")).collect(),
        pairs: modes.iter().filter(|(has, _)| *has).map(|(_, mode)| (code, *mode)).collect(),
    }
}

/// Every pair that decodes: 4,169 in 16-bit code, 4,169 in 32-bit code, 4,690 in 64-bit code.
pub(crate) fn universe() -> impl Iterator<Item = Pair> {
    KNOWN.iter().flat_map(|k| k.pairs.iter().copied())
}

/// The pairs that a selector names, in the decoder's order.
pub(crate) fn select(source: Source<'_>, s: &Selector) -> Result<Vec<Pair>, SpecError> {
    let mut chosen = BTreeSet::new();
    for p in &s.codes {
        chosen.extend(matching(source, "codes", p, |k| &k.name)?);
    }
    for p in &s.mnemonics {
        chosen.extend(matching(source, "mnemonics", p, |k| &k.mnemonic)?);
    }
    chosen.extend(of_features(source, &s.features)?);
    for p in &s.except {
        for index in matching(source, "except", p, |k| &k.name)? {
            if !chosen.remove(&index) {
                let message =
                    format!("field `except`: one of the row's own forms is expected, not `{}`", p.value);
                return Err(source.fault(p.at, Some("except"), message));
            }
        }
    }
    let wanted = |p: &Pair| s.modes.is_empty() || s.modes.contains(&p.1);
    Ok(chosen
        .into_iter()
        .filter_map(|n| KNOWN.get(n))
        .flat_map(|k| k.pairs.iter().copied())
        .filter(wanted)
        .collect())
}

/// The numbers of the forms of which a name is the pattern's.
fn matching(
    source: Source<'_>,
    field: &str,
    pattern: &At<String>,
    name: impl Fn(&Known) -> &str,
) -> Result<Vec<usize>, SpecError> {
    let fits = |k: &Known| match pattern.value.strip_suffix('*') {
        Some(prefix) => name(k).starts_with(prefix),
        None => name(k) == pattern.value,
    };
    let found: Vec<usize> = (0..KNOWN.len()).filter(|n| fits(&KNOWN[*n])).collect();
    if found.is_empty() {
        let near = hint(&nearest(pattern.value.trim_end_matches('*'), KNOWN.iter().map(&name)));
        let message = format!(
            "field `{field}`: a name of the decoder is expected, not `{}`{near}",
            shorten(&pattern.value)
        );
        return Err(source.fault(pattern.at, Some(field), message));
    }
    Ok(found)
}

/// The numbers of the forms that need at least one of the features and no other.
fn of_features(source: Source<'_>, features: &[At<String>]) -> Result<Vec<usize>, SpecError> {
    let names: BTreeSet<&str> = features.iter().map(|f| f.value.as_str()).collect();
    let every = || KNOWN.iter().flat_map(|k| k.features.iter().map(String::as_str));
    for f in features {
        if !every().any(|known| known == f.value) {
            let near = hint(&nearest(&f.value, every()));
            let found = shorten(&f.value);
            let message =
                format!("field `features`: a CPUID feature of the decoder is expected, not `{found}`{near}");
            return Err(source.fault(f.at, Some("features"), message));
        }
    }
    let fits = |k: &Known| !k.features.is_empty() && k.features.iter().all(|f| names.contains(f.as_str()));
    Ok((0..KNOWN.len()).filter(|n| fits(&KNOWN[*n])).collect())
}

/// Every pair is covered by one row or rule, and no rule has one that needs a row.
pub(crate) fn check(manifest_file: &str, forms: &[Form]) -> Result<(), SpecError> {
    let mut by: BTreeMap<Pair, &Form> = BTreeMap::new();
    let fault = |place: &str, field: &str, message: String| {
        let (file, line) = place.rsplit_once(':').unwrap_or((place, "0"));
        SpecError {
            file: file.to_owned(),
            line: line.parse().unwrap_or(0),
            field: Some(field.to_owned()),
            message,
        }
    };
    for form in forms {
        for pair in &form.pairs {
            let (code, mode) = *pair;
            if let Some(first) = by.insert(*pair, form) {
                let message = format!(
                    "field `codes`: `{code:?}` in {mode}-bit code is covered here by `{}` and at {} by `{}`, where \
                     once is expected",
                    form.name, first.place, first.name
                );
                return Err(fault(&form.place, "codes", message));
            }
            if let Some(why) = needs_row(code).filter(|_| form.rule) {
                let message = format!(
                    "field `codes`: a row of its own is expected for `{code:?}`, which {why}, not the rule `{}`",
                    form.name
                );
                return Err(fault(&form.place, "codes", message));
            }
        }
    }
    match universe().find(|p| !by.contains_key(p)) {
        Some((code, mode)) => {
            let message =
                format!("`{code:?}` in {mode}-bit code is covered by no row or rule, where one is expected");
            Err(fault(&format!("{manifest_file}:0"), "codes", message))
        }
        None => Ok(()),
    }
}

/// What Ringer does with each form (`isa-specs/README.md`).
const BINDINGS: &str = include_str!("../../../../isa-specs/ia32/bindings.tsv");

/// Forms that the monitor has an interpreter for.
static INTERPRETED: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let columns = BINDINGS.lines().map(|l| l.split('\t').collect::<Vec<_>>());
    columns.filter(|c| c.get(1) == Some(&"sensitive")).map(|c| c[0]).collect()
});

/// Why no rule may make a form innocuous.
fn needs_row(code: Code) -> Option<&'static str> {
    if is_privileged(code) {
        Some("the decoder calls privileged")
    } else if INTERPRETED.contains(format!("{code:?}").as_str()) {
        Some("the monitor interprets")
    } else if watched(code.mnemonic()) {
        Some("is on the list of those that need one")
    } else {
        None
    }
}

fn is_privileged(code: Code) -> bool {
    let mut i = Instruction::default();
    i.set_code(code);
    i.is_privileged()
}

/// Mnemonics that touch the machine's state and that neither the decoder's flag nor Ringer's
/// bindings point out (the flag leaves out MONITOR, MWAIT, RDTSCP, ...).
fn watched(m: Mnemonic) -> bool {
    use Mnemonic as M;
    let machine = matches!(
        m,
        M::Monitor
            | M::Mwait
            | M::Monitorx
            | M::Mwaitx
            | M::Umonitor
            | M::Umwait
            | M::Tpause
            | M::Rdtscp
            | M::Rdpid
            | M::Rdpru
            | M::Mcommit
            | M::Cpuid
            | M::Enqcmd
            | M::Ptwrite
            | M::Rdfsbase
            | M::Rdgsbase
            | M::Wrfsbase
            | M::Wrgsbase
            | M::Rdpkru
            | M::Wrpkru
            | M::Xgetbv
            | M::Xsave
            | M::Xsave64
            | M::Xsaveopt
            | M::Xsaveopt64
            | M::Xsavec
            | M::Xsavec64
            | M::Xrstor
            | M::Xrstor64
            | M::Fxsave64
            | M::Fxrstor64
    );
    let monitors = matches!(
        m,
        M::Vmcall
            | M::Vmfunc
            | M::Vmmcall
            | M::Vmgexit
            | M::Vmrun
            | M::Vmload
            | M::Vmsave
            | M::Stgi
            | M::Clgi
            | M::Skinit
            | M::Invlpga
            | M::Getsec
            | M::Getsecq
            | M::Encls
            | M::Enclu
            | M::Enclv
            | M::Rsm
    );
    let control_flow = matches!(
        m,
        M::Rdsspd
            | M::Rdsspq
            | M::Incsspd
            | M::Incsspq
            | M::Rstorssp
            | M::Saveprevssp
            | M::Wrssd
            | M::Wrssq
            | M::Clui
            | M::Stui
            | M::Testui
            | M::Uiret
            | M::Senduipi
            | M::Endbr32
            | M::Endbr64
    );
    let others = matches!(
        m,
        M::Bndmk
            | M::Bndcl
            | M::Bndcu
            | M::Bndcn
            | M::Bndmov
            | M::Bndldx
            | M::Bndstx
            | M::Llwpcb
            | M::Slwpcb
            | M::Lwpins
            | M::Lwpval
            | M::Iretq
            | M::Popfq
            | M::Pushfq
            | M::Int
            | M::Loadall
            | M::Storeall
            | M::Altinst
            | M::Jmpe
            | M::Xbegin
            | M::Xtest
            | M::Xend
            | M::Xabort
    );
    machine || monitors || control_flow || others
}
