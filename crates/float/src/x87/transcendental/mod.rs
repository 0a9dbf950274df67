//! F2XM1, FYL2X, FYL2XP1, FPATAN, FSIN, FCOS, FSINCOS, FPTAN (SDM vol. 1, 8.3.5 to 8.3.10). Computed with
//! some 120 bits and rounded once, so nearly always correctly rounded; the precision control has no part in it.
//! Where 90 bits tell how to round, no more are computed ([`quick`]).

mod arctangent;
mod exponential;
mod logarithm;
mod quick;
mod trigonometric;

#[cfg(test)]
mod tests;

pub use arctangent::atan;
pub use exponential::two_to_x_minus_1;
pub use logarithm::{y_log2_x, y_log2_x_plus_1};
pub use trigonometric::{cos, sin, sin_cos, tan};

use super::rounded_full;
use crate::env::{Env, Flags};
use crate::f80::{Class, F80};
use crate::num::Wide;

/// The circle constant.
const PI: Wide = Wide { sign: false, exp: 1, sig: 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1 };

/// Rounds the quick approximation, if that settles it, else the careful one.
#[inline]
fn quick_or(env: &mut Env, quick: Option<Wide>, careful: impl FnOnce() -> Wide) -> F80 {
    match quick.filter(quick::is_settled) {
        Some(w) => inexact(env, w),
        None => carefully(env, careful),
    }
}

#[cold]
#[inline(never)]
fn carefully(env: &mut Env, careful: impl FnOnce() -> Wide) -> F80 {
    inexact(env, careful())
}

/// Rounds to a register. The result counts as inexact even where it happens to be exact, as on processors.
fn inexact(env: &mut Env, w: Wide) -> F80 {
    let result = rounded_full(env, w);
    let tiny = result.class() == Class::Denormal;
    env.raise(if tiny { Flags::UE | Flags::PE } else { Flags::PE });
    result
}
