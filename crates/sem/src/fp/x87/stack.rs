//! The register stack and the status word (SDM vol. 1, 8.1.2, 8.1.3, 8.5.1).

use cpu::{Fpu, Register};
use float::{Env, F80, Flags};

/// Condition codes in the status word.
pub(super) const C0: u16 = 0x0100;
pub(super) const C1: u16 = 0x0200;
pub(super) const C2: u16 = 0x0400;
pub(super) const C3: u16 = 0x4000;
/// A stack fault.
const SF: u16 = 0x0040;
/// The error summary and its double, the busy bit.
const PENDING: u16 = 0x8080;

/// What an operation came to.
pub(super) enum Outcome {
    /// An unmasked exception: nothing written, no pops.
    Blocked,
    /// Complete; the pops follow.
    Done,
    /// Complete, with something for the body to write.
    Value(u128),
}

/// The physical register that ST(i) is.
#[inline(always)]
pub(super) fn physical(fpu: &Fpu, i: u8) -> usize {
    usize::from(((fpu.status >> 11) as u8 + i) & 7)
}

/// ST(i) is empty.
#[inline(always)]
pub(super) fn is_empty(fpu: &Fpu, i: u8) -> bool {
    fpu.occupied >> physical(fpu, i) & 1 == 0
}

/// The bits of ST(i), empty or not.
#[inline(always)]
pub(super) fn get(fpu: &Fpu, i: u8) -> F80 {
    let r = fpu.registers[physical(fpu, i)];
    F80 { sig: r.significand, se: r.exponent }
}

/// Sets ST(i).
#[inline(always)]
pub(super) fn put(fpu: &mut Fpu, i: u8, v: F80) {
    let r = physical(fpu, i);
    fpu.registers[r] = Register { significand: v.sig, exponent: v.se };
    fpu.occupied |= 1 << r;
}

/// Turns TOP by `n`, modulo 8.
#[inline(always)]
pub(super) fn turn(fpu: &mut Fpu, n: u16) {
    fpu.status = fpu.status & !0x3800 | fpu.status.wrapping_add(n << 11) & 0x3800;
}

/// Pops `n` times.
#[inline(always)]
pub(super) fn pop(fpu: &mut Fpu, n: u8) {
    for _ in 0..n {
        let r = physical(fpu, 0);
        fpu.occupied &= !(1 << r);
        turn(fpu, 1);
    }
}

/// Pushes.
#[inline(always)]
pub(super) fn push(fpu: &mut Fpu, v: F80) {
    turn(fpu, 7);
    put(fpu, 0, v);
}

/// The environment of an operation.
#[inline(always)]
pub(super) fn environment(fpu: &Fpu) -> Env {
    Env::from_x87(fpu.control, fpu.status)
}

/// Adds an operation's exceptions to the status word and sets C1.
#[inline(always)]
pub(super) fn note(fpu: &mut Fpu, env: &Env) {
    let pending = if env.unmasked() != 0 { PENDING } else { 0 };
    fpu.status = fpu.status & !C1 | u16::from(env.flags) | u16::from(env.c1) << 9 | pending;
}

/// A stack overflow or underflow: the outcome of the masked response, or `Blocked`.
#[cold]
#[inline(never)]
pub(super) fn fault(fpu: &mut Fpu, overflow: bool) -> Outcome {
    let masked = fpu.control & u16::from(Flags::IE) != 0;
    let pending = if masked { 0 } else { PENDING };
    fpu.status = fpu.status & !C1 | u16::from(overflow) << 9 | SF | u16::from(Flags::IE) | pending;
    if masked { Outcome::Done } else { Outcome::Blocked }
}

/// As [`fault`]; the masked response is to do `f`.
#[cold]
pub(super) fn fault_with(fpu: &mut Fpu, overflow: bool, f: impl FnOnce(&mut Fpu)) -> Outcome {
    let outcome = fault(fpu, overflow);
    if matches!(outcome, Outcome::Done) {
        f(fpu);
    }
    outcome
}

/// Sets C0, C2 and C3.
#[inline(always)]
pub(super) fn set_codes(fpu: &mut Fpu, codes: u16) {
    fpu.status = fpu.status & !(C0 | C2 | C3) | codes;
}

/// Brings the error summary in line with flags and masks.
pub(super) fn summarize(fpu: &mut Fpu) {
    let pending = fpu.status & !fpu.control & u16::from(Flags::ALL) != 0;
    fpu.status = fpu.status & !PENDING | if pending { PENDING } else { 0 };
}

/// Clears C1.
#[inline(always)]
pub(super) fn clear_c1(fpu: &mut Fpu) {
    fpu.status &= !C1;
}
