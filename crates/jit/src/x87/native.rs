//! The host's code for a guest's x87 instruction.

use isa::{Insn, Kind, Mnemonic as M};

/// The longest stub, FCOMI's.
const LONGEST: usize = 14;

/// Machine code to be called while the guest's FPU lives in the host's: it ends in RET, and touches nothing
/// but the x87 unit, its slot, the stack below its own return address, and EFLAGS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stub {
    bytes: [u8; LONGEST],
    len: u8,
}

impl Stub {
    fn new() -> Stub {
        Stub { bytes: [0; LONGEST], len: 0 }
    }

    fn push(mut self, bytes: &[u8]) -> Stub {
        let at = usize::from(self.len);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
        self
    }

    /// An instruction with the memory operand `[rdi + slot]`; `digit` is the opcode's extension.
    fn memory(self, opcode: u8, digit: u8, slot: i32) -> Stub {
        self.push(&[opcode, 0x80 | digit << 3 | 7]).push(&slot.to_le_bytes())
    }

    fn ret(self) -> Stub {
        self.push(&[0xc3])
    }

    /// The bytes, position-independent.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// How an instruction becomes the host's.
enum Shape {
    /// The instruction itself.
    Same,
    /// FNSTSW, FNSTCW: the memory form of this opcode and digit, whatever the guest's destination.
    Word(u8, u8),
    /// FCOMI and its like: EFLAGS go to the slot.
    Flags,
    /// FCMOVcc: the slot holds the condition.
    MoveIf,
    /// An instruction that does nothing.
    Nothing,
}

/// Which instructions are native, and how.
///
/// Not so: transcendental functions, whose last digits are each processor's own. FPREM and FPREM1, whose
/// partial steps and condition codes without a quotient are each processor's own, too; so is what FBLD makes
/// of invalid digits (all: SDM vol. 2), and whether FSTPNCE, which has no page there, finds an empty ST(0).
/// FNINIT and what else resets the pointers needs more than the unit.
fn shape(mnemonic: M) -> Option<Shape> {
    Some(match mnemonic {
        M::Fld | M::Fild | M::Fst | M::Fstp | M::Fist | M::Fistp | M::Fisttp | M::Fbstp => Shape::Same,
        M::Fld1 | M::Fldl2t | M::Fldl2e | M::Fldpi | M::Fldlg2 | M::Fldln2 | M::Fldz => Shape::Same,
        M::Fadd | M::Faddp | M::Fiadd | M::Fmul | M::Fmulp | M::Fimul => Shape::Same,
        M::Fsub | M::Fsubp | M::Fisub | M::Fsubr | M::Fsubrp | M::Fisubr => Shape::Same,
        M::Fdiv | M::Fdivp | M::Fidiv | M::Fdivr | M::Fdivrp | M::Fidivr => Shape::Same,
        M::Fcom | M::Fcomp | M::Fcompp | M::Ficom | M::Ficomp => Shape::Same,
        M::Fucom | M::Fucomp | M::Fucompp | M::Ftst | M::Fxam => Shape::Same,
        M::Fchs | M::Fabs | M::Fsqrt | M::Frndint | M::Fscale | M::Fxtract => Shape::Same,
        M::Fxch | M::Ffree | M::Ffreep | M::Fincstp | M::Fdecstp => Shape::Same,
        M::Fnclex | M::Fldcw => Shape::Same,
        M::Fnstsw => Shape::Word(0xdd, 7),
        M::Fnstcw => Shape::Word(0xd9, 7),
        M::Fcomi | M::Fcomip | M::Fucomi | M::Fucomip => Shape::Flags,
        M::Fcmovb | M::Fcmovnb | M::Fcmove | M::Fcmovne => Shape::MoveIf,
        M::Fcmovbe | M::Fcmovnbe | M::Fcmovu | M::Fcmovnu => Shape::MoveIf,
        M::Fnop | M::Fneni | M::Fndisi | M::Fnsetpm => Shape::Nothing,
        _ => return None,
    })
}

/// The stub for an instruction, if it is one that the host does as [`sem`] does. Its operand, read or
/// written, is at `[rdi + slot]`:
///
/// - a memory operand's own bytes, no more;
/// - the word that FNSTSW or FNSTCW gives, also where the guest wants it in AX;
/// - FLDCW's new control word, which must mask all exceptions;
/// - after FCOMI and its like a quadword with EFLAGS, of which CF, PF and ZF count;
/// - before FCMOVcc a doubleword that is zero unless its condition holds.
pub(crate) fn native(insn: &Insn, slot: i32) -> Option<Stub> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    let (escape, modrm) = (0xd8 | (insn.imm >> 8 & 7) as u8, insn.imm as u8);
    let stub = Stub::new();
    let stub = match shape(insn.code.mnemonic())? {
        Shape::Same if insn.kind.contains(&Kind::Mem) => stub.memory(escape, modrm >> 3 & 7, slot),
        Shape::Same => stub.push(&[escape, modrm]),
        Shape::Word(opcode, digit) => stub.memory(opcode, digit, slot),
        // fincstp; fdecstp clear C1, which some processors leave as it was (the manual: cleared); fcomi;
        // pushfq; pop [slot]
        Shape::Flags => stub.push(&[0xd9, 0xf7, 0xd9, 0xf6, escape, modrm, 0x9c]).memory(0x8f, 0, slot),
        // cmp dword [slot], 0; fcmovne, which takes an empty register as any FCMOVcc does
        Shape::MoveIf => stub.memory(0x83, 7, slot).push(&[0, 0xdb, 0xc8 | modrm & 7]),
        Shape::Nothing => stub,
    };
    Some(stub.ret())
}

/// The instruction reads and writes nothing but the unit.
pub(crate) fn stays_inside(insn: &Insn) -> bool {
    !insn.kind.contains(&Kind::Mem)
        && matches!(shape(insn.code.mnemonic()), Some(Shape::Same | Shape::Nothing))
}

/// It gives something to the slot, besides which it reads and writes nothing but the unit.
pub(crate) fn gives_to_slot(insn: &Insn) -> bool {
    !insn.kind.contains(&Kind::Mem)
        && matches!(shape(insn.code.mnemonic()), Some(Shape::Flags | Shape::Word(..)))
}

/// It has a memory operand and no other.
pub(crate) fn has_memory_operand(insn: &Insn) -> bool {
    insn.kind.contains(&Kind::Mem) && matches!(shape(insn.code.mnemonic()), Some(Shape::Same))
}
