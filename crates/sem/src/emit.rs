//! The vocabulary in which an innocuous instruction is written.

use crate::flags::{Flag, Flags};
use crate::fp::{PackedOp, SseOp, X87};
use cpu::{CpuModel, Fault, Insn, Kind, Width};

/// What is done with a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read only.
    Read,
    /// Written only.
    Write,
    /// Read and then written: writability is checked first.
    Modify,
}

impl Access {
    /// The place must be writable.
    pub const fn writes(self) -> bool {
        !matches!(self, Access::Read)
    }
}

/// Units that the system may have switched off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// x87: #NM with CR0.EM or CR0.TS; then #MF where an unmasked exception is pending.
    Fpu,
    /// x87 without the wait for pending exceptions (FNINIT, FNCLEX, FNSTSW, FNSTCW).
    FpuNoWait,
    /// MMX: #UD with CR0.EM, #NM with CR0.TS, then #MF.
    Mmx,
    /// SSE: #UD with CR0.EM or without CR4.OSFXSR, #NM with CR0.TS.
    Sse,
}

/// What a string instruction does in one step, so that an engine may do many steps at once.
/// Doing so must be indistinguishable from repeating the step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bulk {
    /// MOVS.
    Move,
    /// STOS.
    Store,
    /// LODS.
    Load,
    /// SCAS.
    Scan,
    /// CMPS.
    Compare,
}

/// The alignment that a 16-byte memory operand needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory16 {
    /// 16 bytes, else #GP(0).
    Aligned,
    /// None.
    Unaligned,
}

/// The vocabulary of an innocuous instruction. Values of a width below 64 bits are kept
/// zero-extended. Only `place`, `memory`, `guard`, `trap_if`, `check_target`, `repeat` and
/// helpers may stop; a body calls them before its first write.
pub trait Emit: Sized {
    /// A value of up to 64 bits.
    type Val: Copy;
    /// A value of 128 bits.
    type Wide: Copy;
    /// An operand that was found and may be used.
    type Place: Copy;
    /// Why the instruction does not go on.
    type Stop;

    // ---- known when the instruction is decoded ----

    /// The instruction.
    fn insn(&self) -> &Insn;
    /// The chip, for what the manual leaves undefined.
    fn model(&self) -> CpuModel;
    /// Width of the stack pointer.
    fn stack_width(&self) -> Width;

    // ---- values ----

    /// A constant.
    fn imm(&mut self, w: Width, k: u64) -> Self::Val;
    /// The value, where the implementation knows it now: a body may then say the same with less.
    #[inline(always)]
    fn known(&self, _: Self::Val) -> Option<u64> {
        None
    }
    /// Sum, truncated to the width.
    fn add(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Difference, truncated.
    fn sub(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Low half of the product.
    fn mul(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Unsigned quotient; 0 where the divisor is 0.
    fn udiv(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Unsigned remainder; 0 where the divisor is 0.
    fn urem(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// The quotient of two halves, high first, by a divisor, all of width `w` and unsigned or signed; it
    /// truncates towards zero.
    ///
    /// # Errors
    /// #DE where the divisor is 0 or the quotient does not fit the width.
    #[inline(always)]
    fn quotient(
        &mut self,
        w: Width,
        signed: bool,
        dividend: (Self::Val, Self::Val),
        divisor: Self::Val,
    ) -> Result<Self::Val, Self::Stop> {
        if signed {
            crate::muldiv::signed_quotient(self, w, dividend, divisor)
        } else {
            crate::muldiv::unsigned_quotient(self, w, dividend, divisor)
        }
    }
    /// Bitwise and.
    fn and(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Bitwise or.
    fn or(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Bitwise exclusive or.
    fn xor(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Left shift; the count is below the width in bits.
    fn shl(&mut self, w: Width, a: Self::Val, n: Self::Val) -> Self::Val;
    /// Logical right shift; the count is below the width.
    fn shr(&mut self, w: Width, a: Self::Val, n: Self::Val) -> Self::Val;
    /// Arithmetic right shift; the count is below the width.
    fn sar(&mut self, w: Width, a: Self::Val, n: Self::Val) -> Self::Val;
    /// Left rotation; the count is below the width.
    #[inline(always)]
    fn rotl(&mut self, w: Width, a: Self::Val, n: Self::Val) -> Self::Val {
        let bits = self.imm(w, u64::from(w.bits()));
        let mask = self.imm(w, u64::from(w.bits() - 1));
        let back = self.sub(w, bits, n);
        let back = self.and(w, back, mask);
        let (high, low) = (self.shl(w, a, n), self.shr(w, a, back));
        self.or(w, high, low)
    }
    /// Sign extension.
    fn sext(&mut self, from: Width, to: Width, a: Self::Val) -> Self::Val;
    /// Zero extension.
    fn zext(&mut self, from: Width, to: Width, a: Self::Val) -> Self::Val;
    /// Truncation.
    fn trunc(&mut self, from: Width, to: Width, a: Self::Val) -> Self::Val;
    /// 1 if equal, else 0, as a 32-bit value; likewise the other comparisons.
    fn eq(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Unsigned less.
    fn ult(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Signed less.
    fn slt(&mut self, w: Width, a: Self::Val, b: Self::Val) -> Self::Val;
    /// `a` where `c` is not 0, else `b`; `c` is a 32-bit value.
    fn select(&mut self, w: Width, c: Self::Val, a: Self::Val, b: Self::Val) -> Self::Val;
    /// Number of trailing zeros; the width where the value is 0.
    fn ctz(&mut self, w: Width, a: Self::Val) -> Self::Val;
    /// Number of leading zeros; the width where the value is 0.
    fn clz(&mut self, w: Width, a: Self::Val) -> Self::Val;
    /// 1 where the low byte has an even number of ones, as a 32-bit value.
    fn parity(&mut self, a: Self::Val) -> Self::Val;
    /// Bytes reversed.
    fn bswap(&mut self, w: Width, a: Self::Val) -> Self::Val;

    // ---- wide values ----

    /// A 128-bit constant.
    fn wide_imm(&mut self, k: u128) -> Self::Wide;
    /// Two halves, low first.
    fn wide_join(&mut self, low: Self::Val, high: Self::Val) -> Self::Wide;
    /// The low (false) or high (true) 64 bits.
    fn wide_half(&mut self, a: Self::Wide, high: bool) -> Self::Val;

    // ---- operands ----

    /// What explicit operand `n` is; known when the instruction is decoded.
    fn operand_kind(&self, n: usize) -> Kind;
    /// Finds explicit operand `n`: segment rights and limit, translation, writability.
    ///
    /// # Errors
    /// Stops where the operand may not be used.
    fn place(&mut self, n: usize, w: Width, access: Access) -> Result<Self::Place, Self::Stop>;
    /// Finds `w` bytes of memory at an offset of a segment.
    ///
    /// # Errors
    /// As [`Emit::place`].
    fn memory(
        &mut self,
        seg: u8,
        offset: Self::Val,
        w: Width,
        access: Access,
    ) -> Result<Self::Place, Self::Stop>;
    /// Finds the memory operand as `bytes` (10 or 16) bytes.
    ///
    /// # Errors
    /// As [`Emit::place`]; #GP(0) where alignment is asked for and absent.
    fn wide_place(&mut self, bytes: u32, align: Memory16, access: Access) -> Result<Self::Place, Self::Stop>;
    /// Reads a place.
    fn read(&mut self, p: Self::Place, w: Width) -> Self::Val;
    /// Writes a place.
    fn write(&mut self, p: Self::Place, w: Width, v: Self::Val);
    /// Reads `bytes` (10 or 16) bytes.
    fn wide_read(&mut self, p: Self::Place, bytes: u32) -> Self::Wide;
    /// Writes `bytes` (10 or 16) bytes.
    fn wide_write(&mut self, p: Self::Place, bytes: u32, v: Self::Wide);
    /// The offset of the memory operand, of the address size.
    fn effective_address(&mut self) -> Self::Val;
    /// A general register.
    fn reg(&mut self, w: Width, r: u8) -> Self::Val;
    /// Sets a general register; writes below 32 bits keep the rest.
    fn set_reg(&mut self, w: Width, r: u8, v: Self::Val);
    /// An MMX register.
    fn mmx(&mut self, r: u8) -> Self::Val;
    /// Sets an MMX register.
    fn set_mmx(&mut self, r: u8, v: Self::Val);
    /// An XMM register.
    fn xmm(&mut self, r: u8) -> Self::Wide;
    /// Sets an XMM register.
    fn set_xmm(&mut self, r: u8, v: Self::Wide);

    // ---- floating point and packed data ----

    /// Performs an x87 operation on the FPU's state. `a` and the result are as [`X87`] says.
    fn x87(&mut self, op: X87, a: Self::Wide) -> Self::Wide;
    /// Notes this instruction as the FPU's last: opcode, code and data pointers.
    fn note_fpu(&mut self);
    /// A packed operation without exceptions.
    fn packed(&mut self, op: PackedOp, imm: u8, a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// A floating-point operation under MXCSR, whose flags it adds to.
    ///
    /// # Errors
    /// #XM, or #UD without CR4.OSXMMEXCPT, where an exception is not masked.
    fn sse(&mut self, op: SseOp, imm: u8, a: Self::Wide, b: Self::Wide) -> Result<Self::Wide, Self::Stop>;
    /// MXCSR, 32 bits.
    fn mxcsr(&mut self) -> Self::Val;
    /// Sets MXCSR to a value without reserved bits.
    fn set_mxcsr(&mut self, v: Self::Val);

    // ---- flags ----

    /// Sets the arithmetic flags.
    fn set_flags(&mut self, f: Flags<Self::Val>);
    /// Sets them only if `c` is not 0.
    #[inline(always)]
    fn set_flags_if(&mut self, c: Self::Val, f: Flags<Self::Val>) {
        self.when(c, |e| e.set_flags(f));
    }
    /// One arithmetic flag, 0 or 1.
    fn flag(&mut self, f: Flag) -> Self::Val;
    /// A condition code (SDM vol. 2, appendix B, table B-10), 0 or 1.
    #[inline(always)]
    fn condition(&mut self, cc: u8) -> Self::Val {
        crate::flags::condition(self, cc)
    }
    /// DF, 0 or 1.
    fn direction(&mut self) -> Self::Val;
    /// Sets DF to a constant.
    fn set_direction(&mut self, down: bool);

    // ---- control ----

    /// EIP of the next instruction.
    fn next_ip(&mut self) -> Self::Val;
    /// EIP of this instruction.
    fn this_ip(&mut self) -> Self::Val;
    /// Checks a branch target against the limit of CS.
    ///
    /// # Errors
    /// #GP(0).
    fn check_target(&mut self, offset: Self::Val) -> Result<(), Self::Stop>;
    /// Goes on at a checked offset in CS.
    fn jump(&mut self, offset: Self::Val);
    /// Checks the target and goes there if `c` is not 0, else on.
    ///
    /// # Errors
    /// #GP(0) where the branch is taken and the target lies outside.
    fn jump_if(&mut self, c: Self::Val, offset: Self::Val) -> Result<(), Self::Stop>;
    /// Raises a fault if `c` is not 0.
    ///
    /// # Errors
    /// The fault.
    fn trap_if(&mut self, c: Self::Val, fault: Fault) -> Result<(), Self::Stop>;
    /// Checks that a unit is switched on.
    ///
    /// # Errors
    /// #UD, #NM or #MF.
    fn guard(&mut self, unit: Guard) -> Result<(), Self::Stop>;
    /// Does `body` only if `c` is not 0. Values made inside do not leave it; it finds no places.
    fn when(&mut self, c: Self::Val, body: impl FnOnce(&mut Self));
    /// Repeats a string step as the prefixes say, counting in (E)CX; once without a prefix.
    /// May stop in the midst, to go on later with the same instruction.
    ///
    /// # Errors
    /// The step's, with the steps before it done.
    fn repeat(
        &mut self,
        bulk: Bulk,
        w: Width,
        step: impl FnMut(&mut Self) -> Result<(), Self::Stop>,
    ) -> Result<(), Self::Stop>;
}
