//! Binary logarithms.

use super::tables::{LOGARITHM, LOGARITHM_TAIL, LOGARITHMS};
use super::{apart, long, short, top, widened};
use crate::num::{Num, Wide};

/// The square root of two with 117 fraction bits, which the mantissa here has: room for a factor of nine bits.
const ROOT_2: u128 = 0xb504_f333_f9de_6484 << 54;

/// The logarithm of a positive number; nothing for one.
pub(in super::super) fn log2(x: Num) -> Option<Wide> {
    let m = u128::from(x.sig) << 54;
    let up = m > ROOT_2;
    near_one(m >> u32::from(up), x.exp + i32::from(up))
}

/// `log2(1 + x)`; nothing for `x` of a half and more in magnitude.
pub(in super::super) fn log2_plus_1(x: Num) -> Option<Wide> {
    if x.exp < -8 {
        return Some(ratio(x.wide()));
    }
    if x.exp >= -1 {
        return None;
    }
    let (one, part) = (1 << 117, u128::from(x.sig) << 54 >> -x.exp);
    let m = if x.sign { one - part } else { one + part };
    if m > ROOT_2 {
        near_one(m >> 1, 1)
    } else if m << 1 < ROOT_2 {
        near_one(m << 1, -1)
    } else {
        near_one(m, 0)
    }
}

/// `log2(1 + e)` for `e` of at most 1/128 or so.
#[inline(always)]
fn ratio(e: Wide) -> Wide {
    let shift = -1 - e.exp;
    let z = if shift < 128 { e.sig >> shift } else { 0 };
    let tail = widened(short(&LOGARITHM_TAIL, top(z), !e.sign), 65);
    let p = long(&LOGARITHM, z, tail, !e.sign);
    e.times(Wide { sign: false, exp: 0, sig: p })
}

/// The logarithm of `m` plus a whole number, `m` between the roots of 1/2 and 2: with `k` near `128 m` and `r` near
/// `256 * 128 / k` it is that of `256 / r` and that of `m r / 256`, a number near one.
fn near_one(m: u128, whole: i32) -> Option<Wide> {
    let k = (m >> 109).div_ceil(2) as u32;
    let r = (32768 + k / 2) / k;
    let (e, minus) = apart(m * u128::from(r), 1 << 125);
    let part = Wide::normal(minus, 2, e).map(ratio);
    let log = LOGARITHMS[(k - 90) as usize] as i128;
    if whole == 0 && log == 0 {
        return part;
    }
    // the sum is at least a half if there is a whole part, else 2^-8
    let places = if whole == 0 { 126 } else { 112 };
    let part = part.map_or(0, |p| {
        let part = p.sig.checked_shr((127 - p.exp - places) as u32).unwrap_or(0) as i128;
        if p.sign { -part } else { part }
    });
    let log = log >> (126 - places);
    let log = if k < 128 { -log } else { log };
    let whole = if whole == 0 { 0 } else { i128::from(whole) << places };
    let sum = whole + log + part;
    Wide::normal(sum < 0, 127 - places, sum.unsigned_abs())
}
