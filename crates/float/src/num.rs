//! The unpacked form and exact arithmetic on it.

use core::cmp::Ordering;

/// A finite number other than zero: `sig / 2^63 * 2^exp`, top bit of `sig` set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Num {
    pub(crate) sign: bool,
    pub(crate) exp: i32,
    pub(crate) sig: u64,
}

/// A result before rounding: `sig / 2^127 * 2^exp`, top bit set, lowest bit sticky.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wide {
    pub(crate) sign: bool,
    pub(crate) exp: i32,
    pub(crate) sig: u128,
}

/// An operand as arithmetic sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Val {
    Zero(bool),
    Num(Num),
    Inf(bool),
}

impl Val {
    pub(crate) fn sign(self) -> bool {
        match self {
            Val::Zero(s) | Val::Inf(s) => s,
            Val::Num(n) => n.sign,
        }
    }

    /// The order of the values; zeros are equal.
    #[inline]
    pub(crate) fn order(self, other: Val) -> Ordering {
        if let (Val::Num(n), Val::Num(m)) = (self, other)
            && n.sign == m.sign
        {
            let magnitudes = n.exp.cmp(&m.exp).then(n.sig.cmp(&m.sig));
            return if n.sign { magnitudes.reverse() } else { magnitudes };
        }
        self.rank().cmp(&other.rank())
    }

    /// What orders values of different kind or sign.
    fn rank(self) -> i32 {
        let (sign, rank) = match self {
            Val::Zero(_) => return 0,
            Val::Num(n) => (n.sign, 1),
            Val::Inf(s) => (s, 2),
        };
        if sign { -rank } else { rank }
    }
}

impl Num {
    /// From any nonzero `sig`.
    #[inline]
    pub(crate) fn normal(sign: bool, exp: i32, sig: u64) -> Num {
        let shift = sig.leading_zeros();
        Num { sign, exp: exp - shift as i32, sig: sig << shift }
    }

    #[inline]
    pub(crate) fn wide(self) -> Wide {
        Wide { sign: self.sign, exp: self.exp, sig: u128::from(self.sig) << 64 }
    }

    /// The sum, or nothing if it is zero.
    #[inline]
    pub(crate) fn plus(self, other: Num) -> Option<Wide> {
        let (x, y) =
            if (self.exp, self.sig) >= (other.exp, other.sig) { (self, other) } else { (other, self) };
        let high = u128::from(x.sig) << 63;
        let low = shift_jam(u128::from(y.sig) << 63, (x.exp - y.exp) as u32);
        let sig = if x.sign == y.sign { high + low } else { high - low };
        Wide::normal(x.sign, x.exp + 1, sig)
    }

    #[inline]
    pub(crate) fn times(self, other: Num) -> Wide {
        let sig = u128::from(self.sig) * u128::from(other.sig);
        let shift = sig.leading_zeros();
        Wide {
            sign: self.sign != other.sign,
            exp: self.exp + other.exp + 1 - shift as i32,
            sig: sig << shift,
        }
    }

    pub(crate) fn over(self, other: Num) -> Wide {
        let d = u128::from(other.sig);
        let n = u128::from(self.sig) << 63;
        let (q1, r1) = (n / d, n % d);
        let n = r1 << 64;
        let (q2, r2) = (n / d, n % d);
        let sig = q1 << 64 | q2;
        let shift = sig.leading_zeros();
        Wide {
            sign: self.sign != other.sign,
            exp: self.exp - other.exp - shift as i32,
            sig: sig << shift | u128::from(r2 != 0),
        }
    }

    /// The square root of the magnitude.
    pub(crate) fn root(self) -> Wide {
        let n = u128::from(self.sig) << if self.exp & 1 == 0 { 63 } else { 64 };
        let root = n.isqrt();
        let rest = n - root * root;
        // The root lies above the middle between two integers when the rest exceeds it; never on it.
        let sig = root << 64 | u128::from(rest > root) << 63 | u128::from(rest != 0);
        Wide { sign: false, exp: self.exp >> 1, sig }
    }

    /// The magnitude rounded to an integer: (integer, inexact, rounded away); nothing from 2^64 up.
    pub(crate) fn to_integer(self, round: crate::Round) -> Option<(u128, bool, bool)> {
        if self.exp > 63 {
            return None;
        }
        let fixed = shift_jam(u128::from(self.sig) << 64, (63 - self.exp) as u32);
        let (whole, part) = (fixed >> 64, fixed as u64);
        let up = crate::round::goes_up(round, self.sign, part != 0, part.cmp(&(1 << 63)), whole & 1 != 0);
        Some((whole + u128::from(up), part != 0, up))
    }
}

impl Wide {
    /// From any `sig`; nothing from zero.
    #[inline]
    pub(crate) fn normal(sign: bool, exp: i32, sig: u128) -> Option<Wide> {
        if sig == 0 {
            return None;
        }
        let shift = sig.leading_zeros();
        Some(Wide { sign, exp: exp - shift as i32, sig: sig << shift })
    }
}

/// Shifts right; ones that fall out leave a one in the lowest bit.
#[inline]
pub(crate) fn shift_jam(sig: u128, shift: u32) -> u128 {
    if shift >= 128 {
        return u128::from(sig != 0);
    }
    let kept = sig >> shift;
    kept | u128::from(kept << shift != sig)
}
