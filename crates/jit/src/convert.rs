//! Conversions of floating-point numbers in compiled code.

use crate::clean::{Elements, Zeros};
use crate::lower::{Lower, Unsupported, Val};
use crate::wide::{Wide, bits_only};
use cpu::Width::B32;
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, F32X4, F64, F64X2, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{InstBuilder, Value};
use sem::fp::{Lanes, SseOp};

/// The host converts to integers as the guest does (and rounds without help: SSE4.1).
pub(crate) fn host_converts(truncate: bool) -> bool {
    #[cfg(target_arch = "x86_64")]
    return truncate || std::arch::is_x86_feature_detected!("sse4.1");
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = truncate;
        true
    }
}

/// What the host gives for what has no integer.
const NO_INTEGER: i64 = 0x8000_0000;

impl Lower<'_, '_> {
    pub(crate) fn conversion(&mut self, op: SseOp, a: Wide, b: Wide) -> Result<Wide, Unsupported> {
        Ok(match op {
            SseOp::IntToSingle => self.singles_of_ints(b, Elements::all(false)),
            SseOp::PairToSingle => {
                let v = self.singles_of_ints(b, Elements::PAIR);
                let v = self.merged(F64X2, a, v);
                self.set_clean(v, Elements::PAIR);
                v
            }
            SseOp::IntToDouble => {
                let v = self.lanes(I32X4, b);
                let v = self.b.ins().swiden_low(v);
                let v = self.b.ins().fcvt_from_sint(F64X2, v);
                self.clean_result(v, Elements::all(true))
            }
            SseOp::SingleToInt { truncate, half } => self.ints(false, truncate, half, b),
            SseOp::DoubleToInt { truncate } => self.ints(true, truncate, true, b),
            SseOp::SingleToDouble => {
                let v = self.vector(b);
                if self.checked() {
                    self.demand_vectors(Elements::PAIR, &[v], None);
                }
                let v = self.cast(F32X4, v);
                let v = self.b.ins().fvpromote_low(v);
                self.clean_result(v, Elements::all(true))
            }
            SseOp::DoubleToSingle => self.singles_of_doubles(b),
            SseOp::ScalarWiden => {
                let f = self.clean_scalar(b, false).float;
                let f = self.b.ins().fpromote(F64, f);
                self.with_low(a, f, true)
            }
            SseOp::ScalarNarrow => {
                let f = self.clean_scalar(b, true).float;
                let narrow = self.b.ins().fdemote(F32, f);
                self.demand_result(narrow, false, Zeros::Like(&[f]));
                self.with_low(a, narrow, false)
            }
            SseOp::ScalarFromInt(lanes) => {
                let double = lanes == Lanes::Sd;
                let n = self.half(b, false);
                let n = self.node(B32, n);
                let f = self.b.ins().fcvt_from_sint(Elements::low(double).scalar(), n);
                self.with_low(a, f, double)
            }
            SseOp::ScalarToInt { lanes, truncate } => self.int(lanes == Lanes::Sd, truncate, b),
            _ => return Err(Unsupported),
        })
    }

    fn clean_result(&mut self, v: Value, e: Elements) -> Wide {
        let v = self.wide_of(v);
        self.set_clean(v, e);
        v
    }

    fn singles_of_ints(&mut self, b: Wide, e: Elements) -> Wide {
        let v = self.lanes(I32X4, b);
        let v = self.b.ins().fcvt_from_sint(F32X4, v);
        self.clean_result(v, e)
    }

    fn singles_of_doubles(&mut self, b: Wide) -> Wide {
        let v = self.vector(b);
        if self.checked() {
            self.demand_vectors(Elements::all(true), &[v], None);
        }
        let wide = self.cast(F64X2, v);
        let narrow = self.b.ins().fvdemote(wide);
        let narrow = self.wide_of(narrow);
        if !self.checked() {
            return narrow;
        }
        let bytes = self.vector(narrow);
        let zero_where = |l: &mut Self| {
            let zeros = l.zero_lanes(v, true);
            let zeros = l.wide_of(zeros);
            l.neighbours(I32X4, zeros, zeros).0
        };
        self.demand_vectors(Elements::PAIR, &[], Some((bytes, Some(&zero_where))));
        narrow
    }

    /// Numbers of a vector as integers: of doubles both, with zeros above. What is no number or too large is seen in
    /// the result. Rounding first may find inexact what is only invalid, and does not ask MXCSR how.
    fn integers(&mut self, double: bool, truncate: bool, b: Wide) -> Value {
        if !truncate {
            self.demand_usual_mxcsr();
        }
        let v = self.lanes(Elements::all(double).vector(), b);
        let v = self.integers_of(double, truncate, v);
        if !self.checked() {
            let v = self.wide_of(v);
            self.raises(v);
        }
        v
    }

    fn integers_of(&mut self, double: bool, truncate: bool, mut v: Value) -> Value {
        if !truncate {
            v = self.b.ins().nearest(v);
        }
        if !cfg!(target_arch = "x86_64") {
            return self.saturated_integers(double, v);
        }
        if !double {
            return self.b.ins().x86_cvtt2dq(I32X4, v);
        }
        let v = self.b.ins().x86_cvtt2dq(I64X2, v);
        let zero = self.mask(I64X2, 0);
        self.b.ins().snarrow(v, zero)
    }

    /// As [`Lower::integers`] on hosts that give the nearest integer, and 0 for what is no number. The largest is
    /// taken for one that was too large: at worst the interpreter finds that it was not.
    fn saturated_integers(&mut self, double: bool, v: Value) -> Value {
        let no_number = self.b.ins().fcmp(FloatCC::NotEqual, v, v);
        let (n, no_number) = if double {
            let zero = self.mask(I64X2, 0);
            let n = self.b.ins().fcvt_to_sint_sat(I64X2, v);
            (self.b.ins().snarrow(n, zero), self.b.ins().snarrow(no_number, zero))
        } else {
            (self.b.ins().fcvt_to_sint_sat(I32X4, v), no_number)
        };
        let largest = self.mask(I32X4, u128::MAX / 0xffff_ffff * 0x7fff_ffff);
        let none = self.mask(I32X4, u128::MAX / 0xffff_ffff * NO_INTEGER as u128);
        let too_large = self.b.ins().icmp(IntCC::Equal, n, largest);
        let bad = self.b.ins().bor(too_large, no_number);
        self.b.ins().bitselect(bad, none, n)
    }

    fn alone(&mut self, b: Wide, double: bool) -> Wide {
        let v = self.scalar_alone(b, double);
        self.wide_of(v)
    }

    fn int(&mut self, double: bool, truncate: bool, b: Wide) -> Wide {
        let alone = if self.checked() { b } else { self.alone(b, double) };
        let v = self.integers(double, truncate, alone);
        let v = self.cast(F32X4, v);
        let n = self.b.ins().extractlane(v, 0);
        let n = self.b.ins().bitcast(I32, bits_only(), n);
        if self.checked() {
            let none = self.b.ins().icmp_imm_u(IntCC::Equal, n, NO_INTEGER);
            self.give_up_if(none);
        }
        Wide::Halves(Val::Node(self.b.ins().uextend(I64, n)), Val::Const(0))
    }

    /// Of two numbers the low half: who takes them takes that, or zeros are above.
    fn ints(&mut self, double: bool, truncate: bool, half: bool, b: Wide) -> Wide {
        if !self.checked() {
            let used = if half && !double { Wide::Halves(self.half(b, false), Val::Const(0)) } else { b };
            let v = self.integers(double, truncate, used);
            return self.wide_of(v);
        }
        let v = self.integers(double, truncate, b);
        let none = self.mask(I32X4, u128::MAX / 0xffff_ffff * NO_INTEGER as u128);
        let used = self.mask(I32X4, if half { u128::from(u64::MAX) } else { u128::MAX });
        let bad = self.b.ins().icmp(IntCC::Equal, v, none);
        let bad = self.b.ins().band(bad, used);
        let bad = self.b.ins().vany_true(bad);
        self.give_up_if(bad);
        self.wide_of(v)
    }
}
