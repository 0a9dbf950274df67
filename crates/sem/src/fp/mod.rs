//! x87, MMX and SSE: the operations that every engine shares, and the bodies made of them.
//!
//! An operation ([`X87`], [`PackedOp`], [`SseOp`]) is a function of operands and of the unit's own state
//! (SDM vol. 1, chapters 8 to 12), evaluated here once. Bodies find operands, call it, and write results;
//! an engine may replace those operations that its host has as they are.

pub mod simd;
pub mod x87;

pub use simd::{PackedOp, SseOp};
pub use x87::{Arith, Constant, Format, Source, X87, X87Op};

use crate::shape::Picker;
use cpu::Insn;

/// Hands the body of a floating-point or packed form to an engine.
pub(crate) fn bind<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    x87::bind(insn, p)
}
