//! The host CPU's word on a witness: its user mode half, run at CPL 3 of 32-bit code.
//!
//! The host's tables and registers are its own, so that only what does not depend on them is compared: whether it traps
//! and with which vector, which registers and bytes are written, flags, and the levels that selectors show. A witness comes
//! from anywhere: only instructions of the classifier's own list are run, none that could call the host's kernel or change
//! what the running program stands on.

use classify::Witness;
use classify::witness::WitnessError;

/// What came of asking.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It does what the model does.
    Agrees(String),
    /// It does not.
    Differs {
        /// What the model does.
        model: String,
        /// What the host does.
        host: String,
    },
    /// It cannot be asked, and why.
    Unasked(&'static str),
}

/// Asks the host of a witness.
///
/// # Errors
/// It is no witness.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub fn ask(witness: &Witness) -> Result<Answer, WitnessError> {
    witness.user_half().map(|_| Answer::Unasked("the host is no x86-64 Linux"))
}

/// Asks the host of a witness.
///
/// # Errors
/// It is no witness.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub fn ask(witness: &Witness) -> Result<Answer, WitnessError> {
    let Some((form, run)) = witness.user_half()? else {
        return Ok(Answer::Unasked("its states are of CPL 0, which no host program is in"));
    };
    Ok(asking::answer(witness, &form, &run).unwrap_or_else(Answer::Unasked))
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod asking {
    use super::Answer;
    use crate::native::{AREA, CODE, DATA, HostFault, Native, Registers, STACK};
    use classify::world::Run;
    use classify::{CodeMode, Configuration, Form, Witness, forms};
    use cpu::{CpuModel, Kind, eflags, reg, seg};
    use isa::Routine as R;
    use std::sync::OnceLock;

    /// Why the host cannot be asked.
    type Reason = &'static str;

    /// Where the operand and the top of the stack are, in their areas.
    const MIDDLE: usize = 0x1000;
    /// Where transfers go, behind the instruction.
    const TARGET: usize = 0x80;
    const INC_EBP: u8 = 0x45;
    const EBP: u32 = 0x600d_0000;
    /// The host's 32-bit code and data for programs.
    const HOST_CODE: u16 = 0x23;
    const HOST_DATA: u16 = 0x2b;
    /// The kernel's, in 32-bit code's form (Linux: asm/segment.h).
    const HOST_CODE0: u16 = 0x08;
    const HOST_DATA0: u16 = 0x18;
    /// Flags that are compared: the program's own, and IF and IOPL, which a program of the host has as one of the model.
    const FLAGS: u32 = eflags::ARITHMETIC | eflags::DF | eflags::IF | eflags::IOPL | eflags::AC | eflags::ID;
    /// Two fillings, so that one of them shows each byte that is written.
    const FILLINGS: [u8; 2] = [0x5a, 0xa5];

    /// One of the classifier's own instructions: their memory operand is at EBX, their far target in them is ours.
    fn own(form: &Form) -> bool {
        static ALL: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            let all = forms::all(CodeMode::Bits32, CpuModel::Newest);
            all.into_iter().filter(|f| f.routine.is_some()).map(|f| f.bytes).collect()
        });
        all.contains(&form.bytes)
    }

    /// What is not run, whatever the state.
    fn barred(form: &Form, routine: R) -> Option<Reason> {
        let narrow = !form.insn.op32;
        let loads_fs = match routine {
            R::MovToSreg | R::PopSreg => form.insn.reg[0] == seg::FS,
            R::LoadFarPointer => form.code().mnemonic() == isa::Mnemonic::Lfs,
            _ => false,
        };
        match routine {
            R::Sysenter | R::Syscall | R::Int => Some("it could be a call of the host's kernel"),
            R::Fldenv | R::Frstor | R::Fxrstor | R::Xrstor => {
                Some("it would load the x87 or SSE state of the host's program")
            }
            R::CallFar | R::JmpFar | R::RetFar | R::Iret if narrow => {
                Some("its target has 16 bits, and the host keeps these addresses free")
            }
            R::Xsave | R::Xsavec if form.code() != isa::Code::Xsave_mem => {
                Some("the host may note what is in use, and store that alone")
            }
            _ if loads_fs => Some("FS is the host program's own"),
            _ if !own(form) => Some("it is none of the classifier's own instructions"),
            _ => None,
        }
    }

    /// The host's selector for one of the model's, by the name that states have.
    fn selector(name: &str, code: bool) -> Result<u16, Reason> {
        match name {
            "other-code3" | "code3" => Ok(HOST_CODE),
            "other-data3" | "data3" => Ok(HOST_DATA),
            "other-data3-rpl0" => Ok(HOST_DATA & !3),
            "code0" | "other-code0" => Ok(HOST_CODE0),
            "other-code0-rpl3" => Ok(HOST_CODE0 | 3),
            "data0" | "other-data0" => Ok(HOST_DATA0),
            "null" => Ok(0),
            "null-rpl3" => Ok(3),
            "outside" if !code => Ok(0xfffb),
            _ => Err("the host's tables have no such descriptor"),
        }
    }

    /// Whether the host can be put in the state, but for its tables.
    fn reachable(witness: &Witness) -> Result<(), Reason> {
        const OWN: [&str; 6] = ["selector", "eax", "ecx", "edx", "arithmetic", "image"];
        if witness.mode != 32 {
            return Err("16-bit code needs a segment that the host has not");
        }
        if Configuration::parse(&witness.configuration) != Ok(Configuration::default()) {
            return Err("the host's configuration is another, or not known");
        }
        if witness.state.keys().any(|axis| !OWN.contains(&axis.as_str())) {
            return Err("the state has tables or registers that a host program cannot set");
        }
        match witness.state.get("image").map(String::as_str) {
            Some("tf" | "nt" | "vm" | "vif-vip" | "all" | "ac-id") => {
                Err("flags in the image would disturb the host's program")
            }
            _ => Ok(()),
        }
    }

    /// A state of the host.
    struct Setting {
        code: Vec<u8>,
        data: Vec<u8>,
        stack: Vec<u8>,
        registers: Registers,
    }

    fn image(witness: &Witness) -> u32 {
        match witness.state.get("image").map(String::as_str) {
            Some("if") => eflags::RESERVED1 | eflags::IF,
            Some("iopl") => eflags::RESERVED1 | eflags::IOPL,
            Some("arithmetic") => eflags::RESERVED1 | eflags::ARITHMETIC,
            _ => eflags::RESERVED1,
        }
    }

    fn setting(witness: &Witness, form: &Form, run: &Run, routine: R) -> Result<Setting, Reason> {
        let code = matches!(routine, R::CallFar | R::JmpFar | R::RetFar | R::Iret);
        let name = witness.state.get("selector").map_or("other-code3", String::as_str);
        let bytes = |wide: u32, s: u16| [&wide.to_le_bytes()[..], &s.to_le_bytes()].concat();
        let target = CODE + TARGET as u32;
        let mut general = run.before.gpr[..8].iter().map(|r| *r as u32).collect::<Vec<_>>();
        (general[3], general[4], general[5]) = (DATA + MIDDLE as u32, STACK + MIDDLE as u32, EBP);
        (general[6], general[7]) = (DATA + 0x100, DATA + 0x200);
        let (mut instruction, mut data, mut stack) = (form.bytes.clone(), Vec::new(), Vec::new());
        match routine {
            R::CallFar | R::JmpFar if form.insn.kind[0] == Kind::Imm => {
                let at = instruction.len() - 6;
                instruction.splice(at.., bytes(target, selector(name, code)?));
            }
            R::CallFar | R::JmpFar => data = bytes(target, selector(name, code)?),
            R::LoadFarPointer => {
                let size = if form.insn.op32 { 4 } else { 2 };
                data = vec![0; size];
                data.extend(selector(name, code)?.to_le_bytes());
            }
            R::MovToSreg | R::Lar | R::Lsl | R::Verr | R::Verw | R::Arpl => {
                let n = usize::from(matches!(routine, R::MovToSreg | R::Lar | R::Lsl));
                let own = selector(name, code)?;
                data = own.to_le_bytes().to_vec();
                if form.insn.kind[n] == Kind::Reg {
                    let slot = general.get_mut(usize::from(form.insn.reg[n])).ok_or("no such register")?;
                    *slot = *slot & 0xffff_0000 | u32::from(own);
                }
            }
            // what they write is no value that was there before, whatever it is
            R::Rdtsc | R::Rdtscp | R::Rdpid => general[..3].fill(0xa5a5_a5a5),
            R::PopSreg => stack = u32::from(selector(name, code)?).to_le_bytes().to_vec(),
            R::Popf => stack = image(witness).to_le_bytes().to_vec(),
            R::RetFar => stack = [bytes(target, selector(name, code)?), vec![0; 2]].concat(),
            R::Iret => {
                let flags = image(witness) | eflags::IF;
                stack =
                    [bytes(target, selector(name, code)?), vec![0; 2], flags.to_le_bytes().into()].concat();
            }
            _ => {}
        }
        let flags = run.before.flags_image() & eflags::ARITHMETIC | eflags::RESERVED1 | eflags::IF;
        let general = general.try_into().map_err(|_| "no such registers")?;
        Ok(Setting { code: landing(instruction), data, stack, registers: Registers { general, flags } })
    }

    /// The instruction, and at [`TARGET`] an INC EBP that shows who went there.
    fn landing(mut code: Vec<u8>) -> Vec<u8> {
        let skip = (TARGET + 1 - code.len() - 2) as u8;
        code.extend([0xeb, skip]);
        code.resize(TARGET, 0xcc);
        code.push(INC_EBP);
        code
    }

    /// What is to be seen of a run.
    struct Seen {
        fault: Option<HostFault>,
        after: Registers,
        /// Offsets from the operand and from the top of the stack that were written, in either filling.
        written: [Vec<i32>; 2],
        /// The stack from where it points to in the end.
        top: [u8; 4],
        /// The first bytes of the operand.
        operand: [u8; 4],
    }

    fn put(area: &mut [u8; AREA], bytes: &[u8]) {
        area.iter_mut().skip(MIDDLE).zip(bytes).for_each(|(to, from)| *to = *from);
    }

    fn watch(native: &mut Native, s: &Setting) -> Seen {
        let mut seen = Seen {
            fault: None,
            after: Registers::default(),
            written: [Vec::new(), Vec::new()],
            top: [0; 4],
            operand: [0; 4],
        };
        for filling in FILLINGS {
            let mut before = [[filling; AREA]; 2];
            put(&mut before[0], &s.data);
            put(&mut before[1], &s.stack);
            native.set_areas(&before[0], &before[1]);
            native.set_code(&s.code);
            let (after, fault) = native.run(&s.registers);
            // behind the instruction it is the way out that faults: the instruction has loaded DS with what it was to
            (seen.after, seen.fault) = (after, fault.filter(|f| f.eip.wrapping_sub(CODE) < 0x1000));
            let mut after = before;
            let [data, stack] = &mut after;
            native.areas(data, stack);
            for n in 0..2 {
                let differ = (0..AREA).filter(|at| before[n][*at] != after[n][*at]);
                seen.written[n].extend(differ.map(|at| at as i32 - MIDDLE as i32));
            }
            let top = (seen.after.general[4].wrapping_sub(STACK) as usize).min(AREA - 4);
            seen.top = std::array::from_fn(|n| after[1][top + n]);
            seen.operand = std::array::from_fn(|n| after[0][MIDDLE + n]);
        }
        seen
    }

    fn outcome(trap: Option<u8>) -> String {
        trap.map_or_else(|| "completes".to_owned(), |v| format!("traps with vector {v}"))
    }

    /// Offsets that the model's run wrote, from the operand (0) or the top of the stack (1).
    fn written(run: &Run, n: usize) -> Vec<i32> {
        let from = run.window.wrapping_add(run.before.r32([reg::BX, reg::SP][n]));
        let offsets = run.changes.iter().map(|(at, _)| at.wrapping_sub(from) as i32);
        offsets.filter(|o| (-64..600).contains(o)).collect()
    }

    /// The first thing in which the host differs from the model.
    fn difference(form: &Form, routine: R, run: &Run, s: &Setting, seen: &Seen) -> Option<(String, String)> {
        let fault = seen.fault.map(|f| f.vector);
        if fault != run.trap {
            return Some((outcome(run.trap), outcome(fault)));
        }
        if run.trap.is_some() {
            return None;
        }
        let delta = |after: u32, before: u32| after.wrapping_sub(before) as i32;
        let [esp, ebp] = [4, 5].map(|n| delta(seen.after.general[n], s.registers.general[n]));
        let model = delta(run.after.r32(reg::SP), run.before.r32(reg::SP));
        let went = run.after.eip != run.before.eip.wrapping_add(u32::from(form.insn.len));
        // the last flags are those of INC, where a transfer went to it
        let (mut own, mut hosts) = (run.after.flags_image() & FLAGS, seen.after.flags & FLAGS);
        if went {
            (own, hosts) = (own & !eflags::ARITHMETIC, hosts & !eflags::ARITHMETIC);
        }
        let registers = |changed: &dyn Fn(usize) -> bool| {
            [0, 1, 2, 3, 6, 7]
                .into_iter()
                .filter(|n| changed(*n))
                .map(|n: usize| n.to_string())
                .collect::<String>()
        };
        let by_model = registers(&|n| run.after.gpr[n] as u32 != run.before.gpr[n] as u32);
        let by_host = registers(&|n| seen.after.general[n] != s.registers.general[n]);
        let missing = |n: usize| written(run, n).into_iter().find(|o| !seen.written[n].contains(o));
        let more = (0..2)
            .any(|n| written(run, n).is_empty() && !seen.written[n].is_empty() && run.changes.is_empty());
        let pairs = [
            ("ESP moves by", model.to_string(), esp.to_string()),
            ("the target is reached", u32::from(went).to_string(), ebp.to_string()),
            ("flags", format!("{own:x}"), format!("{hosts:x}")),
            ("registers written, by number", by_model, by_host),
            (
                "bytes missing",
                "none".to_owned(),
                (0..2).find_map(missing).map_or("none".to_owned(), |o| format!("at {o}")),
            ),
            ("bytes too many", "false".to_owned(), more.to_string()),
        ];
        let odd = pairs.into_iter().find(|(_, a, b)| a != b);
        let odd = odd.map(|(what, a, b)| (format!("{what}: {a}"), format!("{what}: {b}")));
        odd.or_else(|| shown(form, routine, run, seen))
    }

    /// What an instruction shows, as far as it is the same on every machine.
    fn shown(form: &Form, routine: R, run: &Run, seen: &Seen) -> Option<(String, String)> {
        let stored = |host: [u8; 4]| u32::from_le_bytes(host);
        let register = |n: usize| seen.after.general[usize::from(form.insn.reg[n]) & 7];
        let first = if form.insn.kind[0] == Kind::Reg { register(0) } else { stored(seen.operand) };
        let level = |selector: u16| u32::from(selector & 3);
        let (what, model, host) = match routine {
            R::MovFromSreg if matches!(form.insn.reg[1], seg::CS | seg::SS) => {
                ("the level shown", level(run.before.segment(form.insn.reg[1]).selector), first & 3)
            }
            R::PushSreg if matches!(form.insn.reg[0], seg::CS | seg::SS) => (
                "the level shown",
                level(run.before.segment(form.insn.reg[0]).selector),
                stored(seen.top) & 3,
            ),
            R::Smsw => ("PE", run.before.cr0 & 1, first & 1),
            R::Pushf => {
                let mask = if form.insn.op32 { FLAGS } else { FLAGS & 0xffff };
                ("the flags shown", run.before.flags_image() & mask, stored(seen.top) & mask)
            }
            _ => return None,
        };
        (model != host).then(|| (format!("{what}: {model:x}"), format!("{what}: {host:x}")))
    }

    pub(super) fn answer(witness: &Witness, form: &Form, run: &Run) -> Result<Answer, Reason> {
        let routine = form.routine.ok_or("it is innocuous")?;
        reachable(witness)?;
        if let Some(reason) = barred(form, routine) {
            return Err(reason);
        }
        let setting = setting(witness, form, run, routine)?;
        let mut native = Native::new().map_err(|_| "the host does not let 32-bit code run")?;
        let seen = watch(&mut native, &setting);
        let later = !CpuModel::N270.has(form.code());
        if later && seen.fault.is_some_and(|f| f.vector == cpu::vector::UD) && run.trap.is_none() {
            return Err("the host's chip, or its system, has not this instruction");
        }
        Ok(match difference(form, routine, run, &setting, &seen) {
            None => Answer::Agrees(outcome(run.trap)),
            Some((model, host)) => Answer::Differs { model, host },
        })
    }
}
