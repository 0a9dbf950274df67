//! The third implementation of [`sem::Emit`]: it computes nothing, and notes which words a body uses.
//!
//! Every way through a body is read: `when` is always entered, and nothing is ever known. What the words reach is
//! P and the window, and the traps of the last three groups; none of them reads or changes M or R.

use cpu::{CpuModel, Fault, Insn, Kind, Width};
use sem::flags::{Flag, Flags};
use sem::fp::{PackedOp, SseOp, X87};
use sem::shape::{Kinds, Picker};
use sem::{Access, Body, Bulk, Emit, Guard, Memory16};
use std::collections::BTreeSet;
use std::fmt;

/// A word of the vocabulary, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Word {
    /// General registers are read or written.
    Registers,
    /// Memory is read through a segment; it may memory-trap.
    Load,
    /// Memory is written through a segment; it may memory-trap.
    Store,
    /// Arithmetic flags are read or set.
    Flags,
    /// DF is read or set.
    Direction,
    /// EIP is read.
    InstructionPointer,
    /// EIP is set, within the limit of CS.
    Jump,
    /// An operation of x87.
    X87,
    /// The x87 pointers are noted: FCS is M as CS shows it, and seen only by what stores it.
    FpuPointers,
    /// MMX or XMM registers, packed operations.
    Packed,
    /// A floating-point operation of SSE, MXCSR.
    Sse,
    /// A step is repeated.
    Repeat,
    /// Traps where the system has switched x87 off, or an exception waits (R decides, in either mode alike).
    GuardFpu,
    /// Traps where the system has switched MMX or SSE off.
    GuardSimd,
    /// Traps by its operands, with this vector.
    Trap(u8),
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Word::Registers => "registers",
            Word::Load => "loads",
            Word::Store => "stores",
            Word::Flags => "flags",
            Word::Direction => "DF",
            Word::InstructionPointer => "reads EIP",
            Word::Jump => "sets EIP",
            Word::X87 => "x87",
            Word::FpuPointers => "notes FCS:FIP",
            Word::Packed => "packed data",
            Word::Sse => "SSE arithmetic",
            Word::Repeat => "repeats",
            Word::GuardFpu => "#NM, #MF by CR0 and the FPU",
            Word::GuardSimd => "#UD, #NM by CR0 and CR4",
            Word::Trap(vector) => return write!(f, "vector {vector} by its operands"),
        };
        f.write_str(text)
    }
}

/// The words that an innocuous instruction's body uses; none where the form has no body.
pub fn words(insn: &Insn) -> Vec<Word> {
    let read = sem::bind(insn, ToWords);
    read.map(|read| read(insn)).unwrap_or_default().into_iter().collect()
}

struct ToWords;

impl Picker for ToWords {
    type Out = fn(&Insn) -> BTreeSet<Word>;
    fn make<B: Body, K: Kinds>(self) -> Self::Out {
        read::<B>
    }
}

/// Both widths of the stack and the newest model: what the others do is among it.
fn read<B: Body>(insn: &Insn) -> BTreeSet<Word> {
    let mut all = BTreeSet::new();
    for stack in [Width::B16, Width::B32] {
        let mut reader = Reader { insn: *insn, stack, words: BTreeSet::new() };
        // it cannot stop
        let Ok(()) = B::run(&mut reader);
        all.append(&mut reader.words);
    }
    all
}

struct Reader {
    insn: Insn,
    stack: Width,
    words: BTreeSet<Word>,
}

/// It goes on behind everything that may stop.
enum Never {}

impl Reader {
    fn note(&mut self, word: Word) {
        self.words.insert(word);
    }

    fn access(&mut self, access: Access) {
        if access != Access::Write {
            self.note(Word::Load);
        }
        if access.writes() {
            self.note(Word::Store);
        }
    }
}

macro_rules! silent {
    ($($name:ident($($argument:ty),*) -> $out:ty;)*) => {
        $(fn $name(&mut self, $(_: $argument),*) -> $out {})*
    };
}

macro_rules! noted {
    ($($name:ident($($argument:ty),*) $word:ident;)*) => {
        $(fn $name(&mut self, $(_: $argument),*) { self.note(Word::$word) })*
    };
}

impl Emit for Reader {
    type Val = ();
    type Wide = ();
    type Place = ();
    type Stop = Never;

    fn insn(&self) -> &Insn {
        &self.insn
    }
    fn model(&self) -> CpuModel {
        CpuModel::Newest
    }
    fn stack_width(&self) -> Width {
        self.stack
    }
    fn operand_kind(&self, n: usize) -> Kind {
        self.insn.kind.get(n).copied().unwrap_or(Kind::None)
    }
    silent! {
        imm(Width, u64) -> ();
        add(Width, (), ()) -> ();
        sub(Width, (), ()) -> ();
        mul(Width, (), ()) -> ();
        udiv(Width, (), ()) -> ();
        urem(Width, (), ()) -> ();
        and(Width, (), ()) -> ();
        or(Width, (), ()) -> ();
        xor(Width, (), ()) -> ();
        shl(Width, (), ()) -> ();
        shr(Width, (), ()) -> ();
        sar(Width, (), ()) -> ();
        sext(Width, Width, ()) -> ();
        zext(Width, Width, ()) -> ();
        trunc(Width, Width, ()) -> ();
        eq(Width, (), ()) -> ();
        ult(Width, (), ()) -> ();
        slt(Width, (), ()) -> ();
        select(Width, (), (), ()) -> ();
        ctz(Width, ()) -> ();
        clz(Width, ()) -> ();
        parity(()) -> ();
        bswap(Width, ()) -> ();
        wide_imm(u128) -> ();
        wide_join((), ()) -> ();
        wide_half((), bool) -> ();
        read((), Width) -> ();
        write((), Width, ()) -> ();
        wide_read((), u32) -> ();
        wide_write((), u32, ()) -> ();
    }
    noted! {
        effective_address() Registers;
        reg(Width, u8) Registers;
        set_reg(Width, u8, ()) Registers;
        mmx(u8) Packed;
        set_mmx(u8, ()) Packed;
        xmm(u8) Packed;
        set_xmm(u8, ()) Packed;
        x87(X87, ()) X87;
        note_fpu() FpuPointers;
        packed(PackedOp, u8, (), ()) Packed;
        mxcsr() Sse;
        set_mxcsr(()) Sse;
        set_flags(Flags<()>) Flags;
        flag(Flag) Flags;
        direction() Direction;
        set_direction(bool) Direction;
        next_ip() InstructionPointer;
        this_ip() InstructionPointer;
        jump(()) Jump;
    }
    fn place(&mut self, n: usize, _: Width, access: Access) -> Result<(), Never> {
        match self.operand_kind(n) {
            Kind::Mem => self.access(access),
            Kind::Reg => self.note(Word::Registers),
            Kind::Imm | Kind::None => {}
        }
        Ok(())
    }
    fn memory(&mut self, _: u8, (): (), _: Width, access: Access) -> Result<(), Never> {
        self.access(access);
        Ok(())
    }
    fn wide_place(&mut self, _: u32, align: Memory16, access: Access) -> Result<(), Never> {
        self.access(access);
        if align == Memory16::Aligned {
            self.note(Word::Trap(cpu::vector::GP));
        }
        Ok(())
    }
    fn sse(&mut self, _: SseOp, _: u8, (): (), (): ()) -> Result<(), Never> {
        self.note(Word::Sse);
        self.note(Word::Trap(cpu::vector::XM));
        Ok(())
    }
    fn check_target(&mut self, (): ()) -> Result<(), Never> {
        self.note(Word::Jump);
        Ok(())
    }
    fn jump_if(&mut self, (): (), (): ()) -> Result<(), Never> {
        self.note(Word::Jump);
        Ok(())
    }
    fn trap_if(&mut self, (): (), fault: Fault) -> Result<(), Never> {
        self.note(Word::Trap(fault.vector));
        Ok(())
    }
    fn guard(&mut self, unit: Guard) -> Result<(), Never> {
        let fpu = matches!(unit, Guard::Fpu | Guard::FpuNoWait);
        self.note(if fpu { Word::GuardFpu } else { Word::GuardSimd });
        Ok(())
    }
    fn when(&mut self, (): (), body: impl FnOnce(&mut Self)) {
        body(self);
    }
    fn repeat(
        &mut self,
        _: Bulk,
        _: Width,
        mut step: impl FnMut(&mut Self) -> Result<(), Never>,
    ) -> Result<(), Never> {
        if self.insn.prefix.repeated() {
            self.note(Word::Repeat);
        }
        step(self)
    }
}
