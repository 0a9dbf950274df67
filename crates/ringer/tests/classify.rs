//! `ringer classify`, `explain` and `replay`.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

mod common;

use common::{Files, output, refused};
use serde_json::Value;

fn text(arguments: &[&str]) -> String {
    let out = output(arguments);
    assert_eq!(out.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stderr.is_empty());
    String::from_utf8(out.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Vec<Value> {
    let all: Vec<&str> = ["classify"].iter().chain(arguments).chain(&["--json"]).copied().collect();
    serde_json::from_str(&text(&all)).unwrap()
}

fn class(arguments: &[&str]) -> String {
    let found = json(arguments);
    assert!(!found.is_empty(), "{arguments:?}");
    let class = found[0]["class"].as_str().unwrap().to_owned();
    assert!(found.iter().all(|f| f["class"] == class.as_str()), "{found:?}");
    class
}

#[test]
fn by_name_and_by_bytes() {
    assert_eq!(class(&["popf"]), "sensitive");
    assert_eq!(json(&["popf"]).len(), 2, "with 16 and with 32 bits");
    assert_eq!(class(&["lgdt"]), "privileged");
    assert_eq!(class(&["ADD"]), "innocuous");
    assert_eq!(class(&["--bytes", "0f 01 e0"]), "sensitive");
    assert_eq!(class(&["--bytes", "0f01e0", "--config", "umip"]), "privileged");
    assert_eq!(class(&["pushf", "--mode", "16", "--config", "VM"]), "privileged");
    let wide = &json(&["--bytes", "62f17c4858c0", "--mode", "64"])[0];
    assert_eq!((&wide["basis"], &wide["class"]), (&"specified".into(), &"innocuous".into()));
    let told = text(&["classify", "sgdt"]);
    assert!(
        told.contains("unprivileged; location sensitive")
            && told.contains("with UMIP: privileged")
            && !told.contains("TRAPTABLES"),
        "{told}"
    );
}

/// Every pair of a form and a mode, each once, with all that the interface promises.
#[test]
fn all_of_them() {
    let all = json(&["--all"]);
    assert_eq!(all.len(), 13_028);
    let of_mode = |mode: u64| all.iter().filter(|e| e["mode"] == mode).count();
    assert_eq!((of_mode(16), of_mode(32), of_mode(64)), (4169, 4169, 4690));
    for e in &all {
        assert!(e["code"].is_string() && e["conditions"].is_array() && e.get("witness").is_some(), "{e}");
        let class = e["class"].as_str().unwrap();
        assert!(matches!(class, "privileged" | "sensitive" | "innocuous"), "{e}");
        let derived = e["basis"] == "derived";
        let unprivileged = class == "sensitive";
        assert!(!(derived && unprivileged && e["witness"].is_null()), "{e}");
    }
    let derived = all.iter().filter(|e| e["basis"] == "derived").count();
    assert!(derived > 2200, "{derived}");
}

/// Each witness that the program gives out is one that it takes.
#[test]
fn witnesses_replay() {
    let files = Files::new();
    let witnesses: Vec<Value> = json(&["--all", "--mode", "32"])
        .into_iter()
        .map(|e| e["witness"].clone())
        .filter(|w| !w.is_null())
        .collect();
    assert!(witnesses.len() > 100, "{}", witnesses.len());
    for (n, witness) in witnesses.iter().enumerate() {
        let file = files.put(&format!("{n}.json"), witness.to_string().as_bytes());
        assert!(text(&["replay", &file]).contains("the claim holds\nthe host "), "{witness}");
    }
    let file = files.put("one.json", witnesses[0].to_string().as_bytes());
    let told: Value = serde_json::from_str(&text(&["replay", &file, "--json"])).unwrap();
    assert_eq!(told["holds"], true);
    let host = &told["host"];
    assert!(host["agrees"] == true || host["agrees"].is_null() && host["why"].is_string(), "{host}");
}

/// With --kvm there is a line about each state, or one that says why KVM was not asked; a state of CPL 0 is no obstacle.
#[test]
fn kvm_is_asked_when_told_to() {
    let files = Files::new();
    let witness = json(&["clts"])[0]["witness"].clone();
    let file = files.put("clts.json", witness.to_string().as_bytes());
    assert!(!text(&["replay", &file]).contains("KVM"));
    let said = text(&["replay", "--kvm", &file]);
    let asked = said.contains(" agrees about the first: it completes");
    assert!(
        asked || said.contains("\nKVM was not asked: ") || said.contains(" has no opinion of "),
        "{said}"
    );
    let told: Value = serde_json::from_str(&text(&["replay", "--kvm", "--json", &file])).unwrap();
    let kvm = &told["kvm"];
    assert!(kvm["who"].is_string() && kvm["states"].is_array() || kvm["why"].is_string(), "{kvm}");
}

#[test]
fn what_is_no_witness() {
    let files = Files::new();
    let file = files.put("bad.json", b"{\"version\":1}");
    refused(&["replay", &file], 2, &["bad.json", "it is no witness", "missing field"]);
    let long = files.put("long.json", &[b'x'; 4096]);
    refused(&["replay", &long], 2, &["long.json", "1024 at most"]);
    refused(&["replay", &files.absent("none.json")], 1, &["none.json"]);
}

#[test]
fn what_is_not_there() {
    refused(&["classify", "poppf"], 2, &["poppf", "popf"]);
    refused(&["classify", "--bytes", "9d9d"], 2, &["9d9d", "one instruction"]);
    refused(&["classify", "--bytes", "xyz"], 2, &["xyz"]);
    refused(&["classify", "popf", "--config", "UMPI"], 2, &["UMPI", "UMIP"]);
    refused(&["classify", "popf", "--mode", "48"], 2, &["48", "16, 32 or 64"]);
    refused(&["classify"], 2, &["NAME"]);
    refused(&["explain", "hitl"], 2, &["hitl", "hlt"]);
}

#[test]
fn explanations() {
    let told = text(&["explain", "popf"]);
    for words in ["POPF (Popfw", "POPFD, POPFQ (Popfd", "changed: IF", "trap and emulate", "does not trap"] {
        assert!(told.contains(words), "{words} in {told}");
    }
    let told = text(&["explain", "cpuid"]);
    assert!(told.contains("exits to the monitor, always"), "{told}");
    let told = text(&["explain", "add"]);
    assert!(told.contains("runs directly, and does the same"), "{told}");
}

/// CLI, STI, PUSHF and an ADD from the reset vector on.
#[test]
fn a_guests_profile() {
    let files = Files::new();
    let mut rom = vec![0xf4u8; 0x1_0000];
    rom[0xfff0..0xfff6].copy_from_slice(&[0xfa, 0xfb, 0x9c, 0xfa, 0x01, 0xc0]);
    let (rom, profile) = (files.put("rom.bin", &rom), files.absent("profile.json"));
    text(&["run", "--headless", "--rom", &rom, "--instructions", "5", "--classify", &profile]);
    let told: Value = serde_json::from_slice(&std::fs::read(&profile).unwrap()).unwrap();
    assert_eq!(told["instructions"], 5);
    assert_eq!(told["classes"], serde_json::json!({"innocuous": 1, "privileged": 3, "sensitive": 1}));
    let cli = &told["sensitive"][0];
    assert_eq!((&cli["code"], &cli["mode"], &cli["times"]), (&"Cli".into(), &"real".into(), &2.into()));
    let sites = serde_json::json!([{"linear": "fffffff0", "times": 1}, {"linear": "fffffff3", "times": 1}]);
    assert_eq!(cli["sites"], sites);
    let nowhere = files.absent("no/such/place.json");
    refused(
        &["run", "--headless", "--rom", &rom, "--instructions", "5", "--classify", &nowhere],
        1,
        &["place.json"],
    );
}

/// The lessons are listed, told, and refused where there is none.
#[test]
fn lessons() {
    let list = text(&["lab"]);
    assert!(list.lines().count() >= 10 && list.contains("recursion"), "{list}");
    let told = text(&["lab", "popf"]);
    assert!(told.contains("POPF") && told.contains("\nAnswer: "), "{told}");
    assert_eq!(text(&["lab", "popf", "--question"]).lines().count(), 3);
    refused(&["lab", "recusion"], 2, &["recusion", "recursion"]);
}
