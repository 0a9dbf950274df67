//! Powers of two.

use super::tables::{POWER, POWER_TAIL, POWERS};
use super::{apart, long, plus_or_minus, short, top, widened};
use crate::num::{Num, Wide};
use crate::wide::mul_high;

/// `2^x - 1` for `x` below one in magnitude: `x` is `k/64` and a little, `f`.
pub(in super::super) fn two_to_x_minus_1(x: Num) -> Option<Wide> {
    // room for k/64 up to one
    let magnitude = if x.exp > -128 { x.wide().sig >> -x.exp } else { 0 };
    let k = ((magnitude >> 120) as usize).div_ceil(2);
    let (f, away) = apart(magnitude, (k as u128) << 121);
    let f = f << 1;
    // of f, with the sign of x
    let minus = away != x.sign;
    let tail = widened(short(&POWER_TAIL, top(f), minus), 70);
    let p = long(&POWER, f, tail, minus);
    if k == 0 {
        return Some(x.wide().times(Wide { sign: false, exp: -1, sig: p << 1 }));
    }
    // 2^(k/64), or twice 2^(-k/64), is a power from the table, perhaps twice that
    let (j, twice) = if x.sign { (64 - k, false) } else { (k % 64, k == 64) };
    let base = POWERS[j];
    let change = mul_high(base, mul_high(f, p));
    let power = plus_or_minus(base >> 1, change, minus) << u32::from(twice);
    let (sum, _) = if x.sign { apart(1 << 126, power >> 1) } else { apart(power, 1 << 126) };
    Wide::normal(x.sign, 1, sum)
}
