//! IEEE 754 arithmetic in software, as the x87 FPU and SSE units perform it.
//!
//! Everything is a pure function of its operands and an [`Env`], which carries the control bits in and
//! the exceptions of the operation out. The module [`x87`] works on 80-bit registers ([`F80`]); the module
//! [`sse`] on the bit patterns of single (`u32`) and double (`u64`) numbers. Both meet in one
//! unpacked form and one rounding routine.
//!
//! References: Intel SDM volume 1, chapters 4 (formats, NaNs, exceptions), 8 (x87), 10 and 11 (SSE, SSE2);
//! volume 2 for each instruction.
#![forbid(unsafe_code)]

mod approx;
mod env;
mod f80;
mod format;
mod num;
mod round;
pub mod sse;
mod wide;
pub mod x87;

pub use env::{Env, Flags, Precision, Round};
pub use f80::{Class, F80, constant};
pub use format::{Format, Native};
