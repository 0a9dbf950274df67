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
#[derive(Clone)]
pub(crate) struct FrameTraces {
    /// The frame is a page table in use.
    pub(crate) table: bool,
    /// Every access takes the slow path (watchpoints).
    pub(crate) watch: bool,
    /// A bit a log: written since that log was last cleared, or it is not kept.
    pub(crate) dirty: u8,
    /// Every write entry in being that shows the frame asks the map of code.
    pub(crate) fine: bool,
    /// How often all code in it went, up to [`RESTLESS`].
    pub(crate) emptied: u8,
    /// The frame that became dirty in [`RAM_LOG`] before this one; 0 ends the list, which starts at frame 0.
    /// Frame 0 itself is in no list: its bit is looked at.
    pub(crate) next_dirty: u32,
}

/// A frame whose code went so often keeps its entries: code comes and goes there.
pub(crate) const RESTLESS: u8 = 4;

/// The dirty log of snapshots and migration.
pub(crate) const RAM_LOG: u8 = 1;
/// The dirty log of the screen.
pub(crate) const SCREEN_LOG: u8 = 2;
/// Written as far as every log is concerned: stores need not be seen.
pub(crate) const ALL_LOGS: u8 = RAM_LOG | SCREEN_LOG;

impl Default for FrameTraces {
    fn default() -> FrameTraces {
        FrameTraces { table: false, watch: false, dirty: ALL_LOGS, fine: false, emptied: 0, next_dirty: 0 }
    }
}

/// The grains that a write touches.
pub(crate) fn grains(offset: u32, len: u32) -> u64 {
    let (first, last) = (offset / 64, (offset + len.max(1) - 1).min(4095) / 64);
    (u64::MAX >> (63 - (last - first))) << first
}
