//! String instructions (SDM vol. 1, 7.3.9): one step each; the engine repeats.

use crate::flags::Flags;
use crate::{Access, Bulk, Emit};
use cpu::Width::{B16, B32};
use cpu::{Width, reg, seg};

#[inline(always)]
fn index_width<E: Emit>(e: &E) -> Width {
    if e.insn().addr32 { B32 } else { B16 }
}

/// The offset in an index register, as 32 bits.
#[inline(always)]
fn index<E: Emit>(e: &mut E, r: u8) -> E::Val {
    let w = index_width(e);
    let v = e.reg(w, r);
    if w == B32 { v } else { e.zext(w, B32, v) }
}

#[inline(always)]
fn source<E: Emit>(e: &mut E, w: Width) -> Result<E::Place, E::Stop> {
    let at = index(e, reg::SI);
    let segment = e.insn().seg;
    e.memory(segment, at, w, Access::Read)
}

#[inline(always)]
fn destination<E: Emit>(e: &mut E, w: Width, access: Access) -> Result<E::Place, E::Stop> {
    let at = index(e, reg::DI);
    e.memory(seg::ES, at, w, access)
}

/// Moves an index register by one element, up or down by DF.
#[inline(always)]
fn advance<E: Emit>(e: &mut E, r: u8, w: Width) {
    let iw = index_width(e);
    let down = e.direction();
    let up = e.imm(iw, u64::from(w.bytes()));
    let back = e.imm(iw, u64::from(w.bytes()).wrapping_neg() & iw.mask());
    let step = e.select(iw, down, back, up);
    let v = e.reg(iw, r);
    let v = e.add(iw, v, step);
    e.set_reg(iw, r, v);
}

/// MOVS.
#[inline(always)]
pub fn movs<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    e.repeat(Bulk::Move, w, |e| {
        let from = source(e, w)?;
        let to = destination(e, w, Access::Write)?;
        let v = e.read(from, w);
        e.write(to, w, v);
        advance(e, reg::SI, w);
        advance(e, reg::DI, w);
        Ok(())
    })
}

/// STOS.
#[inline(always)]
pub fn stos<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    e.repeat(Bulk::Store, w, |e| {
        let to = destination(e, w, Access::Write)?;
        let v = e.reg(w, reg::AX);
        e.write(to, w, v);
        advance(e, reg::DI, w);
        Ok(())
    })
}

/// LODS.
#[inline(always)]
pub fn lods<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    e.repeat(Bulk::Load, w, |e| {
        let from = source(e, w)?;
        let v = e.read(from, w);
        e.set_reg(w, reg::AX, v);
        advance(e, reg::SI, w);
        Ok(())
    })
}

/// SCAS.
#[inline(always)]
pub fn scas<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    e.repeat(Bulk::Scan, w, |e| {
        let p = destination(e, w, Access::Read)?;
        let (a, b) = (e.reg(w, reg::AX), e.read(p, w));
        let r = e.sub(w, a, b);
        e.set_flags(Flags::Sub { w, a, b, r });
        advance(e, reg::DI, w);
        Ok(())
    })
}

/// CMPS.
#[inline(always)]
pub fn cmps<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    e.repeat(Bulk::Compare, w, |e| {
        let p = source(e, w)?;
        let q = destination(e, w, Access::Read)?;
        let (a, b) = (e.read(p, w), e.read(q, w));
        let r = e.sub(w, a, b);
        e.set_flags(Flags::Sub { w, a, b, r });
        advance(e, reg::SI, w);
        advance(e, reg::DI, w);
        Ok(())
    })
}
