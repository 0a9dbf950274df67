//! The one rounding routine (SDM vol. 1, 4.8.4 and 4.9.1).

use crate::env::{Env, Flags, Round};
use crate::num::{Wide, shift_jam};
use core::cmp::Ordering;

/// What unmasked overflow and underflow take off and add to the exponent of a register (SDM vol. 1, 8.5.4
/// and 8.5.5). FSCALE can exceed even that; processors then give an infinity or a zero.
const WRAP: i32 = 24576;

/// What to round to.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// Significant bits.
    pub(crate) bits: u32,
    pub(crate) emin: i32,
    pub(crate) emax: i32,
    /// Exponent adjustment for unmasked overflow and underflow; zero where no result is delivered.
    pub(crate) wrap: i32,
}

pub(crate) const SINGLE: Target = Target { bits: 24, emin: -126, emax: 127, wrap: 0 };
pub(crate) const DOUBLE: Target = Target { bits: 53, emin: -1022, emax: 1023, wrap: 0 };

/// An x87 register at a given precision.
pub(crate) const fn register(bits: u32) -> Target {
    Target { bits, emin: -16382, emax: 16383, wrap: WRAP }
}

/// A rounded result. Normal if the top bit of `sig` is set; else denormal (`exp` is the least one) or zero.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Out {
    Finite { sign: bool, exp: i32, sig: u64 },
    Inf(bool),
}

/// Whether a magnitude is rounded away from zero.
#[inline]
pub(crate) fn goes_up(round: Round, sign: bool, inexact: bool, half: Ordering, odd: bool) -> bool {
    inexact
        && match round {
            Round::Nearest => half.is_gt() || half.is_eq() && odd,
            Round::Down => sign,
            Round::Up => !sign,
            Round::Zero => false,
        }
}

struct Cut {
    sig: u64,
    carry: bool,
    inexact: bool,
    up: bool,
}

/// Rounds to `bits` leading places, 64 at most.
#[inline]
fn cut(sig: u128, bits: u32, round: Round, sign: bool) -> Cut {
    let unit = 1u128 << (128 - bits);
    let rest = sig & (unit - 1);
    let base = sig - rest;
    let up = goes_up(round, sign, rest != 0, rest.cmp(&(unit >> 1)), base & unit != 0);
    let (sum, carry) = if up { base.overflowing_add(unit) } else { (base, false) };
    let sig = if carry { 1 << 63 } else { (sum >> 64) as u64 };
    Cut { sig, carry, inexact: rest != 0, up }
}

/// Rounds `w` to the target, noting OE, UE, PE and C1.
#[inline]
pub(crate) fn finish(env: &mut Env, w: Wide, t: &Target) -> Out {
    let free = cut(w.sig, t.bits, env.round, w.sign);
    let exp = w.exp + i32::from(free.carry);
    if w.exp >= t.emin && exp <= t.emax {
        return settle(env, w.sign, exp, &free);
    }
    if exp > t.emax { overflow(env, w.sign, exp, &free, t) } else { underflow(env, w, exp, &free, t) }
}

/// SDM vol. 1, 4.9.1.5: tiny means below the least normal number after rounding; masked, an exact
/// tiny result raises nothing.
#[cold]
fn underflow(env: &mut Env, w: Wide, exp: i32, free: &Cut, t: &Target) -> Out {
    let tiny = exp < t.emin;
    if tiny && env.masks & Flags::UE == 0 {
        env.flags |= Flags::UE;
        if exp + t.wrap < t.emin && t.wrap == WRAP {
            env.flags |= Flags::PE;
            return Out::Finite { sign: w.sign, exp: t.emin, sig: 0 };
        }
        return settle(env, w.sign, exp + t.wrap, free);
    }
    if tiny && env.ftz {
        env.flags |= Flags::UE | Flags::PE;
        return Out::Finite { sign: w.sign, exp: t.emin, sig: 0 };
    }
    let bound = cut(shift_jam(w.sig, (t.emin - w.exp) as u32), t.bits, env.round, w.sign);
    if tiny && bound.inexact {
        env.flags |= Flags::UE;
    }
    settle(env, w.sign, t.emin, &bound)
}

#[inline]
fn settle(env: &mut Env, sign: bool, exp: i32, cut: &Cut) -> Out {
    env.c1 = cut.up;
    if cut.inexact {
        env.flags |= Flags::PE;
    }
    Out::Finite { sign, exp, sig: cut.sig }
}

/// SDM vol. 1, table 4-11, and 8.5.4 for the unmasked case.
#[cold]
fn overflow(env: &mut Env, sign: bool, exp: i32, free: &Cut, t: &Target) -> Out {
    let lost = exp - t.wrap > t.emax && t.wrap == WRAP;
    if env.raise(Flags::OE) && lost {
        env.flags |= Flags::PE;
        env.c1 = true;
        return Out::Inf(sign);
    }
    if env.masks & Flags::OE == 0 {
        return settle(env, sign, exp - t.wrap, free);
    }
    env.flags |= Flags::PE;
    let away = goes_up(env.round, sign, true, Ordering::Greater, false);
    env.c1 = away;
    if away { Out::Inf(sign) } else { Out::Finite { sign, exp: t.emax, sig: !0 << (64 - t.bits) } }
}
