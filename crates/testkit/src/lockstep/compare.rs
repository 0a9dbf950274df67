//! What two machines differ in.

use cpu::{InterruptShadow, Segment, State, eflags};
use machine::Machine;
use std::fmt::Debug;

/// Differing bytes of memory that are told of one by one.
const BYTES_TOLD: usize = 16;
const PAGE: u32 = mem::PAGE;
const FRAME: usize = PAGE as usize;

/// How much is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Depth {
    /// CPU, time, and the memory written since the last comparison.
    Written,
    /// And the devices.
    Devices,
    /// And all of memory, whether a write was noted or not.
    Everything,
}

/// The CPU without what is an engine's own business: how flags are kept, when it is to stop, what
/// is derived from other fields, registers that no guest has.
fn canonical(cpu: &State) -> State {
    let mut c = cpu.clone();
    c.set_flags_image(cpu.flags_image());
    (c.until, c.leave, c.aligned) = (0, false, false);
    c.shadow = cpu.in_shadow();
    if c.shadow == InterruptShadow::None {
        c.shadow_until = 0;
    }
    c.gpr[16..].fill(0);
    c.seg[6..].fill(Segment::default());
    c.seg.iter_mut().chain([&mut c.ldtr, &mut c.tr]).for_each(Segment::refresh);
    c
}

/// The frames that either machine has written since the last call, in order.
fn written(a: &mut Machine, b: &mut Machine) -> Vec<u32> {
    let mut frames = a.memory().take_dirty();
    let others = b.memory().take_dirty();
    if frames != others {
        frames.extend(others);
        frames.sort_unstable();
        frames.dedup();
    }
    frames
}

/// Whether the machines are the same, as far as `depth` says.
pub(super) fn same(a: &mut Machine, b: &mut Machine, depth: Depth) -> bool {
    let frames = written(a, b);
    canonical(a.cpu()) == canonical(b.cpu())
        && a.now() == b.now()
        && frames.iter().all(|&f| same_bytes::<FRAME>(a, b, f * PAGE))
        && (depth == Depth::Written || a.devices() == b.devices())
        && (depth != Depth::Everything || same_memory(a, b))
}

fn same_bytes<const N: usize>(a: &mut Machine, b: &mut Machine, at: u32) -> bool {
    let (mut x, mut y) = ([0; N], [0; N]);
    a.memory().read_arena(at, &mut x);
    b.memory().read_arena(at, &mut y);
    x == y
}

fn same_memory(a: &mut Machine, b: &mut Machine) -> bool {
    let frames = a.memory().frames();
    (0..frames).all(|f| same_bytes::<FRAME>(a, b, f * PAGE))
}

/// Everything that differs, a line each.
pub(super) fn differences(a: &mut Machine, b: &mut Machine) -> Vec<String> {
    let mut lines = Lines::default();
    registers(&mut lines, &canonical(a.cpu()), &canonical(b.cpu()));
    lines.put("virtual time in ns", &a.now(), &b.now());
    devices(&mut lines, &a.devices(), &b.devices());
    memory(&mut lines, a, b);
    lines.0
}

/// Lines "what: first, second".
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn hex<T: Into<u128>>(&mut self, what: &str, a: T, b: T) {
        let (a, b) = (a.into(), b.into());
        if a != b {
            self.0.push(format!("{what}: {a:x}, {b:x}"));
        }
    }

    fn put<T: PartialEq + Debug>(&mut self, what: &str, a: &T, b: &T) {
        if a != b {
            self.0.push(format!("{what}: {a:?}, {b:?}"));
        }
    }
}

fn registers(l: &mut Lines, a: &State, b: &State) {
    const NAMES: [&str; 8] = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
    for n in 0..16 {
        let other = format!("gpr{n}");
        l.hex(NAMES.get(n).unwrap_or(&other.as_str()), a.gpr[n], b.gpr[n]);
    }
    l.hex("eip", a.eip, b.eip);
    flags(l, a.flags_image(), b.flags_image());
    l.put("instructions retired", &a.retired, &b.retired);
    l.put("cpl", &a.cpl, &b.cpl);
    l.put("activity", &a.activity, &b.activity);
    l.put("interrupt shadow", &(a.shadow, a.shadow_until), &(b.shadow, b.shadow_until));
    segments(l, a, b);
    control(l, a, b);
    fpu(l, a, b);
    (0..16).for_each(|n| l.hex(&format!("xmm{n}"), a.xmm[n], b.xmm[n]));
    l.hex("mxcsr", a.mxcsr, b.mxcsr);
}

fn flags(l: &mut Lines, a: u32, b: u32) {
    let names = [
        ("cf", eflags::CF),
        ("pf", eflags::PF),
        ("af", eflags::AF),
        ("zf", eflags::ZF),
        ("sf", eflags::SF),
        ("of", eflags::OF),
    ];
    for (name, bit) in names {
        l.put(&format!("flag {name}"), &u8::from(a & bit != 0), &u8::from(b & bit != 0));
    }
    l.hex("eflags", a & !eflags::ARITHMETIC, b & !eflags::ARITHMETIC);
}

fn segments(l: &mut Lines, a: &State, b: &State) {
    let all = |s: &State| [s.seg[0], s.seg[1], s.seg[2], s.seg[3], s.seg[4], s.seg[5], s.ldtr, s.tr];
    let names = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];
    for (name, (x, y)) in names.iter().zip(all(a).iter().zip(&all(b))) {
        l.hex(name, x.selector, y.selector);
        l.hex(&format!("{name}'s base"), x.base, y.base);
        l.hex(&format!("{name}'s limit"), x.limit, y.limit);
        l.hex(&format!("{name}'s rights"), x.rights, y.rights);
    }
    for (name, x, y) in [("gdtr", a.gdtr, b.gdtr), ("idtr", a.idtr, b.idtr)] {
        l.hex(&format!("{name}'s base"), x.base, y.base);
        l.hex(&format!("{name}'s limit"), x.limit, y.limit);
    }
}

fn control(l: &mut Lines, a: &State, b: &State) {
    l.hex("cr0", a.cr0, b.cr0);
    l.hex("cr2", a.cr2, b.cr2);
    l.hex("cr3", a.cr3, b.cr3);
    l.hex("cr4", a.cr4, b.cr4);
    (0..4).for_each(|n| l.hex(&format!("pdpte{n}"), a.pdptes[n], b.pdptes[n]));
    l.hex("efer", a.efer, b.efer);
    (0..8).for_each(|n| l.hex(&format!("dr{n}"), a.dr[n], b.dr[n]));
    l.hex("debug conditions", a.debug_hits, b.debug_hits);
    let names = ["sysenter_cs", "sysenter_esp", "sysenter_eip"];
    (0..3).for_each(|n| l.hex(names[n], a.sysenter[n], b.sysenter[n]));
    l.hex("tsc offset", a.tsc_offset, b.tsc_offset);
    l.hex("a20 mask", a.a20_mask, b.a20_mask);
    l.put("nmi blocked", &a.nmi_blocked, &b.nmi_blocked);
    l.put("nmi pending", &a.nmi_pending, &b.nmi_pending);
}

fn fpu(l: &mut Lines, a: &State, b: &State) {
    let (a, b) = (&a.fpu, &b.fpu);
    for (n, (x, y)) in a.registers.iter().zip(&b.registers).enumerate() {
        l.hex(&format!("fpu register {n}'s significand"), x.significand, y.significand);
        l.hex(&format!("fpu register {n}'s exponent"), x.exponent, y.exponent);
    }
    l.hex("fpu control", a.control, b.control);
    l.hex("fpu status", a.status, b.status);
    l.hex("fpu occupied", a.occupied, b.occupied);
    l.hex("fpu opcode", a.opcode, b.opcode);
    l.hex("fpu instruction pointer", a.ip, b.ip);
    l.hex("fpu instruction's cs", a.cs, b.cs);
    l.hex("fpu operand pointer", a.dp, b.dp);
    l.hex("fpu operand's ds", a.ds, b.ds);
}

fn devices(l: &mut Lines, a: &[(&'static str, Vec<u8>)], b: &[(&'static str, Vec<u8>)]) {
    for ((name, x), (_, y)) in a.iter().zip(b) {
        let at = x.iter().zip(y).position(|(x, y)| x != y);
        if x != y {
            let at = at.unwrap_or(x.len().min(y.len()));
            let rest = |v: &[u8]| v.iter().skip(at).take(8).map(|b| format!("{b:02x}")).collect::<String>();
            l.0.push(format!("device {name}, encoded, from byte {at}: {}, {}", rest(x), rest(y)));
        }
    }
}

fn memory(l: &mut Lines, a: &mut Machine, b: &mut Machine) {
    let ram = a.memory().len();
    let mut found = 0;
    for at in (0..a.memory().frames()).map(|f| f * PAGE) {
        let (mut x, mut y) = ([0; FRAME], [0; FRAME]);
        a.memory().read_arena(at, &mut x);
        b.memory().read_arena(at, &mut y);
        for (n, (x, y)) in x.iter().zip(&y).enumerate().filter(|(_, (x, y))| x != y) {
            found += 1;
            if found <= BYTES_TOLD {
                let at = u64::from(at) + n as u64;
                let (name, at) = if at < ram { ("memory", at) } else { ("flash and video memory", at - ram) };
                l.0.push(format!("{name} {at:08x}: {x:02x}, {y:02x}"));
            }
        }
    }
    if found > BYTES_TOLD {
        l.0.push(format!("and {} more bytes of memory", found - BYTES_TOLD));
    }
}
