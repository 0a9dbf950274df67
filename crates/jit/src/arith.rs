//! Integer arithmetic: constants are folded, the rest becomes instructions.

use crate::fold;
use crate::lower::{Lower, Val, ty};
use cpu::Width;
use cpu::Width::{B8, B32, B64};
use cranelift_codegen::ir::condcodes::{CondCode, IntCC};
use cranelift_codegen::ir::{InstBuilder, Value};

type Fold = fn(Width, u64, u64) -> u64;

impl Lower<'_, '_> {
    fn both(&mut self, w: Width, a: Val, b: Val) -> (Value, Value) {
        (self.node(w, a), self.node(w, b))
    }

    /// Adds 32-bit values.
    pub(crate) fn plus(&mut self, a: Val, b: Val) -> Val {
        self.sum(B32, a, b)
    }

    /// Shifts a 32-bit value left.
    pub(crate) fn shifted(&mut self, a: Val, n: u8) -> Val {
        self.shift_left(B32, a, Val::Const(u64::from(n)))
    }

    /// Keeps the bits of a mask of a 32-bit value.
    pub(crate) fn masked(&mut self, a: Val, mask: u32) -> Val {
        self.conjunction(B32, a, Val::Const(u64::from(mask)))
    }

    pub(crate) fn sum(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(x), Val::Const(y)) => Val::Const(fold::add(w, x, y)),
            (x, Val::Const(0)) | (Val::Const(0), x) => x,
            (x, Val::Const(k)) | (Val::Const(k), x) => {
                let x = self.node(w, x);
                let k = fold::sext(w, B64, k) as i64;
                Val::Node(self.b.ins().iadd_imm_s(x, k))
            }
            _ => {
                let (a, b) = self.both(w, a, b);
                Val::Node(self.b.ins().iadd(a, b))
            }
        }
    }

    pub(crate) fn difference(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(x), Val::Const(y)) => Val::Const(fold::sub(w, x, y)),
            (x, Val::Const(0)) => x,
            _ => {
                let (a, b) = self.both(w, a, b);
                if a == b {
                    return Val::Const(0);
                }
                Val::Node(self.b.ins().isub(a, b))
            }
        }
    }

    pub(crate) fn product(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(x), Val::Const(y)) => Val::Const(fold::mul(w, x, y)),
            (x, Val::Const(1)) | (Val::Const(1), x) => x,
            _ => {
                let (a, b) = self.both(w, a, b);
                Val::Node(self.b.ins().imul(a, b))
            }
        }
    }

    /// Quotient (or remainder); 0 where the divisor is 0.
    pub(crate) fn quotient(&mut self, w: Width, a: Val, b: Val, remainder: bool) -> Val {
        if let (Val::Const(x), Val::Const(y)) = (a, b) {
            return Val::Const(if remainder { fold::urem(w, x, y) } else { fold::udiv(w, x, y) });
        }
        let (a, d) = self.both(w, a, b);
        if let Val::Const(k) = b
            && k != 0
        {
            return Val::Node(if remainder { self.b.ins().urem(a, d) } else { self.b.ins().udiv(a, d) });
        }
        // the host's division traps on 0
        let zero = self.b.ins().icmp_imm_s(IntCC::Equal, d, 0);
        let one = self.b.ins().iconst(ty(w), 1);
        let nothing = self.b.ins().iconst(ty(w), 0);
        let safe = self.b.ins().select(zero, one, d);
        let r = if remainder { self.b.ins().urem(a, safe) } else { self.b.ins().udiv(a, safe) };
        Val::Node(self.b.ins().select(zero, nothing, r))
    }

    pub(crate) fn conjunction(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(x), Val::Const(y)) => Val::Const(x & y),
            (_, Val::Const(0)) | (Val::Const(0), _) => Val::Const(0),
            (x, Val::Const(m)) | (Val::Const(m), x) if m & w.mask() == w.mask() => x,
            (t @ Val::Test(..), Val::Const(1)) | (Val::Const(1), t @ Val::Test(..)) => t,
            (x, Val::Const(k)) | (Val::Const(k), x) => {
                let (x, k) = (self.node(w, x), fold::sext(w, B64, k) as i64);
                Val::Node(self.b.ins().band_imm_s(x, k))
            }
            _ => {
                let (a, b) = self.both(w, a, b);
                Val::Node(if a == b { a } else { self.b.ins().band(a, b) })
            }
        }
    }

    pub(crate) fn disjunction(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(x), Val::Const(y)) => Val::Const(x | y),
            (x, Val::Const(0)) | (Val::Const(0), x) => x,
            (_, Val::Const(m)) | (Val::Const(m), _) if m & w.mask() == w.mask() => Val::Const(w.mask()),
            _ => {
                let (a, b) = self.both(w, a, b);
                Val::Node(if a == b { a } else { self.b.ins().bor(a, b) })
            }
        }
    }

    pub(crate) fn exclusive(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(x), Val::Const(y)) => Val::Const(x ^ y),
            (x, Val::Const(0)) | (Val::Const(0), x) => x,
            (Val::Test(cc, x, y), Val::Const(1)) | (Val::Const(1), Val::Test(cc, x, y)) => {
                Val::Test(cc.complement(), x, y)
            }
            (x, Val::Const(k)) | (Val::Const(k), x) => {
                let (x, k) = (self.node(w, x), fold::sext(w, B64, k) as i64);
                Val::Node(self.b.ins().bxor_imm_s(x, k))
            }
            _ => {
                let (a, b) = self.both(w, a, b);
                if a == b {
                    return Val::Const(0);
                }
                Val::Node(self.b.ins().bxor(a, b))
            }
        }
    }

    pub(crate) fn shift_left(&mut self, w: Width, a: Val, n: Val) -> Val {
        match (a, n) {
            (x, Val::Const(0)) => x,
            (Val::Const(x), Val::Const(n)) => Val::Const(fold::shl(w, x, n)),
            (Val::Const(0), _) => Val::Const(0),
            _ => self.shift(w, a, n, |l, a, n| l.b.ins().ishl(a, n)),
        }
    }

    pub(crate) fn shift_right(&mut self, w: Width, a: Val, n: Val, signed: bool) -> Val {
        match (a, n) {
            (x, Val::Const(0)) => x,
            (Val::Const(x), Val::Const(n)) => {
                Val::Const(if signed { fold::sar(w, x, n) } else { fold::shr(w, x, n) })
            }
            (Val::Const(0), _) => Val::Const(0),
            _ if signed => self.shift(w, a, n, |l, a, n| l.b.ins().sshr(a, n)),
            _ => self.shift(w, a, n, |l, a, n| l.b.ins().ushr(a, n)),
        }
    }

    pub(crate) fn rotated(&mut self, w: Width, a: Val, n: Val) -> Val {
        match (a, n) {
            (x, Val::Const(0)) => x,
            _ => self.shift(w, a, n, |l, a, n| l.b.ins().rotl(a, n)),
        }
    }

    fn shift(&mut self, w: Width, a: Val, n: Val, f: impl FnOnce(&mut Self, Value, Value) -> Value) -> Val {
        let a = self.node(w, a);
        let n = match n {
            Val::Const(k) => self.b.ins().iconst(cranelift_codegen::ir::types::I32, k as i64),
            n => self.node(w, n),
        };
        Val::Node(f(self, a, n))
    }

    pub(crate) fn test(&mut self, w: Width, cc: IntCC, f: Fold, a: Val, b: Val) -> Val {
        if let (Val::Const(x), Val::Const(y)) = (a, b) {
            return Val::Const(f(w, x, y));
        }
        // comparing a comparison with 0 is the comparison itself
        if let (Val::Test(inner, x, y), Val::Const(0), IntCC::Equal) = (a, b, cc) {
            return Val::Test(inner.complement(), x, y);
        }
        let (a, b) = self.both(w, a, b);
        Val::Test(cc, a, b)
    }

    pub(crate) fn extended(&mut self, from: Width, to: Width, a: Val, signed: bool) -> Val {
        match a {
            Val::Const(k) => Val::Const(if signed { fold::sext(from, to, k) } else { k & from.mask() }),
            a if from > to => self.truncated(from, to, a),
            // a load of fewer bits, which has zeros above
            Val::Float(_) if from == B32 && !signed && self.float_of(B32, a).is_some() => a,
            a => {
                let v = self.node(from, a);
                if from == to {
                    return Val::Node(v);
                }
                Val::Node(if signed {
                    self.b.ins().sextend(ty(to), v)
                } else {
                    self.b.ins().uextend(ty(to), v)
                })
            }
        }
    }

    pub(crate) fn truncated(&mut self, from: Width, to: Width, a: Val) -> Val {
        match a {
            Val::Const(k) => Val::Const(k & to.mask()),
            Val::Written | Val::Order(..) => a,
            Val::Low(_) | Val::Float(_) if from == to => a,
            Val::Low(v) if to == B32 => Val::Float(self.lane(cranelift_codegen::ir::types::F32, v)),
            Val::Test(..) if to == B8 => Val::Node(self.node(B8, a)),
            a => {
                let v = self.node(from, a);
                Val::Node(if from == to { v } else { self.b.ins().ireduce(ty(to), v) })
            }
        }
    }

    pub(crate) fn chosen(&mut self, w: Width, c: Val, a: Val, b: Val) -> Val {
        match c {
            Val::Const(0) => b,
            Val::Const(_) => a,
            _ if a == b => a,
            c => {
                let (a, b) = self.both(w, a, b);
                let c = self.condition_node(c);
                Val::Node(self.b.ins().select(c, a, b))
            }
        }
    }
}
