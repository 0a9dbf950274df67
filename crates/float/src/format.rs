//! Single and double precision as bit patterns (SDM vol. 1, 4.2.2).

use crate::num::{Num, Val};
use crate::round::{DOUBLE, Out, SINGLE, Target};

/// A bit pattern that stands for a number: `u32` for single, `u64` for double precision.
pub trait Format: Copy + Eq + core::fmt::Debug {
    /// Bits of the fraction.
    const FRACTION: u32;
    /// Bits of the exponent.
    const EXPONENT: u32;
    /// From the low bits.
    fn from_raw(bits: u64) -> Self;
    /// Zero extended.
    fn raw(self) -> u64;
    /// The host's result under its default rounding, for the fast path.
    fn native(op: Native, a: Self, b: Self) -> Self;
}

/// What the fast path can ask the host to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The square root of `b`.
    Sqrt,
}

macro_rules! native {
    ($float:ty) => {
        #[inline(always)]
        fn native(op: Native, a: Self, b: Self) -> Self {
            let (x, y) = (<$float>::from_bits(a), <$float>::from_bits(b));
            let result = match op {
                Native::Add => x + y,
                Native::Sub => x - y,
                Native::Mul => x * y,
                Native::Div => x / y,
                Native::Sqrt => y.sqrt(),
            };
            result.to_bits()
        }
    };
}

impl Format for u32 {
    const FRACTION: u32 = 23;
    const EXPONENT: u32 = 8;

    #[inline]
    fn from_raw(bits: u64) -> Self {
        bits as u32
    }

    #[inline]
    fn raw(self) -> u64 {
        u64::from(self)
    }

    native!(f32);
}

impl Format for u64 {
    const FRACTION: u32 = 52;
    const EXPONENT: u32 = 11;

    #[inline]
    fn from_raw(bits: u64) -> Self {
        bits
    }

    #[inline]
    fn raw(self) -> u64 {
        self
    }

    native!(f64);
}

pub(crate) const fn target<F: Format>() -> &'static Target {
    if F::EXPONENT == 8 { &SINGLE } else { &DOUBLE }
}

const fn quiet_bit<F: Format>() -> u64 {
    1 << (F::FRACTION - 1)
}

const fn max_exponent<F: Format>() -> u64 {
    (1 << F::EXPONENT) - 1
}

pub(crate) fn sign<F: Format>(x: F) -> bool {
    x.raw() >> (F::FRACTION + F::EXPONENT) != 0
}

fn sign_bit<F: Format>(sign: bool) -> u64 {
    u64::from(sign) << (F::FRACTION + F::EXPONENT)
}

pub(crate) fn biased<F: Format>(x: F) -> u64 {
    x.raw() >> F::FRACTION & max_exponent::<F>()
}

pub(crate) fn fraction<F: Format>(x: F) -> u64 {
    x.raw() & ((1 << F::FRACTION) - 1)
}

pub(crate) fn is_nan<F: Format>(x: F) -> bool {
    biased(x) == max_exponent::<F>() && fraction(x) != 0
}

pub(crate) fn is_snan<F: Format>(x: F) -> bool {
    is_nan(x) && x.raw() & quiet_bit::<F>() == 0
}

pub(crate) fn is_denormal<F: Format>(x: F) -> bool {
    biased(x) == 0 && fraction(x) != 0
}

pub(crate) fn quieted<F: Format>(x: F) -> F {
    F::from_raw(x.raw() | quiet_bit::<F>())
}

pub(crate) fn zero<F: Format>(sign: bool) -> F {
    F::from_raw(sign_bit::<F>(sign))
}

pub(crate) fn infinity<F: Format>(sign: bool) -> F {
    F::from_raw(sign_bit::<F>(sign) | max_exponent::<F>() << F::FRACTION)
}

pub(crate) fn default_nan<F: Format>() -> F {
    quieted(infinity::<F>(true))
}

/// A NaN whose leading fraction bits are those of `top` (its highest bit left of the fraction).
pub(crate) fn nan<F: Format>(sign: bool, top: u64) -> F {
    quieted(F::from_raw(infinity::<F>(sign).raw() | (top << 1) >> (64 - F::FRACTION)))
}

/// The significand of a NaN, aligned as in the 80-bit format.
pub(crate) fn nan_significand<F: Format>(x: F) -> u64 {
    1 << 63 | fraction(x) << (63 - F::FRACTION)
}

/// The value of anything but a NaN.
pub(crate) fn value<F: Format>(x: F) -> Val {
    let (sign, exp, fraction) = (sign(x), biased(x), fraction(x));
    let aligned = fraction << (63 - F::FRACTION);
    if exp == max_exponent::<F>() {
        Val::Inf(sign)
    } else if exp != 0 {
        Val::Num(Num { sign, exp: exp as i32 - target::<F>().emax, sig: 1 << 63 | aligned })
    } else if fraction != 0 {
        Val::Num(Num::normal(sign, target::<F>().emin, aligned))
    } else {
        Val::Zero(sign)
    }
}

pub(crate) fn pack<F: Format>(out: Out) -> F {
    match out {
        Out::Inf(sign) => infinity(sign),
        Out::Finite { sign, exp, sig } => {
            let normal = sig >> 63;
            let exp = if normal == 0 { 0 } else { (exp + target::<F>().emax) as u64 & max_exponent::<F>() };
            let fraction = (sig << 1) >> (64 - F::FRACTION);
            F::from_raw(sign_bit::<F>(sign) | exp << F::FRACTION | fraction)
        }
    }
}
