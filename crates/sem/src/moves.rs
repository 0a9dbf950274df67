//! Data movement (SDM vol. 1, 7.3.1).

use crate::{Access, Emit};
use cpu::Width::B32;
use cpu::{Width, reg};

/// MOV.
#[inline(always)]
pub fn mov<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let source = e.place(1, w, Access::Read)?;
    let dest = e.place(0, w, Access::Write)?;
    let v = e.read(source, w);
    e.write(dest, w, v);
    Ok(())
}

/// MOVZX and MOVSX.
#[inline(always)]
pub fn extend<E: Emit>(e: &mut E, from: Width, to: Width, signed: bool) -> Result<(), E::Stop> {
    let source = e.place(1, from, Access::Read)?;
    let dest = e.place(0, to, Access::Write)?;
    let v = e.read(source, from);
    let v = if signed { e.sext(from, to, v) } else { e.zext(from, to, v) };
    e.write(dest, to, v);
    Ok(())
}

/// XCHG.
#[inline(always)]
pub fn xchg<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (p, q) = (e.place(0, w, Access::Modify)?, e.place(1, w, Access::Modify)?);
    let (a, b) = (e.read(p, w), e.read(q, w));
    e.write(p, w, b);
    e.write(q, w, a);
    Ok(())
}

/// LEA.
#[inline(always)]
pub fn lea<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let dest = e.place(0, w, Access::Write)?;
    let at = e.effective_address();
    let v = if w == B32 { at } else { e.trunc(B32, w, at) };
    e.write(dest, w, v);
    Ok(())
}

/// XLAT.
#[inline(always)]
pub fn xlat<E: Emit>(e: &mut E) -> Result<(), E::Stop> {
    let al = e.reg(Width::B8, reg::AX);
    let al = e.zext(Width::B8, B32, al);
    let base = e.reg(B32, reg::BX);
    let at = e.add(B32, base, al);
    let mask = e.imm(B32, u64::from(e.insn().addr_mask()));
    let at = e.and(B32, at, mask);
    let segment = e.insn().seg;
    let p = e.memory(segment, at, Width::B8, Access::Read)?;
    let v = e.read(p, Width::B8);
    e.set_reg(Width::B8, reg::AX, v);
    Ok(())
}

/// MOVBE.
#[inline(always)]
pub fn movbe<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let source = e.place(1, w, Access::Read)?;
    let dest = e.place(0, w, Access::Write)?;
    let v = e.read(source, w);
    let v = e.bswap(w, v);
    e.write(dest, w, v);
    Ok(())
}

/// NOP, PREFETCHh, PAUSE, CLFLUSH, fences: nothing that a single processor sees.
#[inline(always)]
pub fn nothing<E: Emit>(_: &mut E) -> Result<(), E::Stop> {
    Ok(())
}

/// CLD, STD.
#[inline(always)]
pub fn set_direction<E: Emit>(e: &mut E, down: bool) -> Result<(), E::Stop> {
    e.set_direction(down);
    Ok(())
}
