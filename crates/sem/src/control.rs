//! Near control transfer (SDM vol. 1, 7.3.8).

use crate::flags::Flag;
use crate::stack::{pop_place, push_place};
use crate::{Access, Emit};
use cpu::Width::{B16, B32};
use cpu::{Kind, Width, reg};

/// The target of a relative branch, cut to the operand size.
#[inline(always)]
fn target<E: Emit>(e: &mut E, w: Width) -> E::Val {
    let ip = e.this_ip();
    let displacement = e.imm(B32, u64::from(e.insn().imm));
    let sum = e.add(B32, ip, displacement);
    cut(e, w, sum)
}

#[inline(always)]
fn cut<E: Emit>(e: &mut E, w: Width, offset: E::Val) -> E::Val {
    if w == B32 {
        return offset;
    }
    let mask = e.imm(B32, 0xffff);
    e.and(B32, offset, mask)
}

/// Jcc.
#[inline(always)]
pub fn jcc<E: Emit>(e: &mut E, cc: u8, w: Width) -> Result<(), E::Stop> {
    let t = target(e, w);
    let c = e.condition(cc);
    e.jump_if(c, t)
}

/// The absolute offset in operand 0, zero-extended.
#[inline(always)]
fn indirect<E: Emit>(e: &mut E, w: Width) -> Result<E::Val, E::Stop> {
    let p = e.place(0, w, Access::Read)?;
    let v = e.read(p, w);
    Ok(if w == B32 { v } else { e.zext(w, B32, v) })
}

#[inline(always)]
fn destination<E: Emit>(e: &mut E, w: Width) -> Result<E::Val, E::Stop> {
    let t = if e.insn().kind[0] == Kind::Imm { target(e, w) } else { indirect(e, w)? };
    e.check_target(t)?;
    Ok(t)
}

/// JMP near.
#[inline(always)]
pub fn jmp<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let t = destination(e, w)?;
    e.jump(t);
    Ok(())
}

/// CALL near.
#[inline(always)]
pub fn call<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let t = destination(e, w)?;
    let (p, sp) = push_place(e, w)?;
    let next = e.next_ip();
    let next = if w == B32 { next } else { e.trunc(B32, w, next) };
    e.write(p, w, next);
    let sw = e.stack_width();
    e.set_reg(sw, reg::SP, sp);
    e.jump(t);
    Ok(())
}

/// RET near, with its immediate.
#[inline(always)]
pub fn ret<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let (p, sp) = pop_place(e, w)?;
    let v = e.read(p, w);
    let t = if w == B32 { v } else { e.zext(w, B32, v) };
    e.check_target(t)?;
    let sw = e.stack_width();
    let extra = if e.insn().kind[0] == Kind::Imm { u64::from(e.insn().imm as u16) } else { 0 };
    let extra = e.imm(sw, extra);
    let sp = e.add(sw, sp, extra);
    e.set_reg(sw, reg::SP, sp);
    e.jump(t);
    Ok(())
}

/// The width of the counter, by address size.
#[inline(always)]
fn counter<E: Emit>(e: &E) -> Width {
    if e.insn().addr32 { B32 } else { B16 }
}

/// JCXZ and JECXZ.
#[inline(always)]
pub fn jcxz<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let cw = counter(e);
    let c = e.reg(cw, reg::CX);
    let zero = e.imm(cw, 0);
    let is_zero = e.eq(cw, c, zero);
    let t = target(e, w);
    e.jump_if(is_zero, t)
}

/// LOOP, and LOOPE or LOOPNE with the value of ZF that goes on.
#[inline(always)]
pub fn loop_<E: Emit>(e: &mut E, zf: Option<bool>, w: Width) -> Result<(), E::Stop> {
    let cw = counter(e);
    let c = e.reg(cw, reg::CX);
    let (one, zero) = (e.imm(cw, 1), e.imm(cw, 0));
    let left = e.sub(cw, c, one);
    let done = e.eq(cw, left, zero);
    let flip = e.imm(B32, 1);
    let mut again = e.xor(B32, done, flip);
    if let Some(wanted) = zf {
        let z = e.flag(Flag::ZF);
        let z = if wanted { z } else { e.xor(B32, z, flip) };
        again = e.and(B32, again, z);
    }
    let t = target(e, w);
    // a target outside the limit faults before the counter changes; offset 0 never does
    let zero = e.imm(B32, 0);
    let checked = e.select(B32, again, t, zero);
    e.check_target(checked)?;
    e.set_reg(cw, reg::CX, left);
    e.jump_if(again, t)
}
