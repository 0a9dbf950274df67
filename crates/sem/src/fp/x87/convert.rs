//! Loads and stores of memory operands (SDM vol. 1, 8.3.3).

use super::Format;
use super::stack::{self, Outcome};
use cpu::Fpu;
use float::{Env, F80, x87};

/// The ten bytes of an 80-bit image.
fn ten(a: u128) -> [u8; 10] {
    let b = a.to_le_bytes();
    [b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9]]
}

/// An operand from memory as FLD takes it.
#[inline(always)]
fn decode(env: &mut Env, f: Format, a: u128) -> F80 {
    match f {
        Format::F32 => x87::from_f32(env, a as u32),
        Format::F64 => x87::from_f64(env, a as u64),
        Format::F80 => F80 { sig: a as u64, se: (a >> 64) as u16 },
        Format::I16 => x87::from_i16(a as i16),
        Format::I32 => x87::from_i32(a as i32),
        Format::I64 => x87::from_i64(a as i64),
        Format::Bcd => x87::from_bcd(ten(a)),
    }
}

/// An operand from memory as arithmetic takes it: signalling NaNs still signal. Also whether it
/// was denormal, which its 80-bit form does not show any more.
#[inline(always)]
pub(super) fn operand(f: Format, a: u128) -> (F80, bool) {
    const QUIET: u64 = 1 << 62;
    let (quiet, denormal) = match f {
        Format::F32 => (a >> 22 & 1 != 0, a as u32 & 0x7f80_0000 == 0 && a as u32 & 0x7f_ffff != 0),
        Format::F64 => (a >> 51 & 1 != 0, a as u64 >> 52 & 0x7ff == 0 && (a as u64) << 12 != 0),
        _ => (true, false),
    };
    let mut v = decode(&mut Env::default(), f, a);
    if !quiet && v.se & 0x7fff == 0x7fff && v.sig << 1 != 0 {
        v.sig &= !QUIET;
    }
    (v, denormal)
}

/// FLD, FILD, FBLD.
#[inline(always)]
pub(super) fn load(fpu: &mut Fpu, f: Format, a: u128) -> Outcome {
    if !stack::is_empty(fpu, 7) {
        return stack::fault_with(fpu, true, |fpu| stack::push(fpu, F80::DEFAULT_NAN));
    }
    let mut env = stack::environment(fpu);
    let v = decode(&mut env, f, a);
    stack::note(fpu, &env);
    if env.blocks_load() {
        return Outcome::Blocked;
    }
    stack::push(fpu, v);
    Outcome::Done
}

/// FST, FIST, FBSTP, FISTTP: the bits that memory gets.
#[inline(always)]
pub(super) fn store(fpu: &mut Fpu, f: Format, truncate: bool) -> Outcome {
    if stack::is_empty(fpu, 0) {
        return match stack::fault(fpu, false) {
            Outcome::Blocked => Outcome::Blocked,
            _ => Outcome::Value(indefinite(f)),
        };
    }
    let v = stack::get(fpu, 0);
    let mut env = stack::environment(fpu);
    let bits = encode(&mut env, f, v, truncate);
    stack::note(fpu, &env);
    if env.blocks_store() { Outcome::Blocked } else { Outcome::Value(bits) }
}

#[inline(always)]
fn encode(env: &mut Env, f: Format, v: F80, truncate: bool) -> u128 {
    match f {
        Format::F32 => u128::from(x87::to_f32(env, v)),
        Format::F64 => u128::from(x87::to_f64(env, v)),
        Format::F80 => image(v.to_bytes()),
        Format::I16 => u128::from(x87::to_i16(env, v, truncate) as u16),
        Format::I32 => u128::from(x87::to_i32(env, v, truncate) as u32),
        Format::I64 => u128::from(x87::to_i64(env, v, truncate) as u64),
        Format::Bcd => image(x87::to_bcd(env, v)),
    }
}

fn image(bytes: [u8; 10]) -> u128 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u128::from(*b))
}

/// What a store of an empty register gives (SDM vol. 1, 4.8.3.7 and 8.5.1.1).
#[cold]
fn indefinite(f: Format) -> u128 {
    match f {
        Format::F32 => 0xffc0_0000,
        Format::F64 => 0xfff8_0000_0000_0000,
        Format::F80 => image(F80::DEFAULT_NAN.to_bytes()),
        Format::I16 => 0x8000,
        Format::I32 => 0x8000_0000,
        Format::I64 => 0x8000_0000_0000_0000,
        Format::Bcd => image(x87::BCD_INDEFINITE),
    }
}
