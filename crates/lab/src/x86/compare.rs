//! The bare guest and the deprivileged one, side by side.

use super::bare::Bare;
use super::chip::Manner;
use super::monitor::{Counts, Deprivileged};
use super::program::{Program, Sensitive};
use super::shadow::ShadowCounts;
use crate::random::Random;
use cpu::{Activity, Segment, State, seg};
use isa::spec::{Configuration, Specs, Theorem, prove};
use isa::{Code, CodeSize, Insn};
use mem::MemoryError;

/// More instructions than a program has, unless it loops.
const MOST: u64 = 2000;
/// Instructions between looks at the registers.
const STEPS: u64 = 8;

/// What the specification of the Pentium says of an instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The manual's name.
    pub name: String,
    /// In which ways it is sensitive.
    pub kinds: String,
    /// Why.
    pub reason: String,
    /// Where the manual says so.
    pub section: String,
}

/// The first instruction after which the guest is not what it is on the bare processor.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// The number of the program.
    pub program: u64,
    /// The number of the instruction.
    pub step: u64,
    /// The instruction.
    pub text: String,
    /// Its form.
    pub code: Option<Code>,
    /// What differs: the bare processor's, the virtual one's.
    pub details: Vec<String>,
    /// What the specification says; nothing if the instruction is not one that breaks theorem 1.
    pub source: Option<Source>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "program {}, instruction {}: {}", self.program, self.step, self.text)?;
        for line in &self.details {
            writeln!(f, "  {line}")?;
        }
        match &self.source {
            Some(s) => writeln!(f, "  {} is {} sensitive: {} ({})", s.name, s.kinds, s.reason, s.section),
            None => writeln!(f, "  the instruction is not one that breaks theorem 1: the monitor is wrong"),
        }
    }
}

/// What a comparison has found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Programs run.
    pub programs: u64,
    /// What became of their instructions.
    pub counts: Counts,
    /// What the shadow page tables did.
    pub shadow: ShadowCounts,
    /// The first difference; the comparison ends with it.
    pub difference: Option<Difference>,
}

/// Runs `n` random programs bare and deprivileged, up to the first difference.
///
/// # Errors
/// The host has not the address space.
pub fn compare(manner: Manner, families: &[&Sensitive], n: u64, seed: u64) -> Result<Report, MemoryError> {
    compare_programs(manner, n, |number| Program::random(&mut Random::new(seed, number), families))
}

/// The same of programs with paging, on the modified processor, up to the first difference.
///
/// # Errors
/// The host has not the address space.
pub fn compare_paged(n: u64, seed: u64) -> Result<Report, MemoryError> {
    compare_programs(Manner::Modified, n, |number| Program::paged(&mut Random::new(seed, number)))
}

fn compare_programs(manner: Manner, n: u64, make: impl Fn(u64) -> Program) -> Result<Report, MemoryError> {
    let mut pair = (Bare::new(manner)?, Deprivileged::new(manner)?);
    let mut report = Report::default();
    for number in 0..n {
        let program = make(number);
        let found = differ(&mut pair, &program);
        let counts = pair.1.counts();
        report.programs += 1;
        report.counts.direct += counts.direct;
        report.counts.interpreted += counts.interpreted;
        report.counts.reflected += counts.reflected;
        let shadow = pair.1.shadow.counts();
        report.shadow.fills += shadow.fills;
        report.shadow.reflected += shadow.reflected;
        report.shadow.traced += shadow.traced;
        report.shadow.dropped += shadow.dropped;
        if let Some(details) = found {
            // what is not found again was a difference all the same
            let step = pair.0.state().retired;
            let text = "not found again, instruction by instruction".to_owned();
            let whole = Difference { step, text, details, ..Difference::default() };
            let located = locate(&mut pair, &program).unwrap_or(whole);
            report.difference = Some(Difference { program: number, ..located });
            break;
        }
    }
    Ok(report)
}

/// Runs a program both ways to its end, with a look at the registers every few instructions: what differs, if
/// anything does.
fn differ(pair: &mut (Bare, Deprivileged), program: &Program) -> Option<Vec<String>> {
    let (bare, guest) = pair;
    bare.load(program);
    guest.load(program);
    for until in (STEPS..=MOST).step_by(STEPS as usize) {
        bare.run(until);
        guest.run(until);
        let details = differences(bare.state(), guest.state());
        if !details.is_empty() {
            return Some(details);
        }
        if bare.state().activity != Activity::Running {
            break;
        }
    }
    Some(all_differences(bare, guest)).filter(|d| !d.is_empty())
}

/// Runs a program again, instruction by instruction, up to the first difference.
pub(super) fn locate(pair: &mut (Bare, Deprivileged), program: &Program) -> Option<Difference> {
    let (bare, virtual_one) = pair;
    bare.load(program);
    virtual_one.load(program);
    for step in 1..=MOST {
        let (insn, text) = instruction(bare)?;
        bare.run(step);
        virtual_one.run(step);
        let details = all_differences(bare, virtual_one);
        if !details.is_empty() {
            let code = insn.map(|i| i.code);
            let source = code.and_then(source);
            return Some(Difference { program: 0, step, text, code, details, source });
        }
        if bare.state().activity != Activity::Running {
            break;
        }
    }
    None
}

/// The instruction at EIP.
fn instruction(bare: &Bare) -> Option<(Option<Insn>, String)> {
    let (s, memory) = (bare.state(), bare.memory());
    let at = s.segment(seg::CS).base.wrapping_add(s.eip);
    let bytes = memory.get(at as usize..)?;
    let bytes = &bytes[..bytes.len().min(isa::MAX_LENGTH)];
    Some((isa::decode(bytes, CodeSize::Bits32, s.model).ok(), isa::disassemble(bytes, 32, s.eip).0))
}

/// What the Pentium's specification says of a form that breaks theorem 1's condition.
fn source(code: Code) -> Option<Source> {
    let isa = Specs::embedded().isa("ia32-pentium").ok()?;
    let verdict = prove(&isa, &Configuration::default_of(&isa), Theorem::Virtualizable);
    let v = verdict.violations.into_iter().find(|v| v.pairs.contains(&(code, 32)))?;
    let kinds: Vec<&str> = v.kinds.iter().map(|k| k.name()).collect();
    Some(Source { name: v.name, kinds: kinds.join(", "), reason: v.reason, section: v.source })
}

fn all_differences(bare: &Bare, other: &Deprivileged) -> Vec<String> {
    let mut lines = differences(bare.state(), other.state());
    let (a, b) = (bare.memory(), other.memory());
    if a != b {
        let bytes = a.iter().zip(&b).enumerate().filter(|(_, (x, y))| x != y);
        lines.extend(bytes.map(|(at, (x, y))| format!("[{at:04x}]: {x:02x}, {y:02x}")).take(4));
    }
    if bare.ports() != other.ports() {
        lines.push(format!("ports: {:x?}, {:x?}", bare.ports().written.last(), other.ports().written.last()));
    }
    lines
}

/// What differs between the bare processor and the virtual one, a line each.
pub fn differences(a: &State, b: &State) -> Vec<String> {
    let mut lines = Vec::new();
    let mut note = |name: &str, x: u32, y: u32| {
        if x != y {
            lines.push(format!("{name}: {x:08x}, {y:08x}"));
        }
    };
    const GENERAL: [&str; 8] = ["EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"];
    for (n, name) in GENERAL.iter().enumerate() {
        note(name, a.gpr[n] as u32, b.gpr[n] as u32);
    }
    note("EIP", a.eip, b.eip);
    note("EFLAGS", a.flags_image(), b.flags_image());
    note("CPL", a.cpl.into(), b.cpl.into());
    note("CR0", a.cr0, b.cr0);
    note("CR2", a.cr2, b.cr2);
    note("CR3", a.cr3, b.cr3);
    note("CR4", a.cr4, b.cr4);
    const DEBUG: [&str; 8] = ["DR0", "DR1", "DR2", "DR3", "DR4", "DR5", "DR6", "DR7"];
    for (n, name) in DEBUG.iter().enumerate() {
        note(name, a.dr[n], b.dr[n]);
    }
    note("retired", a.retired as u32, b.retired as u32);
    const SEGMENTS: [&str; 6] = ["ES", "CS", "SS", "DS", "FS", "GS"];
    let named = SEGMENTS.iter().enumerate().map(|(n, name)| (*name, a.seg[n], b.seg[n]));
    for (name, x, y) in named.chain([("LDTR", a.ldtr, b.ldtr), ("TR", a.tr, b.tr)]) {
        if x != y {
            lines.push(format!("{name}: {}, {}", shown(&x), shown(&y)));
        }
    }
    for (name, x, y) in [("GDTR", a.gdtr, b.gdtr), ("IDTR", a.idtr, b.idtr)] {
        if x != y {
            lines.push(format!("{name}: {:x?}, {:x?}", (x.base, x.limit), (y.base, y.limit)));
        }
    }
    if a.activity != b.activity {
        lines.push(format!("{:?}, {:?}", a.activity, b.activity));
    }
    lines
}

fn shown(s: &Segment) -> String {
    format!("{:04x} at {:08x}, limit {:08x}, rights {:04x}", s.selector, s.base, s.limit, s.rights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_its_own_page_away_is_the_same_wherever_a_budget_ends() -> Result<(), MemoryError>
    {
        let mut pair = (Bare::new(Manner::Modified)?, Deprivileged::new(Manner::Modified)?);
        // it writes the entry of the page that it runs in, and does not flush
        let program = Program::paged(&mut Random::new(1, 29_240));
        assert_eq!(differ(&mut pair, &program), None);
        Ok(())
    }
}
