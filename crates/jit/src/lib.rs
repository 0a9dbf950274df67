//! The JIT: [`sem::Emit`] by Cranelift, over regions of hot blocks.
//!
//! Code runs in the interpreter first. A block that has run often becomes the head of a region
//! ([`plan`]), which is compiled as one function ([`region`]) with the guest's registers in SSA form,
//! and entered from the loop in [`engine`], or from another region by the jump cache ([`stubs`]).
//! What is not plain leaves the region before anything of the instruction is done.

mod access;
mod across;
mod arith;
mod attempt;
#[cfg(test)]
mod attempt_tests;
mod backend;
mod cache;
mod callout;
mod clean;
mod config;
mod context;
mod convert;
mod division;
mod effects;
mod emit;
mod engine;
mod exits;
mod explain;
mod flags;
mod flow;
mod fold;
mod formation;
mod fpu;
mod group;
mod heat;
mod hints;
mod inplace;
mod jumps;
mod kept;
mod key;
mod links;
mod lower;
mod mapped;
mod mxcsr;
mod plan;
mod planner;
#[cfg(target_arch = "x86_64")]
mod quick;
mod raised;
mod recent;
mod region;
mod regions;
mod settle;
mod shuffle;
mod simd;
mod sse;
mod stubs;
mod tagged;
mod unroll;
mod whole;
mod wide;
mod worker;
mod x87;

pub use backend::BackendError;
pub use cache::NoExecutableMemory;
pub use config::{Arithmetic, Config, Lookup};
pub use engine::{Jit, JitError};
pub use explain::{Explained, explain};
pub use mapped::{Mapped, Sink, Source};

/// Offset of MMn in [`cpu::Fpu`].
fn mmx_offset(n: usize) -> usize {
    mmx_register(n) + std::mem::offset_of!(cpu::Register, significand)
}

/// Offset of the sign and exponent above MMn in [`cpu::Fpu`].
fn mmx_exponent_offset(n: usize) -> usize {
    mmx_register(n) + std::mem::offset_of!(cpu::Register, exponent)
}

fn mmx_register(n: usize) -> usize {
    std::mem::offset_of!(cpu::Fpu, registers) + size_of::<cpu::Register>() * n
}
