//! How packed and scalar instructions meet their operands (SDM vol. 3A, 13.1 for what they check).

use super::{PackedOp, SseOp};
use crate::flags::Flags;
use crate::fp::{X87, X87Op};
use crate::{Access, Emit, Guard, Memory16};
use cpu::Kind;
use cpu::Width::{B16, B32, B64};

/// How much of a memory operand is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Size {
    /// 4 bytes.
    Four,
    /// 8 bytes.
    Eight,
    /// 16 bytes, aligned.
    Sixteen,
    /// 16 bytes anywhere.
    Loose,
}

/// The immediate byte.
#[inline(always)]
pub(super) fn immediate<E: Emit>(e: &E) -> u8 {
    e.insn().imm as u8
}

/// Zero-extends a value of up to 64 bits.
#[inline(always)]
pub(super) fn widen<E: Emit>(e: &mut E, v: E::Val) -> E::Wide {
    let zero = e.imm(B64, 0);
    e.wide_join(v, zero)
}

/// The low half.
#[inline(always)]
pub(super) fn low<E: Emit>(e: &mut E, v: E::Wide) -> E::Val {
    e.wide_half(v, false)
}

/// The low doubleword.
#[inline(always)]
pub(super) fn low32<E: Emit>(e: &mut E, v: E::Wide) -> E::Val {
    let v = e.wide_half(v, false);
    e.trunc(B64, B32, v)
}

/// Operand `n` as the memory operand that it is.
#[inline(always)]
pub(super) fn memory<E: Emit>(e: &mut E, n: usize, size: Size) -> Result<E::Wide, E::Stop> {
    let align = match size {
        Size::Four => {
            let p = e.place(n, B32, Access::Read)?;
            let v = e.read(p, B32);
            return Ok(widen(e, v));
        }
        Size::Eight => {
            let p = e.place(n, B64, Access::Read)?;
            let v = e.read(p, B64);
            return Ok(widen(e, v));
        }
        Size::Sixteen => Memory16::Aligned,
        Size::Loose => Memory16::Unaligned,
    };
    let p = e.wide_place(16, align, Access::Read)?;
    Ok(e.wide_read(p, 16))
}

/// Operand `n`: an XMM register or memory.
#[inline(always)]
pub(super) fn xmm_or_memory<E: Emit>(e: &mut E, n: usize, size: Size) -> Result<E::Wide, E::Stop> {
    if e.operand_kind(n) == Kind::Reg {
        let r = e.insn().reg[n];
        return Ok(e.xmm(r));
    }
    memory(e, n, size)
}

/// Operand `n`: an MMX register or memory.
#[inline(always)]
pub(super) fn mmx_or_memory<E: Emit>(e: &mut E, n: usize, size: Size) -> Result<E::Wide, E::Stop> {
    if e.operand_kind(n) == Kind::Reg {
        let r = e.insn().reg[n];
        let v = e.mmx(r);
        return Ok(widen(e, v));
    }
    memory(e, n, size)
}

/// Switches the FPU's registers to MMX.
#[inline(always)]
pub(super) fn enter_mmx<E: Emit>(e: &mut E) {
    let zero = e.wide_imm(0);
    e.x87(X87 { op: X87Op::EnterMmx, i: 0, pops: 0 }, zero);
}

/// EMMS.
#[inline(always)]
pub(super) fn emms<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let zero = e.wide_imm(0);
    e.x87(X87 { op: X87Op::LeaveMmx, i: 0, pops: 0 }, zero);
    Ok(())
}

/// `xmm = xmm op source`.
#[inline(always)]
pub(super) fn xmm<E: Emit>(e: &mut E, op: PackedOp, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let b = xmm_or_memory(e, 1, size)?;
    let (r, imm) = (e.insn().reg[0], immediate(e));
    let a = e.xmm(r);
    let v = e.packed(op, imm, a, b);
    e.set_xmm(r, v);
    Ok(())
}

/// `xmm = xmm op imm`: shifts.
#[inline(always)]
pub(super) fn xmm_by_count<E: Emit>(e: &mut E, op: PackedOp) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let (r, imm) = (e.insn().reg[0], immediate(e));
    let a = e.xmm(r);
    let b = e.wide_imm(u128::from(imm));
    let v = e.packed(op, imm, a, b);
    e.set_xmm(r, v);
    Ok(())
}

/// How an MMX instruction is made of a 128-bit operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mmx {
    /// Lane by lane.
    Lanes,
    /// Both operands' lanes come one after the other: packs, horizontal operations, PALIGNR.
    Joined,
    /// As `Joined`, the second operand low.
    JoinedReverse,
    /// The high half of the result: PUNPCKH.
    High,
    /// PSHUFB: byte numbers have three bits.
    Bytes,
}

/// `mm = mm op source`.
#[inline(always)]
pub(super) fn mmx<E: Emit>(e: &mut E, op: PackedOp, how: Mmx, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let b = mmx_or_memory(e, 1, size)?;
    mmx_operation(e, op, how, b);
    Ok(())
}

/// `mm = mm op imm`: shifts.
#[inline(always)]
pub(super) fn mmx_by_count<E: Emit>(e: &mut E, op: PackedOp) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let imm = immediate(e);
    let b = e.wide_imm(u128::from(imm));
    mmx_operation(e, op, Mmx::Lanes, b);
    Ok(())
}

#[inline(always)]
fn mmx_operation<E: Emit>(e: &mut E, op: PackedOp, how: Mmx, b: E::Wide) {
    enter_mmx(e);
    let (r, imm) = (e.insn().reg[0], immediate(e));
    let a = e.mmx(r);
    let (a, b) = match how {
        Mmx::Lanes | Mmx::High => (widen(e, a), b),
        Mmx::Joined | Mmx::JoinedReverse => {
            let b = low(e, b);
            let ab = if how == Mmx::Joined { e.wide_join(a, b) } else { e.wide_join(b, a) };
            (ab, e.wide_imm(0))
        }
        Mmx::Bytes => {
            let (a, mask) = (widen(e, a), e.wide_imm(0x8787_8787_8787_8787));
            (a, e.packed(PackedOp::And, 0, b, mask))
        }
    };
    let v = e.packed(op, imm, a, b);
    let v = e.wide_half(v, how == Mmx::High);
    e.set_mmx(r, v);
}

/// `xmm = op(xmm, source)` under MXCSR.
#[inline(always)]
pub(super) fn sse<E: Emit>(e: &mut E, op: SseOp, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let b = xmm_or_memory(e, 1, size)?;
    let (r, imm) = (e.insn().reg[0], immediate(e));
    let a = e.xmm(r);
    let v = e.sse(op, imm, a, b)?;
    e.set_xmm(r, v);
    Ok(())
}

/// COMISS and its like.
#[inline(always)]
pub(super) fn sse_flags<E: Emit>(e: &mut E, op: SseOp, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let b = xmm_or_memory(e, 1, size)?;
    let r = e.insn().reg[0];
    let a = e.xmm(r);
    let v = e.sse(op, 0, a, b)?;
    let image = low32(e, v);
    e.set_flags(Flags::Image(image));
    Ok(())
}

/// CVTSI2SS, CVTSI2SD.
#[inline(always)]
pub(super) fn sse_from_int<E: Emit>(e: &mut E, op: SseOp) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let p = e.place(1, B32, Access::Read)?;
    let b = e.read(p, B32);
    let b = widen(e, b);
    let r = e.insn().reg[0];
    let a = e.xmm(r);
    let v = e.sse(op, 0, a, b)?;
    e.set_xmm(r, v);
    Ok(())
}

/// CVTSS2SI and its like.
#[inline(always)]
pub(super) fn sse_to_int<E: Emit>(e: &mut E, op: SseOp, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let b = xmm_or_memory(e, 1, size)?;
    let v = e.sse(op, 0, b, b)?;
    let (r, v) = (e.insn().reg[0], low32(e, v));
    e.set_reg(B32, r, v);
    Ok(())
}

/// CVTPI2PS, CVTPI2PD. Only the latter leaves the FPU alone if its source is memory.
#[inline(always)]
pub(super) fn sse_from_mmx<E: Emit>(e: &mut E, op: SseOp) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let uses_mmx = op == SseOp::PairToSingle || e.operand_kind(1) == Kind::Reg;
    if uses_mmx {
        e.guard(Guard::Mmx)?;
    }
    let b = mmx_or_memory(e, 1, Size::Eight)?;
    let r = e.insn().reg[0];
    let a = e.xmm(r);
    let v = e.sse(op, 0, a, b)?;
    if uses_mmx {
        enter_mmx(e);
    }
    e.set_xmm(r, v);
    Ok(())
}

/// CVTPS2PI, CVTPD2PI and truncating forms.
#[inline(always)]
pub(super) fn sse_to_mmx<E: Emit>(e: &mut E, op: SseOp, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    e.guard(Guard::Mmx)?;
    let b = xmm_or_memory(e, 1, size)?;
    let v = e.sse(op, 0, b, b)?;
    enter_mmx(e);
    let (r, v) = (e.insn().reg[0], low(e, v));
    e.set_mmx(r, v);
    Ok(())
}

/// PMOVMSKB, MOVMSKPS, PEXTRW from XMM: 32 bits to a general register.
#[inline(always)]
pub(super) fn xmm_to_gpr<E: Emit>(e: &mut E, op: PackedOp) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let (from, imm) = (e.insn().reg[1], immediate(e));
    let b = e.xmm(from);
    let v = e.packed(op, imm, b, b);
    let (r, v) = (e.insn().reg[0], low32(e, v));
    e.set_reg(B32, r, v);
    Ok(())
}

/// PMOVMSKB, PEXTRW from MMX.
#[inline(always)]
pub(super) fn mmx_to_gpr<E: Emit>(e: &mut E, op: PackedOp) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    enter_mmx(e);
    let (from, imm) = (e.insn().reg[1], immediate(e));
    let b = e.mmx(from);
    let b = widen(e, b);
    let v = e.packed(op, imm & 3, b, b);
    let (r, v) = (e.insn().reg[0], low32(e, v));
    e.set_reg(B32, r, v);
    Ok(())
}

/// PINSRW.
#[inline(always)]
pub(super) fn insert_word<E: Emit>(e: &mut E, into_mmx: bool) -> Result<(), E::Stop> {
    e.guard(if into_mmx { Guard::Mmx } else { Guard::Sse })?;
    let p = e.place(1, B16, Access::Read)?;
    let b = e.read(p, B16);
    let b = widen(e, b);
    let (r, imm) = (e.insn().reg[0], immediate(e));
    if into_mmx {
        enter_mmx(e);
        let a = e.mmx(r);
        let a = widen(e, a);
        let v = e.packed(PackedOp::InsertW, imm & 3, a, b);
        let v = low(e, v);
        e.set_mmx(r, v);
    } else {
        let a = e.xmm(r);
        let v = e.packed(PackedOp::InsertW, imm, a, b);
        e.set_xmm(r, v);
    }
    Ok(())
}
pub(super) use super::moves::*;
