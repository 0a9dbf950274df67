//! `ringer prove`: the theorems of Popek and Goldberg over the specifications of instruction sets.

use clap::Args;
use isa::spec::{Configuration, Holds, Isa, LoadError, Specs, Theorem, Verdict, prove, prove_levels};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  ringer prove                               the instruction sets
  ringer prove ia32-pentium                  theorem 1, in the default configuration
  ringer prove x86-64 --with UMIP,TSD        with two bits set; !NAME clears one
  ringer prove ia32 --with VM                user mode is virtual-8086 mode
  ringer prove pdp10 --theorem 3             a hybrid monitor
  ringer prove aarch64 --bits                the configuration bits and what they mean
  ringer prove vax --json                    for programs

Theorem 1: a virtual machine monitor can be built if every sensitive instruction is privileged.
Theorem 2: it is recursively virtualizable if so, and a monitor without timing dependencies exists.
Theorem 3: a hybrid monitor can be built if every user sensitive instruction is privileged.

Exit codes: 0 the question was answered, whatever the answer; 1 the specifications cannot be read;
2 there is no such instruction set or configuration bit, or a specification is malformed.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Prove {
    /// The instruction set; without one they are listed
    #[arg(value_name = "ISA")]
    isa: Option<String>,
    /// Configuration bits that are set, or behind ! cleared, beyond the default ones
    #[arg(long, value_name = "A,!B", default_value = "", requires = "isa")]
    with: String,
    /// Which theorem's condition
    #[arg(long, value_name = "1|2|3", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    theorem: u8,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// List the configuration bits instead
    #[arg(long, requires = "isa")]
    bits: bool,
    /// A directory like isa-specs, instead of the specifications within the program
    #[arg(long, value_name = "DIR")]
    specs: Option<PathBuf>,
}

/// Answers on standard output.
pub(crate) fn run(arguments: &Prove) -> anyhow::Result<ExitCode> {
    match answer(arguments) {
        Ok(text) => {
            crate::tell(&text);
            Ok(ExitCode::SUCCESS)
        }
        Err(LoadError::Unknown(name)) => Ok(crate::refuse(&format!("{name}; see ringer prove --help"))),
        Err(LoadError::Spec(fault)) => Ok(crate::refuse(&fault.to_string())),
        Err(other) => Err(other.into()),
    }
}

fn answer(arguments: &Prove) -> Result<String, LoadError> {
    let specs = match &arguments.specs {
        Some(directory) => Specs::from_directory(directory)?,
        None => Specs::embedded(),
    };
    let Some(name) = &arguments.isa else { return list(&specs, arguments.json) };
    let isa = specs.isa(name)?;
    let configuration = Configuration::parse(&isa, &arguments.with)?;
    if arguments.bits {
        return Ok(if arguments.json { bits_json(&isa).to_string() } else { bits(&isa) });
    }
    let theorem = Theorem::from_number(arguments.theorem).unwrap_or(Theorem::Virtualizable);
    let verdict = prove(&isa, &configuration, theorem);
    let others = prove_levels(&isa, &configuration, theorem);
    let others: Vec<Verdict> = others.into_iter().filter(|v| v.levels != verdict.levels).collect();
    Ok(if arguments.json { json(&isa, &verdict, &others).to_string() } else { text(&isa, &verdict, &others) })
}

fn list(specs: &Specs, as_json: bool) -> Result<String, LoadError> {
    let isas = specs.names().map(|n| specs.isa(n)).collect::<Result<Vec<Isa>, LoadError>>()?;
    if as_json {
        let all: Vec<Value> = isas.iter().map(|i| json!({"isa": i.name, "title": i.title})).collect();
        return Ok(Value::from(all).to_string());
    }
    Ok(isas.iter().map(|i| format!("{:13} {}\n", i.name, i.title)).collect())
}

fn bits(isa: &Isa) -> String {
    let line = |b: &isa::spec::Bit| {
        let mark = if isa.default.contains(&b.name) { "+" } else { " " };
        let lab = if b.hypothetical { " (hypothetical)" } else { "" };
        format!("{mark} {:14} {}{lab}\n", b.name, b.meaning)
    };
    isa.bits.iter().map(line).collect::<String>() + "+ is set by default"
}

fn bits_json(isa: &Isa) -> Value {
    let bit = |b: &isa::spec::Bit| {
        let default = isa.default.contains(&b.name);
        json!({"name": b.name, "meaning": b.meaning, "hypothetical": b.hypothetical, "default": default})
    };
    json!({"isa": isa.name, "bits": isa.bits.iter().map(bit).collect::<Vec<_>>()})
}

/// true, false, or null where the question does not apply.
fn holds(v: &Verdict) -> Value {
    match v.holds {
        Holds::Yes => Value::Bool(true),
        Holds::No => Value::Bool(false),
        Holds::NotApplicable(_) => Value::Null,
    }
}

fn json(isa: &Isa, v: &Verdict, others: &[Verdict]) -> Value {
    let violation = |x: &isa::spec::Violation| {
        let forms: Vec<Value> =
            x.pairs.iter().map(|(code, mode)| json!({"form": format!("{code:?}"), "mode": mode})).collect();
        json!({
            "name": x.name, "forms": forms, "kinds": x.kinds.iter().map(|k| k.name()).collect::<Vec<_>>(),
            "user_sensitive": x.user_sensitive, "reason": x.reason, "source": x.source, "checked": x.checked,
        })
    };
    let exit = |e: &isa::spec::Exit| json!({"name": e.name, "control": e.control, "reason": e.reason, "source": e.source});
    let other = |v: &Verdict| {
        let names: Vec<&str> = v.violations.iter().map(|x| x.name.as_str()).collect();
        json!({"levels": v.levels, "configuration": v.configuration, "holds": holds(v), "violations": names})
    };
    let reason = match &v.holds {
        Holds::NotApplicable(reason) => Some(reason),
        _ => v.unmet.as_ref(),
    };
    json!({
        "isa": v.isa,
        "theorem": v.theorem.number(),
        "levels": v.levels,
        "configuration": v.configuration,
        "holds": holds(v),
        "reason": reason,
        "violations": v.violations.iter().map(violation).collect::<Vec<_>>(),
        "repair": v.repair.iter().map(|r| json!({"name": r.name, "bits": r.bits})).collect::<Vec<_>>(),
        "other_levels": others.iter().map(other).collect::<Vec<_>>(),
        "exits": isa.exits.iter().map(exit).collect::<Vec<_>>(),
    })
}

fn condition(t: Theorem) -> &'static str {
    match t {
        Theorem::Virtualizable => "every sensitive instruction is privileged",
        Theorem::Recursive => {
            "every sensitive instruction is privileged, and a monitor without timing dependencies exists"
        }
        Theorem::Hybrid => "every user sensitive instruction is privileged",
    }
}

/// "holds", or how it does not.
fn outcome(v: &Verdict) -> String {
    let count = match v.violations.len() {
        0 => String::new(),
        1 => ": 1 instruction breaks it".to_owned(),
        n => format!(": {n} instructions break it"),
    };
    match &v.holds {
        Holds::Yes => "holds".to_owned(),
        Holds::No => format!("does not hold{count}"),
        Holds::NotApplicable(reason) => format!("not applicable: {reason}"),
    }
}

fn text(isa: &Isa, v: &Verdict, others: &[Verdict]) -> String {
    let configuration =
        if v.configuration.is_empty() { "none".to_owned() } else { v.configuration.join(", ") };
    let mut out = format!(
        "{}: {}\nLevels {}; bits set: {configuration}\nTheorem {} ({}): {}\n",
        v.isa,
        isa.title,
        v.levels,
        v.theorem.number(),
        condition(v.theorem),
        outcome(v)
    );
    if let Some(unmet) = &v.unmet {
        let _ = writeln!(out, "A monitor without timing dependencies cannot be built: {unmet}");
    }
    for x in &v.violations {
        let kinds: Vec<&str> = x.kinds.iter().map(|k| k.name()).collect();
        let user = if x.user_sensitive { ", user sensitive" } else { "" };
        let doubt = if x.checked { "" } else { " (not checked)" };
        let _ = write!(
            out,
            "\n{} [{}{user}]\n    {}\n    {}{doubt}\n",
            x.name,
            kinds.join(", "),
            x.reason,
            x.source
        );
    }
    repair(&mut out, v);
    for e in &isa.exits {
        let when = e.control.as_ref().map_or("always".to_owned(), |c| format!("with {c}"));
        let _ = write!(out, "\n{} exits {when}: {}", e.name, e.reason);
    }
    for o in others {
        let _ =
            write!(out, "\nBetween {} (bits: {}) it {}", o.levels, o.configuration.join(", "), outcome(o));
    }
    out
}

fn repair(out: &mut String, v: &Verdict) {
    if v.repair.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nRepair: each of these has to trap in user mode, and no other");
    for r in &v.repair {
        let bits = if r.bits.is_empty() { "no bit does it".to_owned() } else { r.bits.join(" or ") };
        let _ = writeln!(out, "  {} ({bits})", r.name);
    }
}
