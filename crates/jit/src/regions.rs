//! The regions in being: where they can be entered, which frames they were made from.

use crate::hints::Redone;
use crate::jumps::Jumps;
use crate::key::Key;
use crate::links::{Link, Wanted};
use crate::plan::{Plan, Tier};
use crate::whole::Repeated;
use cpu::Insn;
use mem::PAGE_SHIFT;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::hash_map::Entry;

/// A compiled region.
pub(crate) struct Region {
    /// Frames and the grains in them.
    frames: Vec<(u32, u64)>,
    entries: Vec<(u32, Key)>,
    /// Where its blocks start.
    blocks: Vec<(u32, Key)>,
    /// Where it will have entries, while it is being compiled.
    planned: Vec<(u32, Key)>,
    serial: u64,
    code: u64,
    /// Sets of the jump cache with guesses that lead here.
    sets: Vec<u32>,
    /// Address in the arena of the head, and the region's key.
    pub(crate) head: (u32, Key),
    pub(crate) redone: Redone,
    /// How often the budget has ended in it.
    samples: u32,
    tier: Tier,
    /// Compiled code knows their addresses.
    #[allow(dead_code, reason = "kept for the machine code that points into it")]
    sensitive: Box<[Insn]>,
    #[allow(dead_code, reason = "kept for the machine code that points into it")]
    repeated: Box<[Repeated]>,
    links: Box<[Link]>,
}

/// Ends of the budget in a region after which more is done for it: it has had some milliseconds, which is what
/// compiling it again takes.
const SAMPLES: u32 = 32;

impl Region {
    /// Notes that the budget has ended in it; whether it is time to do more for it.
    pub(crate) fn sample(&mut self) -> bool {
        self.samples += 1;
        self.tier == Tier::First && self.samples == SAMPLES
    }
}

/// Where code can be entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Door {
    pub(crate) code: u64,
    pub(crate) index: u64,
    region: u32,
}

/// See the module.
pub(crate) struct Regions {
    all: Vec<Option<Region>>,
    free: Vec<u32>,
    doors: FxHashMap<(u32, Key), Door>,
    frames: FxHashMap<u32, Vec<u32>>,
    /// Starts of blocks of regions that are being compiled, and how many have each.
    coming: FxHashMap<(u32, Key), u32>,
    /// Entries of regions that are being compiled.
    planned: FxHashSet<(u32, Key)>,
    /// Blocks of the quick tier's regions, and the regions that have them.
    quick: FxHashMap<(u32, Key), Vec<u32>>,
    serial: u64,
    pub(crate) jumps: Jumps,
    wanted: Wanted,
    /// Where links lead that have no region to lead to.
    dispatcher: u64,
}

impl Regions {
    /// None yet; `dispatcher` is the host address of the code that goes by the jump cache.
    pub(crate) fn new(dispatcher: u64) -> Regions {
        Regions {
            all: Vec::new(),
            free: Vec::new(),
            doors: FxHashMap::default(),
            frames: FxHashMap::default(),
            coming: FxHashMap::default(),
            planned: FxHashSet::default(),
            quick: FxHashMap::default(),
            serial: 0,
            jumps: Jumps::new(),
            wanted: Wanted::default(),
            dispatcher,
        }
    }

    /// Whether code can be entered at an address of the arena.
    pub(crate) fn has_door(&self, physical: u32, key: Key) -> bool {
        self.doors.contains_key(&(physical, key))
    }

    /// Whether it can be, or soon will be.
    pub(crate) fn expects_door(&self, physical: u32, key: Key) -> bool {
        self.has_door(physical, key) || self.planned.contains(&(physical, key))
    }

    /// As [`Regions::expects_door`], but for a region's own.
    pub(crate) fn expects_other_door(&self, physical: u32, key: Key, than: Option<u32>) -> bool {
        let own = |d: &Door| Some(d.region) == than;
        match self.doors.get(&(physical, key)) {
            Some(door) => !own(door),
            None => self.planned.contains(&(physical, key)),
        }
    }

    /// As [`Regions::expects_other_door`], where code of the quick tier does not count.
    pub(crate) fn expects_better_door(&self, physical: u32, key: Key, than: Option<u32>) -> bool {
        if self.has_door(physical, key) && !self.has_better_door(physical, key) {
            return self.planned.contains(&(physical, key));
        }
        self.expects_other_door(physical, key, than)
    }

    /// Whether code can be entered at an address of the arena that is not the quick tier's.
    pub(crate) fn has_better_door(&self, physical: u32, key: Key) -> bool {
        self.doors.get(&(physical, key)).is_some_and(|d| self.tier(d.region) != Some(Tier::Quick))
    }

    fn tier(&self, id: u32) -> Option<Tier> {
        self.all.get(id as usize)?.as_ref().map(|r| r.tier)
    }

    /// Drops the regions of the quick tier that have blocks of another region; where they could be entered, as addresses
    /// in the arena.
    pub(crate) fn supersede(&mut self, id: u32) -> Vec<u32> {
        let mut closed = Vec::new();
        for block in self.blocks(id).to_vec() {
            for id in self.quick.get(&block).cloned().unwrap_or_default() {
                closed.extend(self.get_mut(id).iter().flat_map(|r| &r.entries).map(|e| e.0));
                self.kill(id);
            }
        }
        closed
    }

    /// A region's number that it was announced under.
    pub(crate) fn serial(&self, id: u32) -> Option<u64> {
        self.all.get(id as usize)?.as_ref().map(|r| r.serial)
    }

    /// Whether a region that is being compiled has a block that starts at an address of the arena.
    pub(crate) fn will_cover(&self, physical: u32, key: Key) -> bool {
        self.coming.contains_key(&(physical, key))
    }

    /// Where the blocks of a region start.
    pub(crate) fn blocks(&self, id: u32) -> &[(u32, Key)] {
        self.all.get(id as usize).and_then(Option::as_ref).map_or(&[], |r| &r.blocks)
    }

    /// The door at a linear address, from the jump cache or by its address in the arena, which is
    /// remembered.
    #[inline]
    pub(crate) fn find(
        &mut self,
        linear: u32,
        key: Key,
        entry: u64,
        physical: impl FnOnce() -> u32,
    ) -> Option<(u64, u64)> {
        if let Some(found) = self.jumps.find(linear, key, entry) {
            return Some(found);
        }
        if entry == 0 {
            return None;
        }
        let door = *self.doors.get(&(physical(), key))?;
        let set = self.jumps.put(linear, key, entry, (door.code, door.index));
        if let Some(Some(region)) = self.all.get_mut(door.region as usize)
            && !region.sets.contains(&set)
        {
            region.sets.push(set);
        }
        Some((door.code, door.index))
    }

    /// A name for a region that is to be compiled.
    pub(crate) fn reserve(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            self.all.len() as u32 - 1
        })
    }

    /// A name that is not needed after all.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn give_back(&mut self, id: u32) {
        self.free.push(id);
    }

    /// A region in being.
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Region> {
        self.all.get_mut(id as usize)?.as_mut()
    }

    /// Notes a region that is being compiled, with its entries' offsets from the head; the number that
    /// its code will be recognised by.
    pub(crate) fn announce(&mut self, plan: &Plan, head: u32, offsets: &[u32]) -> u64 {
        let entries = offsets.iter().filter_map(|&off| address(plan, head, off)).map(|at| (at, plan.key));
        let planned: Vec<(u32, Key)> = entries.filter(|e| self.planned.insert(*e)).collect();
        let starts = plan.blocks.iter().filter_map(|b| address(plan, head, b.off)).map(|at| (at, plan.key));
        let blocks: Vec<(u32, Key)> = starts.collect();
        blocks.iter().for_each(|b| *self.coming.entry(*b).or_default() += 1);
        if plan.tier == Tier::Quick {
            blocks.iter().for_each(|b| self.quick.entry(*b).or_default().push(plan.id));
        }
        let frames: Vec<(u32, u64)> = plan.pages.iter().map(|p| (p.frame, p.grains)).collect();
        frames.iter().for_each(|(f, _)| self.frames.entry(*f).or_default().push(plan.id));
        self.serial += 1;
        self.all[plan.id as usize] = Some(Region {
            frames,
            entries: Vec::new(),
            blocks,
            planned,
            serial: self.serial,
            code: 0,
            sets: Vec::new(),
            head: (address(plan, head, 0).unwrap_or(0), plan.key),
            redone: Redone::default(),
            samples: 0,
            tier: plan.tier,
            sensitive: Box::default(),
            repeated: Box::default(),
            links: Box::default(),
        });
        self.serial
    }

    /// Whether the region that was announced under a number still is wanted.
    pub(crate) fn awaits(&self, id: u32, serial: u64) -> bool {
        self.all.get(id as usize).and_then(Option::as_ref).is_some_and(|r| r.serial == serial)
    }

    /// Opens the doors of a region that was announced; their addresses in the arena.
    pub(crate) fn install(&mut self, plan: Plan, head: u32, offsets: &[u32], code: u64) -> Vec<u32> {
        let id = plan.id;
        let mut entries = Vec::new();
        for (index, &off) in offsets.iter().enumerate() {
            let Some(physical) = address(&plan, head, off) else { continue };
            let door = Door { code, index: index as u64, region: id };
            if let Entry::Vacant(v) = self.doors.entry((physical, plan.key)) {
                v.insert(door);
                entries.push((physical, plan.key));
            }
        }
        let opened = entries.iter().map(|e| e.0).collect();
        let Some(Some(region)) = self.all.get_mut(id as usize) else { return opened };
        come(&mut self.coming, &region.blocks);
        (region.entries, region.code, region.sensitive) = (entries, code, plan.sensitive);
        (region.repeated, region.links) = (plan.repeated, plan.links);
        region.planned.drain(..).for_each(|e| {
            self.planned.remove(&e);
        });
        self.link(id, plan.key);
        opened
    }

    /// Lets a new region's links lead to others' doors, and others' to its own.
    fn link(&mut self, id: u32, key: Key) {
        let Regions { all, doors, wanted, dispatcher, .. } = self;
        let Some(Some(region)) = all.get(id as usize) else { return };
        let nowhere = (*dispatcher, 0);
        let door = |at: u32| doors.get(&(at, key)).map_or(nowhere, |d| (d.code, d.index));
        wanted.add(id, key, &region.links, door);
        region.entries.iter().for_each(|&e| wanted.lead(e, door(e.0), |n| links_of(all, n)));
    }

    /// Lets links to a region's doors lead to the dispatcher, and forgets its own.
    fn unlink(&mut self, id: u32, region: &Region) {
        self.wanted.remove(id, region.head.1, &region.links);
        let nowhere = (self.dispatcher, 0);
        region.entries.iter().for_each(|&e| self.wanted.lead(e, nowhere, |n| links_of(&self.all, n)));
    }

    /// The grains of a frame that regions were made from.
    pub(crate) fn code_in(&self, frame: u32) -> u64 {
        let ids = self.frames.get(&frame).map_or(&[][..], Vec::as_slice);
        ids.iter().fold(0, |all, &id| all | self.grains(id, frame))
    }

    fn grains(&self, id: u32, frame: u32) -> u64 {
        let region = self.all[id as usize].as_ref();
        region.map_or(0, |r| r.frames.iter().filter(|(f, _)| *f == frame).fold(0, |all, (_, g)| all | g))
    }

    /// Drops the regions that were made from some grains of a frame; how many, and where they were entered.
    pub(crate) fn forget(&mut self, frame: u32, grains: u64) -> (usize, Vec<(u32, Key)>) {
        let ids = self.frames.get(&frame).map_or(&[][..], Vec::as_slice);
        let hit: Vec<u32> = ids.iter().copied().filter(|&id| self.grains(id, frame) & grains != 0).collect();
        let mut entries = Vec::new();
        for &id in &hit {
            entries.extend(self.get_mut(id).map(|r| r.entries.clone()).unwrap_or_default());
            self.kill(id);
        }
        (hit.len(), entries)
    }

    /// Drops a region.
    pub(crate) fn kill(&mut self, id: u32) {
        let Some(region) = self.all[id as usize].take() else { return };
        self.unlink(id, &region);
        for &block in region.blocks.iter().filter(|_| region.tier == Tier::Quick) {
            if let Entry::Occupied(mut o) = self.quick.entry(block) {
                o.get_mut().retain(|&other| other != id);
                if o.get().is_empty() {
                    o.remove();
                }
            }
        }
        for e in region.entries {
            self.doors.remove(&e);
        }
        for e in region.planned {
            self.planned.remove(&e);
        }
        if region.code == 0 {
            come(&mut self.coming, &region.blocks);
        }
        region.sets.iter().for_each(|&set| self.jumps.forget(set, region.code));
        for (frame, _) in region.frames {
            if let Some(ids) = self.frames.get_mut(&frame) {
                ids.retain(|&other| other != id);
                if ids.is_empty() {
                    self.frames.remove(&frame);
                }
            }
        }
        self.free.push(id);
    }

    /// Drops a region, and those that start with one of its blocks: they would be left out of it the next time.
    pub(crate) fn kill_with_parts(&mut self, id: u32) {
        let blocks = self.blocks(id).to_vec();
        self.kill(id);
        for b in blocks {
            let part = self.doors.get(&b).map(|d| d.region);
            if let Some(part) = part.filter(|&p| self.get_mut(p).is_some_and(|r| r.head == b)) {
                self.kill(part);
            }
        }
    }

    /// Drops all regions.
    pub(crate) fn clear(&mut self) {
        self.all.clear();
        self.free.clear();
        self.doors.clear();
        self.frames.clear();
        self.planned.clear();
        self.quick.clear();
        self.coming.clear();
        self.jumps.clear();
        self.wanted.clear();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len() - self.free.len()
    }
}

/// Blocks are no longer on their way.
fn come(coming: &mut FxHashMap<(u32, Key), u32>, blocks: &[(u32, Key)]) {
    for b in blocks {
        if let Entry::Occupied(mut o) = coming.entry(*b) {
            *o.get_mut() -= 1;
            if *o.get() == 0 {
                o.remove();
            }
        }
    }
}

fn links_of(all: &[Option<Region>], id: u32) -> Option<&[Link]> {
    all.get(id as usize)?.as_ref().map(|r| &*r.links)
}

/// The address in the arena of an offset from a head at linear address `head`.
pub(crate) fn address(plan: &Plan, head: u32, off: u32) -> Option<u32> {
    let block = plan.blocks.iter().find(|b| b.off == off)?;
    let page = plan.pages[*block.pages.first()?];
    Some((page.frame << PAGE_SHIFT) | (head.wrapping_add(off) % mem::PAGE))
}
