//! The machine: what an instruction does, and how a processor goes on from trap to trap.

use super::{Cause, Format, Instruction, Mode, Op, Psw, Relocation, UserMode, Variant, Word};

/// Which instruction set a machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Isa {
    /// Widths.
    pub format: Format,
    /// What is not privileged.
    pub variant: Variant,
}

impl Isa {
    /// For programs.
    pub fn full(variant: Variant) -> Isa {
        Isa { format: Format::FULL, variant }
    }
    /// For enumeration.
    pub fn small(variant: Variant) -> Isa {
        Isa { format: Format::SMALL, variant }
    }
}

/// All of a machine's state but memory and console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Processor {
    /// M, P, R.
    pub psw: Psw,
    /// The accumulator.
    pub acc: Word,
    /// Instructions of user mode until the timer traps, that step included; 0: it is off.
    pub timer: Word,
    /// The timer's trap is held off: the timer waits at 1.
    pub mask: bool,
    /// Halted.
    pub halted: bool,
    /// Instructions begun. No instruction can read it; it is there for whoever compares.
    pub steps: u64,
}

impl Processor {
    /// As after a reset: supervisor mode, R over the whole memory.
    pub fn reset(q: usize) -> Processor {
        let r = Relocation { l: 0, b: q as Word };
        let psw = Psw { mode: Mode::Supervisor, p: 2, r };
        Processor { psw, acc: 0, timer: 0, mask: false, halted: false, steps: 0 }
    }
}

/// What instructions reach besides the processor: E and the console.
pub trait Storage {
    /// E.
    fn words(&self) -> &[Word];
    /// E, to be changed.
    fn words_mut(&mut self) -> &mut [Word];
    /// Writes a word to the console.
    fn print(&mut self, w: Word);
}

/// The address in E that `a` names under R.
///
/// # Errors
/// The memory trap.
#[inline(always)]
pub fn translate(a: Word, r: Relocation, q: usize) -> Result<usize, Cause> {
    if a + r.l >= q as Word || a >= r.b { Err(Cause::Memory) } else { Ok((a + r.l) as usize) }
}

/// Counts one instruction, in user mode on the timer as well.
///
/// # Errors
/// The timer trap: the instruction is not begun.
#[inline(always)]
pub fn tick(p: &mut Processor) -> Result<(), Cause> {
    p.steps += 1;
    match p.timer {
        _ if p.psw.mode == Mode::Supervisor => {}
        0 => {}
        1 if p.mask => {}
        1 => {
            p.timer = 0;
            return Err(Cause::Timer);
        }
        _ => p.timer -= 1,
    }
    Ok(())
}

/// The instruction at P.
///
/// # Errors
/// The memory trap, or that it is none.
#[inline(always)]
pub fn fetch(p: &Processor, words: &[Word], f: Format) -> Result<Instruction, Cause> {
    let at = translate(p.psw.p, p.psw.r, words.len())?;
    Instruction::decode(words[at], f).ok_or(Cause::Illegal)
}

/// One step: timer, fetch, execution.
///
/// # Errors
/// The trap. Nothing but the timer has changed: who calls delivers it.
#[inline(always)]
pub fn step<S: Storage>(p: &mut Processor, s: &mut S, isa: Isa) -> Result<(), Cause> {
    tick(p)?;
    let i = fetch(p, s.words(), isa.format)?;
    execute(i, p, s, isa)
}

/// Executes an instruction: the paper's i(S).
///
/// # Errors
/// The trap; nothing has changed.
#[inline(always)]
pub fn execute<S: Storage>(i: Instruction, p: &mut Processor, s: &mut S, isa: Isa) -> Result<(), Cause> {
    let f = isa.format;
    if i.op.restricted() && p.psw.mode == Mode::User {
        match isa.variant.in_user_mode(i.op) {
            UserMode::Traps => return Err(Cause::Privileged),
            UserMode::Executes => {}
            UserMode::Silent => {
                p.psw.p = f.address(p.psw.p + 1);
                return Ok(());
            }
        }
    }
    let next = f.address(p.psw.p + 1);
    let q = s.words().len();
    let operand = |p: &Processor, s: &S| translate(i.a, p.psw.r, q).map(|at| s.words()[at]);
    let mut to = next;
    match i.op {
        Op::Nop => {}
        Op::Li => p.acc = i.a,
        Op::Ld => p.acc = operand(p, s)?,
        Op::St => s.words_mut()[translate(i.a, p.psw.r, q)?] = p.acc,
        Op::Ldx => p.acc = s.words()[translate(f.address(operand(p, s)?), p.psw.r, q)?],
        Op::Stx => {
            let at = translate(f.address(operand(p, s)?), p.psw.r, q)?;
            s.words_mut()[at] = p.acc;
        }
        Op::Add => p.acc = f.word(p.acc.wrapping_add(operand(p, s)?)),
        Op::Sub => p.acc = f.word(p.acc.wrapping_sub(operand(p, s)?)),
        Op::And => p.acc &= operand(p, s)?,
        Op::Shl => p.acc = f.word(p.acc.checked_shl(i.a as u32).unwrap_or(0)),
        Op::Shr => p.acc = p.acc.checked_shr(i.a as u32).unwrap_or(0),
        Op::Lt => p.acc = Word::from(p.acc < operand(p, s)?),
        Op::Jmp => to = i.a,
        Op::Bz => to = if p.acc == 0 { i.a } else { next },
        Op::Bnz => to = if p.acc != 0 { i.a } else { next },
        Op::Call => (p.acc, to) = (next, i.a),
        Op::Ret => to = f.address(p.acc),
        Op::Svc => return Err(Cause::Supervisor),
        Op::Lpsw => {
            p.psw = Psw::unpack(operand(p, s)?, f);
            return Ok(());
        }
        Op::Rmode => p.acc = Word::from(p.psw.mode == Mode::User),
        Op::Rrel => p.acc = p.psw.r.pack(f),
        Op::Setr => p.psw.r = Relocation::unpack(operand(p, s)?, f),
        Op::Sett => p.timer = f.address(operand(p, s)?),
        Op::Rtim => p.acc = p.timer,
        Op::Popf => p.mask = p.acc & 1 == 1,
        Op::Halt => p.halted = true,
        Op::Out => s.print(p.acc),
        Op::Jrst => {
            p.psw.mode = Mode::User;
            to = i.a;
        }
    }
    p.psw.p = to;
    Ok(())
}

/// Why a machine stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A trap, not yet delivered.
    Trap(Cause),
    /// Halted.
    Halted,
    /// As many steps as were asked for.
    Budget,
}

/// A machine as its supervisor sees it: the real one, or one that a monitor makes. A monitor needs no more of the
/// machine that it runs on, which is why it runs on either (theorem 2).
pub trait Machine {
    /// The instruction set.
    fn isa(&self) -> Isa;
    /// Registers.
    fn processor(&self) -> &Processor;
    /// Registers, to be changed.
    fn processor_mut(&mut self) -> &mut Processor;
    /// E.
    fn memory(&self) -> &[Word];
    /// E, to be changed.
    fn memory_mut(&mut self) -> &mut [Word];
    /// What was written to the console.
    fn console(&self) -> &[Word];
    /// Runs until a trap, HALT, or until `until` steps have begun.
    fn run(&mut self, until: u64) -> Event;

    /// The trap: the PSW to E[0], the PSW from E[1].
    fn trap(&mut self, cause: Cause) {
        let f = self.isa().format;
        let old = self.processor().psw.pack(f, Some(cause));
        let Some([zero, one]) = self.memory_mut().first_chunk_mut() else { return };
        *zero = old;
        let new = Psw::unpack(*one, f);
        self.processor_mut().psw = new;
    }
}

/// The bare machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Real {
    isa: Isa,
    /// Registers.
    pub processor: Processor,
    /// E and the console.
    pub store: Store,
}

/// E and the console.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Store {
    /// E.
    pub memory: Vec<Word>,
    /// What was written to the console.
    pub console: Vec<Word>,
}

impl Storage for Store {
    #[inline(always)]
    fn words(&self) -> &[Word] {
        &self.memory
    }
    #[inline(always)]
    fn words_mut(&mut self) -> &mut [Word] {
        &mut self.memory
    }
    fn print(&mut self, w: Word) {
        self.console.push(w);
    }
}

impl Real {
    /// A machine of q words, all zero.
    pub fn new(isa: Isa, q: usize) -> Real {
        let store = Store { memory: vec![0; q], console: Vec::new() };
        Real { isa, processor: Processor::reset(q), store }
    }
}

impl Machine for Real {
    fn isa(&self) -> Isa {
        self.isa
    }
    fn processor(&self) -> &Processor {
        &self.processor
    }
    fn processor_mut(&mut self) -> &mut Processor {
        &mut self.processor
    }
    fn memory(&self) -> &[Word] {
        &self.store.memory
    }
    fn memory_mut(&mut self) -> &mut [Word] {
        &mut self.store.memory
    }
    fn console(&self) -> &[Word] {
        &self.store.console
    }
    fn run(&mut self, until: u64) -> Event {
        loop {
            if self.processor.halted {
                return Event::Halted;
            }
            if self.processor.steps >= until {
                return Event::Budget;
            }
            if let Err(cause) = step(&mut self.processor, &mut self.store, self.isa) {
                return Event::Trap(cause);
            }
        }
    }
}
