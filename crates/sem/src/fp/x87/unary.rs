//! Operations on ST(0) alone or with ST(1) (SDM vol. 1, 8.3.5, 8.3.7, 8.3.8).

use super::stack::{self, C0, C1, C2, C3, Outcome};
use cpu::Fpu;
use float::x87::{self, Remainder};
use float::{Class, Env, F80};

/// `ST(0) = f(ST(0))`.
#[inline(always)]
pub(super) fn simple(fpu: &mut Fpu, f: impl FnOnce(&mut Env, F80) -> F80) -> Outcome {
    if stack::is_empty(fpu, 0) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, 0, F80::DEFAULT_NAN));
    }
    let mut env = stack::environment(fpu);
    let result = f(&mut env, stack::get(fpu, 0));
    stack::note(fpu, &env);
    if env.blocks_register() {
        return Outcome::Blocked;
    }
    stack::put(fpu, 0, result);
    Outcome::Done
}

/// FSIN, FCOS: C2 says that the operand was too large.
pub(super) fn partial(fpu: &mut Fpu, f: impl FnOnce(&mut Env, F80) -> Option<F80>) -> Outcome {
    fpu.status &= !C2;
    let mut too_large = false;
    let outcome = simple(fpu, |env, x| {
        f(env, x).unwrap_or_else(|| {
            too_large = true;
            x
        })
    });
    if too_large {
        fpu.status |= C2;
    }
    outcome
}

/// FSINCOS, FPTAN: as [`pair`]; C2 says that the operand was too large.
pub(super) fn pushing(fpu: &mut Fpu, f: impl FnOnce(&mut Env, F80) -> Option<(F80, F80)>) -> Outcome {
    fpu.status &= !C2;
    pair(fpu, f)
}

/// FSINCOS, FPTAN, FXTRACT: the second result is pushed.
pub(super) fn pair(fpu: &mut Fpu, f: impl FnOnce(&mut Env, F80) -> Option<(F80, F80)>) -> Outcome {
    let (under, over) = (stack::is_empty(fpu, 0), !stack::is_empty(fpu, 7));
    if under || over {
        return stack::fault_with(fpu, !under, |fpu| {
            stack::put(fpu, 0, F80::DEFAULT_NAN);
            stack::push(fpu, F80::DEFAULT_NAN);
        });
    }
    let mut env = stack::environment(fpu);
    let result = f(&mut env, stack::get(fpu, 0));
    stack::note(fpu, &env);
    if env.blocks_register() {
        return Outcome::Blocked;
    }
    match result {
        Some((first, second)) => {
            stack::put(fpu, 0, first);
            stack::push(fpu, second);
        }
        None => fpu.status |= C2,
    }
    Outcome::Done
}

/// `ST(1) = f(ST(0), ST(1))`; a pop follows.
pub(super) fn into_st1(fpu: &mut Fpu, f: impl FnOnce(&mut Env, F80, F80) -> F80) -> Outcome {
    if stack::is_empty(fpu, 0) || stack::is_empty(fpu, 1) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, 1, F80::DEFAULT_NAN));
    }
    let mut env = stack::environment(fpu);
    let result = f(&mut env, stack::get(fpu, 0), stack::get(fpu, 1));
    stack::note(fpu, &env);
    if env.blocks_register() {
        return Outcome::Blocked;
    }
    stack::put(fpu, 1, result);
    Outcome::Done
}

/// FSCALE.
pub(super) fn scale(fpu: &mut Fpu) -> Outcome {
    if stack::is_empty(fpu, 1) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, 0, F80::DEFAULT_NAN));
    }
    let b = stack::get(fpu, 1);
    simple(fpu, |env, a| x87::scale(env, a, b))
}

/// FPREM, FPREM1: C0, C3 and C1 are the quotient's low bits, C2 says that there is more to do. C0
/// and C3 stay where there is no quotient.
pub(super) fn remainder(fpu: &mut Fpu, f: impl FnOnce(&mut Env, F80, F80) -> Remainder) -> Outcome {
    fpu.status &= !C2;
    if stack::is_empty(fpu, 0) || stack::is_empty(fpu, 1) {
        return stack::fault_with(fpu, false, |fpu| stack::put(fpu, 0, F80::DEFAULT_NAN));
    }
    let b = stack::get(fpu, 1);
    let mut codes = None;
    let outcome = simple(fpu, |env, a| {
        let r = f(env, a, b);
        let bit = |n: u8, code: u16| if r.quotient >> n & 1 != 0 { code } else { 0 };
        let all = bit(2, C0) | bit(1, C3) | bit(0, C1) | if r.partial { C2 } else { 0 };
        codes = (r.value.class() != Class::Nan).then_some(all);
        r.value
    });
    if let (Outcome::Done, Some(codes)) = (&outcome, codes) {
        stack::set_codes(fpu, 0);
        fpu.status |= codes;
    }
    outcome
}
