//! Popek and Goldberg's definitions as predicates over runs (CACM 17(7), 1974, section 3).
//!
//! M is CPL, PE and VM. R is everything by which the monitor confines a program: control registers, the tables'
//! registers and contents, IF and IOPL, model-specific registers, devices; in protected mode also the hidden parts of
//! segment registers. P is EIP, the general registers, the flags that a program may change freely (VIF among them, a
//! program's own copy of IF), x87 and SSE. E is the program's window of memory.
//!
//! Rulings. A trap is an entry through the monitor's IDT: an exception, and what INT n is for. Two traps are equal if
//! their vectors are. CS, SS and the FPU's copy of CS show M, and are compared by what an instruction stores of them
//! only. What becomes of IF and IOPL counts among the results where modes are compared: POPF drops them silently.

use crate::layout::WINDOW_SIZE;
use crate::world::Run;
use cpu::{State, eflags as f};

/// Flags that are the program's own.
const FREE: u32 = f::ARITHMETIC | f::DF | f::TF | f::NT | f::AC | f::ID | f::VIF;
/// Flags that are part of R, and VM, which is M.
const CONTROLLED: u32 = f::IF | f::IOPL | f::VIP | f::VM;

/// Neither run is one that the definitions set aside: memory traps and arithmetic traps.
pub fn admissible(a: &Run, b: &Run) -> bool {
    [a, b].iter().all(|r| !r.memory_trapped() && !r.arithmetic_trapped())
}

/// The instruction changed M or R, without a trap: control sensitive.
pub fn controls(run: &Run) -> bool {
    run.trap.is_none() && !changed(run).is_empty()
}

/// Segment registers are the program's own: V86 and real mode.
fn own_segments(s: &State) -> bool {
    s.eflags & f::VM != 0 || s.cr0 & cpu::cr0::PE == 0
}

/// What of M and R an instruction has changed, by name.
pub fn changed(run: &Run) -> Vec<&'static str> {
    let (a, b) = (&run.before, &run.after);
    let flags = (a.eflags ^ b.eflags) & CONTROLLED;
    let outside = |(at, _): &(u32, u8)| at.wrapping_sub(run.window) >= WINDOW_SIZE;
    let all = [
        ("CPL", a.cpl != b.cpl),
        ("CR0", a.cr0 != b.cr0),
        ("CR2", a.cr2 != b.cr2),
        ("CR3", a.cr3 != b.cr3 || a.pdptes != b.pdptes),
        ("CR4", a.cr4 != b.cr4),
        ("EFER", a.efer != b.efer),
        ("debug registers", a.dr != b.dr),
        ("GDTR", a.gdtr != b.gdtr),
        ("IDTR", a.idtr != b.idtr),
        ("LDTR", a.ldtr != b.ldtr),
        ("TR", a.tr != b.tr),
        ("IF", flags & f::IF != 0),
        ("IOPL", flags & f::IOPL != 0),
        ("VIP", flags & f::VIP != 0),
        ("VM", flags & f::VM != 0),
        ("SYSENTER registers", a.sysenter != b.sysenter),
        ("XCR0", a.xcr0 != b.xcr0),
        ("CPUID faulting", a.cpuid_faulting != b.cpuid_faulting),
        ("TSC_AUX", a.tsc_aux != b.tsc_aux),
        ("time-stamp counter", a.tsc_offset != b.tsc_offset),
        ("activity", a.activity != b.activity),
        ("NMI blocking", a.nmi_blocked != b.nmi_blocked),
        ("segment registers", !own_segments(a) && a.seg != b.seg),
        ("tables in memory", run.changes.iter().any(outside)),
        ("devices", !run.effects.is_empty()),
    ];
    all.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}

/// Two runs of one mode have the same results in P and in the window.
pub fn same(a: &Run, b: &Run) -> bool {
    match (a.trap, b.trap) {
        (None, None) => same_program(&a.after, &b.after) && same_window(a, b),
        (a, b) => a == b,
    }
}

/// Two runs in different modes have the same results; IF and IOPL are among them.
pub fn same_between_modes(a: &Run, b: &Run) -> bool {
    let kept = |r: &Run| r.after.eflags & (f::IF | f::IOPL);
    same(a, b) && (a.trap.is_some() || kept(a) == kept(b))
}

fn same_program(a: &State, b: &State) -> bool {
    let free = |s: &State| s.flags_image() & FREE;
    let segments = |s: &State| [0, 1, 2, 3, 4, 5].map(|n| s.seg[n].selector);
    let compared = own_segments(a) && own_segments(b);
    a.gpr[..8] == b.gpr[..8]
        && a.eip == b.eip
        && free(a) == free(b)
        && (!compared || segments(a) == segments(b))
        && same_fpu(a, b)
        && a.xmm == b.xmm
        && a.mxcsr == b.mxcsr
}

fn same_fpu(a: &State, b: &State) -> bool {
    let bare = |s: &State| cpu::Fpu { cs: 0, ds: 0, ..s.fpu };
    bare(a) == bare(b)
}

/// Bytes written in the window, by offset.
fn window(run: &Run) -> impl Iterator<Item = (u32, u8)> + '_ {
    let offset = |(at, byte): &(u32, u8)| (at.wrapping_sub(run.window), *byte);
    run.changes.iter().map(offset).filter(|(offset, _)| *offset < WINDOW_SIZE)
}

fn same_window(a: &Run, b: &Run) -> bool {
    window(a).eq(window(b))
}

/// What differs between two results, a line each.
pub fn differences(a: &Run, b: &Run) -> Vec<String> {
    let outcome = |r: &Run| r.trap.map_or("completes".to_owned(), |v| format!("traps with vector {v}"));
    if a.trap != b.trap {
        return vec![format!("the first {}, the second {}", outcome(a), outcome(b))];
    }
    let mut lines = registers(&a.after, &b.after);
    let names = ["ES", "CS", "SS", "DS", "FS", "GS"];
    for (n, name) in names.iter().enumerate().filter(|_| own_segments(&a.after) && own_segments(&b.after)) {
        let (x, y) = (a.after.seg[n].selector, b.after.seg[n].selector);
        lines.extend((x != y).then(|| format!("{name}: {x:04x}, {y:04x}")));
    }
    if !same_window(a, b) {
        lines.push(format!("memory: {}; {}", listing(a), listing(b)));
    }
    lines
}

fn registers(a: &State, b: &State) -> Vec<String> {
    const NAMES: [&str; 8] = ["EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"];
    let mut pairs: Vec<(&str, u32, u32)> =
        NAMES.iter().enumerate().map(|(n, name)| (*name, a.gpr[n] as u32, b.gpr[n] as u32)).collect();
    pairs.push(("EIP", a.eip, b.eip));
    let shown = |s: &State| s.flags_image() & (FREE | f::IF | f::IOPL);
    pairs.push(("flags", shown(a), shown(b)));
    let (x, y) = (&a.fpu, &b.fpu);
    pairs.push(("FIP", x.ip, y.ip));
    pairs.push(("FDP", x.dp, y.dp));
    pairs.push(("FOP", x.opcode.into(), y.opcode.into()));
    pairs.push(("x87 control", x.control.into(), y.control.into()));
    pairs.push(("x87 status", x.status.into(), y.status.into()));
    pairs.push(("MXCSR", a.mxcsr, b.mxcsr));
    let differ = pairs.into_iter().filter(|(_, x, y)| x != y);
    differ.map(|(name, x, y)| format!("{name}: {x:08x}, {y:08x}")).collect()
}

/// The first bytes that a run wrote in its window.
fn listing(run: &Run) -> String {
    let shown: Vec<String> = window(run).take(8).map(|(at, byte)| format!("{at:04x}={byte:02x}")).collect();
    if shown.is_empty() { "nothing written".to_owned() } else { shown.join(" ") }
}
