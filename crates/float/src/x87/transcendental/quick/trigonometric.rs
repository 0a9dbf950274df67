//! Sine and cosine.

use super::tables::{COSINE, COSINE_TAIL, COSINES, SINE, SINE_TAIL, SINES};
use super::{apart, long, plus_or_minus, short, top, widened};
use crate::num::Wide;
use crate::wide::mul_high;

/// An angle `k/32 + h`, of at most half a right angle.
pub(in super::super) struct Near {
    k: usize,
    /// `h` is negative.
    minus: bool,
    /// `|sin h|` and `cos h`, with 127 fraction bits.
    sine: u128,
    cosine: u128,
}

impl Near {
    /// For a positive angle; nothing for one below 2^-20.
    pub(in super::super) fn to(angle: &Wide) -> Option<Near> {
        if angle.exp < -20 || angle.exp >= 0 {
            return None;
        }
        let r = angle.sig >> (-1 - angle.exp);
        let k = ((r >> 122) + 1) >> 1;
        let (h, minus) = apart(r, k << 123);
        let z = mul_high(h, h);
        let tail = widened(short(&SINE_TAIL, top(z), true), 70);
        let sine = mul_high(h, long(&SINE, z, tail, true));
        let tail = widened(short(&COSINE_TAIL, top(z), true), 68);
        let cosine = long(&COSINE, z, tail, true);
        Some(Near { k: k as usize, minus, sine, cosine })
    }

    pub(in super::super) fn sine(&self) -> Option<Wide> {
        let (a, b) = (mul_high(SINES[self.k], self.cosine), mul_high(COSINES[self.k], self.sine));
        Wide::normal(false, 1, plus_or_minus(a, b, self.minus))
    }

    pub(in super::super) fn cosine(&self) -> Option<Wide> {
        let (a, b) = (mul_high(COSINES[self.k], self.cosine), mul_high(SINES[self.k], self.sine));
        Wide::normal(false, 1, plus_or_minus(a, b, !self.minus))
    }
}
