//! Every x87, MMX and SSE form of the interpreter against the host's processor: registers, status,
//! flags, memory, exceptions.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod directed;
mod encode;
mod guest;
#[path = "../float_vs_host/operands.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod operands;
mod run;
mod state;
