//! Flags that compiled code has left in one of its own forms, brought to the canonical one.

use crate::context::{Context, Kind};
use crate::effects::bit;
use cpu::{State, Width};
use sem::flags::ALL;

/// Makes the flags of `cpu` canonical.
pub(crate) fn settle(context: &mut Context, cpu: &mut State) {
    let kinds = std::mem::take(&mut context.flags_kinds);
    if kinds == 0 {
        return;
    }
    let (base, step) = (Kind(kinds as u32), Kind((kinds >> 32) as u32 & 0xffff));
    if base.operation() == Kind::IMAGE {
        cpu.set_arithmetic_flags(context.flags_a as u32);
    } else if base.0 != 0 {
        // stored as 32 bits or fewer: a longer load would have to wait for the store to reach the cache
        let (a, b) = (context.flags_a as u32, context.flags_b as u32);
        let (result, aux) = of_base(base, a.into(), b.into());
        (cpu.flags_result, cpu.flags_aux) = (result, aux);
    }
    if step.0 != 0 {
        let carry = cpu.flags_aux >> 63;
        let (result, aux) = of_step(step, u64::from(context.flags_step as u32));
        // CF stays: bit 63 is it, and bit 62 its difference from OF
        let change = (aux >> 63) ^ carry;
        (cpu.flags_result, cpu.flags_aux) = (result, aux ^ change << 63 ^ change << 62);
    }
    give(cpu, (kinds >> 48) as u8, context.flags_given as u8);
}

/// Replaces the flags of a mask.
fn give(cpu: &mut State, mask: u8, bits: u8) {
    if mask == 0 {
        return;
    }
    let mut image = cpu.arithmetic_flags();
    for f in ALL.into_iter().filter(|&f| mask & bit(f) != 0) {
        let at = 1 << f.position();
        image = image & !at | if bits & bit(f) != 0 { at } else { 0 };
    }
    cpu.set_arithmetic_flags(image);
}

fn sign_extended(w: Width, v: u64) -> u64 {
    crate::fold::sext(w, Width::B64, v)
}

/// Carries out of bit 3 and of and into the top bit, in the places of the second word.
fn auxiliary(w: Width, carries: u64) -> u64 {
    let carries = carries & w.mask();
    (carries << (64 - w.bits())) & 3 << 62 | carries & 8
}

fn of_base(kind: Kind, a: u64, b: u64) -> (u64, u64) {
    let w = kind.width();
    let (a, b) = (a & w.mask(), b & w.mask());
    match kind.operation() {
        Kind::ADD => {
            let r = a.wrapping_add(b) & w.mask();
            (sign_extended(w, r), auxiliary(w, a & b | (a | b) & !r))
        }
        Kind::SUB => {
            let r = a.wrapping_sub(b) & w.mask();
            (sign_extended(w, r), auxiliary(w, !a & b | (!a | b) & r))
        }
        _ => (sign_extended(w, a), 0),
    }
}

fn of_step(kind: Kind, r: u64) -> (u64, u64) {
    let w = kind.width();
    let r = r & w.mask();
    let up = kind.operation() == Kind::INC;
    let a = if up { r.wrapping_sub(1) } else { r.wrapping_add(1) } & w.mask();
    let carries = if up { a & 1 | (a | 1) & !r } else { !a & 1 | (!a | 1) & r };
    (sign_extended(w, r), auxiliary(w, carries))
}
