//! FYL2X and FYL2XP1.

use super::{inexact, quick};
use crate::env::{Env, Flags};
use crate::f80::F80;
use crate::num::{Val, Wide};
use crate::wide::{Series, odd_reciprocals, sum};
use crate::x87::{denormal, invalid, operands};

/// The series of `artanh(s) / s` in `s^2`.
const SERIES: Series<18> = odd_reciprocals();

/// `2 / ln 2`
const TWO_LOG2_E: Wide = Wide { sign: false, exp: 1, sig: 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e89 };

/// The top of the significand of the square root of two.
const ROOT_2: u128 = 0xb504_f333_f9de_6484 << 64;

/// FYL2X: `y * log2(x)`, `x` in ST(0), `y` in ST(1) (SDM vol. 2, table of FYL2X).
pub fn y_log2_x(env: &mut Env, x: F80, y: F80) -> F80 {
    let (a, b) = match operands(env, x, y) {
        Ok(v) => v,
        Err(result) => return result,
    };
    let one = x == F80::ONE;
    match (a, b) {
        (Val::Num(n), _) if n.sign => return invalid(env),
        (Val::Inf(true), _) => return invalid(env),
        (Val::Inf(false), Val::Zero(_)) | (Val::Zero(_), Val::Zero(_)) => return invalid(env),
        (_, Val::Inf(_)) if one => return invalid(env),
        (Val::Zero(_), Val::Num(m)) => {
            env.raise(Flags::ZE);
            return F80::infinity(!m.sign);
        }
        _ => {}
    }
    if denormal(env, &[x, y]) {
        return x;
    }
    match (a, b) {
        (Val::Inf(_), _) => F80::infinity(b.sign()),
        (Val::Zero(_), _) => F80::infinity(!b.sign()),
        (Val::Num(n), Val::Inf(s)) => F80::infinity(s != (n.exp < 0)),
        (Val::Num(n), Val::Zero(s)) => F80::zero(s != (n.exp < 0)),
        (Val::Num(n), Val::Num(m)) => product(env, quick::log2(n), || log2(n.wide()), m.wide()),
    }
}

/// FYL2XP1: `y * log2(x + 1)`, `x` in ST(0), `y` in ST(1), for `x` from `-(1 - sqrt(1/2))` to
/// `sqrt(2) - 1`. Outside of it the manual leaves the result undefined; here the formula still
/// holds, and from -1 down the operation is invalid.
pub fn y_log2_x_plus_1(env: &mut Env, x: F80, y: F80) -> F80 {
    let (a, b) = match operands(env, x, y) {
        Ok(v) => v,
        Err(result) => return result,
    };
    match (a, b) {
        (Val::Inf(true), _) | (Val::Zero(_), Val::Inf(_)) | (Val::Inf(_), Val::Zero(_)) => {
            return invalid(env);
        }
        (Val::Num(n), _) if n.sign && n.exp >= 0 => return invalid(env),
        _ => {}
    }
    if denormal(env, &[x, y]) {
        return x;
    }
    let sign = a.sign() != b.sign();
    match (a, b) {
        (Val::Inf(_), _) | (_, Val::Inf(_)) => F80::infinity(sign),
        (Val::Zero(_), _) | (_, Val::Zero(_)) => F80::zero(sign),
        (Val::Num(n), Val::Num(m)) => product(env, quick::log2_plus_1(n), || log2_plus_1(n.wide()), m.wide()),
    }
}

/// `y` times a logarithm: the quick one, if that settles the result, else the careful one.
#[inline]
fn product(env: &mut Env, quick: Option<Wide>, careful: impl FnOnce() -> Option<Wide>, y: Wide) -> F80 {
    if let Some(w) = quick.map(|log| log.times(y)).filter(quick::is_settled) {
        return inexact(env, w);
    }
    carefully(env, careful, y)
}

#[cold]
#[inline(never)]
fn carefully(env: &mut Env, careful: impl FnOnce() -> Option<Wide>, y: Wide) -> F80 {
    match careful() {
        Some(log) => inexact(env, log.times(y)),
        None => F80::zero(y.sign),
    }
}

/// The binary logarithm of a positive number; nothing if it is zero.
pub(super) fn log2(x: Wide) -> Option<Wide> {
    let up = i32::from(x.sig > ROOT_2);
    let m = Wide { exp: -up, ..x };
    let whole = x.exp + up;
    // log m = 2 artanh((m - 1) / (m + 1)), and m lies between the roots of 1/2 and 2.
    let below = m.plus(Wide::ONE.negated());
    let above = m.plus(Wide::ONE);
    let part = below.zip(above).map(|(n, d)| from_ratio(n.over(d)));
    let whole = (whole != 0).then(|| Wide::integer(whole));
    match (whole, part) {
        (Some(w), Some(p)) => w.plus(p),
        (w, p) => w.or(p),
    }
}

/// `log2(1 + x)` without losing what 1 would hide.
pub(super) fn log2_plus_1(x: Wide) -> Option<Wide> {
    // from a quarter on there is nothing to lose, and the series below would be too short
    if x.exp >= -2 {
        return x.plus(Wide::ONE).and_then(log2);
    }
    x.plus(Wide::integer(2)).map(|d| from_ratio(x.over(d)))
}

/// `2 artanh(s) / ln 2`
fn from_ratio(s: Wide) -> Wide {
    s.times(sum(&SERIES, s.times(s).fraction())).times(TWO_LOG2_E)
}
