//! `ringer replay`: a witness, run again.

use anyhow::Context;
use clap::Args;
use classify::witness::{Claim, MOST_BYTES, WitnessError};
use classify::{Form, Witness};
use serde_json::{Value, json};
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use testkit::host_witness::{self, Answer};
use testkit::kvm_witness::{self, Said};

const EXAMPLES: &str = "\
Examples:
  ringer classify popf --json | jq -c '.[0].witness' > popf.json
  ringer replay popf.json                    what it shows
  ringer replay - < popf.json                from standard input
  ringer replay --kvm popf.json              what KVM makes of both states

Where a program can be put in the witness's first state the host's CPU is asked as well, in 32-bit code at CPL 3. With
--kvm a virtual machine is put into each state, of whatever mode; where the host has no hardware for it KVM's own emulator
answers.

Exit codes: 0 the witness shows what it claims; 1 it does not, or cannot be read; 2 it is no witness.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Replay {
    /// The witness's file; - is standard input
    #[arg(value_name = "WITNESS")]
    file: PathBuf,
    /// Ask KVM as well, about both states
    #[arg(long)]
    kvm: bool,
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
    match told(&bytes, arguments) {
        Ok((holds, text)) => {
            crate::tell(&text);
            Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) })
        }
        Err(wrong) => Ok(crate::refuse(&format!("{name}: {wrong}"))),
    }
}

fn told(bytes: &[u8], arguments: &Replay) -> Result<(bool, String), WitnessError> {
    let witness = Witness::from_json(bytes.trim_ascii())?;
    let replay = witness.replay()?;
    let host = host_witness::ask(&witness)?;
    let kvm = arguments.kvm.then(|| kvm_witness::ask(&witness)).transpose()?;
    let text = if arguments.json {
        let mut told = json!({
            "holds": replay.holds, "runs": replay.runs, "shown": replay.shown, "host": answer_json(&host)
        });
        if let Some(kvm) = &kvm {
            told["kvm"] = kvm_json(kvm);
        }
        told.to_string()
    } else {
        let mut lines = vec![text(&witness, &replay), hosts(&host)];
        lines.extend(kvm.iter().flat_map(kvms));
        lines.join("\n")
    };
    Ok((replay.holds, text))
}

fn answer_json(answer: &Answer) -> Value {
    match answer {
        Answer::Agrees(what) => json!({"agrees": true, "host": what}),
        Answer::Differs { model, host } => json!({"agrees": false, "model": model, "host": host}),
        Answer::Unasked(why) => json!({"agrees": null, "why": why}),
    }
}

fn kvm_json(said: &Result<Said, String>) -> Value {
    match said {
        Ok(said) => {
            let states: Vec<Value> = said.answers.iter().map(answer_json).collect();
            json!({"who": said.who, "states": states})
        }
        Err(why) => json!({"who": null, "why": why}),
    }
}

/// What the host has answered, in words.
fn hosts(answer: &Answer) -> String {
    match answer {
        Answer::Agrees(what) => format!("the host agrees about the first: it {what}"),
        Answer::Differs { model, host } => format!("THE HOST DIFFERS: {host}, where the model has {model}"),
        Answer::Unasked(why) => format!("the host was not asked: {why}"),
    }
}

/// What KVM has answered, in words.
fn kvms(said: &Result<Said, String>) -> Vec<String> {
    let said = match said {
        Ok(said) => said,
        Err(why) => return vec![format!("KVM was not asked: {why}")],
    };
    let line = |(which, answer): (&str, &Answer)| match answer {
        Answer::Agrees(what) => format!("{} agrees about the {which}: it {what}", said.who),
        Answer::Differs { model, host } => {
            format!("{} DIFFERS about the {which}: {host}, where the model has {model}", said.who)
        }
        Answer::Unasked(why) => format!("{} has no opinion of the {which}: {why}", said.who),
    };
    ["first", "second"].into_iter().zip(&said.answers).map(line).collect()
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
