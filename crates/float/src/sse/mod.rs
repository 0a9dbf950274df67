//! Operations of SSE and SSE2 on one element (SDM vol. 1, chapters 10 and 11). Numbers are bit patterns:
//! `u32` for single, `u64` for double precision. Packed instructions run all elements on one [`Env`]
//! and then ask [`Env::sse_outcome`].

mod arith;
mod convert;

pub use crate::approx::{reciprocal, reciprocal_sqrt};
pub use arith::{Predicate, add, compare, div, max, min, mul, order, order_quiet, sqrt, sub};
pub use convert::{from_i32, from_i64, narrow, to_i32, to_i64, widen};

use crate::env::{Env, Flags};
use crate::format::{self, Format};

/// An operand after DAZ: denormals become zeros of their sign.
fn flushed<F: Format>(env: &Env, x: F) -> F {
    if env.daz && format::is_denormal(x) { format::zero(format::sign(x)) } else { x }
}

/// Notes DE if an operand is denormal; true if that ends the operation.
fn denormal<F: Format>(env: &mut Env, operands: &[F]) -> bool {
    operands.iter().any(|&x| format::is_denormal(x)) && env.raise(Flags::DE)
}

/// The masked response to an invalid operation.
fn invalid<F: Format>(env: &mut Env) -> F {
    env.raise(Flags::IE);
    format::default_nan()
}
