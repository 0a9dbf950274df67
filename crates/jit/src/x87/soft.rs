//! Functions whose last digits are each processor's own (SDM vol. 1, 8.3.10): the guest has [`float`]'s, on every
//! host. All else of the instruction is left to the host's unit, in which the guest's lives meanwhile: its result is
//! loaded so that tags and status word come out as the instruction leaves them. Where that cannot be had so, nothing
//! is done, and the instruction is the interpreter's.

use cpu::Register;
use float::{Class, Env, F80, Flags, x87};
use isa::Mnemonic as M;

/// C2 in the status word: the operand of a trigonometric function was too large.
const C2: u16 = 0x0400;

/// The functions, by number for compiled code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Function {
    Sin,
    Cos,
    SinCos,
    Tan,
    Exp2Minus1,
    Log2,
    Log2Plus1,
    ArcTangent,
    Remainder,
    RemainderNearest,
}

const ALL: [(M, Function); 10] = [
    (M::Fsin, Function::Sin),
    (M::Fcos, Function::Cos),
    (M::Fsincos, Function::SinCos),
    (M::Fptan, Function::Tan),
    (M::F2xm1, Function::Exp2Minus1),
    (M::Fyl2x, Function::Log2),
    (M::Fyl2xp1, Function::Log2Plus1),
    (M::Fpatan, Function::ArcTangent),
    (M::Fprem, Function::Remainder),
    (M::Fprem1, Function::RemainderNearest),
];

impl Function {
    pub(crate) fn of(mnemonic: M) -> Option<Function> {
        let here = cfg!(target_arch = "x86_64");
        ALL.iter().find(|(m, _)| here && *m == mnemonic).map(|(_, f)| *f)
    }

    pub(crate) fn numbered(n: u64) -> Option<Function> {
        ALL.get(n as usize).map(|(_, f)| *f)
    }
}

/// What is looked at of a unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) control: u16,
    pub(crate) status: u16,
    /// Bit n set: physical register n is not empty.
    pub(crate) occupied: u8,
    pub(crate) st0: F80,
    pub(crate) st1: F80,
}

impl Seen {
    fn is_full(&self, i: u16) -> bool {
        self.occupied >> (((self.status >> 11) + i) & 7) & 1 != 0
    }
}

/// How a value comes to ST(0).
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Last {
    /// By FLD, which clears C1.
    Load(Register),
    /// As the sum of a register and a double of these bits, rounded to nearest at full precision: PE is raised, and C1 says
    /// whether that was upwards.
    Sum(Register, u64),
}

/// What is to be done to a unit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Step {
    /// ST(0) is replaced.
    Replace(Last),
    /// Both operands are popped and the result is pushed.
    Join(Last),
    /// ST(0) is replaced, and a second result pushed.
    Extend(Register, Last),
    /// The host's own FPREM does it; with `true` FPREM1.
    Remainder(bool),
}

/// What the function does to the unit; nothing where the interpreter is to do it.
pub(crate) fn step(f: Function, seen: &Seen) -> Option<Step> {
    use Function as F;
    let unary = matches!(f, F::Sin | F::Cos | F::SinCos | F::Tan | F::Exp2Minus1);
    if !seen.is_full(0) || !unary && !seen.is_full(1) {
        return None;
    }
    match f {
        F::Sin | F::Cos if seen.status & C2 != 0 => None,
        F::SinCos | F::Tan if seen.status & C2 != 0 || seen.is_full(7) => None,
        F::Remainder | F::RemainderNearest => {
            is_whole_remainder(seen.st0, seen.st1).then_some(Step::Remainder(f == F::RemainderNearest))
        }
        _ => results(f, seen),
    }
}

fn results(f: Function, seen: &Seen) -> Option<Step> {
    use Function as F;
    let mut env = Env::from_x87(seen.control, seen.status);
    let (e, a, b) = (&mut env, seen.st0, seen.st1);
    let (first, second) = match f {
        F::Sin => (x87::sin(e, a)?, None),
        F::Cos => (x87::cos(e, a)?, None),
        F::SinCos => x87::sin_cos(e, a).map(|(s, c)| (s, Some(c)))?,
        F::Tan => x87::tan(e, a).map(|(t, one)| (t, Some(one)))?,
        F::Exp2Minus1 => (x87::two_to_x_minus_1(e, a), None),
        F::Log2 => (x87::y_log2_x(e, a, b), None),
        F::Log2Plus1 => (x87::y_log2_x_plus_1(e, a, b), None),
        F::ArcTangent => (x87::atan(e, a, b), None),
        F::Remainder | F::RemainderNearest => return None,
    };
    let last = last(&env, seen.status, second.unwrap_or(first))?;
    Some(match (f, second) {
        (_, Some(_)) => Step::Extend(register(first), last),
        (F::Log2 | F::Log2Plus1 | F::ArcTangent, None) => Step::Join(last),
        (_, None) => Step::Replace(last),
    })
}

fn register(v: F80) -> Register {
    Register { significand: v.sig, exponent: v.se }
}

/// How to load `v` so that the exceptions of the operation and its C1 get into the status word; nothing where more
/// than PE is missing there.
fn last(env: &Env, status: u16, v: F80) -> Option<Last> {
    let missing = env.flags & !(status as u8);
    if missing & !Flags::PE != 0 {
        return None;
    }
    if missing == 0 && !env.c1 {
        return Some(Last::Load(register(v)));
    }
    // the sum sets PE
    (env.flags & Flags::PE != 0).then(|| sum(v, env.c1)).flatten()
}

/// Two terms whose sum is rounded to `v`: up from three quarters of a unit, or down from a quarter. Nothing where
/// a double does not reach so low or so high.
fn sum(v: F80, up: bool) -> Option<Last> {
    const BIAS: i32 = 16383;
    const REACH: i32 = 900;
    let exp = i32::from(v.se & 0x7fff) - BIAS;
    if exp.abs() > REACH || v.class() != Class::Normal {
        return None;
    }
    let below = match (up, v.sig << 1) {
        (false, _) => v,
        (true, 0) => F80 { sig: u64::MAX, se: v.se - 1 },
        (true, _) => F80 { sig: v.sig - 1, se: v.se },
    };
    // the unit of a significand is 2^-63 of its leading bit
    let unit = i32::from(below.se & 0x7fff) - BIAS - 63;
    let (power, half) = if up { (unit - 1, 1 << 51) } else { (unit - 2, 0) };
    let part = u64::from(v.sign()) << 63 | ((power + 1023) as u64) << 52 | half;
    Some(Last::Sum(register(below), part))
}

/// The remainder is found at once, whatever the processor: the exponents of two normal numbers differ by less than
/// 64 (SDM vol. 2, FPREM), and it is nowhere near being denormal.
fn is_whole_remainder(a: F80, b: F80) -> bool {
    let (x, y) = (i32::from(a.se & 0x7fff), i32::from(b.se & 0x7fff));
    a.class() == Class::Normal && b.class() == Class::Normal && x.min(y) > 128 && x - y < 63
}
