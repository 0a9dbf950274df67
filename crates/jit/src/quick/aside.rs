//! What has no code here, and is done outside: by the interpreter, or by the monitor.

use super::asm::{Alu, Cc, RAX, RBP, RBX, RCX, RDI, RDX, RSI, Rm};
use super::flags::{Base, FlagState};
use super::writer::{Val, Writer, context, state};
use crate::attempt::takes_flags;
use crate::context::{self, Exit};
use crate::plan::{Aside, FlagNeed};
use cpu::Width::{B32, B64};
use cpu::{Insn, State};
use std::mem::offset_of;

const EIP: usize = offset_of!(State, eip);

impl Writer<'_> {
    /// Has the running instruction, which does not end its block, done by the interpreter.
    pub(super) fn outside(&mut self) {
        let undone = self.undone as i32;
        self.store_flags();
        self.set_ip(Val::Ip(self.off));
        self.asm.alu_constant(B64, Alu::Add, context(context::LEFT), undone);
        let insn = self.insn;
        self.call_out(&insn, None);
        if undone > 1 {
            self.asm.alu_constant(B64, Alu::Sub, context(context::LEFT), undone - 1);
        }
        self.temps.forget_registers();
        self.flags = FlagState::of(Base::Canonical);
        self.begin();
    }

    /// Calls [`crate::callout::callout`]; goes on behind it only if all is as it was.
    pub(super) fn call_out(&mut self, insn: &Insn, sensitive: Option<usize>) {
        self.asm.constant(RDX, u64::from(insn.len));
        self.asm.constant(RCX, sensitive.map_or(0, |n| &raw const self.plan.sensitive[n] as u64));
        self.call(self.addresses.callout);
        let (on, elsewhere) = (self.asm.label(), self.asm.label());
        self.asm.test(B32, RAX, RAX);
        self.asm.jump_if(Cc::Equal, on);
        self.asm.alu_constant(B32, Alu::Cmp, Rm::Reg(RAX), crate::callout::RETURN as i32);
        self.asm.jump_if(Cc::NotEqual, elsewhere);
        self.return_();
        self.asm.bind(elsewhere);
        self.dispatch();
        self.asm.bind(on);
    }

    /// Calls a routine in Rust of context, state, and what is in RDX and RCX.
    pub(super) fn call(&mut self, routine: u64) {
        self.asm.load(B64, RDI, Rm::Reg(RBX));
        self.asm.load(B64, RSI, Rm::Reg(RBP));
        self.asm.constant(RAX, routine);
        self.asm.call(RAX);
    }

    /// The running instruction, which a routine does: by the monitor, or whole ([`crate::attempt`], [`crate::whole`]).
    pub(super) fn aside(&mut self, aside: Aside) {
        let (addresses, plan) = (self.addresses, self.plan);
        match aside {
            Aside::Whole(n) => {
                self.call_aside(addresses.whole, &raw const plan.repeated[n] as u64, false);
                let not_done = self.leave();
                self.asm.test(B32, RAX, RAX);
                self.asm.jump_if(Cc::NotEqual, not_done);
            }
            // not in the quick tier's plans
            Aside::InPlace => self.failed = true,
            Aside::Monitor(n) => {
                let insn = &plan.sensitive[n];
                let after = self.off.wrapping_add(u32::from(insn.len));
                self.set_ip(Val::Ip(after));
                let takes = takes_flags(insn);
                let routine = if takes { addresses.attempt_flags } else { addresses.attempt };
                self.call_aside(routine, &raw const *insn as u64, takes);
                self.go_on_if_done(after);
            }
        }
    }

    /// Calls a routine of context, state and a number. It is told what is left as it will be when the instruction has
    /// been done.
    fn call_aside(&mut self, routine: u64, argument: u64, takes_flags: bool) {
        // values do not outlive the call
        let settles = self.wanted == FlagNeed::Read && !takes_flags;
        if settles && self.flags.base != Base::Memory {
            self.settle();
        } else {
            self.store_flags_as_they_are();
        }
        if settles && self.flags.base == Base::Memory {
            self.canonical_flags();
            self.flags = FlagState::of(Base::Canonical);
        }
        let flags = self.flags.clone();
        self.temps.forget_registers();
        self.begin();
        let undone = self.undone as i32;
        self.asm.alu_constant(B64, Alu::Add, context(context::LEFT), undone);
        self.asm.constant(RDX, argument);
        self.call(routine);
        self.asm.alu_constant(B64, Alu::Sub, context(context::LEFT), undone);
        self.flags = if takes_flags { FlagState::of(Base::Canonical) } else { flags };
    }

    /// On behind an attempted instruction, whose answer is in RAX.
    fn go_on_if_done(&mut self, after: u32) {
        let on = self.asm.label();
        self.asm.test(B32, RAX, RAX);
        self.asm.jump_if(Cc::Equal, on);
        let not_done = self.leave();
        self.asm.alu_constant(B32, Alu::Cmp, Rm::Reg(RAX), crate::attempt::NOT_DONE as i32);
        self.asm.jump_if(Cc::Equal, not_done);
        let look = self.exit(Exit::Lookup, after, self.undone - 1);
        self.asm.jump(look);
        self.asm.bind(on);
    }

    /// Puts flags into memory; what is canonical there already stays known as that.
    pub(super) fn store_flags_as_they_are(&mut self) {
        if self.flags != FlagState::of(Base::Canonical) {
            self.store_flags();
        }
    }

    pub(super) fn set_ip(&mut self, ip: Val) {
        self.bring(RAX, ip);
        self.asm.store(B32, state(EIP), RAX);
    }
}
