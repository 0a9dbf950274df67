//! Multiplication and division (SDM vol. 2: MUL, IMUL, DIV, IDIV).

use crate::flags::{Flag, Flags};
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
    let product = negated_by_rep(e, product);
    let low = e.trunc(B64, w, product);
    let high = high_half(e, w, product);
    store_pair(e, w, low, high);
    let fits = fits(e, w, product, low, signed);
    let one = e.imm(B32, 1);
    let over = e.xor(B32, fits, one);
    product_flags(e, w, (low, high), over, signed);
    Ok(())
}

/// IMUL with two or three operands.
#[inline(always)]
pub fn imul<E: Emit>(e: &mut E, w: Width, factor: usize) -> Result<(), E::Stop> {
    let (p, q) = (e.place(1, w, Access::Read)?, e.place(factor, w, Access::Read)?);
    let dest = e.place(0, w, Access::Write)?;
    let (a, b) = (e.read(p, w), e.read(q, w));
    // apart from the product that the flags are of, which often nobody asks for
    let low = e.mul(w, a, b);
    let (a, b) = (widen(e, w, a, true), widen(e, w, b, true));
    let product = e.mul(B64, a, b);
    let high = high_half(e, w, product);
    e.write(dest, w, low);
    let fits = fits(e, w, product, low, true);
    let one = e.imm(B32, 1);
    let over = e.xor(B32, fits, one);
    product_flags(e, w, (low, high), over, true);
    Ok(())
}

/// On the 8086 a repeat prefix negates the product, and the quotient of IDIV: the microcode keeps
/// "repeat" and "negate" in the same flag.
#[inline(always)]
fn negated_by_rep<E: Emit>(e: &mut E, a: E::Val) -> E::Val {
    let negate = e.model() == CpuModel::I8086 && e.insn().prefix.repeated();
    let zero = e.imm(B64, 0);
    if negate { e.sub(B64, zero, a) } else { a }
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

/// CF and OF tell whether the high half matters; the rest is undefined. Current AMD chips
/// leave it as it was. The 8086 shows the test of the high half that ends its microcode: passed through the ALU
/// (MUL), or with the sign of the low half added (IMUL). The 80286 shows the high half, AF set.
#[inline(always)]
fn product_flags<E: Emit>(e: &mut E, w: Width, (low, high): (E::Val, E::Val), over: E::Val, signed: bool) {
    let model = e.model();
    let af = e.imm(B32, u64::from(model == CpuModel::I286));
    if model > CpuModel::I286 {
        return e.set_flags(Flags::carry_and_overflow(over, over));
    }
    if model == CpuModel::I8086 && signed {
        let wide = e.zext(w, B64, low);
        let n = e.imm(B64, u64::from(w.bits() - 1));
        let sign = e.shr(B64, wide, n);
        let sign = e.trunc(B64, w, sign);
        let r = e.add(w, high, sign);
        let changed = e.xor(w, high, r);
        let four = e.imm(w, 4);
        let carry = e.shr(w, changed, four);
        let one = e.imm(w, 1);
        let carry = e.and(w, carry, one);
        let af = e.zext(w, B32, carry);
        return e.set_flags(Flags::Parts { w, r, cf: over, of: over, af });
    }
    e.set_flags(Flags::Parts { w, r: high, cf: over, of: over, af });
}

/// The pair AH:AL, DX:AX, EDX:EAX.
#[inline(always)]
fn store_pair<E: Emit>(e: &mut E, w: Width, low: E::Val, high: E::Val) {
    e.set_reg(w, reg::AX, low);
    e.set_reg(w, if w == B8 { reg::AH } else { reg::DX }, high);
}

/// The dividend AH:AL, DX:AX, EDX:EAX, high half first.
#[inline(always)]
fn dividend<E: Emit>(e: &mut E, w: Width) -> (E::Val, E::Val) {
    let low = e.reg(w, reg::AX);
    (e.reg(w, if w == B8 { reg::AH } else { reg::DX }), low)
}

#[inline(always)]
fn joined<E: Emit>(e: &mut E, w: Width, (high, low): (E::Val, E::Val), signed: bool) -> E::Val {
    let low = e.zext(w, B64, low);
    let high = widen(e, w, high, signed);
    let n = e.imm(B64, u64::from(w.bits() & 63));
    let high = e.shl(B64, high, n);
    e.or(B64, low, high)
}

/// DIV and IDIV: #DE where the divisor is 0 or the quotient does not fit. IDIV truncates towards zero, and its
/// remainder has the dividend's sign.
#[inline(always)]
pub fn div<E: Emit>(e: &mut E, w: Width, signed: bool) -> Result<(), E::Stop> {
    let source = e.place(0, w, Access::Read)?;
    let divisor = e.read(source, w);
    if e.model() == CpuModel::I8086 {
        return if signed { idiv_8086(e, w, divisor) } else { div_8086(e, w, divisor) };
    }
    let (high, low) = dividend(e, w);
    let q = e.quotient(w, signed, (high, low), divisor)?;
    let product = e.mul(w, q, divisor);
    let r = e.sub(w, low, product);
    store_pair(e, w, q, r);
    quotient_flags(e);
    Ok(())
}

/// The quotient of an unsigned division, which fits if and only if the high half is below the divisor.
#[inline(always)]
pub(crate) fn unsigned_quotient<E: Emit>(
    e: &mut E,
    w: Width,
    (high, low): (E::Val, E::Val),
    divisor: E::Val,
) -> Result<E::Val, E::Stop> {
    let fits = e.ult(w, high, divisor);
    let one = e.imm(B32, 1);
    let bad = e.xor(B32, fits, one);
    e.trap_if(bad, Fault::DE)?;
    let dividend = joined(e, w, (high, low), false);
    let divisor = e.zext(w, B64, divisor);
    let q = e.udiv(B64, dividend, divisor);
    Ok(e.trunc(B64, w, q))
}

/// The quotient of a signed division, by magnitudes.
#[inline(always)]
pub(crate) fn signed_quotient<E: Emit>(
    e: &mut E,
    w: Width,
    halves: (E::Val, E::Val),
    divisor: E::Val,
) -> Result<E::Val, E::Stop> {
    let dividend = joined(e, w, halves, true);
    let divisor = e.sext(w, B64, divisor);
    // of 8 bits only AX counts, so the pair is sign-extended from 16
    let (n_sign, n_abs) = magnitude(e, dividend);
    let (d_sign, d_abs) = magnitude(e, divisor);
    let zero = e.imm(B64, 0);
    let by_zero = e.eq(B64, divisor, zero);
    let quotient = e.udiv(B64, n_abs, d_abs);
    let q_sign = e.xor(B32, n_sign, d_sign);
    let limit = quotient_limit(e, w, q_sign);
    let too_big = e.ult(B64, limit, quotient);
    let bad = e.or(B32, by_zero, too_big);
    e.trap_if(bad, Fault::DE)?;
    let q = with_sign(e, q_sign, quotient);
    Ok(e.trunc(B64, w, q))
}

/// All flags are undefined after a division. Current AMD chips keep CF and OF, set AF and clear
/// the rest.
#[inline(always)]
fn quotient_flags<E: Emit>(e: &mut E) {
    if e.model() > CpuModel::I286 {
        let (zero, one) = (e.imm(B32, 0), e.imm(B32, 1));
        // CF, PF, AF, ZF, SF, OF
        e.set_flags(Flags::Given([None, Some(zero), Some(one), Some(zero), Some(zero), None]));
    }
}

/// DIV on the 8086, with the flags of its microcode.
#[inline(always)]
fn div_8086<E: Emit>(e: &mut E, w: Width, divisor: E::Val) -> Result<(), E::Stop> {
    let divisor = e.zext(w, B64, divisor);
    let halves = dividend(e, w);
    let dividend = joined(e, w, halves, false);
    let zero = e.imm(B64, 0);
    let by_zero = e.eq(B64, divisor, zero);
    let quotient = e.udiv(B64, dividend, divisor);
    let max = e.imm(B64, w.mask());
    let too_big = e.ult(B64, max, quotient);
    let bad = e.or(B32, by_zero, too_big);
    let top = high_bit(e, w, quotient);
    let one = e.imm(B32, 1);
    let cf = e.xor(B32, top, one);
    division_flags(e, w, dividend, divisor, (cf, None));
    e.trap_if(bad, Fault::DE)?;
    let remainder = e.urem(B64, dividend, divisor);
    let (q, r) = (e.trunc(B64, w, quotient), e.trunc(B64, w, remainder));
    store_pair(e, w, q, r);
    Ok(())
}

/// IDIV on the 8086, with the flags of its microcode.
#[inline(always)]
fn idiv_8086<E: Emit>(e: &mut E, w: Width, divisor: E::Val) -> Result<(), E::Stop> {
    let divisor = e.sext(w, B64, divisor);
    let halves = dividend(e, w);
    let dividend = joined(e, w, halves, true);
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
    let zero = e.imm(B32, 0);
    // the microcode clears CF and OF at its end, which an overflow does not reach
    division_flags(e, w, n_abs, d_abs, (zero, Some(bad)));
    e.trap_if(bad, Fault::DE)?;
    let q = with_sign(e, q_sign, quotient);
    let q = negated_by_rep(e, q);
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

#[inline(always)]
fn high_bit<E: Emit>(e: &mut E, w: Width, a: E::Val) -> E::Val {
    let n = e.imm(B64, u64::from(w.bits() - 1));
    let a = e.shr(B64, a, n);
    let one = e.imm(B64, 1);
    let a = e.and(B64, a, one);
    e.trunc(B64, B32, a)
}

/// The 8086's flags of a division (the microcode routine CORD). It compares the upper half with
/// the divisor and stops at once where the quotient would not fit. Otherwise it divides bit by
/// bit: shift the dividend left; where no bit falls out, subtract the divisor from the upper half
/// noting flags, and keep the difference if there was no borrow; where one falls out, subtract
/// without noting flags. So the flags are those of the last subtraction that noted them.
/// Past the first comparison CF is `cf`, and OF stays only where `of_kept` is not 0.
#[inline(always)]
fn division_flags<E: Emit>(
    e: &mut E,
    w: Width,
    dividend: E::Val,
    divisor: E::Val,
    (cf, of_kept): (E::Val, Option<E::Val>),
) {
    let bits = e.imm(B64, u64::from(w.bits() & 63));
    let mut high = e.shr(B64, dividend, bits);
    let mask = e.imm(B64, w.mask());
    let mut low = e.and(B64, dividend, mask);
    let overflows = e.ult(B64, high, divisor);
    let one32 = e.imm(B32, 1);
    let overflows = e.xor(B32, overflows, one32);
    let mut a = high;
    for _ in 0..w.bits() {
        let top = e.imm(B64, u64::from(w.bits() - 1));
        let one = e.imm(B64, 1);
        let next = e.shr(B64, low, top);
        low = e.shl(B64, low, one);
        low = e.and(B64, low, mask);
        let high2 = e.shl(B64, high, one);
        let shifted = e.or(B64, high2, next);
        let fell_out = e.ult(B64, mask, shifted);
        let difference = e.sub(B64, shifted, divisor);
        let borrow = e.ult(B64, shifted, divisor);
        let noted = e.select(B64, fell_out, a, shifted);
        a = e.select(B64, overflows, a, noted);
        high = e.select(B64, borrow, shifted, difference);
        high = e.and(B64, high, mask);
    }
    let (a, b) = (e.trunc(B64, w, a), e.trunc(B64, w, divisor));
    let r = e.sub(w, a, b);
    e.set_flags(Flags::Sub { w, a, b, r });
    let own_cf = e.flag(Flag::CF);
    let cf = e.select(B32, overflows, own_cf, cf);
    e.set_flags(Flags::one(Flag::CF, cf));
    if let Some(kept) = of_kept {
        let of = e.flag(Flag::OF);
        let of = e.and(B32, of, kept);
        e.set_flags(Flags::one(Flag::OF, of));
    }
}
