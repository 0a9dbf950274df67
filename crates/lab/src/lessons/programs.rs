//! A small operating system, for lessons.

use crate::third::{AssemblyError, Isa, Real, Variant, Word, assemble};

/// A supervisor with one user, which computes and calls. The supervisor writes what it is given to the console, goes on
/// behind the call, and stops at the first trap that is no call.
const SYSTEM: &str = "
            .word 0
            .psw s handler 0 96
            JMP start
count:      .word 0
saved:      .word 0
one:        .word 1
behind:     .word 2                 ; one more in P
call:       .word 3                 ; the cause of a supervisor call
user:       .psw u 0 again 32
start:      LPSW user
handler:    ST saved
            LD 0
            SHR 47
            SUB call
            BNZ stop
            LD count
            ADD one
            ST count
            LD saved
            OUT
            LD 0
            ADD behind
            ST 0
            LD saved
            LPSW 0
stop:       LD count
            OUT
            HALT
            .space 36
                                    ; the user: 32 words
again:      LI work
            ST 30
            LI 0
            ST 31
loop:       LD 31
            ADD 30
            ST 31
            LD 30
            SUB 29
            ST 30
            BNZ 4
            LD 31
            SVC 0
            LD 28
            SUB 29
            ST 28
            BNZ 0
            LD 32                   ; beyond its bound
            .space 10
            .word calls
            .word 1
            .word 0
            .word 0
";

/// Words of its machine.
pub(super) const SIZE: usize = 96;

/// The system before its first instruction: a user that adds the numbers up to `work`, and calls, so many times.
pub(super) fn system(variant: Variant, work: Word, calls: Word) -> Result<Real, AssemblyError> {
    let program = assemble(SYSTEM, &[("work", work), ("calls", calls)])?;
    let mut machine = Real::new(Isa::full(variant), SIZE);
    for (to, word) in machine.store.memory.iter_mut().zip(&program.words) {
        *to = *word;
    }
    Ok(machine)
}
