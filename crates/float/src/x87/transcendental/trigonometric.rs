//! FSIN, FCOS, FSINCOS, FPTAN.

use super::inexact;
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

/// An angle less a whole number of right angles.
struct Reduced {
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

/// The remainder by half of the 66-bit pi, exactly.
fn reduce(n: Num) -> Reduced {
    // In units of 2^-65 the angle is sig * 2^(exp + 2) and the right angle is PI_66.
    let steps = n.exp + 2;
    if steps < 0 {
        return Reduced { turns: 0, rest: n.wide() };
    }
    let first = steps.min(32);
    let second = steps - first;
    let high = u128::from(n.sig) << first;
    let low = (high % PI_66) << second;
    let mut turns = ((high / PI_66) << second) as u8;
    turns = turns.wrapping_add((low / PI_66) as u8);
    let rest = low % PI_66;
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

    fn sine(&self) -> Wide {
        let w = if self.turns & 1 == 0 { self.sine_of_rest() } else { self.cosine_of_rest() };
        if self.turns & 2 == 0 { w } else { w.negated() }
    }

    /// For small angles the quotient comes out as the angle, which the tangent exceeds.
    fn tangent(&self) -> Wide {
        let t = self.sine().over(self.cosine());
        Wide { sig: t.sig | 1, ..t }
    }

    fn cosine(&self) -> Wide {
        Reduced { turns: (self.turns + 1) & 3, rest: self.rest }.sine()
    }
}

/// FSIN; nothing if the operand is 2^63 or more in magnitude (C2 is set and ST(0) stays).
pub fn sin(env: &mut Env, a: F80) -> Option<F80> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => r,
        Angle::Zero(s) => F80::zero(s),
        Angle::Reduced(x) => inexact(env, x.sine()),
    })
}

/// FCOS; nothing if the operand is 2^63 or more in magnitude.
pub fn cos(env: &mut Env, a: F80) -> Option<F80> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => r,
        Angle::Zero(_) => F80::ONE,
        Angle::Reduced(x) => inexact(env, x.cosine()),
    })
}

/// FSINCOS: (sine, cosine), the cosine is pushed; nothing if the operand is 2^63 or more in magnitude.
pub fn sin_cos(env: &mut Env, a: F80) -> Option<(F80, F80)> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => (r, r),
        Angle::Zero(s) => (F80::zero(s), F80::ONE),
        Angle::Reduced(x) => {
            let cosine = inexact(env, x.cosine());
            (inexact(env, x.sine()), cosine)
        }
    })
}

/// FPTAN: (tangent, what is pushed, which is one); nothing if the operand is 2^63 or more in magnitude.
pub fn tan(env: &mut Env, a: F80) -> Option<(F80, F80)> {
    Some(match angle(env, a) {
        Angle::TooLarge => return None,
        Angle::Result(r) => (r, r),
        Angle::Zero(s) => (F80::zero(s), F80::ONE),
        Angle::Reduced(x) => (inexact(env, x.tangent()), F80::ONE),
    })
}
