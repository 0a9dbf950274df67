//! Formatting, lints and tests.

use crate::guests;
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What a run of tests counted.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Tally {
    pub(crate) fn step(ok: bool) -> Tally {
        Tally { passed: ok.into(), failed: (!ok).into(), skipped: 0 }
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Reads one line of what cargo or nextest prints at the end of a run.
    fn from_line(line: &str) -> Option<Tally> {
        // nextest indents what failed tests printed, cargo's closing lines among it
        let counts = line.strip_prefix("test result:").or(line.trim_start().strip_prefix("Summary"))?;
        let before = |word: &str| {
            let words: Vec<&str> =
                counts.split([' ', ',', ';', '.', '(', ')']).filter(|w| !w.is_empty()).collect();
            let at = words.iter().position(|w| *w == word)?;
            words[at.checked_sub(1)?].parse().ok()
        };
        let timed_out: u32 = before("timed").unwrap_or(0);
        let skipped = before("ignored").or(before("skipped")).unwrap_or(0);
        Some(Tally { passed: before("passed")?, failed: before("failed").unwrap_or(0) + timed_out, skipped })
    }
}

/// Everything that must hold before a change is merged. `Ok(false)`: something failed.
///
/// # Errors
/// cargo cannot be run.
pub fn all() -> anyhow::Result<bool> {
    let started = Instant::now();
    let mut sum = Tally::default();
    sum.add(Tally::step(step("formatting", &["fmt", "--all", "--check"])?));
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    sum.add(Tally::step(step("lints", &clippy)?));
    if let Err(error) = guests::prepare() {
        println!("SKIPPED: guests that are not prepared yet: {error:#}");
    }
    sum.add(tests()?);
    Ok(closing(started, sum))
}

/// The closing lines; whether nothing failed.
pub(crate) fn closing(started: Instant, sum: Tally) -> bool {
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    println!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
    sum.failed == 0
}

/// The dependencies' licences, sources and duplicates.
///
/// # Errors
/// cargo cannot be run.
pub fn deny() -> anyhow::Result<bool> {
    step("dependencies", &["deny", "check", "bans", "licenses", "sources"])
}

pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// The workspace.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

fn step(name: &str, arguments: &[&str]) -> anyhow::Result<bool> {
    println!("== {name}");
    let status = cargo(arguments).status().context("cargo cannot be run")?;
    Ok(status.success())
}

/// All tests, by nextest where there is one.
fn tests() -> anyhow::Result<Tally> {
    println!("== tests");
    let command = if has_nextest() {
        cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--cargo-profile",
            "checked",
            "--no-fail-fast",
            "--profile",
            "xtask",
        ])
    } else {
        cargo(&["test", "--workspace", "--profile", "checked", "--no-fail-fast"])
    };
    count(command)
}

/// Whether the program runs, and is content.
pub(crate) fn quietly(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

pub(crate) fn has_nextest() -> bool {
    quietly(&mut cargo(&["nextest", "--version"]))
}

/// Runs tests, shows what they print, and counts them.
pub(crate) fn count(mut command: Command) -> anyhow::Result<Tally> {
    let (mut reader, writer) = std::io::pipe().context("no pipe")?;
    command.stdout(writer.try_clone().context("no pipe")?).stderr(writer);
    let mut child = command.spawn().context("cargo cannot be run")?;
    // the writing ends are the child's alone from here on
    drop(command);
    let mut sum = Tally::default();
    let mut counted = false;
    for line in BufReader::new(&mut reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.context("cannot read what the tests print")?).into_owned();
        println!("{line}");
        if let Some(tally) = Tally::from_line(&line) {
            sum.add(tally);
            counted = true;
        }
    }
    let ok = child.wait().context("cargo cannot be waited for")?.success();
    if !ok && sum.failed == 0 || !counted {
        sum.add(Tally::step(false));
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn both_forms_of_closing_lines_are_read() {
        let cargo =
            "test result: FAILED. 10 passed; 2 failed; 3 ignored; 0 measured; 0 filtered out; finished in 1s";
        assert_eq!(Tally::from_line(cargo), Some(Tally { passed: 10, failed: 2, skipped: 3 }));
        let nextest =
            "     Summary [  12.345s] 100 tests run: 98 passed (1 slow), 1 failed, 1 timed out, 4 skipped";
        assert_eq!(Tally::from_line(nextest), Some(Tally { passed: 98, failed: 2, skipped: 4 }));
        assert_eq!(Tally::from_line("test a ... ok"), None);
        assert_eq!(Tally::from_line("    test result: FAILED. 0 passed; 1 failed; 0 ignored"), None);
    }
}
