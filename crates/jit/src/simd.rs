//! Operations on packed integers in compiled code, by vectors of 128 bits.
//!
//! MMX operands are low halves of such vectors: the lanes above cost nothing, and whoever takes the
//! result takes its low half. What is simpler on 64-bit integers is done there.

use crate::lower::{Lower, Val};
use crate::wide::Wide;
use cpu::Width::{B16, B64};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64, I64X2};
use cranelift_codegen::ir::{ConstantData, InstBuilder, Type, Value};
use sem::fp::PackedOp;

/// The back end shuffles bytes of one vector by those of another without help (SSSE3 on x86).
pub(crate) fn host_shuffles() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("ssse3");
    #[cfg(not(target_arch = "x86_64"))]
    true
}

/// Whether the operation becomes code.
pub(crate) fn packed_supported(op: PackedOp) -> bool {
    use PackedOp as P;
    match op {
        // tables that no host has
        P::Reciprocal | P::ReciprocalLow | P::ReciprocalRoot | P::ReciprocalRootLow => false,
        P::MulRoundedW
        | P::MulAddB
        | P::ShuffleB
        | P::ShlBytes
        | P::ShrBytes
        | P::AlignRight
        | P::PairAddSignedW
        | P::PairSubW
        | P::PairSubSignedW => host_shuffles(),
        _ => true,
    }
}

/// Shifts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shift {
    Left,
    Right,
    Signed,
}

impl Lower<'_, '_> {
    pub(crate) fn packed_operation(&mut self, op: PackedOp, imm: u8, a: Wide, b: Wide) -> Wide {
        let (a, b) = self.without_high(op, a, b);
        if let Some(v) = self.by_halves(op, a, b) {
            return v;
        }
        self.shift_operation(op, a, b)
            .or_else(|| self.lane_operation(op, a, b))
            .or_else(|| self.product_operation(op, a, b))
            .or_else(|| self.sign_operation(op, imm, a, b))
            .or_else(|| self.shuffle_operation(op, imm, a, b))
            .unwrap_or(a)
    }

    /// Low halves of vectors that are at hand, as these vectors: an MMX instruction takes the low half
    /// of the result, or both halves of one made of low halves. Not so where it has both of its
    /// operands in one vector, or counts lanes.
    fn without_high(&self, op: PackedOp, a: Wide, b: Wide) -> (Wide, Wide) {
        use PackedOp as P;
        let is_low = |w: Wide| matches!(w, Wide::Halves(_, Val::Const(0)) | Wide::Const(_));
        let whole = matches!(
            op,
            P::PackSignedW
                | P::PackUnsignedW
                | P::PackSignedD
                | P::ShrBytes
                | P::AlignRight
                | P::SignsB
                | P::PairAddW
                | P::PairAddSignedW
                | P::PairAddD
                | P::PairSubW
                | P::PairSubSignedW
                | P::PairSubD
        );
        if whole || !is_low(a) || !is_low(b) {
            return (a, b);
        }
        let at_hand = |w: Wide| match w {
            Wide::Halves(Val::Low(v), _) => Wide::Vector(v),
            w => w,
        };
        (at_hand(a), at_hand(b))
    }

    /// Both operands as vectors of a type.
    fn pair_of(&mut self, t: Type, a: Wide, b: Wide) -> (Value, Value) {
        (self.lanes(t, a), self.lanes(t, b))
    }

    /// The operand as a vector of a type.
    pub(crate) fn lanes(&mut self, t: Type, a: Wide) -> Value {
        let v = self.vector(a);
        self.cast(t, v)
    }

    /// A vector constant.
    pub(crate) fn mask(&mut self, t: Type, k: u128) -> Value {
        let k = self.b.func.dfg.constants.insert(ConstantData::from(&k.to_le_bytes()[..]));
        self.b.ins().vconst(t, k)
    }

    /// What needs no vector where both operands are integers already.
    fn by_halves(&mut self, op: PackedOp, a: Wide, b: Wide) -> Option<Wide> {
        use PackedOp as P;
        let (Wide::Halves(..) | Wide::Const(_), Wide::Halves(..) | Wide::Const(_)) = (a, b) else {
            return None;
        };
        let (x, y) = ([self.half(a, false), self.half(a, true)], [self.half(b, false), self.half(b, true)]);
        let each = |l: &mut Self, f: fn(&mut Self, Val, Val) -> Val| {
            let (low, high) = (f(l, x[0], y[0]), f(l, x[1], y[1]));
            l.joined(low, high)
        };
        Some(match op {
            P::And => each(self, |l, a, b| l.conjunction(B64, a, b)),
            P::Or => each(self, |l, a, b| l.disjunction(B64, a, b)),
            P::Xor => each(self, |l, a, b| l.exclusive(B64, a, b)),
            P::AndNot => each(self, |l, a, b| {
                let not = l.exclusive(B64, a, Val::Const(u64::MAX));
                l.conjunction(B64, not, b)
            }),
            P::AddQ => each(self, |l, a, b| l.sum(B64, a, b)),
            P::SubQ => each(self, |l, a, b| l.difference(B64, a, b)),
            P::MulUnsignedD => each(self, |l, a, b| {
                let a = l.conjunction(B64, a, Val::Const(0xffff_ffff));
                let b = l.conjunction(B64, b, Val::Const(0xffff_ffff));
                l.product(B64, a, b)
            }),
            P::UnpackLowQ => self.joined(x[0], y[0]),
            P::UnpackHighQ => self.joined(x[1], y[1]),
            P::MergeLowQ => self.joined(y[0], x[1]),
            P::MergeHighQ => self.joined(y[1], x[1]),
            P::DuplicateLow => self.joined(y[0], y[0]),
            _ => return None,
        })
    }

    /// Lane by lane, and one instruction for all lanes.
    fn lane_operation(&mut self, op: PackedOp, a: Wide, b: Wide) -> Option<Wide> {
        use PackedOp as P;
        macro_rules! lanes {
            ($t:ident, $f:ident) => {{
                let (x, y) = self.pair_of($t, a, b);
                self.b.ins().$f(x, y)
            }};
            ($t:ident, $f:ident, $cc:ident) => {{
                let (x, y) = self.pair_of($t, a, b);
                self.b.ins().$f(IntCC::$cc, x, y)
            }};
        }
        let v = match op {
            P::AddB => lanes!(I8X16, iadd),
            P::AddW => lanes!(I16X8, iadd),
            P::AddD => lanes!(I32X4, iadd),
            P::AddQ => lanes!(I64X2, iadd),
            P::SubB => lanes!(I8X16, isub),
            P::SubW => lanes!(I16X8, isub),
            P::SubD => lanes!(I32X4, isub),
            P::SubQ => lanes!(I64X2, isub),
            P::AddSignedB => lanes!(I8X16, sadd_sat),
            P::AddSignedW => lanes!(I16X8, sadd_sat),
            P::AddUnsignedB => lanes!(I8X16, uadd_sat),
            P::AddUnsignedW => lanes!(I16X8, uadd_sat),
            P::SubSignedB => lanes!(I8X16, ssub_sat),
            P::SubSignedW => lanes!(I16X8, ssub_sat),
            P::SubUnsignedB => lanes!(I8X16, usub_sat),
            P::SubUnsignedW => lanes!(I16X8, usub_sat),
            P::MinUnsignedB => lanes!(I8X16, umin),
            P::MaxUnsignedB => lanes!(I8X16, umax),
            P::MinSignedW => lanes!(I16X8, smin),
            P::MaxSignedW => lanes!(I16X8, smax),
            P::AverageB => lanes!(I8X16, avg_round),
            P::AverageW => lanes!(I16X8, avg_round),
            P::MulLowW => lanes!(I16X8, imul),
            P::PairAddW => lanes!(I16X8, iadd_pairwise),
            P::PairAddD => lanes!(I32X4, iadd_pairwise),
            P::And => lanes!(I8X16, band),
            P::Or => lanes!(I8X16, bor),
            P::Xor => lanes!(I8X16, bxor),
            P::EqualB => lanes!(I8X16, icmp, Equal),
            P::EqualW => lanes!(I16X8, icmp, Equal),
            P::EqualD => lanes!(I32X4, icmp, Equal),
            P::GreaterB => lanes!(I8X16, icmp, SignedGreaterThan),
            P::GreaterW => lanes!(I16X8, icmp, SignedGreaterThan),
            P::GreaterD => lanes!(I32X4, icmp, SignedGreaterThan),
            P::PackSignedW => lanes!(I16X8, snarrow),
            P::PackUnsignedW => lanes!(I16X8, unarrow),
            P::PackSignedD => lanes!(I32X4, snarrow),
            P::AndNot => {
                let (x, y) = self.pair_of(I8X16, a, b);
                self.b.ins().band_not(y, x)
            }
            P::AbsoluteB => self.absolute(I8X16, b),
            P::AbsoluteW => self.absolute(I16X8, b),
            P::AbsoluteD => self.absolute(I32X4, b),
            _ => return None,
        };
        Some(self.wide_of(v))
    }

    fn absolute(&mut self, t: Type, b: Wide) -> Value {
        let v = self.lanes(t, b);
        self.b.ins().iabs(v)
    }

    /// Products other than the low halves, and sums over neighbours.
    fn product_operation(&mut self, op: PackedOp, a: Wide, b: Wide) -> Option<Wide> {
        use PackedOp as P;
        let v = match op {
            P::MulHighSignedW => self.high_products(true, a, b),
            P::MulHighUnsignedW => self.high_products(false, a, b),
            P::MulRoundedW => self.rounded_products(a, b),
            P::MulUnsignedD => self.products_of_doubles(a, b),
            P::MulAddW => {
                let (low, high) = self.whole_products(true, a, b);
                self.b.ins().iadd_pairwise(low, high)
            }
            P::MulAddB => self.sums_of_mixed_products(a, b),
            P::SumDifferencesB => self.sum_differences(a, b),
            P::PairAddSignedW => {
                let (even, odd) = self.neighbours(I16X8, a, b);
                self.b.ins().sadd_sat(even, odd)
            }
            P::PairSubW => {
                let (even, odd) = self.neighbours(I16X8, a, b);
                self.b.ins().isub(even, odd)
            }
            P::PairSubSignedW => {
                let (even, odd) = self.neighbours(I16X8, a, b);
                self.b.ins().ssub_sat(even, odd)
            }
            P::PairSubD => {
                let (even, odd) = self.neighbours(I32X4, a, b);
                self.b.ins().isub(even, odd)
            }
            P::SignB => self.with_sign_of(I8X16, a, b),
            P::SignW => self.with_sign_of(I16X8, a, b),
            P::SignD => self.with_sign_of(I32X4, a, b),
            _ => return None,
        };
        Some(self.wide_of(v))
    }

    /// The 32-bit products of the low and the high words.
    fn whole_products(&mut self, signed: bool, a: Wide, b: Wide) -> (Value, Value) {
        let (x, y) = self.pair_of(I16X8, a, b);
        let i = |l: &mut Self, high: bool, v: Value| match (signed, high) {
            (true, false) => l.b.ins().swiden_low(v),
            (true, true) => l.b.ins().swiden_high(v),
            (false, false) => l.b.ins().uwiden_low(v),
            (false, true) => l.b.ins().uwiden_high(v),
        };
        [false, true]
            .map(|high| {
                let (x, y) = (i(self, high, x), i(self, high, y));
                self.b.ins().imul(x, y)
            })
            .into()
    }

    /// High halves of products of words. They are packed as signed numbers, which they fit.
    fn high_products(&mut self, signed: bool, a: Wide, b: Wide) -> Value {
        let (low, high) = self.whole_products(signed, a, b);
        let n = self.b.ins().iconst(I64, 16);
        let (low, high) = (self.b.ins().sshr(low, n), self.b.ins().sshr(high, n));
        self.b.ins().snarrow(low, high)
    }

    /// PMULHRSW: bits 15 to 30 of products, rounded. They wrap where the host's own would saturate.
    fn rounded_products(&mut self, a: Wide, b: Wide) -> Value {
        if cfg!(target_arch = "x86_64") {
            let (x, y) = self.pair_of(I16X8, a, b);
            return self.b.ins().x86_pmulhrsw(x, y);
        }
        let (low, high) = self.whole_products(true, a, b);
        let half = self.mask(I32X4, u128::MAX / 0xffff_ffff * 0x4000);
        let n = self.b.ins().iconst(I64, 15);
        let [low, high] = [low, high].map(|v| {
            let v = self.b.ins().iadd(v, half);
            let v = self.b.ins().sshr(v, n);
            self.wide_of(v)
        });
        self.neighbours(I16X8, low, high).0
    }

    /// PMADDUBSW: products of unsigned and signed bytes, and saturated sums of neighbours.
    fn sums_of_mixed_products(&mut self, a: Wide, b: Wide) -> Value {
        let (x, y) = self.pair_of(I8X16, a, b);
        if cfg!(target_arch = "x86_64") {
            return self.b.ins().x86_pmaddubsw(y, x);
        }
        let low = (self.b.ins().uwiden_low(x), self.b.ins().swiden_low(y));
        let high = (self.b.ins().uwiden_high(x), self.b.ins().swiden_high(y));
        let [low, high] = [low, high].map(|(x, y)| {
            let v = self.b.ins().imul(x, y);
            self.wide_of(v)
        });
        let (even, odd) = self.neighbours(I16X8, low, high);
        self.b.ins().sadd_sat(even, odd)
    }

    fn products_of_doubles(&mut self, a: Wide, b: Wide) -> Value {
        let (x, y) = self.pair_of(I64X2, a, b);
        let low = self.mask(I64X2, 0x0000_0000_ffff_ffff_0000_0000_ffff_ffff);
        let (x, y) = (self.b.ins().band(x, low), self.b.ins().band(y, low));
        self.b.ins().imul(x, y)
    }

    /// PSADBW: differences of bytes, then sums of two, four and eight of them in wider lanes.
    fn sum_differences(&mut self, a: Wide, b: Wide) -> Value {
        let (x, y) = self.pair_of(I8X16, a, b);
        let (up, down) = (self.b.ins().usub_sat(x, y), self.b.ins().usub_sat(y, x));
        let d = self.b.ins().bor(up, down);
        let d = self.cast(I16X8, d);
        let low = self.mask(I16X8, u128::MAX / 0xffff * 0xff);
        let n = self.b.ins().iconst(I64, 8);
        let (even, odd) = (self.b.ins().band(d, low), self.b.ins().ushr(d, n));
        let mut sum = self.b.ins().iadd(even, odd);
        for shift in [32, 16] {
            let wide = self.cast(I64X2, sum);
            let n = self.b.ins().iconst(I64, shift);
            let other = self.b.ins().ushr(wide, n);
            let other = self.cast(I16X8, other);
            let narrow = self.cast(I16X8, wide);
            sum = self.b.ins().iadd(narrow, other);
        }
        let sum = self.cast(I64X2, sum);
        let low = self.mask(I64X2, 0xffff | 0xffff << 64);
        self.b.ins().band(sum, low)
    }

    /// Even lanes of `a` then `b`, and odd ones.
    pub(crate) fn neighbours(&mut self, t: Type, a: Wide, b: Wide) -> (Value, Value) {
        let (x, y) = self.pair_of(I8X16, a, b);
        let size = t.lane_bits() as u8 / 8;
        let place = |i: u8, odd: u8| (i / size * 2 + odd) * size + i % size;
        [0, 1]
            .map(|odd| {
                let v = self.shuffled(x, y, |i| place(i, odd));
                self.cast(t, v)
            })
            .into()
    }

    /// PSIGN: lanes of `a` negated, kept, or 0, as `b` is.
    fn with_sign_of(&mut self, t: Type, a: Wide, b: Wide) -> Value {
        let (x, y) = self.pair_of(t, a, b);
        let zero = self.mask(t, 0);
        let negative = self.b.ins().icmp(IntCC::SignedLessThan, y, zero);
        let flipped = self.b.ins().bxor(x, negative);
        let v = self.b.ins().isub(flipped, negative);
        let none = self.b.ins().icmp(IntCC::Equal, y, zero);
        self.b.ins().band_not(v, none)
    }

    fn shift_operation(&mut self, op: PackedOp, a: Wide, b: Wide) -> Option<Wide> {
        use PackedOp as P;
        let (t, how) = match op {
            P::ShlW => (I16X8, Shift::Left),
            P::ShlD => (I32X4, Shift::Left),
            P::ShlQ => (I64X2, Shift::Left),
            P::ShrW => (I16X8, Shift::Right),
            P::ShrD => (I32X4, Shift::Right),
            P::ShrQ => (I64X2, Shift::Right),
            P::SarW => (I16X8, Shift::Signed),
            P::SarD => (I32X4, Shift::Signed),
            _ => return None,
        };
        let bits = u64::from(t.lane_bits());
        Some(match self.half(b, false) {
            Val::Const(n) if n >= bits && how != Shift::Signed => Wide::Const(0),
            Val::Const(n) => {
                let n = self.b.ins().iconst(I64, n.min(bits - 1) as i64);
                self.shift_lanes(t, how, a, n)
            }
            count => {
                let count = self.node(B64, count);
                self.shift_by(t, how, a, count)
            }
        })
    }

    /// Lanes shifted by a count below their width.
    fn shift_lanes(&mut self, t: Type, how: Shift, a: Wide, n: Value) -> Wide {
        let v = self.lanes(t, a);
        let v = match how {
            Shift::Left => self.b.ins().ishl(v, n),
            Shift::Right => self.b.ins().ushr(v, n),
            Shift::Signed => self.b.ins().sshr(v, n),
        };
        self.wide_of(v)
    }

    /// Lanes shifted by any count: beyond the width nothing is left but signs.
    fn shift_by(&mut self, t: Type, how: Shift, a: Wide, count: Value) -> Wide {
        let bits = i64::from(t.lane_bits());
        if how == Shift::Signed {
            let most = self.b.ins().iconst(I64, bits - 1);
            let n = self.b.ins().umin(count, most);
            return self.shift_lanes(t, how, a, n);
        }
        let shifted = self.shift_lanes(t, how, a, count);
        let inside = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, count, bits);
        let inside = self.b.ins().uextend(I64, inside);
        let mask = self.b.ins().ineg(inside);
        if let Wide::Halves(_, Val::Const(0)) = a {
            let low = self.half(shifted, false);
            return Wide::Halves(self.conjunction(B64, low, Val::Node(mask)), Val::Const(0));
        }
        let mask = self.b.ins().splat(I64X2, mask);
        let v = self.lanes(I64X2, shifted);
        let v = self.b.ins().band(v, mask);
        self.wide_of(v)
    }

    /// Between vectors and integers.
    fn sign_operation(&mut self, op: PackedOp, imm: u8, a: Wide, b: Wide) -> Option<Wide> {
        use PackedOp as P;
        Some(match op {
            P::SignsB => self.signs(I8X16, b),
            P::SignsD => self.signs(I32X4, b),
            P::SignsQ => self.signs(I64X2, b),
            P::InsertW => {
                let v = self.lanes(I16X8, a);
                let word = self.half(b, false);
                let word = self.truncated(B64, B16, word);
                let word = self.node(B16, word);
                let v = self.b.ins().insertlane(v, word, imm & 7);
                self.wide_of(v)
            }
            P::ExtractW => {
                let v = self.lanes(I16X8, b);
                let word = self.b.ins().extractlane(v, imm & 7);
                Wide::Halves(Val::Node(self.b.ins().uextend(I64, word)), Val::Const(0))
            }
            P::MergeLowD | P::MergeLowQ => {
                let v = self.merged(if op == P::MergeLowD { F32X4 } else { F64X2 }, a, b);
                self.inherit_low(b, v);
                v
            }
            _ => return None,
        })
    }

    fn signs(&mut self, t: Type, b: Wide) -> Wide {
        let v = self.lanes(t, b);
        Wide::Halves(Val::Node(self.b.ins().vhigh_bits(I64, v)), Val::Const(0))
    }

    /// The lowest lane of `b`, the others of `a`.
    pub(crate) fn merged(&mut self, t: Type, a: Wide, b: Wide) -> Wide {
        let (x, y) = self.pair_of(t, a, b);
        let low = self.b.ins().extractlane(y, 0);
        let v = self.b.ins().insertlane(x, low, 0);
        self.wide_of(v)
    }
}
