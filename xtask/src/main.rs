//! Developer commands: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND
  guests   fetch and prepare the guests that tests boot, by apt-get (RINGER_GUESTS: where to)
  test     formatting, lints and all tests, with a closing line of how many passed, failed and were skipped
  arm      the tests that need no x86 host, built for aarch64 and run by QEMU's user mode emulation
  deny     licences and sources of the dependencies, by cargo-deny
  lockstep a guest on two engines, compared as it goes; `cargo xtask lockstep --help` says more";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["guests"] => xtask::guests::prepare().map(|()| true),
        ["test"] => xtask::test::all(),
        ["arm"] => xtask::arm::all(),
        ["deny"] => xtask::test::deny(),
        ["lockstep", ..] => return lockstep(&words[1..]),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A program of its own, as what it runs knows where this crate leaves the guests.
fn lockstep(arguments: &[&str]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = std::process::Command::new(cargo)
        .args(["run", "--quiet", "--release", "--package", "testkit", "--bin", "lockstep", "--"])
        .args(arguments)
        .status();
    match status {
        Ok(status) => ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(1)),
        Err(error) => {
            eprintln!("xtask: cargo cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}
