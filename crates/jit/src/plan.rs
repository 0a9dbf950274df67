//! What a region is to contain: blocks, and all that the compiler wants to know of them before it starts. Only data: it may
//! go to another thread.

use crate::clean::Elements;
use crate::effects::{Effects, Mask};
use crate::key::Key;
use crate::links::Link;
use crate::whole::Repeated;
use cpu::{CpuModel, Insn};

/// Instructions a block at most.
pub(crate) const LONGEST: usize = 64;

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
