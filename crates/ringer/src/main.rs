//! The command line.
#![forbid(unsafe_code)]

mod cli;
mod load;
mod report;
mod run;
mod terminal;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = cli::Cli::parse();
    match arguments.execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ringer: {error:#}");
            ExitCode::from(1)
        }
    }
}
