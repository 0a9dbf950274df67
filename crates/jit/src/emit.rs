//! [`Emit`] by Cranelift.

use crate::flags::{Base, FlagState};
use crate::lower::{Lower, Transfer, Unsupported, Val, bits, guest, ty};
use cpu::Width::{B8, B16, B32, B64};
use cpu::{CpuModel, Fault, Insn, Kind, State, Width, eflags, reg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, I8, I32, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value};
use sem::flags::{Flag, Flags};
use sem::fp::{PackedOp, SseOp, X87};
use sem::{Access, Bulk, Emit, Guard, Memory16};
use std::mem::offset_of;

/// An operand that was found.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Reg(u8),
    Imm,
    Host(Value),
    /// Memory that is looked for when it is written: at this linear address.
    Store(Value),
}

const EFLAGS: i32 = offset_of!(State, eflags) as i32;

impl Emit for Lower<'_, '_> {
    type Val = Val;
    type Wide = crate::wide::Wide;
    type Place = Place;
    type Stop = Unsupported;

    fn insn(&self) -> &Insn {
        &self.insn
    }
    fn model(&self) -> CpuModel {
        self.plan.model
    }
    fn stack_width(&self) -> Width {
        self.plan.key.stack()
    }

    fn imm(&mut self, w: Width, k: u64) -> Val {
        Val::Const(k & w.mask())
    }
    fn known(&self, v: Val) -> Option<u64> {
        if let Val::Const(k) = v { Some(k) } else { None }
    }
    fn add(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.sum(w, a, b)
    }
    fn sub(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.difference(w, a, b)
    }
    fn mul(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.product(w, a, b)
    }
    fn udiv(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.quotient(w, a, b, false)
    }
    fn urem(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.quotient(w, a, b, true)
    }
    fn quotient(&mut self, w: Width, signed: bool, a: (Val, Val), b: Val) -> Result<Val, Unsupported> {
        Ok(if signed { self.signed_division(w, a, b) } else { self.unsigned_division(w, a, b) })
    }
    fn and(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.conjunction(w, a, b)
    }
    fn or(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.disjunction(w, a, b)
    }
    fn xor(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.exclusive(w, a, b)
    }
    fn shl(&mut self, w: Width, a: Val, n: Val) -> Val {
        self.shift_left(w, a, n)
    }
    fn shr(&mut self, w: Width, a: Val, n: Val) -> Val {
        self.shift_right(w, a, n, false)
    }
    fn sar(&mut self, w: Width, a: Val, n: Val) -> Val {
        self.shift_right(w, a, n, true)
    }
    fn rotl(&mut self, w: Width, a: Val, n: Val) -> Val {
        self.rotated(w, a, n)
    }
    fn sext(&mut self, from: Width, to: Width, a: Val) -> Val {
        self.extended(from, to, a, true)
    }
    fn zext(&mut self, from: Width, to: Width, a: Val) -> Val {
        self.extended(from, to, a, false)
    }
    fn trunc(&mut self, from: Width, to: Width, a: Val) -> Val {
        self.truncated(from, to, a)
    }
    fn eq(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.test(w, IntCC::Equal, crate::fold::eq, a, b)
    }
    fn ult(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.test(w, IntCC::UnsignedLessThan, crate::fold::ult, a, b)
    }
    fn slt(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.test(w, IntCC::SignedLessThan, crate::fold::slt, a, b)
    }
    fn select(&mut self, w: Width, c: Val, a: Val, b: Val) -> Val {
        self.chosen(w, c, a, b)
    }
    fn ctz(&mut self, w: Width, a: Val) -> Val {
        let a = self.node(w, a);
        Val::Node(self.b.ins().ctz(a))
    }
    fn clz(&mut self, w: Width, a: Val) -> Val {
        let a = self.node(w, a);
        Val::Node(self.b.ins().clz(a))
    }
    fn parity(&mut self, a: Val) -> Val {
        let a = self.truncated(B64, B8, a);
        let a = self.node(B8, a);
        let ones = self.b.ins().popcnt(a);
        let odd = self.b.ins().band_imm_u(ones, 1);
        let zero = self.b.ins().iconst(I8, 0);
        Val::Test(IntCC::Equal, odd, zero)
    }
    fn bswap(&mut self, w: Width, a: Val) -> Val {
        let a = self.node(w, a);
        Val::Node(if w == B8 { a } else { self.b.ins().bswap(a) })
    }

    fn wide_imm(&mut self, k: u128) -> Self::Wide {
        self.wide_constant(k)
    }
    fn wide_join(&mut self, low: Val, high: Val) -> Self::Wide {
        self.joined(low, high)
    }
    fn wide_half(&mut self, a: Self::Wide, high: bool) -> Val {
        self.half(a, high)
    }

    fn operand_kind(&self, n: usize) -> Kind {
        self.insn.kind[n]
    }
    fn place(&mut self, n: usize, w: Width, access: Access) -> Result<Place, Unsupported> {
        let p = match self.insn.kind[n] {
            Kind::Reg => Place::Reg(self.insn.reg[n]),
            Kind::Mem if access == Access::Write && self.only_stores() => self.store_operand(w),
            Kind::Mem => Place::Host(self.find_operand(w.bytes(), access.writes())),
            Kind::Imm | Kind::None => Place::Imm,
        };
        Ok(self.remember_operand(p))
    }
    fn memory(&mut self, seg: u8, offset: Val, w: Width, access: Access) -> Result<Place, Unsupported> {
        Ok(Place::Host(self.find(seg, offset, w.bytes(), access.writes())))
    }
    fn wide_place(&mut self, bytes: u32, align: Memory16, access: Access) -> Result<Place, Unsupported> {
        if align == Memory16::Aligned {
            // where the offset or the base of the segment is odd, the interpreter raises what there
            // is to raise
            let at = self.effective();
            let mut at = self.node(B32, at);
            if !self.plan.key.flat(self.insn.seg, access.writes()) {
                let segment = size_of::<cpu::Segment>() * usize::from(self.insn.seg & 7);
                let base = offset_of!(State, seg) + segment + offset_of!(cpu::Segment, base);
                let base = self.load_own(I32, base as i32);
                at = self.b.ins().bor(at, base);
            }
            let odd = self.b.ins().band_imm_u(at, 15);
            self.give_up_if(odd);
        }
        let p = Place::Host(self.find_operand(bytes, access.writes()));
        Ok(self.remember_operand(p))
    }
    fn read(&mut self, p: Place, w: Width) -> Val {
        match p {
            Place::Reg(r) => self.reg(w, r),
            Place::Imm => Val::Const(u64::from(self.insn.imm) & w.mask()),
            Place::Host(at) if self.vectors.is_some() && w == B64 => self.load_double(at),
            Place::Host(at) if self.vectors.is_some() && w == B32 => {
                Val::Float(self.b.ins().load(F32, guest(), at, 0))
            }
            Place::Host(at) => Val::Node(self.b.ins().load(ty(w), guest(), at, 0)),
            // what is only written is not read
            Place::Store(_) => Val::Const(0),
        }
    }
    fn write(&mut self, p: Place, w: Width, v: Val) {
        match p {
            Place::Reg(r) => self.set_reg(w, r, v),
            Place::Imm => {}
            Place::Host(_) if v == Val::Written => {}
            Place::Store(linear) => {
                let v = self.node(w, v);
                self.store(linear, v, w.bytes());
            }
            Place::Host(at) => {
                if let Val::Low(v) = v {
                    self.used(v);
                }
                let v = match self.float_of(w, v) {
                    Some(f) => f,
                    None => self.node(w, v),
                };
                self.b.ins().store(guest(), v, at, 0);
            }
        }
    }
    fn wide_read(&mut self, p: Place, bytes: u32) -> Self::Wide {
        self.load_wide(p, bytes)
    }
    fn wide_write(&mut self, p: Place, bytes: u32, v: Self::Wide) {
        self.store_wide(p, bytes, v);
    }
    fn effective_address(&mut self) -> Val {
        self.effective()
    }
    fn reg(&mut self, w: Width, r: u8) -> Val {
        if r == reg::NONE && w != B8 {
            return Val::Const(0);
        }
        let v = self.slot(u32::from(r & 7));
        match w {
            B8 if r & reg::HIGH != 0 => {
                let v = self.shift_right(B32, v, Val::Const(8), false);
                self.truncated(B32, B8, v)
            }
            B8 | B16 => self.truncated(B32, w, v),
            B32 => v,
            B64 => self.extended(B32, B64, v, false),
        }
    }
    fn set_reg(&mut self, w: Width, r: u8, v: Val) {
        let slot = u32::from(r & 7);
        let new = match w {
            B32 => v,
            B64 => self.truncated(B64, B32, v),
            _ => {
                let up = if w == B8 && r & reg::HIGH != 0 { 8 } else { 0 };
                let old = self.slot(slot);
                let old = self.conjunction(B32, old, Val::Const(!(w.mask() << up) & B32.mask()));
                let v = self.extended(w, B32, v, false);
                let v = self.shift_left(B32, v, Val::Const(up));
                self.disjunction(B32, old, v)
            }
        };
        self.set_slot(slot, new);
    }
    fn mmx(&mut self, r: u8) -> Val {
        Val::Low(self.slot_node(crate::effects::MMX + u32::from(r & 7)))
    }
    fn set_mmx(&mut self, r: u8, v: Val) {
        self.write_mmx(r, v);
    }
    fn xmm(&mut self, r: u8) -> Self::Wide {
        self.read_xmm(r)
    }
    fn set_xmm(&mut self, r: u8, v: Self::Wide) {
        self.write_xmm(r, v);
    }

    fn x87(&mut self, op: X87, a: Self::Wide) -> Self::Wide {
        self.x87_operation(op, a)
    }
    fn note_fpu(&mut self) {
        self.note_instruction();
    }
    fn packed(&mut self, op: PackedOp, imm: u8, a: Self::Wide, b: Self::Wide) -> Self::Wide {
        self.packed_operation(op, imm, a, b)
    }
    fn sse(&mut self, op: SseOp, imm: u8, a: Self::Wide, b: Self::Wide) -> Result<Self::Wide, Unsupported> {
        self.sse_operation(op, imm, a, b)
    }
    fn mxcsr(&mut self) -> Val {
        Val::Node(self.load_own(I32, offset_of!(State, mxcsr) as i32))
    }
    fn set_mxcsr(&mut self, v: Val) {
        let v = self.node(B32, v);
        self.store_own(v, offset_of!(State, mxcsr) as i32);
    }

    fn set_flags(&mut self, f: Flags<Val>) {
        self.say(f);
    }
    fn set_flags_if(&mut self, c: Val, f: Flags<Val>) {
        self.say_if(c, f);
    }
    fn flag(&mut self, f: Flag) -> Val {
        self.one_flag(f)
    }
    fn condition(&mut self, cc: u8) -> Val {
        self.one_condition(cc)
    }
    fn direction(&mut self) -> Val {
        let flags = self.load_own(I32, EFLAGS);
        let bit = self.b.ins().band_imm_u(flags, i64::from(eflags::DF));
        let zero = self.b.ins().iconst(I32, 0);
        Val::Test(IntCC::NotEqual, bit, zero)
    }
    fn set_direction(&mut self, down: bool) {
        let flags = self.load_own(I32, EFLAGS);
        let df = i64::from(eflags::DF);
        let flags =
            if down { self.b.ins().bor_imm_u(flags, df) } else { self.b.ins().band_imm_s(flags, !df) };
        self.store_own(flags, EFLAGS);
    }

    fn next_ip(&mut self) -> Val {
        let off = self.off.wrapping_add(u32::from(self.insn.len));
        Val::Node(self.ip(off))
    }
    fn this_ip(&mut self) -> Val {
        let off = self.off;
        Val::Node(self.ip(off))
    }
    fn check_target(&mut self, offset: Val) -> Result<(), Unsupported> {
        if self.plan.key.cs_flat() {
            return Ok(());
        }
        let offset = self.node(B32, offset);
        let at = offset_of!(State, seg) + size_of::<cpu::Segment>() * usize::from(cpu::seg::CS);
        let limit = self.load_own(I32, (at + offset_of!(cpu::Segment, limit)) as i32);
        let outside = self.b.ins().icmp(IntCC::UnsignedGreaterThan, offset, limit);
        self.give_up_if(outside);
        Ok(())
    }
    fn jump(&mut self, offset: Val) {
        self.transfer = Some(Transfer::Jump(offset));
    }
    fn jump_if(&mut self, c: Val, offset: Val) -> Result<(), Unsupported> {
        if !self.plan.key.cs_flat() {
            let checked = self.chosen(B32, c, offset, Val::Const(0));
            self.check_target(checked)?;
        }
        self.transfer = Some(Transfer::If(c, offset));
        Ok(())
    }
    fn trap_if(&mut self, c: Val, _: Fault) -> Result<(), Unsupported> {
        match c {
            Val::Const(0) => {}
            Val::Const(_) => return Err(Unsupported),
            c => {
                let c = self.condition_node(c);
                self.give_up_if(c);
            }
        }
        Ok(())
    }
    fn guard(&mut self, unit: Guard) -> Result<(), Unsupported> {
        self.guard_unit(unit)
    }
    fn when(&mut self, c: Val, body: impl FnOnce(&mut Self)) {
        match c {
            Val::Const(0) => {}
            Val::Const(_) => body(self),
            c => self.fork(c, body),
        }
    }
    fn repeat(
        &mut self,
        _: Bulk,
        _: Width,
        mut step: impl FnMut(&mut Self) -> Result<(), Unsupported>,
    ) -> Result<(), Unsupported> {
        if self.insn.prefix.repeated() {
            return Err(Unsupported);
        }
        step(self)
    }
}

impl Lower<'_, '_> {
    /// `body` in a block of its own, and what it has changed merged with what was.
    fn fork(&mut self, c: Val, body: impl FnOnce(&mut Self)) {
        let (then, other, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let c = self.condition_node(c);
        // loads of the block before are good in both
        self.b.ins().brif(c, then, &[], other, &[]);
        self.go(then);
        let (registers, written, flags, base) = (self.registers, self.written, self.flags.clone(), self.base);
        self.written = 0;
        body(self);
        let changed = self.written;
        let says = self.flags != flags;
        let mut new: Vec<BlockArg> = bits(changed).map(|n| self.slot_node(n).into()).collect();
        if says {
            let pair = self.pair();
            new.extend(self.pair_args(pair));
        }
        self.b.ins().jump(join, &new);
        self.go(other);
        (self.registers, self.flags, self.base) = (registers, flags.clone(), base);
        let mut old: Vec<BlockArg> = bits(changed).map(|n| self.slot_node(n).into()).collect();
        if says {
            let pair = self.pair();
            old.extend(self.pair_args(pair));
        }
        self.b.ins().jump(join, &old);
        // what the other block has computed for itself is not known behind the join
        (self.registers, self.flags, self.base) = (registers, flags, base);
        self.written = written;
        let merged: Vec<(u32, Value)> =
            bits(changed).map(|n| (n, self.b.append_block_param(join, crate::lower::type_of(n)))).collect();
        let pair = says.then(|| (self.b.append_block_param(join, I64), self.b.append_block_param(join, I64)));
        self.go(join);
        merged.into_iter().for_each(|(n, v)| self.set_slot(n, Val::Node(v)));
        if let Some((result, aux)) = pair {
            self.flags = FlagState::of(Base::Pair(Val::Node(result), Val::Node(aux)));
        }
    }

    fn pair_args(&mut self, (result, aux): (Val, Val)) -> [BlockArg; 2] {
        [self.node(B64, result).into(), self.node(B64, aux).into()]
    }
}
