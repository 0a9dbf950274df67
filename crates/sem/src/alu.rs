//! Addition, subtraction, logic, comparison (SDM vol. 1, 7.3.2 and 7.3.3).

use crate::flags::{Flag, Flags};
use crate::{Access, Emit};
use cpu::Width;
use cpu::Width::{B8, B16, B32};

/// The two-operand operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Op {
    Add,
    Adc,
    Sub,
    Sbb,
    And,
    Or,
    Xor,
}

/// `dest := dest op source`.
#[inline(always)]
pub fn binary<E: Emit>(e: &mut E, op: Op, w: Width) -> Result<(), E::Stop> {
    let dest = e.place(0, w, Access::Modify)?;
    let source = e.place(1, w, Access::Read)?;
    let (a, b) = (e.read(dest, w), e.read(source, w));
    let (r, flags) = compute(e, op, w, a, b);
    e.write(dest, w, r);
    e.set_flags(flags);
    Ok(())
}

#[inline(always)]
fn compute<E: Emit>(e: &mut E, op: Op, w: Width, a: E::Val, b: E::Val) -> (E::Val, Flags<E::Val>) {
    match op {
        Op::Add => {
            let r = e.add(w, a, b);
            (r, Flags::Add { w, a, b, r })
        }
        Op::Adc => {
            let c = carry(e, w);
            let sum = e.add(w, a, b);
            let r = e.add(w, sum, c);
            (r, Flags::AddCarry { w, a, b, r })
        }
        Op::Sub => {
            let r = e.sub(w, a, b);
            (r, Flags::Sub { w, a, b, r })
        }
        Op::Sbb => {
            let c = carry(e, w);
            let difference = e.sub(w, a, b);
            let r = e.sub(w, difference, c);
            (r, Flags::SubBorrow { w, a, b, r })
        }
        Op::And => logic(e.and(w, a, b), w),
        Op::Or => logic(e.or(w, a, b), w),
        Op::Xor => logic(e.xor(w, a, b), w),
    }
}

#[inline(always)]
fn logic<V: Copy>(r: V, w: Width) -> (V, Flags<V>) {
    (r, Flags::Logic { w, r })
}

/// CF as a value of width `w`.
#[inline(always)]
fn carry<E: Emit>(e: &mut E, w: Width) -> E::Val {
    let c = e.flag(Flag::CF);
    if w > B32 { e.zext(B32, w, c) } else { e.trunc(B32, w, c) }
}

/// CMP.
#[inline(always)]
pub fn cmp<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (p, q) = (e.place(0, w, Access::Read)?, e.place(1, w, Access::Read)?);
    let (a, b) = (e.read(p, w), e.read(q, w));
    let r = e.sub(w, a, b);
    e.set_flags(Flags::Sub { w, a, b, r });
    Ok(())
}

/// TEST.
#[inline(always)]
pub fn test<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (p, q) = (e.place(0, w, Access::Read)?, e.place(1, w, Access::Read)?);
    let (a, b) = (e.read(p, w), e.read(q, w));
    let r = e.and(w, a, b);
    e.set_flags(Flags::Logic { w, r });
    Ok(())
}

/// INC: CF stays.
#[inline(always)]
pub fn inc<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let p = e.place(0, w, Access::Modify)?;
    let a = e.read(p, w);
    let one = e.imm(w, 1);
    let r = e.add(w, a, one);
    e.write(p, w, r);
    e.set_flags(Flags::Inc { w, a, r });
    Ok(())
}

/// DEC: CF stays.
#[inline(always)]
pub fn dec<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let p = e.place(0, w, Access::Modify)?;
    let a = e.read(p, w);
    let one = e.imm(w, 1);
    let r = e.sub(w, a, one);
    e.write(p, w, r);
    e.set_flags(Flags::Dec { w, a, r });
    Ok(())
}

/// NEG.
#[inline(always)]
pub fn neg<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let p = e.place(0, w, Access::Modify)?;
    let b = e.read(p, w);
    let a = e.imm(w, 0);
    let r = e.sub(w, a, b);
    e.write(p, w, r);
    e.set_flags(Flags::Sub { w, a, b, r });
    Ok(())
}

/// NOT: no flags.
#[inline(always)]
pub fn not<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let p = e.place(0, w, Access::Modify)?;
    let a = e.read(p, w);
    let ones = e.imm(w, w.mask());
    let r = e.xor(w, a, ones);
    e.write(p, w, r);
    Ok(())
}

/// XADD.
#[inline(always)]
pub fn xadd<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (dest, source) = (e.place(0, w, Access::Modify)?, e.place(1, w, Access::Modify)?);
    let (a, b) = (e.read(dest, w), e.read(source, w));
    let r = e.add(w, a, b);
    e.write(source, w, a);
    e.write(dest, w, r);
    e.set_flags(Flags::Add { w, a, b, r });
    Ok(())
}

/// CMPXCHG: the destination is written in either case.
#[inline(always)]
pub fn cmpxchg<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (dest, source) = (e.place(0, w, Access::Modify)?, e.place(1, w, Access::Read)?);
    let (old, new) = (e.read(dest, w), e.read(source, w));
    let a = e.reg(w, cpu::reg::AX);
    let r = e.sub(w, a, old);
    let equal = e.eq(w, a, old);
    let stored = e.select(w, equal, new, old);
    // the accumulator keeps its upper half where nothing was loaded, so it is written only then
    let different = e.eq(B32, equal, equal);
    let different = e.xor(B32, different, equal);
    e.when(different, |e| e.set_reg(w, cpu::reg::AX, old));
    e.write(dest, w, stored);
    e.set_flags(Flags::Sub { w, a, b: old, r });
    Ok(())
}

/// CMPXCHG8B.
#[inline(always)]
pub fn cmpxchg8b<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    use cpu::reg::{AX, BX, CX, DX};
    let w = Width::B64;
    let dest = e.place(0, w, Access::Modify)?;
    let old = e.read(dest, w);
    let expected = pair(e, AX, DX);
    let new = pair(e, BX, CX);
    let equal = e.eq(w, expected, old);
    let stored = e.select(w, equal, new, old);
    let loaded = e.select(w, equal, expected, old);
    let low = e.trunc(w, B32, loaded);
    let n = e.imm(w, 32);
    let high = e.shr(w, loaded, n);
    let high = e.trunc(w, B32, high);
    e.write(dest, w, stored);
    e.set_reg(B32, AX, low);
    e.set_reg(B32, DX, high);
    set_zero_flag(e, equal);
    Ok(())
}

#[inline(always)]
fn pair<E: Emit>(e: &mut E, low: u8, high: u8) -> E::Val {
    let (l, h) = (e.reg(B32, low), e.reg(B32, high));
    let (l, h) = (e.zext(B32, Width::B64, l), e.zext(B32, Width::B64, h));
    let n = e.imm(Width::B64, 32);
    let h = e.shl(Width::B64, h, n);
    e.or(Width::B64, l, h)
}

/// Sets ZF alone.
#[inline(always)]
pub fn set_zero_flag<E: Emit>(e: &mut E, zf: E::Val) {
    e.set_flags(Flags::one(Flag::ZF, zf));
}

/// CLC, STC.
#[inline(always)]
pub fn set_carry<E: Emit>(e: &mut E, carry: bool) -> Result<(), E::Stop> {
    let c = e.imm(B32, u64::from(carry));
    e.set_flags(Flags::one(Flag::CF, c));
    Ok(())
}

/// CMC.
#[inline(always)]
pub fn cmc<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    let c = e.flag(Flag::CF);
    let one = e.imm(B32, 1);
    let c = e.xor(B32, c, one);
    e.set_flags(Flags::one(Flag::CF, c));
    Ok(())
}

/// LAHF.
#[inline(always)]
pub fn lahf<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    let image = crate::flags::image(e);
    let low = e.imm(B32, 0xd5);
    let image = e.and(B32, image, low);
    let fixed = e.imm(B32, 2);
    let image = e.or(B32, image, fixed);
    let byte = e.trunc(B32, B8, image);
    e.set_reg(B8, cpu::reg::AH, byte);
    Ok(())
}

/// SAHF: OF stays.
#[inline(always)]
pub fn sahf<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    let ah = e.reg(B8, cpu::reg::AH);
    let ah = e.zext(B8, B32, ah);
    let one = e.imm(B32, 1);
    let mut given = [None; 6];
    for f in [Flag::CF, Flag::PF, Flag::AF, Flag::ZF, Flag::SF] {
        let n = e.imm(B32, f.position());
        let bit = e.shr(B32, ah, n);
        given[f as usize] = Some(e.and(B32, bit, one));
    }
    e.set_flags(Flags::Given(given));
    Ok(())
}

/// CBW, CWDE: sign extension within the accumulator.
#[inline(always)]
pub fn extend_accumulator<E: Emit>(e: &mut E, from: Width, to: Width) -> Result<(), E::Stop> {
    let a = e.reg(from, cpu::reg::AX);
    let a = e.sext(from, to, a);
    e.set_reg(to, cpu::reg::AX, a);
    Ok(())
}

/// CWD, CDQ: the accumulator's sign into DX.
#[inline(always)]
pub fn spread_sign<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let a = e.reg(w, cpu::reg::AX);
    let n = e.imm(w, u64::from(w.bits() - 1));
    let sign = e.sar(w, a, n);
    e.set_reg(w, cpu::reg::DX, sign);
    Ok(())
}

/// MOVBE and BSWAP share the reversal; BSWAP of 16 bits is undefined and gives 0 here, as on
/// every CPU seen.
#[inline(always)]
pub fn bswap<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let p = e.place(0, w, Access::Modify)?;
    let a = e.read(p, w);
    let r = if w == B16 { e.imm(B16, 0) } else { e.bswap(w, a) };
    e.write(p, w, r);
    Ok(())
}
