//! A: which words of the machine belong to which guest. No guest ever names another's, nor the monitor's.

use crate::third::{Mode, Psw, Relocation, Word};
use std::ops::Range;

/// There is not so much memory left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{asked} words were asked for, and {left} are left")]
pub struct NoRoom {
    /// Words asked for.
    pub asked: usize,
    /// Words left.
    pub left: usize,
}

/// Words of a machine's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// The first.
    pub base: usize,
    /// How many.
    pub size: usize,
}

impl Region {
    /// As indices.
    pub fn range(self) -> Range<usize> {
        self.base..self.base + self.size
    }

    /// The PSW that the machine runs a guest with: user mode, the same P, and the guest's R composed with its place.
    /// An address memory-traps with it exactly where the guest's own R and size make it trap.
    pub fn compose(self, guest: Psw) -> Psw {
        let size = self.size as Word;
        let l = guest.r.l.min(size);
        let r = Relocation { l: self.base as Word + l, b: guest.r.b.min(size - l) };
        Psw { mode: Mode::User, p: guest.p, r }
    }
}

/// What is given away, from below; the lowest words are the machine's own, for its traps.
#[derive(Debug)]
pub(super) struct Allocator {
    next: usize,
    end: usize,
}

impl Allocator {
    /// Words that the monitor keeps: `E[0]`, `E[1]`, and room for its own.
    const KEPT: usize = 5;

    pub(super) fn new(q: usize) -> Allocator {
        Allocator { next: Allocator::KEPT.min(q), end: q }
    }

    /// The memory from 0 on, if nothing was given away yet: its addresses are the machine's.
    pub(super) fn real(&mut self, size: usize) -> Result<Region, NoRoom> {
        let left = if self.next == Allocator::KEPT { self.end } else { 0 };
        if size > left || size < Allocator::KEPT {
            return Err(NoRoom { asked: size, left });
        }
        self.next = size;
        Ok(Region { base: 0, size })
    }

    pub(super) fn allocate(&mut self, size: usize) -> Result<Region, NoRoom> {
        let left = self.end - self.next;
        if size > left || size < 2 {
            return Err(NoRoom { asked: size, left });
        }
        let region = Region { base: self.next, size };
        self.next += size;
        Ok(region)
    }
}
