//! The guest's x87 instructions on the host's x87 unit (SDM vol. 1, chapter 8).
//!
//! Cranelift has no x87 instructions. On an x86-64 host the guest's FPU moves into the host's while compiled
//! code runs: [`load`] brings it there, [`save`] takes it back, and in between each instruction is the very
//! same instruction in a stub of a few bytes ([`native()`]). This is possible as long as the guest masks all
//! exceptions ([`may_live`]): an unmasked one would trap on the host.
//!
//! What a processor computes in its own way is computed by [`float`] ([`perform`]).
//!
//! Nothing but compiled code, its stubs and `perform` may run in between: neither Rust nor C expects a full
//! register stack or another control word. `perform` computes with integers only, for which no compiler takes the
//! x87 unit; what it does there itself it does by assembly.
//!
//! On other hosts no FPU may live, and nothing is native.

mod native;
mod soft;

#[cfg(target_arch = "x86_64")]
mod host;
#[cfg(not(target_arch = "x86_64"))]
#[path = "other.rs"]
mod host;
#[cfg(test)]
mod tests;

pub(crate) use host::{load, save};
pub(crate) use native::{gives_to_slot, has_memory_operand, native, stays_inside};
pub(crate) use soft::Function;

use cpu::Fpu;

/// All exceptions masked, and bit 6, which reads as one (SDM vol. 1, figure 8-6).
const MASKED: u16 = 0x7f;
/// What else a control word may have: precision, rounding, infinity. A host drops the reserved bits, which a
/// guest's FLDENV can have set.
const FREE: u16 = 0x1f00;
/// The error summary and the busy bit, its double (SDM vol. 1, figure 8-4).
const PENDING: u16 = 0x8080;

/// The guest's FPU can be in the host's: it has every exception masked and none pending.
pub(crate) fn may_live(fpu: &Fpu) -> bool {
    cfg!(target_arch = "x86_64") && fpu.control & !FREE == MASKED && fpu.status & PENDING == 0
}

/// Performs a function on the guest's FPU in the host's; if it cannot, leaves all as it was and says `false`.
pub(crate) fn perform(f: Function) -> bool {
    let seen = host::look();
    let step = soft::step(f, &seen);
    if let Some(step) = &step {
        host::apply(step, seen.control);
    }
    step.is_some()
}
