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

/// `rest * 2^128 / d`, truncated, for `rest` below `d` and `d` with its top bit set: long division with digits of
/// 64 bits, each found by a product with the divisor's reciprocal (Möller and Granlund, Improved division by
/// invariant integers, IEEE Transactions on Computers 60, 2011).
pub(crate) fn fraction_of(rest: u128, d: u128) -> u128 {
    let reciprocal = reciprocal_of(d);
    let (high, rest) = digit(rest, d, reciprocal);
    let (low, _) = digit(rest, d, reciprocal);
    u128::from(high) << 64 | u128::from(low)
}

/// `(2^192 - 1) / d - 2^64`, truncated (algorithm 6 there).
fn reciprocal_of(d: u128) -> u64 {
    let (top, low) = ((d >> 64) as u64, d as u64);
    let mut v = ((u128::from(!top) << 64 | u128::from(u64::MAX)) / u128::from(top)) as u64;
    let (mut p, carry) = top.wrapping_mul(v).overflowing_add(low);
    if carry {
        v -= 1;
        if p >= top {
            v -= 1;
            p = p.wrapping_sub(top);
        }
        p = p.wrapping_sub(top);
    }
    let t = u128::from(v) * u128::from(low);
    let (p, carry) = p.overflowing_add((t >> 64) as u64);
    if carry {
        v -= 1 + u64::from(u128::from(p) << 64 | t & u128::from(u64::MAX) >= d);
    }
    v
}

/// `rest * 2^64 / d` and what remains, with the reciprocal of `d` (algorithm 4 there, the third digit zero).
#[inline]
fn digit(rest: u128, d: u128, reciprocal: u64) -> (u64, u128) {
    let top = (rest >> 64) as u64;
    let guess = u128::from(reciprocal) * u128::from(top) + rest;
    let (mut q, below) = ((guess >> 64) as u64, guess as u64);
    let mut rest = (rest << 64).wrapping_sub(d.wrapping_mul(u128::from(q))).wrapping_sub(d);
    q = q.wrapping_add(1);
    if (rest >> 64) as u64 >= below {
        q = q.wrapping_sub(1);
        rest = rest.wrapping_add(d);
    }
    if rest >= d {
        q = q.wrapping_add(1);
        rest -= d;
    }
    (q, rest)
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

    /// The quotient, truncated.
    pub(crate) fn over(self, other: Wide) -> Wide {
        let less = self.sig < other.sig;
        let quotient = fraction_of(if less { self.sig } else { self.sig - other.sig }, other.sig);
        let sig = if less { quotient } else { 1 << 127 | quotient >> 1 };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Long division, bit by bit.
    fn slowly(rest: u128, d: u128) -> u128 {
        let (mut rest, mut q) = (rest, 0);
        for _ in 0..128 {
            let top = rest >> 127 != 0;
            rest <<= 1;
            let fits = top || rest >= d;
            if fits {
                rest = rest.wrapping_sub(d);
            }
            q = q << 1 | u128::from(fits);
        }
        q
    }

    /// Numbers with long runs of equal bits, which lead to the corrections, and others.
    fn numbers() -> impl Iterator<Item = u128> {
        let mut x = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835_u128;
        (0..200_000u32).map(move |n| {
            x = x.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1442);
            let (a, b) = ((x >> 121) as u32 % 128, (x >> 114) as u32 % 128);
            match n % 4 {
                0 => x.rotate_left(a),
                1 => (u128::MAX << a) ^ (u128::MAX >> b),
                2 => (u128::MAX << a).wrapping_add(x >> 64),
                _ => (1 << a) ^ (1 << b),
            }
        })
    }

    #[test]
    fn quotients_are_those_of_long_division() {
        let all: Vec<u128> = numbers().collect();
        for pair in all.windows(2) {
            let d = pair[0] | 1 << 127;
            let rest = pair[1] % d;
            assert_eq!(fraction_of(rest, d), slowly(rest, d), "{rest:#x} / {d:#x}");
        }
    }
}
