//! `ringer replay`: a witness, run again.

use anyhow::Context;
use clap::Args;
use classify::witness::{Claim, MOST_BYTES, WitnessError};
use classify::{Form, Witness};
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use testkit::host_witness::{self, Answer};

const EXAMPLES: &str = "\
Examples:
  ringer classify popf --json | jq -c '.[0].witness' > popf.json
  ringer replay popf.json                    what it shows
  ringer replay - < popf.json                from standard input

Where a program can be put in the witness's first state the host's CPU is asked as well, in 32-bit code at CPL 3.

Exit codes: 0 the witness shows what it claims; 1 it does not, or cannot be read; 2 it is no witness.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// The witness's file; - is standard input
    #[arg(value_name = "WITNESS")]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A little more than a witness may have, so that one that is too long is seen to be.
fn read(file: &PathBuf) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MOST_BYTES as u64 + 2;
    if file.as_os_str() == "-" {
        std::io::stdin().take(most).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Replays it and tells on standard output.
pub(crate) fn run(arguments: &Replay) -> anyhow::Result<ExitCode> {
    let name = arguments.file.display();
    let bytes = read(&arguments.file).with_context(|| format!("{name}"))?;
    match told(&bytes, arguments.json) {
        Ok((holds, text)) => {
            crate::tell(&text);
            Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Err(wrong) => Ok(crate::refuse(&format!("{name}: {wrong}"))),
    }
}

fn told(bytes: &[u8], as_json: bool) -> Result<(bool, String), WitnessError> {
    let witness = Witness::from_json(bytes.trim_ascii())?;
    let replay = witness.replay()?;
    let host = host_witness::ask(&witness)?;
    let text = if as_json {
        let host = match &host {
            Answer::Agrees(what) => json!({"agrees": true, "host": what}),
            Answer::Differs { model, host } => json!({"agrees": false, "model": model, "host": host}),
            Answer::Unasked(why) => json!({"agrees": null, "why": why}),
        };
        json!({"holds": replay.holds, "runs": replay.runs, "shown": replay.shown, "host": host}).to_string()
    } else {
        format!("{}\n{}", text(&witness, &replay), hosts(&host))
    };
    Ok((replay.holds, text))
}

/// What the host has answered, in words.
fn hosts(answer: &Answer) -> String {
    match answer {
        Answer::Agrees(what) => format!("the host agrees about the first: it {what}"),
        Answer::Differs { model, host } => format!("THE HOST DIFFERS: {host}, where the model has {model}"),
        Answer::Unasked(why) => format!("the host was not asked: {why}"),
    }
}

/// What a claim says.
fn claim(claim: Claim) -> &'static str {
    match claim {
        Claim::Control => "control sensitive: it changes the mode or the resources, and does not trap",
        Claim::Location => "location sensitive: where the resources lie changes its result",
        Claim::Mode => "mode sensitive: the mode changes its result",
    }
}

/// A replay in words.
pub(crate) fn text(witness: &Witness, replay: &classify::witness::Replay) -> String {
    let bits = match witness.configuration.as_str() {
        "" => String::new(),
        bits => format!(", with {bits}"),
    };
    let mut lines = vec![
        format!("{} ({}), {}-bit code{bits}", instruction(witness), witness.bytes, witness.mode),
        claim(witness.claim).to_owned(),
    ];
    let state: Vec<String> = witness.state.iter().map(|(k, v)| format!("{k} = {v}")).collect();
    if !state.is_empty() {
        lines.push(format!("state: {}", state.join(", ")));
    }
    lines.push(format!("first:  {}", replay.runs[0]));
    if witness.claim != Claim::Control {
        lines.push(format!("second: {}", replay.runs[1]));
    }
    let what = if witness.claim == Claim::Control { "changed" } else { "differs" };
    lines.extend(replay.shown.iter().map(|s| format!("{what}: {s}")));
    lines.push(if replay.holds { "the claim holds" } else { "THE CLAIM DOES NOT HOLD" }.to_owned());
    lines.join("\n")
}

fn instruction(witness: &Witness) -> String {
    let form: Option<Form> = witness.form().ok();
    form.map_or_else(|| witness.code.clone(), |f| isa::disassemble(&f.bytes, witness.mode, 0).0)
}
