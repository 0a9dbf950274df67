//! Floating-point operations under MXCSR (SDM vol. 1, 10.4, 11.4, 11.5).

use super::lanes::*;
use core::array::from_fn;
use float::sse::{self, Predicate};
use float::x87::Relation;
use float::{Env, Format};

/// Which lanes take part, and their format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lanes {
    /// Four single numbers.
    Ps,
    /// Two double numbers.
    Pd,
    /// The lowest single number; the rest of the first operand stays.
    Ss,
    /// The lower double number; the rest stays.
    Sd,
}

/// Arithmetic on two numbers, or on the second of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Element {
    /// ADD.
    Add,
    /// SUB.
    Sub,
    /// MUL.
    Mul,
    /// DIV.
    Div,
    /// MIN.
    Min,
    /// MAX.
    Max,
    /// SQRT.
    Sqrt,
}

/// An operation that MXCSR controls and that adds to its flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SseOp {
    /// ADDPS and its like.
    Element(Element, Lanes),
    /// CMPPS and its like; the immediate is the predicate.
    Compare(Lanes),
    /// COMISS, COMISD: gives ZF, PF, CF in EFLAGS positions.
    Order(Lanes),
    /// UCOMISS, UCOMISD.
    OrderQuiet(Lanes),
    /// HADDPS, HADDPD.
    PairAdd(Lanes),
    /// HSUBPS, HSUBPD.
    PairSub(Lanes),
    /// ADDSUBPS, ADDSUBPD.
    AddSub(Lanes),
    /// CVTDQ2PS.
    IntToSingle,
    /// CVTPI2PS: two numbers, the high half stays.
    PairToSingle,
    /// CVTDQ2PD, CVTPI2PD.
    IntToDouble,
    /// CVTPS2DQ, CVTPS2PI; truncating: CVTTPS2DQ, CVTTPS2PI.
    SingleToInt {
        /// Towards zero, whatever MXCSR says.
        truncate: bool,
        /// Only the low two numbers.
        half: bool,
    },
    /// CVTPD2DQ, CVTPD2PI and truncating forms; the high half becomes zero.
    DoubleToInt {
        /// Towards zero.
        truncate: bool,
    },
    /// CVTPS2PD.
    SingleToDouble,
    /// CVTPD2PS.
    DoubleToSingle,
    /// CVTSS2SD.
    ScalarWiden,
    /// CVTSD2SS.
    ScalarNarrow,
    /// CVTSI2SS, CVTSI2SD.
    ScalarFromInt(Lanes),
    /// CVTSS2SI, CVTSD2SI and truncating forms: gives 32 bits.
    ScalarToInt {
        /// Single or double.
        lanes: Lanes,
        /// Towards zero.
        truncate: bool,
    },
}

impl SseOp {
    /// The result, or nothing where an exception is not masked; MXCSR's flags tell which.
    #[inline(always)]
    pub fn eval(self, mxcsr: &mut u32, imm: u8, a: u128, b: u128) -> Option<u128> {
        let mut env = Env::from_mxcsr(*mxcsr);
        let result = self.perform(&mut env, imm, a, b);
        let (flags, trap) = env.sse_outcome();
        *mxcsr |= u32::from(flags);
        (!trap).then_some(result)
    }

    #[inline(always)]
    fn perform(self, env: &mut Env, imm: u8, a: u128, b: u128) -> u128 {
        match self {
            SseOp::Element(op, lanes) => element(env, op, lanes, a, b),
            SseOp::Compare(lanes) => compare(env, Predicate::from_imm(imm), lanes, a, b),
            SseOp::Order(lanes) => flags(order(env, lanes, a, b, false)),
            SseOp::OrderQuiet(lanes) => flags(order(env, lanes, a, b, true)),
            SseOp::PairAdd(lanes) => pairs(env, Element::Add, lanes, a, b),
            SseOp::PairSub(lanes) => pairs(env, Element::Sub, lanes, a, b),
            SseOp::AddSub(lanes) => add_sub(env, lanes, a, b),
            op => op.convert(env, a, b),
        }
    }

    #[inline(always)]
    fn convert(self, env: &mut Env, a: u128, b: u128) -> u128 {
        let (singles, numbers) = (doubles(b), quads(b));
        match self {
            SseOp::IntToSingle => from_doubles(singles.map(|x| sse::from_i32(env, x as i32))),
            SseOp::PairToSingle => {
                let low: [u32; 2] = from_fn(|i| sse::from_i32(env, singles[i] as i32));
                from_doubles([low[0], low[1], doubles(a)[2], doubles(a)[3]])
            }
            SseOp::IntToDouble => from_quads(from_fn(|i| sse::from_i32(env, singles[i] as i32))),
            SseOp::SingleToInt { truncate, half } => {
                let used = if half { 2 } else { 4 };
                from_doubles(from_fn(|i| {
                    if i < used { sse::to_i32(env, singles[i], truncate) as u32 } else { 0 }
                }))
            }
            SseOp::DoubleToInt { truncate } => {
                let low = numbers.map(|x| sse::to_i32(env, x, truncate) as u32);
                from_doubles([low[0], low[1], 0, 0])
            }
            SseOp::SingleToDouble => from_quads(from_fn(|i| sse::widen(env, singles[i]))),
            SseOp::DoubleToSingle => {
                let low = numbers.map(|x| sse::narrow(env, x));
                from_doubles([low[0], low[1], 0, 0])
            }
            SseOp::ScalarWiden => low_double(a, sse::widen(env, b as u32)),
            SseOp::ScalarNarrow => low_single(a, sse::narrow(env, b as u64)),
            SseOp::ScalarFromInt(Lanes::Ss) => low_single(a, sse::from_i32(env, b as i32)),
            SseOp::ScalarFromInt(_) => low_double(a, sse::from_i32(env, b as i32)),
            SseOp::ScalarToInt { lanes: Lanes::Ss, truncate } => {
                u128::from(sse::to_i32(env, b as u32, truncate) as u32)
            }
            SseOp::ScalarToInt { truncate, .. } => u128::from(sse::to_i32(env, b as u64, truncate) as u32),
            _ => a,
        }
    }
}

#[inline(always)]
fn low_single(a: u128, x: u32) -> u128 {
    a & !0xffff_ffff | u128::from(x)
}

#[inline(always)]
fn low_double(a: u128, x: u64) -> u128 {
    a >> 64 << 64 | u128::from(x)
}

#[inline(always)]
fn one<F: Format>(env: &mut Env, op: Element, a: F, b: F) -> F {
    match op {
        Element::Add => sse::add(env, a, b),
        Element::Sub => sse::sub(env, a, b),
        Element::Mul => sse::mul(env, a, b),
        Element::Div => sse::div(env, a, b),
        Element::Min => sse::min(env, a, b),
        Element::Max => sse::max(env, a, b),
        Element::Sqrt => sse::sqrt(env, b),
    }
}

#[inline(always)]
fn element(env: &mut Env, op: Element, lanes: Lanes, a: u128, b: u128) -> u128 {
    match lanes {
        Lanes::Ss => low_single(a, one(env, op, a as u32, b as u32)),
        Lanes::Sd => low_double(a, one(env, op, a as u64, b as u64)),
        Lanes::Ps => {
            let (x, y) = (doubles(a), doubles(b));
            from_doubles(from_fn(|i| one(env, op, x[i], y[i])))
        }
        Lanes::Pd => {
            let (x, y) = (quads(a), quads(b));
            from_quads(from_fn(|i| one(env, op, x[i], y[i])))
        }
    }
}

#[inline(always)]
fn compare(env: &mut Env, p: Predicate, lanes: Lanes, a: u128, b: u128) -> u128 {
    let mut single = |x: u32, y: u32| if sse::compare(env, p, x, y) { u32::MAX } else { 0 };
    match lanes {
        Lanes::Ss => low_single(a, single(a as u32, b as u32)),
        Lanes::Ps => {
            let (x, y) = (doubles(a), doubles(b));
            from_doubles(from_fn(|i| single(x[i], y[i])))
        }
        _ => {
            let mut double = |x: u64, y: u64| if sse::compare(env, p, x, y) { u64::MAX } else { 0 };
            if lanes == Lanes::Sd {
                return low_double(a, double(a as u64, b as u64));
            }
            let (x, y) = (quads(a), quads(b));
            from_quads(from_fn(|i| double(x[i], y[i])))
        }
    }
}

#[inline(always)]
fn order(env: &mut Env, lanes: Lanes, a: u128, b: u128, quiet: bool) -> Relation {
    match (lanes, quiet) {
        (Lanes::Ss, false) => sse::order(env, a as u32, b as u32),
        (Lanes::Ss, true) => sse::order_quiet(env, a as u32, b as u32),
        (_, false) => sse::order(env, a as u64, b as u64),
        (_, true) => sse::order_quiet(env, a as u64, b as u64),
    }
}

/// CF, PF and ZF of a relation, in EFLAGS positions.
#[inline(always)]
fn flags(r: Relation) -> u128 {
    let bits = u128::from(r.bits());
    bits & 1 | (bits & 2) << 1 | (bits & 4) << 4
}

#[inline(always)]
fn pairs(env: &mut Env, op: Element, lanes: Lanes, a: u128, b: u128) -> u128 {
    if lanes == Lanes::Pd {
        let (x, y) = (quads(a), quads(b));
        return from_quads([one(env, op, x[0], x[1]), one(env, op, y[0], y[1])]);
    }
    let (x, y) = (doubles(a), doubles(b));
    let s = [x[0], x[2], y[0], y[2]];
    let t = [x[1], x[3], y[1], y[3]];
    from_doubles(from_fn(|i| one(env, op, s[i], t[i])))
}

#[inline(always)]
fn add_sub(env: &mut Env, lanes: Lanes, a: u128, b: u128) -> u128 {
    let op = |i: usize| if i & 1 == 0 { Element::Sub } else { Element::Add };
    if lanes == Lanes::Pd {
        let (x, y) = (quads(a), quads(b));
        return from_quads(from_fn(|i| one(env, op(i), x[i], y[i])));
    }
    let (x, y) = (doubles(a), doubles(b));
    from_doubles(from_fn(|i| one(env, op(i), x[i], y[i])))
}
