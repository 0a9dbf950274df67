//! Arctangent.

use super::tables::{ARCTANGENT, ARCTANGENT_TAIL, ARCTANGENTS};
use super::{apart, long, plus_or_minus, short, top, widened};
use crate::num::{Num, Wide};
use crate::wide::{fraction_of, mul_high};

/// The angle whose tangent is `y / x`, magnitudes with `y` the smaller; nothing where it is below 2^-20.
///
/// With `t = y / x` and `c = k/32` near it, `arctan t - arctan c` is the arctangent of `(t - c) / (1 + t c)`.
pub(in super::super) fn octant(y: Num, x: Num) -> Option<Wide> {
    let down = x.exp - y.exp;
    if !(0..20).contains(&down) {
        return None;
    }
    // half of what 64 y / x comes to, rounded
    let k = u128::from(((y.sig >> down) / (x.sig >> 6)).div_ceil(2));
    let (y, x) = ((u128::from(y.sig) << 57) >> down, u128::from(x.sig) << 57);
    let (n, minus) = apart(y << 5, k * x);
    let d = (x << 5) + k * y;
    let shift = d.leading_zeros();
    let u = fraction_of(n << shift, d << shift);
    let z = mul_high(u, u);
    let tail = widened(short(&ARCTANGENT_TAIL, top(z), true), 66);
    let rest = mul_high(u, long(&ARCTANGENT, z, tail, true));
    Wide::normal(false, 0, plus_or_minus(ARCTANGENTS[k as usize], rest, minus))
}
