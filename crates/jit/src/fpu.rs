//! The x87 unit in compiled code.

use crate::lower::{Lower, Unsupported, Val};
use crate::wide::Wide;
use sem::Guard;
use sem::fp::X87;

/// The last x87 instruction, for FCS, FIP, FOP, FDS and FDP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// Its offset from the head.
    pub(crate) off: u32,
    pub(crate) opcode: u16,
    /// Segment and offset of the memory operand.
    pub(crate) data: Option<(u8, Val)>,
}

/// x87 instructions that were read and not yet emitted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending;

impl Lower<'_, '_> {
    pub(crate) fn guard_unit(&mut self, unit: Guard) -> Result<(), Unsupported> {
        let on = match unit {
            Guard::Fpu | Guard::FpuNoWait | Guard::Mmx => self.plan.key.fpu(),
            Guard::Sse => self.plan.key.sse(),
        };
        if on { Ok(()) } else { Err(Unsupported) }
    }

    pub(crate) fn note_instruction(&mut self) {}

    pub(crate) fn x87_operation(&mut self, _: X87, a: Wide) -> Wide {
        a
    }
}
