//! Arithmetic and comparison.

use super::{denormal, invalid, operand, operands, rounded};
use crate::env::{Env, Flags, Round};
use crate::f80::{Class, F80};
use crate::num::Val;

/// FADD.
pub fn add(env: &mut Env, a: F80, b: F80) -> F80 {
    sum(env, a, b, false)
}

/// FSUB: `a - b`.
pub fn sub(env: &mut Env, a: F80, b: F80) -> F80 {
    sum(env, a, b, true)
}

fn sum(env: &mut Env, a: F80, b: F80, negate: bool) -> F80 {
    let (x, y) = match operands(env, a, b) {
        Ok(v) => v,
        Err(result) => return result,
    };
    let y = match y {
        Val::Zero(s) => Val::Zero(s ^ negate),
        Val::Inf(s) => Val::Inf(s ^ negate),
        Val::Num(n) => Val::Num(crate::num::Num { sign: n.sign ^ negate, ..n }),
    };
    if let (Val::Inf(s), Val::Inf(t)) = (x, y)
        && s != t
    {
        return invalid(env);
    }
    if denormal(env, &[a, b]) {
        return a;
    }
    let cancelled = env.round == Round::Down;
    match (x, y) {
        (Val::Inf(s), _) | (_, Val::Inf(s)) => F80::infinity(s),
        (Val::Zero(s), Val::Zero(t)) => F80::zero(if s == t { s } else { cancelled }),
        (Val::Num(n), Val::Zero(_)) | (Val::Zero(_), Val::Num(n)) => rounded(env, n.wide()),
        (Val::Num(n), Val::Num(m)) => match n.plus(m) {
            Some(w) => rounded(env, w),
            None => F80::zero(cancelled),
        },
    }
}

/// FMUL.
pub fn mul(env: &mut Env, a: F80, b: F80) -> F80 {
    let (x, y) = match operands(env, a, b) {
        Ok(v) => v,
        Err(result) => return result,
    };
    let sign = x.sign() != y.sign();
    if matches!((x, y), (Val::Inf(_), Val::Zero(_)) | (Val::Zero(_), Val::Inf(_))) {
        return invalid(env);
    }
    if denormal(env, &[a, b]) {
        return a;
    }
    match (x, y) {
        (Val::Inf(_), _) | (_, Val::Inf(_)) => F80::infinity(sign),
        (Val::Zero(_), _) | (_, Val::Zero(_)) => F80::zero(sign),
        (Val::Num(n), Val::Num(m)) => rounded(env, n.times(m)),
    }
}

/// FDIV: `a / b`.
pub fn div(env: &mut Env, a: F80, b: F80) -> F80 {
    let (x, y) = match operands(env, a, b) {
        Ok(v) => v,
        Err(result) => return result,
    };
    let sign = x.sign() != y.sign();
    if matches!((x, y), (Val::Inf(_), Val::Inf(_)) | (Val::Zero(_), Val::Zero(_))) {
        return invalid(env);
    }
    if matches!((x, y), (Val::Num(_), Val::Zero(_))) {
        env.raise(Flags::ZE);
        return F80::infinity(sign);
    }
    if denormal(env, &[a, b]) {
        return a;
    }
    match (x, y) {
        (Val::Inf(_), _) | (_, Val::Zero(_)) => F80::infinity(sign),
        (_, Val::Inf(_)) | (Val::Zero(_), _) => F80::zero(sign),
        (Val::Num(n), Val::Num(m)) => rounded(env, n.over(m)),
    }
}

/// FSQRT.
pub fn sqrt(env: &mut Env, a: F80) -> F80 {
    let x = match operand(env, a) {
        Ok(v) => v,
        Err(result) => return result,
    };
    match x {
        Val::Zero(_) | Val::Inf(false) => a,
        Val::Inf(true) => invalid(env),
        Val::Num(n) if n.sign => invalid(env),
        Val::Num(_) if denormal(env, &[a]) => a,
        Val::Num(n) => rounded(env, n.root()),
    }
}

/// The outcome of a comparison (SDM vol. 1, table 8-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// First operand greater.
    Greater,
    /// First operand less.
    Less,
    /// Equal.
    Equal,
    /// Not comparable.
    Unordered,
}

impl Relation {
    /// The bits that it sets: C0/CF = 1, C2/PF = 2, C3/ZF = 4.
    pub const fn bits(self) -> u8 {
        match self {
            Relation::Greater => 0,
            Relation::Less => 1,
            Relation::Equal => 4,
            Relation::Unordered => 7,
        }
    }

    pub(crate) fn of(x: Val, y: Val) -> Relation {
        match x.order(y) {
            core::cmp::Ordering::Less => Relation::Less,
            core::cmp::Ordering::Equal => Relation::Equal,
            core::cmp::Ordering::Greater => Relation::Greater,
        }
    }
}

/// FCOM, FCOMI, FTST: every NaN is invalid.
pub fn compare(env: &mut Env, a: F80, b: F80) -> Relation {
    relate(env, a, b, false)
}

/// FUCOM, FUCOMI: a quiet NaN is not invalid.
pub fn compare_quiet(env: &mut Env, a: F80, b: F80) -> Relation {
    relate(env, a, b, true)
}

/// FTST: compares with zero.
pub fn test(env: &mut Env, a: F80) -> Relation {
    compare(env, a, F80::ZERO)
}

fn relate(env: &mut Env, a: F80, b: F80, quiet: bool) -> Relation {
    env.c1 = false;
    if let (Some(x), Some(y)) = (a.value(), b.value()) {
        denormal(env, &[a, b]);
        return Relation::of(x, y);
    }
    let bad = |x: F80| x.class() == Class::Unsupported || x.is_snan();
    if !quiet || bad(a) || bad(b) {
        env.raise(Flags::IE);
    }
    Relation::Unordered
}
