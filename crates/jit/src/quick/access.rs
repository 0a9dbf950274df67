//! Guest memory in the quick tier: the flat shadow, looked at for each access.

use super::asm::{Alu, Cc, Host, Label, RAX, RBX, RCX, RDI, RDX, RSI, Rm, Shift};
use super::temps::Temp;
use super::writer::{Val, Writer, context, state};
use crate::across;
use crate::context;
use cpu::Width::{B32, B64};
use cpu::{Segment, State, reg};
use mem::{PAGE, PAGE_SHIFT};
use std::mem::offset_of;

/// What an access does where its page has no plain entry, or it may reach into the next one.
#[derive(Clone, Copy)]
pub(super) struct Search {
    label: Label,
    /// Where it goes on, with the entry in its register.
    on: Label,
    leave: Label,
    entry: Host,
    size: u32,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// The store's bytes are perhaps no code.
    Fine,
    /// By [`across::across`], for a store or a load, with this way.
    Across(bool, u64),
}

pub(super) fn segment_field(segment: u8, field: usize) -> Rm {
    state(offset_of!(State, seg) + usize::from(segment & 7) * size_of::<Segment>() + field)
}

/// What the routines are told of an access.
fn kind(size: u32, write: bool, how: u64) -> u64 {
    u64::from(size) | how << across::HOW | u64::from(write) << across::WRITE | 1 << across::FILLS
}

impl Writer<'_> {
    /// The operand of LEA that is the running instruction's memory operand; nothing for a constant.
    fn operand(&mut self) -> Option<Rm> {
        let i = self.insn;
        let disp = i.disp as i32;
        let base = (i.base != reg::NONE).then(|| self.register_value(i.base));
        let index = (i.index != reg::NONE).then(|| self.register_value(i.index));
        Some(match (base, index) {
            (Some(b), Some(x)) => {
                let (b, x) = (self.host(b), self.host(x));
                Rm::Sum(b, x, i.scale, disp)
            }
            (Some(b), None) => Rm::At(self.host(b), disp),
            (None, Some(x)) => Rm::Scaled(self.host(x), i.scale, disp),
            (None, None) => return None,
        })
    }

    /// The offset of the memory operand, in a register.
    fn offset_to(&mut self, to: Host, operand: Option<Rm>) {
        let i = self.insn;
        match operand {
            Some(rm) => self.asm.lea(B32, to, rm),
            None => self.asm.constant(to, u64::from(i.disp & i.addr_mask())),
        }
        if !i.addr32 && operand.is_some() {
            self.asm.load(cpu::Width::B16, to, Rm::Reg(to));
        }
    }

    pub(super) fn effective(&mut self) -> Val {
        let operand = self.operand();
        let (t, to) = self.fresh();
        self.offset_to(to, operand);
        Val::Temp(t)
    }

    /// The host address of the memory operand.
    pub(super) fn find_operand(&mut self, size: u32, write: bool) -> Temp {
        let operand = self.operand();
        let (t, entry) = self.fresh();
        self.offset_to(RAX, operand);
        self.find(self.insn.seg, entry, size, write);
        t
    }

    /// The host address of `size` bytes at an offset of a segment.
    pub(super) fn find_at(&mut self, segment: u8, offset: Val, size: u32, write: bool) -> Temp {
        // what it is in may be wanted after
        let from = if let Val::Const(_) = offset { None } else { Some(self.temp(offset)) };
        let (t, entry) = self.fresh();
        match from {
            Some(from) => {
                let from = self.host(from);
                self.asm.load(B32, RAX, Rm::Reg(from));
            }
            None => self.bring(RAX, offset),
        }
        self.find(segment, entry, size, write);
        t
    }

    /// From the offset in RAX to the host address in `entry`. Leaves where the interpreter has to look.
    fn find(&mut self, segment: u8, entry: Host, size: u32, write: bool) {
        self.touch += 1;
        let leave = self.leave();
        if !self.plan.key.flat(segment, write) {
            let last = if write { offset_of!(Segment, write_last) } else { offset_of!(Segment, read_last) };
            self.asm.load(B64, RCX, segment_field(segment, last));
            self.asm.alu(B64, Alu::Sub, RCX, Rm::Reg(RAX));
            self.asm.alu_constant(B64, Alu::Cmp, Rm::Reg(RCX), size as i32 - 1);
            self.asm.jump_if(Cc::Less, leave);
            self.asm.alu(B32, Alu::Add, RAX, segment_field(segment, offset_of!(Segment, base)));
        }
        self.asm.load(B32, RCX, Rm::Reg(RAX));
        self.asm.shift_constant(B32, Shift::Right, Rm::Reg(RCX), PAGE_SHIFT as u8);
        self.asm.load(B64, entry, context(if write { context::WRITE } else { context::READ }));
        self.asm.load(B64, entry, Rm::Sum(entry, RCX, 3, 0));
        let on = self.asm.label();
        let how = if write { across::TOGETHER } else { across::apart(self.touch) };
        let missing = self.search(Search { label: on, on, leave, entry, size, how: How::Across(write, how) });
        if size > 1 {
            self.asm.lea(B32, RDX, Rm::At(RAX, size as i32));
            // the very last bytes of a page are looked at as well, for the sake of a short test
            self.asm.test_constant(B32, RDX, PAGE - size.next_power_of_two());
            self.asm.jump_if(Cc::Equal, missing);
        }
        self.asm.test(B64, entry, entry);
        if write {
            let label = self.search(Search { label: on, on, leave, entry, size, how: How::Fine });
            self.asm.jump_if(Cc::LessEqual, label);
        } else {
            self.asm.jump_if(Cc::Equal, missing);
        }
        self.asm.bind(on);
        self.asm.alu(B64, Alu::Add, entry, Rm::Reg(RAX));
    }

    fn search(&mut self, s: Search) -> Label {
        let label = self.asm.label();
        self.searches.push(Search { label, ..s });
        label
    }

    /// Writes what was put off: the linear address is in RAX.
    pub(super) fn write_search(&mut self, s: Search) {
        self.asm.bind(s.label);
        // the routines keep all registers but those of their arguments
        for h in [RDI, RSI, RAX, RAX] {
            self.asm.push(h);
        }
        let routine = match s.how {
            How::Fine => {
                self.asm.load(B64, RDX, Rm::Reg(RAX));
                self.asm.load(B64, RSI, Rm::Reg(s.entry));
                self.asm.constant(RCX, kind(s.size, true, across::TOGETHER));
                self.addresses.fine
            }
            How::Across(write, how) => {
                self.asm.load(B64, RSI, Rm::Reg(RAX));
                self.asm.constant(RDX, kind(s.size, write, how));
                self.addresses.across
            }
        };
        self.asm.load(B64, RDI, Rm::Reg(RBX));
        self.asm.constant(RAX, routine);
        self.asm.call(RAX);
        for h in [RAX, RAX, RSI, RDI] {
            self.asm.pop(h);
        }
        self.asm.load(B64, s.entry, context(context::SLOT));
        self.asm.test(B64, s.entry, s.entry);
        self.asm.jump_if(Cc::Equal, s.leave);
        self.asm.jump(s.on);
    }
}
