//! FPATAN.

use super::{PI, inexact, quick, quick_or};
use crate::env::Env;
use crate::f80::F80;
use crate::num::{Num, Val, Wide};
use crate::wide::{Series, alternating, odd_reciprocals};
use crate::x87::{denormal, operands};

/// The series of `arctan(t) / t` in `t^2`.
const SERIES: Series<14> = odd_reciprocals();

/// The arctangents of 1/8, 2/8, ... 8/8.
const EIGHTHS: [Wide; 8] = [
    Wide { sign: false, exp: -4, sig: 0xfead_d4d5_617b_6e32_c897_989f_3e88_8ef8 },
    Wide { sign: false, exp: -3, sig: 0xfadb_afc9_6406_eb15_6dc7_9ef5_f7a2_17e6 },
    Wide { sign: false, exp: -2, sig: 0xb7b0_ca0f_26f7_8473_8aa3_2122_dcfe_4483 },
    Wide { sign: false, exp: -2, sig: 0xed63_382b_0dda_7b45_6fe4_45ec_bc3a_8d03 },
    Wide { sign: false, exp: -1, sig: 0x8f00_5d5e_f7f5_9f9b_5c83_5e16_65c4_3748 },
    Wide { sign: false, exp: -1, sig: 0xa4bc_7d19_34f7_0924_19a8_7f2a_457d_ac9f },
    Wide { sign: false, exp: -1, sig: 0xb805_3e2b_c231_9e73_cb2d_a552_10a4_443d },
    Wide { sign: false, exp: -1, sig: 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1 },
];

/// FPATAN: the angle of the point (x, y), `x` in ST(0), `y` in ST(1) (SDM vol. 2, table of FPATAN).
pub fn atan(env: &mut Env, x: F80, y: F80) -> F80 {
    let (a, b) = match operands(env, x, y) {
        Ok(v) => v,
        Err(result) => return result,
    };
    if denormal(env, &[x, y]) {
        return x;
    }
    let (left, sign) = (a.sign(), b.sign());
    let angle = match (a, b) {
        (Val::Inf(_), Val::Inf(_)) => Some(PI.shifted(-2)),
        (_, Val::Inf(_)) | (Val::Zero(_), Val::Num(_)) => return inexact(env, right().with_sign(sign)),
        (_, Val::Zero(_)) | (Val::Inf(_), _) => None,
        (Val::Num(n), Val::Num(m)) => return angle_of(env, n, m),
    };
    match (angle, left) {
        (None, false) => F80::zero(sign),
        (None, true) => inexact(env, PI.with_sign(sign)),
        (Some(t), _) => inexact(env, turned(t, left).with_sign(sign)),
    }
}

/// A right angle.
fn right() -> Wide {
    PI.shifted(-1)
}

/// The angle, or with `left` that of the mirrored point.
fn turned(t: Wide, left: bool) -> Wide {
    if left { PI.plus(t.negated()).unwrap_or(PI) } else { t }
}

/// The angle of (x, y).
fn angle_of(env: &mut Env, x: Num, y: Num) -> F80 {
    let steep = (y.exp, y.sig) > (x.exp, x.sig);
    let (less, more) = if steep { (x, y) } else { (y, x) };
    let whole = |t: Wide| {
        let t = if steep { right().plus(t.negated()).unwrap_or(right()) } else { t };
        turned(t, x.sign).with_sign(y.sign)
    };
    let careful = || {
        let (less, more) = (less.wide().with_sign(false), more.wide().with_sign(false));
        whole(octant(less.over(more)))
    };
    quick_or(env, quick::octant(less, more).map(whole), careful)
}

/// The arctangent of `t` up to one: that of the nearest eighth, and of what remains.
pub(super) fn octant(t: Wide) -> Wide {
    let eighths = if t.exp < -5 { 0 } else { ((t.sig >> 124) + (1 << (-t.exp)) / 2) >> -t.exp };
    let Some(base) = (eighths as usize).checked_sub(1).map(|i| EIGHTHS[i]) else {
        return small(t);
    };
    let c = Wide::integer(eighths as i32).shifted(-3);
    let difference = t.plus(c.negated());
    let sum = t.times(c).plus(Wide::ONE);
    match difference.zip(sum) {
        Some((n, d)) => base.plus(small(n.over(d))).unwrap_or(base),
        None => base,
    }
}

fn small(t: Wide) -> Wide {
    t.times(alternating(&SERIES, t.times(t).fraction()))
}
