//! Arithmetic and comparison (SDM vol. 1, 8.3.5 and 8.3.6).

use super::stack::{self, C0, C2, C3, Outcome};
use super::{Arith, Format, convert};
use cpu::Fpu;
use float::x87::{self, Relation};
use float::{Class, Env, F80, Flags};

#[inline(always)]
fn calculate(env: &mut Env, op: Arith, a: F80, b: F80) -> F80 {
    match op {
        Arith::Add => x87::add(env, a, b),
        Arith::Mul => x87::mul(env, a, b),
        Arith::Sub => x87::sub(env, a, b),
        Arith::SubReverse => x87::sub(env, b, a),
        Arith::Div => x87::div(env, a, b),
        Arith::DivReverse => x87::div(env, b, a),
    }
}

/// `ST(to) = ST(to) op ST(from)`.
#[inline(always)]
pub(super) fn registers(fpu: &mut Fpu, op: Arith, to: u8, from: u8) -> Outcome {
    if stack::is_empty(fpu, to) || stack::is_empty(fpu, from) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, to, F80::DEFAULT_NAN));
    }
    let mut env = stack::environment(fpu);
    let result = calculate(&mut env, op, stack::get(fpu, to), stack::get(fpu, from));
    finish(fpu, &env, to, result)
}

#[inline(always)]
fn finish(fpu: &mut Fpu, env: &Env, to: u8, result: F80) -> Outcome {
    stack::note(fpu, env);
    if env.blocks_register() {
        return Outcome::Blocked;
    }
    stack::put(fpu, to, result);
    Outcome::Done
}

/// `ST(0) = ST(0) op memory`.
#[inline(always)]
pub(super) fn memory(fpu: &mut Fpu, op: Arith, f: Format, bits: u128) -> Outcome {
    if stack::is_empty(fpu, 0) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, 0, F80::DEFAULT_NAN));
    }
    let (b, denormal) = convert::operand(f, bits);
    let a = stack::get(fpu, 0);
    let mut env = stack::environment(fpu);
    let result = calculate(&mut env, op, a, b);
    if denormal {
        note_denormal(&mut env, a);
    }
    finish(fpu, &env, 0, result)
}

/// A denormal operand in memory: reported unless something found earlier hides it; unmasked, it
/// hides what would be found later.
#[cold]
fn note_denormal(env: &mut Env, other: F80) {
    let earlier = env.flags & (Flags::IE | Flags::ZE) != 0;
    if earlier || matches!(other.class(), Class::Nan | Class::Unsupported) {
        return;
    }
    env.flags |= Flags::DE;
    if env.masks & Flags::DE == 0 {
        env.flags = Flags::DE;
        env.c1 = false;
    }
}

/// A relation as C0, C2 and C3.
fn codes(r: Relation) -> u16 {
    match r {
        Relation::Greater => 0,
        Relation::Less => C0,
        Relation::Equal => C3,
        Relation::Unordered => C0 | C2 | C3,
    }
}

fn relate(env: &mut Env, a: F80, b: F80, quiet: bool) -> Relation {
    if quiet { x87::compare_quiet(env, a, b) } else { x87::compare(env, a, b) }
}

/// FCOM, FUCOM with ST(i).
#[inline(always)]
pub(super) fn compare(fpu: &mut Fpu, i: u8, quiet: bool) -> Outcome {
    if stack::is_empty(fpu, 0) || stack::is_empty(fpu, i) {
        return unordered(fpu);
    }
    let mut env = stack::environment(fpu);
    let r = relate(&mut env, stack::get(fpu, 0), stack::get(fpu, i), quiet);
    compared(fpu, &env, r)
}

/// FCOM, FICOM with memory.
#[inline(always)]
pub(super) fn compare_memory(fpu: &mut Fpu, f: Format, bits: u128) -> Outcome {
    if stack::is_empty(fpu, 0) {
        return unordered(fpu);
    }
    let (b, denormal) = convert::operand(f, bits);
    let a = stack::get(fpu, 0);
    let mut env = stack::environment(fpu);
    let r = x87::compare(&mut env, a, b);
    if denormal {
        note_denormal(&mut env, a);
    }
    compared(fpu, &env, r)
}

/// FTST.
#[inline(always)]
pub(super) fn test(fpu: &mut Fpu) -> Outcome {
    if stack::is_empty(fpu, 0) {
        return unordered(fpu);
    }
    let mut env = stack::environment(fpu);
    let r = x87::test(&mut env, stack::get(fpu, 0));
    compared(fpu, &env, r)
}

#[cold]
fn unordered(fpu: &mut Fpu) -> Outcome {
    stack::set_codes(fpu, C0 | C2 | C3);
    stack::fault(fpu, false)
}

#[inline(always)]
fn compared(fpu: &mut Fpu, env: &Env, r: Relation) -> Outcome {
    stack::note(fpu, env);
    stack::set_codes(fpu, codes(r));
    if env.blocks_register() { Outcome::Blocked } else { Outcome::Done }
}

/// FCOMI, FUCOMI.
#[inline(always)]
pub(super) fn compare_flags(fpu: &mut Fpu, i: u8, quiet: bool) -> Outcome {
    /// CF, PF and ZF of a relation, in EFLAGS positions.
    fn flags(r: Relation) -> u128 {
        match r {
            Relation::Greater => 0,
            Relation::Less => 1,
            Relation::Equal => 0x40,
            Relation::Unordered => 0x45,
        }
    }
    if stack::is_empty(fpu, 0) || stack::is_empty(fpu, i) {
        return match stack::fault(fpu, false) {
            Outcome::Blocked => Outcome::Blocked,
            _ => Outcome::Value(flags(Relation::Unordered)),
        };
    }
    let mut env = stack::environment(fpu);
    let r = relate(&mut env, stack::get(fpu, 0), stack::get(fpu, i), quiet);
    stack::note(fpu, &env);
    if env.blocks_register() { Outcome::Blocked } else { Outcome::Value(flags(r)) }
}
