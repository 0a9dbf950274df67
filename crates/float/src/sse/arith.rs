//! Arithmetic, minimum and maximum, comparison.

use super::{denormal, flushed, invalid};
use crate::env::{Env, Flags, Round};
use crate::format::{self, Format, Native};
use crate::num::{Num, Val, Wide};
use crate::round::finish;
use crate::x87::Relation;

/// ADDSS, ADDSD and packed forms.
#[inline]
pub fn add<F: Format>(env: &mut Env, a: F, b: F) -> F {
    if let Some(r) = fast(env, Native::Add, a, b) {
        return r;
    }
    binary(env, a, b, sum)
}

/// SUBSS, SUBSD: `a - b`.
#[inline]
pub fn sub<F: Format>(env: &mut Env, a: F, b: F) -> F {
    if let Some(r) = fast(env, Native::Sub, a, b) {
        return r;
    }
    binary(env, a, b, |env, x, y| sum(env, x, negated(y)))
}

/// MULSS, MULSD.
#[inline]
pub fn mul<F: Format>(env: &mut Env, a: F, b: F) -> F {
    if let Some(r) = fast(env, Native::Mul, a, b) {
        return r;
    }
    binary(env, a, b, |_, x, y| product(x, y))
}

/// DIVSS, DIVSD: `a / b`.
#[inline]
pub fn div<F: Format>(env: &mut Env, a: F, b: F) -> F {
    if let Some(r) = fast(env, Native::Div, a, b) {
        return r;
    }
    binary(env, a, b, |_, x, y| quotient(x, y))
}

/// SQRTSS, SQRTSD.
#[inline]
pub fn sqrt<F: Format>(env: &mut Env, a: F) -> F {
    if !format::sign(a)
        && let Some(r) = fast(env, Native::Sqrt, a, a)
    {
        return r;
    }
    binary(env, a, a, |_, x, _| match x {
        Val::Zero(_) | Val::Inf(false) => Step::Done(x),
        Val::Num(n) if !n.sign => Step::Round(n.root()),
        _ => Step::Invalid,
    })
}

/// The host's answer, if nothing but PE can come of it and PE is already set. A result that may have been
/// tiny is refused; a zero is taken where it can only be exact.
#[inline(always)]
fn fast<F: Format>(env: &Env, op: Native, a: F, b: F) -> Option<F> {
    let ready = env.round == Round::Nearest && env.masks == Flags::ALL && env.sticky & Flags::PE != 0;
    if !ready || !plain(a) || !plain(b) {
        return None;
    }
    let result = F::native(op, a, b);
    let exp = format::biased(result);
    let top = (1 << F::EXPONENT) - 1;
    let zero = result.raw() << (64 - F::EXPONENT - F::FRACTION) == 0;
    let exact_zero = zero && (!matches!(op, Native::Mul | Native::Div) || is_zero(a) || is_zero(b));
    ((exp > 1 && exp < top) || exact_zero).then_some(result)
}

/// Normal or zero.
#[inline(always)]
fn plain<F: Format>(x: F) -> bool {
    let exp = format::biased(x);
    (exp != 0 && exp != (1 << F::EXPONENT) - 1) || is_zero(x)
}

#[inline(always)]
fn is_zero<F: Format>(x: F) -> bool {
    x.raw() << (64 - F::EXPONENT - F::FRACTION) == 0
}

/// What an operation on values comes to.
enum Step {
    Invalid,
    DivideByZero(bool),
    Done(Val),
    Round(Wide),
}

/// The frame of all arithmetic: NaNs, denormals, invalid operations, rounding.
fn binary<F: Format>(env: &mut Env, a: F, b: F, f: impl Fn(&Env, Val, Val) -> Step) -> F {
    let (a, b) = (flushed(env, a), flushed(env, b));
    if let Some(nan) = nan_of(env, a, b) {
        return nan;
    }
    let step = f(env, format::value(a), format::value(b));
    match step {
        Step::Invalid => return invalid(env),
        Step::DivideByZero(sign) => {
            env.raise(Flags::ZE);
            return format::infinity(sign);
        }
        _ if denormal(env, &[a, b]) => return a,
        _ => {}
    }
    match step {
        Step::Done(Val::Zero(s)) => format::zero(s),
        Step::Done(Val::Inf(s)) => format::infinity(s),
        Step::Done(Val::Num(n)) => round_to(env, n.wide()),
        Step::Round(w) => round_to(env, w),
        Step::Invalid | Step::DivideByZero(_) => a,
    }
}

pub(super) fn round_to<F: Format>(env: &mut Env, w: Wide) -> F {
    format::pack(finish(env, w, format::target::<F>()))
}

/// The first operand's NaN, else the second's, quieted (SDM vol. 1, table 4-7).
fn nan_of<F: Format>(env: &mut Env, a: F, b: F) -> Option<F> {
    if !format::is_nan(a) && !format::is_nan(b) {
        return None;
    }
    if format::is_snan(a) || format::is_snan(b) {
        env.raise(Flags::IE);
    }
    Some(format::quieted(if format::is_nan(a) { a } else { b }))
}

fn negated(x: Val) -> Val {
    match x {
        Val::Zero(s) => Val::Zero(!s),
        Val::Inf(s) => Val::Inf(!s),
        Val::Num(n) => Val::Num(Num { sign: !n.sign, ..n }),
    }
}

fn sum(env: &Env, x: Val, y: Val) -> Step {
    let cancelled = Val::Zero(env.round == Round::Down);
    match (x, y) {
        (Val::Inf(s), Val::Inf(t)) if s != t => Step::Invalid,
        (Val::Inf(_), _) | (Val::Num(_), Val::Zero(_)) => Step::Done(x),
        (_, Val::Inf(_)) | (Val::Zero(_), Val::Num(_)) => Step::Done(y),
        (Val::Zero(s), Val::Zero(t)) => Step::Done(if s == t { x } else { cancelled }),
        (Val::Num(n), Val::Num(m)) => n.plus(m).map_or(Step::Done(cancelled), Step::Round),
    }
}

fn product(x: Val, y: Val) -> Step {
    let sign = x.sign() != y.sign();
    match (x, y) {
        (Val::Inf(_), Val::Zero(_)) | (Val::Zero(_), Val::Inf(_)) => Step::Invalid,
        (Val::Inf(_), _) | (_, Val::Inf(_)) => Step::Done(Val::Inf(sign)),
        (Val::Zero(_), _) | (_, Val::Zero(_)) => Step::Done(Val::Zero(sign)),
        (Val::Num(n), Val::Num(m)) => Step::Round(n.times(m)),
    }
}

fn quotient(x: Val, y: Val) -> Step {
    let sign = x.sign() != y.sign();
    match (x, y) {
        (Val::Inf(_), Val::Inf(_)) | (Val::Zero(_), Val::Zero(_)) => Step::Invalid,
        (Val::Inf(_), _) => Step::Done(Val::Inf(sign)),
        (Val::Num(_), Val::Zero(_)) => Step::DivideByZero(sign),
        (_, Val::Inf(_)) | (Val::Zero(_), _) => Step::Done(Val::Zero(sign)),
        (Val::Num(n), Val::Num(m)) => Step::Round(n.over(m)),
    }
}

/// MINSS, MINSD: the second operand if either is a NaN or both are zeros.
pub fn min<F: Format>(env: &mut Env, a: F, b: F) -> F {
    choose(env, a, b, Relation::Less)
}

/// MAXSS, MAXSD: the second operand if either is a NaN or both are zeros.
pub fn max<F: Format>(env: &mut Env, a: F, b: F) -> F {
    choose(env, a, b, Relation::Greater)
}

fn choose<F: Format>(env: &mut Env, a: F, b: F, first: Relation) -> F {
    let (a, b) = (flushed(env, a), flushed(env, b));
    if relate(env, a, b, false) == first { a } else { b }
}

/// COMISS, COMISD: every NaN is invalid. [`Relation::bits`] gives CF, PF, ZF.
pub fn order<F: Format>(env: &mut Env, a: F, b: F) -> Relation {
    relate(env, a, b, false)
}

/// UCOMISS, UCOMISD: a quiet NaN is not invalid.
pub fn order_quiet<F: Format>(env: &mut Env, a: F, b: F) -> Relation {
    relate(env, a, b, true)
}

fn relate<F: Format>(env: &mut Env, a: F, b: F, quiet: bool) -> Relation {
    let (a, b) = (flushed(env, a), flushed(env, b));
    if format::is_nan(a) || format::is_nan(b) {
        if !quiet || format::is_snan(a) || format::is_snan(b) {
            env.raise(Flags::IE);
        }
        return Relation::Unordered;
    }
    denormal(env, &[a, b]);
    Relation::of(format::value(a), format::value(b))
}

/// The predicates of CMPSS and its like, numbered as the immediate byte is (SDM vol. 2, CMPPD).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// Equal.
    Eq,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
    /// Unordered.
    Unord,
    /// Not equal.
    Neq,
    /// Not less than.
    Nlt,
    /// Not less than or equal.
    Nle,
    /// Ordered.
    Ord,
}

impl Predicate {
    /// From the low three bits of the immediate byte.
    pub const fn from_imm(imm: u8) -> Self {
        match imm & 7 {
            0 => Self::Eq,
            1 => Self::Lt,
            2 => Self::Le,
            3 => Self::Unord,
            4 => Self::Neq,
            5 => Self::Nlt,
            6 => Self::Nle,
            _ => Self::Ord,
        }
    }
}

/// CMPSS, CMPSD: whether the predicate holds (all ones) or not (zero).
pub fn compare<F: Format>(env: &mut Env, p: Predicate, a: F, b: F) -> bool {
    use Predicate::{Eq, Le, Lt, Neq, Nle, Nlt, Ord, Unord};
    let quiet = matches!(p, Eq | Unord | Neq | Ord);
    let r = relate(env, a, b, quiet);
    match p {
        Eq => r == Relation::Equal,
        Lt => r == Relation::Less,
        Le => matches!(r, Relation::Less | Relation::Equal),
        Unord => r == Relation::Unordered,
        Neq => r != Relation::Equal,
        Nlt => r != Relation::Less,
        Nle => !matches!(r, Relation::Less | Relation::Equal),
        Ord => r != Relation::Unordered,
    }
}
