//! One region as one function: entries, blocks, edges, exits.

use crate::backend::{Addresses, signature};
use crate::clean::Elements;
use crate::config::{Arithmetic, Lookup};
use crate::context::{self, Exit};
use crate::effects::Effects;
use crate::exits::{put_away, write_exit, write_tail};
use crate::flags::FlagState;
use crate::fpu::Routines;
use crate::group::group;
use crate::key::Key;
use crate::links::Link;
use crate::lower::{Lower, Transfer, Unsupported, Val, Variables, bits, own, type_of};
use crate::plan::{Aside, End, FlagNeed, Plan, Target};
use crate::recent::Recent;
use cpu::Width::B32;
use cpu::{Insn, Segment, State, seg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, AbiParam, Block, InstBuilder, JumpTableData, Value};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use sem::Body;
use sem::shape::{Kinds, Picker};
use std::mem::offset_of;

/// What the compiler may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The convention of routines written in Rust.
    pub(crate) host: CallConv,
    /// The form of the shadow that accesses look at.
    pub(crate) lookup: Lookup,
    pub(crate) arithmetic: Arithmetic,
}

/// Whether an instruction becomes code; the others are called out for.
pub(crate) fn compiles(key: Key, insn: &Insn, effects: &Effects) -> bool {
    // a masked store finds sixteen places: too much code for what is rare
    let many = effects.sse && effects.touches.len() > 8;
    let on = (!effects.sse || key.sse()) && (!(effects.mmx || effects.x87) || key.fpu());
    let known = !effects.unsupported && (!effects.x87 || crate::fpu::has_code(insn));
    on && known && !many && (!effects.raises || key.masked())
}

/// The signature of a region: context, state, number of the entry.
pub(crate) fn region_signature() -> ir::Signature {
    signature(CallConv::Tail, 3)
}

struct ToCode;
type Run = fn(&mut Lower<'_, '_>) -> Result<(), Unsupported>;
impl Picker for ToCode {
    type Out = Run;
    fn make<B: Body, K: Kinds>(self) -> Run {
        |l| B::run(l)
    }
}

/// Offsets of the blocks that can be entered, in the order of their numbers.
pub(crate) fn entry_offsets(plan: &Plan) -> Vec<u32> {
    plan.blocks.iter().filter(|b| b.entry).map(|b| b.off).collect()
}

/// Writes the function of a region; gives the code of the routines that it calls.
pub(crate) fn build(
    plan: &Plan,
    options: &Options,
    addresses: Addresses,
    b: &mut FunctionBuilder<'_>,
) -> Vec<Vec<u8>> {
    let start = b.create_block();
    b.append_block_params_for_function_params(start);
    b.switch_to_block(start);
    let (ctx, state, index) = {
        let p = b.block_params(start);
        (p[0], p[1], p[2])
    };
    let variables = Variables {
        registers: std::array::from_fn(|n| {
            (plan.mentioned >> n & 1 != 0).then(|| b.declare_var(type_of(n as u32)))
        }),
        left: b.declare_var(I64),
        base: b.declare_var(I32),
        arrays: [b.declare_var(I64), b.declare_var(I64)],
    };
    let recent = Recent::new(plan, b);
    let left = b.ins().load(I64, own(), ctx, context::LEFT);
    let mut l = Lower {
        b,
        plan,
        ctx,
        state,
        insn: Insn::blank(isa::Code::INVALID),
        off: 0,
        registers: [None; 24],
        dirty: 0,
        written: 0,
        flags: FlagState::MEMORY,
        variables,
        base: None,
        left,
        undone: 0,
        leave: None,
        exits: Vec::new(),
        transfer: None,
        arrays: [None; 2],
        note: None,
        x87_in: None,
        mmx_mode: None,
        exponents: 0,
        operand: None,
        groups: Vec::new(),
        group_of: Vec::new(),
        touch: 0,
        recent,
        fills: true,
        searching: false,
        scaled: Vec::new(),
        recent_of: Vec::new(),
        tail: None,
        routines: Routines::default(),
        vectors: None,
        next: None,
        clean: Vec::new(),
        usual_mxcsr: false,
        raised: Vec::new(),
        addresses,
        options,
    };
    Region { blocks: Vec::new(), incoming: plan.blocks.iter().map(|_| None).collect() }.write(&mut l, index);
    l.routines.into_code()
}

struct Region {
    blocks: Vec<Block>,
    /// What blocks with one way in know from the block before.
    incoming: Vec<Option<Incoming>>,
}

struct Incoming {
    flags: FlagState,
    clean: Vec<(u32, Elements)>,
}

impl Region {
    fn write(&mut self, l: &mut Lower<'_, '_>, index: Value) {
        self.blocks = l.plan.blocks.iter().map(|_| l.b.create_block()).collect();
        reload(l);
        self.entries(l, index);
        for n in 0..self.blocks.len() {
            self.block(l, n);
        }
        while let Some(exit) = l.exits.pop() {
            write_exit(l, exit);
        }
        if let Some(tail) = l.tail {
            write_tail(l, tail);
        }
        l.b.seal_all_blocks();
    }

    /// From the number of the entry to its block.
    fn entries(&mut self, l: &mut Lower<'_, '_>, index: Value) {
        let plan = l.plan;
        let entries: Vec<usize> = (0..plan.blocks.len()).filter(|&n| plan.blocks[n].entry).collect();
        let doors: Vec<Block> = entries.iter().map(|_| l.b.create_block()).collect();
        match doors[..] {
            [one] => {
                l.b.ins().jump(one, &[]);
            }
            [first, second] => {
                l.b.ins().brif(index, second, &[], first, &[]);
            }
            _ => {
                let calls: Vec<_> = doors.iter().map(|&d| l.b.func.dfg.block_call(d, &[])).collect();
                let default = calls[0];
                let table = l.b.create_jump_table(JumpTableData::new(default, &calls));
                let index = l.b.ins().ireduce(I32, index);
                l.b.ins().br_table(index, table);
            }
        }
        for (&n, door) in entries.iter().zip(doors) {
            l.go(door);
            self.entry(l, n);
        }
    }

    fn entry(&mut self, l: &mut Lower<'_, '_>, n: usize) {
        l.start();
        let eip = l.load_own(I32, offset_of!(State, eip) as i32);
        let off = l.plan.blocks[n].off as i32;
        let base = if off == 0 { eip } else { l.b.ins().iadd_imm_s(eip, -i64::from(off)) };
        l.b.def_var(l.variables.base, base);
        l.base = Some(base);
        l.off = off as u32;
        l.undone = 0;
        l.dirty = 0;
        l.leave = None;
        l.left = l.b.use_var(l.variables.left);
        l.flags = FlagState::MEMORY;
        if !l.plan.key.cs_flat() {
            check_span(l, base);
        }
        // the way in has looked at the page of the first byte only
        if l.plan.blocks[n].pages.len() > 1 {
            check_pages(l, n, Exit::Redo);
        }
        if l.plan.blocks[n].flags == FlagNeed::Read {
            canonical_flags(l);
        }
        l.demand_clean_registers(clean_at(l, n));
        l.b.ins().jump(self.blocks[n], &[]);
    }

    fn block(&mut self, l: &mut Lower<'_, '_>, n: usize) {
        let plan = l.plan;
        let block = &plan.blocks[n];
        l.b.switch_to_block(self.blocks[n]);
        l.start();
        l.dirty = block.dirty;
        let incoming = self.incoming[n].take();
        l.flags = incoming.as_ref().map_or(FlagState::MEMORY, |i| i.flags.clone());
        l.left = l.b.use_var(l.variables.left);
        l.off = block.off;
        l.undone = 0;
        if let Some(need) = block.check {
            check_budget(l, need);
        }
        if block.flags == FlagNeed::Read && incoming.is_none() {
            l.load_flags();
        }
        l.set_clean_registers(incoming.as_ref().map_or(clean_at(l, n), |i| &i.clean));
        let callout = matches!(block.end, End::Callout(..));
        let own = block.steps.len() - usize::from(callout);
        if own > 0 {
            l.left = l.b.ins().iadd_imm_s(l.left, -(own as i64));
            l.b.def_var(l.variables.left, l.left);
        }
        l.transfer = None;
        let (groups, mut members) =
            if block.grouped { group(plan.key, &block.steps[..own]) } else { (vec![], vec![]) };
        l.groups = groups;
        for (i, step) in block.steps[..own].iter().enumerate() {
            (l.insn, l.off, l.undone, l.leave) = (step.insn, step.off, (own - i) as u64, None);
            (l.operand, l.touch) = (None, 0);
            l.recent_of = l.recent.of_step(n, step);
            l.vectors = step.effects.vectors(&step.insn);
            l.next = block.steps[..own].get(i + 1).map(|s| s.insn);
            l.group_of = members.get_mut(i).map(std::mem::take).unwrap_or_default();
            let done = match step.aside {
                None => sem::bind(&step.insn, ToCode).map_or(Err(Unsupported), |run| run(l)),
                Some(Aside::InPlace) => l.in_place(),
                Some(Aside::Monitor(n)) => {
                    l.attempt(n, &step.effects);
                    Ok(())
                }
                Some(Aside::Whole(n)) => {
                    l.whole(n, &step.effects);
                    Ok(())
                }
            };
            if done.is_err() {
                l.compute_raised();
                let there = l.leave();
                l.b.ins().jump(there, &[]);
                return;
            }
        }
        (l.undone, l.leave) = (0, None);
        l.compute_raised();
        self.end(l, n);
    }

    fn end(&mut self, l: &mut Lower<'_, '_>, n: usize) {
        let plan = l.plan;
        match &plan.blocks[n].end {
            End::Next(t) => {
                l.publish();
                self.go(l, n, *t, None);
            }
            End::Jump(t) => {
                l.publish();
                // in 16-bit code the target wraps, which offsets from the head do not
                let ip = match l.transfer {
                    Some(Transfer::Jump(ip)) if !l.plan.key.code32() => Some(ip),
                    _ => None,
                };
                self.go(l, n, *t, ip);
            }
            End::Branch(taken, not) => self.branch(l, n, *taken, *not),
            End::Indirect(candidates) => self.indirect(l, n, candidates),
            End::Callout(next, sensitive) => self.callout(l, n, *next, *sensitive),
            End::Leave(off) => {
                l.off = *off;
                let there = l.exit_block(Exit::Redo);
                l.b.ins().jump(there, &[]);
            }
        }
    }

    fn branch(&mut self, l: &mut Lower<'_, '_>, n: usize, taken: Target, not: Target) {
        l.publish();
        let Some(Transfer::If(c, to)) = l.transfer else { return self.go(l, n, not, None) };
        // in 16-bit code the target wraps, which falling through does not
        let wrapped = (!l.plan.key.code32()).then_some(to);
        match c {
            Val::Const(0) => self.go(l, n, not, None),
            Val::Const(_) => self.go(l, n, taken, wrapped),
            c => {
                let c = l.condition_node(c);
                let (yes, no) = (l.b.create_block(), l.b.create_block());
                l.b.ins().brif(c, yes, &[], no, &[]);
                for (block, target, ip) in [(no, not, None), (yes, taken, wrapped)] {
                    l.go(block);
                    self.side(l, |this, l| this.go(l, n, target, ip));
                }
            }
        }
    }

    /// Does something in a block of its own, and forgets what was put at hand there.
    fn side(&mut self, l: &mut Lower<'_, '_>, f: impl FnOnce(&mut Self, &mut Lower<'_, '_>)) {
        let (registers, flags, base, arrays) = (l.registers, l.flags.clone(), l.base, l.arrays);
        let known = l.clean.len();
        f(self, l);
        (l.registers, l.flags, l.base, l.arrays) = (registers, flags, base, arrays);
        l.clean.truncate(known);
    }

    fn indirect(&mut self, l: &mut Lower<'_, '_>, n: usize, candidates: &[usize]) {
        l.publish();
        let (c, to) = match l.transfer {
            Some(Transfer::Jump(to)) => (None, to),
            Some(Transfer::If(c, to)) => (Some(c), to),
            None => return self.go(l, n, Target::Out(l.off), None),
        };
        let mut to = l.node(B32, to);
        if let Some(c) = c {
            let c = l.condition_node(c);
            let off = l.off.wrapping_add(u32::from(l.insn.len));
            let next = l.ip(off);
            to = l.b.ins().select(c, to, next);
        }
        for &k in candidates {
            let expected = l.ip(l.plan.blocks[k].off);
            let equal = l.b.ins().icmp(IntCC::Equal, to, expected);
            let (yes, no) = (l.b.create_block(), l.b.create_block());
            l.b.ins().brif(equal, yes, &[], no, &[]);
            l.go(yes);
            self.side(l, |this, l| this.go(l, n, Target::Block(k), None));
            l.go(no);
        }
        self.go(l, n, Target::Out(0), Some(Val::Node(to)));
    }

    /// Ends the present block towards a target; registers have been published.
    fn go(&mut self, l: &mut Lower<'_, '_>, from: usize, target: Target, ip: Option<Val>) {
        match target {
            Target::Block(n) => self.go_to_block(l, from, n),
            Target::Out(off) => {
                let link = if ip.is_none() { l.plan.link(off) } else { None };
                let ip = match ip {
                    Some(v) => l.node(B32, v),
                    None => l.ip(off),
                };
                put_away(l, ip);
                match link {
                    Some(link) => follow(l, from, link, ip),
                    None => dispatch(l),
                }
            }
        }
    }

    fn go_to_block(&mut self, l: &mut Lower<'_, '_>, from: usize, n: usize) {
        let plan = l.plan;
        let block = &plan.blocks[n];
        let known = plan.blocks[from].pages.last();
        if block.pages.len() > 1 || block.pages.first() != known {
            check_pages(l, n, Exit::Lookup);
        }
        l.store_note(l.note);
        if block.edges > 1 || block.entry {
            demand_clean_at(l, n);
            match block.flags {
                FlagNeed::Dead => {}
                FlagNeed::Exits => l.store_flags(l.flags.clone()),
                FlagNeed::Read => l.settle(),
            }
        } else {
            self.incoming[n] = Some(Incoming { flags: l.flags.clone(), clean: l.clean_registers() });
        }
        l.b.ins().jump(self.blocks[n], &[]);
    }

    /// Has the last instruction done outside, and goes on if all is as it was.
    fn callout(&mut self, l: &mut Lower<'_, '_>, n: usize, next: Target, sensitive: Option<usize>) {
        let step = l.plan.blocks[n].steps.last().map_or((0, 0), |s| (s.off, s.insn.len));
        let ip = l.ip(step.0);
        put_away(l, ip);
        let mut s = signature(l.options.host, 4);
        s.returns.push(AbiParam::new(I32));
        let s = l.b.import_signature(s);
        let f = l.b.ins().iconst(I64, l.addresses.callout as i64);
        let len = l.b.ins().iconst(I64, i64::from(step.1));
        let (ctx, state) = (l.ctx, l.state);
        let insn = sensitive.map_or(0, |n| &raw const l.plan.sensitive[n] as u64);
        let insn = l.b.ins().iconst(I64, insn as i64);
        let call = l.b.ins().call_indirect(s, f, &[ctx, state, len, insn]);
        let stop = l.b.inst_results(call)[0];
        let (out, on) = (l.b.create_block(), l.b.create_block());
        l.b.ins().brif(stop, out, &[], on, &[]);
        l.go(out);
        let (back, elsewhere) = (l.b.create_block(), l.b.create_block());
        let returns = l.b.ins().icmp_imm_s(IntCC::Equal, stop, crate::callout::RETURN);
        l.b.ins().brif(returns, back, &[], elsewhere, &[]);
        l.go(back);
        l.b.ins().return_(&[]);
        l.go(elsewhere);
        dispatch(l);
        l.go(on);
        let base = l.base;
        l.start();
        l.base = base;
        reload(l);
        l.dirty = 0;
        l.flags = FlagState::MEMORY;
        self.go(l, n, next, None);
    }
}

/// On to wherever EIP says, by the jump cache.
fn dispatch(l: &mut Lower<'_, '_>) {
    let dispatch = l.b.ins().iconst(I64, l.addresses.dispatch as i64);
    let s = l.b.import_signature(region_signature());
    let (ctx, state) = (l.ctx, l.state);
    l.b.ins().return_call_indirect(s, dispatch, &[ctx, state, ctx]);
}

/// On by a link, where its target is still in the page that was seen when the region was planned.
fn follow(l: &mut Lower<'_, '_>, from: usize, link: &Link, ip: Value) {
    if link.page.is_none() || link.page != l.plan.blocks[from].pages.last().copied() {
        let entry = execute_entry(l, ip);
        let expected = l.b.ins().iconst(I64, link.entry as i64);
        let same = l.b.ins().icmp(IntCC::Equal, entry, expected);
        let (on, other) = (l.b.create_block(), l.b.create_block());
        l.b.ins().brif(same, on, &[], other, &[]);
        l.go(other);
        dispatch(l);
        l.go(on);
    }
    let cell = l.b.ins().iconst(I64, &raw const *link as i64);
    let code = l.b.ins().load(I64, own(), cell, offset_of!(Link, code) as i32);
    let index = l.b.ins().load(I64, own(), cell, offset_of!(Link, index) as i32);
    let s = l.b.import_signature(region_signature());
    let (ctx, state) = (l.ctx, l.state);
    l.b.ins().return_call_indirect(s, code, &[ctx, state, index]);
}

/// The execute entry of the page at an EIP.
fn execute_entry(l: &mut Lower<'_, '_>, ip: Value) -> Value {
    let execute = l.load_context(I64, context::EXECUTE);
    let linear = if l.plan.key.cs_flat() {
        ip
    } else {
        let at =
            offset_of!(State, seg) + size_of::<Segment>() * usize::from(seg::CS) + offset_of!(Segment, base);
        let base = l.load_own(I32, at as i32);
        l.b.ins().iadd(ip, base)
    };
    let number = l.b.ins().ushr_imm_u(linear, 12);
    let number = l.b.ins().uextend(I64, number);
    let at = l.b.ins().ishl_imm_u(number, 3);
    let at = l.b.ins().iadd(execute, at);
    l.b.ins().load(I64, own(), at, 0)
}

/// Loads all that the region mentions.
fn reload(l: &mut Lower<'_, '_>) {
    for slot in bits(l.plan.mentioned) {
        if let Some(variable) = l.variables.registers[slot as usize] {
            let v = l.load_slot(slot);
            l.b.def_var(variable, v);
        }
    }
    for (n, at) in [context::READ, context::WRITE].into_iter().enumerate() {
        let v = l.load_context(I64, at);
        l.b.def_var(l.variables.arrays[n], v);
    }
    l.left = l.load_context(I64, context::LEFT);
    l.b.def_var(l.variables.left, l.left);
    l.forget_pages();
}

/// Leaves where some byte of the region would lie outside the limit of CS, or the instruction
/// pointer would wrap.
fn check_span(l: &mut Lower<'_, '_>, base: Value) {
    let at =
        offset_of!(State, seg) + size_of::<Segment>() * usize::from(seg::CS) + offset_of!(Segment, limit);
    let limit = l.load_own(I32, at as i32);
    let limit = l.b.ins().uextend(I64, limit);
    let most = if l.plan.key.code32() { i64::from(u32::MAX) } else { 0xffff };
    let most = l.b.ins().iconst(I64, most);
    let limit = l.b.ins().umin(limit, most);
    let (first, last) = l.plan.span;
    // as signed 64-bit numbers nothing wraps
    let base = l.b.ins().uextend(I64, base);
    let low = l.b.ins().iadd_imm_s(base, i64::from(first));
    let high = l.b.ins().iadd_imm_s(base, i64::from(last));
    let below = l.b.ins().icmp_imm_s(IntCC::SignedLessThan, low, 0);
    let above = l.b.ins().icmp(IntCC::SignedGreaterThan, high, limit);
    let outside = l.b.ins().bor(below, above);
    l.give_up_if(outside);
}

/// Brings flags in memory to their canonical form.
fn canonical_flags(l: &mut Lower<'_, '_>) {
    let kinds = l.load_context(I64, context::FLAGS_KINDS);
    let (settle, on) = (l.b.create_block(), l.b.create_block());
    l.b.set_cold_block(settle);
    l.b.ins().brif(kinds, settle, &[], on, &[]);
    l.go(settle);
    let s = l.b.import_signature(signature(l.options.host, 2));
    let f = l.b.ins().iconst(I64, l.addresses.settle as i64);
    let (ctx, state) = (l.ctx, l.state);
    l.b.ins().call_indirect(s, f, &[ctx, state]);
    l.b.ins().jump(on, &[]);
    l.go(on);
}

/// Leaves where the budget does not cover what may come before the next check.
fn check_budget(l: &mut Lower<'_, '_>, need: u64) {
    let short = l.b.ins().icmp_imm_s(IntCC::SignedLessThan, l.left, need as i64);
    let there = l.exit_block(Exit::Budget);
    l.leave_if(short, there);
}

/// What is known of XMM registers where several ways lead to a block.
fn clean_at<'a>(l: &Lower<'a, '_>, n: usize) -> &'a [(u32, Elements)] {
    let block = &l.plan.blocks[n];
    if block.grouped && l.checked() { &block.clean } else { &[] }
}

/// Leaves for the interpreter where a register is not clean that has to be at the start of a block.
fn demand_clean_at(l: &mut Lower<'_, '_>, n: usize) {
    let clean = clean_at(l, n);
    let (off, undone) = (l.off, l.undone);
    (l.off, l.undone, l.leave) = (l.plan.blocks[n].off, 0, None);
    l.demand_clean_registers(clean);
    (l.off, l.undone, l.leave) = (off, undone, None);
}

/// Leaves for the dispatcher where a page of the target is not the one that was compiled.
fn check_pages(l: &mut Lower<'_, '_>, n: usize, exit: Exit) {
    let plan = l.plan;
    let block = &plan.blocks[n];
    let off = std::mem::replace(&mut l.off, block.off);
    let there = l.exit_block(exit);
    l.off = off;
    let last = block.last_byte();
    for (&page, off) in block.pages.iter().zip([block.off, last]) {
        let ip = l.ip(off);
        let entry = execute_entry(l, ip);
        let expected = l.b.ins().iconst(I64, plan.pages[page].entry as i64);
        let other = l.b.ins().icmp(IntCC::NotEqual, entry, expected);
        l.leave_if(other, there);
    }
}
