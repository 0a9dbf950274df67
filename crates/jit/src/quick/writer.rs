//! The quick tier's compiler of one region: where it stands.

use super::asm::{Alu, Asm, Cc, Host, Label, R12, RAX, RBP, RCX, Rm, Shift};
use super::flags::FlagState;
use super::temps::{Temp, Temps};
use crate::backend::Addresses;
use crate::context::Exit;
use crate::fold;
use crate::plan::{FlagNeed, Plan};
use cpu::Width::{B8, B16, B32, B64};
use cpu::{Insn, State, Width};
use std::mem::offset_of;

/// A value of up to 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Val {
    /// Known now.
    Const(u64),
    /// Computed by the code.
    Temp(Temp),
    /// EIP at this offset from the head.
    Ip(u32),
    /// 0 or 1, by a comparison that is made when somebody asks.
    Test(Cc, Width, Temp, Arg),
}

/// A second operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arg {
    Temp(Temp),
    /// As an immediate operand, which the host extends with its sign.
    Const(i32),
}

/// Where control goes after the running instruction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transfer {
    Jump(Val),
    If(Val, Val),
}

/// An exit to be written when the blocks are done.
pub(super) struct PendingExit {
    pub(super) label: Label,
    pub(super) exit: Exit,
    pub(super) off: u32,
    /// Instructions of the block that are not done.
    pub(super) undone: u64,
    pub(super) flags: FlagState,
    pub(super) temps: Temps,
}

pub(super) struct Writer<'a> {
    pub(super) asm: Asm,
    pub(super) plan: &'a Plan,
    pub(super) addresses: Addresses,
    pub(super) insn: Insn,
    /// Offset of the instruction from the head.
    pub(super) off: u32,
    pub(super) undone: u64,
    pub(super) temps: Temps,
    /// Values that were last wanted before the running instruction have not been touched by it.
    pub(super) since: u32,
    pub(super) flags: FlagState,
    /// What is wanted of the flags behind the running instruction.
    pub(super) wanted: FlagNeed,
    pub(super) transfer: Option<Transfer>,
    pub(super) exits: Vec<PendingExit>,
    pub(super) searches: Vec<super::access::Search>,
    /// The exits before the running instruction.
    pub(super) first_exit: usize,
    /// Accesses of the running instruction so far.
    pub(super) touch: usize,
    /// A word without code was asked for.
    pub(super) failed: bool,
    /// The end of all exits.
    pub(super) tail: Label,
    /// Addresses of the counters of runs, one a block.
    pub(super) counters: &'a [u64],
}

/// A field of the guest's state.
pub(super) fn state(at: usize) -> Rm {
    Rm::At(RBP, at as i32)
}

/// A field of the context.
pub(super) fn context(at: i32) -> Rm {
    Rm::At(super::asm::RBX, at)
}

/// Where a guest register is in memory.
pub(super) fn guest(r: u8) -> Rm {
    state(offset_of!(State, gpr) + 8 * usize::from(r & 7))
}

impl Writer<'_> {
    /// The body asks for something that has no code here.
    pub(super) fn fail(&mut self) -> Val {
        self.failed = true;
        Val::Const(0)
    }

    /// The value in a register.
    pub(super) fn temp(&mut self, v: Val) -> Temp {
        match v {
            Val::Temp(t) => t,
            Val::Const(k) => {
                let (t, h) = self.fresh();
                self.asm.constant(h, k);
                t
            }
            Val::Ip(off) => {
                let (t, h) = self.fresh();
                self.asm.lea(B32, h, Rm::At(R12, off as i32));
                t
            }
            Val::Test(cc, w, a, b) => {
                self.compare(cc, w, a, b);
                let (t, h) = self.fresh();
                self.asm.set_if(cc, h);
                t
            }
        }
    }

    pub(super) fn in_host(&mut self, v: Val) -> Host {
        let t = self.temp(v);
        self.host(t)
    }

    /// The value as a second operand of width `w`.
    pub(super) fn arg(&mut self, w: Width, v: Val) -> Arg {
        if let Val::Const(k) = v {
            let k = if w == B64 { k as i64 } else { i64::from(k as u32 as i32) };
            if let Ok(k) = i32::try_from(k) {
                return Arg::Const(k);
            }
        }
        Arg::Temp(self.temp(v))
    }

    /// Puts a value into one of the registers that are for a step.
    pub(super) fn bring(&mut self, to: Host, v: Val) {
        match v {
            Val::Const(k) => self.asm.constant(to, k),
            Val::Ip(off) => self.asm.lea(B32, to, Rm::At(R12, off as i32)),
            v => {
                let h = self.in_host(v);
                self.asm.load(B64, to, Rm::Reg(h));
            }
        }
    }

    /// `reg = reg op arg`.
    pub(super) fn alu(&mut self, w: Width, op: Alu, reg: Host, arg: Arg) {
        match arg {
            Arg::Const(k) => self.asm.alu_constant(w, op, Rm::Reg(reg), k),
            Arg::Temp(t) => {
                let h = self.host(t);
                self.asm.alu(w, op, reg, Rm::Reg(h));
            }
        }
    }

    /// Sets the host's flags for a condition. Uses RAX and RCX.
    pub(super) fn compare(&mut self, cc: Cc, w: Width, a: Temp, b: Arg) {
        let wide = if w == B64 { B64 } else { B32 };
        let signed = matches!(cc, Cc::Less | Cc::GreaterEqual);
        // it may be of flags that are not needed any more: room for the first is not to be made at its cost
        if let Arg::Temp(b) = b {
            self.hold(b);
        }
        let mut h = self.host(a);
        if matches!(cc, Cc::Parity | Cc::NoParity) {
            return self.asm.test(B8, h, h);
        }
        if signed && w < B32 {
            self.asm.load_signed(w, B32, RAX, Rm::Reg(h));
            h = RAX;
            if let Arg::Temp(b) = b {
                let b = self.host(b);
                self.asm.load_signed(w, B32, RCX, Rm::Reg(b));
                return self.asm.alu(B32, Alu::Cmp, RAX, Rm::Reg(RCX));
            }
        }
        match b {
            Arg::Const(0) => self.asm.test(wide, h, h),
            Arg::Const(k) if signed && w < B32 => {
                let k = fold::sext(w, B32, k as u64) as i32;
                self.asm.alu_constant(B32, Alu::Cmp, Rm::Reg(h), k);
            }
            b => self.alu(wide, Alu::Cmp, h, b),
        }
    }

    /// Goes to a label where a value is not 0, or where it is.
    pub(super) fn branch(&mut self, c: Val, wanted: bool, to: Label) {
        let cc = match c {
            Val::Const(k) => {
                if (k != 0) == wanted {
                    self.asm.jump(to);
                }
                return;
            }
            Val::Test(cc, w, a, b) => {
                self.compare(cc, w, a, b);
                cc
            }
            c => {
                let h = self.in_host(c);
                self.asm.test(B32, h, h);
                Cc::NotEqual
            }
        };
        self.asm.jump_if(if wanted { cc } else { cc.inverted() }, to);
    }

    /// Cuts a register's value to a narrow width.
    pub(super) fn narrow(&mut self, w: Width, h: Host) {
        if w < B32 {
            self.asm.load(w, h, Rm::Reg(h));
        }
    }

    /// `a op b`, truncated.
    pub(super) fn binary(&mut self, w: Width, op: Alu, a: Val, b: Val) -> Val {
        let (a, b) = if matches!(a, Val::Const(_)) && op != Alu::Sub { (b, a) } else { (a, b) };
        let a = if let Val::Const(_) = a { Val::Temp(self.temp(a)) } else { a };
        let (from, arg) = (self.temp(a), self.arg(w, b));
        let (t, to) = self.fresh();
        let from = self.host(from);
        let wide = if w == B64 { B64 } else { B32 };
        match (op, arg) {
            (Alu::Add, Arg::Const(k)) => self.asm.lea(wide, to, Rm::At(from, k)),
            (Alu::Add, Arg::Temp(b)) => {
                let b = self.host(b);
                self.asm.lea(wide, to, Rm::Sum(from, b, 0, 0));
            }
            (op, arg) => {
                self.asm.load(wide, to, Rm::Reg(from));
                self.alu(wide, op, to, arg);
            }
        }
        // operands have no bits above the width, and an immediate may have its sign there
        if matches!(op, Alu::Add | Alu::Sub) || matches!(arg, Arg::Const(k) if k < 0 && op != Alu::And) {
            self.narrow(w, to);
        }
        Val::Temp(t)
    }

    pub(super) fn shifted(&mut self, w: Width, op: Shift, a: Val, n: Val) -> Val {
        let wide = if w == B64 { B64 } else { B32 };
        let from = self.temp(a);
        let count = match n {
            Val::Const(k) => Some(k as u8 & 63),
            n => {
                self.bring(RCX, n);
                None
            }
        };
        let from = self.host(from);
        let (t, to) = self.fresh();
        if op == Shift::Arithmetic && w < B32 {
            self.asm.load_signed(w, B32, to, Rm::Reg(from));
        } else {
            self.asm.load(wide, to, Rm::Reg(from));
        }
        match count {
            Some(0) => {}
            Some(n) => self.asm.shift_constant(wide, op, Rm::Reg(to), n),
            None => self.asm.shift(wide, op, to),
        }
        if op != Shift::Right {
            self.narrow(w, to);
        }
        Val::Temp(t)
    }

    /// A guest register, whole.
    pub(super) fn register_value(&mut self, r: u8) -> Temp {
        let r = r & 7;
        if let Some(t) = self.temps.cache[usize::from(r)] {
            self.hold(t);
            return t;
        }
        let (t, h) = self.fresh();
        self.asm.load(B32, h, guest(r));
        self.temps.cache[usize::from(r)] = Some(t);
        t
    }

    /// Sets a guest register, whole.
    pub(super) fn set_register(&mut self, r: u8, v: Val) {
        let r = r & 7;
        if let Val::Const(k) = v {
            self.asm.store_constant(B32, guest(r), k as u32);
            self.temps.cache[usize::from(r)] = None;
            return;
        }
        let t = self.temp(v);
        let h = self.host(t);
        self.asm.store(B32, guest(r), h);
        self.temps.cache[usize::from(r)] = Some(t);
    }

    /// Sets a part of a guest register; `up` is the number of the lowest bit.
    pub(super) fn set_part(&mut self, r: u8, w: Width, up: u8, v: Val) {
        self.bring(RAX, v);
        let old = self.register_value(r);
        let (t, to) = self.fresh();
        let old = self.host(old);
        self.asm.load(B32, to, Rm::Reg(old));
        match (w, up) {
            (B8 | B16, 0) => self.asm.store(w, Rm::Reg(to), RAX),
            _ => {
                self.asm.alu_constant(B32, Alu::And, Rm::Reg(to), !0xff00);
                self.asm.load(B8, RAX, Rm::Reg(RAX));
                self.asm.shift_constant(B32, Shift::Left, Rm::Reg(RAX), up);
                self.asm.alu(B32, Alu::Or, to, Rm::Reg(RAX));
            }
        }
        self.set_register(r, Val::Temp(t));
    }

    /// Where the running instruction is given to the interpreter, with nothing of it done.
    pub(super) fn leave(&mut self) -> Label {
        self.exit(Exit::Redo, self.off, self.undone)
    }

    pub(super) fn exit(&mut self, exit: Exit, off: u32, undone: u64) -> Label {
        let held = self.flags.temps();
        let known = self.exits[self.first_exit..].iter().find(|e| {
            (e.exit, e.off, e.undone) == (exit, off, undone)
                && e.flags == self.flags
                && e.temps.agrees(&self.temps, held)
        });
        if let Some(e) = known {
            return e.label;
        }
        let label = self.asm.label();
        let (flags, temps) = (self.flags.clone(), self.temps.clone());
        self.exits.push(PendingExit { label, exit, off, undone, flags, temps });
        label
    }
}
