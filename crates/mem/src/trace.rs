//! Memory traces: frames whose writes somebody must see.

use crate::SpaceId;

/// A write that hit a trace, queued until somebody acts on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trace {
    /// Translated code was overwritten: 64-byte grains of the frame.
    Code {
        /// Physical page number.
        frame: u32,
        /// Bit n is the n-th grain.
        grains: u64,
    },
    /// A page table was written.
    Table {
        /// Physical page number.
        frame: u32,
        /// First byte written.
        offset: u32,
        /// Bytes written.
        len: u32,
    },
}

/// How a frame serves as a page table: its entries cover linear pages of a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableUse {
    /// The space that was built through the table.
    pub space: SpaceId,
    /// Linear page number that the table's first entry covers.
    pub first_page: u32,
    /// Pages that one entry covers.
    pub pages_per_entry: u32,
    /// Bytes of an entry: 4, or 8 with PAE.
    pub entry_size: u32,
}

/// What is traced in one frame.
#[derive(Clone, Default)]
pub(crate) struct FrameTraces {
    /// Grains with translated code.
    pub(crate) code: u64,
    /// The frame is a page table in use.
    pub(crate) table: bool,
    /// Every access takes the slow path (watchpoints).
    pub(crate) watch: bool,
    /// Written since the dirty log was last cleared, or no log is kept.
    pub(crate) dirty: bool,
}

/// The grains that a write touches.
pub(crate) fn grains(offset: u32, len: u32) -> u64 {
    let (first, last) = (offset / 64, (offset + len.max(1) - 1).min(4095) / 64);
    (u64::MAX >> (63 - (last - first))) << first
}
