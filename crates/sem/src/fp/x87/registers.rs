//! Moves between registers, constants, and the control instructions (SDM vol. 1, 8.3.3, 8.3.4, 8.3.11).

use super::Constant;
use super::stack::{self, C0, C1, C2, C3, Outcome};
use cpu::Fpu;
use float::{Class, F80, Round, constant};

/// FLD ST(i). An empty register is found before a full stack.
#[inline(always)]
pub(super) fn load(fpu: &mut Fpu, i: u8) -> Outcome {
    let (under, over) = (stack::is_empty(fpu, i), !stack::is_empty(fpu, 7));
    if under || over {
        return stack::fault_with(fpu, !under, |fpu| stack::push(fpu, F80::DEFAULT_NAN));
    }
    let v = stack::get(fpu, i);
    stack::clear_c1(fpu);
    stack::push(fpu, v);
    Outcome::Done
}

/// FLD1, FLDPI and the others.
#[inline(always)]
pub(super) fn constant(fpu: &mut Fpu, c: Constant) -> Outcome {
    if !stack::is_empty(fpu, 7) {
        return stack::fault_with(fpu, true, |fpu| stack::push(fpu, F80::DEFAULT_NAN));
    }
    let round = Round::from_rc(u32::from(fpu.control >> 10));
    let v = match c {
        Constant::One => F80::ONE,
        Constant::Zero => F80::ZERO,
        Constant::Log2Of10 => constant::log2_10(round),
        Constant::Log2OfE => constant::log2_e(round),
        Constant::Pi => constant::pi(round),
        Constant::Log10Of2 => constant::log10_2(round),
        Constant::LnOf2 => constant::ln_2(round),
    };
    stack::clear_c1(fpu);
    stack::push(fpu, v);
    Outcome::Done
}

/// FST ST(i).
#[inline(always)]
pub(super) fn store(fpu: &mut Fpu, i: u8) -> Outcome {
    if stack::is_empty(fpu, 0) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, i, F80::DEFAULT_NAN));
    }
    stack::clear_c1(fpu);
    let v = stack::get(fpu, 0);
    stack::put(fpu, i, v);
    Outcome::Done
}

/// FSTPNCE ST(i): an empty ST(0) is not moved.
#[inline(always)]
pub(super) fn store_unchecked(fpu: &mut Fpu, i: u8) -> Outcome {
    stack::clear_c1(fpu);
    if !stack::is_empty(fpu, 0) {
        let v = stack::get(fpu, 0);
        stack::put(fpu, i, v);
    }
    Outcome::Done
}

/// FXCH.
#[inline(always)]
pub(super) fn exchange(fpu: &mut Fpu, i: u8) -> Outcome {
    if stack::is_empty(fpu, 0) || stack::is_empty(fpu, i) {
        return stack::fault_with(fpu, false, |fpu| {
            for r in [0, i] {
                if stack::is_empty(fpu, r) {
                    stack::put(fpu, r, F80::DEFAULT_NAN);
                }
            }
            swap(fpu, i);
        });
    }
    stack::clear_c1(fpu);
    swap(fpu, i);
    Outcome::Done
}

#[inline(always)]
fn swap(fpu: &mut Fpu, i: u8) {
    let (a, b) = (stack::physical(fpu, 0), stack::physical(fpu, i));
    fpu.registers.swap(a, b);
}

/// FCMOVcc: an empty register counts even if nothing is to be moved. C1 stays otherwise.
#[inline(always)]
pub(super) fn move_if(fpu: &mut Fpu, i: u8, condition: bool) -> Outcome {
    if stack::is_empty(fpu, 0) || stack::is_empty(fpu, i) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, 0, F80::DEFAULT_NAN));
    }
    if condition {
        let v = stack::get(fpu, i);
        stack::put(fpu, 0, v);
    }
    Outcome::Done
}

/// FCHS, FABS.
#[inline(always)]
pub(super) fn sign(fpu: &mut Fpu, change: bool) -> Outcome {
    if stack::is_empty(fpu, 0) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, 0, F80::DEFAULT_NAN));
    }
    stack::clear_c1(fpu);
    let v = stack::get(fpu, 0);
    stack::put(fpu, 0, if change { v.negate() } else { v.abs() });
    Outcome::Done
}

/// FXAM (SDM vol. 1, table 8-1).
#[inline(always)]
pub(super) fn examine(fpu: &mut Fpu) -> Outcome {
    let v = stack::get(fpu, 0);
    let class = match v.class() {
        _ if stack::is_empty(fpu, 0) => C3 | C0,
        Class::Unsupported => 0,
        Class::Nan => C0,
        Class::Normal => C2,
        Class::Infinity => C2 | C0,
        Class::Zero => C3,
        Class::Denormal => C3 | C2,
    };
    stack::clear_c1(fpu);
    stack::set_codes(fpu, class | if v.sign() { C1 } else { 0 });
    Outcome::Done
}

/// FINCSTP, FDECSTP.
#[inline(always)]
pub(super) fn turn(fpu: &mut Fpu, n: u16) -> Outcome {
    stack::clear_c1(fpu);
    stack::turn(fpu, n);
    Outcome::Done
}

/// FFREE.
#[inline(always)]
pub(super) fn free(fpu: &mut Fpu, i: u8) -> Outcome {
    fpu.occupied &= !(1 << stack::physical(fpu, i));
    stack::clear_c1(fpu);
    Outcome::Done
}

/// FNINIT: registers keep their bits but are empty.
pub(super) fn init(fpu: &mut Fpu) -> Outcome {
    *fpu = Fpu { registers: fpu.registers, ..Fpu::default() };
    Outcome::Done
}

/// FNCLEX.
pub(super) fn clear(fpu: &mut Fpu) -> Outcome {
    fpu.status &= 0x7f00;
    Outcome::Done
}

/// FLDCW: bit 6 reads as one, the other reserved bits as zero.
pub(super) fn set_control(fpu: &mut Fpu, value: u16) -> Outcome {
    fpu.control = value & 0x1f3f | 0x40;
    stack::summarize(fpu);
    Outcome::Done
}

/// MMX instructions, EMMS.
#[inline(always)]
pub(super) fn set_mmx_mode(fpu: &mut Fpu, occupied: u8) -> Outcome {
    fpu.status &= !0x3800;
    fpu.occupied = occupied;
    Outcome::Done
}
