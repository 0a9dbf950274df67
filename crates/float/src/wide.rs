//! Arithmetic with 128 significant bits: the intermediate results of the transcendental functions. Results
//! are truncated, an error of less than 2^-126 of their value, far below half an ulp of 64 bits.

use crate::num::{Num, Wide, shift_jam};

/// The high half of a product.
pub(crate) fn mul_high(a: u128, b: u128) -> u128 {
    let (a1, a0) = (a >> 64, a & u128::from(u64::MAX));
    let (b1, b0) = (b >> 64, b & u128::from(u64::MAX));
    let (low, mid1, mid2) = (a0 * b0, a1 * b0, a0 * b1);
    let carry = (low >> 64) + (mid1 & u128::from(u64::MAX)) + (mid2 & u128::from(u64::MAX));
    a1 * b1 + (mid1 >> 64) + (mid2 >> 64) + (carry >> 64)
}

impl Wide {
    pub(crate) const ONE: Wide = Wide { sign: false, exp: 0, sig: 1 << 127 };

    /// From an integer other than zero.
    pub(crate) fn integer(n: i32) -> Wide {
        Num::normal(n < 0, 63, u64::from(n.unsigned_abs())).wide()
    }

    pub(crate) fn negated(self) -> Wide {
        Wide { sign: !self.sign, ..self }
    }

    pub(crate) fn with_sign(self, sign: bool) -> Wide {
        Wide { sign, ..self }
    }

    /// Times a power of two.
    pub(crate) fn shifted(self, by: i32) -> Wide {
        Wide { exp: self.exp + by, ..self }
    }

    pub(crate) fn times(self, other: Wide) -> Wide {
        let sig = mul_high(self.sig, other.sig);
        let shift = sig.leading_zeros();
        Wide {
            sign: self.sign != other.sign,
            exp: self.exp + other.exp + 1 - shift as i32,
            sig: sig << shift,
        }
    }

    /// The sum, or nothing if it is zero.
    pub(crate) fn plus(self, other: Wide) -> Option<Wide> {
        let (x, y) =
            if (self.exp, self.sig) >= (other.exp, other.sig) { (self, other) } else { (other, self) };
        let high = x.sig >> 1;
        let low = shift_jam(y.sig >> 1, (x.exp - y.exp) as u32);
        // The halved significands lose their lowest bits; they are put back where cancellation needs them.
        if x.sign != y.sign && x.exp - y.exp <= 1 {
            return x.minus_near(y);
        }
        let sig = if x.sign == y.sign { high + low } else { high - low };
        Wide::normal(x.sign, x.exp + 1, sig)
    }

    /// The difference of magnitudes whose exponents are at most one apart, `self` the larger.
    fn minus_near(self, y: Wide) -> Option<Wide> {
        if self.exp == y.exp {
            return Wide::normal(self.sign, self.exp, self.sig - y.sig);
        }
        // Twice the larger has a 129th bit, which is set; a borrow takes it away.
        let doubled_low = self.sig << 1;
        let (sig, borrow) = doubled_low.overflowing_sub(y.sig);
        if borrow {
            Wide::normal(self.sign, y.exp, sig)
        } else {
            Wide::normal(self.sign, y.exp + 1, sig >> 1 | 1 << 127)
        }
    }

    /// Long division, bit by bit.
    pub(crate) fn over(self, other: Wide) -> Wide {
        let d = other.sig;
        let less = self.sig < d;
        let mut rest = if less { self.sig } else { self.sig - d };
        let mut sig = u128::from(!less);
        for _ in 0..if less { 128 } else { 127 } {
            let top = rest >> 127 != 0;
            rest <<= 1;
            let fits = top || rest >= d;
            if fits {
                rest = rest.wrapping_sub(d);
            }
            sig = sig << 1 | u128::from(fits);
        }
        let exp = self.exp - other.exp - i32::from(less);
        Wide { sign: self.sign != other.sign, exp, sig }
    }

    /// As a fraction of 2^128; for magnitudes below one.
    pub(crate) fn fraction(self) -> u128 {
        let shift = -(self.exp + 1);
        if shift >= 128 { 0 } else { self.sig >> shift.max(0) }
    }
}

/// Coefficients of a power series as fixed-point numbers with 127 fraction bits.
pub(crate) type Series<const N: usize> = [u128; N];

/// `c0 + z (c1 + z (c2 + ...))`, `z` a fraction of 2^128. The result must be below two.
pub(crate) fn sum<const N: usize>(series: &Series<N>, z: u128) -> Wide {
    let p = series.iter().rev().fold(0, |p, c| c + mul_high(z, p));
    Wide { sign: false, exp: 0, sig: p }.renormal()
}

/// `c0 - z (c1 - z (c2 - ...))` for falling coefficients, a hair below it so that it is never exactly `c0`.
pub(crate) fn alternating<const N: usize>(series: &Series<N>, z: u128) -> Wide {
    let p = series.iter().rev().fold(0, |p, c| c - mul_high(z, p)) - 1;
    Wide { sign: false, exp: 0, sig: p }.renormal()
}

impl Wide {
    fn renormal(self) -> Wide {
        let shift = self.sig.leading_zeros();
        Wide { exp: self.exp - shift as i32, sig: self.sig << shift, ..self }
    }
}

/// `1/start!`-like tables: each coefficient is the one before divided by the next `step` factors.
pub(crate) const fn factorials<const N: usize>(first: u128, step: u128) -> Series<N> {
    let mut table = [1 << 127; N];
    let mut factor = first;
    let mut k = 1;
    while k < N {
        let mut c: u128 = table[k - 1];
        let mut i = 0;
        while i < step {
            c /= factor;
            factor += 1;
            i += 1;
        }
        table[k] = c;
        k += 1;
    }
    table
}

/// `1, 1/3, 1/5, ...`
pub(crate) const fn odd_reciprocals<const N: usize>() -> Series<N> {
    let mut table = [1 << 127; N];
    let mut k = 1;
    while k < N {
        table[k] = (1 << 127) / (2 * k as u128 + 1);
        k += 1;
    }
    table
}
