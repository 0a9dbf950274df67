//! Floating point under MXCSR in compiled code: arithmetic and comparisons.
//!
//! By the very same instructions, whose flags the host collects ([`crate::mxcsr`]), or of clean numbers
//! ([`crate::clean`]). The first asks that nothing is computed which the guest does not compute, that operands
//! keep their order, for which of two NaNs is the result, and that nothing is left out ([`crate::raised`]).

use crate::clean::{Elements, Zeros};
use crate::lower::{Lower, Unsupported, Val};
use crate::wide::Wide;
use cpu::State;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{I8X16, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Value};
use sem::fp::{Element, Lanes, SseOp};

/// Whether the operation becomes code.
pub(crate) fn sse_supported(op: SseOp) -> bool {
    match op {
        SseOp::SingleToInt { truncate, .. }
        | SseOp::DoubleToInt { truncate }
        | SseOp::ScalarToInt { truncate, .. } => crate::convert::host_converts(truncate),
        _ => true,
    }
}

/// Whether the operation on clean operands is rounded or may be inexact: then it is done so only
/// while MXCSR rounds to nearest and the inexact flag is set already.
fn needs_usual_mxcsr(op: SseOp) -> bool {
    !matches!(
        op,
        SseOp::Element(Element::Min | Element::Max, _)
            | SseOp::Compare(_)
            | SseOp::Order(_)
            | SseOp::OrderQuiet(_)
            | SseOp::IntToDouble
            | SseOp::SingleToDouble
            | SseOp::ScalarWiden
            | SseOp::ScalarFromInt(Lanes::Sd)
    )
}

/// The elements of its operands that have to be clean, where that is so of both.
pub(crate) fn numbers(op: SseOp) -> Option<Elements> {
    let (SseOp::Element(_, lanes) | SseOp::Order(lanes) | SseOp::OrderQuiet(lanes)) = op else { return None };
    if matches!(op, SseOp::Element(Element::Sqrt, _)) {
        return None;
    }
    let (double, scalar) = form(lanes);
    Some(if scalar { Elements::low(double) } else { Elements::all(double) })
}

/// Whether lanes are double numbers, and whether it is the lowest only.
fn form(lanes: Lanes) -> (bool, bool) {
    (matches!(lanes, Lanes::Pd | Lanes::Sd), matches!(lanes, Lanes::Ss | Lanes::Sd))
}

fn predicate(imm: u8) -> FloatCC {
    match imm & 7 {
        0 => FloatCC::Equal,
        1 => FloatCC::LessThan,
        2 => FloatCC::LessThanOrEqual,
        3 => FloatCC::Unordered,
        4 => FloatCC::NotEqual,
        5 => FloatCC::UnorderedOrGreaterThanOrEqual,
        6 => FloatCC::UnorderedOrGreaterThan,
        _ => FloatCC::Ordered,
    }
}

impl Lower<'_, '_> {
    pub(crate) fn sse_operation(
        &mut self,
        op: SseOp,
        imm: u8,
        a: Wide,
        b: Wide,
    ) -> Result<Wide, Unsupported> {
        if self.checked() && needs_usual_mxcsr(op) {
            self.demand_usual_mxcsr();
        }
        let result = self.computed(op, imm, a, b)?;
        if !self.checked() {
            self.take_and_raise(op, a, b, result);
        }
        Ok(result)
    }

    /// An operation that takes both operands is performed whenever they have to be.
    fn take_and_raise(&mut self, op: SseOp, a: Wide, b: Wide, result: Wide) {
        if matches!(op, SseOp::Element(e, _) if e != Element::Sqrt) {
            for v in [a, b] {
                if let Wide::Vector(v) = v {
                    self.used(v);
                }
            }
        }
        self.raises(result);
    }

    /// Leaves where MXCSR does not mask all and round to nearest, with the inexact flag set already.
    pub(crate) fn demand_usual_mxcsr(&mut self) {
        if std::mem::replace(&mut self.usual_mxcsr, true) {
            return;
        }
        let now = self.load_own(I32, std::mem::offset_of!(State, mxcsr) as i32);
        let now = self.b.ins().band_imm_u(now, 0xffe0);
        let other = self.b.ins().icmp_imm_u(IntCC::NotEqual, now, 0x1fa0);
        self.give_up_if(other);
    }

    fn computed(&mut self, op: SseOp, imm: u8, a: Wide, b: Wide) -> Result<Wide, Unsupported> {
        Ok(match op {
            SseOp::Element(op, lanes) => match form(lanes) {
                (double, true) => self.scalar_element(op, double, a, b),
                (double, false) => self.vector_element(op, double, a, b),
            },
            SseOp::Compare(lanes) => self.compare(predicate(imm), lanes, a, b),
            SseOp::Order(lanes) | SseOp::OrderQuiet(lanes) => self.order(form(lanes).0, a, b),
            SseOp::PairAdd(lanes) => self.pairs(Element::Add, form(lanes).0, a, b),
            SseOp::PairSub(lanes) => self.pairs(Element::Sub, form(lanes).0, a, b),
            SseOp::AddSub(lanes) => self.add_sub(form(lanes).0, a, b),
            op => self.conversion(op, a, b)?,
        })
    }

    fn scalar_element(&mut self, op: Element, double: bool, a: Wide, b: Wide) -> Wide {
        let y = self.clean_scalar(b, double).float;
        if op == Element::Sqrt {
            let root = self.b.ins().sqrt(y);
            // of a negative number it is none
            self.demand_result(root, double, Zeros::Anywhere);
            return self.with_low(a, root, double);
        }
        let x = self.clean_scalar(a, double).float;
        let v = match op {
            Element::Add => self.b.ins().fadd(x, y),
            Element::Sub => self.b.ins().fsub(x, y),
            Element::Mul => self.b.ins().fmul(x, y),
            Element::Div => self.b.ins().fdiv(x, y),
            Element::Min => {
                let less = self.b.ins().fcmp(FloatCC::LessThan, x, y);
                self.b.ins().select(less, x, y)
            }
            _ => {
                let more = self.b.ins().fcmp(FloatCC::LessThan, y, x);
                self.b.ins().select(more, x, y)
            }
        };
        match op {
            Element::Mul => self.demand_result(v, double, Zeros::Like(&[x, y])),
            // what is divided by zero is no number any more
            Element::Div => self.demand_result(v, double, Zeros::Like(&[x])),
            Element::Min | Element::Max => {}
            _ => self.demand_result(v, double, Zeros::Anywhere),
        }
        self.with_low(a, v, double)
    }

    fn vector_element(&mut self, op: Element, double: bool, a: Wide, b: Wide) -> Wide {
        let e = Elements::all(double);
        let y = self.vector(b);
        let x = if op == Element::Sqrt { y } else { self.vector(a) };
        let v = self.vector_arithmetic(op, double, x, y);
        let v = self.wide_of(v);
        if !self.checked() {
            return v;
        }
        let zero_where = |l: &mut Self| {
            let zeros = l.zero_lanes(x, double);
            if op == Element::Div {
                return zeros;
            }
            let more = l.zero_lanes(y, double);
            l.b.ins().bor(zeros, more)
        };
        let bytes = self.vector(v);
        match op {
            Element::Mul | Element::Div => self.demand_vectors(e, &[x, y], Some((bytes, Some(&zero_where)))),
            Element::Min | Element::Max => {
                self.demand_vectors(e, &[x, y], None);
                self.set_clean(v, e);
            }
            _ => self.demand_vectors(e, &[x, y], Some((bytes, None))),
        }
        v
    }

    fn vector_arithmetic(&mut self, op: Element, double: bool, x: Value, y: Value) -> Value {
        let t = Elements::all(double).vector();
        let (x, y) = (self.cast(t, x), self.cast(t, y));
        match op {
            Element::Add => self.b.ins().fadd(x, y),
            Element::Sub => self.b.ins().fsub(x, y),
            Element::Mul => self.b.ins().fmul(x, y),
            Element::Div => self.b.ins().fdiv(x, y),
            Element::Sqrt => self.b.ins().sqrt(y),
            Element::Min | Element::Max => {
                let (less, than) = if op == Element::Min { (x, y) } else { (y, x) };
                let chosen = self.b.ins().fcmp(FloatCC::LessThan, less, than);
                let chosen = self.cast(t, chosen);
                self.b.ins().bitselect(chosen, x, y)
            }
        }
    }

    /// Of a scalar comparison the lanes above are computed as well, and dropped: zeros, or what they are.
    fn compare(&mut self, cc: FloatCC, lanes: Lanes, a: Wide, b: Wide) -> Wide {
        let (double, scalar) = form(lanes);
        let e = Elements::all(double);
        if !self.checked() {
            let [x, y] =
                [a, b].map(|v| if scalar { self.scalar_alone(v, double) } else { self.lanes(e.vector(), v) });
            let v = self.b.ins().fcmp(cc, x, y);
            let v = self.wide_of(v);
            return if scalar { self.merged(e.vector(), a, v) } else { v };
        }
        if scalar {
            self.clean_scalar(a, double);
            self.clean_scalar(b, double);
        } else {
            let operands = [self.vector(a), self.vector(b)];
            self.demand_vectors(e, &operands, None);
        }
        let (x, y) = (self.lanes(e.vector(), a), self.lanes(e.vector(), b));
        let v = self.compared(cc, x, y);
        let v = self.wide_of(v);
        if scalar { self.merged(e.vector(), a, v) } else { v }
    }

    /// A comparison of vectors in the forms that each of Cranelift's back ends has: aarch64's has no "not less".
    fn compared(&mut self, cc: FloatCC, x: Value, y: Value) -> Value {
        let opposite = match cc {
            FloatCC::UnorderedOrGreaterThanOrEqual => FloatCC::LessThan,
            FloatCC::UnorderedOrGreaterThan => FloatCC::LessThanOrEqual,
            cc => return self.b.ins().fcmp(cc, x, y),
        };
        let v = self.b.ins().fcmp(opposite, x, y);
        self.b.ins().bnot(v)
    }

    /// The lowest number with zeros above.
    pub(crate) fn scalar_alone(&mut self, a: Wide, double: bool) -> Value {
        let f = self.clean_scalar(a, double).float;
        self.b.ins().scalar_to_vector(Elements::all(double).vector(), f)
    }

    /// PF is for what is not clean, or not ordered: that comparison also raises what there is to raise.
    fn order(&mut self, double: bool, a: Wide, b: Wide) -> Wide {
        let (x, y) = (self.clean_scalar(a, double).float, self.clean_scalar(b, double).float);
        if !self.checked() {
            let unordered = self.b.ins().fcmp(FloatCC::Unordered, x, y);
            self.give_up_if(unordered);
        }
        Wide::Halves(Val::Order(x, y), Val::Const(0))
    }

    /// What [`Val::Order`] stands for.
    pub(crate) fn order_image(&mut self, x: Value, y: Value) -> Value {
        let less = self.b.ins().fcmp(FloatCC::UnorderedOrLessThan, x, y);
        let equal = self.b.ins().fcmp(FloatCC::UnorderedOrEqual, x, y);
        let (less, equal) = (self.b.ins().uextend(I32, less), self.b.ins().uextend(I32, equal));
        let zf = self.b.ins().ishl_imm_u(equal, 6);
        self.b.ins().bor(less, zf)
    }

    /// A condition on the flags of such a comparison, where it asks for ZF and CF alone: one comparison of the
    /// host's, of those that need no look at its parity flag.
    pub(crate) fn order_condition(&mut self, x: Value, y: Value, cc: u8) -> Option<Val> {
        let cc = match cc {
            2 => FloatCC::UnorderedOrLessThan,
            3 => FloatCC::GreaterThanOrEqual,
            4 => FloatCC::UnorderedOrEqual,
            5 => FloatCC::OrderedNotEqual,
            6 => FloatCC::UnorderedOrLessThanOrEqual,
            7 => FloatCC::GreaterThan,
            _ => return None,
        };
        Some(Val::Node(self.b.ins().fcmp(cc, x, y)))
    }

    fn pairs(&mut self, op: Element, double: bool, a: Wide, b: Wide) -> Wide {
        let operands = [self.vector(a), self.vector(b)];
        let (even, odd) = self.neighbours(if double { I64X2 } else { I32X4 }, a, b);
        self.exact_if_zero(op, double, operands, even, odd)
    }

    /// A difference is the sum with the sign of the subtrahend changed.
    fn add_sub(&mut self, double: bool, a: Wide, b: Wide) -> Wide {
        let operands = [self.vector(a), self.vector(b)];
        let signs = if double { 1 << 63 } else { 1 << 31 | 1 << 95 };
        let signs = self.mask(I8X16, signs);
        let changed = self.b.ins().bxor(operands[1], signs);
        // not so of NaNs
        self.demand_vectors(Elements::all(double), &operands, None);
        self.exact_if_zero(Element::Add, double, operands, operands[0], changed)
    }

    fn exact_if_zero(&mut self, op: Element, double: bool, operands: [Value; 2], x: Value, y: Value) -> Wide {
        let v = self.vector_arithmetic(op, double, x, y);
        let v = self.wide_of(v);
        if self.checked() {
            let bytes = self.vector(v);
            self.demand_vectors(Elements::all(double), &operands, Some((bytes, None)));
        }
        v
    }
}
