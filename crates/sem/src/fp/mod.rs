//! x87, MMX and SSE: the operations that every engine shares, and the bodies made of them.
//!
//! An operation ([`X87`], [`PackedOp`], [`SseOp`]) is a function of operands and of the unit's own state
//! (SDM vol. 1, chapters 8 to 12), evaluated here once. Bodies find operands, call it, and write results;
//! an engine may replace those operations that its host has as they are.

/// Makes a body of each form out of a function and its constant arguments, and `bind`, which chooses.
macro_rules! forms {
    ($bodies:ident, otherwise $next:path; $($code:ident: $shape:ident $body:ident($($argument:expr),* $(,)?);)*) => {
        $(
            #[allow(non_camel_case_types, reason = "the decoder's name of the form")]
            struct $code;
            impl crate::Body for $code {
                type Shape = crate::shape::$shape;
                #[inline(always)]
                fn run<E: crate::Emit>(e: &mut E) -> Result<(), E::Stop> {
                    $bodies::$body(e, $($argument),*)
                }
            }
        )*

        /// Hands the body of one of these forms, or of those after them, to an engine.
        pub(crate) fn bind<P: crate::shape::Picker>(insn: &cpu::Insn, p: P) -> Option<P::Out> {
            match insn.code {
                $(isa::Code::$code => crate::map::pick::<$code, P>(insn, p),)*
                _ => $next(insn, p),
            }
        }
    };
}

pub mod simd;
pub mod x87;

pub use simd::{Element, Lanes, PackedOp, SseOp};
pub use x87::{Arith, Constant, Format, Source, X87, X87Op};

use crate::shape::Picker;
use cpu::Insn;

/// Hands the body of a floating-point or packed form to an engine.
pub(crate) fn bind<P: Picker>(insn: &Insn, p: P) -> Option<P::Out> {
    x87::bind(insn, p)
}
