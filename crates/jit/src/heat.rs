//! How often blocks have run in the quick tier's code, which counts down to 0 by itself: then a block is hot.
//!
//! A block may be in several regions, and outlive them: its counter is its own.

use crate::key::Key;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// Counters in a piece of memory, which never moves.
const PIECE: usize = 1024;
/// Counters at most: then the engine has to forget all code.
const MOST: usize = 1 << 18;

/// See the module. Blocks are known by their addresses in the arena.
#[derive(Default)]
pub(crate) struct Heat {
    places: FxHashMap<(u32, Key), u32>,
    pieces: Vec<Box<[AtomicI32]>>,
}

impl Heat {
    /// The host address of a block's counter, which starts at `left` where it is new; one that has come to 0 has some
    /// more runs until it says so again.
    pub(crate) fn counter(&mut self, block: (u32, Key), left: i32) -> u64 {
        let new = self.places.len() as u32;
        let place = *self.places.entry(block).or_insert(new);
        if place == new && (new as usize).is_multiple_of(PIECE) {
            self.pieces.push((0..PIECE).map(|_| AtomicI32::new(0)).collect());
        }
        let counter = &self.pieces[place as usize / PIECE][place as usize % PIECE];
        if place == new {
            counter.store(left, Relaxed);
        } else if counter.load(Relaxed) <= 0 {
            counter.store(left.clamp(1, 64), Relaxed);
        }
        std::ptr::from_ref(counter) as u64
    }

    /// How many runs a block has left, if it has a counter.
    pub(crate) fn left(&self, block: (u32, Key)) -> Option<i32> {
        let place = *self.places.get(&block)? as usize;
        Some(self.pieces[place / PIECE][place % PIECE].load(Relaxed))
    }

    /// A block is as if it had never run, or been written anew.
    pub(crate) fn cool(&self, block: (u32, Key), left: i32) {
        if let Some(&place) = self.places.get(&block) {
            self.pieces[place as usize / PIECE][place as usize % PIECE].store(left, Relaxed);
        }
    }

    /// There is no room for the counters of another region of so many blocks.
    pub(crate) fn is_full(&self, blocks: usize) -> bool {
        self.places.len() + blocks > MOST
    }

    /// Forgets all. No code that counts may be there any more.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.pieces.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key(0);

    #[test]
    fn a_block_has_one_counter_that_stays_where_it_is() {
        let mut heat = Heat::default();
        let first = heat.counter((0, KEY), 100);
        for n in 1..3000 {
            assert_eq!(heat.counter((n, KEY), 7) % 4, 0);
        }
        assert_eq!((heat.counter((0, KEY), 9), heat.left((0, KEY))), (first, Some(100)));
        heat.cool((0, KEY), -3);
        assert_eq!((heat.counter((0, KEY), 900), heat.left((0, KEY))), (first, Some(64)));
        assert_eq!(
            (heat.left((0, Key(1))), heat.is_full(MOST - 3000), heat.is_full(MOST)),
            (None, false, true)
        );
    }
}
