//! MMX, SSE to SSE3 and SSSE3 (SDM vol. 1, chapters 9 to 12).

mod bodies;
mod forms;
mod lanes;
mod mmx_forms;
mod moves;
mod packed;
mod sse;

pub use packed::PackedOp;
pub use sse::{Element, Lanes, SseOp};

pub(crate) use forms::bind;
