//! The specification of x86: every form is covered once, and the Pentium's verdict is Robin and Irvine's list with
//! the differences that are written down.

use isa::Code;
use isa::spec::{Configuration, Form, Holds, Isa, Pair, Specs, Theorem, prove};
use std::collections::{BTreeMap, BTreeSet};

/// A directory with other specifications: what is checked here is then checked of them.
const DIRECTORY: &str = "RINGER_SPECS";

fn load(name: &str) -> Isa {
    let specs = match std::env::var_os(DIRECTORY) {
        Some(path) => Specs::from_directory(path.as_ref()).unwrap_or_else(|e| panic!("{e}")),
        None => Specs::embedded(),
    };
    specs.isa(name).unwrap_or_else(|e| panic!("{e}"))
}

fn by_pair(isa: &Isa) -> BTreeMap<Pair, &Form> {
    isa.forms.iter().flat_map(|f| f.pairs.iter().map(move |p| (*p, f))).collect()
}

fn decodes(code: Code, mode: u8) -> bool {
    let info = code.op_code();
    match mode {
        16 => info.mode16(),
        32 => info.mode32(),
        _ => info.mode64(),
    }
}

/// What the decoder knows and is no instruction: INVALID, the four Declare pseudo-forms, zero bytes.
fn is_pseudo(code: Code) -> bool {
    let name = format!("{code:?}");
    name == "INVALID" || name == "Zero_bytes" || name.starts_with("Declare")
}

/// Pairs by mode; of them by row, sensitive, privileged, both.
fn count(isa: &Isa, mode: u8) -> [usize; 5] {
    let c = Configuration::default_of(isa);
    let mut n = [0; 5];
    for (pair, form) in by_pair(isa).iter().filter(|(p, _)| p.1 == mode) {
        let case = form.case(&c);
        assert!(decodes(pair.0, mode), "{pair:?}");
        n[0] += 1;
        n[1] += usize::from(!form.rule);
        n[2] += usize::from(!case.sensitive.is_empty());
        n[3] += usize::from(case.privileged);
        n[4] += usize::from(case.privileged && !case.sensitive.is_empty());
    }
    n
}

#[test]
fn every_pair_is_covered() {
    let (ia32, x64) = (load("ia32"), load("x86-64"));
    let mut pairs = by_pair(&ia32);
    pairs.extend(by_pair(&x64));
    let mut counted = 0;
    for code in Code::values().filter(|c| !is_pseudo(*c)) {
        for mode in [16, 32, 64].into_iter().filter(|m| decodes(code, *m)) {
            assert!(pairs.contains_key(&(code, mode)), "{code:?} in {mode}-bit code");
            counted += 1;
        }
    }
    assert_eq!(counted, 13_028);
    assert_eq!(pairs.len(), 13_028);
    assert_eq!(Code::values().filter(|c| is_pseudo(*c)).count(), 6);
}

#[test]
fn numbers() {
    let (ia32, x64) = (load("ia32"), load("x86-64"));
    let counts = [count(&ia32, 16), count(&ia32, 32), count(&x64, 64)];
    println!("pairs, by row, sensitive, privileged, both: {counts:?}");
    assert_eq!([counts[0][0], counts[1][0], counts[2][0]], [4169, 4169, 4690]);
    for n in counts {
        assert!(n[3] > 100 && n[2] > n[4], "{n:?}");
    }
}

/// What no rule may cover is a row's, whatever the loader thinks.
#[test]
fn what_the_decoder_calls_privileged_has_rows() {
    let ia32 = load("ia32");
    let pairs = by_pair(&ia32);
    let mut seen = 0;
    for (pair, form) in &pairs {
        let name = format!("{:?}", pair.0);
        let must =
            ["Monitor", "Mwait", "Vmrun", "Vmload", "Vmsave", "Stgi", "Clgi", "Skinit", "Popf", "Sgdt"];
        if must.iter().any(|m| name.starts_with(m)) {
            assert!(!form.rule, "{name}");
            seen += 1;
        }
    }
    assert!(seen > 20);
}

/// `form\tmodes` of a list, by the number of the form's column.
fn listed(text: &str, column: usize) -> BTreeSet<(String, u8)> {
    let mut out = BTreeSet::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        for mode in columns[column + 1].split(',') {
            let new = out.insert((columns[column].to_owned(), mode.parse().expect("a mode")));
            assert!(new, "{line} is there twice");
        }
    }
    out
}

const LIST: &str = include_str!("../../../isa-specs/ia32/robin-irvine.tsv");
const DIFFERENCE: &str = include_str!("../../../isa-specs/ia32/robin-irvine-difference.tsv");

fn violating(isa: &Isa, with: &str, theorem: Theorem) -> BTreeSet<(String, u8)> {
    let c = Configuration::parse(isa, with).unwrap_or_else(|e| panic!("{e}"));
    let v = prove(isa, &c, theorem);
    v.violations.iter().flat_map(|v| &v.pairs).map(|(code, mode)| (format!("{code:?}"), *mode)).collect()
}

#[test]
fn the_list_has_63_63_57_forms() {
    let list = listed(LIST, 1);
    let of = |mode| list.iter().filter(|(_, m)| *m == mode).count();
    assert_eq!([of(16), of(32), of(64)], [63, 63, 57]);
}

#[test]
fn the_pentium_is_the_list_and_the_difference() {
    let list: BTreeSet<_> = listed(LIST, 1).into_iter().filter(|(_, mode)| *mode != 64).collect();
    let side = |sign: char| {
        let lines = DIFFERENCE.lines().filter(|l| l.starts_with(sign));
        listed(&lines.collect::<Vec<_>>().join("\n"), 1)
    };
    let (more, less) = (side('+'), side('-'));
    assert!(more.is_disjoint(&list), "what is more is not on the list");
    assert!(less.is_subset(&list), "what is less is on the list");
    let expected: BTreeSet<_> = list.difference(&less).cloned().chain(more).collect();
    let found = violating(&load("ia32-pentium"), "", Theorem::Virtualizable);
    let missing: Vec<_> = expected.difference(&found).collect();
    let unexpected: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty() && unexpected.is_empty(), "missing {missing:?}, unexpected {unexpected:?}");
    for line in DIFFERENCE.lines().filter(|l| !l.starts_with('#')) {
        assert!(line.split('\t').skip(3).filter(|c| c.len() > 10).count() == 2, "reason and source: {line}");
    }
}

#[test]
fn the_modified_machine_is_virtualizable() {
    for name in ["ia32-pentium", "ia32", "x86-64"] {
        let isa = load(name);
        for theorem in Theorem::ALL {
            assert!(!violating(&isa, "", theorem).is_empty(), "{name}");
            let c = Configuration::parse(&isa, "TRAPCRITICAL").expect("a bit");
            let v = prove(&isa, &c, theorem);
            assert_eq!(v.holds, Holds::Yes, "{name}: {:?}", v.violations);
        }
    }
}

/// Real bits and the lab's groups together do what the one bit does, and each of them is needed.
#[test]
fn the_groups_are_complete() {
    let isa = load("ia32-pentium");
    let all = "UMIP,TSD,TRAPFLAGS,TRAPSEGMENTS,TRAPTRANSFERS,TRAPTABLES,TRAPFPU";
    assert!(violating(&isa, all, Theorem::Virtualizable).is_empty());
    for left in all.split(',').filter(|b| *b != "UMIP") {
        let rest: Vec<&str> = all.split(',').filter(|b| *b != left).collect();
        assert!(!violating(&isa, &rest.join(","), Theorem::Virtualizable).is_empty(), "without {left}");
    }
}

fn broken(isa: &Isa, with: &str, theorem: Theorem) -> impl Fn(&str) -> bool + use<> {
    let found = violating(isa, with, theorem);
    move |form: &str| found.iter().any(|(f, _)| f == form)
}

#[test]
fn configurations_decide() {
    use Theorem::{Hybrid, Virtualizable};
    let (ia32, x64) = (load("ia32"), load("x86-64"));
    let bare = broken(&ia32, "", Virtualizable);
    let umip = broken(&ia32, "UMIP", Virtualizable);
    for form in ["Sgdt_m1632", "Sidt_m1632", "Sldt_rm16", "Str_rm16", "Smsw_rm16"] {
        assert!(bare(form) && !umip(form), "{form}");
    }
    for form in
        ["Lar_r32_r32m16", "Verr_rm16", "Popfd", "Pushfd", "Call_m1632", "Iretd", "Int_imm8", "Int3", "Cpuid"]
    {
        assert!(bare(form) && umip(form), "{form}");
    }
    for form in ["Lgdt_m1632", "Mov_cr_r32", "Hlt", "In_AL_DX", "Cli", "Rdpmc", "Invlpg_m", "Vmrund", "Mwait"]
    {
        assert!(!bare(form), "{form}");
    }
    let iopl = broken(&ia32, "IOPL3", Virtualizable);
    for form in ["In_AL_DX", "Out_DX_AL", "Insb_m8_DX", "Outsb_DX_m8", "Cli", "Sti"] {
        assert!(iopl(form), "{form}");
    }
    assert!(broken(&ia32, "IOBITMAP", Virtualizable)("In_AL_DX"));
    assert!(!broken(&ia32, "IOBITMAP", Virtualizable)("Cli"));
    assert!(broken(&ia32, "PVI", Virtualizable)("Cli") && !broken(&ia32, "PVI", Hybrid)("Cli"));
    assert!(bare("Rdtsc") && !broken(&ia32, "TSD", Virtualizable)("Rdtsc"));
    assert!(
        !broken(&ia32, "TSD", Virtualizable)("Rdtscp") && !broken(&ia32, "TSD", Virtualizable)("Umwait_r32")
    );
    assert!(broken(&ia32, "PCE", Virtualizable)("Rdpmc"));
    assert!(!broken(&ia32, "CPUIDFAULT", Virtualizable)("Cpuid"));
    assert!(bare("Xgetbv") && !broken(&ia32, "!OSXSAVE", Virtualizable)("Xgetbv"));
    assert!(bare("Fxsave_m512byte") && !broken(&ia32, "NOFCS", Virtualizable)("Fxsave_m512byte"));
    let long = broken(&x64, "", Virtualizable);
    assert!(long("Rdfsbase_r64") && !broken(&x64, "!FSGSBASE", Virtualizable)("Rdfsbase_r64"));
    assert!(long("Syscall") && long("Rdpid_r64") && !long("Fxsave64_m512byte"));
    assert!(broken(&x64, "FFXSR", Virtualizable)("Fxsave64_m512byte"));
}

#[test]
fn virtual_8086_mode() {
    use Theorem::{Hybrid, Virtualizable};
    let ia32 = load("ia32-pentium");
    let v86 = broken(&ia32, "VM", Virtualizable);
    for form in ["Pushfw", "Popfw", "Iretw", "Cli", "Sti", "Str_rm16", "Lar_r16_rm16", "In_AL_DX", "Pushw_CS"]
    {
        assert!(!v86(form), "{form}");
    }
    for form in ["Mov_Sreg_rm16", "Int_imm8", "Sgdt_m1632", "Call_ptr1616", "Fldenv_m14byte"] {
        assert!(v86(form), "{form}");
    }
    let io = broken(&ia32, "VM,IOPL3", Virtualizable);
    assert!(io("Pushfw") && io("Iretd") && io("Cli") && !io("In_AL_DX"), "V86 asks the bitmap, not IOPL");
    let vme = broken(&ia32, "VM,VME", Virtualizable);
    assert!(vme("Pushfw") && vme("Popfw") && vme("Iretw") && vme("Cli"));
    assert!(!vme("Pushfd") && !vme("Popfd") && !vme("Iretd"), "VME is for the 16-bit forms");
    // what is left for a hybrid monitor of V86 tasks, as DOS boxes were
    let left: BTreeSet<_> = violating(&ia32, "VM,TSD", Hybrid).into_iter().map(|(f, _)| f).collect();
    let left: Vec<_> = left.iter().map(String::as_str).collect();
    assert_eq!(
        left,
        ["Sgdt_m1632", "Sgdt_m1632_16", "Sidt_m1632", "Sidt_m1632_16", "Smsw_r32m16", "Smsw_rm16"]
    );
}

#[test]
fn x86_64_does_without_the_bits_of_v86() {
    let e = Configuration::parse(&load("x86-64"), "VM").expect_err("long mode has no V86");
    assert!(e.to_string().contains("`VM`"), "{e}");
    let e = Configuration::parse(&load("ia32"), "UMPI").expect_err("no such bit");
    assert_eq!(e.nearest, ["UMIP"]);
}

#[test]
fn repairs_name_bits() {
    let isa = load("ia32-pentium");
    let v = prove(&isa, &Configuration::default_of(&isa), Theorem::Virtualizable);
    assert_eq!(v.repair.len(), v.violations.len());
    let bits = |name: &str| {
        let r = v.repair.iter().find(|r| r.name == name).unwrap_or_else(|| panic!("{name}"));
        r.bits.clone()
    };
    assert_eq!(bits("RDTSC"), ["TSD", "TRAPIDENTITY", "TRAPCRITICAL"]);
    assert_eq!(bits("SGDT, SIDT"), ["UMIP", "TRAPTABLES", "TRAPCRITICAL"]);
    assert_eq!(bits("POPF"), ["TRAPFLAGS", "TRAPCRITICAL"]);
}

/// The class of a form in 32-bit code, or 16-bit code with `VM`.
fn class(isa: &Isa, form: &str, with: &str) -> String {
    let c = Configuration::parse(isa, with).unwrap_or_else(|e| panic!("{e}"));
    let mode = if c.has("VM") { 16 } else { 32 };
    let named = |p: &Pair| p.1 == mode && format!("{:?}", p.0) == form;
    let row = isa.forms.iter().find(|f| f.pairs.iter().any(named)).unwrap_or_else(|| panic!("{form}"));
    let case = row.case(&c);
    let mut words: Vec<&str> = case.sensitive.iter().map(|k| k.name()).collect();
    words.extend(case.user_sensitive.then_some("user"));
    words.extend(case.privileged.then(|| case.trap.as_deref().unwrap_or("no trap")));
    words.join(" ")
}

/// What Ringer's models have not, or do without effect, so that nothing can be derived: from the manual.
#[test]
fn what_no_model_shows() {
    let isa = load("ia32");
    for (form, with, expected) in [
        // Intel SDM vol. 2A, CPUID; Pentium Processor Family Developer's Manual vol. 3
        ("Cpuid", "", "location user"),
        ("Cpuid", "CPUIDFAULT", "location mode #GP(0)"),
        ("Cpuid", "FIXEDID", ""),
        ("Cpuid", "CPUIDFAULT,FIXEDID", "location mode #GP(0)"),
        // Intel SDM vol. 2B, RDPMC: counters that count
        ("Rdpmc", "", "location mode #GP(0)"),
        ("Rdpmc", "PCE", "location user"),
        // Intel SDM vol. 2A, INVD; vol. 2D, WBINVD: caches that hold something
        ("Invd", "", "control mode #GP(0)"),
        ("Wbinvd", "", "control mode #GP(0)"),
        ("Wbnoinvd", "", "control mode #GP(0)"),
        // Intel SDM vol. 1, 8.1.8 and 8.1.10: FCS, and images of real mode
        ("Fnstenv_m28byte", "", "mode"),
        ("Fnstenv_m28byte", "NOFCS", ""),
        ("Fnstenv_m14byte", "VM", "mode"),
        ("Fnstenv_m14byte", "VM,NOFCS", "mode"),
        ("Fnsave_m108byte", "", "mode"),
        ("Fnsave_m108byte", "NOFCS", ""),
        ("Fnsave_m94byte", "VM", "mode"),
        ("Fnsave_m94byte", "VM,NOFCS", "mode"),
        ("Fxsave_m512byte", "", "mode"),
        ("Fxsave_m512byte", "NOFCS", ""),
        ("Fxsave_m512byte", "VM", ""),
        ("Fxsave_m512byte", "VM,NOFCS", ""),
        // Intel SDM vol. 1, 13.5.1: the legacy region of XSAVE as FXSAVE has it
        ("Xsave_mem", "", "location mode user"),
        ("Xsave_mem", "NOFCS", "location user"),
        ("Xsave_mem", "VM", "location user"),
        ("Xsave_mem", "VM,NOFCS", "location user"),
        ("Xsave_mem", "VM,!OSXSAVE", ""),
        ("Xsave_mem", "NOFCS,!OSXSAVE", ""),
        // Intel SDM vol. 3B, 8086 emulation: selectors are paragraphs
        ("Pushw_CS", "VM", ""),
        ("Pushd_CS", "", "mode"),
        ("Mov_rm16_Sreg", "VM", ""),
        ("Mov_r32m16_Sreg", "", "mode"),
        // Intel SDM vol. 2B, SYSENTER and SYSEXIT: a null IA32_SYSENTER_CS
        ("Sysenter", "", "control location user"),
        ("Sysenter", "!SYSENTER", ""),
        ("Sysenter", "VM,REAL", "control location mode user"),
        ("Sysenter", "VM,REAL,!SYSENTER", ""),
        ("Sysexitd", "", "control mode #GP(0)"),
        ("Sysexitd", "!SYSENTER", ""),
    ] {
        assert_eq!(class(&isa, form, with), expected, "{form} with {with:?}");
    }
}

/// Ports have real bits, and the lab has no group for what is newer than it.
const UNGROUPED: [&str; 6] = ["IN", "OUT", "INS", "OUTS", "ENQCMD", "ENCLU"];

/// With each choice of the real bits, TRAPCRITICAL repairs everything, and one of the lab's groups each single
/// instruction.
#[test]
fn every_violation_has_its_group() {
    let isa = load("ia32");
    for with in [
        "",
        "IOPL3",
        "PVI",
        "PCE",
        "IOBITMAP",
        "NOFCS",
        "VM",
        "VM,IOPL3",
        "VM,VME",
        "VM,VME,IOPL3",
        "VM,IOBITMAP",
    ] {
        let c = Configuration::parse(&isa, with).expect("bits");
        let v = prove(&isa, &c, Theorem::Virtualizable);
        assert!(!v.repair.is_empty(), "{with}");
        for r in &v.repair {
            let lab: Vec<&String> = r.bits.iter().filter(|b| b.starts_with("TRAP")).collect();
            assert!(lab.iter().any(|b| *b == "TRAPCRITICAL"), "{} with {with:?}: {lab:?}", r.name);
            let expected = if UNGROUPED.contains(&r.name.as_str()) { 1 } else { 2 };
            assert_eq!(lab.len(), expected, "{} with {with:?}: {lab:?}", r.name);
        }
    }
}

/// Intel SDM vol. 2A, INT n, and vol. 3B, 8086 emulation: below IOPL 3 V86 mode gets #GP(0), else it is the
/// gate's DPL that counts.
#[test]
fn what_int_traps_with() {
    let isa = load("ia32");
    let row = isa.forms.iter().find(|f| f.name == "INT n").expect("a row");
    for (with, refused) in [("", false), ("IOPL3", false), ("VME", false), ("VM", true), ("VM,IOPL3", false)]
    {
        let c = Configuration::parse(&isa, with).expect("bits");
        assert_eq!(row.case(&c).trap.as_deref() == Some("#GP(0)"), refused, "{with:?}");
    }
}
