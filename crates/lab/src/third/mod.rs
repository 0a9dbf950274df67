//! The paper's third generation machine (CACM 17(7), 1974, section 2), with an instruction set of its own.
//!
//! S = <E, M, P, R>. E is a memory of q words, M the mode, P the program counter, R = (l, b) the relocation-bounds
//! register, which is always active: an address a memory-traps if a + l >= q or a >= b, and otherwise names E[a + l].
//! A trap stores the PSW (M, P, R) in E[0], loads it from E[1], and changes nothing else.
//!
//! What is added to the paper's machine. One general register, the accumulator: it belongs to the program, and a
//! trap handler has to save it itself. The stored PSW says which trap it was, as System/360's old PSW does. A timer
//! counts the instructions of user mode and traps, so that handlers have time to save what they need; a mask holds its
//! trap off. There is a console, and the processor can be halted.
//! Timer, mask, console and processor are resources, as R is.

mod assembler;
mod instruction;
mod machine;
mod word;

pub use assembler::{Assembly, AssemblyError, assemble};
pub use instruction::{Instruction, Op, UserMode, Variant};
pub use machine::{
    Event, Isa, Machine, Processor, Real, Storage, Store, execute, fetch, step, tick, translate,
};
pub use word::{Cause, Format, Mode, Psw, Relocation, Word};
