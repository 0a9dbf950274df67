//! Multiplication and division (SDM vol. 2: MUL, IMUL, DIV, IDIV).

use crate::flags::Flags;
use crate::{Access, Emit};
use cpu::Width::{B8, B32, B64};
use cpu::{CpuModel, Fault, Width, reg};

/// MUL and one-operand IMUL.
#[inline(always)]
pub fn mul<E: Emit>(e: &mut E, w: Width, signed: bool) -> Result<(), E::Stop> {
    let source = e.place(0, w, Access::Read)?;
    let b = e.read(source, w);
    let a = e.reg(w, reg::AX);
    let (a, b) = (widen(e, w, a, signed), widen(e, w, b, signed));
    let product = e.mul(B64, a, b);
    let low = e.trunc(B64, w, product);
    let high = high_half(e, w, product);
    store_pair(e, w, low, high);
    let fits = fits(e, w, product, low, signed);
    let one = e.imm(B32, 1);
    let over = e.xor(B32, fits, one);
    product_flags(e, w, low, high, over);
    Ok(())
}

/// IMUL with two or three operands.
#[inline(always)]
pub fn imul<E: Emit>(e: &mut E, w: Width, factor: usize) -> Result<(), E::Stop> {
    let (p, q) = (e.place(1, w, Access::Read)?, e.place(factor, w, Access::Read)?);
    let dest = e.place(0, w, Access::Write)?;
    let (a, b) = (e.read(p, w), e.read(q, w));
    let (a, b) = (widen(e, w, a, true), widen(e, w, b, true));
    let product = e.mul(B64, a, b);
    let low = e.trunc(B64, w, product);
    let high = high_half(e, w, product);
    e.write(dest, w, low);
    let fits = fits(e, w, product, low, true);
    let one = e.imm(B32, 1);
    let over = e.xor(B32, fits, one);
    product_flags(e, w, low, high, over);
    Ok(())
}

#[inline(always)]
fn widen<E: Emit>(e: &mut E, w: Width, a: E::Val, signed: bool) -> E::Val {
    if signed { e.sext(w, B64, a) } else { e.zext(w, B64, a) }
}

#[inline(always)]
fn high_half<E: Emit>(e: &mut E, w: Width, product: E::Val) -> E::Val {
    let n = e.imm(B64, u64::from(w.bits() & 63));
    let high = e.shr(B64, product, n);
    e.trunc(B64, w, high)
}

/// The product is the extension of its low half.
#[inline(always)]
fn fits<E: Emit>(e: &mut E, w: Width, product: E::Val, low: E::Val, signed: bool) -> E::Val {
    let again = widen(e, w, low, signed);
    e.eq(B64, product, again)
}

/// CF and OF tell whether the high half matters; the rest is undefined. AMD chips leave SF to
/// the low half and the others untouched; the 80286 and 8086 show their last addition.
#[inline(always)]
fn product_flags<E: Emit>(e: &mut E, w: Width, low: E::Val, high: E::Val, over: E::Val) {
    let zero = e.imm(B32, 0);
    let shown = if e.model() <= CpuModel::I286 { high } else { low };
    e.set_flags(Flags::Parts { w, r: shown, cf: over, of: over, af: zero });
}

/// The pair AH:AL, DX:AX, EDX:EAX.
#[inline(always)]
fn store_pair<E: Emit>(e: &mut E, w: Width, low: E::Val, high: E::Val) {
    e.set_reg(w, reg::AX, low);
    e.set_reg(w, if w == B8 { reg::AH } else { reg::DX }, high);
}

#[inline(always)]
fn load_pair<E: Emit>(e: &mut E, w: Width, signed: bool) -> E::Val {
    let low = e.reg(w, reg::AX);
    let high = e.reg(w, if w == B8 { reg::AH } else { reg::DX });
    let low = e.zext(w, B64, low);
    let high = widen(e, w, high, signed);
    let n = e.imm(B64, u64::from(w.bits() & 63));
    let high = e.shl(B64, high, n);
    e.or(B64, low, high)
}

/// DIV: #DE where the divisor is 0 or the quotient does not fit.
#[inline(always)]
pub fn div<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let source = e.place(0, w, Access::Read)?;
    let divisor = e.read(source, w);
    let divisor = e.zext(w, B64, divisor);
    let dividend = load_pair(e, w, false);
    let zero = e.imm(B64, 0);
    let by_zero = e.eq(B64, divisor, zero);
    let quotient = e.udiv(B64, dividend, divisor);
    let max = e.imm(B64, w.mask());
    let too_big = e.ult(B64, max, quotient);
    let bad = e.or(B32, by_zero, too_big);
    e.trap_if(bad, Fault::DE)?;
    let remainder = e.urem(B64, dividend, divisor);
    let (q, r) = (e.trunc(B64, w, quotient), e.trunc(B64, w, remainder));
    store_pair(e, w, q, r);
    Ok(())
}

/// IDIV: truncates towards zero; the remainder has the dividend's sign.
#[inline(always)]
pub fn idiv<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let source = e.place(0, w, Access::Read)?;
    let divisor = e.read(source, w);
    let divisor = e.sext(w, B64, divisor);
    let dividend = load_pair(e, w, true);
    // of 8 bits only AX counts, so the pair is sign-extended from 16
    let (n_sign, n_abs) = magnitude(e, dividend);
    let (d_sign, d_abs) = magnitude(e, divisor);
    let zero = e.imm(B64, 0);
    let by_zero = e.eq(B64, divisor, zero);
    let quotient = e.udiv(B64, n_abs, d_abs);
    let remainder = e.urem(B64, n_abs, d_abs);
    let q_sign = e.xor(B32, n_sign, d_sign);
    let limit = quotient_limit(e, w, q_sign);
    let too_big = e.ult(B64, limit, quotient);
    let bad = e.or(B32, by_zero, too_big);
    e.trap_if(bad, Fault::DE)?;
    let q = with_sign(e, q_sign, quotient);
    let r = with_sign(e, n_sign, remainder);
    let (q, r) = (e.trunc(B64, w, q), e.trunc(B64, w, r));
    store_pair(e, w, q, r);
    Ok(())
}

/// The largest magnitude of a quotient: 80h for negative ones, except on the 8086 (7Fh).
#[inline(always)]
fn quotient_limit<E: Emit>(e: &mut E, w: Width, negative: E::Val) -> E::Val {
    let most = if e.model() == CpuModel::I8086 { w.sign() - 1 } else { w.sign() };
    let (below, above) = (e.imm(B64, most), e.imm(B64, w.sign() - 1));
    e.select(B64, negative, below, above)
}

#[inline(always)]
fn magnitude<E: Emit>(e: &mut E, a: E::Val) -> (E::Val, E::Val) {
    let zero = e.imm(B64, 0);
    let negative = e.slt(B64, a, zero);
    (negative, with_sign(e, negative, a))
}

#[inline(always)]
fn with_sign<E: Emit>(e: &mut E, negative: E::Val, a: E::Val) -> E::Val {
    let zero = e.imm(B64, 0);
    let opposite = e.sub(B64, zero, a);
    e.select(B64, negative, opposite, a)
}
