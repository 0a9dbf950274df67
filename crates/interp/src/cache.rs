//! The cache of decoded blocks, keyed by physical address and mode, and its invalidation.

use crate::block::{Block, Op, decode_block};
use crate::restless::Restless;
use cpu::{CodeSize, CpuModel, Key};
use mem::{Memory, PAGE, PAGE_SHIFT, Trace};
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// Blocks kept at most; one more empties the cache.
const MOST: usize = 1 << 16;
const GUESSES: usize = 1 << 14;

/// A guess: the block that a linear address led to last. Whether it still is the one, the block says.
#[derive(Clone, Copy)]
pub(crate) struct Guess {
    pub(crate) linear: u32,
    block: u32,
}

impl Guess {
    /// There is one.
    pub(crate) fn is_one(self) -> bool {
        self.block != u32::MAX
    }
}

pub(crate) const NO_GUESS: Guess = Guess { linear: 0, block: u32::MAX };

/// Key of a block that is no more.
const DEAD: Key = Key(u32::MAX);

/// Where a block is: its linear address, and its address in the arena.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) linear: u32,
    pub(crate) physical: u32,
    pub(crate) key: Key,
}

pub(crate) struct Cache {
    blocks: Vec<Block>,
    free: Vec<u32>,
    index: FxHashMap<(u32, Key), u32>,
    frames: FxHashMap<u32, Vec<u32>>,
    guesses: Box<[Guess; GUESSES]>,
    restless: Restless,
}

#[inline(always)]
fn slot(linear: u32) -> usize {
    (linear ^ linear >> 14) as usize % GUESSES
}

impl Cache {
    pub(crate) fn new() -> Cache {
        Cache {
            blocks: Vec::new(),
            free: Vec::new(),
            index: FxHashMap::default(),
            frames: FxHashMap::default(),
            guesses: Box::new([NO_GUESS; GUESSES]),
            restless: Restless::default(),
        }
    }

    #[inline(always)]
    pub(crate) fn block(&self, id: u32) -> &Block {
        &self.blocks[id as usize]
    }

    /// The block at an address, if it was there before; quickly, if it came after the block `from` before.
    #[inline(always)]
    pub(crate) fn guess(&self, from: Option<u32>, at: At) -> Option<u32> {
        if let Some(from) = from {
            let next = self.block(from).next.get();
            for guess in next {
                if guess.linear == at.linear && self.is(guess.block, at) {
                    return Some(guess.block);
                }
            }
        }
        let guess = self.guesses[slot(at.linear)];
        if guess.linear != at.linear || !self.is(guess.block, at) {
            return None;
        }
        if let Some(from) = from {
            let next = &self.block(from).next;
            next.set([guess, next.get()[0]]);
        }
        Some(guess.block)
    }

    #[inline(always)]
    fn is(&self, id: u32, at: At) -> bool {
        self.blocks.get(id as usize).is_some_and(|b| b.physical == at.physical && b.key == at.key)
    }

    /// Finds or decodes the block, and remembers how to get there.
    pub(crate) fn find(&mut self, mem: &mut Memory, at: At, size: CodeSize, model: CpuModel) {
        let block = match self.index.get(&(at.physical, at.key)) {
            Some(&id) => id,
            None => self.insert(mem, at.physical, at.key, size, model),
        };
        self.guesses[slot(at.linear)] = Guess { linear: at.linear, block };
    }

    fn insert(&mut self, mem: &mut Memory, physical: u32, key: Key, size: CodeSize, model: CpuModel) -> u32 {
        if self.index.len() >= MOST {
            self.flush();
        }
        let place = (physical, key);
        let before = self.restless.take(place);
        let (ops, bytes) = decode_block(mem, physical, size, model, before.as_ref());
        if before.is_some() {
            let mut text = vec![0; bytes as usize];
            mem.read_arena(physical, &mut text);
            self.restless.decoded(place, text);
        }
        // where the first instruction crosses the page, its bytes here still count as code
        let bytes = if ops.is_empty() { PAGE - physical % PAGE } else { bytes };
        let block = Block::new(ops, bytes, physical, key);
        let id = match self.free.pop() {
            Some(id) => {
                self.blocks[id as usize] = block;
                id
            }
            None => {
                self.blocks.push(block);
                self.blocks.len() as u32 - 1
            }
        };
        self.index.insert((physical, key), id);
        let frame = physical >> PAGE_SHIFT;
        self.frames.entry(frame).or_default().push(id);
        mem.add_code(frame, self.blocks[id as usize].grains());
        id
    }

    /// The grains of a frame that hold decoded code.
    pub(crate) fn code_in(&self, frame: u32) -> u64 {
        let ids = self.frames.get(&frame).map_or(&[][..], Vec::as_slice);
        ids.iter().fold(0, |all, &id| all | self.blocks[id as usize].grains())
    }

    /// The block at an address of the arena.
    pub(crate) fn at(&self, physical: u32, key: Key) -> Option<&Block> {
        self.index.get(&(physical, key)).map(|&id| self.block(id))
    }

    /// Drops the blocks that a write to some grains of a frame has hit.
    pub(crate) fn forget(&mut self, frame: u32, grains: u64) {
        let Some(ids) = self.frames.get_mut(&frame) else { return };
        let mut hit = Vec::new();
        ids.retain(|&id| {
            let stays = self.blocks[id as usize].grains() & grains == 0;
            if !stays {
                hit.push(id);
            }
            stays
        });
        if ids.is_empty() {
            self.frames.remove(&frame);
        }
        hit.into_iter().for_each(|id| self.kill(id));
    }

    /// Drops the blocks that queued writes have hit.
    pub(crate) fn invalidate(&mut self, mem: &mut Memory) {
        for t in mem.take_code_writes() {
            let Trace::Code { frame, grains } = t else { continue };
            self.forget(frame, grains);
            mem.set_code(frame, self.code_in(frame));
        }
    }

    fn kill(&mut self, id: u32) {
        let block = &mut self.blocks[id as usize];
        let place = (block.physical, block.key);
        self.index.remove(&place);
        self.restless.dropped(place, std::mem::take(&mut block.ops));
        block.key = DEAD;
        self.free.push(id);
    }

    /// Empties the cache. Writes to what was code are still seen: that costs time only, and another
    /// engine's code may lie there as well.
    fn flush(&mut self) {
        self.clear();
    }

    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.free.clear();
        self.index.clear();
        self.frames.clear();
    }
}

impl Block {
    fn new(ops: Vec<Op>, bytes: u32, physical: u32, key: Key) -> Block {
        let next = Cell::new([NO_GUESS; 2]);
        Block { ops: ops.into(), bytes, physical, key, runs: Cell::new(0), due: Cell::new(0), next }
    }

    /// The 64-byte grains of the page that the block's bytes touch.
    fn grains(&self) -> u64 {
        let first = self.physical % PAGE / 64;
        let last = ((self.physical % PAGE + self.bytes).min(PAGE) - 1) / 64;
        (u64::MAX >> (63 - (last - first))) << first
    }
}
