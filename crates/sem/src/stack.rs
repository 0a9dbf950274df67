//! The stack (SDM vol. 1, 6.2): PUSH, POP, PUSHA, POPA, ENTER, LEAVE.

use crate::{Access, Emit};
use cpu::Width::{B16, B32};
use cpu::{CpuModel, Kind, Width, reg, seg};

/// The stack pointer moved by `bytes` (two's complement), within its width, as 32-bit offset
/// and as the new value of the register.
#[inline(always)]
pub fn moved<E: Emit>(e: &mut E, bytes: i64) -> (E::Val, E::Val) {
    let w = e.stack_width();
    let sp = e.reg(w, reg::SP);
    offset_by(e, sp, bytes)
}

#[inline(always)]
fn offset_by<E: Emit>(e: &mut E, sp: E::Val, bytes: i64) -> (E::Val, E::Val) {
    let w = e.stack_width();
    let delta = e.imm(w, bytes as u64 & w.mask());
    let new = e.add(w, sp, delta);
    let offset = if w == B32 { new } else { e.zext(w, B32, new) };
    (offset, new)
}

/// Finds the place of a push; returns it with the new stack pointer.
#[inline(always)]
pub fn push_place<E: Emit>(e: &mut E, w: Width) -> Result<(E::Place, E::Val), E::Stop> {
    let (offset, new) = moved(e, -i64::from(w.bytes()));
    Ok((e.memory(seg::SS, offset, w, Access::Write)?, new))
}

/// Finds the item on top of the stack; returns it with the stack pointer above it.
#[inline(always)]
pub fn pop_place<E: Emit>(e: &mut E, w: Width) -> Result<(E::Place, E::Val), E::Stop> {
    let (offset, _) = moved(e, 0);
    let p = e.memory(seg::SS, offset, w, Access::Read)?;
    Ok((p, moved(e, i64::from(w.bytes())).1))
}

#[inline(always)]
fn set_sp<E: Emit>(e: &mut E, v: E::Val) {
    let w = e.stack_width();
    e.set_reg(w, reg::SP, v);
}

/// PUSH.
#[inline(always)]
pub fn push<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let source = e.place(0, w, Access::Read)?;
    let (p, sp) = push_place(e, w)?;
    let v = e.read(source, w);
    // the 8086 pushes SP as it is after the decrement (SDM vol. 3B, 22.17)
    let pushes_sp = e.insn().kind[0] == Kind::Reg && e.insn().reg[0] == reg::SP;
    let v = if pushes_sp && e.model() == CpuModel::I8086 { sp } else { v };
    e.write(p, w, v);
    set_sp(e, sp);
    Ok(())
}

/// POP. A memory destination addressed through ESP uses it as it is after the increment.
#[inline(always)]
pub fn pop<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (p, sp) = pop_place(e, w)?;
    let dest = if e.insn().kind[0] == Kind::Mem && e.insn().base == reg::SP {
        let at = e.effective_address();
        let size = e.imm(B32, u64::from(w.bytes()));
        let at = e.add(B32, at, size);
        let mask = e.imm(B32, u64::from(e.insn().addr_mask()));
        let at = e.and(B32, at, mask);
        let segment = e.insn().seg;
        e.memory(segment, at, w, Access::Write)?
    } else {
        e.place(0, w, Access::Write)?
    };
    let v = e.read(p, w);
    set_sp(e, sp);
    e.write(dest, w, v);
    Ok(())
}

/// PUSHA: AX, CX, DX, BX, the SP before, BP, SI, DI.
#[inline(always)]
pub fn pusha<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    for n in 1..=8 {
        let (offset, _) = moved(e, -i64::from(w.bytes()) * n);
        e.memory(seg::SS, offset, w, Access::Write)?;
    }
    for n in 0..8 {
        let (offset, _) = moved(e, -i64::from(w.bytes()) * i64::from(n + 1));
        let p = e.memory(seg::SS, offset, w, Access::Write)?;
        let v = e.reg(w, n);
        e.write(p, w, v);
    }
    let (_, sp) = moved(e, -8 * i64::from(w.bytes()));
    set_sp(e, sp);
    Ok(())
}

/// POPA: the stored SP is skipped.
#[inline(always)]
pub fn popa<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    for n in 0..8 {
        let (offset, _) = moved(e, i64::from(w.bytes()) * n);
        e.memory(seg::SS, offset, w, Access::Read)?;
    }
    for n in (0..8u8).filter(|&n| n != 3) {
        let (offset, _) = moved(e, i64::from(w.bytes()) * i64::from(n));
        let p = e.memory(seg::SS, offset, w, Access::Read)?;
        let v = e.read(p, w);
        e.set_reg(w, 7 - n, v);
    }
    let (_, sp) = moved(e, 8 * i64::from(w.bytes()));
    set_sp(e, sp);
    Ok(())
}

/// ENTER (SDM vol. 2): frame pointer, `level - 1` outer frame pointers, locals.
#[inline(always)]
pub fn enter<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (size, level) = (i64::from(e.insn().imm as u16), i64::from(e.insn().imm2 & 31));
    let bytes = i64::from(w.bytes());
    let (_, frame) = push_place(e, w)?;
    // every place first: the outer frames and the end of the locals, which must be writable
    for n in 1..level {
        outer_frame(e, w, n)?;
        let (offset, _) = moved(e, -bytes * (n + 1));
        e.memory(seg::SS, offset, w, Access::Write)?;
    }
    if level > 0 {
        let (offset, _) = moved(e, -bytes * (level + 1));
        e.memory(seg::SS, offset, w, Access::Write)?;
    }
    let pushed = if level > 0 { level + 1 } else { 1 };
    let (end, sp) = moved(e, -bytes * pushed - size);
    e.memory(seg::SS, end, w, Access::Write)?;
    // found again: the places since may have made the first one a traced table
    let (frame_place, _) = push_place(e, w)?;
    let bp = e.reg(w, reg::BP);
    e.write(frame_place, w, bp);
    for n in 1..level {
        let from = outer_frame(e, w, n)?;
        let v = e.read(from, w);
        let (offset, _) = moved(e, -bytes * (n + 1));
        let to = e.memory(seg::SS, offset, w, Access::Write)?;
        e.write(to, w, v);
    }
    let frame = fit(e, w, frame);
    if level > 0 {
        let (offset, _) = moved(e, -bytes * (level + 1));
        let to = e.memory(seg::SS, offset, w, Access::Write)?;
        e.write(to, w, frame);
    }
    e.set_reg(w, reg::BP, frame);
    set_sp(e, sp);
    Ok(())
}

/// The `n`-th outer frame pointer below BP.
#[inline(always)]
fn outer_frame<E: Emit>(e: &mut E, w: Width, n: i64) -> Result<E::Place, E::Stop> {
    let sw = e.stack_width();
    let bp = e.reg(sw, reg::BP);
    let (offset, _) = offset_by(e, bp, -i64::from(w.bytes()) * n);
    e.memory(seg::SS, offset, w, Access::Read)
}

/// A stack pointer as an operand of width `w`.
#[inline(always)]
fn fit<E: Emit>(e: &mut E, w: Width, sp: E::Val) -> E::Val {
    match (e.stack_width(), w) {
        (B32, B16) => e.trunc(B32, B16, sp),
        (B16, B32) => {
            // the upper half of ESP goes along
            let esp = e.reg(B32, reg::SP);
            let mask = e.imm(B32, 0xffff_0000);
            let upper = e.and(B32, esp, mask);
            let low = e.zext(B16, B32, sp);
            e.or(B32, upper, low)
        }
        _ => sp,
    }
}

/// LEAVE.
#[inline(always)]
pub fn leave<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let sw = e.stack_width();
    let bp = e.reg(sw, reg::BP);
    let (offset, _) = offset_by(e, bp, 0);
    let p = e.memory(seg::SS, offset, w, Access::Read)?;
    let (_, sp) = offset_by(e, bp, i64::from(w.bytes()));
    let v = e.read(p, w);
    set_sp(e, sp);
    e.set_reg(w, reg::BP, v);
    Ok(())
}
