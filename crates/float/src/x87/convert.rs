//! Loads and stores of other formats (FLD, FST, FILD, FIST, FISTTP, FBLD, FBSTP).

use super::operand;
use crate::env::{Env, Flags, Round};
use crate::f80::{Class, F80};
use crate::format::{self, Format};
use crate::num::{Num, Val};
use crate::round::finish;

/// FILD m16int.
pub fn from_i16(x: i16) -> F80 {
    from_i64(i64::from(x))
}

/// FILD m32int.
pub fn from_i32(x: i32) -> F80 {
    from_i64(i64::from(x))
}

/// FILD m64int: always exact.
pub fn from_i64(x: i64) -> F80 {
    if x == 0 { F80::ZERO } else { F80::exact(Num::normal(x < 0, 63, x.unsigned_abs())) }
}

/// An integer store: the magnitude may reach `limit` if positive, `limit + 1` if negative.
fn to_integer(env: &mut Env, a: F80, round: Round, limit: u64) -> Option<i64> {
    env.c1 = false;
    let result = match a.value() {
        Some(Val::Zero(_)) => return Some(0),
        Some(Val::Num(n)) => n.to_integer(round).map(|r| (n.sign, r)),
        _ => None,
    };
    let in_range = result.filter(|(sign, r)| r.0 <= u128::from(limit) + u128::from(*sign));
    let Some((sign, (magnitude, inexact, up))) = in_range else {
        env.raise(Flags::IE);
        return None;
    };
    if inexact {
        env.raise(Flags::PE);
        env.c1 = up;
    }
    let magnitude = magnitude as i64;
    Some(if sign { magnitude.wrapping_neg() } else { magnitude })
}

fn rounding(env: &Env, truncate: bool) -> Round {
    if truncate { Round::Zero } else { env.round }
}

/// FIST m16int; FISTTP when `truncate`.
pub fn to_i16(env: &mut Env, a: F80, truncate: bool) -> i16 {
    to_integer(env, a, rounding(env, truncate), i16::MAX as u64).map_or(i16::MIN, |x| x as i16)
}

/// FIST m32int; FISTTP when `truncate`.
pub fn to_i32(env: &mut Env, a: F80, truncate: bool) -> i32 {
    to_integer(env, a, rounding(env, truncate), i32::MAX as u64).map_or(i32::MIN, |x| x as i32)
}

/// FISTP m64int; FISTTP when `truncate`.
pub fn to_i64(env: &mut Env, a: F80, truncate: bool) -> i64 {
    to_integer(env, a, rounding(env, truncate), i64::MAX as u64).unwrap_or(i64::MIN)
}

/// Packed BCD indefinite (SDM vol. 1, 4.7.2).
pub const BCD_INDEFINITE: [u8; 10] = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff];

/// FBLD. Digits above nine count with their binary value, as processors do.
pub fn from_bcd(bytes: [u8; 10]) -> F80 {
    let digits = bytes[..9].iter().rev();
    let magnitude = digits.fold(0u64, |n, b| {
        let pair = u64::from(b >> 4) * 10 + u64::from(b & 15);
        n.wrapping_mul(100).wrapping_add(pair)
    });
    let sign = bytes[9] & 0x80 != 0;
    if magnitude == 0 { F80::zero(sign) } else { F80::exact(Num::normal(sign, 63, magnitude)) }
}

/// FBSTP.
pub fn to_bcd(env: &mut Env, a: F80) -> [u8; 10] {
    const LIMIT: u64 = 999_999_999_999_999_999;
    // A negative number may not be one larger here; asking for that range with either sign tells.
    let positive = a.abs();
    let round = match (env.round, a.sign()) {
        (Round::Down, true) => Round::Up,
        (Round::Up, true) => Round::Down,
        (round, _) => round,
    };
    let Some(n) = to_integer(env, positive, round, LIMIT) else {
        return BCD_INDEFINITE;
    };
    let mut rest = n as u64;
    let mut bytes = [0; 10];
    for byte in &mut bytes[..9] {
        let pair = (rest % 100) as u8;
        *byte = ((pair / 10) << 4) | (pair % 10);
        rest /= 100;
    }
    bytes[9] = if a.sign() { 0x80 } else { 0 };
    bytes
}

/// FLD m32fp: exact; a signalling NaN is invalid, a denormal raises DE.
pub fn from_f32(env: &mut Env, x: u32) -> F80 {
    load(env, x)
}

/// FLD m64fp: exact; a signalling NaN is invalid, a denormal raises DE.
pub fn from_f64(env: &mut Env, x: u64) -> F80 {
    load(env, x)
}

fn load<F: Format>(env: &mut Env, x: F) -> F80 {
    env.c1 = false;
    if format::is_nan(x) {
        if format::is_snan(x) {
            env.raise(Flags::IE);
        }
        let se = u16::from(format::sign(x)) << 15 | 0x7fff;
        return F80 { sig: format::nan_significand(x), se }.quieted();
    }
    if format::is_denormal(x) {
        env.raise(Flags::DE);
    }
    match format::value(x) {
        Val::Zero(s) => F80::zero(s),
        Val::Inf(s) => F80::infinity(s),
        Val::Num(n) => F80::exact(n),
    }
}

/// FST m32fp.
pub fn to_f32(env: &mut Env, a: F80) -> u32 {
    store(env, a)
}

/// FST m64fp.
pub fn to_f64(env: &mut Env, a: F80) -> u64 {
    store(env, a)
}

fn store<F: Format>(env: &mut Env, a: F80) -> F {
    match operand(env, a) {
        Ok(Val::Zero(s)) => format::zero(s),
        Ok(Val::Inf(s)) => format::infinity(s),
        Ok(Val::Num(n)) => store_number(env, n),
        Err(_) if a.class() == Class::Unsupported => format::default_nan(),
        Err(nan) => format::nan(nan.sign(), nan.sig),
    }
}

/// An unmasked overflow or underflow stores nothing, so nothing is inexact either.
fn store_number<F: Format>(env: &mut Env, n: Num) -> F {
    let before = env.flags;
    let out = finish(env, n.wide(), format::target::<F>());
    if env.unmasked() & (Flags::OE | Flags::UE) != 0 {
        env.flags = before | env.flags & !Flags::PE;
        env.c1 = false;
    }
    format::pack(out)
}
