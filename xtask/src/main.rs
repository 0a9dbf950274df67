//! Developer commands: `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND
  guests   fetch and prepare the guests that tests boot, by apt-get (RINGER_GUESTS: where to)
  test     formatting, lints and all tests, with a closing line of how many passed, failed and were skipped
  deny     licences and sources of the dependencies, by cargo-deny";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["guests"] => xtask::guests::prepare().map(|()| true),
        ["test"] => xtask::test::all(),
        ["deny"] => xtask::test::deny(),
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
