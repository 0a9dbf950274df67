//! `ringer explain`: one instruction from every side.

use crate::classify::{AskedWrong, named, parse_mode, real_cases, specification};
use clap::Args;
use classify::catalogue::{Entry, catalogue};
use isa::spec::{Configuration, Exit, Isa, Specs};
use std::fmt::Write as _;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  ringer explain popf                        POPF, and its form with 32-bit operands
  ringer explain sgdt --config UMIP          where UMIP makes it trap
  ringer explain int3 --mode 16

Exit codes: 0 answered; 2 there is no such instruction, mode or configuration bit.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    /// The instruction, as the manual names it
    #[arg(value_name = "NAME")]
    name: String,
    /// The size of code
    #[arg(long, value_name = "16|32|64", value_parser = parse_mode, default_value = "32")]
    mode: u8,
    /// Bits of the configuration that are set, or behind ! cleared
    #[arg(long, value_name = "A,!B", default_value = "")]
    config: String,
}

/// Explains on standard output.
pub(crate) fn run(arguments: &Explain) -> anyhow::Result<ExitCode> {
    match answer(arguments) {
        Ok(text) => {
            crate::tell(&text);
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong) => Ok(crate::refuse(&format!("{wrong}; see ringer explain --help"))),
    }
}

fn answer(arguments: &Explain) -> Result<String, AskedWrong> {
    let isa = specification(arguments.mode)?;
    let configuration = Configuration::parse(&isa, &arguments.config)?;
    let codes = named(&isa, &arguments.name, arguments.mode)?;
    let exits = Specs::embedded().isa("x86-vtx")?.exits;
    let entries = catalogue(&isa, &configuration, arguments.mode, &|code| codes.contains(&code));
    let mut out = String::new();
    let mut told: Vec<&str> = Vec::new();
    for entry in &entries {
        // one form of a row is enough
        if !told.contains(&entry.form.name.as_str()) {
            told.push(&entry.form.name);
            explain(&mut out, entry, &isa, &exits);
        }
    }
    Ok(out)
}

fn explain(out: &mut String, entry: &Entry<'_>, isa: &Isa, exits: &[Exit]) {
    let form = entry.form;
    let _ = writeln!(out, "{} ({:?}, {}-bit code)", form.name, entry.code, entry.mode);
    let _ = writeln!(out, "\n  {} ({})", entry.class, entry.basis.name());
    let _ = writeln!(out, "  Why: {}.\n  Source: {}.", entry.case.reason, entry.case.source);
    let fields = [("Reads", &form.reads), ("Writes", &form.writes), ("Takes", &form.operands)];
    for (name, field) in fields.into_iter().filter_map(|(n, f)| f.as_ref().map(|f| (n, f))) {
        let _ = writeln!(out, "  {name}: {field}.");
    }
    for case in real_cases(form, isa) {
        let when = case.when.as_ref().map(ToString::to_string).unwrap_or_default();
        let class = classify::catalogue::specified(case);
        let _ = writeln!(out, "  With {when}: {class}: {}.", case.reason);
    }
    for witness in &entry.witnesses {
        if let Ok(replay) = witness.replay() {
            let _ = writeln!(out, "\n  Witness");
            crate::replay::text(witness, &replay).lines().for_each(|l| {
                let _ = writeln!(out, "    {l}");
            });
        }
    }
    let _ = writeln!(out, "\n  What each strategy does with it");
    for (strategy, does) in strategies(entry, exits) {
        let _ = writeln!(out, "    {strategy:18} {does}");
    }
    out.push('\n');
}

/// The strategies by which a guest may be run, and what becomes of the instruction.
fn strategies(entry: &Entry<'_>, exits: &[Exit]) -> Vec<(&'static str, String)> {
    let sensitive = entry.class.sensitive();
    let traps = entry.class.privileged;
    let routine = isa::routine(entry.code);
    let emulated = match routine {
        Some(routine) => {
            format!("leaves the innocuous code; the monitor's interpreter of {routine:?} does it")
        }
        None => "is innocuous code, evaluated or compiled".to_owned(),
    };
    let deprivileged = match (sensitive, traps) {
        (true, false) if entry.case.trap.is_some() => {
            "traps, but not as on the bare machine: the monitor has to find out what was meant"
        }
        (_, true) => "traps, and the monitor's interpreter does it on the virtual state",
        (true, false) => {
            "runs on the real state and does not trap: the guest sees or does what it should not"
        }
        (false, false) => "runs directly, and does the same as on the bare machine",
    };
    let rewritten = match (sensitive, traps) {
        (true, false) => "has to be replaced by a hypercall in the guest's source",
        (_, true) => "may stay and trap; a hypercall is cheaper",
        (false, false) => "stays as it is",
    };
    vec![
        ("interpretation", emulated.clone()),
        ("compilation", emulated),
        ("trap and emulate", deprivileged.to_owned()),
        ("paravirtual", rewritten.to_owned()),
        ("VT-x", hardware(entry, exits)),
    ]
}

/// What the guest's hardware mode does.
fn hardware(entry: &Entry<'_>, exits: &[Exit]) -> String {
    let words = |name: &str| name.split([',', '/']).map(|w| w.trim().to_uppercase()).collect::<Vec<_>>();
    let own = words(&entry.form.name);
    let mnemonic = format!("{:?}", entry.code.mnemonic()).to_uppercase();
    let exit = exits.iter().find(|e| words(&e.name).iter().any(|w| own.contains(w) || *w == mnemonic));
    match exit {
        Some(Exit { control: None, reason, .. }) => format!("exits to the monitor, always: {reason}"),
        Some(Exit { control: Some(control), .. }) => {
            format!("exits to the monitor with {control}; else it runs on the guest's own state")
        }
        None if entry.class.sensitive() => "runs on the guest's own copy of the state".to_owned(),
        None => "runs directly".to_owned(),
    }
}
