//! Accesses of a loop that mostly stay in the page where they were before.
//!
//! Where a loop's addresses move by small steps, or not at all, its accesses remember the page that they found last,
//! with its entry, in variables: one difference and one comparison say that the bytes lie in that page, and nothing
//! has to be loaded. While compiled code runs entries of the shadow change in routines that do an instruction outside
//! only (`callout.rs`); behind those, and where a region is entered, nothing is remembered.

use crate::access::Ways;
use crate::effects::{Mask, Touch};
use crate::lower::{Lower, bits};
use crate::plan::{Block, End, Plan, Step, blocks_of};
use cpu::{Insn, Kind, reg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use isa::Mnemonic as M;
use mem::PAGE;

/// Pages that a region remembers at most: each takes two registers.
const MOST: usize = 6;
/// Bytes that a register moves in one turn at most.
const STEP: u32 = 512;
/// Displacements this near to each other share a page.
const NEAR: u32 = 2048;
/// No page: no linear address of 32 bits is near it.
const NONE: i64 = 1 << 40;

/// What addresses of accesses have in common: registers, by their values at the start of a block, and about how far
/// from there they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Class {
    base: u8,
    index: u8,
    scale: u8,
    disp: u32,
    write: bool,
}

impl Class {
    fn shares(&self, other: &Class) -> bool {
        let apart = (other.disp.wrapping_sub(self.disp) as i32).unsigned_abs();
        apart < NEAR && Class { disp: self.disp, ..*other } == *self
    }
}

/// What a region remembers.
pub(crate) struct Recent {
    /// For each block in a loop the registers that go anywhere in the innermost one.
    wild: Vec<Option<Mask>>,
    classes: Vec<Class>,
    pages: [Variable; MOST],
    entries: [Variable; MOST],
}

impl Recent {
    pub(crate) fn new(plan: &Plan, b: &mut FunctionBuilder<'_>) -> Recent {
        Recent {
            wild: (0..plan.blocks.len()).map(|n| wild_around(&plan.blocks, n)).collect(),
            classes: Vec::new(),
            pages: std::array::from_fn(|_| b.declare_var(I64)),
            entries: std::array::from_fn(|_| b.declare_var(I64)),
        }
    }

    /// The classes of an instruction's accesses, as far as they are worth it.
    pub(crate) fn of_step(&self, block: usize, step: &Step) -> Vec<Option<Class>> {
        let Some(wild) = self.wild[block] else { return Vec::new() };
        let touches = &step.effects.touches;
        touches.iter().map(|t| class(&step.insn, t, touches.len() == 1, wild)).collect()
    }

    /// The number of a class, which may be a new one.
    fn number(&mut self, class: Class) -> Option<usize> {
        if let Some(n) = self.classes.iter().position(|c| c.shares(&class)) {
            return Some(n);
        }
        (self.classes.len() < MOST).then(|| {
            self.classes.push(class);
            self.classes.len() - 1
        })
    }
}

/// The registers that go anywhere in the innermost loop around a block, if one is worth it.
fn wild_around(blocks: &[Block], n: usize) -> Option<Mask> {
    let turns = (n..blocks.len())
        .flat_map(|end| blocks_of(&blocks[end].end).into_iter().map(move |head| (head, end)));
    let (head, end) = turns.filter(|&(head, _)| head <= n).min_by_key(|&(head, end)| end - head)?;
    let inside = &blocks[head..=end];
    if inside.iter().any(|b| matches!(b.end, End::Callout(..))) {
        return None;
    }
    let steps = inside.iter().flat_map(|b| &b.steps);
    let wild = steps.fold(0, |m, s| {
        m | bits(s.effects.writes & 0xff).filter(|&r| !is_step(&s.insn, r as u8)).fold(0, |m, r| m | 1 << r)
    });
    // frames of functions are near each other
    Some(wild & !(1 << reg::SP | 1 << reg::BP))
}

/// The instruction moves the register a little, if it writes to it.
fn is_step(i: &Insn, r: u8) -> bool {
    let little = |k: u32| (k as i32).unsigned_abs() <= STEP;
    match i.code.mnemonic() {
        M::Inc | M::Dec => true,
        M::Add | M::Sub => i.kind[1] == Kind::Imm && little(i.imm),
        M::Lea => i.base == r && i.index == reg::NONE && little(i.disp),
        // a repeated one goes on and on
        M::Movsb | M::Movsw | M::Movsd | M::Stosb | M::Stosw | M::Stosd | M::Lodsb | M::Lodsw | M::Lodsd => {
            !i.prefix.repeated()
        }
        _ => false,
    }
}

fn class(i: &Insn, t: &Touch, alone: bool, wild: Mask) -> Option<Class> {
    let steady = |r: u8| r == reg::NONE || wild >> (r & 7) & 1 == 0;
    match t.at {
        Some((u32::MAX, disp)) => {
            Some(Class { base: reg::NONE, index: reg::NONE, scale: 0, disp, write: t.write })
        }
        Some((id, disp)) if id < 8 && steady(id as u8) => {
            Some(Class { base: id as u8, index: reg::NONE, scale: 0, disp, write: t.write })
        }
        None if alone && i.addr32 && steady(i.base) && steady(i.index) => {
            Some(Class { base: i.base, index: i.index, scale: i.scale, disp: i.disp, write: t.write })
        }
        _ => None,
    }
}

impl Lower<'_, '_> {
    /// Forgets all pages.
    pub(crate) fn forget_pages(&mut self) {
        let loops = self.recent.wild.iter().any(Option::is_some);
        for n in 0..if loops { MOST } else { 0 } {
            let (page, entry) = (self.recent.pages[n], self.recent.entries[n]);
            let none = self.b.ins().iconst(I64, NONE);
            self.b.def_var(page, none);
            self.b.def_var(entry, none);
        }
    }

    /// What the next access of the running instruction remembers: its page's number.
    pub(crate) fn recent_page(&mut self, write: bool) -> Option<usize> {
        let class = (*self.recent_of.get(self.touch.checked_sub(1)?)?)?;
        self.recent.number(Class { write, ..class })
    }

    /// Goes on where the bytes are in page `n`; the present block is where they are not.
    pub(crate) fn look_again(&mut self, n: usize, linear: Value, size: u32) -> Ways {
        // exits are reached from the cold block only: what they put back has to be at hand before
        self.leave();
        let ways = self.ways_of_recent();
        let cold = self.b.create_block();
        self.b.set_cold_block(cold);
        let page = self.b.use_var(self.recent.pages[n]);
        let wide = self.b.ins().uextend(I64, linear);
        let distance = self.b.ins().isub(wide, page);
        let elsewhere = self.b.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, distance, i64::from(PAGE - size));
        self.b.ins().brif(elsewhere, cold, &[], ways.on, &[]);
        self.go(cold);
        self.searching = true;
        ways
    }

    fn ways_of_recent(&mut self) -> Ways {
        let [on, plain, special] = [(); 3].map(|()| self.b.create_block());
        for block in [plain, special] {
            self.b.append_block_param(block, I64);
            self.b.set_cold_block(block);
        }
        Ways { on, plain, special }
    }

    /// Remembers page `n` where it was found to be plain memory; the entry to add, in the block that goes on.
    pub(crate) fn remember(&mut self, n: usize, linear: Value, ways: Ways) -> Value {
        self.searching = false;
        for block in [ways.plain, ways.special] {
            self.go(block);
            let entry = self.b.block_params(block)[0];
            let page = if block == ways.plain {
                let wide = self.b.ins().uextend(I64, linear);
                self.b.ins().band_imm_s(wide, -i64::from(PAGE))
            } else {
                self.b.ins().iconst(I64, NONE)
            };
            self.b.def_var(self.recent.pages[n], page);
            self.b.def_var(self.recent.entries[n], entry);
            self.b.ins().jump(ways.on, &[]);
        }
        self.go(ways.on);
        self.b.use_var(self.recent.entries[n])
    }
}
