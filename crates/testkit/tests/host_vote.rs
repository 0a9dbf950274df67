//! The host CPU at CPL 3 as a voter: each form that Ringer executes in 32-bit code runs once, in a plain state, and
//! traps or does not as its class says.
#![cfg_attr(
    all(target_arch = "x86_64", target_os = "linux"),
    allow(clippy::unwrap_used, reason = "a test that cannot go on fails")
)]

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
#[test]
#[ignore = "skipped: the voter is an x86-64 Linux host, and this is none"]
fn the_host_agrees() {}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod voting {
    use classify::ledger::{Disagreement, Voter, rulings, unexplained};
    use classify::{Class, CodeMode, Configuration, Form, Witness, derive, forms};
    use cpu::{CpuModel, vector as v};
    use isa::{Mnemonic as M, Routine as R};
    use std::collections::BTreeMap;
    use testkit::host_witness::{self, Answer};
    use testkit::native::{AREA, DATA, HostFault, Native, Registers, STACK};

    /// Why a form is not run.
    fn left_out(form: &Form) -> Option<&'static str> {
        let fs = isa::seg::FS;
        match form.routine {
            Some(R::Sysenter | R::Syscall) => Some("a system call of the host's"),
            Some(R::MovToSreg | R::PopSreg) if form.insn.reg[0] == fs => Some("FS is the host program's own"),
            Some(R::LoadFarPointer) if form.code().mnemonic() == M::Lfs => {
                Some("FS is the host program's own")
            }
            Some(R::Fldenv | R::Frstor | R::Fxrstor | R::Xrstor) => {
                Some("it would unmask exceptions of the host program's")
            }
            Some(R::Int) => Some("its vector is the host's system call or nothing"),
            _ if matches!(form.code().mnemonic(), M::Fldcw | M::Ldmxcsr) => {
                Some("it would unmask exceptions of the host program's")
            }
            _ => None,
        }
    }

    /// Selectors of the host's that work, wherever an instruction looks for one.
    const SELECTOR: u32 = 0x2b;

    fn run(native: &mut Native, form: &Form) -> (Registers, Option<HostFault>) {
        let mut area = [0; AREA];
        area.chunks_mut(2).for_each(|c| c.copy_from_slice(&(SELECTOR as u16).to_le_bytes()));
        native.set_areas(&area, &area);
        native.set_code(&form.bytes);
        let data = DATA + 0x1000;
        // EAX is a selector for those that take one, and a leaf of CPUID
        let general = [SELECTOR, 1, 0, data, STACK + 0x1000, data + 0x100, data + 0x200, data + 0x300];
        native.run(&Registers { general, flags: 0x202 })
    }

    /// What the definitions set aside: memory traps and arithmetic traps; also an address that is no code's.
    fn set_aside(fault: HostFault) -> bool {
        matches!(fault.vector, v::DE | v::BR | v::PF | v::AC | v::MF | v::XM)
    }

    /// A selector that names what the instruction does not take: that is its own business, whatever the mode.
    fn selects(form: &Form) -> bool {
        let loads = matches!(form.routine, Some(R::CallFar | R::JmpFar | R::RetFar | R::Iret));
        let stack =
            matches!(form.routine, Some(R::MovToSreg | R::PopSreg)) && form.insn.reg[0] == isa::seg::SS;
        loads || stack
    }

    /// What the host makes of a form, in the words of classes; `None`: nothing that can be compared.
    fn vote(class: Class, form: &Form, fault: Option<HostFault>) -> Option<bool> {
        let Some(fault) = fault else { return Some(!class.privileged) };
        if set_aside(fault) || selects(form) {
            return None;
        }
        let refused = matches!(fault.vector, v::GP | v::UD);
        let own_trap = matches!(form.routine, Some(R::Int1 | R::Int3 | R::Into | R::Ud));
        // what no mode has is innocuous: it traps everywhere
        let absent = fault.vector == v::UD && classify::catalogue::beyond_the_model(form.code());
        Some(class.privileged && refused || own_trap || absent)
    }

    #[test]
    fn the_host_agrees() {
        let mut native = Native::new().expect("the host runs 32-bit code");
        let (mut agreed, mut incomparable, mut out) = (0, 0, 0);
        let mut found = Vec::new();
        for form in forms::all(CodeMode::Bits32, CpuModel::Newest) {
            if left_out(&form).is_some() {
                out += 1;
                continue;
            }
            let class = derive(&form, Configuration::default()).class;
            let (_, fault) = run(&mut native, &form);
            match vote(class, &form, fault) {
                Some(true) => agreed += 1,
                None => incomparable += 1,
                Some(false) => found.push(Disagreement {
                    voter: Voter::Host,
                    code: form.code(),
                    mode: 32,
                    configuration: String::new(),
                    says: fault.map_or("completes".to_owned(), |f| format!("traps with vector {}", f.vector)),
                    specified: class.to_string(),
                }),
            }
        }
        println!("{agreed} agreed, {} disagreed, {incomparable} incomparable, {out} not run", found.len());
        let rulings = rulings().unwrap();
        // a host of the other maker does not disagree where this one does, so that a ruling may be idle
        let (open, _) = unexplained(&found, &rulings, Voter::Host);
        assert!(open.is_empty(), "{open:#?}");
        assert!(agreed > 1400 && incomparable < 120 && out < 40, "too little was compared");
    }

    /// What shows the mode shows it on the host as well (Robin and Irvine 2000; FCS: SDM vol. 1, 8.1.8).
    #[test]
    fn the_host_shows_its_level() {
        let mut native = Native::new().expect("the host runs 32-bit code");
        let form = |bytes: &[u8]| Form::decode(bytes, CodeMode::Bits32, CpuModel::Newest).unwrap();
        for (bytes, register) in [(&[0x8cu8, 0xc8][..], 0), (&[0x8c, 0xd0], 0)] {
            let (after, fault) = run(&mut native, &form(bytes));
            assert_eq!((after.general[register] & 3, fault), (3, None), "{bytes:02x?}");
        }
        // PUSHF shows IF, and POPF drops it silently
        let (after, fault) = run(&mut native, &form(&[0x9d]));
        assert_eq!((after.flags & 0x200, fault), (0x200, None), "the image had IF clear");
    }

    /// Every witness whose user mode half the host can be put in, in the default configuration.
    #[test]
    fn the_host_agrees_with_witnesses() {
        let mut asked = 0;
        let mut unasked: BTreeMap<&str, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for form in forms::all(CodeMode::Bits32, CpuModel::Newest) {
            for witness in derive(&form, Configuration::default()).witnesses {
                match host_witness::ask(&witness).unwrap() {
                    Answer::Agrees(_) => asked += 1,
                    Answer::Unasked(why) => *unasked.entry(why).or_default() += 1,
                    Answer::Differs { model, host } => {
                        found.push(format!("{}: model {model}, host {host}", witness.to_json().unwrap()));
                    }
                }
            }
        }
        println!("{asked} witnesses agreed, {} differed; not asked: {unasked:#?}", found.len());
        assert!(found.is_empty(), "{found:#?}");
        assert!(asked > 150, "{asked} were asked");
    }

    /// A witness from a stranger: what would call the host's kernel, write elsewhere, or needs what the host has not.
    #[test]
    fn what_the_host_is_not_asked() {
        let witness = |code: &str, bytes: &str, configuration: &str, level: &str, state: &str| {
            let json = format!(
                r#"{{"version":1,"code":"{code}","bytes":"{bytes}","mode":32,"configuration":"{configuration}","claim":"control","level":"{level}","state":{state}}}"#
            );
            host_witness::ask(&Witness::from_json(json.as_bytes()).unwrap()).unwrap()
        };
        let asked = |a: &Answer| !matches!(a, Answer::Unasked(_));
        assert!(asked(&witness("Popfd", "9d", "", "user", "{}")));
        assert!(asked(&witness("Sgdt_m1632", "0f0103", "", "user", "{}")));
        for (code, bytes) in [
            ("Int_imm8", "cd80"),
            ("Sysenter", "0f34"),
            ("Sgdt_m1632", "0f010500005a5a"),
            ("Sgdt_m1632", "640f0103"),
            ("Popd_FS", "0fa1"),
            ("Call_ptr1632", "9a000000002b00"),
        ] {
            assert!(!asked(&witness(code, bytes, "", "user", "{}")), "{bytes}");
        }
        assert!(!asked(&witness("Popfd", "9d", "IOPL3", "user", "{}")));
        assert!(!asked(&witness("Popfd", "9d", "", "supervisor", "{}")));
        assert!(!asked(&witness("Popfd", "9d", "", "user", r#"{"image":"tf"}"#)));
        assert!(!asked(&witness("Popfd", "9d", "", "user", r#"{"vif-vip":"vif"}"#)));
    }
}
