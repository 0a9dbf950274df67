//! Witness files that are none, or that somebody has changed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use classify::witness::WitnessError;
use classify::{CodeMode, Configuration, Form, Witness, derive};
use cpu::CpuModel;

fn popf() -> Witness {
    let form = Form::decode(&[0x9d], CodeMode::Bits32, CpuModel::Newest).unwrap();
    derive(&form, Configuration::default()).witnesses.remove(0)
}

fn error(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut value = serde_json::from_str(&popf().to_json().unwrap()).unwrap();
    change(&mut value);
    let read = Witness::from_json(value.to_string().as_bytes());
    let shown = read.and_then(|w| w.replay());
    shown.expect_err("a changed witness").to_string()
}

/// The witness of POPF is what the story says: at CPL 0 it sets IF, and at CPL 3 nothing happens.
#[test]
fn the_popf_story() {
    let witness = popf();
    let replay = witness.replay().unwrap();
    assert_eq!(replay.shown, ["IF"]);
    assert_eq!((witness.level.as_str(), witness.bytes.as_str()), ("supervisor", "9d"));
}

#[test]
fn fields_that_are_wrong() {
    assert!(error(|v| v["version"] = 2.into()).starts_with("version is \"2\""));
    assert!(error(|v| v["bytes"] = "9c".into()).starts_with("code is \"Popfd\", and should be Pushfd"));
    assert!(error(|v| v["bytes"] = "0".into()).starts_with("bytes is \"0\""));
    assert!(error(|v| v["bytes"] = "é9".into()).starts_with("bytes is"));
    assert!(error(|v| v["mode"] = 64.into()).starts_with("mode is \"64\""));
    assert!(
        error(|v| v["configuration"] = "VM".into()).starts_with("mode is \"32\", and should be 16 with VM")
    );
    assert!(error(|v| v["configuration"] = "UMP".into()).contains("there is no configuration bit \"UMP\""));
    assert!(error(|v| v["level"] = "root".into()).starts_with("level is \"root\""));
    assert!(error(|v| v["relocation"] = "moon".into()).starts_with("relocation is \"moon\""));
    assert!(error(|v| v["state"]["tide"] = "high".into()).starts_with("state is \"tide\""));
    assert!(error(|v| v["state"]["if"] = "high".into()).starts_with("state is \"high\", and should be 1, 0"));
    assert!(error(|v| v["more"] = 1.into()).starts_with("it is no witness: unknown field"));
}

#[test]
fn files_that_are_no_witness() {
    assert!(matches!(Witness::from_json(b"\xff\xfe{"), Err(WitnessError::Shape(_))));
    assert!(matches!(Witness::from_json(b""), Err(WitnessError::Shape(_))));
    assert!(matches!(Witness::from_json(&[b' '; 2000]), Err(WitnessError::Long(2000))));
}
