//! States of an FPU that masks all exceptions, and operands in memory.

use super::operands::Rng;
use cpu::{Fpu, Register};
use float::F80;

fn register(v: F80) -> Register {
    Register { significand: v.sig, exponent: v.se }
}

/// Any 80 bits: likely ones, or altogether random ones, which are mostly unsupported encodings.
fn value(rng: &mut Rng) -> F80 {
    match rng.below(8) {
        0 => F80 { sig: rng.next(), se: rng.next() as u16 },
        1 => {
            let s = super::operands::special80();
            s[rng.below(s.len() as u64) as usize]
        }
        _ => rng.f80(),
    }
}

/// Tags: any, or so that an operation most likely finds its operands and a place.
fn occupied(rng: &mut Rng, top: u32) -> u8 {
    match rng.below(4) {
        0 => rng.next() as u8,
        1 => 0xff,
        _ => [0x01u8, 0x03, 0x0f, 0x7f, 0x7f, 0x3f][rng.below(6) as usize].rotate_left(top),
    }
}

/// A state that may live in the host.
pub(crate) fn fpu(rng: &mut Rng) -> Fpu {
    let top = rng.below(8) as u16;
    let flags = [0, rng.below(128) as u16][rng.below(2) as usize];
    let status = flags | top << 11 | rng.next() as u16 & 0x4700;
    let control =
        0x7f | (rng.below(4) as u16) << 8 | (rng.below(4) as u16) << 10 | (rng.below(2) as u16) << 12;
    let (st0, st1) = if rng.below(4) == 0 { (value(rng), value(rng)) } else { rng.pair80() };
    let mut fpu = Fpu { control, status, occupied: occupied(rng, top.into()), ..Fpu::default() };
    // half of the time every ST(i) is near ST(0), whichever the instruction takes
    let near = rng.below(2) == 0;
    for i in 0..8u16 {
        let v = match i {
            0 => st0,
            1 => st1,
            _ if near => st1,
            _ => value(rng),
        };
        fpu.registers[usize::from((top + i) & 7)] = register(v);
    }
    fpu
}

/// Sixteen bytes that begin with an operand of some format.
pub(crate) fn operand(rng: &mut Rng) -> [u8; 16] {
    let mut m = u128::from(rng.next()) << 64 | u128::from(rng.next());
    let mut begin = |v: u128, bits: u32| m = m >> bits << bits | v & ((1 << bits) - 1);
    match rng.below(5) {
        0 => begin(rng.f32().into(), 32),
        1 => begin(rng.f64().into(), 64),
        2 => {
            let v = value(rng);
            begin(u128::from(v.sig) | u128::from(v.se) << 64, 80);
        }
        3 => begin(rng.bits().into(), 64),
        _ => {}
    }
    m.to_le_bytes()
}
