//! Guest memory in compiled code: segmentation, the shadow, and what was found before.

use crate::context;
use crate::group::Group;
use crate::lower::{Found, Lower, Val, own};
use cpu::Width::B32;
use cpu::{Segment, State, reg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Signature, Value};
use cranelift_codegen::isa::CallConv;
use mem::{PAGE, PAGE_SHIFT};
use std::mem::offset_of;

/// Of the routine that looks at an entry which is no plain one: context, entry, linear address, bytes;
/// it puts the entry to add, or 0, into the slot. It keeps all registers. Bytes that reach into the next page
/// have none.
pub(crate) fn fine_signature() -> Signature {
    crate::backend::signature(CallConv::PreserveAll, 4)
}

fn segment_field(segment: u8, field: usize) -> i32 {
    (offset_of!(State, seg) + usize::from(segment & 7) * size_of::<Segment>() + field) as i32
}

impl Lower<'_, '_> {
    /// The host address of `size` bytes at an offset of a segment; leaves where the interpreter or
    /// the monitor has to look.
    pub(crate) fn find(&mut self, segment: u8, offset: Val, size: u32, write: bool) -> Value {
        let group = self.next_group();
        let offset = self.node(B32, offset);
        if let Some(group) = group {
            return self.in_group(group, offset, 0);
        }
        if self.plan.key.flat(segment, write) {
            return self.find_linear(offset, 0, size, write);
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

    /// The host address of a memory operand, with what was found near it used again.
    pub(crate) fn find_operand(&mut self, size: u32, write: bool) -> Value {
        let i = self.insn;
        let group = self.next_group();
        if let Some(group) = group
            && i.base != reg::NONE
        {
            let base = self.slot_node(u32::from(i.base & 7));
            return self.in_group(group, base, i.disp);
        }
        if self.plan.key.flat(i.seg, write) && i.addr32 && i.index == reg::NONE && i.base != reg::NONE {
            let base = self.slot_node(u32::from(i.base & 7));
            return self.find_linear(base, i.disp, size, write);
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
    fn in_group(&mut self, (group, at): (usize, u32), base: Value, disp: u32) -> Value {
        let host = match self.groups[group].host {
            Some(host) => host,
            None => {
                let first = disp.wrapping_sub(at);
                let linear =
                    if first == 0 { base } else { self.b.ins().iadd_imm_s(base, i64::from(first as i32)) };
                let Group { size, write, .. } = self.groups[group];
                let host = self.shadow_lookup(linear, size, write);
                self.groups[group].host = Some(host);
                host
            }
        };
        if at == 0 { host } else { self.b.ins().iadd_imm_s(host, i64::from(at)) }
    }

    /// As [`Lower::shadow_lookup`] for `base + disp`, or out of what was found before.
    fn find_linear(&mut self, base: Value, disp: u32, size: u32, write: bool) -> Value {
        let inside = |f: &&Found| {
            let from = disp.wrapping_sub(f.disp);
            f.base == base && (f.write || !write) && from <= f.size && size <= f.size - from
        };
        if let Some(f) = self.found.iter().find(inside).copied() {
            let from = disp.wrapping_sub(f.disp);
            return if from == 0 { f.host } else { self.b.ins().iadd_imm_s(f.host, i64::from(from)) };
        }
        let linear = if disp == 0 { base } else { self.b.ins().iadd_imm_s(base, i64::from(disp as i32)) };
        let host = self.shadow_lookup(linear, size, write);
        self.found.push(Found { base, disp, size, write, host });
        host
    }

    /// The one way to a host address: page number, entry, one test, sum. What has no entry, reaches into the
    /// next page, or may hit code, goes the cold way.
    pub(crate) fn shadow_lookup(&mut self, linear: Value, size: u32, write: bool) -> Value {
        let array = self.array(write);
        let page = self.b.ins().ushr_imm_u(linear, i64::from(PAGE_SHIFT));
        let page = self.b.ins().uextend(I64, page);
        let at = self.b.ins().ishl_imm_u(page, 3);
        let at = self.b.ins().iadd(array, at);
        let entry = self.b.ins().load(I64, own(), at, 0);
        let wide = self.b.ins().uextend(I64, linear);
        let plain = self.is_plain(entry, wide, size);
        let entry = if write { self.permit_store(plain, entry, wide, size) } else { self.permit_load(plain, entry) };
        self.b.ins().iadd(entry, wide)
    }

    /// Whether an entry is a plain one and the bytes end in its page: one number for both questions, so that
    /// there is one branch.
    fn is_plain(&mut self, entry: Value, linear: Value, size: u32) -> Value {
        if size == 1 {
            return self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, entry, 0);
        }
        // negative for a plain entry
        let absent = self.b.ins().ineg(entry);
        let offset = self.b.ins().band_imm_u(linear, i64::from(PAGE - 1));
        // negative up to the last offset
        let beyond = self.b.ins().iadd_imm_s(offset, i64::from(size) - i64::from(PAGE) - 1);
        let both = self.b.ins().band(absent, beyond);
        self.b.ins().icmp_imm_s(IntCC::SignedLessThan, both, 0)
    }

    fn permit_load(&mut self, plain: Value, entry: Value) -> Value {
        let (there, on) = (self.leave(), self.b.create_block());
        self.b.ins().brif(plain, on, &[], there, &[]);
        self.go(on);
        entry
    }

    /// The entry to add for a store; leaves where there is none or the bytes are code.
    fn permit_store(&mut self, plain: Value, entry: Value, linear: Value, size: u32) -> Value {
        let (special, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(special);
        self.b.append_block_param(on, I64);
        self.b.ins().brif(plain, on, &[entry.into()], special, &[]);
        self.go(special);
        let s = self.b.import_signature(fine_signature());
        let f = self.b.ins().iconst(I64, self.addresses.fine as i64);
        let size = self.b.ins().iconst(I64, i64::from(size));
        let ctx = self.ctx;
        self.b.ins().call_indirect(s, f, &[ctx, entry, linear, size]);
        let entry = self.load_context(I64, context::SLOT);
        let there = self.leave();
        self.b.ins().brif(entry, on, &[entry.into()], there, &[]);
        self.go(on);
        self.b.block_params(on)[0]
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
            let index = self.shifted(index, i.scale);
            at = self.plus(at, index);
        }
        self.masked(at, i.addr_mask())
    }
}
