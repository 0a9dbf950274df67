//! What was learnt from code that kept leaving its region: how to compile it the next time.

use crate::key::Key;
use std::collections::HashSet;

/// Hints kept at most; one more forgets all.
const MOST: usize = 1 << 14;
/// Instructions between two redone ones of a region that count as often.
const OFTEN: u64 = 20_000;
/// Redone instructions in a row, each soon after the other, after which something is done.
const PATIENCE: u32 = 64;

/// How often a region has left to have an instruction redone.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Redone {
    streak: u32,
    last: u64,
}

impl Redone {
    /// Notes one at this retired count; whether it is time to do something.
    pub(crate) fn note(&mut self, retired: u64) -> bool {
        let soon = retired.wrapping_sub(self.last) < OFTEN;
        self.streak = if soon { self.streak + 1 } else { 0 };
        self.last = retired;
        let enough = self.streak >= PATIENCE;
        if enough {
            self.streak = 0;
        }
        enough
    }
}

/// See the module. Addresses are the arena's.
#[derive(Default)]
pub(crate) struct Hints {
    ungrouped: HashSet<(u32, Key)>,
    outside: HashSet<u32>,
}

impl Hints {
    /// Accesses of the region with this head are looked up one by one.
    pub(crate) fn ungroup(&mut self, head: u32, key: Key) {
        if self.ungrouped.len() >= MOST {
            self.ungrouped.clear();
        }
        self.ungrouped.insert((head, key));
    }

    pub(crate) fn ungrouped(&self, head: u32, key: Key) -> bool {
        self.ungrouped.contains(&(head, key))
    }

    /// The instruction at an address is done outside: it meets devices or code too often.
    pub(crate) fn do_outside(&mut self, at: u32) {
        if self.outside.len() >= MOST {
            self.outside.clear();
        }
        self.outside.insert(at);
    }

    pub(crate) fn outside(&self, at: u32) -> bool {
        self.outside.contains(&at)
    }
}
