//! The specification files as parts of the program. A test holds the list against the directory.

macro_rules! files {
    ($($folder:literal: $($file:literal)+;)+) => {
        /// Folder, file, text.
        pub(super) const FILES: &[(&str, &str, &str)] = &[
            $($((
                $folder,
                concat!($file, ".toml"),
                include_str!(concat!("../../../../isa-specs/", $folder, "/", $file, ".toml")),
            ),)+)+
        ];
    };
}

files! {
    "ia32": "isa" "control" "descriptors" "flags" "fpu" "identity" "innocuous" "io" "monitors" "protection"
        "segments" "transfers" "vendor";
    "ia32-pentium": "isa";
    "x86-64": "isa";
    "x86-vtx": "isa" "exits";
    "s370": "isa" "control" "general" "io";
    "pdp10": "isa" "general" "io" "jrst" "transfers";
    "vax": "isa" "control";
    "m68000": "isa" "control";
    "m68010": "isa" "control";
    "mips": "isa" "control";
    "armv7": "isa" "status" "system";
    "aarch64": "isa" "registers" "system";
    "riscv": "isa" "privileged" "user";
    "riscv-h": "isa" "hypervisor";
}
