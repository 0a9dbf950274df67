//! Moves, the control register, masked and non-temporal stores.

use super::PackedOp;
use super::bodies::{Size, enter_mmx, low, low32, memory, mmx_or_memory, widen, xmm_or_memory};
use crate::{Access, Emit, Guard, Memory16};
use cpu::Kind;
use cpu::Width::{B8, B32, B64};
use cpu::{CpuModel, Fault, reg};

/// MOVAPS, MOVDQU and their like, towards a register.
#[inline(always)]
pub(super) fn load<E: Emit>(e: &mut E, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let v = xmm_or_memory(e, 1, size)?;
    let r = e.insn().reg[0];
    e.set_xmm(r, v);
    Ok(())
}

/// MOVAPS, MOVDQU and their like, towards memory or a register.
#[inline(always)]
pub(super) fn store<E: Emit>(e: &mut E, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let from = e.insn().reg[1];
    if e.operand_kind(0) == Kind::Reg {
        let (to, v) = (e.insn().reg[0], e.xmm(from));
        e.set_xmm(to, v);
        return Ok(());
    }
    let align = if size == Size::Loose { Memory16::Unaligned } else { Memory16::Aligned };
    let p = e.wide_place(16, align, Access::Write)?;
    let v = e.xmm(from);
    e.wide_write(p, 16, v);
    Ok(())
}

/// MOVSS, MOVSD towards a register: memory is zero-extended, a register merged.
#[inline(always)]
pub(super) fn load_scalar<E: Emit>(e: &mut E, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    if e.operand_kind(1) == Kind::Reg {
        merge(e, size);
        return Ok(());
    }
    let v = memory(e, 1, size)?;
    let r = e.insn().reg[0];
    e.set_xmm(r, v);
    Ok(())
}

/// MOVSS, MOVSD, MOVLPS, MOVLPD towards memory, or merged into a register.
#[inline(always)]
pub(super) fn store_scalar<E: Emit>(e: &mut E, size: Size) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    if e.operand_kind(0) == Kind::Reg {
        merge(e, size);
        return Ok(());
    }
    store_low(e, size, false)
}

#[inline(always)]
fn merge<E: Emit>(e: &mut E, size: Size) {
    let [to, from, _] = e.insn().reg;
    let op = if size == Size::Four { PackedOp::MergeLowD } else { PackedOp::MergeLowQ };
    let (a, b) = (e.xmm(to), e.xmm(from));
    let v = e.packed(op, 0, a, b);
    e.set_xmm(to, v);
}

#[inline(always)]
fn store_low<E: Emit>(e: &mut E, size: Size, high: bool) -> Result<(), E::Stop> {
    let w = if size == Size::Four { B32 } else { B64 };
    let p = e.place(0, w, Access::Write)?;
    let from = e.insn().reg[1];
    let v = e.xmm(from);
    let v = e.wide_half(v, high);
    let v = e.trunc(B64, w, v);
    e.write(p, w, v);
    Ok(())
}

/// MOVHPS, MOVHPD towards memory.
#[inline(always)]
pub(super) fn store_high<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    store_low(e, Size::Eight, true)
}

/// MOVQ between XMM registers or from memory: the high half becomes zero.
#[inline(always)]
pub(super) fn load_quad<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let v = xmm_or_memory(e, 1, Size::Eight)?;
    let v = low(e, v);
    let (r, v) = (e.insn().reg[0], widen(e, v));
    e.set_xmm(r, v);
    Ok(())
}

/// MOVQ towards memory, or a register, whose high half becomes zero.
#[inline(always)]
pub(super) fn store_quad<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    if e.operand_kind(0) != Kind::Reg {
        return store_low(e, Size::Eight, false);
    }
    let [to, from, _] = e.insn().reg;
    let v = e.xmm(from);
    let v = low(e, v);
    let v = widen(e, v);
    e.set_xmm(to, v);
    Ok(())
}

/// MOVD towards an XMM register.
#[inline(always)]
pub(super) fn from_gpr<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let p = e.place(1, B32, Access::Read)?;
    let v = e.read(p, B32);
    let (r, v) = (e.insn().reg[0], widen(e, v));
    e.set_xmm(r, v);
    Ok(())
}

/// MOVD from an XMM register.
#[inline(always)]
pub(super) fn to_gpr<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let p = e.place(0, B32, Access::Write)?;
    let from = e.insn().reg[1];
    let v = e.xmm(from);
    let v = low32(e, v);
    e.write(p, B32, v);
    Ok(())
}

/// MOVQ towards an MMX register.
#[inline(always)]
pub(super) fn load_mmx<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let v = mmx_or_memory(e, 1, Size::Eight)?;
    enter_mmx(e);
    let (r, v) = (e.insn().reg[0], low(e, v));
    e.set_mmx(r, v);
    Ok(())
}

/// MOVQ from an MMX register; MOVNTQ.
#[inline(always)]
pub(super) fn store_mmx<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let [to, from, _] = e.insn().reg;
    if e.operand_kind(0) == Kind::Reg {
        enter_mmx(e);
        let v = e.mmx(from);
        e.set_mmx(to, v);
        return Ok(());
    }
    let p = e.place(0, B64, Access::Write)?;
    enter_mmx(e);
    let v = e.mmx(from);
    e.write(p, B64, v);
    Ok(())
}

/// MOVD towards an MMX register.
#[inline(always)]
pub(super) fn gpr_to_mmx<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let p = e.place(1, B32, Access::Read)?;
    enter_mmx(e);
    let v = e.read(p, B32);
    let (r, v) = (e.insn().reg[0], e.zext(B32, B64, v));
    e.set_mmx(r, v);
    Ok(())
}

/// MOVD from an MMX register.
#[inline(always)]
pub(super) fn mmx_to_gpr32<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let p = e.place(0, B32, Access::Write)?;
    enter_mmx(e);
    let from = e.insn().reg[1];
    let v = e.mmx(from);
    let v = e.trunc(B64, B32, v);
    e.write(p, B32, v);
    Ok(())
}

/// MOVQ2DQ.
#[inline(always)]
pub(super) fn mmx_to_xmm<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    e.guard(Guard::Mmx)?;
    enter_mmx(e);
    let [to, from, _] = e.insn().reg;
    let v = e.mmx(from);
    let v = widen(e, v);
    e.set_xmm(to, v);
    Ok(())
}

/// MOVDQ2Q.
#[inline(always)]
pub(super) fn xmm_to_mmx<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    e.guard(Guard::Mmx)?;
    enter_mmx(e);
    let [to, from, _] = e.insn().reg;
    let v = e.xmm(from);
    let v = low(e, v);
    e.set_mmx(to, v);
    Ok(())
}

/// MOVNTI: an integer instruction, whatever its name.
#[inline(always)]
pub(super) fn store_gpr<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    crate::moves::mov(e, B32)
}

/// CLFLUSH: checks its operand as a read of one byte.
#[inline(always)]
pub(super) fn flush<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.place(0, B8, Access::Read)?;
    Ok(())
}

/// LDMXCSR: #GP(0) for reserved bits (SDM vol. 1, 10.2.3); DAZ came with the Pentium 4.
#[inline(always)]
pub(super) fn load_control<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let p = e.place(0, B32, Access::Read)?;
    let v = e.read(p, B32);
    let reserved = if e.model() >= CpuModel::Pentium4 { 0xffff_0000 } else { 0xffff_0040 };
    let mask = e.imm(B32, reserved);
    let bad = e.and(B32, v, mask);
    e.trap_if(bad, Fault::GP0)?;
    e.set_mxcsr(v);
    Ok(())
}

/// STMXCSR.
#[inline(always)]
pub(super) fn store_control<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let p = e.place(0, B32, Access::Write)?;
    let v = e.mxcsr();
    e.write(p, B32, v);
    Ok(())
}

/// The byte at (E)DI plus `i`, writable.
#[inline(always)]
fn masked_place<E: Emit>(e: &mut E, i: u64) -> Result<E::Place, E::Stop> {
    let mask = e.imm(B32, u64::from(e.insn().addr_mask()));
    let (base, i) = (e.reg(B32, reg::DI), e.imm(B32, i));
    let at = e.add(B32, base, i);
    let at = e.and(B32, at, mask);
    let segment = e.insn().seg;
    e.memory(segment, at, B8, Access::Write)
}

/// Writes byte `i` of a half to its place, where its byte of `mask` has the top bit set.
#[inline(always)]
fn masked_write<E: Emit>(e: &mut E, p: E::Place, i: u64, v: E::Val, mask: E::Val) {
    let byte_of = |e: &mut E, v: E::Val, more: u64| {
        let n = e.imm(B64, (i & 7) * 8 + more);
        let v = e.shr(B64, v, n);
        e.trunc(B64, B8, v)
    };
    let wanted = byte_of(e, mask, 7);
    let one = e.imm(B8, 1);
    let wanted = e.and(B8, wanted, one);
    let wanted = e.zext(B8, B32, wanted);
    let byte = byte_of(e, v, 0);
    e.when(wanted, |e| e.write(p, B8, byte));
}

/// MASKMOVDQU: every byte must be writable, chosen or not.
#[inline(always)]
pub(super) fn masked_xmm<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Sse)?;
    let [_, from, mask] = e.insn().reg;
    let (v, mask) = (e.xmm(from), e.xmm(mask));
    masked_store(e, 16, v, mask)
}

/// MASKMOVQ.
#[inline(always)]
pub(super) fn masked_mmx<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    e.guard(Guard::Mmx)?;
    let [_, from, mask] = e.insn().reg;
    let (v, mask) = (e.mmx(from), e.mmx(mask));
    let (v, mask) = (widen(e, v), widen(e, mask));
    masked_store(e, 8, v, mask)?;
    enter_mmx(e);
    Ok(())
}

#[inline(always)]
fn masked_store<E: Emit>(e: &mut E, bytes: u64, v: E::Wide, mask: E::Wide) -> Result<(), E::Stop> {
    let mut places = [masked_place(e, 0)?; 16];
    for i in 1..bytes {
        places[i as usize] = masked_place(e, i)?;
    }
    for i in 0..bytes {
        let (v, mask) = (e.wide_half(v, i > 7), e.wide_half(mask, i > 7));
        masked_write(e, places[i as usize], i, v, mask);
    }
    Ok(())
}
