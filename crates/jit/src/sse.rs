//! Floating point under MXCSR in compiled code.

use crate::lower::{Lower, Unsupported};
use crate::wide::Wide;
use sem::fp::SseOp;

/// What is known of a value's elements: they are normal numbers or zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Clean;

/// Whether the operation becomes code.
pub(crate) fn sse_supported(_: SseOp) -> bool {
    false
}

/// Whether the operation's result or flags may depend on MXCSR even for clean operands.
pub(crate) fn needs_default_mxcsr(_: SseOp) -> bool {
    true
}

impl Lower<'_, '_> {
    pub(crate) fn sse_operation(&mut self, _: SseOp, _: u8, _: Wide, _: Wide) -> Result<Wide, Unsupported> {
        Err(Unsupported)
    }
}
