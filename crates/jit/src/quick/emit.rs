//! [`Emit`] by the quick tier: general registers, memory, flags and jumps. What computes with floating-point numbers
//! or vectors, divides or repeats has no code here.

use super::asm::{Alu, Cc, RAX, Rm, Shift};
use super::flags::{Base, FlagState};
use super::temps::Temp;
use super::writer::{Arg, Transfer, Val, Writer, state};
use crate::fold;
use crate::lower::Unsupported;
use crate::plan::FlagNeed;
use cpu::Width::{B8, B16, B32, B64};
use cpu::{CpuModel, Fault, Insn, Kind, Segment, State, Width, eflags, reg, seg};
use sem::flags::{Flag, Flags};
use sem::fp::{PackedOp, SseOp, X87};
use sem::{Access, Bulk, Emit, Guard, Memory16};
use std::mem::offset_of;

/// An operand that was found.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Reg(u8),
    Imm,
    /// At this host address.
    Host(Temp),
}

/// Nothing has 128 bits here.
#[derive(Clone, Copy)]
pub(super) struct Nothing;

const EFLAGS: usize = offset_of!(State, eflags);

impl Writer<'_> {
    fn folded(&mut self, w: Width, f: fn(Width, u64, u64) -> u64, op: Alu, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(a), Val::Const(b)) => Val::Const(f(w, a, b)),
            (v, Val::Const(0)) | (Val::Const(0), v) if matches!(op, Alu::Add | Alu::Or | Alu::Xor) => v,
            (v, Val::Const(0)) if op == Alu::Sub => v,
            (Val::Ip(off), Val::Const(k)) if op == Alu::Add && w == B32 => {
                Val::Ip(off.wrapping_add(k as u32))
            }
            (Val::Test(cc, w, a, b), Val::Const(1)) if op == Alu::Xor => Val::Test(cc.inverted(), w, a, b),
            (a, b) => self.binary(w, op, a, b),
        }
    }

    fn tested(&mut self, w: Width, f: fn(Width, u64, u64) -> u64, cc: Cc, a: Val, b: Val) -> Val {
        if let (Val::Const(a), Val::Const(b)) = (a, b) {
            return Val::Const(f(w, a, b));
        }
        // a comparison of a comparison with nothing is its opposite
        if let (Val::Test(inner, iw, ia, ib), Val::Const(0), Cc::Equal) = (a, b, cc) {
            return Val::Test(inner.inverted(), iw, ia, ib);
        }
        let a = self.temp(a);
        let b = self.arg(if w == B64 { B64 } else { B32 }, b);
        Val::Test(cc, w, a, b)
    }

    fn shifted_or_folded(
        &mut self,
        w: Width,
        f: fn(Width, u64, u64) -> u64,
        op: Shift,
        a: Val,
        n: Val,
    ) -> Val {
        match (a, n) {
            (Val::Const(a), Val::Const(n)) => Val::Const(f(w, a, n)),
            (a, Val::Const(0)) => a,
            (a, n) => self.shifted(w, op, a, n),
        }
    }

    /// The position of a bit, or `none` where there is none.
    fn scanned(&mut self, w: Width, reverse: bool, none: u64, a: Val) -> (Temp, super::asm::Host) {
        let from = self.in_host(a);
        let (t, to) = self.fresh();
        self.asm.constant(to, none);
        self.asm.scan(if w == B64 { B64 } else { B32 }, reverse, RAX, Rm::Reg(from));
        self.asm.move_if(B64, Cc::NotEqual, to, Rm::Reg(RAX));
        (t, to)
    }
}

impl Emit for Writer<'_> {
    type Val = Val;
    type Wide = Nothing;
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
        self.folded(w, fold::add, Alu::Add, a, b)
    }
    fn sub(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.folded(w, fold::sub, Alu::Sub, a, b)
    }
    fn mul(&mut self, w: Width, a: Val, b: Val) -> Val {
        if let (Val::Const(a), Val::Const(b)) = (a, b) {
            return Val::Const(fold::mul(w, a, b));
        }
        let (a, b) = (self.temp(a), self.temp(b));
        let (t, to) = self.fresh();
        let (a, b) = (self.host(a), self.host(b));
        self.asm.load(B64, to, Rm::Reg(a));
        self.asm.multiply(if w == B64 { B64 } else { B32 }, to, Rm::Reg(b));
        self.narrow(w, to);
        Val::Temp(t)
    }
    fn udiv(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(a), Val::Const(b)) => Val::Const(fold::udiv(w, a, b)),
            _ => self.fail(),
        }
    }
    fn urem(&mut self, w: Width, a: Val, b: Val) -> Val {
        match (a, b) {
            (Val::Const(a), Val::Const(b)) => Val::Const(fold::urem(w, a, b)),
            _ => self.fail(),
        }
    }
    fn quotient(&mut self, _: Width, _: bool, _: (Val, Val), _: Val) -> Result<Val, Unsupported> {
        Err(Unsupported)
    }
    fn and(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.folded(w, fold::and, Alu::And, a, b)
    }
    fn or(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.folded(w, fold::or, Alu::Or, a, b)
    }
    fn xor(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.folded(w, fold::xor, Alu::Xor, a, b)
    }
    fn shl(&mut self, w: Width, a: Val, n: Val) -> Val {
        self.shifted_or_folded(w, fold::shl, Shift::Left, a, n)
    }
    fn shr(&mut self, w: Width, a: Val, n: Val) -> Val {
        self.shifted_or_folded(w, fold::shr, Shift::Right, a, n)
    }
    fn sar(&mut self, w: Width, a: Val, n: Val) -> Val {
        self.shifted_or_folded(w, fold::sar, Shift::Arithmetic, a, n)
    }
    fn sext(&mut self, from: Width, to: Width, a: Val) -> Val {
        if let Val::Const(k) = a {
            return Val::Const(fold::sext(from, to, k));
        }
        let h = self.in_host(a);
        let (t, into) = self.fresh();
        self.asm.load_signed(from, if to == B64 { B64 } else { B32 }, into, Rm::Reg(h));
        self.narrow(to, into);
        Val::Temp(t)
    }
    fn zext(&mut self, _: Width, _: Width, a: Val) -> Val {
        a
    }
    fn trunc(&mut self, from: Width, to: Width, a: Val) -> Val {
        match a {
            Val::Const(k) => Val::Const(k & to.mask()),
            a if to >= from => a,
            a => {
                let h = self.in_host(a);
                let (t, into) = self.fresh();
                self.asm.load(to, into, Rm::Reg(h));
                Val::Temp(t)
            }
        }
    }
    fn eq(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.tested(w, fold::eq, Cc::Equal, a, b)
    }
    fn ult(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.tested(w, fold::ult, Cc::Below, a, b)
    }
    fn slt(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.tested(w, fold::slt, Cc::Less, a, b)
    }
    fn select(&mut self, _: Width, c: Val, a: Val, b: Val) -> Val {
        if let Val::Const(k) = c {
            return if k != 0 { a } else { b };
        }
        let (a, c) = (self.temp(a), if let Val::Test(..) = c { c } else { Val::Temp(self.temp(c)) });
        let from = self.in_host(b);
        let (t, to) = self.fresh();
        self.asm.load(B64, to, Rm::Reg(from));
        let cc = match c {
            Val::Test(cc, w, x, y) => {
                self.compare(cc, w, x, y);
                cc
            }
            c => {
                let h = self.in_host(c);
                self.asm.test(B32, h, h);
                Cc::NotEqual
            }
        };
        // what brings a value to its register leaves the host's flags alone
        let (a, to) = (self.host(a), self.host(t));
        self.asm.move_if(B64, cc, to, Rm::Reg(a));
        Val::Temp(t)
    }
    fn ctz(&mut self, w: Width, a: Val) -> Val {
        Val::Temp(self.scanned(w, false, u64::from(w.bits()), a).0)
    }
    fn clz(&mut self, w: Width, a: Val) -> Val {
        // the number of the highest bit, from the width's, which are a power of two
        let bits = w.bits();
        let (t, h) = self.scanned(w, true, u64::from(2 * bits - 1), a);
        self.asm.alu_constant(B32, Alu::Xor, Rm::Reg(h), bits as i32 - 1);
        Val::Temp(t)
    }
    fn parity(&mut self, a: Val) -> Val {
        match a {
            Val::Const(k) => Val::Const(u64::from((k as u8).count_ones().is_multiple_of(2))),
            a => Val::Test(Cc::Parity, B8, self.temp(a), Arg::Const(0)),
        }
    }
    fn bswap(&mut self, w: Width, a: Val) -> Val {
        let from = self.in_host(a);
        let (t, to) = self.fresh();
        self.asm.load(B64, to, Rm::Reg(from));
        match w {
            B8 => {}
            B16 => {
                self.asm.bswap(B32, to);
                self.asm.shift_constant(B32, Shift::Right, Rm::Reg(to), 16);
            }
            w => self.asm.bswap(w, to),
        }
        Val::Temp(t)
    }

    fn wide_imm(&mut self, _: u128) -> Nothing {
        self.fail();
        Nothing
    }
    fn wide_join(&mut self, _: Val, _: Val) -> Nothing {
        self.fail();
        Nothing
    }
    fn wide_half(&mut self, _: Nothing, _: bool) -> Val {
        self.fail()
    }

    fn operand_kind(&self, n: usize) -> Kind {
        self.insn.kind[n]
    }
    fn place(&mut self, n: usize, w: Width, access: Access) -> Result<Place, Unsupported> {
        Ok(match self.insn.kind[n] {
            Kind::Reg => Place::Reg(self.insn.reg[n]),
            Kind::Mem => Place::Host(self.find_operand(w.bytes(), access.writes())),
            Kind::Imm | Kind::None => Place::Imm,
        })
    }
    fn memory(&mut self, seg: u8, offset: Val, w: Width, access: Access) -> Result<Place, Unsupported> {
        Ok(Place::Host(self.find_at(seg, offset, w.bytes(), access.writes())))
    }
    fn wide_place(&mut self, _: u32, _: Memory16, _: Access) -> Result<Place, Unsupported> {
        Err(Unsupported)
    }
    fn read(&mut self, p: Place, w: Width) -> Val {
        match p {
            Place::Reg(r) => self.reg(w, r),
            Place::Imm => Val::Const(u64::from(self.insn.imm) & w.mask()),
            Place::Host(at) => {
                let at = self.host(at);
                let (t, to) = self.fresh();
                self.asm.load(w, to, Rm::At(at, 0));
                Val::Temp(t)
            }
        }
    }
    fn write(&mut self, p: Place, w: Width, v: Val) {
        match p {
            Place::Reg(r) => self.set_reg(w, r, v),
            Place::Imm => {}
            Place::Host(at) => match v {
                Val::Const(k) if w < B64 => {
                    let at = self.host(at);
                    self.asm.store_constant(w, Rm::At(at, 0), k as u32);
                }
                v => {
                    let v = self.temp(v);
                    let at = self.host(at);
                    let v = self.host(v);
                    self.asm.store(w, Rm::At(at, 0), v);
                }
            },
        }
    }
    fn wide_read(&mut self, _: Place, _: u32) -> Nothing {
        self.fail();
        Nothing
    }
    fn wide_write(&mut self, _: Place, _: u32, _: Nothing) {
        self.fail();
    }
    fn effective_address(&mut self) -> Val {
        self.effective()
    }
    fn reg(&mut self, w: Width, r: u8) -> Val {
        if r == reg::NONE && w != B8 {
            return Val::Const(0);
        }
        let t = self.register_value(r);
        if w >= B32 {
            return Val::Temp(t);
        }
        let from = self.host(t);
        let (t, to) = self.fresh();
        if w == B8 && r & reg::HIGH != 0 {
            self.asm.load(B32, to, Rm::Reg(from));
            self.asm.shift_constant(B32, Shift::Right, Rm::Reg(to), 8);
            self.narrow(B8, to);
        } else {
            self.asm.load(w, to, Rm::Reg(from));
        }
        Val::Temp(t)
    }
    fn set_reg(&mut self, w: Width, r: u8, v: Val) {
        match w {
            B32 => self.set_register(r, v),
            B64 => {
                let v = self.trunc(B64, B32, v);
                self.set_register(r, v);
            }
            w => self.set_part(r, w, if w == B8 && r & reg::HIGH != 0 { 8 } else { 0 }, v),
        }
    }
    fn mmx(&mut self, _: u8) -> Val {
        self.fail()
    }
    fn set_mmx(&mut self, _: u8, _: Val) {
        self.fail();
    }
    fn xmm(&mut self, _: u8) -> Nothing {
        self.fail();
        Nothing
    }
    fn set_xmm(&mut self, _: u8, _: Nothing) {
        self.fail();
    }

    fn x87(&mut self, _: X87, _: Nothing) -> Nothing {
        self.fail();
        Nothing
    }
    fn note_fpu(&mut self) {
        self.fail();
    }
    fn packed(&mut self, _: PackedOp, _: u8, _: Nothing, _: Nothing) -> Nothing {
        self.fail();
        Nothing
    }
    fn sse(&mut self, _: SseOp, _: u8, _: Nothing, _: Nothing) -> Result<Nothing, Unsupported> {
        Err(Unsupported)
    }
    fn mxcsr(&mut self) -> Val {
        self.fail()
    }
    fn set_mxcsr(&mut self, _: Val) {
        self.fail();
    }

    fn set_flags(&mut self, f: Flags<Val>) {
        self.say(f);
    }
    fn set_flags_if(&mut self, c: Val, f: Flags<Val>) {
        match c {
            _ if self.wanted == FlagNeed::Dead => {}
            Val::Const(0) => {}
            Val::Const(_) => self.say(f),
            c => self.fork_flags(c, f),
        }
    }
    fn flag(&mut self, f: Flag) -> Val {
        self.one_flag(f)
    }
    fn condition(&mut self, cc: u8) -> Val {
        self.one_condition(cc)
    }
    fn direction(&mut self) -> Val {
        let (t, h) = self.fresh();
        self.asm.load(B32, h, state(EFLAGS));
        self.asm.shift_constant(B32, Shift::Right, Rm::Reg(h), eflags::DF.trailing_zeros() as u8);
        self.asm.alu_constant(B32, Alu::And, Rm::Reg(h), 1);
        Val::Temp(t)
    }
    fn set_direction(&mut self, down: bool) {
        let (op, k) = if down { (Alu::Or, eflags::DF) } else { (Alu::And, !eflags::DF) };
        self.asm.alu_constant(B32, op, state(EFLAGS), k as i32);
    }

    fn next_ip(&mut self) -> Val {
        Val::Ip(self.off.wrapping_add(u32::from(self.insn.len)))
    }
    fn this_ip(&mut self) -> Val {
        Val::Ip(self.off)
    }
    fn check_target(&mut self, offset: Val) -> Result<(), Unsupported> {
        if self.plan.key.cs_flat() {
            return Ok(());
        }
        let h = self.in_host(offset);
        let leave = self.leave();
        let limit = super::access::segment_field(seg::CS, offset_of!(Segment, limit));
        self.asm.alu(B32, Alu::Cmp, h, limit);
        self.asm.jump_if(Cc::Above, leave);
        Ok(())
    }
    fn jump(&mut self, offset: Val) {
        self.transfer = Some(Transfer::Jump(offset));
    }
    fn jump_if(&mut self, c: Val, offset: Val) -> Result<(), Unsupported> {
        if !self.plan.key.cs_flat() {
            let zero = Val::Const(0);
            let checked = self.select(B32, c, offset, zero);
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
                // the exit has to know where values are at the jump: nothing may move behind it
                let c = Val::Temp(self.temp(c));
                self.in_host(c);
                let leave = self.leave();
                self.branch(c, true, leave);
            }
        }
        Ok(())
    }
    fn guard(&mut self, _: Guard) -> Result<(), Unsupported> {
        Err(Unsupported)
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

impl Writer<'_> {
    /// `body`, which says nothing of flags, where `c` is not 0.
    fn fork(&mut self, c: Val, body: impl FnOnce(&mut Self)) {
        let skip = self.asm.label();
        self.branch(c, false, skip);
        let (before, flags) = (self.temps.clone(), self.flags.clone());
        body(self);
        self.failed |= self.flags != flags;
        self.rejoin(&before);
        self.asm.bind(skip);
    }

    /// Flags that are said where `c` is not 0: both ways leave them in their canonical form in memory.
    fn fork_flags(&mut self, c: Val, f: Flags<Val>) {
        // the condition may be of values that are not needed for anything else
        let c = if let Val::Test(..) = c { Val::Temp(self.temp(c)) } else { c };
        self.settle();
        let skip = self.asm.label();
        self.branch(c, false, skip);
        let before = self.temps.clone();
        self.say(f);
        self.settle();
        self.rejoin(&before);
        self.flags = FlagState::of(Base::Canonical);
        self.asm.bind(skip);
    }

    /// Notes a run of the block of this number.
    pub(super) fn count_run(&mut self, block: usize) {
        self.asm.constant(RAX, self.counters[block]);
        self.asm.decrement(Rm::At(RAX, 0));
    }
}
