//! One region of the quick tier: entries, blocks, edges, exits. What it leaves behind, and where, is as in
//! [`crate::region`].

use super::asm::{Alu, Cc, Label, R12, RAX, RBP, RBX, RCX, RDI, RDX, RSI, Rm};
use super::flags::{Base, FlagState};
use super::temps::Temps;
use super::writer::{Transfer, Val, Writer, context, state};
use crate::backend::Addresses;
use crate::context::{self, Exit};
use crate::effects::ALL_FLAGS;
use crate::lower::Unsupported;
use crate::plan::{Block, End, FlagNeed, Plan, Step, Target};
use cpu::Width::{B32, B64};
use cpu::{Insn, State};
use sem::Body;
use sem::shape::{Kinds, Picker};
use std::mem::offset_of;

const EIP: usize = offset_of!(State, eip);

struct ToCode;
type Run = fn(&mut Writer<'_>) -> Result<(), Unsupported>;
impl Picker for ToCode {
    type Out = Run;
    fn make<B: Body, K: Kinds>(self) -> Run {
        |w| B::run(w)
    }
}

/// What a block with one way in knows from the block before.
#[derive(Clone)]
struct Incoming {
    flags: FlagState,
    temps: Temps,
}

struct Region {
    blocks: Vec<Label>,
    incoming: Vec<Option<Incoming>>,
}

/// The code of a region, whose blocks count their runs down in memory, at `counters`; nothing where it cannot be
/// written.
pub(crate) fn build<'a>(plan: &'a Plan, addresses: Addresses, counters: &'a [u64]) -> Option<Vec<u8>> {
    let mut asm = super::asm::Asm::default();
    let tail = asm.label();
    let mut w = Writer {
        asm,
        plan,
        addresses,
        insn: Insn::blank(isa::Code::INVALID),
        off: 0,
        undone: 0,
        temps: Temps::new(),
        since: 0,
        flags: FlagState::of(Base::Memory),
        wanted: FlagNeed::Exits,
        transfer: None,
        exits: Vec::new(),
        searches: Vec::new(),
        first_exit: 0,
        touch: 0,
        failed: false,
        tail,
        counters,
    };
    let blocks = plan.blocks.iter().map(|_| w.asm.label()).collect();
    Region { blocks, incoming: vec![None; plan.blocks.len()] }.write(&mut w);
    (!w.failed && !w.temps.overflow).then(|| w.asm.finish()).flatten()
}

impl Region {
    fn write(&mut self, w: &mut Writer<'_>) {
        self.entries(w);
        for n in 0..self.blocks.len() {
            self.block(w, n);
        }
        let searches = std::mem::take(&mut w.searches);
        searches.into_iter().for_each(|s| w.write_search(s));
        let exits = std::mem::take(&mut w.exits);
        exits.into_iter().for_each(|e| w.write_exit(e));
        w.write_tail();
    }

    /// From the number of the entry, in RDX, to its block.
    fn entries(&mut self, w: &mut Writer<'_>) {
        // a region gives these back as it got them; with three more words the stack is aligned for calls
        [RBX, RBP, R12].into_iter().for_each(|h| w.asm.push(h));
        w.asm.load(B64, RBX, Rm::Reg(RDI));
        w.asm.load(B64, RBP, Rm::Reg(RSI));
        w.asm.load(B32, R12, state(EIP));
        let plan = w.plan;
        let entries: Vec<usize> = (0..plan.blocks.len()).filter(|&n| plan.blocks[n].entry).collect();
        let doors: Vec<Label> = entries.iter().map(|_| w.asm.label()).collect();
        if doors.len() > 1 {
            let table = w.asm.label();
            w.asm.address(RAX, table);
            w.asm.lea(B64, RAX, Rm::Sum(RAX, RDX, 2, 0));
            // distances are counted from behind them
            w.asm.load_signed(B32, B64, RCX, Rm::At(RAX, 0));
            w.asm.lea(B64, RAX, Rm::Sum(RAX, RCX, 0, 4));
            w.asm.jump_to(RAX);
            w.asm.bind(table);
            doors.iter().for_each(|&d| w.asm.entry(d));
        }
        for (&n, door) in entries.iter().zip(doors) {
            w.asm.bind(door);
            self.entry(w, n);
        }
    }

    fn entry(&mut self, w: &mut Writer<'_>, n: usize) {
        let block = &w.plan.blocks[n];
        w.start();
        if block.off != 0 {
            w.asm.lea(B32, R12, Rm::At(R12, (block.off as i32).wrapping_neg()));
        }
        (w.off, w.undone) = (block.off, 0);
        if !w.plan.key.cs_flat() {
            w.check_span();
        }
        // the way in has looked at the page of the first byte only
        if block.pages.len() > 1 {
            w.check_pages(n, Exit::Redo);
        }
        if block.flags == FlagNeed::Read {
            w.canonical_flags();
        }
        w.asm.jump(self.blocks[n]);
    }

    fn block(&mut self, w: &mut Writer<'_>, n: usize) {
        let plan = w.plan;
        let block = &plan.blocks[n];
        w.asm.bind(self.blocks[n]);
        w.start();
        if block.flags == FlagNeed::Read {
            w.flags = FlagState::of(Base::Canonical);
        }
        if let Some(Incoming { flags, temps }) = self.incoming[n].take() {
            let overflow = w.temps.overflow;
            (w.flags, w.temps) = (flags, temps);
            w.temps.overflow |= overflow;
        }
        w.begin();
        (w.off, w.undone, w.first_exit) = (block.off, 0, w.exits.len());
        if let Some(need) = block.check {
            w.check_budget(need);
        }
        w.count_run(n);
        if block.check.is_some() {
            let hot = w.exit(Exit::Hot, block.off, 0);
            w.asm.jump_if(Cc::Equal, hot);
        }
        let callout = matches!(block.end, End::Callout(..));
        let own = block.steps.len() - usize::from(callout);
        if own > 0 {
            w.asm.alu_constant(B64, Alu::Sub, context(context::LEFT), own as i32);
        }
        let wanted = wanted_flags(plan, block, own);
        w.transfer = None;
        for (i, step) in block.steps[..own].iter().enumerate() {
            w.undone = (own - i) as u64;
            w.step(step, wanted[i]);
        }
        w.undone = 0;
        w.first_exit = w.exits.len();
        self.end(w, n);
    }

    fn end(&mut self, w: &mut Writer<'_>, n: usize) {
        let plan = w.plan;
        match &plan.blocks[n].end {
            End::Next(t) => self.go(w, n, *t, None),
            End::Jump(t) => {
                // in 16-bit code the target wraps, which offsets from the head do not
                let ip = match w.transfer {
                    Some(Transfer::Jump(ip)) if !plan.key.code32() => Some(ip),
                    _ => None,
                };
                self.go(w, n, *t, ip);
            }
            End::Branch(taken, not) => self.branch(w, n, *taken, *not),
            End::Indirect(candidates) => self.indirect(w, n, candidates),
            End::Callout(next, sensitive) => self.callout(w, n, *next, *sensitive),
            End::Leave(off) => {
                let there = w.exit(Exit::Redo, *off, 0);
                w.asm.jump(there);
            }
        }
    }

    fn branch(&mut self, w: &mut Writer<'_>, n: usize, taken: Target, not: Target) {
        let Some(Transfer::If(c, to)) = w.transfer else { return self.go(w, n, not, None) };
        let wrapped = (!w.plan.key.code32()).then_some(to);
        match c {
            Val::Const(0) => self.go(w, n, not, None),
            Val::Const(_) => self.go(w, n, taken, wrapped),
            c => {
                let yes = w.asm.label();
                w.branch(c, true, yes);
                self.side(w, |this, w| this.go(w, n, not, None));
                w.asm.bind(yes);
                self.go(w, n, taken, wrapped);
            }
        }
    }

    /// One of two ways: what it makes of values and flags is its own.
    fn side(&mut self, w: &mut Writer<'_>, f: impl FnOnce(&mut Self, &mut Writer<'_>)) {
        let (flags, temps) = (w.flags.clone(), w.temps.clone());
        f(self, w);
        let overflow = w.temps.overflow;
        (w.flags, w.temps) = (flags, temps);
        w.temps.overflow |= overflow;
    }

    fn indirect(&mut self, w: &mut Writer<'_>, n: usize, candidates: &[usize]) {
        let (c, to) = match w.transfer {
            Some(Transfer::Jump(to)) => (None, to),
            Some(Transfer::If(c, to)) => (Some(c), to),
            // it was done outside, and led to the next instruction
            None => return self.go(w, n, Target::Out(w.off.wrapping_add(u32::from(w.insn.len))), None),
        };
        let mut to = to;
        if let Some(c) = c {
            let next = Val::Ip(w.off.wrapping_add(u32::from(w.insn.len)));
            to = sem::Emit::select(w, B32, c, to, next);
        }
        let to = Val::Temp(w.temp(to));
        for &k in candidates {
            let off = w.plan.blocks[k].off;
            let other = w.asm.label();
            w.asm.lea(B32, RAX, Rm::At(R12, off as i32));
            let h = w.in_host(to);
            w.asm.alu(B32, Alu::Cmp, h, Rm::Reg(RAX));
            w.asm.jump_if(Cc::NotEqual, other);
            self.side(w, |this, w| this.go(w, n, Target::Block(k), None));
            w.asm.bind(other);
        }
        self.go(w, n, Target::Out(0), Some(to));
    }

    /// Ends the present block towards a target.
    fn go(&mut self, w: &mut Writer<'_>, from: usize, target: Target, ip: Option<Val>) {
        match target {
            Target::Block(n) => self.go_to_block(w, from, n),
            Target::Out(off) => {
                let link = if ip.is_none() { w.plan.link(off) } else { None };
                w.put_away(ip.unwrap_or(Val::Ip(off)));
                match link {
                    Some(link) => w.follow(from, link),
                    None => w.dispatch(),
                }
            }
        }
    }

    fn go_to_block(&mut self, w: &mut Writer<'_>, from: usize, n: usize) {
        let plan = w.plan;
        let block = &plan.blocks[n];
        let known = plan.blocks[from].pages.last();
        if block.pages.len() > 1 || block.pages.first() != known {
            w.check_pages(n, Exit::Lookup);
        }
        if block.edges > 1 || block.entry {
            match block.flags {
                FlagNeed::Dead => {}
                FlagNeed::Exits => w.store_flags(),
                FlagNeed::Read => w.settle(),
            }
        } else {
            self.incoming[n] = Some(Incoming { flags: w.flags.clone(), temps: w.temps.clone() });
        }
        w.asm.jump(self.blocks[n]);
    }

    /// Has the last instruction done outside, and goes on if all is as it was.
    fn callout(&mut self, w: &mut Writer<'_>, n: usize, next: Target, sensitive: Option<usize>) {
        let Some(step) = w.plan.blocks[n].steps.last() else { return };
        w.put_away(Val::Ip(step.off));
        w.call_out(&step.insn, sensitive);
        w.start();
        // the routine has settled them
        w.flags = FlagState::of(Base::Canonical);
        self.go(w, n, next, None);
    }
}

/// What is wanted of the flags that each instruction of a block leaves.
fn wanted_flags(plan: &Plan, block: &Block, own: usize) -> Vec<FlagNeed> {
    let need = |t: &Target| match t {
        Target::Block(n) => {
            let to = &plan.blocks[*n];
            // an edge to another page is checked, and may leave
            let checked = to.pages.len() > 1 || to.pages.first() != block.pages.last();
            to.flags.max(if checked { FlagNeed::Exits } else { FlagNeed::Dead })
        }
        Target::Out(_) => FlagNeed::Exits,
    };
    let behind = match &block.end {
        End::Next(t) | End::Jump(t) => need(t),
        End::Branch(t, f) => need(t).max(need(f)),
        End::Indirect(blocks) => {
            blocks.iter().map(|&n| need(&Target::Block(n))).fold(FlagNeed::Exits, FlagNeed::max)
        }
        End::Callout(..) | End::Leave(_) => FlagNeed::Exits,
    };
    let all = |on: bool| if on { ALL_FLAGS } else { 0 };
    let (mut seen, mut read) = (all(behind != FlagNeed::Dead), all(behind == FlagNeed::Read));
    let mut wanted = vec![FlagNeed::Dead; own];
    for (n, step) in block.steps[..own].iter().enumerate().rev() {
        wanted[n] = match (read, seen) {
            (0, 0) => FlagNeed::Dead,
            (0, _) => FlagNeed::Exits,
            _ => FlagNeed::Read,
        };
        let e = &step.effects;
        seen = seen & !e.sets_flags | all(e.stops);
        read = read & !e.sets_flags | e.reads_flags;
    }
    wanted
}

impl Writer<'_> {
    /// Begins a block that is reached in many ways.
    fn start(&mut self) {
        let overflow = self.temps.overflow;
        self.temps = Temps::new();
        self.temps.overflow = overflow;
        self.since = 0;
        self.flags = FlagState::of(Base::Memory);
    }

    fn step(&mut self, step: &Step, wanted: FlagNeed) {
        (self.insn, self.off, self.touch, self.wanted) = (step.insn, step.off, 0, wanted);
        self.first_exit = self.exits.len();
        self.begin();
        match step.aside {
            Some(aside) => self.aside(aside),
            None => self.in_code_or_outside(),
        }
        if wanted == FlagNeed::Dead {
            self.flags = FlagState::of(Base::Memory);
        }
    }

    /// The instruction as code, or where its body asks for what has none, by the interpreter.
    fn in_code_or_outside(&mut self) {
        let mark = self.asm.mark();
        let (temps, flags, searches) = (self.temps.clone(), self.flags.clone(), self.searches.len());
        // what went wrong before stays wrong
        let broken = std::mem::take(&mut self.failed);
        let done = sem::bind(&self.insn, ToCode).is_some_and(|run| run(self).is_ok());
        let failed = std::mem::replace(&mut self.failed, broken);
        if done && !failed && !self.temps.overflow {
            return;
        }
        self.asm.rewind(mark);
        self.exits.truncate(self.first_exit);
        self.searches.truncate(searches);
        (self.temps, self.flags) = (temps, flags);
        self.transfer = None;
        self.outside();
    }
}
