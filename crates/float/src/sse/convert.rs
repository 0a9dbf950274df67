//! Conversions between formats and integers (CVTxx2xx, CVTTxx2xx).

use super::arith::round_to;
use super::{denormal, flushed};
use crate::env::{Env, Flags, Round};
use crate::format::{self, Format};
use crate::num::{Num, Val};

/// CVTSS2SD, CVTPS2PD: exact.
pub fn widen(env: &mut Env, a: u32) -> u64 {
    convert(env, a)
}

/// CVTSD2SS, CVTPD2PS.
pub fn narrow(env: &mut Env, a: u64) -> u32 {
    convert(env, a)
}

fn convert<F: Format, G: Format>(env: &mut Env, a: F) -> G {
    let a = flushed(env, a);
    if format::is_nan(a) {
        if format::is_snan(a) {
            env.raise(Flags::IE);
        }
        return format::nan(format::sign(a), format::nan_significand(a));
    }
    if denormal(env, &[a]) {
        return format::zero(false);
    }
    match format::value(a) {
        Val::Zero(s) => format::zero(s),
        Val::Inf(s) => format::infinity(s),
        Val::Num(n) => round_to(env, n.wide()),
    }
}

/// CVTSI2SS, CVTSI2SD, CVTDQ2PS, CVTDQ2PD, CVTPI2PS, CVTPI2PD.
pub fn from_i32<F: Format>(env: &mut Env, x: i32) -> F {
    from_i64(env, i64::from(x))
}

/// CVTSI2SS, CVTSI2SD with a 64-bit source.
pub fn from_i64<F: Format>(env: &mut Env, x: i64) -> F {
    if x == 0 {
        return format::zero(false);
    }
    round_to(env, Num::normal(x < 0, 63, x.unsigned_abs()).wide())
}

/// CVTSS2SI, CVTSD2SI and packed forms; the CVTT forms when `truncate`. Out of range and NaN give the integer
/// indefinite and IE.
pub fn to_i32<F: Format>(env: &mut Env, a: F, truncate: bool) -> i32 {
    to_integer(env, a, truncate, i32::MAX as u64).map_or(i32::MIN, |x| x as i32)
}

/// CVTSS2SI, CVTSD2SI with a 64-bit destination; the CVTT forms when `truncate`.
pub fn to_i64<F: Format>(env: &mut Env, a: F, truncate: bool) -> i64 {
    to_integer(env, a, truncate, i64::MAX as u64).unwrap_or(i64::MIN)
}

fn to_integer<F: Format>(env: &mut Env, a: F, truncate: bool, limit: u64) -> Option<i64> {
    let a = flushed(env, a);
    let round = if truncate { Round::Zero } else { env.round };
    let result = match format::value(a) {
        _ if format::is_nan(a) => None,
        Val::Zero(_) => return Some(0),
        Val::Inf(_) => None,
        Val::Num(n) => n.to_integer(round).map(|(i, inexact, _)| (n.sign, i, inexact)),
    };
    let in_range = result.filter(|&(sign, i, _)| i <= u128::from(limit) + u128::from(sign));
    let Some((sign, i, inexact)) = in_range else {
        env.raise(Flags::IE);
        return None;
    };
    if inexact {
        env.raise(Flags::PE);
    }
    let i = i as i64;
    Some(if sign { i.wrapping_neg() } else { i })
}
