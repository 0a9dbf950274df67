//! Running the program, and files for it.
#![allow(dead_code, reason = "each test takes what it needs")]

use assert_cmd::cargo::CommandCargoExt;
use std::fs::write;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) fn ringer() -> Command {
    let mut command = Command::cargo_bin("ringer").unwrap();
    command.stdin(Stdio::null());
    command
}

pub(crate) fn output(arguments: &[&str]) -> Output {
    ringer().args(arguments).output().unwrap()
}

/// The run fails with this code and one line on standard error that contains all of `words`.
#[track_caller]
pub(crate) fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let out = output(arguments);
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(code), "{arguments:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    assert!(text.starts_with("ringer: ") && !text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: {text:?} does not name {word:?}");
    }
    assert!(out.stdout.is_empty(), "{:?}", String::from_utf8_lossy(&out.stdout));
}

/// Files for one test.
pub(crate) struct Files(pub(crate) TempDir);

impl Files {
    pub(crate) fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        write(&path, bytes).unwrap();
        path.display().to_string()
    }

    pub(crate) fn absent(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}
