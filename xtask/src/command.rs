//! Other programs, with errors of one line.

use anyhow::{Context, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// It is missing, or it failed: then its last line says why.
pub(crate) fn output<S: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    directory: &Path,
) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .with_context(|| format!("{program} is needed and cannot be run"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let why = text.lines().rfind(|l| l.starts_with("E:")).or(text.lines().last()).unwrap_or("no message");
        bail!("{program} failed ({}): {why}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
