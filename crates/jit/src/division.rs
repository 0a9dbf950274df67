//! DIV and IDIV. The host's division of 64 bits may take several times as long as that of 32, and most high halves
//! say nothing: they are 0, or what CDQ has made. Whatever would trap on the host leaves first.

use crate::lower::{Lower, Val};
use cpu::Width;
use cpu::Width::{B32, B64};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, Value};

impl Lower<'_, '_> {
    /// Leaves where the divisor is 0 or the quotient does not fit: where the high half is not below the divisor.
    pub(crate) fn unsigned_division(&mut self, w: Width, (high, low): (Val, Val), divisor: Val) -> Val {
        let (h, d) = (self.node(w, high), self.node(w, divisor));
        let bad = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, d, h);
        self.give_up_if(bad);
        if high == Val::Const(0) || w < B32 {
            let low = self.joined_words(w, (high, low));
            let d = self.extended(w, B32, divisor, false);
            let d = self.node(B32, d);
            return self.narrow(w, |l| l.b.ins().udiv(low, d));
        }
        let short = self.b.ins().icmp_imm_s(IntCC::Equal, h, 0);
        let low32 = self.node(B32, low);
        let (long, join) = self.choose(short, |l| l.b.ins().udiv(low32, d));
        self.go(long);
        let (n, d) = (self.joined_halves(high, low), self.b.ins().uextend(I64, d));
        let q = self.b.ins().udiv(n, d);
        let q = self.b.ins().ireduce(I32, q);
        self.meet(join, q)
    }

    pub(crate) fn signed_division(&mut self, w: Width, (high, low): (Val, Val), divisor: Val) -> Val {
        if w < B32 {
            let d = self.extended(w, B64, divisor, true);
            let words = self.joined_words(w, (high, low));
            let twice = if w == Width::B8 { Width::B16 } else { B32 };
            let n = self.extended(twice, B64, Val::Node(words), true);
            let (n, d) = (self.node(B64, n), self.node(B64, d));
            return self.long_division(w, n, d);
        }
        let (h, l, d) = (self.node(B32, high), self.node(B32, low), self.node(B32, divisor));
        let sign = self.b.ins().sshr_imm_u(l, 31);
        let extended = self.b.ins().icmp(IntCC::Equal, h, sign);
        // neither 0, nor -1, by which the most negative number cannot be divided
        let above = self.b.ins().iadd_imm_s(d, 1);
        let usual = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, above, 1);
        let short = self.b.ins().band(extended, usual);
        let (long, join) = self.choose(short, |s| s.b.ins().sdiv(l, d));
        self.go(long);
        // here the magnitude of the quotient is above 2^31 whatever the divisor
        let far = self.b.ins().icmp_imm_u(IntCC::Equal, h, 0x8000_0000);
        self.give_up_if(far);
        let (n, d) = (self.joined_halves(high, low), self.b.ins().sextend(I64, d));
        let q = self.long_division(B32, n, d);
        let q = self.node(B32, q);
        self.meet(join, q)
    }

    /// A signed division of 64 bits that cannot overflow; leaves where the quotient has more than `w`.
    fn long_division(&mut self, w: Width, n: Value, d: Value) -> Val {
        let zero = self.b.ins().icmp_imm_s(IntCC::Equal, d, 0);
        self.give_up_if(zero);
        let q = self.b.ins().sdiv(n, d);
        let low = self.truncated(B64, w, Val::Node(q));
        let again = self.extended(w, B64, low, true);
        let again = self.node(B64, again);
        let beyond = self.b.ins().icmp(IntCC::NotEqual, q, again);
        self.give_up_if(beyond);
        low
    }

    /// `short` where the condition holds; else the block that comes back first, which meets it in the second.
    fn choose(&mut self, c: Value, short: impl FnOnce(&mut Self) -> Value) -> (Block, Block) {
        let (near, long, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(long);
        self.b.append_block_param(join, I32);
        self.b.ins().brif(c, near, &[], long, &[]);
        self.go(near);
        let q = short(self);
        self.b.ins().jump(join, &[q.into()]);
        (long, join)
    }

    fn meet(&mut self, join: Block, q: Value) -> Val {
        self.b.ins().jump(join, &[q.into()]);
        self.go(join);
        Val::Node(self.b.block_params(join)[0])
    }

    fn narrow(&mut self, w: Width, f: impl FnOnce(&mut Self) -> Value) -> Val {
        let q = f(self);
        self.truncated(B32, w, Val::Node(q))
    }

    /// Halves below 32 bits, or a low half alone, as a 32-bit value.
    fn joined_words(&mut self, w: Width, (high, low): (Val, Val)) -> Value {
        let low = self.extended(w, B32, low, false);
        if w == B32 {
            return self.node(B32, low);
        }
        let high = self.extended(w, B32, high, false);
        let high = self.shift_left(B32, high, Val::Const(u64::from(w.bits())));
        let both = self.disjunction(B32, low, high);
        self.node(B32, both)
    }

    fn joined_halves(&mut self, high: Val, low: Val) -> Value {
        let low = self.extended(B32, B64, low, false);
        let high = self.extended(B32, B64, high, false);
        let high = self.shift_left(B64, high, Val::Const(32));
        let both = self.disjunction(B64, low, high);
        self.node(B64, both)
    }
}
