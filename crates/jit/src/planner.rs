//! How a region is planned: blocks reached from a hot head by direct jumps, calls and returns.

use crate::effects::{ALL_FLAGS, Effects, Tracker};
use crate::inplace::in_place;
use crate::key::Key;
use crate::links::Link;
use crate::plan::{Aside, Block, End, FlagNeed, LONGEST, Page, Plan, Step, Target, Tier, blocks_of};
use crate::whole::Repeated;
use cpu::{CodeSize, CpuModel, Insn, Kind};
use isa::{MAX_LENGTH, Mnemonic, Routine, decode, routine};
use mem::{Memory, PAGE, PAGE_SHIFT};
use std::collections::{HashMap, VecDeque};

/// Instructions a region at most, in each tier.
const MOST: [usize; 3] = [64, 96, 160];
/// Return sites that one RET is compared with at most.
const RETURNS: usize = 4;

/// What the planner asks about code that ran before.
pub(crate) trait Profile {
    /// The block at an address of the arena has run often enough to be worth its compilation.
    fn ran(&self, physical: u32) -> bool;
    /// A region can be entered at an address of the arena.
    fn compiled(&self, physical: u32) -> bool;
    /// The instruction at an address of the arena is to be done outside.
    fn outside(&self, physical: u32) -> bool;
    /// In the block of the instruction at an address of the arena nothing is to be taken together.
    fn apart(&self, physical: u32) -> bool;
    /// Sensitive instructions may be done in place.
    fn in_place(&self) -> bool;
    /// Linear addresses of what came after the block of so many bytes at an address of the arena.
    fn followers(&self, physical: u32, bytes: u32) -> Vec<u32>;
}

struct Planner<'a, P> {
    mem: &'a Memory,
    profile: &'a P,
    key: Key,
    model: CpuModel,
    /// Linear address of the head.
    head: u32,
    pages: Vec<(u32, Page)>,
    blocks: Vec<Block>,
    by_offset: HashMap<u32, usize>,
    /// For blocks that end in an indirect call or jump, by their offsets, the offsets that it has led to.
    seen: HashMap<u32, Vec<u32>>,
    sensitive: Vec<Insn>,
    repeated: Vec<Repeated>,
    in_place: bool,
    tier: Tier,
    /// It has blocks of other regions: the second tier's has procedures that it calls within.
    takes_in: bool,
    count: usize,
}

/// Plans the region whose head is at a linear address; `None` where there is nothing to compile.
pub(crate) fn plan(
    (model, head): (CpuModel, u32),
    mem: &Memory,
    key: Key,
    profile: &impl Profile,
    tier: Tier,
) -> Option<Plan> {
    let mut p = Planner {
        mem,
        profile,
        key,
        model,
        head,
        pages: Vec::new(),
        blocks: Vec::new(),
        by_offset: HashMap::new(),
        seen: HashMap::new(),
        sensitive: Vec::new(),
        repeated: Vec::new(),
        in_place: tier != Tier::Quick && profile.in_place(),
        tier,
        takes_in: false,
        count: 0,
    };
    p.explore();
    let useful = p.blocks.first().is_some_and(|b| !b.steps.is_empty());
    useful.then(|| {
        let links = p.links();
        let pages = p.pages.into_iter().map(|(_, page)| page).collect();
        let plan = crate::flow::finish(p.blocks, pages, (key, model), tier);
        let (sensitive, repeated) = (p.sensitive.into(), p.repeated.into());
        Plan { links, sensitive, repeated, gains: plan.gains || p.takes_in, ..plan }
    })
}

impl<P: Profile> Planner<'_, P> {
    fn explore(&mut self) {
        let mut queue = VecDeque::from([(0u32, false)]);
        while let Some((off, called)) = queue.pop_front() {
            if self.by_offset.contains_key(&off) || !self.wanted(off, called) {
                continue;
            }
            let (block, next) = self.block(off);
            if block.steps.is_empty() && off != 0 || self.tier == Tier::Quick && has_vectors(&block) {
                continue;
            }
            self.by_offset.insert(off, self.blocks.len());
            self.count += block.steps.len();
            let site = call_at_end(&block);
            self.blocks.push(block);
            queue.extend(next.into_iter().map(|to| (to, called || site.is_some_and(|site| site != to))));
        }
        self.resolve();
    }

    /// Worth a place in the region: it ran, and is no other region's, but for procedures that the second tier calls.
    fn wanted(&mut self, off: u32, called: bool) -> bool {
        if off == 0 {
            return true;
        }
        if self.count >= MOST[self.tier as usize] {
            return false;
        }
        let linear = self.head.wrapping_add(off);
        let entry = self.mem.lookup_execute(linear);
        if entry == 0 {
            return false;
        }
        let physical = self.mem.physical_of(entry, linear);
        let compiled = self.profile.compiled(physical);
        let wanted = self.profile.ran(physical) && (!compiled || called && self.tier == Tier::Second);
        self.takes_in |= wanted && compiled;
        wanted
    }

    /// One for each known way out to where code may be.
    fn links(&self) -> Box<[Link]> {
        // 16-bit targets wrap, which offsets from the head do not show
        let wide = self.key.code32();
        let outs = self.blocks.iter().flat_map(|b| outs_of(&b.end)).filter(|_| wide);
        let mut offsets: Vec<u32> = outs.collect();
        offsets.sort_unstable();
        offsets.dedup();
        offsets.into_iter().filter_map(|off| self.link(off)).collect()
    }

    fn link(&self, off: u32) -> Option<Link> {
        let linear = self.head.wrapping_add(off);
        let entry = self.mem.lookup_execute(linear);
        let page = self.pages.iter().position(|(number, _)| *number == linear >> PAGE_SHIFT);
        (entry != 0).then(|| Link::new(off, self.mem.physical_of(entry, linear), entry, page))
    }

    fn page(&mut self, linear: u32) -> Option<usize> {
        let number = linear >> PAGE_SHIFT;
        if let Some(n) = self.pages.iter().position(|(l, _)| *l == number) {
            return Some(n);
        }
        let entry = self.mem.lookup_execute(linear);
        if entry == 0 {
            return None;
        }
        let frame = self.mem.physical_of(entry, linear) >> PAGE_SHIFT;
        self.pages.push((number, Page { frame, entry, grains: 0 }));
        Some(self.pages.len() - 1)
    }

    /// The address in the arena of a linear one in a page.
    fn physical(&self, page: usize, linear: u32) -> u32 {
        (self.pages[page].1.frame << PAGE_SHIFT) | (linear % PAGE)
    }

    /// Decodes the instruction at an offset; with the page that it ends in, where that is another.
    fn decode(&mut self, off: u32) -> Option<(Insn, usize, Option<usize>)> {
        let linear = self.head.wrapping_add(off);
        let page = self.page(linear)?;
        let room = (PAGE - linear % PAGE).min(MAX_LENGTH as u32) as usize;
        let mut bytes = [0; MAX_LENGTH];
        let physical = self.physical(page, linear);
        self.mem.read_arena(physical, &mut bytes[..room]);
        let size = if self.key.code32() { CodeSize::Bits32 } else { CodeSize::Bits16 };
        if let Ok(insn) = decode(&bytes[..room], size, self.model) {
            self.mark(page, linear, u32::from(insn.len));
            return Some((insn, page, None));
        }
        if room == MAX_LENGTH {
            return None;
        }
        let next = linear.wrapping_add(room as u32);
        let second = self.page(next)?;
        self.mem.read_arena(self.pages[second].1.frame << PAGE_SHIFT, &mut bytes[room..]);
        let insn = decode(&bytes, size, self.model).ok()?;
        self.mark(page, linear, room as u32);
        self.mark(second, next, u32::from(insn.len) - room as u32);
        Some((insn, page, Some(second)))
    }

    fn mark(&mut self, page: usize, linear: u32, len: u32) {
        let (first, last) = (linear % PAGE / 64, ((linear % PAGE + len).min(PAGE) - 1) / 64);
        self.pages[page].1.grains |= (u64::MAX >> (63 - (last - first))) << first;
    }

    /// Decodes a block; offsets of the blocks that may follow it.
    fn block(&mut self, off: u32) -> (Block, Vec<u32>) {
        let mut tracker = Tracker::new();
        let mut steps = Vec::new();
        let mut pages = Vec::new();
        let mut at = off;
        let mut grouped = true;
        let (end, next) = loop {
            let Some((insn, page, second)) = self.decode(at) else { break (End::Leave(at), vec![]) };
            let apart = second.is_some() || pages.first().is_some_and(|&p| p != page);
            if apart && !steps.is_empty() || steps.len() >= LONGEST {
                break (End::Next(Target::Out(at)), vec![at]);
            }
            if steps.is_empty() {
                pages = std::iter::once(page).chain(second).collect();
            }
            let after = at.wrapping_add(u32::from(insn.len));
            let linear = self.head.wrapping_add(at);
            let physical = self.physical(page, linear);
            grouped &= !self.profile.apart(physical);
            let outside = self.profile.outside(physical);
            let read = tracker.read(&insn, self.model, self.key.stack());
            let aside = if outside { None } else { self.aside(&insn, read.as_ref(), &mut tracker) };
            if let Some((effects, aside)) = aside {
                steps.push(Step { insn, off: at, effects, aside: Some(aside) });
                at = after;
                if second.is_some() {
                    break (End::Next(Target::Out(at)), vec![at]);
                }
                continue;
            }
            let effects = read;
            let no_code = |e: &Effects| e.repeats.is_some() || !crate::region::compiles(self.key, &insn, e);
            let callout = outside || effects.as_ref().is_none_or(no_code);
            if callout && !worth_a_callout(&insn) {
                break (End::Leave(at), vec![]);
            }
            let effects = effects.unwrap_or_default();
            steps.push(Step { insn, off: at, effects, aside: None });
            if callout {
                break (End::Callout(Target::Out(after), self.sensitive(&insn)), vec![after]);
            }
            if let Some((end, mut next)) = self.branch(&insn, at, after) {
                next.extend(self.led_to(&insn, off, after));
                break (end, next);
            }
            at = after;
            if second.is_some() {
                break (End::Next(Target::Out(at)), vec![at]);
            }
        };
        let block = Block {
            off,
            steps,
            end,
            pages,
            edges: 0,
            entry: false,
            copy: false,
            check: None,
            flags: FlagNeed::Exits,
            dirty: 0,
            clean: vec![],
            grouped,
        };
        (block, next)
    }

    /// Where an indirect call or jump at the end of a block has led to.
    fn led_to(&mut self, insn: &Insn, start: u32, after: u32) -> Vec<u32> {
        let indirect =
            matches!(insn.code.mnemonic(), Mnemonic::Call | Mnemonic::Jmp) && insn.kind[0] != Kind::Imm;
        let linear = self.head.wrapping_add(start);
        if !indirect || !self.key.code32() || !near_is_wide(insn, self.key) {
            return Vec::new();
        }
        let Some(page) = self.page(linear) else { return Vec::new() };
        let followers = self.profile.followers(self.physical(page, linear), after.wrapping_sub(start));
        let offsets: Vec<u32> = followers.into_iter().map(|to| to.wrapping_sub(self.head)).collect();
        self.seen.insert(start, offsets.clone());
        offsets
    }

    /// Who does an instruction within its block, and what it touches; `None` where code does, or nobody within.
    fn aside(
        &mut self,
        insn: &Insn,
        read: Option<&Effects>,
        tracker: &mut Tracker,
    ) -> Option<(Effects, Aside)> {
        if let Some(mut effects) = crate::attempt::effects(insn) {
            tracker.attempt(insn, &effects, self.key.stack());
            if self.in_place && in_place(self.key, insn) {
                effects.reads_flags = if crate::attempt::takes_flags(insn) { ALL_FLAGS } else { 0 };
                return Some((effects, Aside::InPlace));
            }
            return self.sensitive(insn).map(|n| (effects, Aside::Monitor(n)));
        }
        let repeated = Repeated::of(insn, read?)?;
        repeated.note(tracker);
        self.repeated.push(repeated);
        Some((repeated.effects(), Aside::Whole(self.repeated.len() - 1)))
    }

    /// The number of a sensitive instruction; `None` for others, which the interpreter does.
    fn sensitive(&mut self, insn: &Insn) -> Option<usize> {
        routine(insn.code)?;
        self.sensitive.push(*insn);
        Some(self.sensitive.len() - 1)
    }

    /// How the instruction ends its block, if it does.
    fn branch(&self, insn: &Insn, at: u32, after: u32) -> Option<(End, Vec<u32>)> {
        use Mnemonic as M;
        let code = insn.code;
        // in 16-bit code displacements have 16 bits
        let imm = if self.key.code32() { insn.imm } else { insn.imm as i16 as u32 };
        let target = at.wrapping_add(imm);
        let direct = insn.kind[0] == Kind::Imm && near_is_wide(insn, self.key);
        Some(match code.mnemonic() {
            M::Jmp if direct => (End::Jump(Target::Out(target)), vec![target]),
            M::Call if direct => (End::Jump(Target::Out(target)), vec![target, after]),
            M::Call => (End::Indirect(vec![]), vec![after]),
            M::Jmp | M::Ret => (End::Indirect(vec![]), vec![]),
            M::Jcxz | M::Jecxz | M::Loop | M::Loope | M::Loopne => self.conditional(insn, target, after),
            _ if code.is_jcc_short() || code.is_jcc_near() => self.conditional(insn, target, after),
            _ => return None,
        })
    }

    fn conditional(&self, insn: &Insn, target: u32, after: u32) -> (End, Vec<u32>) {
        if near_is_wide(insn, self.key) {
            return (End::Branch(Target::Out(target), Target::Out(after)), vec![after, target]);
        }
        (End::Indirect(vec![]), vec![after])
    }

    /// Turns offsets into blocks, and finds what returns may lead to.
    fn resolve(&mut self) {
        let by_offset = &self.by_offset;
        let fix = |t: &mut Target| {
            if let Target::Out(off) = *t
                && let Some(&n) = by_offset.get(&off)
            {
                *t = Target::Block(n);
            }
        };
        for b in &mut self.blocks {
            match &mut b.end {
                End::Next(t) | End::Jump(t) | End::Callout(t, _) => fix(t),
                End::Branch(t, f) => {
                    fix(t);
                    fix(f);
                }
                End::Indirect(_) | End::Leave(_) => {}
            }
        }
        self.indirect();
        self.returns();
    }

    /// Lets indirect calls and jumps lead to the blocks that they have led to.
    fn indirect(&mut self) {
        for b in &mut self.blocks {
            if let (End::Indirect(to), Some(seen)) = (&mut b.end, self.seen.get(&b.off)) {
                to.extend(seen.iter().filter_map(|off| self.by_offset.get(off)));
            }
        }
    }

    /// The return sites of calls whose callee, followed inside the region, reaches a RET.
    fn returns(&mut self) {
        for caller in 0..self.blocks.len() {
            let Some((callees, site)) = self.call(caller) else { continue };
            for n in callees.into_iter().flat_map(|callee| self.within(callee)).collect::<Vec<_>>() {
                let is_ret = self.last(n).is_some_and(|i| i.code.mnemonic() == Mnemonic::Ret);
                if let End::Indirect(sites) = &mut self.blocks[n].end
                    && is_ret
                    && sites.len() < RETURNS
                    && !sites.contains(&site)
                {
                    sites.push(site);
                }
            }
        }
    }

    fn last(&self, n: usize) -> Option<&Insn> {
        self.blocks[n].steps.last().map(|s| &s.insn)
    }

    /// Callees and return site of a block that ends in a CALL, all in the region.
    fn call(&self, n: usize) -> Option<(Vec<usize>, usize)> {
        let after = call_at_end(&self.blocks[n])?;
        let end = &self.blocks[n].end;
        let callees = if matches!(end, End::Callout(..)) { Vec::new() } else { blocks_of(end) };
        (!callees.is_empty()).then_some((callees, *self.by_offset.get(&after)?))
    }

    /// The blocks of a procedure: calls are followed to their return sites only.
    fn within(&self, start: usize) -> Vec<usize> {
        let mut seen = vec![start];
        let mut n = 0;
        while n < seen.len() {
            let b = seen[n];
            let next = match (self.call(b), &self.blocks[b].end) {
                (Some((_, site)), _) => vec![site],
                (None, end) => blocks_of(end),
            };
            for t in next {
                if !seen.contains(&t) {
                    seen.push(t);
                }
            }
            n += 1;
        }
        seen
    }
}

/// It computes with vectors or floating-point numbers, which the quick tier has no code for.
fn has_vectors(b: &Block) -> bool {
    b.steps.iter().any(|s| s.effects.sse || s.effects.mmx || s.effects.x87)
}

/// The offset of the return site of a block that ends in a CALL.
fn call_at_end(b: &Block) -> Option<u32> {
    let step = b.steps.last().filter(|s| s.insn.code.mnemonic() == Mnemonic::Call)?;
    Some(step.off.wrapping_add(u32::from(step.insn.len)))
}

/// The offsets from the head that an end leads to outside of the region.
fn outs_of(end: &End) -> Vec<u32> {
    let targets = match end {
        End::Next(t) | End::Jump(t) | End::Callout(t, _) => vec![*t],
        End::Branch(a, b) => vec![*a, *b],
        End::Indirect(_) | End::Leave(_) => vec![],
    };
    targets.into_iter().filter_map(|t| if let Target::Out(off) = t { Some(off) } else { None }).collect()
}

/// A relative branch whose operand size is that of the code: its target needs no cutting.
fn near_is_wide(insn: &Insn, key: Key) -> bool {
    let narrow = insn.code.op_code().operand_size() == 16;
    narrow != key.code32()
}

/// What is done outside and then goes on behind the instruction; the rest leaves the region.
fn worth_a_callout(insn: &Insn) -> bool {
    !matches!(routine(insn.code), Some(Routine::Ud)) && insn.code != isa::Code::INVALID
}
