//! Any text in the place of a specification file is refused in one sentence, or used.
#![no_main]

use isa::spec::{Configuration, Specs, Theorem, prove};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let files = [
        ("m68000", "isa.toml"),
        ("m68000", "control.toml"),
        ("x86-vtx", "exits.toml"),
        ("ia32", "flags.toml"),
    ];
    for (folder, file) in files {
        let mut specs = Specs::embedded();
        specs.add(folder, file, text);
        match specs.isa(folder) {
            Ok(isa) => {
                let configuration = Configuration::default_of(&isa);
                Theorem::ALL.into_iter().for_each(|t| drop(prove(&isa, &configuration, t)));
            }
            Err(e) => assert_eq!(e.to_string().lines().count(), 1),
        }
    }
});
