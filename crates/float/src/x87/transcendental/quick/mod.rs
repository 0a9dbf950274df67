//! Quick approximations to the transcendental functions, with an error of less than [`BOUND`]. Where that leaves open
//! how the value is rounded, which it does for one operand in four million, they give nothing, and the careful
//! computations of this crate decide: so results do not depend on which of the two was asked.
//!
//! Each takes the nearest value from a table, and a few terms of a power series for what remains: the first ones with
//! 128 bits, the small ones behind them with 64.

mod arctangent;
mod exponential;
mod logarithm;
mod tables;
mod trigonometric;

pub(super) use arctangent::octant;
pub(super) use exponential::two_to_x_minus_1;
pub(super) use logarithm::{log2, log2_plus_1};
pub(super) use trigonometric::Near;

use crate::num::Wide;
use crate::wide::mul_high;

/// What the error is less than, in units of the last of a value's 128 places: 2^-87 of the value. Approximations
/// themselves stay below a quarter of it.
pub(super) const BOUND: u64 = 1 << 40;

/// The value as a register takes it does not depend on the error.
pub(super) fn is_settled(w: &Wide) -> bool {
    // what lies below a register's 64 places is neither near nothing nor near the half
    let below = (w.sig as u64).wrapping_add(BOUND) & u64::MAX >> 1;
    // and the result is normal
    below >= 2 * BOUND && w.exp.abs() < 16_000
}

/// `c0 + z (c1 + z (c2 + ...))`, or with `alternate` `c0 - z (c1 - z (c2 - ...))`, `z` a fraction of 2^64.
#[inline(always)]
fn short<const N: usize>(series: &[u64; N], z: u64, alternate: bool) -> u64 {
    let flip = u64::from(alternate).wrapping_neg();
    series.iter().rev().fold(0, |p, c| {
        let term = ((u128::from(z) * u128::from(p)) >> 64) as u64;
        c.wrapping_add((term ^ flip).wrapping_sub(flip))
    })
}

/// The same with 128 bits, `p` being what comes behind the series.
#[inline(always)]
fn long<const N: usize>(series: &[u128; N], z: u128, p: u128, alternate: bool) -> u128 {
    let flip = u128::from(alternate).wrapping_neg();
    series.iter().rev().fold(p, |p, c| {
        let term = mul_high(z, p);
        c.wrapping_add((term ^ flip).wrapping_sub(flip))
    })
}

/// The top 64 of 128 bits.
#[inline(always)]
fn top(z: u128) -> u64 {
    (z >> 64) as u64
}

/// A number of `bits` fraction bits as one of 127.
#[inline(always)]
fn widened(p: u64, bits: u32) -> u128 {
    u128::from(p) << (127 - bits)
}

/// The difference as magnitude and sign.
#[inline(always)]
fn apart(a: u128, b: u128) -> (u128, bool) {
    if a >= b { (a - b, false) } else { (b - a, true) }
}

/// `a + b`, or `a - b`.
#[inline(always)]
fn plus_or_minus(a: u128, b: u128, minus: bool) -> u128 {
    if minus { a.wrapping_sub(b) } else { a.wrapping_add(b) }
}
