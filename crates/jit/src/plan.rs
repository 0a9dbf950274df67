//! What a region is to contain: blocks reached from a hot head by direct jumps, calls and returns,
//! with all that the compiler wants to know before it starts. Only data: it may go to another thread.

use crate::clean::Elements;
use crate::effects::{ALL_FLAGS, Effects, Mask, Tracker};
use crate::inplace::in_place;
use crate::key::Key;
use crate::links::Link;
use crate::whole::Repeated;
use cpu::{CodeSize, CpuModel, Insn, Kind};
use isa::{MAX_LENGTH, Mnemonic, Routine, decode, routine};
use mem::{Memory, PAGE, PAGE_SHIFT};
use std::collections::{HashMap, VecDeque};

/// Instructions a region at most, in each tier.
const MOST: [usize; 3] = [64, 96, 160];
/// Instructions a block at most.
pub(crate) const LONGEST: usize = 64;
/// Return sites that one RET is compared with at most.
const RETURNS: usize = 4;

/// Where control goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// A block of the region.
    Block(usize),
    /// Out of it, to this offset from the head.
    Out(u32),
}

/// How a block ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// On to the next instruction: the block was cut.
    Next(Target),
    /// A direct JMP or CALL.
    Jump(Target),
    /// Jcc and its like: taken, and not taken.
    Branch(Target, Target),
    /// An indirect jump, call or return: blocks that it may well lead to.
    Indirect(Vec<usize>),
    /// The last instruction is done by a routine outside, and then the next. With a number it is a
    /// sensitive one, of that place in [`Plan::sensitive`].
    Callout(Target, Option<usize>),
    /// The instruction at this offset is left to the interpreter.
    Leave(u32),
}

/// One instruction of a block.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) insn: Insn,
    /// From the head, in bytes, modulo 2^32.
    pub(crate) off: u32,
    pub(crate) effects: Effects,
    /// A routine outside does it, within the block.
    pub(crate) aside: Option<Aside>,
}

/// Who does an instruction within a block, instead of code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aside {
    /// The monitor: a sensitive one, of this place in [`Plan::sensitive`].
    Monitor(usize),
    /// The interpreter: of this place in [`Plan::repeated`].
    Whole(usize),
    /// Nobody outside: a sensitive one whose routine comes to a few words ([`crate::inplace`]).
    InPlace,
}

/// What a block needs of the flags that it is entered with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum FlagNeed {
    /// Nothing: they are overwritten first.
    Dead,
    /// They may be seen from outside.
    Exits,
    /// They are read.
    Read,
}

#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) off: u32,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
    /// Pages that hold its bytes, by index; one, or two for an instruction that lies across.
    pub(crate) pages: Vec<usize>,
    /// Edges that lead here, without entries.
    pub(crate) edges: usize,
    /// It may be entered from outside.
    pub(crate) entry: bool,
    /// It is a further turn of a loop: outside nobody knows of it.
    pub(crate) copy: bool,
    /// The budget is checked here, for so many instructions.
    pub(crate) check: Option<u64>,
    pub(crate) flags: FlagNeed,
    /// Registers that may differ from those in memory.
    pub(crate) dirty: Mask,
    /// XMM registers with elements that are clean however it is reached: those that a loop computes with.
    pub(crate) clean: Vec<(u32, Elements)>,
    /// Accesses that lie near each other are looked up as one, and loops' numbers on the ways in.
    pub(crate) grouped: bool,
}

impl Block {
    /// The offset of its last byte.
    pub(crate) fn last_byte(&self) -> u32 {
        self.steps.last().map_or(self.off, |s| s.off.wrapping_add(u32::from(s.insn.len) - 1))
    }
}

/// A page of code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    /// Its number in the arena.
    pub(crate) frame: u32,
    /// Its execute entry.
    pub(crate) entry: u64,
    /// The 64-byte grains with instructions of the region.
    pub(crate) grains: u64,
}

/// How much is done for a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tier {
    /// It is warm: code is written in one pass ([`crate::quick`]).
    Quick,
    /// It is hot.
    First,
    /// The guest is mostly there.
    Second,
}

/// A region to be compiled.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) key: Key,
    pub(crate) model: CpuModel,
    /// In reverse post-order; the first is the head.
    pub(crate) blocks: Vec<Block>,
    pub(crate) pages: Vec<Page>,
    /// Its sensitive instructions, at addresses that compiled code may know.
    pub(crate) sensitive: Box<[Insn]>,
    /// Its strings that are done whole, likewise.
    pub(crate) repeated: Box<[Repeated]>,
    /// The ways out that are known, which compiled code knows as well.
    pub(crate) links: Box<[Link]>,
    /// Lowest and highest offset of a byte, from the head.
    pub(crate) span: (i32, i32),
    /// Registers read or written.
    pub(crate) mentioned: Mask,
    /// Registers written.
    pub(crate) written: Mask,
    pub(crate) instructions: usize,
    pub(crate) tier: Tier,
    /// It has more than the first tier's would: loops that were unrolled, or blocks of other regions.
    pub(crate) gains: bool,
    /// The region whose place it takes, and the number that it was announced under.
    pub(crate) replaces: Option<(u32, u64)>,
    /// The region's name, told at exits.
    pub(crate) id: u32,
}

impl Plan {
    /// The link to an offset from the head.
    pub(crate) fn link(&self, off: u32) -> Option<&Link> {
        self.links.iter().find(|l| l.off == off)
    }
}

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
            let attempt = if outside { None } else { crate::attempt::effects(&insn) };
            if let Some(mut effects) = attempt {
                tracker.attempt(&insn, &effects, self.key.stack());
                let in_place = self.in_place && in_place(self.key, &insn);
                if in_place && crate::attempt::takes_flags(&insn) {
                    effects.reads_flags = ALL_FLAGS;
                }
                let aside =
                    if in_place { Some(Aside::InPlace) } else { self.sensitive(&insn).map(Aside::Monitor) };
                steps.push(Step { insn, off: at, effects, aside });
                at = after;
                if second.is_some() {
                    break (End::Next(Target::Out(at)), vec![at]);
                }
                continue;
            }
            let effects = tracker.read(&insn, self.model, self.key.stack());
            let repeated = effects.as_ref().and_then(|e| Repeated::of(&insn, e));
            if let Some(repeated) = repeated.filter(|_| !outside) {
                repeated.note(&mut tracker);
                self.repeated.push(repeated);
                let aside = Some(Aside::Whole(self.repeated.len() - 1));
                steps.push(Step { insn, off: at, effects: repeated.effects(), aside });
                at = after;
                if second.is_some() {
                    break (End::Next(Target::Out(at)), vec![at]);
                }
                continue;
            }
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

/// The blocks of the region that an end leads to.
pub(crate) fn blocks_of(end: &End) -> Vec<usize> {
    let block = |t: &Target| if let Target::Block(n) = t { Some(*n) } else { None };
    match end {
        End::Next(t) | End::Jump(t) | End::Callout(t, _) => block(t).into_iter().collect(),
        End::Branch(t, f) => [t, f].into_iter().filter_map(block).collect(),
        End::Indirect(blocks) => blocks.clone(),
        End::Leave(_) => vec![],
    }
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
