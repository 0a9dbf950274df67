//! The verdicts that the literature knows, and that the files in the program are those of the directory.

use isa::spec::{Configuration, Holds, Isa, LoadError, Specs, Theorem, Verdict, prove, prove_levels};
use std::path::Path;

fn load(name: &str) -> Isa {
    Specs::embedded().isa(name).unwrap_or_else(|e| panic!("{e}"))
}

fn ask(name: &str, with: &str, theorem: Theorem) -> Verdict {
    let isa = load(name);
    let c = Configuration::parse(&isa, with).unwrap_or_else(|e| panic!("{e}"));
    prove(&isa, &c, theorem)
}

fn names(v: &Verdict) -> Vec<&str> {
    v.violations.iter().map(|v| v.name.as_str()).collect()
}

const ALL: [&str; 14] = [
    "aarch64",
    "armv7",
    "ia32",
    "ia32-pentium",
    "m68000",
    "m68010",
    "mips",
    "pdp10",
    "riscv",
    "riscv-h",
    "s370",
    "vax",
    "x86-64",
    "x86-vtx",
];

#[test]
fn every_isa_loads() {
    let specs = Specs::embedded();
    assert_eq!(specs.names().collect::<Vec<_>>(), ALL);
    for name in ALL {
        let isa = load(name);
        assert_eq!(isa.name, name);
        assert!(!isa.levels.is_empty() && (!isa.forms.is_empty() || !isa.exits.is_empty()), "{name}");
    }
}

#[test]
fn the_program_has_the_files_of_the_directory() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
    let read = Specs::from_directory(&directory).unwrap_or_else(|e| panic!("{e}"));
    assert!(read == Specs::embedded(), "a file of isa-specs is not in spec/embedded.rs");
}

#[test]
fn holds() {
    for name in ["s370", "m68010", "riscv", "riscv-h", "aarch64"] {
        for theorem in Theorem::ALL {
            let v = ask(name, "", theorem);
            assert_eq!(v.holds, Holds::Yes, "{name}: {:?}", names(&v));
            assert!(v.violations.is_empty() && v.repair.is_empty() && v.unmet.is_none());
        }
    }
}

#[test]
fn fails() {
    for name in ["vax", "m68000", "armv7", "pdp10", "ia32", "ia32-pentium", "x86-64"] {
        for theorem in [Theorem::Virtualizable, Theorem::Recursive] {
            assert_eq!(ask(name, "", theorem).holds, Holds::No, "{name}");
        }
    }
}

/// What a hybrid monitor is left with: only where user mode itself sees or changes the machine does it fail.
#[test]
fn hybrid_monitors() {
    let holding = ["aarch64", "m68010", "pdp10", "riscv", "riscv-h", "s370"];
    for name in ALL.into_iter().filter(|n| !["mips", "x86-vtx"].contains(n)) {
        let v = ask(name, "", Theorem::Hybrid);
        assert_eq!(v.holds == Holds::Yes, holding.contains(&name), "{name}: {:?}", names(&v));
        assert!(v.violations.iter().all(|v| v.user_sensitive), "{name}");
    }
    assert_eq!(names(&ask("armv7", "", Theorem::Hybrid)), ["MRS of CPSR"]);
    assert_eq!(names(&ask("vax", "", Theorem::Hybrid)), ["PROBER, PROBEW"]);
}

#[test]
fn not_applicable() {
    for (name, why) in [("mips", "kseg0"), ("x86-vtx", "adds a mode")] {
        for theorem in Theorem::ALL {
            match ask(name, "", theorem).holds {
                Holds::NotApplicable(reason) => assert!(reason.contains(why), "{reason}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
    assert!(load("x86-vtx").exits.iter().any(|e| e.name == "CPUID" && e.control.is_none()));
    assert!(load("x86-vtx").exits.iter().any(|e| e.name == "HLT" && e.control.is_some()));
}

/// Section 8 of the paper: the PDP-10 has no virtual machine monitor, but a hybrid one.
#[test]
fn pdp10() {
    let v = ask("pdp10", "", Theorem::Virtualizable);
    assert!(names(&v).contains(&"JRST 1"), "{:?}", names(&v));
    assert!(!names(&v).contains(&"JRST 4 (HALT)"));
    assert_eq!(ask("pdp10", "", Theorem::Hybrid).holds, Holds::Yes);
    assert_eq!(ask("pdp10", "USERIO", Theorem::Hybrid).holds, Holds::No);
    assert_eq!(ask("pdp10", "TRAPCRITICAL", Theorem::Virtualizable).holds, Holds::Yes);
}

#[test]
fn the_68000_fails_by_one() {
    assert_eq!(names(&ask("m68000", "", Theorem::Virtualizable)), ["MOVE from SR"]);
    assert_eq!(ask("m68000", "M68010", Theorem::Virtualizable).holds, Holds::Yes);
    assert_eq!(ask("m68000", "", Theorem::Virtualizable).repair[0].bits, ["M68010"]);
}

#[test]
fn the_vax_and_its_repair() {
    let v = ask("vax", "", Theorem::Virtualizable);
    assert_eq!(names(&v), ["CHMK, CHME, CHMS, CHMU", "REI", "MOVPSL", "PROBER, PROBEW"]);
    assert_eq!(ask("vax", "VVAX", Theorem::Virtualizable).holds, Holds::Yes);
}

#[test]
fn aarch64_has_a_verdict_a_pair() {
    let isa = load("aarch64");
    let of = |with| {
        let c = Configuration::parse(&isa, with).expect("bits");
        let v = prove_levels(&isa, &c, Theorem::Virtualizable);
        v.into_iter().map(|v| (v.levels.clone(), v)).collect::<Vec<_>>()
    };
    let pairs = of("");
    assert_eq!((pairs[0].0.as_str(), &pairs[0].1.holds), ("EL1/EL0", &Holds::Yes));
    assert_eq!((pairs[1].0.as_str(), &pairs[1].1.holds), ("EL2/EL1", &Holds::No));
    assert!(names(&pairs[1].1).contains(&"MRS CurrentEL"));
    assert!(names(&pairs[1].1).contains(&"ERET, ERETAA, ERETAB"));
    let nested = of("NV");
    assert!(
        !names(&nested[1].1).contains(&"MRS CurrentEL")
            && !names(&nested[1].1).contains(&"ERET, ERETAA, ERETAB")
    );
    assert_eq!(names(&of("!DZE")[0].1), ["MRS DCZID_EL0"]);
    // the bit of the pair asks for it by itself as well
    assert_eq!(ask("aarch64", "EL2EL1", Theorem::Virtualizable).levels, "EL2/EL1");
}

#[test]
fn risc_v_by_pair() {
    let isa = load("riscv");
    let verdicts = prove_levels(&isa, &Configuration::default_of(&isa), Theorem::Virtualizable);
    let of: Vec<_> = verdicts.iter().map(|v| (v.levels.as_str(), v.holds == Holds::Yes)).collect();
    assert_eq!(of, [("S/U", true), ("M/U", true), ("M/S", false)]);
    assert_eq!(ask("riscv", "COUNTEREN", Theorem::Virtualizable).holds, Holds::No);
    let left = ask("riscv", "MS,TVM,TSR", Theorem::Virtualizable);
    assert_eq!(left.violations.len(), 1, "sstatus and the like stay: {:?}", names(&left));
}

/// A monitor with timing dependencies stops theorem 2 and nothing else.
#[test]
fn theorem_2_needs_a_monitor_without_timing() {
    let mut specs = Specs::embedded();
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs/s370/isa.toml"));
    let text = text.expect("the manifest").replace("possible = true", "possible = false");
    specs.add("s370", "isa.toml", &text);
    let isa = specs.isa("s370").unwrap_or_else(|e| panic!("{e}"));
    let c = Configuration::default_of(&isa);
    assert_eq!(prove(&isa, &c, Theorem::Virtualizable).holds, Holds::Yes);
    let v = prove(&isa, &c, Theorem::Recursive);
    assert_eq!(v.holds, Holds::No);
    assert!(v.unmet.is_some() && v.violations.is_empty());
}

#[test]
fn unknown_names() {
    match Specs::embedded().isa("ia23") {
        Err(LoadError::Unknown(e)) => assert_eq!(e.nearest, ["ia32"]),
        other => panic!("{other:?}"),
    }
    assert!(Specs::from_directory(Path::new("/nowhere/at/all")).is_err());
    assert_eq!(Theorem::from_number(2), Some(Theorem::Recursive));
    assert_eq!(Theorem::from_number(4), None);
}

/// Every case says why and where from, and what is not sensitive is not user sensitive.
#[test]
fn cases_are_complete() {
    for name in ALL {
        for form in &load(name).forms {
            for case in &form.cases {
                assert!(case.reason.len() > 5 && case.source.len() > 5, "{name}: {}", form.name);
                assert!(
                    !case.user_sensitive || !case.sensitive.is_empty() && !case.privileged,
                    "{}",
                    form.name
                );
                assert!(!case.privileged || case.trap.is_some(), "{name}: {}", form.name);
            }
            assert!(form.cases.last().is_some_and(|c| c.when.is_none()));
        }
    }
}

/// Rows that nothing is derived for: what their manuals say of modes, held against the files.
#[test]
fn held_against_the_manuals() {
    let says = |isa: &str, with: &str, form: &str| {
        let isa = load(isa);
        let c = Configuration::parse(&isa, with).unwrap_or_else(|e| panic!("{e}"));
        let form = isa.forms.iter().find(|f| f.name.starts_with(form)).unwrap_or_else(|| panic!("{form}"));
        let case = form.case(&c);
        let kinds: Vec<_> = case.sensitive.iter().map(|k| k.name()).collect();
        let privileged = if case.privileged { "privileged " } else { "" };
        format!("{privileged}{} {}", kinds.join(","), case.trap.as_deref().unwrap_or("-"))
    };
    // SDM vol. 2A, ERETS and LKGS; vol. 2B, PCONFIG: #UD above CPL 0
    assert_eq!(says("x86-64", "", "ERETU"), "privileged control,mode #UD");
    assert_eq!(says("x86-64", "", "LKGS"), "privileged control,mode #UD");
    assert_eq!(says("ia32", "", "PCONFIG"), "privileged control,mode #UD");
    // vol. 2A, AESENC128KL: a handle for CPL 0 alone sets ZF elsewhere; ENCODEKEY128 does not ask for CPL
    assert_eq!(says("ia32", "KL", "AESENC128KL"), "location,mode -");
    assert_eq!(says("ia32", "KL", "ENCODEKEY128"), "location -");
    // vol. 2A, INCSSPD; vol. 2D, WRSSD: not recognized in real and virtual-8086 mode
    for form in ["INCSSP", "WRSS"] {
        assert_eq!(says("ia32", "CET,VM", form), "privileged mode #UD");
        assert_eq!(says("ia32", "CET,VM,REAL", form), " #UD");
        assert!(!says("ia32", "CET", form).contains("mode"), "{form}");
    }
    // DDI 0487, HCR_EL2.TDZ; VPIDR_EL2; SCTLR_EL1.EnIA and SCTLR_EL2.EnIA
    assert_eq!(says("aarch64", "EL2EL1", "MRS DCZID_EL0"), "location,mode -");
    assert_eq!(says("aarch64", "EL2EL1", "MRS of the identification"), "location,mode -");
    assert_eq!(says("aarch64", "PAUTH,EL2EL1", "PACIA"), "location,mode -");
    assert_eq!(says("aarch64", "PAUTH", "PACIA"), "location -");
    assert!(says("aarch64", "EL2EL1", "SVC").starts_with("control,mode"));
}
