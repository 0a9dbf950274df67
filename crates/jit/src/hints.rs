//! What was learnt from code that kept leaving its region: how to compile it the next time.

use std::collections::{HashMap, HashSet};

/// Hints kept at most; one more forgets all.
const MOST: usize = 1 << 14;
/// Instructions between two redone ones of a region that count as often.
const OFTEN: u64 = 20_000;
/// Redone instructions in a row, each soon after the other, after which something is done.
const PATIENCE: u32 = 64;

/// Regions of a frame that were dropped because they were written, for each doubling of what makes its code hot.
const FORGIVEN: u32 = 8;
/// Doublings at most: a guest that makes code in the same place again and again gets it compiled in the end.
const DOUBLINGS: u32 = 5;

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
    apart: HashSet<u32>,
    outside: HashSet<u32>,
    /// Frames, and how often regions made from them were dropped because they were written.
    changed: HashMap<u32, u32>,
}

impl Hints {
    /// The instruction at an address keeps leaving its region.
    pub(crate) fn learn(&mut self, at: u32) {
        let learnt = if self.apart(at) { &mut self.outside } else { &mut self.apart };
        if learnt.len() >= MOST {
            learnt.clear();
        }
        learnt.insert(at);
    }

    /// In the block of the instruction at an address nothing is taken together: accesses are looked up one by one.
    pub(crate) fn apart(&self, at: u32) -> bool {
        self.apart.contains(&at)
    }

    /// Regions of a frame were dropped because they were written.
    pub(crate) fn change(&mut self, frame: u32, regions: usize) {
        if self.changed.len() >= MOST {
            self.changed.clear();
        }
        let times = self.changed.entry(frame).or_default();
        *times = times.saturating_add(regions as u32);
    }

    /// Runs after which a block in a frame is hot, where `hot` are enough for code that does not change.
    pub(crate) fn hot(&self, frame: u32, hot: u32) -> u32 {
        let times = self.changed.get(&frame).copied().unwrap_or(0);
        hot.saturating_mul(1 << (times / FORGIVEN).min(DOUBLINGS))
    }

    /// The instruction at an address is done outside: it meets devices or code too often.
    pub(crate) fn outside(&self, at: u32) -> bool {
        self.outside.contains(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_changes_needs_more_and_more_runs() {
        let mut hints = Hints::default();
        assert_eq!(hints.hot(7, 3000), 3000);
        (0..FORGIVEN).for_each(|_| hints.change(7, 1));
        assert_eq!((hints.hot(7, 3000), hints.hot(8, 3000)), (6000, 3000));
        hints.change(7, 1_000_000);
        assert_eq!(hints.hot(7, 3000), 96_000);
    }

    #[test]
    fn what_leaves_is_taken_apart_first_and_done_outside_then() {
        let mut hints = Hints::default();
        hints.learn(0x1234);
        assert_eq!((hints.apart(0x1234), hints.outside(0x1234)), (true, false));
        hints.learn(0x1234);
        assert_eq!((hints.outside(0x1234), hints.apart(0x1235)), (true, false));
    }
}
