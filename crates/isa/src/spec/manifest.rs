//! `isa.toml`: what an ISA is, its configuration bits and levels, what the theorems need.

use super::error::{SpecError, hint, nearest, shorten};
use super::toml_file::{Source, Table};
use crate::CpuModel;

/// A configuration bit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bit {
    /// As `--with` takes it.
    pub name: String,
    /// What it means when it is set, in a line.
    pub meaning: String,
    /// No such bit was ever built: it is the lab's modified machine.
    pub hypothetical: bool,
}

/// A pair of levels between which the question is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Levels {
    /// `EL1/EL0`
    pub name: String,
    /// The level that plays the paper's supervisor mode.
    pub supervisor: String,
    /// The level that plays the paper's user mode.
    pub user: String,
    /// Configuration bits that select the pair.
    pub with: Vec<String>,
}

/// Whether something is so, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ruling {
    pub(crate) holds: bool,
    pub(crate) reason: String,
}

/// The contents of an `isa.toml`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) manual: String,
    pub(crate) base: Option<String>,
    pub(crate) decoded: bool,
    pub(crate) modes: Vec<u8>,
    pub(crate) cpu: Option<CpuModel>,
    pub(crate) bits: Vec<Bit>,
    pub(crate) without: Vec<String>,
    pub(crate) default: Vec<String>,
    pub(crate) levels: Vec<Levels>,
    pub(crate) applies: Ruling,
    pub(crate) recursion: Ruling,
}

const FIELDS: [&str; 13] = [
    "name",
    "title",
    "manual",
    "base",
    "decoder",
    "modes",
    "cpu",
    "without",
    "default",
    "bit",
    "levels",
    "model",
    "recursion",
];

impl Manifest {
    /// Reads `isa.toml`; `folder` is the name that it has to have, `base` what it builds on,
    /// once that is known.
    pub(crate) fn read(
        source: Source<'_>,
        folder: &str,
        base: Option<&Manifest>,
    ) -> Result<Manifest, SpecError> {
        let mut t = source.top()?;
        let name = t.needed("name")?;
        if name.value != folder {
            let message = format!("field `name`: the folder's name, `{folder}`, is expected");
            return Err(source.fault(name.at, Some("name"), message));
        }
        let mut m = Manifest {
            name: name.value,
            title: t.needed("title")?.value,
            manual: t.needed("manual")?.value,
            base: t.text("base")?.map(|b| b.value),
            decoded: decoder(&mut t)?,
            modes: modes(&mut t)?,
            cpu: cpu(&mut t)?,
            bits: base.map(|b| b.bits.clone()).unwrap_or_default(),
            without: t.texts("without")?.into_iter().map(|w| w.value).collect(),
            default: Vec::new(),
            levels: Vec::new(),
            applies: ruling(&mut t, "model", "applies")?,
            recursion: ruling(&mut t, "recursion", "possible")?,
        };
        m.decoded |= base.is_some_and(|b| b.decoded);
        m.read_bits(&mut t)?;
        m.default = m.bit_names(&mut t, "default")?;
        m.read_levels(&mut t, base)?;
        t.finish(&FIELDS)?;
        Ok(m)
    }

    fn read_bits(&mut self, t: &mut Table<'_>) -> Result<(), SpecError> {
        for mut b in t.tables("bit", "configuration bit")? {
            let name = b.needed("name")?;
            let good = name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !good || self.bits.iter().any(|x| x.name == name.value) {
                let message = "field `name`: letters and digits, and no bit's name twice, are expected";
                return Err(b.source.fault(name.at, Some("name"), message.to_owned()));
            }
            let meaning = b.needed("meaning")?.value;
            let hypothetical = b.flag("hypothetical")?.unwrap_or(false);
            self.bits.push(Bit { name: name.value, meaning, hypothetical });
            b.finish(&["name", "meaning", "hypothetical"])?;
        }
        self.bits.retain(|b| !self.without.contains(&b.name));
        Ok(())
    }

    /// A list of names of bits that there are.
    fn bit_names(&self, t: &mut Table<'_>, field: &str) -> Result<Vec<String>, SpecError> {
        let mut out = Vec::new();
        for name in t.texts(field)? {
            if !self.bits.iter().any(|b| b.name == name.value) {
                let message = self.no_such_bit(field, &name.value);
                return Err(t.source.fault(name.at, Some(field), message));
            }
            out.push(name.value);
        }
        Ok(out)
    }

    /// "field `when`: ... is no configuration bit".
    pub(crate) fn no_such_bit(&self, field: &str, name: &str) -> String {
        let near = nearest(name, self.bits.iter().map(|b| b.name.as_str()));
        format!("field `{field}`: a configuration bit is expected, not `{}`{}", shorten(name), hint(&near))
    }

    fn read_levels(&mut self, t: &mut Table<'_>, base: Option<&Manifest>) -> Result<(), SpecError> {
        for mut l in t.tables("levels", "pair of levels")? {
            self.levels.push(Levels {
                name: l.needed("name")?.value,
                supervisor: l.needed("supervisor")?.value,
                user: l.needed("user")?.value,
                with: self.bit_names(&mut l, "with")?,
            });
            l.finish(&["name", "supervisor", "user", "with"])?;
        }
        if self.levels.is_empty() {
            let known = |l: &&Levels| l.with.iter().all(|w| self.bits.iter().any(|b| b.name == *w));
            self.levels = base.map(|b| b.levels.iter().filter(known).cloned().collect()).unwrap_or_default();
        }
        if self.levels.is_empty() { Err(t.missing("levels")) } else { Ok(()) }
    }
}

fn decoder(t: &mut Table<'_>) -> Result<bool, SpecError> {
    match t.text("decoder")? {
        None => Ok(false),
        Some(d) if d.value == "iced-x86" => Ok(true),
        Some(d) => {
            let message = "field `decoder`: `iced-x86` is expected, or no such field".to_owned();
            Err(t.source.fault(d.at, Some("decoder"), message))
        }
    }
}

/// Modes of x86 code: 16, 32, 64.
pub(crate) fn modes(t: &mut Table<'_>) -> Result<Vec<u8>, SpecError> {
    let modes = t.numbers("modes")?;
    if let Some(m) = modes.iter().find(|m| ![16, 32, 64].contains(&m.value)) {
        let message = format!("field `modes`: 16, 32 or 64 is expected, not {}", m.value);
        return Err(t.source.fault(m.at, Some("modes"), message));
    }
    Ok(modes.into_iter().map(|m| m.value).collect())
}

fn cpu(t: &mut Table<'_>) -> Result<Option<CpuModel>, SpecError> {
    let Some(name) = t.text("cpu")? else { return Ok(None) };
    match CpuModel::from_name(&name.value) {
        Some(model) => Ok(Some(model)),
        None => {
            let near = nearest(&name.value, CpuModel::ALL.iter().map(|(n, _)| *n));
            let found = shorten(&name.value);
            let message = format!("field `cpu`: a CPU model is expected, not `{found}`{}", hint(&near));
            Err(t.source.fault(name.at, Some("cpu"), message))
        }
    }
}

fn ruling(t: &mut Table<'_>, field: &str, flag: &str) -> Result<Ruling, SpecError> {
    let Some(mut r) = t.table(field, "ruling")? else { return Err(t.missing(field)) };
    let Some(holds) = r.flag(flag)? else { return Err(r.missing(flag)) };
    let reason = r.needed("reason")?.value;
    r.finish(&[flag, "reason"])?;
    Ok(Ruling { holds, reason })
}
