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
    use classify::{Class, CodeMode, Configuration, Form, derive, forms};
    use cpu::{CpuModel, vector as v};
    use isa::{Mnemonic as M, Routine as R};
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
            Some(R::Fldenv | R::Frstor | R::Fxrstor) => {
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
}
