//! What keeps compiled floating point exact: numbers that were looked at.
//!
//! Where the host is not an x86 ([`crate::Arithmetic::Checked`]) it computes as the guest would, but its flags
//! are not asked for. So every operand has to be a number that raises nothing by itself, and every result one
//! that can only be inexact: zeros, and numbers whose exponent is neither the largest nor near the smallest. An
//! exponent field of 1 could be tiny before it was rounded (SDM vol. 1, 4.9.1.5), so three are left out with one
//! mask.

use crate::config::Arithmetic;
use crate::effects::{MMX, XMM};
use crate::lower::{Lower, Val};
use crate::wide::{Wide, bits_only};
use cpu::Width::{B32, B64};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F32X4, F64, F64X2, I8X16, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{self, InstBuilder, Type, Value};

/// Elements of a vector: double or single numbers, and which of them (the lowest is bit 0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Elements {
    pub(crate) double: bool,
    pub(crate) lanes: u8,
}

impl Elements {
    pub(crate) const fn low(double: bool) -> Elements {
        Elements { double, lanes: 1 }
    }
    pub(crate) const fn all(double: bool) -> Elements {
        Elements { double, lanes: if double { 3 } else { 15 } }
    }
    /// The two low single numbers.
    pub(crate) const PAIR: Elements = Elements { double: false, lanes: 3 };

    /// The vector type.
    pub(crate) fn vector(self) -> Type {
        if self.double { F64X2 } else { F32X4 }
    }
    /// The type of one element.
    pub(crate) fn scalar(self) -> Type {
        if self.double { F64 } else { F32 }
    }
    fn integer(self) -> Type {
        if self.double { I64 } else { I32 }
    }
    /// A constant with a doubleword in those that hold exponents of these elements, and another in
    /// the rest.
    fn exponents(self, inside: u32, outside: u32) -> u128 {
        (0..4).fold(0, |k, n| {
            let here = if self.double {
                n & 1 != 0 && self.lanes >> (n / 2) & 1 != 0
            } else {
                self.lanes >> n & 1 != 0
            };
            k | u128::from(if here { inside } else { outside }) << (32 * n)
        })
    }
}

/// One number of a vector or of memory.
#[derive(Clone, Copy)]
pub(crate) struct Scalar {
    pub(crate) float: Value,
    bits: Option<Value>,
}

/// Where a result may be zero.
#[derive(Clone, Copy)]
pub(crate) enum Zeros<'a> {
    Anywhere,
    /// Where one of these is zero: else it is a number that was too small.
    Like(&'a [Value]),
}

/// The doublewords where zeros are clean: computed for rare cases only.
pub(crate) type ZeroMask<'a, L> = &'a dyn Fn(&mut L) -> Value;
/// A vector, and where it may have zeros, if not anywhere.
pub(crate) type VectorResult<'a, L> = (Value, Option<ZeroMask<'a, L>>);

impl Lower<'_, '_> {
    /// Numbers are looked at.
    pub(crate) fn checked(&self) -> bool {
        self.options.arithmetic == Arithmetic::Checked
    }

    fn is_clean(&self, v: Value, e: Elements) -> bool {
        let includes = |c: Elements| c.double == e.double && c.lanes & e.lanes == e.lanes;
        self.clean.iter().any(|&(known, c)| known == v && includes(c))
    }

    /// Remembers elements as clean.
    pub(crate) fn set_clean(&mut self, v: Wide, e: Elements) {
        if let Wide::Vector(v) = v {
            self.clean.push((v, e));
        }
    }

    /// What is known of registers at the end of a block.
    pub(crate) fn clean_registers(&self) -> Vec<(u32, Elements)> {
        let value = |slot: u32| match self.registers[slot as usize] {
            Some(Val::Node(v)) => Some((slot, v)),
            _ => None,
        };
        let known = |(slot, v): (u32, Value)| {
            self.clean.iter().filter(move |known| known.0 == v).map(move |known| (slot, known.1))
        };
        (XMM..MMX).filter_map(value).flat_map(known).collect()
    }

    /// The same at the start of the one block that follows.
    pub(crate) fn set_clean_registers(&mut self, known: &[(u32, Elements)]) {
        for &(slot, e) in known {
            let v = self.slot_node(slot);
            self.clean.push((v, e));
        }
    }

    /// Gives up unless these registers are clean.
    pub(crate) fn demand_clean_registers(&mut self, wanted: &[(u32, Elements)]) {
        for &(slot, e) in wanted {
            let v = self.slot_node(slot);
            if e == Elements::low(e.double) {
                self.clean_scalar(Wide::Vector(v), e.double);
            } else {
                self.demand_vectors(e, &[v], None);
            }
        }
    }

    /// The same elements of `to` are clean that are so in `from`.
    pub(crate) fn inherit_low(&mut self, from: Wide, to: Wide) {
        for double in [false, true] {
            if let Wide::Vector(v) = from
                && self.is_clean(v, Elements::low(double))
            {
                self.set_clean(to, Elements::low(double));
            }
        }
    }

    /// The lowest number, looked at.
    pub(crate) fn clean_scalar(&mut self, a: Wide, double: bool) -> Scalar {
        let e = Elements::low(double);
        let (key, s) = match a {
            Wide::Halves(low, _) if !matches!(low, Val::Low(_)) => {
                let w = if double { B64 } else { B32 };
                match self.float_of(w, low) {
                    Some(float) => (float, Scalar { float, bits: None }),
                    None => {
                        let bits = self.node(w, low);
                        let float = self.b.ins().bitcast(e.scalar(), bits_only(), bits);
                        (bits, Scalar { float, bits: Some(bits) })
                    }
                }
            }
            Wide::Halves(Val::Low(v), _) => (v, Scalar { float: self.lane(e.scalar(), v), bits: None }),
            a => {
                let v = self.vector(a);
                let lanes = self.cast(e.vector(), v);
                (v, Scalar { float: self.b.ins().extractlane(lanes, 0), bits: None })
            }
        };
        if self.checked() && !self.is_clean(key, e) {
            self.demand_scalar(s, double, Zeros::Anywhere);
            self.clean.push((key, e));
        }
        s
    }

    /// The number's bits in an integer.
    pub(crate) fn bits_of(&mut self, s: Scalar, double: bool) -> Value {
        match s.bits {
            Some(v) => v,
            None => self.b.ins().bitcast(Elements::low(double).integer(), bits_only(), s.float),
        }
    }

    /// Gives up unless a result is clean.
    pub(crate) fn demand_result(&mut self, f: Value, double: bool, zeros: Zeros<'_>) {
        if !self.checked() {
            return;
        }
        self.demand_scalar(Scalar { float: f, bits: None }, double, zeros);
    }

    fn demand_scalar(&mut self, s: Scalar, double: bool, zeros: Zeros<'_>) {
        let bits = self.bits_of(s, double);
        let (shift, mask) = if double { (52, 0x7fc) } else { (23, 0xfc) };
        let exponent = self.b.ins().ushr_imm_u(bits, shift);
        let exponent = self.b.ins().iadd_imm_s(exponent, 1);
        let plain = self.b.ins().band_imm_u(exponent, mask);
        let suspicious = self.b.ins().icmp_imm_u(IntCC::Equal, plain, 0);
        let (on, there) = self.look(suspicious);
        // once more, so that the hot path may overwrite them
        let bits = self.bits_of(s, double);
        let mut fine = self.is_zero(bits);
        if let Zeros::Like(operands) = zeros {
            let mut some = None;
            for &v in operands {
                let zero = self.is_zero_float(v);
                some = Some(some.map_or(zero, |s| self.b.ins().bor(s, zero)));
            }
            fine = some.map_or(fine, |s| self.b.ins().band(fine, s));
        }
        self.b.ins().brif(fine, on, &[], there, &[]);
        self.go(on);
    }

    /// Goes on in a cold block if `c`; gives the block behind it, and the one to leave by.
    fn look(&mut self, c: Value) -> (ir::Block, ir::Block) {
        let there = self.leave();
        let (cold, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        self.b.ins().brif(c, cold, &[], on, &[]);
        self.go(cold);
        (on, there)
    }

    /// Nothing but the sign may be set.
    fn is_zero(&mut self, bits: Value) -> Value {
        let magnitude = self.b.ins().ishl_imm_u(bits, 1);
        self.b.ins().icmp_imm_u(IntCC::Equal, magnitude, 0)
    }

    fn is_zero_float(&mut self, f: Value) -> Value {
        let double = self.b.func.dfg.value_type(f) == F64;
        let bits = self.bits_of(Scalar { float: f, bits: None }, double);
        self.is_zero(bits)
    }

    /// Gives up unless these elements of the operands, as far as they are not known, and of a result
    /// are clean; from here on they are known.
    pub(crate) fn demand_vectors(
        &mut self,
        e: Elements,
        operands: &[Value],
        result: Option<VectorResult<'_, Self>>,
    ) {
        let mut unknown: Vec<Value> = operands.iter().copied().filter(|&v| !self.is_clean(v, e)).collect();
        unknown.dedup();
        let all: Vec<Value> = unknown.iter().copied().chain(result.map(|(v, _)| v)).collect();
        if all.is_empty() {
            return;
        }
        let any = self.suspects(&all, e);
        let any = self.b.ins().vhigh_bits(I32, any);
        let (on, there) = self.look(any);
        let limited = result.and_then(|(v, zeros)| zeros.map(|z| (v, z)));
        let bad = self.unclean(&all, e, limited);
        self.b.ins().brif(bad, there, &[], on, &[]);
        self.go(on);
        self.clean.extend(all.iter().map(|&v| (v, e)));
    }

    /// Not 0 where a suspect is no zero, or a zero of the vector named is none of those that may be.
    fn unclean(&mut self, all: &[Value], e: Elements, limited: Option<(Value, ZeroMask<'_, Self>)>) -> Value {
        let mut bad = self.mask(I32X4, 0);
        for &v in all {
            let suspects = self.suspects(&[v], e);
            let mut fine = self.zero_lanes(v, e.double);
            if let Some((_, zeros)) = limited.filter(|l| l.0 == v) {
                let allowed = zeros(self);
                fine = self.b.ins().band(fine, allowed);
            }
            let rest = self.b.ins().band_not(suspects, fine);
            bad = self.b.ins().bor(bad, rest);
        }
        self.b.ins().vany_true(bad)
    }

    /// All ones in the doublewords that hold exponents of elements that may be other than clean, in
    /// one of the vectors. Without its sign and with 1 added such an exponent is the least.
    fn suspects(&mut self, vectors: &[Value], e: Elements) -> Value {
        let (one, mask) = if e.double { (1 << 21, 0xff80_0000) } else { (1 << 24, 0xfc00_0000) };
        let one = self.mask(I32X4, e.exponents(one, 0));
        let mut least = None;
        for &v in vectors {
            let bits = self.cast(I32X4, v);
            let magnitude = self.b.ins().iadd(bits, bits);
            let exponent = self.b.ins().iadd(magnitude, one);
            least = Some(least.map_or(exponent, |l| self.b.ins().umin(l, exponent)));
        }
        let mask = self.mask(I32X4, e.exponents(mask, 0));
        let none = self.mask(I32X4, e.exponents(0, 1));
        let plain = least.map_or(none, |l| self.b.ins().band(l, mask));
        self.b.ins().icmp(IntCC::Equal, plain, none)
    }

    /// All ones in the doublewords of elements that are zero.
    pub(crate) fn zero_lanes(&mut self, v: Value, double: bool) -> Value {
        let t = if double { I64X2 } else { I32X4 };
        let v = self.cast(t, v);
        let magnitude = self.b.ins().iadd(v, v);
        let zero = self.mask(t, 0);
        let equal = self.b.ins().icmp(IntCC::Equal, magnitude, zero);
        self.cast(I32X4, equal)
    }

    /// A result's low element put into `a`, which is clean there.
    pub(crate) fn with_low(&mut self, a: Wide, f: Value, double: bool) -> Wide {
        let e = Elements::low(double);
        let v = self.lanes(e.vector(), a);
        let v = self.b.ins().insertlane(v, f, 0);
        let v = Wide::Vector(self.cast(I8X16, v));
        self.set_clean(v, e);
        v
    }
}
