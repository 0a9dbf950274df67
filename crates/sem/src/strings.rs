//! String instructions (SDM vol. 1, 7.3.9): one step each; the engine repeats.

use crate::flags::Flags;
use crate::{Access, Bulk, Emit};
use cpu::Width::{B16, B32};
use cpu::{CpuModel, Width, reg, seg};

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
fn source<E: Emit>(e: &mut E, w: Width, early: Early) -> Result<E::Place, E::Stop> {
    let at = index(e, reg::SI);
    let segment = e.insn().seg;
    e.memory(segment, at, w, Access::Read).inspect_err(|_| early.leave(e, w))
}

#[inline(always)]
fn destination<E: Emit>(e: &mut E, w: Width, access: Access, early: Early) -> Result<E::Place, E::Stop> {
    let at = index(e, reg::DI);
    e.memory(seg::ES, at, w, access).inspect_err(|_| early.leave(e, w))
}

/// What the 80286 has already done when a string element faults: it moves an index register as it
/// sends the address, and counts ahead of a write. (Other chips restore both.)
#[derive(Clone, Copy)]
struct Early {
    si: bool,
    di: bool,
    count: u64,
}

impl Early {
    const fn new(si: bool, di: bool, count: u64) -> Early {
        Early { si, di, count }
    }

    fn leave<E: Emit>(self, e: &mut E, w: Width) {
        if e.model() != CpuModel::I286 {
            return;
        }
        if self.si {
            advance(e, reg::SI, w);
        }
        if self.di {
            advance(e, reg::DI, w);
        }
        if e.insn().prefix.repeated() {
            let (count, done) = (e.reg(B16, reg::CX), e.imm(B16, self.count));
            let left = e.sub(B16, count, done);
            e.set_reg(B16, reg::CX, left);
        }
    }
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
        let from = source(e, w, Early::new(true, false, 1))?;
        let to = destination(e, w, Access::Write, Early::new(true, true, 2))?;
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
        let to = destination(e, w, Access::Write, Early::new(false, true, 2))?;
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
        let from = source(e, w, Early::new(true, false, 1))?;
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
        let p = destination(e, w, Access::Read, Early::new(false, true, 1))?;
        let (a, b) = (e.reg(w, reg::AX), e.read(p, w));
        let r = e.sub(w, a, b);
        e.set_flags(Flags::Sub { w, a, b, r });
        advance(e, reg::DI, w);
        Ok(())
    })
}

/// The element of CMPS at (E)DI.
#[inline(always)]
fn in_destination<E: Emit>(e: &mut E, w: Width) -> Result<E::Place, E::Stop> {
    destination(e, w, Access::Read, Early::new(false, true, 0))
}

/// CMPS.
#[inline(always)]
pub fn cmps<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    e.repeat(Bulk::Compare, w, |e| {
        // the 80286 reads the destination first
        let first = (e.model() == CpuModel::I286).then(|| in_destination(e, w)).transpose()?;
        let p = source(e, w, Early::new(true, true, 1))?;
        let q = match first {
            Some(q) => q,
            None => in_destination(e, w)?,
        };
        let (a, b) = (e.read(p, w), e.read(q, w));
        let r = e.sub(w, a, b);
        e.set_flags(Flags::Sub { w, a, b, r });
        advance(e, reg::SI, w);
        advance(e, reg::DI, w);
        Ok(())
    })
}
