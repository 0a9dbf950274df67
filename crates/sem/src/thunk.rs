//! Flags out of what an instruction has said of them, without the canonical form: what an engine
//! that keeps the statement ([`Flags`]) until somebody asks can answer with an instruction or two.

use crate::Emit;
use crate::flags::{Flag, Flags, borrows, canonical, carries, flag_of};
use cpu::Width;
use cpu::Width::{B32, B64};

/// One flag, as a 32-bit 0 or 1. CF of INC and DEC is not among what they say: ask for it elsewhere.
#[inline]
pub fn flag<E: Emit>(e: &mut E, f: Flags<E::Val>, which: Flag) -> E::Val {
    match (which, result(f)) {
        (Flag::ZF, Some((w, r))) => {
            let zero = e.imm(w, 0);
            e.eq(w, r, zero)
        }
        (Flag::SF, Some((w, r))) => negative(e, w, r),
        (Flag::PF, Some((w, r))) => {
            let r = if w == B64 { r } else { e.zext(w, B64, r) };
            e.parity(r)
        }
        _ => others(e, f, which),
    }
}

/// The result that ZF, SF and PF show.
fn result<V: Copy>(f: Flags<V>) -> Option<(Width, V)> {
    match f {
        Flags::Add { w, r, .. }
        | Flags::AddCarry { w, r, .. }
        | Flags::Sub { w, r, .. }
        | Flags::SubBorrow { w, r, .. }
        | Flags::Logic { w, r }
        | Flags::Inc { w, r, .. }
        | Flags::Dec { w, r, .. }
        | Flags::Shift { w, r, .. }
        | Flags::Parts { w, r, .. } => Some((w, r)),
        Flags::Image(_) | Flags::Given(_) => None,
    }
}

fn negative<E: Emit>(e: &mut E, w: Width, r: E::Val) -> E::Val {
    let zero = e.imm(w, 0);
    e.slt(w, r, zero)
}

fn others<E: Emit>(e: &mut E, f: Flags<E::Val>, which: Flag) -> E::Val {
    match (which, f) {
        (Flag::CF, Flags::Add { w, a, r, .. }) => e.ult(w, r, a),
        (Flag::CF, Flags::Sub { w, a, b, .. }) => e.ult(w, a, b),
        (Flag::CF, Flags::Parts { cf, .. }) => cf,
        (Flag::OF, Flags::Parts { of, .. }) => of,
        (Flag::AF, Flags::Parts { af, .. }) => af,
        (_, Flags::Logic { .. }) => e.imm(B32, 0),
        (_, Flags::Given(given)) => given[which as usize].unwrap_or_else(|| e.flag(which)),
        (_, Flags::Image(image)) => bit(e, image, which),
        (Flag::CF, Flags::AddCarry { w, a, b, r }) => {
            let c = carries(e, w, a, b, r);
            negative(e, w, c)
        }
        (Flag::CF, Flags::SubBorrow { w, a, b, r }) => {
            let c = borrows(e, w, a, b, r);
            negative(e, w, c)
        }
        (_, Flags::Shift { .. }) => {
            let (cf, of, af) = crate::shifts::shift_flags(e, f);
            match which {
                Flag::CF => cf,
                Flag::OF => of,
                _ => af,
            }
        }
        (Flag::OF, Flags::Add { w, a, b, r } | Flags::AddCarry { w, a, b, r }) => {
            let (p, q) = (e.xor(w, a, r), e.xor(w, b, r));
            let both = e.and(w, p, q);
            negative(e, w, both)
        }
        (Flag::OF, Flags::Sub { w, a, b, r } | Flags::SubBorrow { w, a, b, r }) => {
            let (p, q) = (e.xor(w, a, b), e.xor(w, a, r));
            let both = e.and(w, p, q);
            negative(e, w, both)
        }
        (Flag::OF, Flags::Inc { w, r, .. }) => {
            let least = e.imm(w, w.sign());
            e.eq(w, r, least)
        }
        (Flag::OF, Flags::Dec { w, r, .. }) => {
            let most = e.imm(w, w.sign() - 1);
            e.eq(w, r, most)
        }
        _ => {
            let form = canonical(e, f);
            flag_of(e, form, which)
        }
    }
}

fn bit<E: Emit>(e: &mut E, image: E::Val, which: Flag) -> E::Val {
    let n = e.imm(B32, which.position());
    let (shifted, one) = (e.shr(B32, image, n), e.imm(B32, 1));
    e.and(B32, shifted, one)
}

/// A condition code where one comparison answers it.
#[inline]
pub fn condition<E: Emit>(e: &mut E, f: Flags<E::Val>, cc: u8) -> Option<E::Val> {
    let value = match f {
        Flags::Sub { w, a, b, .. } => match cc >> 1 {
            1 => e.ult(w, a, b),
            2 => e.eq(w, a, b),
            // below or equal is not (b < a), and less or equal not (b < a) signed
            3 => return Some(inverted(e, cc, |e| e.ult(w, b, a))),
            6 => e.slt(w, a, b),
            7 => return Some(inverted(e, cc, |e| e.slt(w, b, a))),
            _ => return None,
        },
        Flags::Logic { w, r } => {
            let zero = e.imm(w, 0);
            match cc >> 1 {
                2 | 3 => e.eq(w, r, zero),
                6 => e.slt(w, r, zero),
                7 => return Some(inverted(e, cc, |e| e.slt(w, zero, r))),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(if cc & 1 == 0 { value } else { not(e, value) })
}

/// The condition whose even form is the negation of what `f` gives.
fn inverted<E: Emit>(e: &mut E, cc: u8, f: impl FnOnce(&mut E) -> E::Val) -> E::Val {
    let value = f(e);
    if cc & 1 == 0 { not(e, value) } else { value }
}

fn not<E: Emit>(e: &mut E, bit: E::Val) -> E::Val {
    let one = e.imm(B32, 1);
    e.xor(B32, bit, one)
}
