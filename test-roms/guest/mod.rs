//! The default guest: a kernel of a page or two and three tasks, which act out Popek and
//! Goldberg's paper on an x86. Read it in this order: `layout`, `boot`, `paging`, `interrupts`,
//! `tasks`, `console`.

mod boot;
mod console;
mod interrupts;
mod layout;
mod paging;
mod tasks;

use crate::asm;
use layout::{KERNEL, ROM, ROM_SIZE, START, USER, USER_IN_ROM};

/// The whole ROM.
pub(crate) fn rom() -> Result<Vec<u8>, String> {
    let assembly = asm::assemble(|a| {
        boot::reset(a)?;
        boot::real_mode(a)?;
        a.section(32, KERNEL)?;
        boot::protected_mode(a)?;
        paging::routines(a)?;
        interrupts::routines(a)?;
        tasks::scheduler(a)?;
        console::routines(a)?;
        a.section(32, USER)?;
        tasks::programs(a)
    })?;
    // the tasks see their code at one address, and it lies in the ROM at another
    asm::rom(&assembly.pieces, ROM, ROM_SIZE, |base| match base {
        USER => USER_IN_ROM,
        START.. if base < ROM => ROM + base,
        _ => base,
    })
}
