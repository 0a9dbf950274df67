//! The ways out of a region, to another one or back to the engine, and what is looked at before one is taken.

use super::asm::{Alu, Cc, R12, RAX, RBP, RBX, RCX, RDI, RDX, RSI, Rm, Shift};
use super::writer::{PendingExit, Val, Writer, context, state};
use crate::context::{self, Exit};
use crate::links::Link;
use cpu::Width::{B32, B64};
use cpu::{Segment, State, seg};
use std::mem::offset_of;

const EIP: usize = offset_of!(State, eip);

impl Writer<'_> {
    /// Stores all that is only in the region, and where it goes on.
    pub(super) fn put_away(&mut self, ip: Val) {
        self.set_ip(ip);
        self.store_flags_as_they_are();
    }

    pub(super) fn return_(&mut self) {
        self.pop_all();
        self.asm.ret();
    }

    /// To code with a region's signature, whose address is in RAX and whose entry in RDX.
    pub(super) fn tail_call(&mut self) {
        self.asm.load(B64, RDI, Rm::Reg(RBX));
        self.asm.load(B64, RSI, Rm::Reg(RBP));
        self.pop_all();
        self.asm.jump_to(RAX);
    }

    pub(super) fn pop_all(&mut self) {
        [R12, RBP, RBX].into_iter().for_each(|h| self.asm.pop(h));
    }

    /// On to wherever EIP says, by the jump cache.
    pub(super) fn dispatch(&mut self) {
        self.asm.constant(RAX, self.addresses.dispatch);
        self.tail_call();
    }

    /// On by a link, where its target is still in the page that was seen when the region was planned.
    pub(super) fn follow(&mut self, from: usize, link: &Link) {
        if link.page.is_none() || link.page != self.plan.blocks[from].pages.last().copied() {
            self.compare_page(link.off, link.entry);
            let on = self.asm.label();
            self.asm.jump_if(Cc::Equal, on);
            self.dispatch();
            self.asm.bind(on);
        }
        self.asm.constant(RCX, &raw const *link as u64);
        self.asm.load(B64, RAX, Rm::At(RCX, offset_of!(Link, code) as i32));
        self.asm.load(B64, RDX, Rm::At(RCX, offset_of!(Link, index) as i32));
        self.tail_call();
    }

    /// Compares the execute entry of the page at an offset from the head with what it was.
    pub(super) fn compare_page(&mut self, off: u32, entry: u64) {
        self.asm.lea(B32, RCX, Rm::At(R12, off as i32));
        if !self.plan.key.cs_flat() {
            let base = super::access::segment_field(seg::CS, offset_of!(Segment, base));
            self.asm.alu(B32, Alu::Add, RCX, base);
        }
        self.asm.shift_constant(B32, Shift::Right, Rm::Reg(RCX), 12);
        self.asm.load(B64, RAX, context(context::EXECUTE));
        self.asm.constant(RDX, entry);
        self.asm.alu(B64, Alu::Cmp, RDX, Rm::Sum(RAX, RCX, 3, 0));
    }

    /// Leaves where a page of the target is not the one that was compiled.
    pub(super) fn check_pages(&mut self, n: usize, exit: Exit) {
        let plan = self.plan;
        let block = &plan.blocks[n];
        let there = self.exit(exit, block.off, 0);
        let last = block.last_byte();
        for (&page, off) in block.pages.iter().zip([block.off, last]) {
            self.compare_page(off, plan.pages[page].entry);
            self.asm.jump_if(Cc::NotEqual, there);
        }
    }

    /// Leaves where some byte of the region would lie outside the limit of CS, or the instruction pointer would wrap.
    pub(super) fn check_span(&mut self) {
        let there = self.leave();
        let limit = super::access::segment_field(seg::CS, offset_of!(Segment, limit));
        self.asm.load(B32, RCX, limit);
        if !self.plan.key.code32() {
            self.asm.constant(RAX, 0xffff);
            self.asm.alu(B64, Alu::Cmp, RCX, Rm::Reg(RAX));
            self.asm.move_if(B64, Cc::Above, RCX, Rm::Reg(RAX));
        }
        let (first, last) = self.plan.span;
        // EIP of the head as a number without a sign: as signed 64-bit numbers nothing wraps
        self.asm.lea(B64, RAX, Rm::At(R12, last));
        self.asm.alu(B64, Alu::Cmp, RAX, Rm::Reg(RCX));
        self.asm.jump_if(Cc::Greater, there);
        self.asm.lea(B64, RAX, Rm::At(R12, first));
        self.asm.test(B64, RAX, RAX);
        self.asm.jump_if(Cc::Sign, there);
    }

    /// Leaves where the budget does not cover what may come before the next check.
    pub(super) fn check_budget(&mut self, need: u64) {
        let there = self.exit(Exit::Budget, self.off, 0);
        self.asm.alu_constant(B64, Alu::Cmp, context(context::LEFT), need as i32);
        self.asm.jump_if(Cc::Less, there);
    }

    /// Brings flags in memory to their canonical form.
    pub(super) fn canonical_flags(&mut self) {
        let on = self.asm.label();
        self.asm.alu_constant(B64, Alu::Cmp, context(context::FLAGS_KINDS), 0);
        self.asm.jump_if(Cc::Equal, on);
        self.call(self.addresses.settle);
        self.asm.bind(on);
    }

    pub(super) fn write_exit(&mut self, e: PendingExit) {
        self.asm.bind(e.label);
        self.flags = e.flags;
        let held = self.flags.temps();
        self.return_to(&e.temps, held);
        self.store_flags_as_they_are();
        self.asm.constant(RCX, u64::from(e.off));
        self.asm.constant(RDX, e.exit as u64 | e.undone << 8);
        self.asm.jump(self.tail);
    }

    /// The end of all exits: the offset from the head is in RCX, and why and how many are not done in RDX.
    pub(super) fn write_tail(&mut self) {
        self.asm.bind(self.tail);
        self.asm.alu(B32, Alu::Add, RCX, Rm::Reg(R12));
        self.asm.store(B32, state(EIP), RCX);
        self.asm.load(cpu::Width::B8, RAX, Rm::Reg(RDX));
        self.asm.store(B32, context(context::EXIT), RAX);
        self.asm.shift_constant(B64, Shift::Right, Rm::Reg(RDX), 8);
        self.asm.alu_memory(B64, Alu::Add, context(context::LEFT), RDX);
        self.asm.store_constant(B32, context(context::REGION), self.plan.id);
        self.return_();
    }
}
