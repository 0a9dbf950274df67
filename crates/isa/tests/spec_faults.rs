//! Malformed files: each fault is one sentence with file, line, field and what is expected.

use isa::spec::{LoadError, SpecError, Specs};

const MANIFEST: &str = r#"name = "toy"
title = "A toy"
manual = "none"

[model]
applies = true
reason = "it is a toy"

[recursion]
possible = true
reason = "it is a toy"

[[levels]]
name = "s/u"
supervisor = "s"
user = "u"

[[bit]]
name = "UMIP"
meaning = "a bit"
"#;

const FORM: &str = r#"[[form]]
name = "HALT"
[[form.case]]
privileged = true
sensitive = ["control", "mode"]
trap = "trap"
reason = "stops"
source = "the manual"
"#;

fn toy(manifest: &str, rows: &str) -> Result<(), SpecError> {
    let mut specs = Specs::embedded();
    specs.add("toy", "isa.toml", manifest);
    specs.add("toy", "rows.toml", rows);
    outcome(&specs, "toy")
}

fn outcome(specs: &Specs, name: &str) -> Result<(), SpecError> {
    match specs.isa(name) {
        Ok(_) => Ok(()),
        Err(LoadError::Spec(e)) => Err(e),
        Err(e) => panic!("{e}"),
    }
}

/// The fault of a file is at that place, of that field, and says that.
fn fault(result: Result<(), SpecError>, place: &str, field: Option<&str>, said: &[&str]) {
    let e = result.expect_err("it is malformed");
    let text = e.to_string();
    assert!(text.starts_with(&format!("{place}: ")), "at {place}: {text}");
    assert_eq!(e.field.as_deref(), field, "{text}");
    assert!(said.iter().all(|s| text.contains(s)), "{said:?} in: {text}");
    assert!(!text.contains('\n') && text.len() < 400, "one sentence: {text}");
}

fn rows(from: &str, to: &str) -> Result<(), SpecError> {
    assert!(FORM.contains(from), "{from}");
    toy(MANIFEST, &FORM.replace(from, to))
}

fn manifest(from: &str, to: &str) -> Result<(), SpecError> {
    assert!(MANIFEST.contains(from), "{from}");
    toy(&MANIFEST.replace(from, to), FORM)
}

#[test]
fn the_toy_loads() {
    toy(MANIFEST, FORM).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn cases() {
    let at = |line: usize| format!("toy/rows.toml:{line}");
    fault(
        rows("[\"control\", \"mode\"]", "[\"contrl\"]"),
        &at(5),
        Some("sensitive"),
        &["`contrl`", "nearest is `control`"],
    );
    fault(
        rows("[\"control\", \"mode\"]", "[\"mode\", \"mode\"]"),
        &at(5),
        Some("sensitive"),
        &["at most once"],
    );
    fault(rows("sensitive", "senstive"), &at(3), Some("sensitive"), &["missing", "case"]);
    fault(rows("trap =", "tarp ="), &at(3), Some("trap"), &["is expected of a privileged one"]);
    fault(rows("trap = \"trap\"", "trap = \"trap\"\nresaon = \"x\""), &at(7), Some("resaon"), &["`reason`"]);
    fault(rows("source = \"the manual\"\n", ""), &at(3), Some("source"), &["missing"]);
    fault(rows("reason = \"stops\"\n", ""), &at(3), Some("reason"), &["missing"]);
    fault(rows("reason = \"stops\"", "reason = \"\""), &at(7), Some("reason"), &["empty"]);
    fault(rows("privileged = true\n", ""), &at(3), Some("privileged"), &["missing"]);
    fault(
        rows("privileged = true", "privileged = \"yes\""),
        &at(4),
        Some("privileged"),
        &["true or false", "a text"],
    );
    fault(
        rows("privileged = true", "privileged = false"),
        &at(3),
        Some("user_sensitive"),
        &["true or false"],
    );
    fault(rows("\"control\", \"mode\"", "\"control\""), &at(3), Some("sensitive"), &["mode is expected"]);
    let both = rows("privileged = true", "privileged = true\nuser_sensitive = true");
    fault(both, &at(3), Some("user_sensitive"), &["false is expected"]);
    let mode = FORM
        .replace("privileged = true", "privileged = false\nuser_sensitive = true")
        .replace("\"control\", ", "");
    fault(toy(MANIFEST, &mode), &at(3), Some("user_sensitive"), &["control or location"]);
}

#[test]
fn conditions() {
    let with = |when: &str| rows("[[form.case]]", &format!("[[form.case]]\nwhen = \"{when}\""));
    let at = "toy/rows.toml:4";
    fault(with("UMIP &"), at, Some("when"), &["is expected where it ends"]);
    fault(with("(UMIP"), at, Some("when"), &["`)`"]);
    fault(with("UMPI"), at, Some("when"), &["`UMPI`", "nearest is `UMIP`"]);
    fault(with(&"!".repeat(300)), at, Some("when"), &["at most"]);
    // the last case needs to be for all that is left
    fault(with("UMIP"), "toy/rows.toml:1", Some("case"), &["the last case of `HALT`", "no `when`"]);
    fault(
        toy(MANIFEST, &format!("{FORM}{}", &FORM[FORM.find("[[form.case]]").expect("a case")..])),
        "toy/rows.toml:1",
        Some("case"),
        &["the last case"],
    );
    fault(toy(MANIFEST, "[[form]]\nname = \"NOP\"\n"), "toy/rows.toml:1", Some("case"), &["the last case"]);
}

#[test]
fn tables() {
    fault(toy(MANIFEST, "[[from]]\nname = \"x\"\n"), "toy/rows.toml:1", Some("from"), &["`form`"]);
    fault(toy(MANIFEST, "form = 3\n"), "toy/rows.toml:1", Some("form"), &["list of tables", "a number"]);
    fault(toy(MANIFEST, "form = [1]\n"), "toy/rows.toml:1", Some("form"), &["list of tables"]);
    fault(toy(MANIFEST, "[[form]\n"), "toy/rows.toml:1", None, &["not TOML"]);
    fault(toy(MANIFEST, &format!("{FORM}x = \"\u{1}\"")), "toy/rows.toml:9", None, &["not TOML"]);
    fault(rows("name = \"HALT\"\n", ""), "toy/rows.toml:1", Some("name"), &["missing"]);
    fault(
        rows("name = \"HALT\"", "name = \"HALT\"\ncodes = [\"Hlt\"]"),
        "toy/rows.toml:1",
        Some("codes"),
        &["decoded"],
    );
}

#[test]
fn manifests() {
    fault(manifest("name = \"toy\"", "name = \"tyo\""), "toy/isa.toml:1", Some("name"), &["`toy`"]);
    fault(manifest("manual", "manaul"), "toy/isa.toml:1", Some("manual"), &["missing"]);
    fault(manifest("manual", "default = [\"UMPI\"]\nmanual"), "toy/isa.toml:3", Some("default"), &["`UMIP`"]);
    fault(manifest("manual", "modes = [8]\nmanual"), "toy/isa.toml:3", Some("modes"), &["16, 32 or 64"]);
    fault(
        manifest("manual", "modes = [1000]\nmanual"),
        "toy/isa.toml:3",
        Some("modes"),
        &["list of numbers"],
    );
    fault(manifest("manual", "cpu = \"pentum\"\nmanual"), "toy/isa.toml:3", Some("cpu"), &["`pentium`"]);
    fault(manifest("manual", "base = \"ia23\"\nmanual"), "toy/isa.toml:3", Some("base"), &["`ia32`"]);
    fault(
        manifest("manual", "base = \"m68010\"\nmanual"),
        "toy/isa.toml:3",
        Some("base"),
        &["without a `base`"],
    );
    fault(
        manifest("manual", "base = \"toy\"\nmanual"),
        "toy/isa.toml:3",
        Some("base"),
        &["without a `base`"],
    );
    fault(manifest("manual", "decoder = \"xed\"\nmanual"), "toy/isa.toml:3", Some("decoder"), &["iced-x86"]);
    fault(manifest("applies = true\n", ""), "toy/isa.toml:5", Some("applies"), &["missing"]);
    fault(manifest("[model]", "[modle]"), "toy/isa.toml:1", Some("model"), &["missing"]);
    fault(manifest("[[levels]]", "[[level]]"), "toy/isa.toml:1", Some("levels"), &["missing"]);
    fault(manifest("meaning", "meanin"), "toy/isa.toml:18", Some("meaning"), &["missing"]);
    fault(manifest("\"UMIP\"", "\"UM IP\""), "toy/isa.toml:19", Some("name"), &["letters and digits"]);
}

/// The specification of x86 with one file changed.
fn x86(file: &str, change: impl Fn(String) -> String) -> Result<(), SpecError> {
    let path = format!("{}/../../isa-specs/ia32/{file}", env!("CARGO_MANIFEST_DIR"));
    let before = std::fs::read_to_string(path).expect("the file");
    let after = change(before.clone());
    assert_ne!(before, after);
    let mut specs = Specs::embedded();
    specs.add("ia32", file, &after);
    outcome(&specs, "ia32")
}

fn line_of(file: &str, text: &str) -> usize {
    let path = format!("{}/../../isa-specs/ia32/{file}", env!("CARGO_MANIFEST_DIR"));
    let all = std::fs::read_to_string(path).expect("the file");
    1 + all.lines().position(|l| l.contains(text)).expect(text)
}

#[test]
fn codes_of_the_decoder() {
    let at = format!("ia32/flags.toml:{}", line_of("flags.toml", "[\"Popfw\"]"));
    let e = x86("flags.toml", |t| t.replace("[\"Popfw\"]", "[\"Popffw\"]"));
    fault(e, &at, Some("codes"), &["`Popffw`", "nearest is `Popfw`"]);
    let e = x86("flags.toml", |t| t.replace("[\"Popfw\"]", "[\"Nonsense*\"]"));
    fault(e, &at, Some("codes"), &["a name of the decoder is expected"]);
    let at = format!("ia32/identity.toml:{}", line_of("identity.toml", "[\"Cpuid\"]"));
    let e = x86("identity.toml", |t| t.replace("[\"Cpuid\"]", "[\"Cpudi\"]"));
    fault(e, &at, Some("mnemonics"), &["nearest is `Cpuid`"]);
    let e = x86("innocuous.toml", |t| t.replace("\"FPU287\"", "\"FPU278\""));
    let at = format!("ia32/innocuous.toml:{}", line_of("innocuous.toml", "\"FPU287\""));
    fault(e, &at, Some("features"), &["`FPU278`", "`FPU287`"]);
    let at = format!("ia32/innocuous.toml:{}", line_of("innocuous.toml", "\"Cmpsd_xmm*\""));
    let e = x86("innocuous.toml", |t| t.replace("\"Cmpsd_xmm*\"", "\"Hlt\""));
    fault(e, &at, Some("except"), &["one of the row's own forms"]);
    let at = format!("ia32/io.toml:{}", line_of("io.toml", "[\"In\"]") - 2);
    fault(x86("io.toml", |t| t.replace("mnemonics = [\"In\"]\n", "")), &at, Some("codes"), &["missing"]);
}

#[test]
fn every_form_once() {
    let e = x86("flags.toml", |t| t.replace("[\"Popfw\"]", "[\"Popfw\", \"Hlt\"]"));
    let at = format!("ia32/flags.toml:{}", line_of("flags.toml", "name = \"POPF\"") - 1);
    fault(e, &at, Some("codes"), &["`Hlt` in 16-bit code", "`POPF`", "`HLT`", "once is expected"]);
    let e = x86("flags.toml", |t| t.replace("codes = [\"Popfw\"]", "codes = [\"Popfw\"]\nmodes = [16, 64]"));
    fault(e, "ia32/isa.toml:0", Some("codes"), &["`Popfw` in 32-bit code", "no row or rule"]);
    let mut specs = Specs::embedded();
    specs.remove("ia32", "io.toml");
    fault(outcome(&specs, "x86-64"), "ia32/isa.toml:0", Some("codes"), &["no row or rule"]);
}

/// A rule may not make a sensitive or privileged form innocuous by catching it.
#[test]
fn rules_catch_nothing_that_needs_a_row() {
    let caught = |file: &str, row: &str, codes: &str| {
        x86(file, |t| {
            let from = t.find(&format!("[[form]]\nname = \"{row}\"")).expect(row);
            let to = t[from + 1..].find("[[form]]").map_or(t.len(), |n| from + 1 + n);
            let rule =
                format!("[[rule]]\nname = \"r\"\n{codes}\nreason = \"why not\"\nsource = \"none\"\n\n");
            // rules stand behind the forms
            format!("{}{}\n{rule}", &t[..from], &t[to..])
        })
    };
    let file = |name: &str| format!("ia32/{name}");
    for (name, row, codes, why) in [
        ("flags.toml", "POPF", "codes = [\"Popfw\"]", "the monitor interprets"),
        ("io.toml", "ENQCMDS", "mnemonics = [\"Enqcmds\"]", "the decoder calls privileged"),
        ("control.toml", "MONITOR, MWAIT", "mnemonics = [\"Monitor\", \"Mwait\"]", "the monitor interprets"),
        ("identity.toml", "RDPRU", "mnemonics = [\"Rdpru\"]", "is on the list"),
        ("fpu.toml", "XSAVE64, XSAVEOPT64, XSAVEC64", "mnemonics = [\"Xsave64\"]", "is on the list"),
        ("monitors.toml", "VMFUNC", "mnemonics = [\"Vmfunc\"]", "is on the list"),
    ] {
        let e = caught(name, row, codes).expect_err(row);
        assert!(e.file == file(name) && e.message.contains(why), "{row}: {e}");
    }
}

/// Nothing that a file says may panic: every file cut anywhere, and with a byte changed.
#[test]
fn damaged_files_are_faults() {
    for cut in 0..FORM.len() {
        let _ = toy(MANIFEST, &FORM[..cut]);
        let mut bytes = FORM.as_bytes().to_vec();
        bytes[cut] = b"\"[]=\n\xff0.#"[cut % 9];
        let _ = toy(MANIFEST, &String::from_utf8_lossy(&bytes));
    }
    for nested in ["[", "{a=", "[[", "a."] {
        let deep = format!("a = {}", nested.repeat(50_000));
        assert!(toy(MANIFEST, &deep).is_err() && toy(&deep, FORM).is_err());
    }
    for cut in 0..MANIFEST.len() {
        let _ = toy(&MANIFEST[..cut], FORM);
    }
}
