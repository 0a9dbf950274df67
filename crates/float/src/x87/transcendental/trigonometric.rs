//! FSIN, FCOS, FSINCOS, FPTAN.

use super::quick::Near;
use super::quick_or;
use crate::env::Env;
use crate::f80::F80;
use crate::num::{Num, Val, Wide};
use crate::wide::{Series, alternating, factorials};
use crate::x87::{denormal, invalid, operand};

/// `1/(2k+1)!`: the series of `sin(r) / r` in `r^2`.
const SINE: Series<14> = factorials(2, 2);
/// `1/(2k)!`: the series of `cos(r)` in `r^2`.
const COSINE: Series<14> = factorials(1, 2);

/// The processor's pi of 66 bits, times 2^64 (SDM vol. 1, 8.3.8).
const PI_66: u128 = 0x3_243f_6a88_85a3_08d3;

/// What 2^129 comes to in it.
const RECIPROCAL: u64 = {
    // the quotient by twice the divisor, and one bit more
    let half = (1u128 << 127) / PI_66;
    let rest = ((1u128 << 127) % PI_66) << 2;
    ((half << 2) | (rest / PI_66)) as u64
};

/// An angle less a whole number of right angles.
pub(super) struct Reduced {
    /// The number of right angles, modulo four.
    turns: u8,
    /// What remains, at most half a right angle either way, never zero.
    rest: Wide,
}

/// What the operand of the four instructions comes to.
enum Angle {
    /// C2 is set, registers stay.
    TooLarge,
    /// NaN or invalid.
    Result(F80),
    Zero(bool),
    Reduced(Reduced),
}

fn angle(env: &mut Env, a: F80) -> Angle {
    match operand(env, a) {
        Err(result) => Angle::Result(result),
        Ok(Val::Inf(_)) => Angle::Result(invalid(env)),
        Ok(Val::Zero(s)) => Angle::Zero(s),
        Ok(Val::Num(n)) if n.exp >= 63 => Angle::TooLarge,
        Ok(Val::Num(_)) if denormal(env, &[a]) => Angle::Result(a),
        Ok(Val::Num(n)) => Angle::Reduced(reduce(n)),
    }
}

/// Quotient and remainder by [`PI_66`], of a number below 2^99.
fn divided(n: u128) -> (u64, u128) {
    // at most one too small: either factor of the product lacks less than one unit
    let q = ((u128::from((n >> 35) as u64) * u128::from(RECIPROCAL)) >> 94) as u64;
    let rest = n - u128::from(q) * PI_66;
    if rest >= PI_66 { (q + 1, rest - PI_66) } else { (q, rest) }
}

/// The remainder by half of the 66-bit pi, exactly.
pub(super) fn reduce(n: Num) -> Reduced {
    // In units of 2^-65 the angle is sig * 2^(exp + 2) and the right angle is PI_66.
    let steps = n.exp + 2;
    if steps < 0 {
        return Reduced { turns: 0, rest: n.wide() };
    }
    let first = steps.min(32);
    let (mut quotient, mut rest) = divided(u128::from(n.sig) << first);
    if steps > first {
        let low;
        (low, rest) = divided(rest << (steps - first));
        quotient = (quotient << (steps - first)) + low;
    }
    let mut turns = quotient as u8;
    let (rest, flip) = if 2 * rest > PI_66 {
        turns = turns.wrapping_add(1);
        (PI_66 - rest, true)
    } else {
        (rest, false)
    };
    if n.sign {
        turns = turns.wrapping_neg();
    }
    let shift = rest.leading_zeros();
    let rest = Wide { sign: n.sign != flip, exp: 62 - shift as i32, sig: rest << shift };
    Reduced { turns: turns & 3, rest }
}

impl Reduced {
    fn sine_of_rest(&self) -> Wide {
        self.rest.times(alternating(&SINE, self.rest.times(self.rest).fraction()))
    }

    fn cosine_of_rest(&self) -> Wide {
        alternating(&COSINE, self.rest.times(self.rest).fraction())
    }

    pub(super) fn sine(&self) -> Wide {
        let w = if self.turns & 1 == 0 { self.sine_of_rest() } else { self.cosine_of_rest() };
        if self.turns & 2 == 0 { w } else { w.negated() }
    }

    /// What is known near the rest.
    pub(super) fn near(&self) -> Option<Near> {
        Near::to(&self.rest)
    }

    /// The sine, by that.
    pub(super) fn quick_sine(&self, near: &Near) -> Option<Wide> {
        let w = if self.turns & 1 == 0 { near.sine()?.with_sign(self.rest.sign) } else { near.cosine()? };
        Some(if self.turns & 2 == 0 { w } else { w.negated() })
    }

    pub(super) fn quick_cosine(&self, near: &Near) -> Option<Wide> {
        self.further().quick_sine(near)
    }

    pub(super) fn quick_tangent(&self, near: &Near) -> Option<Wide> {
        Some(self.quick_sine(near)?.over(self.quick_cosine(near)?))
    }

    /// A right angle further.
    fn further(&self) -> Reduced {
        Reduced { turns: (self.turns + 1) & 3, rest: self.rest }
    }

    /// For small angles the quotient comes out as the angle, which the tangent exceeds.
    pub(super) fn tangent(&self) -> Wide {
        let t = self.sine().over(self.cosine());
        Wide { sig: t.sig | 1, ..t }
    }

    pub(super) fn cosine(&self) -> Wide {
        self.further().sine()
    }
}

/// FSIN; nothing if the operand is 2^63 or more in magnitude (C2 is set and ST(0) stays).
pub fn sin(env: &mut Env, a: F80) -> Option<F80> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => r,
        Angle::Zero(s) => F80::zero(s),
        Angle::Reduced(x) => {
            let near = x.near();
            quick_or(env, near.and_then(|n| x.quick_sine(&n)), || x.sine())
        }
    })
}

/// FCOS; nothing if the operand is 2^63 or more in magnitude.
pub fn cos(env: &mut Env, a: F80) -> Option<F80> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => r,
        Angle::Zero(_) => F80::ONE,
        Angle::Reduced(x) => {
            let near = x.near();
            quick_or(env, near.and_then(|n| x.quick_cosine(&n)), || x.cosine())
        }
    })
}

/// FSINCOS: (sine, cosine), the cosine is pushed; nothing if the operand is 2^63 or more in magnitude.
pub fn sin_cos(env: &mut Env, a: F80) -> Option<(F80, F80)> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => (r, r),
        Angle::Zero(s) => (F80::zero(s), F80::ONE),
        Angle::Reduced(x) => {
            let near = x.near();
            let cosine = quick_or(env, near.as_ref().and_then(|n| x.quick_cosine(n)), || x.cosine());
            (quick_or(env, near.as_ref().and_then(|n| x.quick_sine(n)), || x.sine()), cosine)
        }
    })
}

/// FPTAN: (tangent, what is pushed, which is one); nothing if the operand is 2^63 or more in magnitude.
pub fn tan(env: &mut Env, a: F80) -> Option<(F80, F80)> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => (r, r),
        Angle::Zero(s) => (F80::zero(s), F80::ONE),
        Angle::Reduced(x) => {
            let near = x.near();
            (quick_or(env, near.and_then(|n| x.quick_tangent(&n)), || x.tangent()), F80::ONE)
        }
    })
}
