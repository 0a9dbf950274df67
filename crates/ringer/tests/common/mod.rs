//! Running the program, and files for it.
#![allow(dead_code, reason = "each test takes what it needs")]

use assert_cmd::cargo::CommandCargoExt;
use std::fs::write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
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

/// A process that ends with its test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection to a socket on which a machine is about to listen.
pub(crate) fn connect(socket: &Path) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(e) => assert!(Instant::now() < until, "{}: {e}", socket.display()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A ROM or BIOS that jumps to itself.
pub(crate) fn looping_rom() -> Vec<u8> {
    let mut rom = vec![0xf4u8; 0x1_0000];
    rom[0xfff0..0xfff2].copy_from_slice(&[0xeb, 0xfe]);
    rom
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
