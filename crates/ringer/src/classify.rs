//! `ringer classify`: the class of an instruction, of bytes, or of all forms.

use clap::Args;
use classify::catalogue::{Entry, catalogue, specified, word};
use classify::witness::hexadecimal;
use classify::{Class, Witness};
use isa::Code;
use isa::spec::{Configuration, Isa, LoadError, Specs, UnknownName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  ringer classify popf                       by its name, in 32-bit code
  ringer classify --bytes 0f01e0             SMSW EAX, by its bytes
  ringer classify sgdt --config UMIP         with a bit of the configuration set
  ringer classify pushf --mode 16 --config VM     in virtual-8086 mode
  ringer classify --all --mode 32 --json     every form, for programs
  ringer classify --html matrix.html         every form by configuration, coloured, for a browser
  ringer prove ia32 --bits                   the configuration bits

A class is derived from what the instruction does where Ringer executes it, and comes from the specification
elsewhere; `basis` tells which. Sensitive ones come with a witness, which ringer replay runs.

Exit codes: 0 answered; 2 there is no such instruction, mode or configuration bit.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Classify {
    /// The instruction, as the manual names it
    #[arg(value_name = "NAME", required_unless_present_any = ["bytes", "all", "html"])]
    name: Option<String>,
    /// Its bytes, in hexadecimal
    #[arg(long, value_name = "HEX", conflicts_with_all = ["name", "all"])]
    bytes: Option<String>,
    /// Every form of the decoder
    #[arg(long, conflicts_with = "name")]
    all: bool,
    /// The size of code: 32 if not given, and every one with --all
    #[arg(long, value_name = "16|32|64", value_parser = parse_mode)]
    mode: Option<u8>,
    /// Bits of the configuration that are set, or behind ! cleared
    #[arg(long, value_name = "A,!B", default_value = "")]
    config: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write the matrix of all forms by configuration, as a page for a browser
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "bytes", "all", "json", "config"])]
    html: Option<PathBuf>,
}

pub(crate) fn parse_mode(text: &str) -> Result<u8, String> {
    match text {
        "16" => Ok(16),
        "32" => Ok(32),
        "64" => Ok(64),
        _ => Err("expected 16, 32 or 64".to_owned()),
    }
}

/// Why there is no answer: what was asked for is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskedWrong {
    #[error(transparent)]
    Name(#[from] UnknownName),
    #[error("{0:?} are not the bytes of one instruction of {1}-bit code, in hexadecimal")]
    Bytes(String, u8),
    #[error(transparent)]
    Specification(#[from] LoadError),
}

/// The specification that covers a size of code.
pub(crate) fn specification(mode: u8) -> Result<Isa, LoadError> {
    Specs::embedded().isa(if mode == 64 { "x86-64" } else { "ia32" })
}

/// Answers on standard output.
pub(crate) fn run(arguments: &Classify) -> anyhow::Result<ExitCode> {
    if let Some(file) = &arguments.html {
        crate::matrix::write(file, arguments.mode.unwrap_or(32))?;
        return Ok(ExitCode::SUCCESS);
    }
    match answer(arguments) {
        Ok(text) => {
            crate::tell(&text);
            Ok(ExitCode::SUCCESS)
        }
        Err(wrong) => Ok(crate::refuse(&format!("{wrong}; see ringer classify --help"))),
    }
}

fn answer(arguments: &Classify) -> Result<String, AskedWrong> {
    let modes: &[u8] = match arguments.mode {
        Some(16) => &[16],
        Some(64) => &[64],
        None if arguments.all => &[16, 32, 64],
        _ => &[32],
    };
    let mut values = Vec::new();
    let mut text = String::new();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for mode in modes {
        let isa = specification(*mode)?;
        let configuration = Configuration::parse(&isa, &arguments.config)?;
        let wanted = wanted(arguments, &isa, *mode)?;
        for entry in
            catalogue(&isa, &configuration, *mode, &|code| wanted.as_ref().is_none_or(|w| w.contains(&code)))
        {
            *counts.entry((entry.basis.name(), entry.word())).or_default() += 1;
            match arguments.json {
                true => values.push(value(&entry)),
                false if arguments.all => line(&mut text, &entry),
                false => paragraph(&mut text, &entry, &isa),
            }
        }
    }
    if arguments.all && !arguments.json {
        summary(&mut text, &counts);
    }
    Ok(if arguments.json { Value::from(values).to_string() } else { text })
}

/// The forms asked for; `None`: all of them.
fn wanted(arguments: &Classify, isa: &Isa, mode: u8) -> Result<Option<Vec<Code>>, AskedWrong> {
    if let Some(text) = &arguments.bytes {
        let digits: String = text.split_ascii_whitespace().collect();
        let bytes = hexadecimal(&digits);
        let found = bytes.and_then(|b| isa::identify(&b, mode.into()).filter(|(_, len)| *len == b.len()));
        let (code, _) = found.ok_or_else(|| AskedWrong::Bytes(text.chars().take(40).collect(), mode))?;
        return Ok(Some(vec![code]));
    }
    match &arguments.name {
        Some(name) => Ok(Some(named(isa, name, mode)?)),
        None => Ok(None),
    }
}

/// The forms of a mode that have a name: as a mnemonic, or in the name of a row of the specification.
pub(crate) fn named(isa: &Isa, name: &str, mode: u8) -> Result<Vec<Code>, UnknownName> {
    let asked = name.trim();
    let pairs = || isa.forms.iter().flat_map(|f| &f.pairs).filter(|(_, m)| *m == mode).map(|(code, _)| *code);
    let mnemonic = |code: &Code| format!("{:?}", code.mnemonic());
    let alike = |c: &Code| sizes(&mnemonic(c)).eq_ignore_ascii_case(asked);
    let mut codes: Vec<Code> =
        pairs().filter(|c| mnemonic(c).eq_ignore_ascii_case(asked) || alike(c)).collect();
    if codes.is_empty() {
        let words = |f: &&isa::spec::Form| {
            let mut words = f.name.split(", ");
            f.name.eq_ignore_ascii_case(asked) || words.any(|w| w.eq_ignore_ascii_case(asked))
        };
        let rows = isa.forms.iter().filter(|f| !f.rule).filter(words);
        codes = rows.flat_map(|f| &f.pairs).filter(|(_, m)| *m == mode).map(|(code, _)| *code).collect();
    }
    if codes.is_empty() {
        let known: std::collections::BTreeSet<String> =
            pairs().map(|c| mnemonic(&c).to_lowercase()).collect();
        return Err(UnknownName::new("instruction", &asked.to_lowercase(), known.iter().map(String::as_str)));
    }
    Ok(codes)
}

/// The name that the manual's page has for an instruction of several operand sizes.
fn sizes(mnemonic: &str) -> &str {
    match mnemonic {
        "Pushfd" | "Pushfq" => "pushf",
        "Popfd" | "Popfq" => "popf",
        "Iretd" | "Iretq" => "iret",
        "Pushad" => "pusha",
        "Popad" => "popa",
        "Sysexitq" => "sysexit",
        "Sysretq" => "sysret",
        other => other,
    }
}

/// The cases of a form whose conditions a machine can meet: none that only a hypothetical bit sets.
pub(crate) fn real_cases<'a>(
    form: &'a isa::spec::Form,
    isa: &'a Isa,
) -> impl Iterator<Item = &'a isa::spec::Case> {
    let hypothetical = |name: &str| isa.bits.iter().any(|b| b.hypothetical && b.name == name);
    let possible = move |when: &isa::spec::Expr| !when.names().into_iter().any(hypothetical);
    form.cases.iter().filter(move |c| c.when.as_ref().is_some_and(&possible))
}

/// The class of each of the specification's conditions.
fn conditions(entry: &Entry<'_>) -> Vec<Value> {
    let condition = |case: &isa::spec::Case| {
        let class = specified(case);
        json!({
            "when": case.when.as_ref().map(ToString::to_string), "class": word(class), "kinds": class.kinds(),
            "user_sensitive": class.user, "trap": case.trap, "reason": case.reason, "source": case.source,
        })
    };
    entry.form.cases.iter().map(condition).collect()
}

fn value(entry: &Entry<'_>) -> Value {
    json!({
        "code": format!("{:?}", entry.code),
        "mode": entry.mode,
        "name": entry.form.name,
        "class": entry.word(),
        "kinds": entry.class.kinds(),
        "user_sensitive": entry.class.user,
        "basis": entry.basis.name(),
        "conditions": conditions(entry),
        "witness": entry.witnesses.first(),
    })
}

/// How many of which class, and on what they rest.
fn summary(out: &mut String, counts: &BTreeMap<(&str, &str), usize>) {
    let all: usize = counts.values().sum();
    let _ = writeln!(out, "{all} forms");
    for ((basis, class), n) in counts {
        let _ = writeln!(out, "{n:6} {basis:9}  {class}");
    }
}

fn line(out: &mut String, entry: &Entry<'_>) {
    let code = format!("{:?}", entry.code);
    let _ = writeln!(out, "{code:40} {}  {:9}  {}", entry.mode, entry.basis.name(), entry.class);
}

fn paragraph(out: &mut String, entry: &Entry<'_>, isa: &Isa) {
    line(out, entry);
    let Class { user, .. } = entry.class;
    let _ = writeln!(out, "    {}{}", entry.case.reason, if user { " (user sensitive)" } else { "" });
    let _ = writeln!(out, "    {}", entry.case.source);
    for case in real_cases(entry.form, isa) {
        let when = case.when.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(out, "    with {when}: {}", specified(case));
    }
    for json in entry.witnesses.iter().filter_map(|w: &Witness| w.to_json().ok()) {
        let _ = writeln!(out, "    witness: {json}");
    }
}
