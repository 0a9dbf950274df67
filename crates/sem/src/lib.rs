//! Semantics of the innocuous instructions, each written once against [`Emit`], and the total
//! map from forms to bodies and to the monitor's routines.
#![forbid(unsafe_code)]

pub mod alu;
pub mod bcd;
pub mod bits;
pub mod control;
mod emit;
pub mod flags;
pub mod fp;
mod map;
pub mod moves;
pub mod muldiv;
pub mod shape;
pub mod shifts;
pub mod stack;
pub mod strings;
pub mod thunk;

pub use emit::{Access, Bulk, Emit, Guard, Memory16};
pub use map::{Binding, Body, Routine, bind, binding};
