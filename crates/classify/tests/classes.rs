//! What is derived is what the literature says: Robin and Irvine's list, the manual's privileged instructions, and
//! what each bit of the configuration changes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use classify::derive::{Certificate, applies, in_parallel, lattice, starts};
use classify::{Class, CodeMode, Configuration, Derivation, Form, derive, forms};
use cpu::CpuModel;
use isa::Routine as R;

fn form(bytes: &[u8], mode: CodeMode) -> Form {
    Form::decode(bytes, mode, CpuModel::Newest).unwrap()
}

fn derived(bytes: &[u8], configuration: &str) -> Derivation {
    let configuration = Configuration::parse(configuration).unwrap();
    let mode = if configuration.has(Configuration::VM) { CodeMode::Bits16 } else { CodeMode::Bits32 };
    derive(&form(bytes, mode), configuration)
}

fn class(bytes: &[u8], configuration: &str) -> Class {
    derived(bytes, configuration).class
}

fn kinds(bytes: &[u8], configuration: &str) -> (bool, String) {
    let class = class(bytes, configuration);
    (class.privileged, class.kinds().join(" "))
}

/// Robin and Irvine (2000), section 4, and by which of the definitions: of a form of each.
#[test]
fn robin_and_irvine() {
    let list: [(&str, &[u8], &str); 24] = [
        ("sgdt", &[0x0f, 0x01, 0x03], "location"),
        ("sidt", &[0x0f, 0x01, 0x0b], "location"),
        ("sldt", &[0x0f, 0x00, 0xc0], "location"),
        ("smsw", &[0x0f, 0x01, 0xe0], "location"),
        ("pushf", &[0x9c], "location"),
        ("popf", &[0x9d], "control mode"),
        ("lar", &[0x0f, 0x02, 0xc0], "location mode"),
        ("lsl", &[0x0f, 0x03, 0xc0], "location mode"),
        ("verr", &[0x0f, 0x00, 0xe0], "location mode"),
        ("verw", &[0x0f, 0x00, 0xe8], "location mode"),
        ("pop ds", &[0x1f], "control location mode"),
        ("pop ss", &[0x17], "control location mode"),
        ("push cs", &[0x0e], "mode"),
        ("push ss", &[0x16], "mode"),
        ("call far", &[0x9a, 0, 0, 0, 0, 0, 0], "control mode"),
        ("call far [ebx]", &[0xff, 0x1b], "control mode"),
        ("jmp far", &[0xea, 0, 0, 0, 0, 0, 0], "control mode"),
        ("int n", &[0xcd, 0], "mode"),
        ("ret far", &[0xcb], "control mode"),
        ("iret", &[0xcf], "control mode"),
        ("str", &[0x0f, 0x00, 0xc8], "location"),
        ("mov eax, cs", &[0x8c, 0xc8], "mode"),
        ("mov ds, eax", &[0x8e, 0xd8], "control location mode"),
        ("mov ss, eax", &[0x8e, 0xd0], "control location mode"),
    ];
    for (name, bytes, expected) in list {
        assert_eq!(kinds(bytes, ""), (false, expected.to_owned()), "{name}");
    }
}

/// By the same definitions, and on no published list.
#[test]
fn not_on_the_list() {
    for (name, bytes) in
        [("fnstenv", &[0xd9, 0x33][..]), ("fnsave", &[0xdd, 0x33]), ("fxsave", &[0x0f, 0xae, 0x03])]
    {
        assert_eq!(kinds(bytes, ""), (false, "mode".to_owned()), "{name}: FCS shows the CPL");
    }
    for (name, bytes) in [("lds", &[0xc5, 0x03][..]), ("les", &[0xc4, 0x03]), ("lfs", &[0x0f, 0xb4, 0x03])] {
        assert_eq!(kinds(bytes, ""), (false, "control location mode".to_owned()), "{name}");
    }
    for (name, bytes) in [("int3", &[0xcc][..]), ("into", &[0xce]), ("int1", &[0xf1])] {
        assert_eq!(kinds(bytes, ""), (false, "mode".to_owned()), "{name}: by the DPLs on its way");
    }
    assert_eq!(
        kinds(&[0x0f, 0xa2], ""),
        (false, "location".to_owned()),
        "cpuid shows whether the APIC is on"
    );
    for (name, bytes, expected) in [
        ("xgetbv", &[0x0f, 0x01, 0xd0][..], "location"),
        ("xsave", &[0x0f, 0xae, 0x23], "location mode"),
        ("xrstor", &[0x0f, 0xae, 0x2b], "location"),
        ("rdtscp", &[0x0f, 0x01, 0xf9], "location"),
        ("rdpid", &[0xf3, 0x0f, 0xc7, 0xf8], "location"),
    ] {
        assert_eq!(kinds(bytes, ""), (false, expected.to_owned()), "{name}");
        let without = if name.starts_with('x') { "" } else { expected };
        assert_eq!(kinds(bytes, "!OSXSAVE"), (false, without.to_owned()), "{name}");
    }
    assert!(class(&[0x0f, 0x34], "").user, "sysenter changes CPL");
}

/// SDM vol. 3A, 5.9.
#[test]
fn privileged() {
    let list: [&[u8]; 15] = [
        &[0x0f, 0x01, 0x13],
        &[0x0f, 0x01, 0x1b],
        &[0x0f, 0x00, 0xd0],
        &[0x0f, 0x00, 0xd8],
        &[0x0f, 0x22, 0xc0],
        &[0x0f, 0x20, 0xc0],
        &[0x0f, 0x23, 0xc0],
        &[0x0f, 0x21, 0xc0],
        &[0x0f, 0x01, 0xf0],
        &[0x0f, 0x06],
        &[0x0f, 0x08],
        &[0x0f, 0x01, 0x3b],
        &[0xf4],
        &[0x0f, 0x32],
        &[0x0f, 0x30],
    ];
    for bytes in list {
        let d = derived(bytes, "");
        assert!(d.class.privileged, "{bytes:02x?}: {}", d.class);
        assert_eq!(d.trap, Some(cpu::vector::GP), "{bytes:02x?}");
        assert!(d.certificate.closed(), "{bytes:02x?}: {:?}", d.certificate);
    }
}

/// What each bit of the configuration turns.
#[test]
fn the_configuration_decides() {
    let list: [(&[u8], &str, bool); 29] = [
        (&[0x0f, 0x01, 0x03], "UMIP", true),
        (&[0x0f, 0x00, 0xc0], "UMIP", true),
        (&[0x0f, 0x01, 0xe0], "UMIP", true),
        (&[0x0f, 0x31], "", false),
        (&[0x0f, 0x31], "TSD", true),
        (&[0x0f, 0x33], "", true),
        (&[0x0f, 0x33], "PCE", false),
        (&[0xfa], "", true),
        (&[0xfa], "IOPL3", false),
        (&[0xfa], "PVI", false),
        (&[0xe4, 0], "", true),
        (&[0xe4, 0], "IOPL3", false),
        (&[0xe4, 0], "IOBITMAP", false),
        (&[0x9c], "VM", true),
        (&[0x9c], "VM,IOPL3", false),
        (&[0x9c], "VM,VME", false),
        (&[0x9d], "VM", true),
        (&[0x9d], "VM,VME", false),
        (&[0xcd, 0], "VM,VME", false),
        (&[0xcf], "VM", true),
        (&[0xcf], "VM,IOPL3", false),
        (&[0xfb], "VM", true),
        (&[0xe4, 0], "VM,IOPL3", true),
        (&[0x0f, 0xa2], "", false),
        (&[0x0f, 0xa2], "CPUIDFAULT", true),
        (&[0x0f, 0xa2], "VM,CPUIDFAULT", true),
        (&[0x0f, 0x01, 0xd1], "", true),
        (&[0x0f, 0x01, 0xd1], "!OSXSAVE", false),
        (&[0x0f, 0x01, 0xf9], "TSD", true),
    ];
    for (bytes, configuration, privileged) in list {
        assert_eq!(class(bytes, configuration).privileged, privileged, "{bytes:02x?} with {configuration:?}");
    }
}

/// What a monitor of real-mode programs meets that runs them in V86 mode: descriptors play no part in either.
#[test]
fn real_mode_against_v86() {
    for (name, bytes, expected) in [
        ("pop ds", &[0x1f][..], (false, "")),
        ("mov ss, ax", &[0x8e, 0xd0], (false, "")),
        ("jmp far", &[0xea, 0, 0, 0, 0], (false, "")),
        ("push cs", &[0x0e], (false, "")),
        ("fnstenv", &[0xd9, 0x37], (false, "")),
        ("lar", &[0x0f, 0x02, 0xc0], (false, "")),
        ("lldt", &[0x0f, 0x00, 0xd0], (false, "")),
        ("smsw", &[0x0f, 0x01, 0xe0], (false, "location mode")),
        ("sidt", &[0x0f, 0x01, 0x0f], (false, "location")),
        ("int n", &[0xcd, 0], (false, "mode")),
        ("popf", &[0x9d], (true, "control mode")),
        ("pushf", &[0x9c], (true, "location mode")),
        ("cli", &[0xfa], (true, "control mode")),
        ("iret", &[0xcf], (true, "control mode")),
        ("mov cr0", &[0x0f, 0x22, 0xc0], (true, "control mode")),
    ] {
        assert_eq!(kinds(bytes, "VM,REAL"), (expected.0, expected.1.to_owned()), "{name}");
    }
}

/// Every body is innocuous, by the words that it uses.
#[test]
fn bodies_use_no_word_for_system_state() {
    let mut bodies = 0;
    for mode in CodeMode::ALL {
        for form in forms::all(mode, CpuModel::Newest).iter().filter(|f| f.routine.is_none()) {
            let d = derive(form, Configuration::default());
            let Certificate::Words(words) = &d.certificate else { panic!("{:?} has no words", form.code()) };
            let none =
                matches!(form.code().mnemonic(), isa::Mnemonic::Nop | isa::Mnemonic::Pause) || quiet(form);
            assert!(none || !words.is_empty(), "{:?}: {:02x?}", form.code(), form.bytes);
            bodies += 1;
        }
    }
    assert!(bodies > 2000, "{bodies}");
}

/// Forms that do nothing: hints, fences, and what the FPU ignores.
fn quiet(form: &Form) -> bool {
    let name = format!("{:?}", form.code());
    [
        "Prefetch",
        "Lfence",
        "Mfence",
        "Sfence",
        "Reservednop",
        "Feni",
        "Fdisi",
        "Fneni",
        "Fndisi",
        "Fnsetpm",
        "Clflush",
        "Fnop",
        "Endbr",
    ]
    .iter()
    .any(|start| name.starts_with(start))
}

/// Everything that has a routine, in every configuration that makes a difference: what is said of all states has no
/// question left open, and every kind of sensitivity has its witness.
#[test]
fn every_verdict_is_backed() {
    for mode in CodeMode::ALL {
        let routines: Vec<Form> = forms::all(mode, CpuModel::Newest)
            .into_iter()
            .filter(|f| f.routine.is_some() && !heavy(f))
            .collect();
        assert!(routines.len() > 150, "{}", routines.len());
        let all = in_parallel(&routines, |f| starts(mode).flat_map(|c| lattice(f, c)).collect::<Vec<_>>());
        for (form, d) in routines.iter().zip(&all).flat_map(|(f, all)| all.iter().map(move |d| (f, d))) {
            let name = format!("{:?} {:02x?} with {}", form.code(), form.bytes, d.configuration.names());
            assert!(applies(mode, d.configuration), "{name}");
            assert!(d.certificate.closed(), "{name} is {}: {:?}", d.class, d.certificate);
            assert_eq!(d.witnesses.len(), d.class.kinds().len(), "{name}");
            d.witnesses.iter().for_each(|w| replays(&name, w));
        }
    }
}

/// Far transfers, which take most of the time: their verdicts are existential.
fn heavy(form: &Form) -> bool {
    matches!(form.routine, Some(R::CallFar | R::JmpFar | R::Iret | R::RetFar)) && form.bytes[0] == 0x66
}

/// A witness goes through its file, and shows what it says.
fn replays(name: &str, witness: &classify::Witness) {
    let file = witness.to_json().unwrap();
    assert!(file.len() <= classify::witness::MOST_BYTES, "{name}: {file}");
    let read = classify::Witness::from_json(file.as_bytes()).unwrap();
    assert_eq!(&read, witness);
    let replay = read.replay().unwrap();
    assert!(replay.holds && !replay.shown.is_empty(), "{name}: {file} shows {replay:?}");
}
