//! Where the beam is, from the CRTC's registers and the dot clock.

use super::Vga;
use crate::time::{Nanos, SECOND};

/// A frame's times, in dots and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    dots: u64,
    dots_shown: u64,
    lines: u64,
    lines_shown: u64,
    retrace: (u64, u64),
    clock: u64,
}

/// What the beam does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beam {
    pub(super) displaying: bool,
    pub(super) retrace: bool,
}

impl Timing {
    /// The beam at `now`.
    pub(super) fn beam(&self, now: Nanos) -> Beam {
        let dot = u128::from(now) * u128::from(self.clock) / u128::from(SECOND);
        let dot = (dot % u128::from(self.dots * self.lines)) as u64;
        let (line, column) = (dot / self.dots, dot % self.dots);
        let (first, last) = self.retrace;
        Beam {
            displaying: line < self.lines_shown && column < self.dots_shown,
            retrace: (first..last).contains(&line),
        }
    }

    /// Nanoseconds of a frame.
    #[cfg(test)]
    pub(super) fn frame_time(&self) -> Nanos {
        self.dots * self.lines * SECOND / self.clock
    }
}

impl Vga {
    /// A value whose bits 8 and 9 are bits of the overflow register.
    fn vertical(&self, register: usize, bit_8: u8, bit_9: u8) -> u64 {
        let o = self.crtc[7];
        u64::from(self.crtc[register]) | u64::from(o >> bit_8 & 1) << 8 | u64::from(o >> bit_9 & 1) << 9
    }

    /// Scan lines shown.
    pub(super) fn lines(&self) -> usize {
        self.vertical(0x12, 1, 6) as usize + 1
    }

    /// Dots of a character.
    pub(super) fn dots(&self) -> usize {
        if self.seq[1] & 1 != 0 { 8 } else { 9 }
    }

    /// The times of a frame (IBM VGA Technical Reference, CRT controller).
    pub(super) fn timing(&self) -> Timing {
        let dots = self.dots() as u64;
        let half = u64::from(self.seq[1] >> 3 & 1);
        let clock = if self.misc >> 2 & 3 == 1 { 28_322_000 } else { 25_175_000 } >> half;
        let lines = self.vertical(6, 0, 5) + 2;
        let first = self.vertical(0x10, 2, 7);
        let last = first + (u64::from(self.crtc[0x11]).wrapping_sub(first) & 15).max(1);
        Timing {
            dots: (u64::from(self.crtc[0]) + 5) * dots,
            dots_shown: (u64::from(self.crtc[1]) + 1) * dots,
            lines,
            lines_shown: self.vertical(0x12, 1, 6) + 1,
            retrace: (first, last),
            clock,
        }
    }
}
