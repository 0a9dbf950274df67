//! Places of the source by names that survive edits elsewhere: `gates::target/null(gate.target())`.

use std::collections::HashMap;
use std::path::Path;

/// Names places.
#[derive(Default)]
pub(crate) struct Places {
    files: HashMap<String, Vec<String>>,
}

impl Places {
    /// The name of `file:line:column`, the file as seen from the root of the workspace.
    pub(crate) fn name(&mut self, place: &str) -> Option<String> {
        let mut parts = place.rsplitn(3, ':');
        let column: usize = parts.next()?.parse().ok()?;
        let line: usize = parts.next()?.parse().ok()?;
        let file = parts.next()?;
        let lines = self.lines(file);
        let text = call(lines.get(line.checked_sub(1)?)?.get(column.checked_sub(1)?..)?);
        let (start, function) =
            lines[..line].iter().enumerate().rev().find_map(|(n, l)| Some((n, function(l)?)))?;
        // the same call may stand in a function twice
        let mut before = 0;
        for (n, l) in lines[..line].iter().enumerate().skip(start) {
            let end = if n + 1 == line { column - 1 } else { l.len() };
            before += l[..end].matches(text).count();
        }
        let stem = Path::new(file).file_stem()?.to_str()?;
        let number = if before == 0 { String::new() } else { format!("#{}", before + 1) };
        Some(format!("{stem}::{function}/{text}{number}"))
    }

    fn lines(&mut self, file: &str) -> &[String] {
        self.files.entry(file.to_owned()).or_insert_with(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            text.lines().map(str::to_owned).collect()
        })
    }
}

/// A call, from its name to the parenthesis that closes it, or to the line's end.
fn call(text: &str) -> &str {
    let mut depth = 0;
    for (n, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[..=n],
            ')' => depth -= 1,
            _ => {}
        }
    }
    text
}

/// The name of the function whose head a line is.
fn function(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("pub(super) ").or(rest.strip_prefix("pub ")).unwrap_or(rest);
    let rest = rest.strip_prefix("fn ")?;
    rest.split(['(', '<']).next()
}
