//! How x87 instructions meet their operands.

use super::{BLOCKED, Format, X87, X87Op};
use crate::flags::Flags;
use crate::{Access, Emit, Guard, Memory16};
use cpu::Width::{B16, B32, B64};

/// The operation of the running instruction; the last opcode's low bits name the register.
#[inline(always)]
fn operation<E: Emit>(e: &E, op: X87Op, pops: u8) -> X87 {
    X87 { op, i: e.insn().imm as u8 & 7, pops }
}

#[inline(always)]
fn zero<E: Emit>(e: &mut E) -> E::Wide {
    e.wide_imm(0)
}

/// Registers only.
#[inline(always)]
pub(super) fn registers<E: Emit>(e: &mut E, op: X87Op, pops: u8) -> Result<(), E::Stop> {
    e.guard(Guard::Fpu)?;
    e.note_fpu();
    let (x, a) = (operation(e, op, pops), zero(e));
    e.x87(x, a);
    Ok(())
}

/// Registers only, and not remembered as the last instruction.
#[inline(always)]
pub(super) fn control<E: Emit>(e: &mut E, op: X87Op, wait: bool, pops: u8) -> Result<(), E::Stop> {
    e.guard(if wait { Guard::Fpu } else { Guard::FpuNoWait })?;
    let (x, a) = (operation(e, op, pops), zero(e));
    e.x87(x, a);
    Ok(())
}

/// Finds and reads a memory operand.
#[inline(always)]
fn load<E: Emit>(e: &mut E, f: Format) -> Result<E::Wide, E::Stop> {
    let w = match f {
        Format::I16 => B16,
        Format::F32 | Format::I32 => B32,
        Format::F64 | Format::I64 => B64,
        Format::F80 | Format::Bcd => {
            let p = e.wide_place(10, Memory16::Unaligned, Access::Read)?;
            return Ok(e.wide_read(p, 10));
        }
    };
    let p = e.place(0, w, Access::Read)?;
    let low = e.read(p, w);
    let high = e.imm(B64, 0);
    Ok(e.wide_join(low, high))
}

/// One operand in memory, read.
#[inline(always)]
pub(super) fn reads<E: Emit>(e: &mut E, op: X87Op, f: Format, pops: u8) -> Result<(), E::Stop> {
    e.guard(Guard::Fpu)?;
    let a = load(e, f)?;
    e.note_fpu();
    let x = operation(e, op, pops);
    e.x87(x, a);
    Ok(())
}

/// One operand in memory, written unless an unmasked exception is in the way.
#[inline(always)]
pub(super) fn writes<E: Emit>(e: &mut E, op: X87Op, f: Format, pops: u8) -> Result<(), E::Stop> {
    e.guard(Guard::Fpu)?;
    let wide = matches!(f, Format::F80 | Format::Bcd);
    let w = match f {
        Format::I16 => B16,
        Format::F32 | Format::I32 => B32,
        _ => B64,
    };
    let p = if wide {
        e.wide_place(10, Memory16::Unaligned, Access::Write)?
    } else {
        e.place(0, w, Access::Write)?
    };
    e.note_fpu();
    let (x, a) = (operation(e, op, pops), zero(e));
    let r = e.x87(x, a);
    let good = unblocked(e, r);
    e.when(good, |e| {
        if wide {
            e.wide_write(p, 10, r);
        } else {
            let low = e.wide_half(r, false);
            let low = e.trunc(B64, w, low);
            e.write(p, w, low);
        }
    });
    Ok(())
}

/// 1 unless the operation was blocked.
#[inline(always)]
fn unblocked<E: Emit>(e: &mut E, r: E::Wide) -> E::Val {
    let high = e.wide_half(r, true);
    let top = e.imm(B64, (BLOCKED >> 64) as u64);
    e.ult(B64, high, top)
}

/// FNSTSW, FNSTCW: to memory or AX.
#[inline(always)]
pub(super) fn gives_word<E: Emit>(e: &mut E, op: X87Op, wait: bool) -> Result<(), E::Stop> {
    e.guard(if wait { Guard::Fpu } else { Guard::FpuNoWait })?;
    let p = e.place(0, B16, Access::Write)?;
    let (x, a) = (operation(e, op, 0), zero(e));
    let r = e.x87(x, a);
    let low = e.wide_half(r, false);
    let low = e.trunc(B64, B16, low);
    e.write(p, B16, low);
    Ok(())
}

/// FLDCW.
#[inline(always)]
pub(super) fn takes_word<E: Emit>(e: &mut E, op: X87Op) -> Result<(), E::Stop> {
    e.guard(Guard::Fpu)?;
    let a = load(e, Format::I16)?;
    let x = operation(e, op, 0);
    e.x87(x, a);
    Ok(())
}

/// FCOMI and its like: ZF, PF, CF by the relation, OF, SF, AF clear.
#[inline(always)]
pub(super) fn sets_flags<E: Emit>(e: &mut E, op: X87Op, pops: u8) -> Result<(), E::Stop> {
    e.guard(Guard::Fpu)?;
    e.note_fpu();
    let (x, a) = (operation(e, op, pops), zero(e));
    let r = e.x87(x, a);
    let good = unblocked(e, r);
    e.when(good, |e| {
        let image = e.wide_half(r, false);
        let image = e.trunc(B64, B32, image);
        e.set_flags(Flags::Image(image));
    });
    Ok(())
}

/// FCMOVcc.
#[inline(always)]
pub(super) fn moves_if<E: Emit>(e: &mut E, cc: u8) -> Result<(), E::Stop> {
    e.guard(Guard::Fpu)?;
    e.note_fpu();
    let c = e.condition(cc);
    let low = e.zext(B32, B64, c);
    let high = e.imm(B64, 0);
    let a = e.wide_join(low, high);
    let x = operation(e, X87Op::MoveIf, 0);
    e.x87(x, a);
    Ok(())
}
