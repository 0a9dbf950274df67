//! What an instruction *is*: decoding, the compact form that the engines run, and which CPU
//! model has it.
#![forbid(unsafe_code)]

mod decode;
mod insn;
mod model;
mod routine;
pub mod spec;
mod text;

pub use decode::{CodeSize, DecodeError, MAX_LENGTH, decode, identify};
pub use iced_x86::{Code, CpuidFeature, Mnemonic, OpCodeOperandKind};
pub use insn::{Insn, Kind, Prefix, reg, seg};
pub use model::CpuModel;
pub use routine::{Routine, routine};
pub use text::disassemble;
