//! Frequent sensitive instructions in place: where the key rules out all that the monitor's routine would ask (virtual-8086
//! mode; for CLI, that IOPL is below CPL) it comes to a few words, and code does them on the state that the routine would,
//! as Adams and Agesen (2006) have CLI.
//!
//! The routines in `vmm` stay what rules: tests compare the two, as lockstep does on every guest.

use crate::context;
use crate::key::Key;
use crate::lower::{Lower, Unsupported, Val};
use cpu::Width::{B16, B32};
use cpu::{Insn, Kind, Segment, State, Width, eflags, reg};
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::{I16, I32, I64};
use isa::{Routine, routine};
use sem::Emit;
use std::mem::offset_of;

/// Whether an instruction is done so.
pub(crate) fn in_place(key: Key, insn: &Insn) -> bool {
    let wide = insn.op32 && key.stack() == Width::B32;
    match routine(insn.code) {
        Some(Routine::Cli) => key.supervisor(),
        // it shows the same at every CPL: that is its sin
        Some(Routine::Pushf) => key.protected() && wide,
        Some(Routine::PushSreg) => wide,
        Some(Routine::MovFromSreg) => insn.kind[0] == Kind::Reg,
        _ => false,
    }
}

impl Lower<'_, '_> {
    /// The running instruction, which is one of these.
    pub(crate) fn in_place(&mut self) -> Result<(), Unsupported> {
        match routine(self.insn.code) {
            Some(Routine::Cli) => self.cli(),
            Some(Routine::Pushf) => self.pushf()?,
            Some(Routine::PushSreg) => {
                let selector = self.selector(self.insn.reg[0]);
                // the upper half of the place is left alone
                self.push_in_place(B16, selector)?;
            }
            Some(Routine::MovFromSreg) => {
                let selector = self.selector(self.insn.reg[1]);
                let w = if self.insn.op32 { B32 } else { B16 };
                self.set_reg(w, self.insn.reg[0], selector);
            }
            _ => return Err(Unsupported),
        }
        self.count_in_place();
        Ok(())
    }

    fn cli(&mut self) {
        let at = offset_of!(State, eflags) as i32;
        let flags = self.load_own(I32, at);
        let flags = self.b.ins().band_imm_u(flags, i64::from(!eflags::IF));
        self.store_own(flags, at);
    }

    fn pushf(&mut self) -> Result<(), Unsupported> {
        let image = sem::flags::image(self);
        let image = self.node(B32, image);
        let others = self.load_own(I32, offset_of!(State, eflags) as i32);
        let hidden = eflags::ARITHMETIC | eflags::VM | eflags::RF;
        let others = self.b.ins().band_imm_u(others, i64::from(!hidden));
        let all = self.b.ins().bor(image, others);
        let all = self.b.ins().bor_imm_u(all, i64::from(eflags::RESERVED1));
        self.push_in_place(B32, Val::Node(all))
    }

    fn selector(&mut self, n: u8) -> Val {
        let at = offset_of!(State, seg) + usize::from(n & 7) * size_of::<Segment>();
        let v = self.load_own(I16, (at + offset_of!(Segment, selector)) as i32);
        Val::Node(self.b.ins().uextend(I32, v))
    }

    /// Pushes the low `w` of a value, with room for a doubleword.
    fn push_in_place(&mut self, w: Width, v: Val) -> Result<(), Unsupported> {
        let (place, sp) = sem::stack::push_place(self, B32)?;
        self.write(place, w, v);
        self.set_reg(B32, reg::SP, sp);
        Ok(())
    }

    fn count_in_place(&mut self) {
        let n = self.load_context(I64, context::IN_PLACE);
        let n = self.b.ins().iadd_imm_s(n, 1);
        self.store_context(n, context::IN_PLACE);
    }
}
