//! The virtual CPU: architectural state, faults, and how engines and the monitor meet.
#![forbid(unsafe_code)]

pub mod descriptor;
mod engine;
mod fault;
mod segment;
mod state;
mod width;

pub use engine::{Engine, Flow, Meter, Monitor, Place, StopReason};
pub use fault::{Fault, PageFaultCode, vector};
pub use isa::{CodeSize, CpuModel, Insn, Kind, Prefix, reg, seg};
pub use segment::{DescriptorTable, Segment, rights};
pub use state::{Activity, Fpu, InterruptShadow, Key, Register, State, cr0, cr4, eflags};
pub use width::Width;
