//! Which kinds of operands a body meets, so that an engine can have one routine a combination.

use crate::Body;
use cpu::{Insn, Kind};

/// Operand kinds fixed for a routine; `None` means that the instruction tells.
pub trait Kinds {
    /// Of operand 0.
    const OP0: Option<Kind>;
    /// Of operand 1.
    const OP1: Option<Kind>;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $a:expr, $b:expr;)*) => {
        $($(#[$doc])* #[derive(Debug)] pub struct $name;
        impl Kinds for $name { const OP0: Option<Kind> = $a; const OP1: Option<Kind> = $b; })*
    };
}

kinds! {
    /// Register, register.
    RegReg = Some(Kind::Reg), Some(Kind::Reg);
    /// Register, memory.
    RegMem = Some(Kind::Reg), Some(Kind::Mem);
    /// Memory, register.
    MemReg = Some(Kind::Mem), Some(Kind::Reg);
    /// Register, immediate.
    RegImm = Some(Kind::Reg), Some(Kind::Imm);
    /// Memory, immediate.
    MemImm = Some(Kind::Mem), Some(Kind::Imm);
    /// An immediate alone.
    ImmOnly = Some(Kind::Imm), Some(Kind::None);
    /// None.
    NoOperand = Some(Kind::None), Some(Kind::None);
    /// Whatever the instruction has.
    Dynamic = None, None;
}

/// What an engine makes of a body and the kinds of its operands.
pub trait Picker {
    /// Usually a function pointer.
    type Out;
    /// The routine for `B` over operands of kinds `K`.
    fn make<B: Body, K: Kinds>(self) -> Self::Out;
}

/// The combinations that are worth a routine of their own.
pub trait Shape {
    /// Chooses by the instruction's operands.
    fn pick<B: Body, P: Picker>(insn: &Insn, p: P) -> P::Out;
}

/// Two operands: registers, memory, immediates.
#[derive(Debug)]
pub struct Two;
/// One operand, register or memory, or with a count.
#[derive(Debug)]
pub struct One;
/// A branch or push of an immediate, or none.
#[derive(Debug)]
pub struct Immediate;
/// Vector registers and memory.
#[derive(Debug)]
pub struct Vector;
/// No operands.
#[derive(Debug)]
pub struct Nullary;
/// Too rare for special routines.
#[derive(Debug)]
pub struct Any;

impl Shape for Two {
    fn pick<B: Body, P: Picker>(insn: &Insn, p: P) -> P::Out {
        match (insn.kind[0], insn.kind[1]) {
            (Kind::Reg, Kind::Reg) => p.make::<B, RegReg>(),
            (Kind::Reg, Kind::Mem) => p.make::<B, RegMem>(),
            (Kind::Mem, Kind::Reg) => p.make::<B, MemReg>(),
            (Kind::Reg, Kind::Imm) => p.make::<B, RegImm>(),
            (Kind::Mem, Kind::Imm) => p.make::<B, MemImm>(),
            _ => p.make::<B, Dynamic>(),
        }
    }
}

impl Shape for One {
    fn pick<B: Body, P: Picker>(insn: &Insn, p: P) -> P::Out {
        match (insn.kind[0], insn.kind[1]) {
            (Kind::Reg, Kind::None) => p.make::<B, RegReg>(),
            (Kind::Mem, Kind::None) => p.make::<B, MemReg>(),
            _ => p.make::<B, Dynamic>(),
        }
    }
}

impl Shape for Immediate {
    fn pick<B: Body, P: Picker>(insn: &Insn, p: P) -> P::Out {
        match insn.kind[0] {
            Kind::Imm => p.make::<B, ImmOnly>(),
            Kind::None => p.make::<B, NoOperand>(),
            _ => p.make::<B, Dynamic>(),
        }
    }
}

impl Shape for Nullary {
    fn pick<B: Body, P: Picker>(_: &Insn, p: P) -> P::Out {
        p.make::<B, NoOperand>()
    }
}

impl Shape for Vector {
    fn pick<B: Body, P: Picker>(insn: &Insn, p: P) -> P::Out {
        match (insn.kind[0], insn.kind[1]) {
            (Kind::Reg, Kind::Reg) => p.make::<B, RegReg>(),
            (Kind::Reg, Kind::Mem) => p.make::<B, RegMem>(),
            (Kind::Mem, Kind::Reg) => p.make::<B, MemReg>(),
            _ => p.make::<B, Dynamic>(),
        }
    }
}

impl Shape for Any {
    fn pick<B: Body, P: Picker>(_: &Insn, p: P) -> P::Out {
        p.make::<B, Dynamic>()
    }
}
