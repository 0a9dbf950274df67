//! The instructions, and what the variants of the machine make of the sensitive ones in user mode.

use super::{Format, Word};

/// An operation. Those from [`Op::Lpsw`] on are the sensitive ones and those that the variants make so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Op {
    /// Nothing.
    Nop,
    /// A := a.
    Li,
    /// A := the word at a.
    Ld,
    /// The word at a := A.
    St,
    /// A := the word that the word at a points to.
    Ldx,
    /// The word that the word at a points to := A.
    Stx,
    /// A := A plus the word at a.
    Add,
    /// A := A minus the word at a.
    Sub,
    /// A := A and the word at a, bit by bit.
    And,
    /// A := A shifted left by a bits.
    Shl,
    /// A := A shifted right by a bits.
    Shr,
    /// A := 1 if A is less than the word at a, else 0.
    Lt,
    /// P := a.
    Jmp,
    /// P := a if A is 0.
    Bz,
    /// P := a if A is not 0.
    Bnz,
    /// A := P + 1, P := a.
    Call,
    /// P := A.
    Ret,
    /// A trap, in either mode: the supervisor call.
    Svc,
    /// Load PSW from a.
    Lpsw,
    /// A := M, as 0 or 1.
    Rmode,
    /// A := R.
    Rrel,
    /// R := the word at a.
    Setr,
    /// The timer := the word at a; 0 stops it.
    Sett,
    /// A := the timer.
    Rtim,
    /// The mask := the lowest bit of A.
    Popf,
    /// Halts the processor.
    Halt,
    /// Writes A to the console.
    Out,
    /// JRST 1 of the PDP-10: P := a, M := u.
    Jrst,
}

impl Op {
    /// All, in the order of their numbers, the first of which is 1: a word of zeros is no instruction.
    pub const ALL: [Op; 28] = [
        Op::Nop,
        Op::Li,
        Op::Ld,
        Op::St,
        Op::Ldx,
        Op::Stx,
        Op::Add,
        Op::Sub,
        Op::And,
        Op::Shl,
        Op::Shr,
        Op::Lt,
        Op::Jmp,
        Op::Bz,
        Op::Bnz,
        Op::Call,
        Op::Ret,
        Op::Svc,
        Op::Lpsw,
        Op::Rmode,
        Op::Rrel,
        Op::Setr,
        Op::Sett,
        Op::Rtim,
        Op::Popf,
        Op::Halt,
        Op::Out,
        Op::Jrst,
    ];

    /// The mnemonic.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; 28] = [
            "NOP", "LI", "LD", "ST", "LDX", "STX", "ADD", "SUB", "AND", "SHL", "SHR", "LT", "JMP", "BZ",
            "BNZ", "CALL", "RET", "SVC", "LPSW", "RMODE", "RREL", "SETR", "SETT", "RTIM", "POPF", "HALT",
            "OUT", "JRST",
        ];
        NAMES[self as usize]
    }

    /// It is for supervisors: in user mode the virtualizable machine traps.
    #[inline(always)]
    pub fn restricted(self) -> bool {
        self as usize >= Op::Lpsw as usize
    }

    /// Its address means something.
    pub fn has_operand(self) -> bool {
        !matches!(self, Op::Nop | Op::Ret | Op::Rmode | Op::Rrel | Op::Rtim | Op::Popf | Op::Halt | Op::Out)
    }
}

/// What a restricted instruction does in user mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UserMode {
    /// It traps.
    Traps,
    /// It does as in supervisor mode.
    Executes,
    /// It does nothing, and says nothing.
    Silent,
}

/// Which machine it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Variant {
    /// All sensitive instructions trap in user mode.
    Virtualizable,
    /// JRST 1 does not: in user mode it is a jump (the paper, section 8, of the PDP-10).
    Jrst1,
    /// POPF does not: in user mode it does nothing, as x86's does to the interrupt flag.
    Popf,
    /// RREL does not: everyone may read R.
    ReadR,
    /// RMODE does not: everyone may read M, as by the 68000's MOVE from SR.
    ReadMode,
}

impl Variant {
    /// All.
    pub const ALL: [Variant; 5] =
        [Variant::Virtualizable, Variant::Jrst1, Variant::Popf, Variant::ReadR, Variant::ReadMode];

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Virtualizable => "virtualizable",
            Variant::Jrst1 => "JRST 1",
            Variant::Popf => "silent POPF",
            Variant::ReadR => "readable R",
            Variant::ReadMode => "readable M",
        }
    }

    /// The instruction that does not trap.
    pub fn culprit(self) -> Option<Op> {
        match self {
            Variant::Virtualizable => None,
            Variant::Jrst1 => Some(Op::Jrst),
            Variant::Popf => Some(Op::Popf),
            Variant::ReadR => Some(Op::Rrel),
            Variant::ReadMode => Some(Op::Rmode),
        }
    }

    /// What a restricted instruction does in user mode.
    #[inline]
    pub fn in_user_mode(self, op: Op) -> UserMode {
        match self.culprit() == Some(op) {
            false => UserMode::Traps,
            true if self == Variant::Popf => UserMode::Silent,
            true => UserMode::Executes,
        }
    }
}

/// An operation with its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Instruction {
    /// The operation.
    pub op: Op,
    /// a.
    pub a: Word,
}

impl Instruction {
    /// An instruction.
    pub fn new(op: Op, a: Word) -> Instruction {
        Instruction { op, a }
    }

    /// As a word: the number in the low 8 bits, the address above.
    pub fn encode(self) -> Word {
        (self.op as Word + 1) | (self.a << 8)
    }

    /// From a word, if it is one.
    #[inline]
    pub fn decode(w: Word, f: Format) -> Option<Instruction> {
        let op = *Op::ALL.get(((w & 0xff) as usize).wrapping_sub(1))?;
        Some(Instruction { op, a: f.address(w >> 8) })
    }
}

impl std::fmt::Display for Instruction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.op.has_operand() {
            true => write!(f, "{} {}", self.op.name(), self.a),
            false => f.write_str(self.op.name()),
        }
    }
}
