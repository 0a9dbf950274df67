//! From files to an ISA.

use super::embedded::FILES;
use super::error::{LoadError, SpecError, UnknownName, hint, nearest, shorten};
use super::form::{Exit, Form};
use super::manifest::{Bit, Levels, Manifest, Ruling};
use super::rows::{self, Rows};
use super::toml_file::{At, Source};
use super::{Pair, cover};
use std::collections::BTreeMap;
use std::path::Path;

/// An instruction set as its files describe it.
#[derive(Clone, PartialEq, Debug)]
pub struct Isa {
    /// As `ringer prove` takes it.
    pub name: String,
    /// For people.
    pub title: String,
    /// What its rows were read from.
    pub manual: String,
    /// The configuration bits that there are.
    pub bits: Vec<Bit>,
    /// The bits of the default configuration.
    pub default: Vec<String>,
    /// The pairs of levels, the usual one first.
    pub levels: Vec<Levels>,
    /// Its instructions: rows, and rules for many innocuous ones.
    pub forms: Vec<Form>,
    /// Where the hardware leaves a guest, if that is what there is instead of traps.
    pub exits: Vec<Exit>,
    pub(crate) applies: Ruling,
    pub(crate) recursion: Ruling,
}

impl Isa {
    /// The row or rule that covers a form of the decoder in 16-, 32- or 64-bit code.
    pub fn covering(&self, pair: Pair) -> Option<&Form> {
        self.forms.iter().find(|f| f.pairs.contains(&pair))
    }
}

/// Specification files, by folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Specs {
    /// Folder, then file name, then text.
    folders: BTreeMap<String, BTreeMap<String, String>>,
}

const MANIFEST: &str = "isa.toml";

impl Specs {
    /// The files that are part of the program.
    pub fn embedded() -> Specs {
        let mut specs = Specs { folders: BTreeMap::new() };
        for (folder, file, text) in FILES {
            specs.add(folder, file, text);
        }
        specs
    }

    /// Puts a file in, or in the place of one: a folder's `isa.toml`, or instructions.
    pub fn add(&mut self, folder: &str, file: &str, text: &str) {
        self.folders.entry(folder.to_owned()).or_default().insert(file.to_owned(), text.to_owned());
    }

    /// Takes a file out.
    pub fn remove(&mut self, folder: &str, file: &str) {
        if let Some(files) = self.folders.get_mut(folder) {
            files.remove(file);
        }
    }

    /// The `.toml` files of the folders of a directory like `isa-specs`.
    ///
    /// # Errors
    /// A file or directory that cannot be read.
    pub fn from_directory(directory: &Path) -> Result<Specs, LoadError> {
        let mut specs = Specs { folders: BTreeMap::new() };
        for (folder, path) in entries(directory)? {
            if !path.is_dir() {
                continue;
            }
            for (file, path) in entries(&path)? {
                if path.extension().is_some_and(|e| e == "toml") {
                    let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
                    specs.add(&folder, &file, &text);
                }
            }
        }
        Ok(specs)
    }

    /// Every ISA's name, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().filter(|(_, files)| files.contains_key(MANIFEST)).map(|(name, _)| name.as_str())
    }

    /// Reads an ISA and checks all that can be checked of it.
    ///
    /// # Errors
    /// A name that is no ISA's, or the first fault of its files.
    pub fn isa(&self, name: &str) -> Result<Isa, LoadError> {
        let (manifest, base) = self.manifest(name)?;
        let own = self.rows(name, &manifest)?;
        let Some(base) = base else {
            if manifest.decoded {
                cover::check(&format!("{name}/{MANIFEST}"), &own.forms)?;
            }
            return Ok(assemble(manifest, own));
        };
        // its rows may ask for bits that the ISA does without: those are never set
        let mut rows = self.rows(&base.name, &base)?;
        rows.forms.extend(own.forms);
        rows.exits.extend(own.exits);
        if manifest.decoded {
            cover::check(&format!("{}/{MANIFEST}", base.name), &rows.forms)?;
        }
        Ok(assemble(manifest, rows))
    }

    fn text(&self, folder: &str) -> Option<&str> {
        self.folders.get(folder).and_then(|f| f.get(MANIFEST)).map(String::as_str)
    }

    /// An ISA's manifest and that of its base.
    fn manifest(&self, name: &str) -> Result<(Manifest, Option<Manifest>), LoadError> {
        let Some(text) = self.text(name) else {
            return Err(UnknownName::new("ISA", name, self.names()).into());
        };
        let file = format!("{name}/{MANIFEST}");
        let source = Source { file: &file, text };
        let base = source.top()?.text("base")?.map(|b| self.base(source, &b)).transpose()?;
        Ok((Manifest::read(source, name, base.as_ref())?, base))
    }

    fn base(&self, of: Source<'_>, name: &At<String>) -> Result<Manifest, SpecError> {
        let wrong = |message: String| of.fault(name.at, Some("base"), message);
        let Some(text) = self.text(&name.value) else {
            let near = hint(&nearest(&name.value, self.names()));
            return Err(wrong(format!(
                "field `base`: an ISA is expected, not `{}`{near}",
                shorten(&name.value)
            )));
        };
        let file = format!("{}/{MANIFEST}", name.value);
        let source = Source { file: &file, text };
        if source.top()?.has("base") {
            return Err(wrong("field `base`: an ISA without a `base` of its own is expected".to_owned()));
        }
        Manifest::read(source, &name.value, None)
    }

    fn rows(&self, folder: &str, manifest: &Manifest) -> Result<Rows, SpecError> {
        let mut all = Rows::default();
        for (name, text) in self.folders.get(folder).into_iter().flatten() {
            if name == MANIFEST {
                continue;
            }
            let file = format!("{folder}/{name}");
            let rows = rows::read(Source { file: &file, text }, manifest)?;
            all.forms.extend(rows.forms);
            all.exits.extend(rows.exits);
        }
        Ok(all)
    }
}

/// The ISA with the forms that its modes and CPU model have.
fn assemble(m: Manifest, rows: Rows) -> Isa {
    let wanted =
        |p: &Pair| (m.modes.is_empty() || m.modes.contains(&p.1)) && m.cpu.is_none_or(|cpu| cpu.has(p.0));
    let mut forms = rows.forms;
    if m.decoded {
        for form in &mut forms {
            form.pairs.retain(wanted);
        }
        forms.retain(|f| !f.pairs.is_empty());
    }
    Isa {
        name: m.name,
        title: m.title,
        manual: m.manual,
        bits: m.bits,
        default: m.default,
        levels: m.levels,
        forms,
        exits: rows.exits,
        applies: m.applies,
        recursion: m.recursion,
    }
}

fn unreadable(path: &Path, e: &std::io::Error) -> LoadError {
    LoadError::Read { path: path.display().to_string(), message: e.to_string() }
}

/// The entries of a directory with UTF-8 names, sorted.
fn entries(directory: &Path) -> Result<Vec<(String, std::path::PathBuf)>, LoadError> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|e| unreadable(directory, &e))? {
        let entry = entry.map_err(|e| unreadable(directory, &e))?;
        if let Ok(name) = entry.file_name().into_string() {
            out.push((name, entry.path()));
        }
    }
    out.sort();
    Ok(out)
}
