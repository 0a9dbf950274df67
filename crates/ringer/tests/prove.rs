//! `ringer prove`: verdicts for people and for programs, and what is asked wrongly.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, output, refused};
use serde_json::Value;
use std::path::Path;

fn text(arguments: &[&str]) -> String {
    let out = output(arguments);
    assert_eq!(out.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stderr.is_empty());
    String::from_utf8(out.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["prove"].iter().chain(arguments).chain(&["--json"]).copied().collect();
    serde_json::from_str(&text(&all)).unwrap()
}

#[test]
fn the_pentium() {
    let v = json(&["ia32-pentium"]);
    assert_eq!((&v["isa"], &v["theorem"], &v["holds"]), (&"ia32-pentium".into(), &1.into(), &false.into()));
    let violations = v["violations"].as_array().unwrap();
    let popf = violations.iter().find(|x| x["name"] == "POPF").unwrap();
    assert_eq!(popf["kinds"], serde_json::json!(["control", "mode"]));
    assert!(popf["source"].as_str().unwrap().contains("POPF") && popf["reason"].is_string());
    assert_eq!(v["repair"].as_array().unwrap().len(), violations.len());
    let told = text(&["prove", "ia32-pentium"]);
    for words in ["does not hold", "POPF [control, mode", "Repair: ", "RDTSC (TSD or "] {
        assert!(told.contains(words), "{words} in {told}");
    }
}

#[test]
fn everything_that_traps_turns_the_verdict() {
    let v = json(&["ia32-pentium", "--with", "TRAPCRITICAL"]);
    assert_eq!((&v["holds"], &v["reason"]), (&true.into(), &Value::Null));
    assert!(v["violations"].as_array().unwrap().is_empty() && v["repair"].as_array().unwrap().is_empty());
    assert!(text(&["prove", "s370"]).contains(": holds"));
    let named = json(&["ia32", "--with", "umip, tsd"])["configuration"].to_string();
    assert!(named.contains("UMIP") && named.contains("TSD"), "{named}");
}

#[test]
fn theorems() {
    assert_eq!(json(&["pdp10"])["holds"], false);
    assert_eq!(json(&["pdp10", "--theorem", "3"])["holds"], true);
    assert_eq!(json(&["m68010", "--theorem", "2"])["holds"], true);
    refused(&["prove", "pdp10", "--theorem", "4"], 2, &["4", "1..=3"]);
}

#[test]
fn what_does_not_apply_is_null_with_a_reason() {
    let v = json(&["mips"]);
    assert!(v["holds"].is_null() && v["reason"].as_str().unwrap().contains("kseg0"));
    assert!(text(&["prove", "x86-vtx"]).contains("CPUID exits always"));
}

#[test]
fn pairs_of_levels() {
    let v = json(&["aarch64"]);
    assert_eq!((&v["levels"], &v["holds"]), (&"EL1/EL0".into(), &true.into()));
    assert_eq!(
        (&v["other_levels"][0]["levels"], &v["other_levels"][0]["holds"]),
        (&"EL2/EL1".into(), &false.into())
    );
    assert_eq!(json(&["aarch64", "--with", "EL2EL1"])["levels"], "EL2/EL1");
}

#[test]
fn lists() {
    let all = text(&["prove"]);
    assert!(all.lines().count() == 14 && all.contains("ia32-pentium") && all.contains("riscv-h"), "{all}");
    assert!(text(&["prove", "ia32", "--bits"]).contains("CR4.UMIP"));
    assert!(text(&["prove", "--help"]).contains("ringer prove x86-64 --with UMIP,TSD"));
}

#[test]
fn unknown_names() {
    refused(&["prove", "ia23"], 2, &["`ia23`", "nearest is `ia32`"]);
    refused(&["prove", "ia32", "--with", "UMPI"], 2, &["`UMPI`", "nearest is `UMIP`"]);
    refused(&["prove", "x86-64", "--with", "VM"], 2, &["`VM`"]);
    refused(&["prove", "--with", "UMIP"], 2, &["ISA"]);
}

/// The specifications of a directory, and one of them malformed.
#[test]
fn specs_of_a_directory() {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
    let files = Files::new();
    let folder = files.0.path().join("m68000");
    std::fs::create_dir(&folder).unwrap();
    for file in ["isa.toml", "control.toml"] {
        std::fs::copy(specs.join("m68000").join(file), folder.join(file)).unwrap();
    }
    let directory = files.0.path().display().to_string();
    assert_eq!(json(&["m68000", "--specs", &directory])["holds"], false);
    refused(&["prove", "vax", "--specs", &directory], 2, &["`vax`"]);
    let rows = std::fs::read_to_string(folder.join("control.toml")).unwrap();
    std::fs::write(folder.join("control.toml"), rows.replacen("privileged = true", "privilegd = true", 1))
        .unwrap();
    refused(&["prove", "m68000", "--specs", &directory], 2, &["m68000/control.toml:", "privileged"]);
    refused(&["prove", "m68000", "--specs", "/nowhere/at/all"], 1, &["/nowhere/at/all"]);
}
