//! The cache of decoded blocks, keyed by physical address and mode, and its invalidation.

use crate::block::{Block, decode_block};
use cpu::{CodeSize, CpuModel, Key};
use mem::{Memory, PAGE, PAGE_SHIFT, Trace};
use rustc_hash::FxHashMap;
use std::cell::Cell;

/// Blocks kept at most; one more empties the cache.
const MOST: usize = 1 << 16;
const JUMPS: usize = 1 << 13;

/// A guess: the block that a linear address led to last.
#[derive(Clone, Copy)]
struct Jump {
    /// Linear address, with the key above it.
    from: u64,
    entry: u64,
    block: u32,
    serial: u64,
}

const NO_JUMP: Jump = Jump { from: u64::MAX, entry: 0, block: 0, serial: 0 };

#[inline(always)]
fn from(linear: u32, key: Key) -> u64 {
    u64::from(linear) | u64::from(key.0) << 32
}

pub(crate) struct Cache {
    blocks: Vec<Block>,
    free: Vec<u32>,
    index: FxHashMap<(u32, Key), u32>,
    frames: FxHashMap<u32, Vec<u32>>,
    jumps: Box<[Jump; JUMPS]>,
    serial: u64,
}

#[inline(always)]
fn slot(linear: u32) -> usize {
    (linear ^ linear >> 12) as usize % JUMPS
}

impl Cache {
    pub(crate) fn new() -> Cache {
        Cache {
            blocks: Vec::new(),
            free: Vec::new(),
            index: FxHashMap::default(),
            frames: FxHashMap::default(),
            jumps: Box::new([NO_JUMP; JUMPS]),
            serial: 0,
        }
    }

    /// The block at a linear address whose execute entry is `entry`, if it was there before.
    #[inline(always)]
    pub(crate) fn guess(&self, linear: u32, key: Key, entry: u64) -> Option<&Block> {
        let j = &self.jumps[slot(linear)];
        let hit = j.from == from(linear, key) && j.entry == entry;
        let block = self.blocks.get(j.block as usize)?;
        (hit && block.serial == j.serial).then_some(block)
    }

    /// Finds or decodes the block, and remembers the jump.
    pub(crate) fn find(
        &mut self,
        mem: &mut Memory,
        linear: u32,
        key: Key,
        entry: u64,
        size: CodeSize,
        model: CpuModel,
    ) {
        let physical = mem.physical_of(entry, linear);
        let id = match self.index.get(&(physical, key)) {
            Some(&id) => id,
            None => self.insert(mem, physical, key, size, model),
        };
        let serial = self.blocks[id as usize].serial;
        self.jumps[slot(linear)] = Jump { from: from(linear, key), entry, block: id, serial };
    }

    fn insert(&mut self, mem: &mut Memory, physical: u32, key: Key, size: CodeSize, model: CpuModel) -> u32 {
        if self.index.len() >= MOST {
            self.flush();
        }
        let (ops, bytes) = decode_block(mem, physical, size, model);
        self.serial += 1;
        // where the first instruction crosses the page, its bytes here still count as code
        let bytes = if ops.is_empty() { PAGE - physical % PAGE } else { bytes };
        let block = Block { ops: ops.into(), bytes, physical, key, serial: self.serial, runs: Cell::new(0) };
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

    /// How often the block at an address of the arena has run; 0 where there is none.
    pub(crate) fn runs(&self, physical: u32, key: Key) -> u32 {
        self.index.get(&(physical, key)).map_or(0, |&id| self.blocks[id as usize].runs.get())
    }

    /// Drops the blocks that a write to some grains of a frame has hit.
    pub(crate) fn forget(&mut self, frame: u32, grains: u64) {
        let ids = self.frames.remove(&frame).unwrap_or_default();
        let (hit, kept): (Vec<u32>, Vec<u32>) =
            ids.into_iter().partition(|&id| self.blocks[id as usize].grains() & grains != 0);
        hit.into_iter().for_each(|id| self.kill(id));
        if !kept.is_empty() {
            self.frames.insert(frame, kept);
        }
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
        self.index.remove(&(block.physical, block.key));
        block.ops = Box::default();
        block.serial = 0;
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
        self.jumps.fill(NO_JUMP);
    }
}

impl Block {
    /// The 64-byte grains of the page that the block's bytes touch.
    fn grains(&self) -> u64 {
        let first = self.physical % PAGE / 64;
        let last = ((self.physical % PAGE + self.bytes).min(PAGE) - 1) / 64;
        (u64::MAX >> (63 - (last - first))) << first
    }
}
