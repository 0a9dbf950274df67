//! Guest memory in compiled code: segmentation, the shadow, and what was found before.

use crate::across;
use crate::config::Lookup;
use crate::context;
use crate::emit::Place;
use crate::group::Group;
use crate::lower::{Lower, Val, guest, own};
use cpu::Width::B32;
use cpu::{Segment, State, reg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, InstructionData, Opcode, Signature, Value};
use cranelift_codegen::isa::CallConv;
use isa::Mnemonic;
use mem::{PAGE, PAGE_SHIFT};
use std::mem::offset_of;

/// Of the routine that looks at an entry which is no plain one: context, entry, linear address, bytes (and more, as for
/// [`across::across`]); it puts the entry to add, or 0, into the slot. It keeps all registers.
pub(crate) fn fine_signature() -> Signature {
    crate::backend::signature(CallConv::PreserveAll, 4)
}

fn segment_field(segment: u8, field: usize) -> i32 {
    (offset_of!(State, seg) + usize::from(segment & 7) * size_of::<Segment>() + field) as i32
}

/// Where it goes on when an entry was found.
#[derive(Clone, Copy)]
pub(crate) struct Ways {
    /// The code that uses it.
    pub(crate) on: Block,
    /// For one that serves the whole page: takes the entry.
    pub(crate) plain: Block,
    /// For one that is good for this access only: likewise.
    pub(crate) special: Block,
}

impl Lower<'_, '_> {
    /// The host address of `size` bytes at an offset of a segment; leaves where the interpreter or
    /// the monitor has to look.
    pub(crate) fn find(&mut self, segment: u8, offset: Val, size: u32, write: bool) -> Value {
        let group = self.next_group();
        let offset = self.node(B32, offset);
        if let Some(group) = group {
            return self.in_group(group, offset, 0, write);
        }
        if self.plan.key.flat(segment, write) {
            return self.shadow_lookup(offset, size, write);
        }
        let last = if write { offset_of!(Segment, write_last) } else { offset_of!(Segment, read_last) };
        let last = self.load_own(I64, segment_field(segment, last));
        let wide = self.b.ins().uextend(I64, offset);
        let room = self.b.ins().isub(last, wide);
        let beyond = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, room, i64::from(size) - 1);
        self.give_up_if(beyond);
        let base = self.load_own(I32, segment_field(segment, offset_of!(Segment, base)));
        let linear = self.b.ins().iadd(base, offset);
        self.shadow_lookup(linear, size, write)
    }

    fn displaced(&mut self, base: Value, disp: u32) -> Value {
        if disp == 0 { base } else { self.b.ins().iadd_imm_s(base, i64::from(disp as i32)) }
    }

    /// The host address of a memory operand, with what was found near it used again.
    pub(crate) fn find_operand(&mut self, size: u32, write: bool) -> Value {
        let i = self.insn;
        let group = self.next_group();
        if let Some(group) = group
            && i.base != reg::NONE
        {
            let base = self.slot_node(u32::from(i.base & 7));
            return self.in_group(group, base, i.disp, write);
        }
        if self.plan.key.flat(i.seg, write) && i.addr32 && i.index == reg::NONE && i.base != reg::NONE {
            let base = self.slot_node(u32::from(i.base & 7));
            let linear = self.displaced(base, i.disp);
            return self.shadow_lookup(linear, size, write);
        }
        let offset = self.effective();
        self.touch -= 1;
        self.find(i.seg, offset, size, write)
    }

    /// The group of the next access of the running instruction, with the access's place in it.
    fn next_group(&mut self) -> Option<(usize, u32)> {
        self.touch += 1;
        self.group_of.get(self.touch - 1).copied().flatten()
    }

    /// The host address of an access of a group at `base + disp`: one check for all of the group.
    fn in_group(&mut self, (group, at): (usize, u32), base: Value, disp: u32, wanted: bool) -> Value {
        let host = match self.groups[group].host {
            Some(host) => host,
            None => {
                let linear = self.displaced(base, disp.wrapping_sub(at));
                let Group { size, write, .. } = self.groups[group];
                // others of the group may want to write, which this one does not ask for
                self.fills = wanted == write;
                let host = self.look_up(linear, size, write, across::GROUP);
                self.fills = true;
                self.groups[group].host = Some(host);
                host
            }
        };
        if at == 0 { host } else { self.b.ins().iadd_imm_s(host, i64::from(at)) }
    }

    /// The host address of one access.
    fn shadow_lookup(&mut self, linear: Value, size: u32, write: bool) -> Value {
        let how = if write { across::TOGETHER } else { across::apart(self.touch) };
        self.look_up(linear, size, write, how)
    }

    /// The running instruction does nothing but a store, before which it may still leave: a MOV.
    pub(crate) fn only_stores(&self) -> bool {
        self.insn.code.mnemonic() == Mnemonic::Mov
    }

    /// The operand of such an instruction: its place, where that is known from others or has limits, or where to
    /// look for it.
    pub(crate) fn store_operand(&mut self, w: cpu::Width) -> Place {
        let i = self.insn;
        let grouped = self.group_of.get(self.touch).copied().flatten().is_some();
        if grouped || w == cpu::Width::B8 || !self.plan.key.flat(i.seg, true) {
            return Place::Host(self.find_operand(w.bytes(), true));
        }
        self.touch += 1;
        let offset = self.effective();
        Place::Store(self.node(B32, offset))
    }

    /// A store of a value; one across pages that lie apart is done outside.
    pub(crate) fn store(&mut self, linear: Value, v: Value, size: u32) {
        let done = self.b.create_block();
        let (ways, recent, crossing) = self.look_for(linear, size, true);
        let host = self.found(linear, ways, recent);
        self.b.ins().store(guest(), v, host, 0);
        self.b.ins().jump(done, &[]);
        if let Some(cold) = crossing {
            self.go(cold);
            let wide = self.b.ins().uextend(I64, linear);
            let v = if self.b.func.dfg.value_type(v) == I64 { v } else { self.b.ins().uextend(I64, v) };
            let size = self.b.ins().iconst(I64, i64::from(size));
            let stored = self.ask(self.addresses.store_across, &[wide, size, v]);
            let there = self.leave();
            self.b.ins().brif(stored, done, &[], there, &[]);
        }
        self.go(done);
    }

    /// The one way to a host address: page number, entry, a look at the page's end, test, sum. What has
    /// no entry, or may hit code, goes the cold way, as does what reaches into the next page ([`across`] says how).
    fn look_up(&mut self, linear: Value, size: u32, write: bool, how: u64) -> Value {
        let (ways, recent, crossing) = self.look_for(linear, size, write);
        if let Some(cold) = crossing {
            self.go(cold);
            let wide = self.b.ins().uextend(I64, linear);
            let kind = self.kind(size, write, how);
            let entry = self.ask(self.addresses.across, &[wide, kind]);
            let there = self.leave();
            self.b.ins().brif(entry, ways.special, &[entry.into()], there, &[]);
        }
        self.found(linear, ways, recent)
    }

    /// What the routines are told of an access.
    fn kind(&mut self, size: u32, write: bool, how: u64) -> Value {
        let fills = u64::from(self.fills) << across::FILLS;
        let kind = u64::from(size) | how << across::HOW | u64::from(write) << across::WRITE | fills;
        self.b.ins().iconst(I64, kind as i64)
    }

    /// Looks in the page that was found before, where that is worth it, and else in the shadow; gives the number of
    /// that page, and the block for what reaches into the next page.
    fn look_for(&mut self, linear: Value, size: u32, write: bool) -> (Ways, Option<usize>, Option<Block>) {
        let recent = self.recent_page(write);
        let ways = match recent {
            Some(n) => self.look_again(n, linear, size),
            None => {
                let on = self.b.create_block();
                self.b.append_block_param(on, I64);
                Ways { on, plain: on, special: on }
            }
        };
        (ways, recent, self.look_inside(linear, size, write, ways))
    }

    /// Goes on with the entry to add; the block for what reaches into the next page, if anything can, or was not
    /// found although the arrays may have it.
    fn look_inside(&mut self, linear: Value, size: u32, write: bool, ways: Ways) -> Option<Block> {
        if self.options.lookup == Lookup::Tagged {
            return Some(self.look_in_table(linear, size, write, ways));
        }
        // the cold block can be reached in two ways: what the exit puts back has to be at hand before
        self.leave();
        let array = self.array(write);
        let page = self.b.ins().ushr_imm_u(linear, i64::from(PAGE_SHIFT));
        let page = self.b.ins().uextend(I64, page);
        let at = self.b.ins().ishl_imm_u(page, 3);
        let at = self.b.ins().iadd(array, at);
        let entry = self.b.ins().load(I64, own(), at, 0);
        let crossing = (size > 1).then(|| self.stay_in_page(linear, size));
        if write {
            let wide = self.b.ins().uextend(I64, linear);
            self.permit_store(entry, wide, size, ways);
            return crossing;
        }
        let none = crossing.unwrap_or_else(|| self.b.create_block());
        self.b.set_cold_block(none);
        self.b.ins().brif(entry, ways.plain, &[entry.into()], none, &[]);
        Some(none)
    }

    fn found(&mut self, linear: Value, ways: Ways, recent: Option<usize>) -> Value {
        let entry = match recent {
            Some(n) => self.remember(n, linear, ways),
            None => {
                self.go(ways.on);
                self.b.block_params(ways.on)[0]
            }
        };
        let wide = self.b.ins().uextend(I64, linear);
        self.b.ins().iadd(entry, wide)
    }

    /// Goes on where the bytes do not reach into the next page; the block for those that may: the very last ones of
    /// a page are among them, for the sake of a short test.
    pub(crate) fn stay_in_page(&mut self, linear: Value, size: u32) -> Block {
        let (cold, inside) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        if self.searching {
            self.b.set_cold_block(inside);
        }
        if size.is_power_of_two() && size <= 16 {
            let end = self.behind(linear, size);
            let end = self.b.ins().band_imm_u(end, i64::from(PAGE - size));
            self.b.ins().brif(end, inside, &[], cold, &[]);
        } else {
            let offset = self.b.ins().band_imm_u(linear, i64::from(PAGE - 1));
            let across = self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThan, offset, i64::from(PAGE - size));
            self.b.ins().brif(across, cold, &[], inside, &[]);
        }
        self.go(inside);
        cold
    }

    /// `linear + size`, in one sum where `linear` is a sum with a constant.
    fn behind(&mut self, linear: Value, size: u32) -> Value {
        let dfg = &self.b.func.dfg;
        let made = |v| dfg.value_def(v).inst().map(|i| dfg.insts[i]);
        let parts = match made(linear) {
            Some(InstructionData::Binary { opcode: Opcode::Iadd, args: [x, k] }) => match made(k) {
                Some(InstructionData::UnaryImm { opcode: Opcode::Iconst, imm }) => Some((x, imm.bits())),
                _ => None,
            },
            _ => None,
        };
        let (x, k) = parts.unwrap_or((linear, 0));
        self.b.ins().iadd_imm_s(x, i64::from((k as i32).wrapping_add(size as i32)))
    }

    /// Goes on with the entry to add for a store; leaves where there is none or the bytes are code.
    pub(crate) fn permit_store(&mut self, entry: Value, linear: Value, size: u32, ways: Ways) {
        let special = self.b.create_block();
        self.b.set_cold_block(special);
        let plain = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, entry, 0);
        self.b.ins().brif(plain, ways.plain, &[entry.into()], special, &[]);
        self.go(special);
        let kind = self.kind(size, true, across::TOGETHER);
        let entry = self.ask(self.addresses.fine, &[entry, linear, kind]);
        let there = self.leave();
        self.b.ins().brif(entry, ways.special, &[entry.into()], there, &[]);
    }

    /// What a routine that keeps all registers says: it takes the context first.
    fn ask(&mut self, routine: u64, arguments: &[Value]) -> Value {
        let s = crate::backend::signature(CallConv::PreserveAll, 1 + arguments.len());
        let s = self.b.import_signature(s);
        let f = self.b.ins().iconst(I64, routine as i64);
        let all: Vec<Value> = std::iter::once(self.ctx).chain(arguments.iter().copied()).collect();
        self.b.ins().call_indirect(s, f, &all);
        self.load_context(I64, context::SLOT)
    }

    /// An index times a power of two, which other accesses of the block may want as well.
    fn scaled_index(&mut self, index: Val, scale: u8) -> Val {
        let Val::Node(v) = index else { return self.shifted(index, scale) };
        if let Some(known) = self.scaled.iter().find(|k| (k.0, k.1) == (v, scale)) {
            return known.2;
        }
        let product = self.shifted(index, scale);
        self.scaled.push((v, scale, product));
        product
    }

    /// The offset of the memory operand.
    pub(crate) fn effective(&mut self) -> Val {
        let i = self.insn;
        let mut at = Val::Const(u64::from(i.disp));
        if i.base != reg::NONE {
            let base = self.slot(u32::from(i.base & 7));
            at = self.plus(at, base);
        }
        if i.index != reg::NONE {
            let index = self.slot(u32::from(i.index & 7));
            let index = self.scaled_index(index, i.scale);
            at = self.plus(at, index);
        }
        self.masked(at, i.addr_mask())
    }
}
