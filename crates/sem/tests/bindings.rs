//! The total map: `isa-specs/ia32/bindings.tsv` names the binding of every form that the decoder
//! knows, and the code agrees with it. `RINGER_UPDATE=1` writes the file anew.

use isa::{Code, CpuModel};
use sem::{Binding, binding};
use std::fmt::Write;
use std::path::PathBuf;

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs/ia32/bindings.tsv")
}

fn table() -> String {
    let mut text =
        "# form\tbinding\troutine; every form of the decoder, see isa-specs/README.md\n".to_owned();
    for code in Code::values() {
        let line = match binding(code) {
            Binding::Innocuous => format!("{code:?}\tinnocuous\t"),
            Binding::Sensitive(r) => format!("{code:?}\tsensitive\t{r:?}"),
            Binding::Unimplemented => format!("{code:?}\tunimplemented\t"),
        };
        writeln!(text, "{}", line.trim_end()).expect("a String takes every write");
    }
    text
}

#[test]
fn the_map_is_total_and_as_written_down() {
    let now = table();
    if std::env::var_os("RINGER_UPDATE").is_some() {
        std::fs::write(file(), &now).expect("isa-specs is writable");
    }
    let written = std::fs::read_to_string(file()).expect("isa-specs/ia32/bindings.tsv");
    let differing: Vec<_> = now.lines().zip(written.lines()).filter(|(a, b)| a != b).take(5).collect();
    assert!(differing.is_empty() && now.lines().count() == written.lines().count(), "{differing:?}");
}

/// Forms of the models that are left out, each with its reason.
const LEFT_OUT: &[(&str, &str)] = &[
    ("Frstpm", "80287XL alone: leaves its protected mode, which nothing else of it shows"),
    ("Fnstdw_AX", "80387SL alone: stores a device word that no other FPU has"),
    ("Fnstsg_AX", "80387SL alone: stores its signature"),
    ("Fstdw_AX", "80387SL alone"),
    ("Fstsg_AX", "80387SL alone"),
    ("Loadall286", "80286 alone and undocumented"),
    ("Loadallreset286", "80286 alone and undocumented"),
    ("Loadall386", "80386 alone and undocumented"),
    ("Storeall", "80286 in-circuit emulation, undocumented"),
    ("Xbts_r16_rm16", "80386 A0 stepping alone"),
    ("Xbts_r32_rm32", "80386 A0 stepping alone"),
    ("Ibts_rm16_r16", "80386 A0 stepping alone"),
    ("Ibts_rm32_r32", "80386 A0 stepping alone"),
    ("Rdudbg", "undocumented debugging of a chip that is no model here"),
    ("Wrudbg", "undocumented debugging of a chip that is no model here"),
    ("DeclareWord", "no instruction"),
    ("DeclareDword", "no instruction"),
    ("DeclareQword", "no instruction"),
    ("Zero_bytes", "no instruction"),
];

#[test]
fn every_form_of_the_models_is_bound() {
    let models = CpuModel::ALL.map(|(_, m)| m);
    let missing: Vec<String> = Code::values()
        .filter(|&c| c != Code::INVALID && c != Code::DeclareByte && models.iter().any(|m| m.has(c)))
        .filter(|&c| c.op_code().mode16() || c.op_code().mode32())
        .filter(|&c| binding(c) == Binding::Unimplemented)
        .map(|c| format!("{c:?}"))
        .filter(|name| !LEFT_OUT.iter().any(|(n, _)| n == name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
