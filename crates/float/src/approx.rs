//! RCPPS and RSQRTPS: relative error at most 1.5 * 2^-12, no exceptions, MXCSR has no part in it
//! (SDM vol. 2, RCPPS and RSQRTPS). Real processors differ in the low bits; this gives 13 rounded bits.

use crate::env::Env;
use crate::format;
use crate::num::{Num, Val, Wide};
use crate::round::{Out, Target, finish};

/// RCPSS: about `1 / x`. Denormals count as zeros, tiny results become zeros.
pub fn reciprocal(x: u32) -> u32 {
    if format::is_nan(x) {
        return format::quieted(x);
    }
    match format::value(x) {
        Val::Inf(s) => format::zero(s),
        Val::Zero(s) => format::infinity(s),
        Val::Num(n) if n.exp < -126 => format::infinity(n.sign),
        // The manual leaves open where exactly results begin to count as tiny.
        Val::Num(n) if n.exp >= 126 => format::zero(n.sign),
        Val::Num(n) => rough(ONE.over(n), n.sign),
    }
}

/// RSQRTSS: about `1 / sqrt(x)`. Denormals count as zeros; negative numbers give the default NaN.
pub fn reciprocal_sqrt(x: u32) -> u32 {
    if format::is_nan(x) {
        return format::quieted(x);
    }
    match format::value(x) {
        Val::Zero(s) => format::infinity(s),
        Val::Num(n) if n.exp < -126 => format::infinity(n.sign),
        Val::Inf(false) => format::zero(false),
        Val::Num(n) if !n.sign => {
            let root = n.root();
            let root = Num { sign: false, exp: root.exp, sig: (root.sig >> 64) as u64 };
            rough(ONE.over(root), false)
        }
        _ => format::default_nan(),
    }
}

const ONE: Num = Num { sign: false, exp: 0, sig: 1 << 63 };

fn rough(w: Wide, sign: bool) -> u32 {
    let mut env = Env { ftz: true, ..Env::default() };
    let target = Target { bits: 13, emin: -126, emax: 127, wrap: 0 };
    let out: Out = finish(&mut env, Wide { sign, ..w }, &target);
    format::pack(out)
}
