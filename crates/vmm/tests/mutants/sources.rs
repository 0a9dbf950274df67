//! The source of the routines, read for the places that ask: so that a check which neither a test nor the classifier
//! ever reaches is not forgotten.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A source file and its text.
type Source = (String, String);

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("src/interpreters")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.push(root.join("src/system.rs"));
    paths.sort();
    let name = |path: &Path| format!("crates/vmm/{}", path.strip_prefix(root).unwrap().display());
    paths.iter().map(|p| (name(p), std::fs::read_to_string(p).unwrap())).collect()
}

/// The function that a line begins.
fn head(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("pub(super) ").or(rest.strip_prefix("pub ")).unwrap_or(rest);
    rest.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// Functions that ask in their caller's name; those of a trait or type are called as methods.
fn helpers(all: &[Source]) -> BTreeSet<(String, bool)> {
    let mut found = BTreeSet::new();
    for (_, text) in all {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.trim() == "#[track_caller]" {
                let next = lines.next().unwrap_or_default();
                let method = next.starts_with(' ');
                found.extend(head(next).map(|name| (name.to_owned(), method)));
            }
        }
    }
    found
}

/// Operands of ARPL, LAR, LSL and BOUND that are registers in every form: nothing is asked about them.
const REGISTERS: [&str; 3] = [
    "let rpl = read_operand(s, insn, 1, 2)? & 3;",
    "write_operand(s, insn, 0, operand_size(insn), value)?;",
    "let index = signed(read_operand(s, insn, 0, size)?);",
];

/// A line calls one of the helpers.
fn calls(line: &str, helpers: &BTreeSet<(String, bool)>) -> bool {
    if REGISTERS.contains(&line.trim()) {
        return false;
    }
    helpers.iter().any(|(name, method)| {
        line.match_indices(name.as_str()).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let with_system = after.starts_with("(s,") || after.starts_with("(s)");
            let of_system = *method && before.ends_with("s.") && after.starts_with('(');
            of_system || whole && with_system && (*method || !before.ends_with('.'))
        })
    })
}

/// Places, as `file:line`, that ask in their own name.
pub(crate) fn asking() -> BTreeSet<String> {
    let all = sources();
    let helpers = helpers(&all);
    let mut found = BTreeSet::new();
    for (file, text) in all.iter().filter(|(file, _)| file.contains("/interpreters/")) {
        let (mut passes_on, mut marked) = (false, false);
        for (n, line) in text.lines().enumerate() {
            if head(line).is_some() {
                passes_on = marked;
            } else if !passes_on && !line.trim_start().starts_with("//") && calls(line, &helpers) {
                found.insert(format!("{file}:{}", n + 1));
            }
            marked = line.trim() == "#[track_caller]";
        }
    }
    found
}
