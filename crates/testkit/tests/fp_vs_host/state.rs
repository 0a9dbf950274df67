//! Random machine states, and how two are compared.

use crate::guest::at;
use crate::operands::Rng;
use testkit::host_runner::Frame;

/// What the states of a run look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    X87,
    Integer,
    Single,
    Double,
}

/// Sixteen bytes of which parts repeat, are near each other, or are special.
pub(crate) fn vector(rng: &mut Rng, kind: Kind) -> u128 {
    let pair = |a: u64, b: u64| u128::from(a) | u128::from(b) << 64;
    let mut single = || u64::from(rng.f32()) | u64::from(rng.f32()) << 32;
    match kind {
        Kind::Single => pair(single(), single()),
        Kind::Double => pair(rng.f64(), rng.f64()),
        _ => match rng.below(4) {
            0 => pair(rng.next(), rng.next()),
            1 => pair(rng.below(80), rng.below(20)),
            2 => {
                let lanes: [u8; 16] = std::array::from_fn(|_| {
                    [0, 1, 0x7f, 0x80, 0x81, 0xff, 0xfe, 0x55][rng.below(8) as usize]
                });
                u128::from_le_bytes(lanes)
            }
            _ => pair(rng.bits(), rng.bits()),
        },
    }
}

fn mxcsr(rng: &mut Rng) -> u32 {
    let masks = match rng.below(4) {
        0 => rng.below(64) as u32,
        _ => 0x3f,
    };
    let daz_ftz = [0, 0, 0, 0x40, 0x8000, 0x8040][rng.below(6) as usize];
    let flags = [0, 0x20, 0x3f, rng.below(64) as u32][rng.below(4) as usize];
    let round = if rng.below(2) == 0 { 0 } else { rng.below(4) as u32 };
    masks << 7 | daz_ftz | flags | round << 13
}

/// A state in which no exception is pending.
pub(crate) fn random(rng: &mut Rng, kind: Kind) -> Frame {
    let mut f = Frame::default();
    let control = rng.control();
    // flags that are set are masked ones, or an exception would be pending
    let flags = rng.below(128) as u16 & (control | 0x40);
    let top = rng.below(8) as u16;
    let codes = (rng.next() as u16) & 0x4700;
    let status = [0, flags][rng.below(2) as usize] | top << 11 | codes;
    let occupied = match (kind, rng.below(4)) {
        (Kind::X87, 0) => rng.next() as u8,
        // the lower registers of the stack
        (Kind::X87, _) => {
            [0x01u8, 0x03, 0x0f, 0x7f, 0x7f, 0x3f][rng.below(6) as usize].rotate_left(top.into())
        }
        _ => rng.next() as u8,
    };
    f.fx[0..2].copy_from_slice(&control.to_le_bytes());
    f.fx[2..4].copy_from_slice(&status.to_le_bytes());
    f.fx[4] = occupied;
    f.fx[24..28].copy_from_slice(&mxcsr(rng).to_le_bytes());
    f.fx[28..32].copy_from_slice(&0xffffu32.to_le_bytes());
    let (st0, st1) = rng.pair80();
    for i in 0..8 {
        let v = [st0, st1, rng.f80()][i.min(2)];
        let v = if kind == Kind::X87 { v } else { float::F80 { sig: vector(rng, kind) as u64, se: v.se } };
        f.fx[32 + 16 * i..][..10].copy_from_slice(&v.to_bytes());
    }
    for n in 0..8 {
        f.fx[160 + 16 * n..][..16].copy_from_slice(&vector(rng, kind).to_le_bytes());
    }
    f.gpr = std::array::from_fn(|_| rng.bits() & 0xffff_ffff);
    f.flags = rng.next() & 0x8d5 | 2;
    for chunk in f.memory.chunks_mut(16) {
        chunk.copy_from_slice(&vector(rng, kind).to_le_bytes());
    }
    if kind == Kind::X87 {
        memory_operand(rng, &mut f);
    }
    f
}

/// Any of the formats that x87 loads.
fn memory_operand(rng: &mut Rng, f: &mut Frame) {
    let m = &mut f.memory;
    match rng.below(5) {
        0 => m[..4].copy_from_slice(&rng.f32().to_le_bytes()),
        1 => m[..8].copy_from_slice(&rng.f64().to_le_bytes()),
        2 => m[..10].copy_from_slice(&rng.f80().to_bytes()),
        3 => m[..8].copy_from_slice(&rng.bits().to_le_bytes()),
        _ => m[..9].fill_with(|| (rng.below(10) << 4 | rng.below(10)) as u8),
    }
}

/// Clears what FXSAVE leaves open, what processors may differ in, and what is not saved.
pub(crate) fn normalize(f: &mut Frame) {
    f.fx[5..24].fill(0);
    f.fx[28..32].fill(0);
    f.fx[288..].fill(0);
    for i in 0..8 {
        f.fx[32 + 16 * i + 10..][..6].fill(0);
    }
    f.flags &= 0x8d5;
}

/// Nothing differs.
pub(crate) fn same(a: &Frame, b: &Frame) -> bool {
    a.fx == b.fx && a.gpr == b.gpr && a.flags == b.flags && a.memory == b.memory && a.trapped == b.trapped
}

/// What differs, in words.
pub(crate) fn differences(host: &Frame, guest: &Frame) -> Vec<String> {
    let mut out = Vec::new();
    let mut note = |name: String, h: String, g: String| {
        if h != g {
            out.push(format!("{name}: host {h}, guest {g}"));
        }
    };
    let hex = |b: &[u8]| b.iter().rev().map(|b| format!("{b:02x}")).collect::<String>();
    let fields = [("control", 0, 2), ("status", 2, 2), ("tags", 4, 1), ("mxcsr", 24, 4)];
    for (name, offset, len) in fields {
        note(name.into(), hex(&host.fx[offset..][..len]), hex(&guest.fx[offset..][..len]));
    }
    for i in 0..8 {
        let (st, xmm) = (32 + 16 * i, 160 + 16 * i);
        note(format!("st{i}"), hex(&host.fx[st..][..10]), hex(&guest.fx[st..][..10]));
        note(format!("xmm{i}"), hex(&host.fx[xmm..][..16]), hex(&guest.fx[xmm..][..16]));
    }
    for (n, name) in ["eax", "ecx", "edx", "ebx", "esi", "edi"].into_iter().enumerate() {
        note(name.into(), format!("{:x}", host.gpr[n]), format!("{:x}", guest.gpr[n]));
    }
    note("flags".into(), format!("{:x}", host.flags), format!("{:x}", guest.flags));
    note("memory".into(), hex(&host.memory), hex(&guest.memory));
    note("trap".into(), host.trapped.to_string(), guest.trapped.to_string());
    out
}

/// The inputs of a case, for a report.
pub(crate) fn describe(f: &Frame) -> String {
    let word = |o| u16::from_le_bytes(at(&f.fx, o));
    let st: Vec<String> = (0..3)
        .map(|i| format!("{:04x}:{:016x}", word(40 + 16 * i), u64::from_le_bytes(at(&f.fx, 32 + 16 * i))))
        .collect();
    let mxcsr = u32::from_le_bytes(at(&f.fx, 24));
    format!(
        "control {:04x} status {:04x} tags {:02x} mxcsr {mxcsr:04x} st {} memory {:02x?}",
        word(0),
        word(2),
        f.fx[4],
        st.join(" "),
        &f.memory[..16]
    )
}
