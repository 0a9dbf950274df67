//! Decimal adjustment (SDM vol. 2, AAA, AAD, AAM, AAS, DAA, DAS).
//!
//! Flags that the manual calls undefined follow the CPU model.

use crate::Emit;
use crate::flags::{Flag, Flags};
use cpu::Width::{B8, B16, B32};
use cpu::{Fault, Width, reg};

/// DAA (`subtract` false) and DAS.
#[inline(always)]
pub fn daa_das<E: Emit>(e: &mut E, subtract: bool) -> Result<(), E::Stop> {
    let al = e.reg(B8, reg::AX);
    let (old_cf, old_af) = (e.flag(Flag::CF), e.flag(Flag::AF));
    let low = low_digit_over_9(e, al);
    let adjust_low = e.or(B32, low, old_af);
    // with AF the 8086 compares with 9Fh (its microcode adjusts the low digit first), later chips
    // with 99h (SDM)
    let limit = e.imm(B8, 0x99);
    let limit = if e.model() == cpu::CpuModel::I8086 {
        let with_af = e.imm(B8, 0x9f);
        e.select(B8, old_af, with_af, limit)
    } else {
        limit
    };
    let high = e.ult(B8, limit, al);
    let adjust_high = e.or(B32, high, old_cf);
    let (zero, six, sixty) = (e.imm(B8, 0), e.imm(B8, 6), e.imm(B8, 0x60));
    let six = e.select(B8, adjust_low, six, zero);
    let sixty = e.select(B8, adjust_high, sixty, zero);
    let delta = e.add(B8, six, sixty);
    let r = if subtract { e.sub(B8, al, delta) } else { e.add(B8, al, delta) };
    let cf = if subtract && e.model() > cpu::CpuModel::I8086 {
        // since the 80286 a borrow of the low digit's adjustment counts as well
        let borrow = e.ult(B8, al, six);
        e.or(B32, adjust_high, borrow)
    } else {
        adjust_high
    };
    let of = if subtract { overflow_sub(e, al, delta, r) } else { overflow_add(e, al, delta, r) };
    e.set_reg(B8, reg::AX, r);
    e.set_flags(Flags::Parts { w: B8, r, cf, of, af: adjust_low });
    Ok(())
}

#[inline(always)]
fn low_digit_over_9<E: Emit>(e: &mut E, al: E::Val) -> E::Val {
    let mask = e.imm(B8, 0xf);
    let digit = e.and(B8, al, mask);
    let nine = e.imm(B8, 9);
    e.ult(B8, nine, digit)
}

#[inline(always)]
fn overflow_add<E: Emit>(e: &mut E, a: E::Val, b: E::Val, r: E::Val) -> E::Val {
    let (x, y) = (e.xor(B8, a, r), e.xor(B8, b, r));
    top_bit(e, x, y)
}

#[inline(always)]
fn overflow_sub<E: Emit>(e: &mut E, a: E::Val, b: E::Val, r: E::Val) -> E::Val {
    let (x, y) = (e.xor(B8, a, b), e.xor(B8, a, r));
    top_bit(e, x, y)
}

#[inline(always)]
fn top_bit<E: Emit>(e: &mut E, x: E::Val, y: E::Val) -> E::Val {
    let both = e.and(B8, x, y);
    let n = e.imm(B8, 7);
    let bit = e.shr(B8, both, n);
    e.zext(B8, B32, bit)
}

/// AAA (`subtract` false) and AAS.
#[inline(always)]
pub fn aaa_aas<E: Emit>(e: &mut E, subtract: bool) -> Result<(), E::Stop> {
    let ax = e.reg(B16, reg::AX);
    let al = e.trunc(B16, B8, ax);
    let af = e.flag(Flag::AF);
    let low = low_digit_over_9(e, al);
    let adjust = e.or(B32, low, af);
    // 106h to AX at once since the 80286 (SDM); the 8086 adds to AL and AH apart
    let (delta, zero) = (e.imm(B16, 0x106), e.imm(B16, 0));
    let delta = e.select(B16, adjust, delta, zero);
    let r = if subtract { e.sub(B16, ax, delta) } else { e.add(B16, ax, delta) };
    let r = if e.model() == cpu::CpuModel::I8086 { apart(e, ax, adjust, subtract) } else { r };
    let mask = e.imm(B16, 0xff0f);
    let masked = e.and(B16, r, mask);
    e.set_reg(B16, reg::AX, masked);
    if e.model() <= cpu::CpuModel::I286 {
        undefined_adjust_flags(e, al, r, adjust, subtract);
    } else {
        word_adjust_flags(e, ax, delta, r, adjust, subtract);
    }
    Ok(())
}

#[inline(always)]
fn apart<E: Emit>(e: &mut E, ax: E::Val, adjust: E::Val, subtract: bool) -> E::Val {
    let (six, one, zero) = (e.imm(B16, 6), e.imm(B16, 0x100), e.imm(B16, 0));
    let six = e.select(B16, adjust, six, zero);
    let one = e.select(B16, adjust, one, zero);
    let step = |e: &mut E, a, b| if subtract { e.sub(B16, a, b) } else { e.add(B16, a, b) };
    let (low, high) = (step(e, ax, six), step(e, ax, one));
    let (low_mask, high_mask) = (e.imm(B16, 0xff), e.imm(B16, 0xff00));
    let (low, high) = (e.and(B16, low, low_mask), e.and(B16, high, high_mask));
    e.or(B16, low, high)
}

/// OF, SF, ZF and PF are undefined. Current AMD chips show those of the 16-bit addition to AX.
#[inline(always)]
fn word_adjust_flags<E: Emit>(
    e: &mut E,
    ax: E::Val,
    delta: E::Val,
    r: E::Val,
    adjust: E::Val,
    subtract: bool,
) {
    let (x, y) = if subtract {
        (e.xor(B16, ax, delta), e.xor(B16, ax, r))
    } else {
        (e.xor(B16, ax, r), e.xor(B16, delta, r))
    };
    let both = e.and(B16, x, y);
    let n = e.imm(B16, 15);
    let of = e.shr(B16, both, n);
    let of = e.zext(B16, B32, of);
    e.set_flags(Flags::Parts { w: B16, r, cf: adjust, of, af: adjust });
}

/// The 8086 and the 80286 take them from the sum in AL before its upper digit is cleared.
#[inline(always)]
fn undefined_adjust_flags<E: Emit>(e: &mut E, al: E::Val, sum: E::Val, adjust: E::Val, subtract: bool) {
    let r = e.trunc(B16, B8, sum);
    let (six, zero) = (e.imm(B8, 6), e.imm(B8, 0));
    let delta = e.select(B8, adjust, six, zero);
    let of = if subtract { overflow_sub(e, al, delta, r) } else { overflow_add(e, al, delta, r) };
    e.set_flags(Flags::Parts { w: B8, r, cf: adjust, of, af: adjust });
}

/// AAM: #DE where the base is 0.
#[inline(always)]
pub fn aam<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    let base = u64::from(e.insn().imm as u8);
    let is_zero = e.imm(B32, u64::from(base == 0));
    e.trap_if(is_zero, Fault::DE)?;
    let al = e.reg(B8, reg::AX);
    let base = e.imm(B8, base);
    let quotient = e.udiv(B8, al, base);
    let remainder = e.urem(B8, al, base);
    e.set_reg(B8, reg::AH, quotient);
    e.set_reg(B8, reg::AX, remainder);
    result_flags(e, B8, remainder);
    Ok(())
}

/// AAD.
#[inline(always)]
pub fn aad<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    let base = u64::from(e.insn().imm as u8);
    let (al, ah) = (e.reg(B8, reg::AX), e.reg(B8, reg::AH));
    let base = e.imm(B8, base);
    let product = e.mul(B8, ah, base);
    let r = e.add(B8, al, product);
    let zero = e.imm(B8, 0);
    e.set_reg(B8, reg::AH, zero);
    e.set_reg(B8, reg::AX, r);
    // the addition's own flags show
    e.set_flags(Flags::Add { w: B8, a: al, b: product, r });
    Ok(())
}

#[inline(always)]
fn result_flags<E: Emit>(e: &mut E, w: Width, r: E::Val) {
    e.set_flags(Flags::Logic { w, r });
}

/// SALC (D6): AL becomes FFh with carry, else 0.
#[inline(always)]
pub fn salc<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    let c = e.flag(Flag::CF);
    let zero = e.imm(B32, 0);
    let all = e.sub(B32, zero, c);
    let byte = e.trunc(B32, B8, all);
    e.set_reg(B8, reg::AX, byte);
    Ok(())
}
