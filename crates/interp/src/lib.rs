//! The interpreter: [`sem::Emit`] by evaluation, over a cache of decoded blocks.
#![forbid(unsafe_code)]

mod block;
mod cache;
mod eval;
mod repeat;
mod restless;
mod run;
mod whole;

pub use run::{Interpreter, show_code};
pub use whole::whole;
