//! The JIT as users meet it: its map for `perf`, and hosts that refuse it.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, output, ringer};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A multiboot kernel of one jump to itself, at 100020h.
fn looping_kernel(files: &Files) -> String {
    let (at, flags) = (0x10_0000u32, 0x1_0000u32);
    let sum = 0u32.wrapping_sub(0x1bad_b002).wrapping_sub(flags);
    let fields = [0x1bad_b002, flags, sum, at, at, 0, 0, at + 32];
    let mut kernel: Vec<u8> = fields.iter().flat_map(|f| f.to_le_bytes()).collect();
    kernel.extend([0xeb, 0xfe]);
    files.put("kernel", &kernel)
}

/// Address, size and name of each line, by address.
fn lines(map: &str) -> Vec<(u64, u64, String)> {
    let mut lines: Vec<_> = map
        .lines()
        .map(|l| {
            let mut words = l.splitn(3, ' ');
            let mut number = || u64::from_str_radix(words.next().unwrap(), 16).unwrap();
            (number(), number(), words.next().unwrap().to_owned())
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn the_map_for_perf_names_guest_code() {
    let files = Files::new();
    let kernel = looping_kernel(&files);
    let arguments = ["run", "--kernel", &kernel, "--headless", "--perf-map", "--instructions", "1000000"];
    let child = ringer().args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let path = format!("/tmp/perf-{}.map", child.id());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
    let map = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines = lines(&map);
    assert!(lines.iter().any(|(.., name)| name.starts_with("guest 0x00100020 (32-bit")), "{map}");
    assert!(lines.iter().any(|(.., name)| name == "ringer stubs"), "{map}");
    for (at, size, _) in &lines {
        assert!((0x1_0000..1 << 47).contains(at) && (1..1 << 20).contains(size), "{map}");
    }
    for pair in lines.windows(2) {
        assert!(pair[0].0 + pair[0].1 <= pair[1].0, "two pieces at one place: {map}");
    }
}

#[test]
fn the_map_is_the_jits() {
    common::refused(&["run", "--rom", "x", "--perf-map", "--engine", "interpreter"], 1, &["the ROM"]);
    let files = Files::new();
    let kernel = looping_kernel(&files);
    let arguments = ["run", "--kernel", &kernel, "--perf-map", "--engine", "interpreter"];
    common::refused(&arguments, 2, &["--perf-map", "--engine jit"]);
}

/// The program with files, and so the code cache's memory, limited to a megabyte.
fn with_small_files(arguments: &[&str]) -> Output {
    let program = ringer();
    let limit = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", limit]).arg(program.get_program()).args(arguments).stdin(Stdio::null());
    shell.output().unwrap()
}

#[test]
fn a_host_that_refuses_memory_for_code_gets_the_interpreter() {
    let files = Files::new();
    let kernel = looping_kernel(&files);
    let arguments = ["run", "--kernel", &kernel, "--headless", "--instructions", "1000000"];
    assert!(Path::new("/bin/sh").exists() && output(&arguments).stderr.is_empty());
    let out = with_small_files(&arguments);
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for words in ["ringer: no JIT, the interpreter runs instead", "no executable memory"] {
        assert!(said.contains(words), "{said:?} does not say {words:?}");
    }
}
