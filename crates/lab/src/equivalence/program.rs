//! Random programs: words that mostly are instructions, with PSWs, relocations and handlers to go with them.

use crate::random::Random;
use crate::third::{Format, Instruction, Mode, Op, Processor, Psw, Real, Relocation, Word};

/// Words of a program's machine.
pub const SIZE: usize = 64;
/// Up to here the words are that LPSW and SETR mostly load, with E[0] and E[1].
const TABLE: Word = 8;
/// Up to here the words are that other instructions mostly use; then there are instructions.
const DATA: Word = 16;

/// Puts a machine of [`SIZE`] words into the start state of a random program.
pub fn fill(state: &mut Real, r: &mut Random) {
    let f = Format::FULL;
    for (at, w) in state.store.memory.iter_mut().enumerate() {
        *w = match r.below(100) {
            _ if at == 1 => handler(r).pack(f, None),
            _ if (at as Word) < TABLE => psw(r).pack(f, None),
            0..97 if at as Word >= DATA => instruction(r).encode(),
            97 => r.next(),
            n if n % 4 == 0 => relocation(r).pack(f),
            _ => r.below(SIZE as Word),
        };
    }
    let timer = if r.percent(60) { 0 } else { 1 + r.below(60) };
    let acc = if r.percent(80) { r.below(SIZE as Word) } else { r.next() };
    let mask = r.percent(20);
    state.processor = Processor { psw: psw(r), acc, timer, mask, halted: false, steps: 0 };
    state.store.console.clear();
}

/// Where traps go: mostly to a supervisor that has the whole memory.
fn handler(r: &mut Random) -> Psw {
    let mode = if r.percent(93) { Mode::Supervisor } else { Mode::User };
    let whole = Relocation { l: 0, b: SIZE as Word };
    Psw { mode, p: address(r), r: if r.percent(85) { whole } else { relocation(r) } }
}

fn psw(r: &mut Random) -> Psw {
    let mode = if r.percent(60) { Mode::Supervisor } else { Mode::User };
    Psw { mode, p: address(r), r: relocation(r) }
}

/// Mostly a part of memory that is large enough for something to happen.
fn relocation(r: &mut Random) -> Relocation {
    let l = if r.percent(40) { 0 } else { r.below(24) };
    let b = match r.below(10) {
        0..6 => SIZE as Word - l,
        6..9 => 16 + r.below(SIZE as Word - 16),
        _ => r.below(1 << 16),
    };
    Relocation { l: if r.percent(2) { r.below(1 << 15) } else { l }, b }
}

fn address(r: &mut Random) -> Word {
    if r.percent(98) { DATA + r.below(SIZE as Word - DATA) } else { r.below(1 << 15) }
}

fn instruction(r: &mut Random) -> Instruction {
    // programs mostly are of innocuous ones
    let (innocuous, others) = Op::ALL.split_at(Op::Svc as usize);
    let from = if r.percent(80) { innocuous } else { others };
    let mut op = r.pick(from);
    if matches!(op, Op::Halt | Op::Svc) && r.percent(75) {
        op = r.pick(&[Op::Out, Op::Lpsw]);
    }
    let a = match op {
        Op::Lpsw | Op::Setr if r.percent(80) => r.below(TABLE),
        Op::Shl | Op::Shr => r.below(70),
        Op::Jmp | Op::Bz | Op::Bnz | Op::Call | Op::Jrst => address(r),
        _ if r.percent(60) => TABLE + r.below(DATA - TABLE),
        // the new PSW is seldom overwritten: what follows are mostly traps
        Op::St if r.percent(97) => 2 + r.below(SIZE as Word - 2),
        _ if r.percent(97) => r.below(SIZE as Word),
        _ => r.below(1 << 15),
    };
    Instruction::new(op, a)
}
