//! FSCALE, FXTRACT, FPREM, FPREM1, FRNDINT.

use super::{denormal, invalid, operand, operands, rounded_full};
use crate::env::{Env, Flags, Round};
use crate::f80::F80;
use crate::num::{Num, Val, Wide};

/// FSCALE: `a * 2^trunc(b)` (SDM vol. 2, FSCALE). The precision control has no part in it.
pub fn scale(env: &mut Env, a: F80, b: F80) -> F80 {
    let (x, y) = match operands(env, a, b) {
        Ok(v) => v,
        Err(result) => return result,
    };
    if matches!((x, y), (Val::Zero(_), Val::Inf(false)) | (Val::Inf(_), Val::Inf(true))) {
        return invalid(env);
    }
    if denormal(env, &[a, b]) {
        return a;
    }
    match (x, y) {
        (Val::Zero(_) | Val::Inf(_), _) => a,
        (Val::Num(n), Val::Inf(negative)) if negative => F80::zero(n.sign),
        (Val::Num(n), Val::Inf(_)) => F80::infinity(n.sign),
        (Val::Num(n), Val::Zero(_)) => rounded_full(env, n.wide()),
        (Val::Num(n), Val::Num(m)) => {
            let w = Wide { exp: n.exp + scale_steps(m), ..n.wide() };
            rounded_full(env, w)
        }
    }
}

/// The scale factor, bounded to where the result has overflowed or underflowed anyway.
fn scale_steps(m: Num) -> i32 {
    let steps = if m.exp > 16 { 1 << 17 } else { m.to_integer(Round::Zero).map_or(0, |r| r.0 as i32) };
    if m.sign { -steps } else { steps }
}

/// FXTRACT: (exponent, significand).
pub fn extract(env: &mut Env, a: F80) -> (F80, F80) {
    match operand(env, a) {
        Err(result) => (result, result),
        Ok(Val::Inf(_)) => (F80::INFINITY, a),
        Ok(Val::Zero(_)) => {
            env.raise(Flags::ZE);
            (F80::infinity(true), a)
        }
        Ok(Val::Num(n)) => {
            denormal(env, &[a]);
            (super::from_i32(n.exp), F80::exact(Num { exp: 0, ..n }))
        }
    }
}

/// What FPREM and FPREM1 give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remainder {
    /// The remainder, or the partial one.
    pub value: F80,
    /// The low three bits of the quotient (C0, C3, C1 are Q2, Q1, Q0) when complete.
    pub quotient: u8,
    /// C2: the reduction is not complete.
    pub partial: bool,
}

impl Remainder {
    fn of(value: F80) -> Self {
        Self { value, quotient: 0, partial: false }
    }
}

/// FPREM: the quotient is truncated.
pub fn rem_trunc(env: &mut Env, a: F80, b: F80) -> Remainder {
    remainder(env, a, b, false)
}

/// FPREM1: the quotient is rounded to nearest (IEEE remainder).
pub fn rem_nearest(env: &mut Env, a: F80, b: F80) -> Remainder {
    remainder(env, a, b, true)
}

fn remainder(env: &mut Env, a: F80, b: F80, nearest: bool) -> Remainder {
    let (x, y) = match operands(env, a, b) {
        Ok(v) => v,
        Err(result) => return Remainder::of(result),
    };
    if matches!(x, Val::Inf(_)) || matches!(y, Val::Zero(_)) {
        return Remainder::of(invalid(env));
    }
    if denormal(env, &[a, b]) {
        return Remainder::of(a);
    }
    match (x, y) {
        (Val::Num(n), Val::Num(m)) => reduce(env, n, m, nearest),
        (Val::Num(n), _) => Remainder::of(rounded_full(env, n.wide())),
        _ => Remainder::of(a),
    }
}

/// Reduction of finite operands. The last step takes an exponent difference below 64; earlier ones lower it
/// by 32 to 63 so that it stays a multiple of 32 away (SDM vol. 2, FPREM).
fn reduce(env: &mut Env, n: Num, m: Num, nearest: bool) -> Remainder {
    let d = n.exp - m.exp;
    if d < -1 || d == -1 && !nearest {
        return Remainder::of(rounded_full(env, n.wide()));
    }
    let partial = d >= 64;
    let steps = if partial { 32 + (d & 31) } else { d.max(0) };
    let divisor = u128::from(m.sig);
    let dividend = if d < 0 { u128::from(n.sig >> 1) } else { u128::from(n.sig) << steps };
    // One place below the divisor's for the bit that an exponent difference of -1 shifts out.
    let (mut quotient, rest) = (dividend / divisor, dividend % divisor);
    let mut rest = rest << 1 | if d < 0 { u128::from(n.sig & 1) } else { 0 };
    let mut sign = n.sign;
    if nearest && !partial {
        let twice = rest;
        if twice > divisor || twice == divisor && quotient & 1 != 0 {
            quotient += 1;
            rest = 2 * divisor - rest;
            sign = !sign;
        }
    }
    let exp = m.exp + if partial { d - steps } else { 0 };
    let value = match Wide::normal(sign, exp + 63, rest) {
        Some(w) => rounded_full(env, w),
        None => F80::zero(n.sign),
    };
    let quotient = if partial { 0 } else { quotient as u8 & 7 };
    Remainder { value, quotient, partial }
}

/// FRNDINT.
pub fn round_to_int(env: &mut Env, a: F80) -> F80 {
    let n = match operand(env, a) {
        Err(result) => return result,
        Ok(Val::Zero(_) | Val::Inf(_)) => return a,
        Ok(Val::Num(n)) => n,
    };
    if denormal(env, &[a]) || n.exp >= 63 {
        return a;
    }
    let Some((whole, inexact, up)) = n.to_integer(env.round) else {
        return a;
    };
    if inexact {
        env.raise(Flags::PE);
        env.c1 = up;
    }
    match Wide::normal(n.sign, 127, whole) {
        Some(w) => rounded_exact(w),
        None => F80::zero(n.sign),
    }
}

fn rounded_exact(w: Wide) -> F80 {
    F80::exact(Num { sign: w.sign, exp: w.exp, sig: (w.sig >> 64) as u64 })
}
