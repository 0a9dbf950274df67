//! The jump cache: guesses of where the code for a linear address is. Compiled code reads it as well.
//!
//! Two guesses share a cache line: a few thousand return sites in as many places meet often enough to matter.

use crate::key::Key;

/// Sets of the jump cache.
pub(crate) const SETS: usize = 1 << 13;

/// One guess.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Jump {
    /// Linear address, with the key above it.
    pub(crate) tag: u64,
    /// The execute entry that the page had.
    pub(crate) entry: u64,
    /// Host address of the region's code.
    pub(crate) code: u64,
    /// Which of its entries.
    pub(crate) index: u64,
}

const NONE: Jump = Jump { tag: u64::MAX, entry: 0, code: 0, index: 0 };

/// The guesses for the addresses of one set, the newer one first.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Set([Jump; 2]);

/// Spreads addresses over the sets: 2^32 over the golden ratio (Knuth, vol. 3, 6.4). Hot
/// addresses at like places of a few pages would meet with less.
pub(crate) const SPREAD: u32 = 0x9e37_79b1;

fn set_of(linear: u32) -> usize {
    (linear.wrapping_mul(SPREAD) >> (32 - SETS.trailing_zeros())) as usize
}

fn tag(linear: u32, key: Key) -> u64 {
    u64::from(linear) | u64::from(key.0) << 32
}

/// See the module.
pub(crate) struct Jumps(Box<[Set]>);

impl Jumps {
    pub(crate) fn new() -> Jumps {
        Jumps(vec![Set([NONE; 2]); SETS].into())
    }

    /// Where compiled code finds the sets.
    pub(crate) fn address(&self) -> u64 {
        self.0.as_ptr() as u64
    }

    /// Code and number of the entry for a linear address in a page with this execute entry.
    pub(crate) fn find(&self, linear: u32, key: Key, entry: u64) -> Option<(u64, u64)> {
        let tag = tag(linear, key);
        let jump = self.0[set_of(linear)].0.iter().find(|j| j.tag == tag && j.entry == entry)?;
        Some((jump.code, jump.index))
    }

    /// Remembers what was found; in which set.
    pub(crate) fn put(&mut self, linear: u32, key: Key, entry: u64, (code, index): (u64, u64)) -> u32 {
        let (n, tag) = (set_of(linear), tag(linear, key));
        let Set([first, second]) = &mut self.0[n];
        // one guess an address: compiled code looks no further than the first that has its tag
        if first.tag != tag {
            *second = *first;
        }
        *first = Jump { tag, entry, code, index };
        n as u32
    }

    /// Forgets the guesses of a set that lead to some code.
    pub(crate) fn forget(&mut self, set: u32, code: u64) {
        let leading = self.0[set as usize].0.iter_mut().filter(|j| j.code == code);
        leading.for_each(|j| *j = NONE);
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(Set([NONE; 2]));
    }
}
