//! {v_i}: what each privileged instruction does to a virtual machine.

use crate::third::{Cause, Format, Mode, Op, Processor, Psw, Relocation, Storage, Word, translate};

/// A virtual machine in the hands of an interpreter.
pub struct Virtual<'a> {
    /// The virtual registers.
    pub processor: &'a mut Processor,
    /// The virtual E.
    pub memory: &'a mut [Word],
    /// The virtual console.
    pub console: &'a mut Vec<Word>,
    /// Widths.
    pub format: Format,
}

impl Virtual<'_> {
    /// The word at a virtual address.
    ///
    /// # Errors
    /// The memory trap that the instruction makes on the bare machine.
    pub fn operand(&self, a: Word) -> Result<Word, Cause> {
        translate(a, self.processor.psw.r, self.memory.len()).map(|at| self.memory[at])
    }
    /// On to the next instruction.
    fn advance(&mut self) {
        self.processor.psw.p = self.format.address(self.processor.psw.p + 1);
    }
}

/// An interpreter: the virtual machine and the instruction's address.
pub type Interpret = fn(&mut Virtual<'_>, Word) -> Result<(), Cause>;

/// The table of interpreters.
#[derive(Clone, Debug)]
pub struct Interpreters([Interpret; Op::ALL.len()]);

impl Default for Interpreters {
    fn default() -> Interpreters {
        let mut all = Interpreters([not_privileged as Interpret; Op::ALL.len()]);
        all.set(Op::Lpsw, lpsw);
        all.set(Op::Rmode, rmode);
        all.set(Op::Rrel, rrel);
        all.set(Op::Setr, setr);
        all.set(Op::Sett, sett);
        all.set(Op::Rtim, rtim);
        all.set(Op::Popf, popf);
        all.set(Op::Halt, halt);
        all.set(Op::Out, out);
        all.set(Op::Jrst, jrst);
        all
    }
}

impl Interpreters {
    /// The interpreter of an operation.
    pub fn of(&self, op: Op) -> Interpret {
        self.0[op as usize]
    }
    /// Another interpreter of an operation.
    pub fn set(&mut self, op: Op, v: Interpret) {
        self.0[op as usize] = v;
    }
}

/// An innocuous instruction never traps as a privileged one: this one would be the guest's own business.
fn not_privileged(_: &mut Virtual<'_>, _: Word) -> Result<(), Cause> {
    Err(Cause::Privileged)
}

fn lpsw(v: &mut Virtual<'_>, a: Word) -> Result<(), Cause> {
    v.processor.psw = Psw::unpack(v.operand(a)?, v.format);
    Ok(())
}

fn rmode(v: &mut Virtual<'_>, _: Word) -> Result<(), Cause> {
    v.processor.acc = Word::from(v.processor.psw.mode == Mode::User);
    v.advance();
    Ok(())
}

fn rrel(v: &mut Virtual<'_>, _: Word) -> Result<(), Cause> {
    v.processor.acc = v.processor.psw.r.pack(v.format);
    v.advance();
    Ok(())
}

fn setr(v: &mut Virtual<'_>, a: Word) -> Result<(), Cause> {
    v.processor.psw.r = Relocation::unpack(v.operand(a)?, v.format);
    v.advance();
    Ok(())
}

fn sett(v: &mut Virtual<'_>, a: Word) -> Result<(), Cause> {
    v.processor.timer = v.format.address(v.operand(a)?);
    v.advance();
    Ok(())
}

fn rtim(v: &mut Virtual<'_>, _: Word) -> Result<(), Cause> {
    v.processor.acc = v.processor.timer;
    v.advance();
    Ok(())
}

fn popf(v: &mut Virtual<'_>, _: Word) -> Result<(), Cause> {
    v.processor.mask = v.processor.acc & 1 == 1;
    v.advance();
    Ok(())
}

fn halt(v: &mut Virtual<'_>, _: Word) -> Result<(), Cause> {
    v.processor.halted = true;
    v.advance();
    Ok(())
}

fn out(v: &mut Virtual<'_>, _: Word) -> Result<(), Cause> {
    v.console.push(v.processor.acc);
    v.advance();
    Ok(())
}

fn jrst(v: &mut Virtual<'_>, a: Word) -> Result<(), Cause> {
    (v.processor.psw.mode, v.processor.psw.p) = (Mode::User, a);
    Ok(())
}

/// A guest's memory and console, for the hybrid monitor's interpretation.
pub(super) struct Window<'a> {
    pub(super) memory: &'a mut [Word],
    pub(super) console: &'a mut Vec<Word>,
}

impl Storage for Window<'_> {
    fn words(&self) -> &[Word] {
        self.memory
    }
    fn words_mut(&mut self) -> &mut [Word] {
        self.memory
    }
    fn print(&mut self, w: Word) {
        self.console.push(w);
    }
}
