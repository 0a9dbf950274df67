//! The guest's MXCSR in the host's, while compiled code runs that computes with the very same instructions
//! ([`crate::Arithmetic::Host`]): the host then rounds as the guest would, and collects the guest's flags.
//!
//! Flags only ever get set, so what the host has is the guest's as soon as it is asked for. Before Rust
//! that may compute itself, and when compiled code is left, they go back to where the guest keeps them.

use crate::config::Arithmetic;
use cpu::State;

/// All exceptions are masked (SDM vol. 1, 10.2.3).
const MASKS: u32 = 0x1f80;
/// IE, DE, ZE, OE, UE, PE.
const FLAGS: u32 = 0x3f;
/// What there is of the register.
const ALL: u32 = 0xffff;

/// Whether the guest masks all exceptions.
pub(crate) fn masked(mxcsr: u32) -> bool {
    mxcsr & MASKS == MASKS
}

/// What the host's register is to be: where the guest does not mask all exceptions, no compiled code computes.
fn wanted(mxcsr: u32) -> u32 {
    if masked(mxcsr) { mxcsr & ALL } else { MASKS | mxcsr & FLAGS }
}

/// Gives the host the guest's MXCSR.
pub(crate) fn bring_in(arithmetic: Arithmetic, cpu: &State) {
    if arithmetic == Arithmetic::Host && host() != wanted(cpu.mxcsr) {
        set_host(wanted(cpu.mxcsr));
    }
}

/// Gives the guest the flags that the host has collected, and Rust the control bits that it expects.
pub(crate) fn take_out(arithmetic: Arithmetic, cpu: &mut State) {
    if arithmetic != Arithmetic::Host {
        return;
    }
    let now = host();
    cpu.mxcsr |= now & FLAGS;
    if now & !FLAGS != MASKS {
        set_host(MASKS);
    }
}

#[cfg(target_arch = "x86_64")]
fn host() -> u32 {
    let mut v = 0u32;
    // SAFETY: it writes four bytes to where it is told, which is this variable.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut v, options(nostack, preserves_flags)) };
    v
}

/// `v` masks all exceptions and has no reserved bit: bits 16 to 31 are zero.
#[cfg(target_arch = "x86_64")]
fn set_host(v: u32) {
    // SAFETY: the bits are valid, so that nothing is raised. Control bits other than Rust's are set only for
    // compiled code and for routines that it calls in between, none of which computes with such numbers.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const v, options(nostack, readonly)) };
}

#[cfg(not(target_arch = "x86_64"))]
fn host() -> u32 {
    MASKS
}

#[cfg(not(target_arch = "x86_64"))]
fn set_host(_: u32) {}
