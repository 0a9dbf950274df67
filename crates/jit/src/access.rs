//! Guest memory in compiled code: segmentation, the shadow, and what was found before.

use crate::context;
use crate::lower::{Found, Lower, Val, own};
use cpu::Width::B32;
use cpu::{Segment, State, reg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Value};
use mem::{PAGE, PAGE_SHIFT};
use std::mem::offset_of;

/// The bit of a write entry that says that stores ask the map of code first ([`mem::Arrays`]).
const FINE: i64 = i64::MIN;

fn segment_field(segment: u8, field: usize) -> i32 {
    (offset_of!(State, seg) + usize::from(segment & 7) * size_of::<Segment>() + field) as i32
}

impl Lower<'_, '_> {
    /// The host address of `size` bytes at an offset of a segment; leaves where the interpreter or
    /// the monitor has to look.
    pub(crate) fn find(&mut self, segment: u8, offset: Val, size: u32, write: bool) -> Value {
        let offset = self.node(B32, offset);
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
        if self.plan.key.flat(i.seg, write) && i.addr32 && i.index == reg::NONE && i.base != reg::NONE {
            let base = self.slot_node(u32::from(i.base & 7));
            return self.find_linear(base, i.disp, size, write);
        }
        let offset = self.effective();
        self.find(i.seg, offset, size, write)
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

    /// The one way to a host address: page number, entry, test, sum. What is not aligned has a look
    /// at the page's end first; what has no entry, or may hit code, goes the cold way.
    pub(crate) fn shadow_lookup(&mut self, linear: Value, size: u32, write: bool) -> Value {
        let array = self.array(write);
        let page = self.b.ins().ushr_imm_u(linear, i64::from(PAGE_SHIFT));
        let page = self.b.ins().uextend(I64, page);
        let at = self.b.ins().ishl_imm_u(page, 3);
        let at = self.b.ins().iadd(array, at);
        let entry = self.b.ins().load(I64, own(), at, 0);
        if size > 1 {
            self.stay_in_page(linear, size);
        }
        let wide = self.b.ins().uextend(I64, linear);
        if !write {
            let none = self.b.ins().icmp_imm_s(IntCC::Equal, entry, 0);
            self.give_up_if(none);
            return self.b.ins().iadd(entry, wide);
        }
        let entry = self.permit_store(entry, wide, size);
        self.b.ins().iadd(entry, wide)
    }

    /// Leaves where the bytes reach into the next page.
    fn stay_in_page(&mut self, linear: Value, size: u32) {
        let unit = i64::from(size.next_power_of_two().min(16));
        let odd = self.b.ins().band_imm_u(linear, unit - 1);
        let (look, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(look);
        self.b.ins().brif(odd, look, &[], on, &[]);
        self.go(look);
        let offset = self.b.ins().band_imm_u(linear, i64::from(PAGE - 1));
        let across = self.b.ins().icmp_imm_s(IntCC::UnsignedGreaterThan, offset, i64::from(PAGE - size));
        let there = self.leave();
        self.b.ins().brif(across, there, &[], on, &[]);
        self.go(on);
    }

    /// The entry to add for a store; leaves where there is none or the bytes are code.
    fn permit_store(&mut self, entry: Value, linear: Value, size: u32) -> Value {
        let (special, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(special);
        let plain = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, entry, 0);
        self.b.append_block_param(on, I64);
        self.b.ins().brif(plain, on, &[entry.into()], special, &[]);
        self.go(special);
        let none = self.b.ins().icmp_imm_s(IntCC::Equal, entry, 0);
        self.give_up_if(none);
        let fine = self.b.ins().band_imm_s(entry, !FINE);
        let hit = self.hits_code(fine, linear, size);
        let there = self.leave();
        self.b.ins().brif(hit, there, &[], on, &[fine.into()]);
        self.go(on);
        self.b.block_params(on)[0]
    }

    /// Not 0 where one of the grains that the bytes touch holds code.
    fn hits_code(&mut self, entry: Value, linear: Value, size: u32) -> Value {
        let host = self.b.ins().iadd(entry, linear);
        let arena = self.load_context(I64, context::ARENA);
        let physical = self.b.ins().isub(host, arena);
        let frame = self.b.ins().ushr_imm_u(physical, i64::from(PAGE_SHIFT));
        let at = self.b.ins().ishl_imm_u(frame, 3);
        let map = self.load_context(I64, context::CODE_MAP);
        let at = self.b.ins().iadd(map, at);
        let grains = self.b.ins().load(I64, own(), at, 0);
        let first = self.b.ins().ushr_imm_u(physical, 6);
        let last = self.b.ins().iadd_imm_s(physical, i64::from(size) - 1);
        let last = self.b.ins().ushr_imm_u(last, 6);
        let first = self.b.ins().ushr(grains, first);
        let last = self.b.ins().ushr(grains, last);
        let either = self.b.ins().bor(first, last);
        self.b.ins().band_imm_u(either, 1)
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
