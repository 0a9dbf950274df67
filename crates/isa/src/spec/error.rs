//! What is wrong with a specification, in one sentence that says where.

/// A fault of a specification file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct SpecError {
    /// The file, as `isa-specs` names it: `ia32/flags.toml`.
    pub file: String,
    /// The line, from 1; 0 where the fault is no line's.
    pub line: usize,
    /// The field that is wrong, where it is one's.
    pub field: Option<String>,
    /// What was found and what was expected.
    pub message: String,
}

/// A name that there is not, with the nearest ones that there are.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what} `{name}` is not known{}", hint(.nearest))]
pub struct UnknownName {
    /// What was looked for: `ISA`, `configuration bit`.
    pub what: &'static str,
    /// The name asked for.
    pub name: String,
    /// Names that are near, best first; at most three.
    pub nearest: Vec<String>,
}

impl UnknownName {
    /// Of a kind of thing, with those of the known names that are near.
    pub fn new<'a>(what: &'static str, name: &str, known: impl Iterator<Item = &'a str>) -> UnknownName {
        UnknownName { what, name: shorten(name), nearest: nearest(name, known) }
    }
}

/// What keeps an ISA from being loaded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LoadError {
    /// A file is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is no such ISA.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// The directory cannot be read.
    #[error("{path}: {message}")]
    Read {
        /// The file or directory.
        path: String,
        /// What the system said.
        message: String,
    },
}

/// ", did you mean `x` or `y`?", or nothing.
pub(crate) fn hint(nearest: &[String]) -> String {
    if nearest.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = nearest.iter().map(|n| format!("`{n}`")).collect();
    format!(", the nearest is {}", quoted.join(" or "))
}

/// Names longer than this are cut in messages and compared by their start: a file may say anything.
const LONGEST: usize = 80;

pub(crate) fn shorten(name: &str) -> String {
    match name.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

/// The known names that are fewest edits away from `name`, case aside: at most three, and none that
/// is farther than a third of its length (at least two edits).
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let name = letters(name);
    let allowed = (name.len() / 3).max(2);
    let mut near: Vec<(usize, &str)> =
        known.map(|k| (distance(&name, &letters(k)), k)).filter(|(d, _)| *d <= allowed).collect();
    near.sort();
    near.dedup();
    let best = near.first().map(|n| n.0);
    near.into_iter().filter(|n| Some(n.0) == best).take(3).map(|(_, k)| k.to_owned()).collect()
}

fn letters(name: &str) -> Vec<char> {
    name.chars().take(LONGEST).flat_map(char::to_lowercase).collect()
}

/// Edits from one to the other: letters put in, left out, changed, or two exchanged.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for i in 0..b.len() {
        let mut next = vec![i + 1; a.len() + 1];
        for j in 0..a.len() {
            let changed = row[j] + usize::from(a[j] != b[i]);
            next[j + 1] = changed.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && a[j] == b[i - 1] && a[j - 1] == b[i] {
                next[j + 1] = next[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let known = ["UMIP", "TSD", "PCE", "IOPL3", "VM"];
        assert_eq!(nearest("umpi", known.into_iter()), ["UMIP"]);
        assert_eq!(nearest("IOPL", known.into_iter()), ["IOPL3"]);
        assert!(nearest("something", known.into_iter()).is_empty());
        let edits = |a, b| distance(&letters(a), &letters(b));
        assert_eq!(
            [edits("abc", "axc"), edits("", "abc"), edits("abc", ""), edits("UMPI", "umip")],
            [1, 3, 3, 1]
        );
        assert_eq!([edits("ab", "ba"), edits("abcd", "acbde"), edits("same", "same")], [1, 2, 0]);
    }

    #[test]
    fn long_names_are_cut() {
        let long = "ü".repeat(5000);
        let e = UnknownName::new("ISA", &long, ["ia32"].into_iter());
        assert!(e.to_string().chars().count() < 120);
    }
}
