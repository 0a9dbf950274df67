//! F2XM1.

use super::{inexact, quick, quick_or};
use crate::env::Env;
use crate::f80::F80;
use crate::num::{Num, Val, Wide};
use crate::wide::{Series, alternating, factorials, sum};
use crate::x87::{denormal, operand};

/// `1/(k+1)!`, so that the series is `(exp(y) - 1) / y`.
const SERIES: Series<26> = factorials(2, 1);

const LN_2: Wide = Wide { sign: false, exp: -1, sig: 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6af };

/// F2XM1: `2^a - 1` for `a` from -1 to 1. Outside of it the manual leaves the result undefined; here
/// it is `a` itself.
pub fn two_to_x_minus_1(env: &mut Env, a: F80) -> F80 {
    let n = match operand(env, a) {
        Err(result) => return result,
        Ok(Val::Zero(_) | Val::Inf(false)) => return a,
        Ok(Val::Inf(true)) => return F80::ONE.negate(),
        Ok(Val::Num(n)) => n,
    };
    if denormal(env, &[a]) {
        return a;
    }
    if n.exp >= 0 {
        let half = Num { exp: -1, ..n };
        let at_minus_1 = a == F80::ONE.negate();
        return inexact(env, if at_minus_1 { half.wide() } else { n.wide() });
    }
    quick_or(env, quick::two_to_x_minus_1(n), || careful(n))
}

/// The function with all places.
pub(super) fn careful(n: Num) -> Wide {
    expm1(n.wide().times(LN_2))
}

/// `exp(y) - 1` for `y` below one in magnitude.
fn expm1(y: Wide) -> Wide {
    let z = y.fraction();
    y.times(if y.sign { alternating(&SERIES, z) } else { sum(&SERIES, z) })
}
