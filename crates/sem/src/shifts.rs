//! Shifts and rotates (SDM vol. 2: SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD/SHRD).

use crate::flags::{Flag, Flags};
use crate::{Access, Emit};
use cpu::Width::{B8, B32, B64};
use cpu::{CpuModel, Width};

/// The operations of group 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Shift {
    Shl,
    Shr,
    Sar,
    Rol,
    Ror,
    Rcl,
    Rcr,
}

/// The count, masked to five bits since the 80186.
#[inline(always)]
fn count<E: Emit>(e: &mut E, n: usize) -> Result<E::Val, E::Stop> {
    let p = e.place(n, B8, Access::Read)?;
    let c = e.read(p, B8);
    let c = e.zext(B8, B64, c);
    let bits = if e.model() == CpuModel::I8086 { 0xff } else { 0x1f };
    let mask = e.imm(B64, bits);
    Ok(e.and(B64, c, mask))
}

/// SHL, SHR, SAR. A count of 0 changes nothing, not even flags.
#[inline(always)]
pub fn shift<E: Emit>(e: &mut E, op: Shift, w: Width) -> Result<(), E::Stop> {
    if op == Shift::Shl && e.model() == CpuModel::I8086 && e.insn().code.mnemonic() == isa::Mnemonic::Sal {
        return set_minus_one(e, w);
    }
    let dest = e.place(0, w, Access::Modify)?;
    let n = count(e, 1)?;
    let a = e.read(dest, w);
    if let Some(k) = e.known(n)
        && (1..w.bits()).contains(&(k as u32))
        && e.model() > CpuModel::I286
    {
        let r = shifted_by(e, op, w, a, k);
        e.write(dest, w, r);
        e.set_flags(Flags::Shift { op, w, a, n: k as u32, r });
        return Ok(());
    }
    let zero = e.imm(B64, 0);
    let none = e.eq(B64, n, zero);
    let one = e.imm(B32, 1);
    let some = e.xor(B32, none, one);
    let (r, cf) = shifted(e, op, w, a, n);
    let r = e.select(w, none, a, r);
    e.write(dest, w, r);
    let of = shift_overflow(e, op, w, a, r, cf);
    let af = shift_auxiliary(e, op, w, a, n);
    e.set_flags_if(some, Flags::Parts { w, r, cf, of, af });
    Ok(())
}

/// Result for a known count from 1 to below the width.
#[inline(always)]
fn shifted_by<E: Emit>(e: &mut E, op: Shift, w: Width, a: E::Val, k: u64) -> E::Val {
    let n = e.imm(w, k);
    match op {
        Shift::Shl => e.shl(w, a, n),
        Shift::Sar => e.sar(w, a, n),
        _ => e.shr(w, a, n),
    }
}

/// CF, OF and AF of [`Flags::Shift`].
#[inline(always)]
pub(crate) fn shift_flags<E: Emit>(e: &mut E, f: Flags<E::Val>) -> (E::Val, E::Val, E::Val) {
    let Flags::Shift { op, w, a, n, r } = f else {
        let zero = e.imm(B32, 0);
        return (zero, zero, zero);
    };
    let out = if op == Shift::Shl { w.bits() - n } else { n - 1 };
    let wide = e.zext(w, B64, a);
    let cf = bit(e, wide, u64::from(out));
    let count = e.imm(B64, u64::from(n));
    (cf, shift_overflow(e, op, w, a, r, cf), shift_auxiliary(e, op, w, a, count))
}

/// Result and last bit shifted out, for counts from 1 to 255.
#[inline(always)]
fn shifted<E: Emit>(e: &mut E, op: Shift, w: Width, a: E::Val, n: E::Val) -> (E::Val, E::Val) {
    let sixty_three = e.imm(B64, 63);
    let far = e.ult(B64, sixty_three, n);
    let n = e.select(B64, far, sixty_three, n);
    let one = e.imm(B64, 1);
    let before = e.sub(B64, n, one);
    let before = e.and(B64, before, sixty_three);
    match op {
        Shift::Shl => {
            let wide = e.zext(w, B64, a);
            let almost = e.shl(B64, wide, before);
            let r = e.shl(B64, almost, one);
            let cf = bit(e, almost, u64::from(w.bits() - 1));
            (e.trunc(B64, w, r), cf)
        }
        Shift::Sar => {
            let wide = e.sext(w, B64, a);
            let almost = e.sar(B64, wide, before);
            let r = e.sar(B64, almost, one);
            let cf = bit(e, almost, 0);
            (e.trunc(B64, w, r), cf)
        }
        _ => {
            let wide = e.zext(w, B64, a);
            let almost = e.shr(B64, wide, before);
            let r = e.shr(B64, almost, one);
            let cf = bit(e, almost, 0);
            (e.trunc(B64, w, r), cf)
        }
    }
}

#[inline(always)]
fn bit<E: Emit>(e: &mut E, a: E::Val, n: u64) -> E::Val {
    let n = e.imm(B64, n);
    let shifted = e.shr(B64, a, n);
    let one = e.imm(B64, 1);
    let b = e.and(B64, shifted, one);
    e.trunc(B64, B32, b)
}

#[inline(always)]
fn top<E: Emit>(e: &mut E, w: Width, a: E::Val) -> E::Val {
    let a = e.zext(w, B64, a);
    bit(e, a, u64::from(w.bits() - 1))
}

/// OF is defined for counts of 1; chips compute the same for all counts.
#[inline(always)]
fn shift_overflow<E: Emit>(e: &mut E, op: Shift, w: Width, a: E::Val, r: E::Val, cf: E::Val) -> E::Val {
    match op {
        Shift::Shl => {
            let t = top(e, w, r);
            e.xor(B32, t, cf)
        }
        // for SHR of more than one the chips show the bit that came just below the top
        Shift::Shr => {
            let t = top(e, w, r);
            let n = e.imm(w, u64::from(w.bits() - 2));
            let below = e.shr(w, r, n);
            let one = e.imm(w, 1);
            let below = e.and(w, below, one);
            let below = if w == B64 { e.trunc(B64, B32, below) } else { below };
            let _ = a;
            e.xor(B32, t, below)
        }
        _ => e.imm(B32, 0),
    }
}

/// AF is undefined. The 8086 and the 80286 shift left by adding the operand to itself, so AF is
/// the last addition's carry out of bit 3; to the right the 8086 clears AF and later chips set it.
#[inline(always)]
fn shift_auxiliary<E: Emit>(e: &mut E, op: Shift, w: Width, a: E::Val, n: E::Val) -> E::Val {
    let model = e.model();
    if op != Shift::Shl || model > CpuModel::I286 {
        return e.imm(B32, u64::from(model > CpuModel::I8086));
    }
    let wide = e.zext(w, B64, a);
    let one = e.imm(B64, 1);
    let before = e.sub(B64, n, one);
    let sixty_three = e.imm(B64, 63);
    let before = e.and(B64, before, sixty_three);
    let last = e.shl(B64, wide, before);
    let near = e.ult(B64, before, sixty_three);
    let carry = bit(e, last, 3);
    e.and(B32, carry, near)
}

/// SETMO and SETMOC, the 8086's own use of the opcodes that became a second SHL: all ones, with
/// the flags of a bitwise operation; SETMOC does nothing with a count of 0.
#[inline(always)]
pub fn set_minus_one<E: Emit>(e: &mut E, w: Width) -> Result<(), E::Stop> {
    let dest = e.place(0, w, Access::Modify)?;
    let n = count(e, 1)?;
    let a = e.read(dest, w);
    let zero = e.imm(B64, 0);
    let some = e.ult(B64, zero, n);
    let ones = e.imm(w, w.mask());
    let r = e.select(w, some, ones, a);
    e.write(dest, w, r);
    e.set_flags_if(some, Flags::Logic { w, r });
    Ok(())
}

/// ROL and ROR: CF and OF only, and only where the masked count is not 0.
#[inline(always)]
pub fn rotate<E: Emit>(e: &mut E, op: Shift, w: Width) -> Result<(), E::Stop> {
    let dest = e.place(0, w, Access::Modify)?;
    let n = count(e, 1)?;
    let a = e.read(dest, w);
    let bits = u64::from(w.bits());
    let mask = e.imm(B64, bits - 1);
    let turn = e.and(B64, n, mask);
    let left = if op == Shift::Rol {
        turn
    } else {
        let full = e.imm(B64, bits);
        let back = e.sub(B64, full, turn);
        e.and(B64, back, mask)
    };
    let left = e.trunc(B64, w, left);
    let r = e.rotl(w, a, left);
    e.write(dest, w, r);
    let cf = if op == Shift::Rol { lowest(e, w, r) } else { top(e, w, r) };
    let of = if op == Shift::Rol {
        let t = top(e, w, r);
        e.xor(B32, t, cf)
    } else {
        next_to_top(e, w, r, cf)
    };
    rotate_flags(e, n, cf, of);
    Ok(())
}

#[inline(always)]
fn lowest<E: Emit>(e: &mut E, w: Width, a: E::Val) -> E::Val {
    let a = e.zext(w, B64, a);
    bit(e, a, 0)
}

#[inline(always)]
fn next_to_top<E: Emit>(e: &mut E, w: Width, r: E::Val, cf: E::Val) -> E::Val {
    let wide = e.zext(w, B64, r);
    let below = bit(e, wide, u64::from(w.bits() - 2));
    e.xor(B32, below, cf)
}

/// Sets CF and OF, keeping the others, unless the count is 0.
#[inline(always)]
fn rotate_flags<E: Emit>(e: &mut E, n: E::Val, cf: E::Val, of: E::Val) {
    let zero = e.imm(B64, 0);
    let some = e.ult(B64, zero, n);
    e.set_flags_if(some, Flags::carry_and_overflow(cf, of));
}

/// RCL and RCR: through CF, so the count goes modulo 9 or 17 (SDM); 32-bit counts stop at 31.
#[inline(always)]
pub fn rotate_carry<E: Emit>(e: &mut E, op: Shift, w: Width) -> Result<(), E::Stop> {
    let dest = e.place(0, w, Access::Modify)?;
    let n = count(e, 1)?;
    let a = e.read(dest, w);
    let old = e.flag(Flag::CF);
    let size = e.imm(B64, u64::from(w.bits() + 1));
    // a count of at most 31 is below 33
    let turn = if w == B32 { n } else { e.urem(B64, n, size) };
    // CF above the operand makes a word of bits + 1
    let wide = e.zext(w, B64, a);
    let c = e.zext(B32, B64, old);
    let up = e.imm(B64, u64::from(w.bits() & 63));
    let c = e.shl(B64, c, up);
    let word = e.or(B64, wide, c);
    let back = e.sub(B64, size, turn);
    let sixty_three = e.imm(B64, 63);
    let back = e.and(B64, back, sixty_three);
    let (left, right) = if op == Shift::Rcl { (turn, back) } else { (back, turn) };
    let (high, low) = (e.shl(B64, word, left), e.shr(B64, word, right));
    let turned = e.or(B64, high, low);
    let r = e.trunc(B64, w, turned);
    e.write(dest, w, r);
    let cf = bit(e, turned, u64::from(w.bits() & 63));
    let of = if op == Shift::Rcl {
        let t = top(e, w, r);
        e.xor(B32, t, cf)
    } else {
        let t = top(e, w, r);
        next_to_top(e, w, r, t)
    };
    rotate_flags(e, n, cf, of);
    Ok(())
}

/// SHLD and SHRD. A 16-bit operand with a count above 16 is undefined: current AMD chips shift the
/// source in again, and take CF (and OF of SHLD) from the destination shifted alone, where nothing
/// of it is left.
#[inline(always)]
pub fn double<E: Emit>(e: &mut E, w: Width, right: bool) -> Result<(), E::Stop> {
    let dest = e.place(0, w, Access::Modify)?;
    let source = e.place(1, w, Access::Read)?;
    let n = count(e, 2)?;
    let (a, b) = (e.read(dest, w), e.read(source, w));
    let zero = e.imm(B64, 0);
    let none = e.eq(B64, n, zero);
    let one = e.imm(B32, 1);
    let some = e.xor(B32, none, one);
    let (r, cf) = if right { shrd(e, w, a, b, n) } else { shld(e, w, a, b, n) };
    let r = e.select(w, none, a, r);
    e.write(dest, w, r);
    let t = top(e, w, r);
    let of = if right { next_to_top(e, w, r, t) } else { e.xor(B32, t, cf) };
    let bits = e.imm(B64, u64::from(w.bits()));
    let beyond = e.ult(B64, bits, n);
    let within = e.ult(B64, n, bits);
    let zero = e.imm(B32, 0);
    let cf = e.select(B32, beyond, zero, cf);
    let of = if right { of } else { e.select(B32, within, of, cf) };
    let af = e.imm(B32, 1);
    e.set_flags_if(some, Flags::Parts { w, r, cf, of, af });
    Ok(())
}

/// `words` in order from the top: the concatenation that the shift moves through.
#[inline(always)]
fn concat<E: Emit>(e: &mut E, w: Width, high: E::Val, mid: E::Val) -> E::Val {
    let (h, m) = (e.zext(w, B64, high), e.zext(w, B64, mid));
    let n = e.imm(B64, u64::from(w.bits() & 63));
    let h = e.shl(B64, h, n);
    e.or(B64, h, m)
}

#[inline(always)]
fn shld<E: Emit>(e: &mut E, w: Width, a: E::Val, b: E::Val, n: E::Val) -> (E::Val, E::Val) {
    let bits = u64::from(w.bits());
    let all = concat(e, w, a, b);
    let all = if w == B32 {
        all
    } else {
        let sixteen = e.imm(B64, bits);
        let all = e.shl(B64, all, sixteen);
        let again = e.zext(w, B64, b);
        e.or(B64, all, again)
    };
    let width = e.imm(B64, if w == B32 { 64 } else { 3 * bits });
    let down = e.sub(B64, width, n);
    let field = e.imm(B64, bits);
    let low = e.sub(B64, down, field);
    let sixty_three = e.imm(B64, 63);
    let low = e.and(B64, low, sixty_three);
    let down = e.and(B64, down, sixty_three);
    let r = e.shr(B64, all, low);
    let c = e.shr(B64, all, down);
    let cf = bit(e, c, 0);
    (e.trunc(B64, w, r), cf)
}

#[inline(always)]
fn shrd<E: Emit>(e: &mut E, w: Width, a: E::Val, b: E::Val, n: E::Val) -> (E::Val, E::Val) {
    let all = concat(e, w, b, a);
    let all = if w == B32 {
        all
    } else {
        let again = e.zext(w, B64, b);
        let up = e.imm(B64, 2 * u64::from(w.bits()));
        let again = e.shl(B64, again, up);
        e.or(B64, all, again)
    };
    let one = e.imm(B64, 1);
    let before = e.sub(B64, n, one);
    let sixty_three = e.imm(B64, 63);
    let before = e.and(B64, before, sixty_three);
    let c = e.shr(B64, all, before);
    let cf = bit(e, c, 0);
    let r = e.shr(B64, all, n);
    (e.trunc(B64, w, r), cf)
}
