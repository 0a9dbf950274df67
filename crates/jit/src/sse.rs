//! Floating point under MXCSR in compiled code.

use crate::lower::{Lower, Unsupported};
use crate::wide::Wide;
use sem::fp::{PackedOp, SseOp};

/// What is known of a value's elements: they are normal numbers or zeros.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Clean;

impl Lower<'_, '_> {
    pub(crate) fn packed_operation(&mut self, _: PackedOp, _: u8, a: Wide, _: Wide) -> Wide {
        a
    }

    pub(crate) fn sse_operation(&mut self, _: SseOp, _: u8, _: Wide, _: Wide) -> Result<Wide, Unsupported> {
        Err(Unsupported)
    }
}
