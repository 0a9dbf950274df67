//! x87 operations (SDM vol. 1, chapter 8). Operands are registers; memory operands are loaded first with
//! [`from_f32`] and its like. A result counts only if [`Env::blocks_register`] (or [`Env::blocks_store`]
//! when the destination is memory) is false.

mod arith;
mod convert;
mod step;
mod transcendental;

pub use arith::{Relation, add, compare, compare_quiet, div, mul, sqrt, sub, test};
pub use convert::{
    BCD_INDEFINITE, from_bcd, from_f32, from_f64, from_i16, from_i32, from_i64, to_bcd, to_f32, to_f64,
    to_i16, to_i32, to_i64,
};
pub use step::{Remainder, extract, rem_nearest, rem_trunc, round_to_int, scale};
pub use transcendental::{atan, cos, sin, sin_cos, tan, two_to_x_minus_1, y_log2_x, y_log2_x_plus_1};

use crate::env::{Env, Flags, Precision};
use crate::f80::{Class, F80};
use crate::num::{Val, Wide};
use crate::round::{finish, register};

/// Rounds to a register at the precision that the control word asks for.
#[inline]
fn rounded(env: &mut Env, w: Wide) -> F80 {
    if env.precision == Precision::Extended {
        return rounded_full(env, w);
    }
    let target = register(env.precision.bits());
    F80::pack(finish(env, w, &target))
}

/// Rounds to a register at full precision.
#[inline]
fn rounded_full(env: &mut Env, w: Wide) -> F80 {
    F80::pack(finish(env, w, &register(64)))
}

/// The masked response to an invalid operation.
fn invalid(env: &mut Env) -> F80 {
    env.raise(Flags::IE);
    F80::DEFAULT_NAN
}

/// Notes DE if an operand is denormal; true if that ends the operation.
#[inline]
fn denormal(env: &mut Env, operands: &[F80]) -> bool {
    operands.iter().any(|x| x.is_denormal()) && env.raise(Flags::DE)
}

/// The value of one operand, or the result that its not having one leads to.
fn operand(env: &mut Env, a: F80) -> Result<Val, F80> {
    env.c1 = false;
    if let Some(v) = a.value() {
        return Ok(v);
    }
    if a.class() == Class::Unsupported {
        return Err(invalid(env));
    }
    if a.is_snan() {
        env.raise(Flags::IE);
    }
    Err(a.quieted())
}

/// The values of two operands, or the result that follows from a NaN or an unsupported encoding.
#[inline]
fn operands(env: &mut Env, a: F80, b: F80) -> Result<(Val, Val), F80> {
    env.c1 = false;
    if let (Some(x), Some(y)) = (a.value(), b.value()) {
        return Ok((x, y));
    }
    Err(no_values(env, a, b))
}

#[cold]
fn no_values(env: &mut Env, a: F80, b: F80) -> F80 {
    if a.class() == Class::Unsupported || b.class() == Class::Unsupported {
        return invalid(env);
    }
    if a.is_snan() || b.is_snan() {
        env.raise(Flags::IE);
    }
    choose_nan(a, b)
}

/// SDM vol. 1, table 4-7: a quiet NaN wins over a signalling one, else the larger significand, else the
/// positive one.
fn choose_nan(a: F80, b: F80) -> F80 {
    let a_wins = match (a.class() == Class::Nan, b.class() == Class::Nan) {
        (true, false) => true,
        (false, _) => false,
        _ if a.is_snan() != b.is_snan() => b.is_snan(),
        _ => (a.sig, !a.sign()) >= (b.sig, !b.sign()),
    };
    if a_wins { a.quieted() } else { b.quieted() }
}
