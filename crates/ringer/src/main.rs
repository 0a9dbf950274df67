//! The command line.
#![forbid(unsafe_code)]

mod classify;
mod cli;
mod control;
mod display;
mod engine;
mod explain;
mod firmware;
mod lab;
mod load;
mod matrix;
mod media;
mod nic;
mod perf_map;
mod profile;
mod prove;
mod qmp;
mod replay;
mod report;
mod run;
mod serial;
mod session;
mod signals;
mod sound;
mod terminal;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match cli::Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            complain(&cli::one_line(&error));
            return ExitCode::from(2);
        }
        Err(help) => {
            // a reader that has gone needs no help
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    match arguments.execute() {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::from(1)
        }
    }
}

/// An answer on standard output.
fn tell(text: &str) {
    // a reader that has gone needs no answer
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

/// The command line asks for what there is not: exit code 2.
fn refuse(why: &str) -> ExitCode {
    complain(why);
    ExitCode::from(2)
}

/// One line on standard error.
fn complain(what: &str) {
    // nobody can be told where even standard error is closed
    let _ = writeln!(std::io::stderr(), "ringer: {what}");
}
