//! A second reading of the bodies: a compiler into the small form.

use crate::ir::{Block, End, Operation, Program, Step, Value, Variable};
use cpu::Width::{B8, B16, B32, B64};
use cpu::{CpuModel, Fault, Insn, Kind, Prefix, Width, reg, seg};
use sem::flags::{Flag, Flags, canonical, flag_of};
use sem::fp::{PackedOp, SseOp, X87};
use sem::shape::{Kinds, Picker};
use sem::{Access, Body, Bulk, Emit, Guard, Memory16};

/// Why an instruction could not be compiled: the form lacks it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Unsupported;

#[derive(Clone, Copy)]
pub(crate) enum Place {
    Register(u8),
    Immediate,
    Memory(Value),
}

pub(crate) struct Compiler {
    insn: Insn,
    model: CpuModel,
    program: Program,
    current: usize,
}

struct ToProgram;

impl Picker for ToProgram {
    type Out = fn(&Insn, CpuModel) -> Result<Program, Unsupported>;
    fn make<B: Body, K: Kinds>(self) -> Self::Out {
        compile_body::<B>
    }
}

/// Compiles an instruction of 32-bit code in flat segments.
pub(crate) fn compile(insn: &Insn, model: CpuModel) -> Result<Program, Unsupported> {
    sem::bind(insn, ToProgram).ok_or(Unsupported)?(insn, model)
}

fn compile_body<B: Body>(insn: &Insn, model: CpuModel) -> Result<Program, Unsupported> {
    let mut c = Compiler { insn: *insn, model, program: Program::default(), current: 0 };
    c.current = c.block();
    B::run(&mut c)?;
    // the bodies of branches set EIP themselves; none of them is compiled here
    let next = c.next_ip();
    c.step(Step::Set(Variable::Eip, next));
    Ok(c.program)
}

impl Compiler {
    fn block(&mut self) -> usize {
        self.program.blocks.push(Block { steps: Vec::new(), end: End::Return });
        self.program.blocks.len() - 1
    }
    fn step(&mut self, s: Step) {
        self.program.blocks[self.current].steps.push(s);
    }
    /// Ends the current block and goes on in another.
    fn end(&mut self, end: End, next: usize) {
        self.program.blocks[self.current].end = end;
        self.current = next;
    }
    fn value(&mut self) -> Value {
        self.program.values += 1;
        self.program.values - 1
    }
    fn compute(&mut self, op: Operation, w: Width, a: Value, b: Value) -> Value {
        let to = self.value();
        self.step(Step::Compute(op, w, to, a, b));
        to
    }
    fn get(&mut self, v: Variable) -> Value {
        let to = self.value();
        self.step(Step::Get(to, v));
        to
    }
    fn truncate(&mut self, w: Width, a: Value) -> Value {
        let to = self.value();
        self.step(Step::Truncate(w, to, a));
        to
    }
    fn check(&mut self, at: Value, size: u32, access: Access) -> Place {
        self.step(Step::Check(at, size, access.writes()));
        Place::Memory(at)
    }
}

macro_rules! operations {
    ($($name:ident $op:ident;)*) => {
        $(fn $name(&mut self, w: Width, a: Value, b: Value) -> Value {
            self.compute(Operation::$op, w, a, b)
        })*
    };
}

impl Emit for Compiler {
    type Val = Value;
    type Wide = [Value; 2];
    type Place = Place;
    type Stop = Unsupported;

    fn insn(&self) -> &Insn {
        &self.insn
    }
    fn model(&self) -> CpuModel {
        self.model
    }
    fn stack_width(&self) -> Width {
        B32
    }
    fn imm(&mut self, w: Width, k: u64) -> Value {
        let to = self.value();
        self.step(Step::Constant(to, k & w.mask()));
        to
    }
    operations! {
        add Add; sub Sub; mul Mul; udiv Udiv; urem Urem; and And; or Or; xor Xor;
        shl Shl; shr Shr; sar Sar; eq Eq; ult Ult; slt Slt;
    }
    fn sext(&mut self, from: Width, to: Width, a: Value) -> Value {
        let v = self.value();
        self.step(Step::SignExtend(from, to, v, a));
        v
    }
    fn zext(&mut self, from: Width, _: Width, a: Value) -> Value {
        self.truncate(from, a)
    }
    fn trunc(&mut self, _: Width, to: Width, a: Value) -> Value {
        self.truncate(to, a)
    }
    fn select(&mut self, _: Width, c: Value, a: Value, b: Value) -> Value {
        let to = self.value();
        self.step(Step::Select(to, c, a, b));
        to
    }
    fn ctz(&mut self, w: Width, a: Value) -> Value {
        self.compute(Operation::Ctz, w, a, a)
    }
    fn clz(&mut self, w: Width, a: Value) -> Value {
        self.compute(Operation::Clz, w, a, a)
    }
    fn parity(&mut self, a: Value) -> Value {
        self.compute(Operation::Parity, B32, a, a)
    }
    fn bswap(&mut self, w: Width, a: Value) -> Value {
        self.compute(Operation::Bswap, w, a, a)
    }

    fn wide_imm(&mut self, k: u128) -> [Value; 2] {
        [self.imm(B64, k as u64), self.imm(B64, (k >> 64) as u64)]
    }
    fn wide_join(&mut self, low: Value, high: Value) -> [Value; 2] {
        [low, high]
    }
    fn wide_half(&mut self, a: [Value; 2], high: bool) -> Value {
        a[usize::from(high)]
    }

    fn operand_kind(&self, n: usize) -> Kind {
        self.insn.kind[n]
    }
    fn place(&mut self, n: usize, w: Width, access: Access) -> Result<Place, Unsupported> {
        Ok(match self.insn.kind[n] {
            Kind::Reg => Place::Register(self.insn.reg[n]),
            Kind::Mem => {
                let at = self.effective_address();
                self.check(at, w.bytes(), access)
            }
            Kind::Imm | Kind::None => Place::Immediate,
        })
    }
    fn memory(&mut self, _: u8, offset: Value, w: Width, access: Access) -> Result<Place, Unsupported> {
        Ok(self.check(offset, w.bytes(), access))
    }
    fn wide_place(&mut self, bytes: u32, _: Memory16, access: Access) -> Result<Place, Unsupported> {
        let at = self.effective_address();
        Ok(self.check(at, bytes, access))
    }
    fn read(&mut self, p: Place, w: Width) -> Value {
        match p {
            Place::Register(r) => self.reg(w, r),
            Place::Immediate => self.imm(w, u64::from(self.insn.imm)),
            Place::Memory(at) => {
                let to = self.value();
                self.step(Step::Load(to, at, w));
                to
            }
        }
    }
    fn write(&mut self, p: Place, w: Width, v: Value) {
        match p {
            Place::Register(r) => self.set_reg(w, r, v),
            Place::Immediate => {}
            Place::Memory(at) => self.step(Step::Store(at, v, w)),
        }
    }
    fn wide_read(&mut self, p: Place, bytes: u32) -> [Value; 2] {
        let Place::Memory(at) = p else { return self.wide_imm(0) };
        let low = self.read(p, B64);
        let eight = self.imm(B64, 8);
        let rest = self.add(B64, at, eight);
        [low, self.read(Place::Memory(rest), if bytes == 10 { B16 } else { B64 })]
    }
    fn wide_write(&mut self, p: Place, bytes: u32, v: [Value; 2]) {
        let Place::Memory(at) = p else { return };
        let eight = self.imm(B64, 8);
        let rest = self.add(B64, at, eight);
        self.write(p, B64, v[0]);
        self.write(Place::Memory(rest), if bytes == 10 { B16 } else { B64 }, v[1]);
    }
    fn effective_address(&mut self) -> Value {
        let i = self.insn;
        let mut at = self.imm(B32, u64::from(i.disp));
        for (r, scale) in [(i.base, 0), (i.index, i.scale)] {
            if r != reg::NONE {
                let v = self.reg(B32, r);
                let n = self.imm(B32, u64::from(scale));
                let v = self.shl(B32, v, n);
                at = self.add(B32, at, v);
            }
        }
        let mask = self.imm(B32, u64::from(i.addr_mask()));
        self.and(B32, at, mask)
    }
    fn reg(&mut self, w: Width, r: u8) -> Value {
        let v = self.get(Variable::General(r & 15));
        if w == B8 && r & reg::HIGH != 0 {
            let eight = self.imm(B64, 8);
            let v = self.shr(B64, v, eight);
            return self.truncate(B8, v);
        }
        self.truncate(w, v)
    }
    fn set_reg(&mut self, w: Width, r: u8, v: Value) {
        let variable = Variable::General(r & 15);
        let v = if w >= B32 {
            v
        } else {
            let up = if w == B8 && r & reg::HIGH != 0 { 8 } else { 0 };
            let old = self.get(variable);
            let keep = self.imm(B64, !(w.mask() << up));
            let old = self.and(B64, old, keep);
            let n = self.imm(B64, up);
            let v = self.shl(B64, v, n);
            self.or(B64, old, v)
        };
        self.step(Step::Set(variable, v));
    }
    fn mmx(&mut self, _: u8) -> Value {
        self.imm(B64, 0)
    }
    fn set_mmx(&mut self, _: u8, _: Value) {}
    fn xmm(&mut self, _: u8) -> [Value; 2] {
        self.wide_imm(0)
    }
    fn set_xmm(&mut self, _: u8, _: [Value; 2]) {}

    fn x87(&mut self, op: X87, a: [Value; 2]) -> [Value; 2] {
        let to = [self.value(), self.value()];
        self.step(Step::X87(op, to, a));
        to
    }
    fn note_fpu(&mut self) {
        let at = self.effective_address();
        self.step(Step::NoteFpu(at, self.insn.imm as u16, self.insn.kind[0] == Kind::Mem));
    }
    fn packed(&mut self, _: PackedOp, _: u8, a: [Value; 2], _: [Value; 2]) -> [Value; 2] {
        a
    }
    fn sse(&mut self, _: SseOp, _: u8, _: [Value; 2], _: [Value; 2]) -> Result<[Value; 2], Unsupported> {
        Err(Unsupported)
    }
    fn mxcsr(&mut self) -> Value {
        self.imm(B32, 0)
    }
    fn set_mxcsr(&mut self, _: Value) {}

    fn set_flags(&mut self, f: Flags<Value>) {
        let (result, aux) = canonical(self, f);
        self.step(Step::Set(Variable::FlagsResult, result));
        self.step(Step::Set(Variable::FlagsAux, aux));
    }
    fn flag(&mut self, f: Flag) -> Value {
        let form = (self.get(Variable::FlagsResult), self.get(Variable::FlagsAux));
        flag_of(self, form, f)
    }
    fn direction(&mut self) -> Value {
        self.get(Variable::Direction)
    }
    fn set_direction(&mut self, down: bool) {
        let v = self.imm(B32, u64::from(down));
        self.step(Step::Set(Variable::Direction, v));
    }

    fn next_ip(&mut self) -> Value {
        let ip = self.this_ip();
        let len = self.imm(B32, u64::from(self.insn.len));
        self.add(B32, ip, len)
    }
    fn this_ip(&mut self) -> Value {
        self.get(Variable::Eip)
    }
    fn check_target(&mut self, _: Value) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
    fn jump(&mut self, _: Value) {}
    fn jump_if(&mut self, _: Value, _: Value) -> Result<(), Unsupported> {
        Err(Unsupported)
    }
    fn trap_if(&mut self, c: Value, fault: Fault) -> Result<(), Unsupported> {
        self.step(Step::TrapIf(c, fault));
        Ok(())
    }
    fn guard(&mut self, unit: Guard) -> Result<(), Unsupported> {
        // the tests run with the FPU on and nothing pending
        if matches!(unit, Guard::Fpu | Guard::FpuNoWait) { Ok(()) } else { Err(Unsupported) }
    }
    fn when(&mut self, c: Value, body: impl FnOnce(&mut Self)) {
        let (inside, after) = (self.block(), self.block());
        self.end(End::Branch(c, inside, after), inside);
        body(self);
        self.end(End::Jump(after), after);
    }
    fn repeat(
        &mut self,
        bulk: Bulk,
        _: Width,
        mut step: impl FnMut(&mut Self) -> Result<(), Unsupported>,
    ) -> Result<(), Unsupported> {
        if !self.insn.prefix.repeated() {
            return step(self);
        }
        let cw = if self.insn.addr32 { B32 } else { B16 };
        let (head, body, after) = (self.block(), self.block(), self.block());
        self.end(End::Jump(head), head);
        let count = self.reg(cw, reg::CX);
        self.end(End::Branch(count, body, after), body);
        step(self)?;
        let count = self.reg(cw, reg::CX);
        let one = self.imm(cw, 1);
        let left = self.sub(cw, count, one);
        self.set_reg(cw, reg::CX, left);
        if matches!(bulk, Bulk::Scan | Bulk::Compare) {
            let zf = self.flag(Flag::ZF);
            let (yes, no) = if self.insn.prefix.has(Prefix::REP) { (head, after) } else { (after, head) };
            self.end(End::Branch(zf, yes, no), after);
        } else {
            self.end(End::Jump(head), after);
        }
        Ok(())
    }
}

/// The segment that the tests use for data; the compiler takes every segment as flat.
pub(crate) const FLAT: [u8; 4] = [seg::ES, seg::CS, seg::SS, seg::DS];
