//! 128-bit values in compiled code: vectors, halves, constants.

use crate::effects::{MMX, Vectors, XMM};
use crate::emit::Place;
use crate::lower::{Lower, Val, guest};
use cpu::Width::{B16, B32, B64};
use cpu::{State, Width};
use cranelift_codegen::ir::types::{F32, F32X4, F64, F64X2, I8X16, I16, I32, I64, I64X2};
use cranelift_codegen::ir::{ConstantData, InstBuilder, MemFlagsData, Type, Value};
use std::mem::offset_of;

/// A 128-bit value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Wide {
    Const(u128),
    /// Of type I8X16.
    Vector(Value),
    /// Low and high 64 bits.
    Halves(Val, Val),
}

pub(crate) fn bits_only() -> MemFlagsData {
    MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little)
}

impl Lower<'_, '_> {
    pub(crate) fn wide_constant(&mut self, k: u128) -> Wide {
        Wide::Const(k)
    }

    pub(crate) fn joined(&mut self, low: Val, high: Val) -> Wide {
        match (low, high) {
            (Val::Const(l), Val::Const(h)) => Wide::Const(u128::from(l) | u128::from(h) << 64),
            _ => Wide::Halves(low, high),
        }
    }

    pub(crate) fn half(&mut self, a: Wide, high: bool) -> Val {
        match a {
            Wide::Const(k) => Val::Const(if high { (k >> 64) as u64 } else { k as u64 }),
            Wide::Halves(l, h) => {
                if high {
                    h
                } else {
                    l
                }
            }
            Wide::Vector(v) if high => {
                let v = self.shuffled(v, v, |i| 8 + i % 8);
                Val::Low(self.cast(I8X16, v))
            }
            Wide::Vector(v) => Val::Low(v),
        }
    }

    /// Eight bytes for a vector register: at once for an MMX register, for which more is stored than the result.
    pub(crate) fn load_double(&mut self, at: Value) -> Val {
        let f = self.b.ins().load(F64, guest(), at, 0);
        if self.vectors == Some(Vectors::Mmx) {
            Val::Low(self.extended_vector(Val::Float(f)))
        } else {
            Val::Float(f)
        }
    }

    /// The lowest lane of a vector as a floating-point value: it stays in its register.
    pub(crate) fn lane(&mut self, t: Type, v: Value) -> Value {
        let v = self.cast(if t == F64 { F64X2 } else { F32X4 }, v);
        self.b.ins().extractlane(v, 0)
    }

    /// A floating-point value, if the bits of one width are there as such.
    pub(crate) fn float_of(&mut self, w: Width, v: Val) -> Option<Value> {
        let t = match w {
            B32 => F32,
            B64 => F64,
            _ => return None,
        };
        match v {
            Val::Low(v) => Some(self.lane(t, v)),
            Val::Float(f) if self.b.func.dfg.value_type(f) == t => Some(f),
            _ => None,
        }
    }

    /// The bits of [`Val::Low`] and [`Val::Float`] as an integer: a move between register files.
    pub(crate) fn bits(&mut self, w: Width, v: Val) -> Value {
        let f = match v {
            Val::Low(v) => self.lane(if w == B64 { F64 } else { F32 }, v),
            Val::Float(f) => f,
            v => return self.node(w, v),
        };
        let t = if self.b.func.dfg.value_type(f) == F64 { I64 } else { I32 };
        let bits = self.b.ins().bitcast(t, bits_only(), f);
        self.fitted(w, bits)
    }

    /// The value as a vector of 16 bytes.
    pub(crate) fn vector(&mut self, a: Wide) -> Value {
        match a {
            Wide::Vector(v) => v,
            Wide::Const(k) => {
                let data = ConstantData::from(&k.to_le_bytes()[..]);
                let constant = self.b.func.dfg.constants.insert(data);
                self.b.ins().vconst(I8X16, constant)
            }
            Wide::Halves(l, Val::Const(0)) => self.extended_vector(l),
            Wide::Halves(Val::Low(l), h) => self.with_high(l, h),
            Wide::Halves(l, h) => {
                let v = self.extended_vector(l);
                self.with_high(v, h)
            }
        }
    }

    /// A half with zeros above.
    fn extended_vector(&mut self, low: Val) -> Value {
        let v = match low {
            Val::Low(v) => {
                let f = self.lane(F64, v);
                self.b.ins().scalar_to_vector(F64X2, f)
            }
            Val::Float(f) => {
                let double = self.b.func.dfg.value_type(f) == F64;
                self.b.ins().scalar_to_vector(if double { F64X2 } else { F32X4 }, f)
            }
            v => {
                let v = self.node(B64, v);
                self.b.ins().scalar_to_vector(I64X2, v)
            }
        };
        self.cast(I8X16, v)
    }

    /// A vector with another high half.
    fn with_high(&mut self, v: Value, high: Val) -> Value {
        let v = match (self.float_of(B64, high), high) {
            (Some(f), _) => {
                let v = self.cast(F64X2, v);
                self.b.ins().insertlane(v, f, 1)
            }
            (None, high) => {
                let high = self.node(B64, high);
                let v = self.cast(I64X2, v);
                self.b.ins().insertlane(v, high, 1)
            }
        };
        self.cast(I8X16, v)
    }

    /// The same bits as another vector type.
    pub(crate) fn cast(&mut self, t: Type, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == t { v } else { self.b.ins().bitcast(t, bits_only(), v) }
    }

    /// A vector of any type as a wide value.
    pub(crate) fn wide_of(&mut self, v: Value) -> Wide {
        Wide::Vector(self.cast(I8X16, v))
    }

    pub(crate) fn read_xmm(&mut self, r: u8) -> Wide {
        Wide::Vector(self.slot_node(XMM + u32::from(r & 7)))
    }

    pub(crate) fn write_xmm(&mut self, r: u8, v: Wide) {
        let v = self.vector(v);
        self.set_slot(XMM + u32::from(r & 7), Val::Node(v));
    }

    /// Writing an MMX register sets the exponent above it to ones (SDM vol. 1, 9.2).
    pub(crate) fn write_mmx(&mut self, r: u8, v: Val) {
        if self.exponents >> (r & 7) & 1 == 0 {
            self.exponents |= 1 << (r & 7);
            let ones = self.b.ins().iconst(I16, 0xffff);
            let at = offset_of!(State, fpu) + crate::mmx_exponent_offset(usize::from(r & 7));
            self.store_own(ones, at as i32);
        }
        let v = match v {
            Val::Low(v) => v,
            v => self.extended_vector(v),
        };
        self.set_slot(MMX + u32::from(r & 7), Val::Node(v));
    }

    pub(crate) fn load_wide(&mut self, p: Place, bytes: u32) -> Wide {
        let Place::Host(at) = p else { return Wide::Const(0) };
        if bytes == 16 {
            return Wide::Vector(self.b.ins().load(I8X16, guest(), at, 0));
        }
        let low = self.b.ins().load(I64, guest(), at, 0);
        let high = self.b.ins().load(I16, guest(), at, 8);
        let high = self.b.ins().uextend(I64, high);
        Wide::Halves(Val::Node(low), Val::Node(high))
    }

    pub(crate) fn store_wide(&mut self, p: Place, bytes: u32, v: Wide) {
        let Place::Host(at) = p else { return };
        if matches!(v, Wide::Halves(Val::Written, _)) {
            return;
        }
        if bytes == 16 {
            let v = self.vector(v);
            self.used(v);
            self.b.ins().store(guest(), v, at, 0);
            return;
        }
        let (low, high) = (self.half(v, false), self.half(v, true));
        let low = self.node(B64, low);
        self.b.ins().store(guest(), low, at, 0);
        let high = self.truncated(B64, B16, high);
        let high = self.node(Width::B16, high);
        self.b.ins().store(guest(), high, at, 8);
    }
}
