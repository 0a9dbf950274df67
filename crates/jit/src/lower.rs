//! The compiler of one region: where it stands, and the small words that the rest is made of.

use crate::context;
use crate::effects::{MMX, Mask, XMM};
use crate::flags::FlagState;
use crate::plan::Plan;
use crate::wide::Wide;
use cpu::{Insn, State, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I8, I8X16, I16, I32, I64};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::{FunctionBuilder, Variable};
use std::mem::offset_of;

/// A value of up to 64 bits.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Val {
    /// Known now.
    Const(u64),
    /// Computed by the code, of the type of its width.
    Node(Value),
    /// The low bits of a vector (I8X16), where they are.
    Low(Value),
    /// The bits of a floating-point value (F32, F64): what a vector instruction has loaded, or a lane.
    Float(Value),
    /// 0 or 1, as a 32-bit value: not computed before somebody wants more than a branch.
    Test(IntCC, Value, Value),
    /// ZF and CF in EFLAGS positions, of two numbers that were compared and are ordered.
    Order(Value, Value),
    /// What an x87 stub has stored in the memory operand already.
    Written,
}

pub(crate) fn ty(w: Width) -> Type {
    match w {
        Width::B8 => I8,
        Width::B16 => I16,
        Width::B32 => I32,
        Width::B64 => I64,
    }
}

/// Flags of accesses to the context and the state: they are there and aligned.
pub(crate) fn own() -> MemFlagsData {
    MemFlagsData::trusted()
}

/// Flags of accesses to guest memory: they cannot trap, and are anywhere.
pub(crate) fn guest() -> MemFlagsData {
    MemFlagsData::new().with_notrap()
}

/// Where a register of a mask is in [`State`].
pub(crate) fn offset_in_state(slot: u32) -> i32 {
    let at = match slot {
        0..XMM => offset_of!(State, gpr) + 8 * slot as usize,
        XMM..MMX => offset_of!(State, xmm) + 16 * (slot - XMM) as usize,
        _ => offset_of!(State, fpu) + crate::mmx_offset((slot - MMX) as usize),
    };
    at as i32
}

/// The type that a register of a mask has in compiled code.
pub(crate) fn type_of(slot: u32) -> Type {
    match slot {
        0..XMM => I32,
        // of an MMX register the low half counts
        _ => I8X16,
    }
}

/// All that an exit has to put back.
#[derive(Clone)]
pub(crate) struct Snapshot {
    /// Registers that differ from those in memory.
    pub(crate) dirty: Vec<(u32, Val)>,
    pub(crate) flags: FlagState,
    /// What is left of the budget, behind the block.
    pub(crate) left: Value,
    /// Instructions of the block that are not done.
    pub(crate) undone: u64,
    /// The instruction's offset from the head.
    pub(crate) off: u32,
    pub(crate) note: Option<crate::fpu::Note>,
}

/// An exit to be written when the blocks are done.
pub(crate) struct PendingExit {
    pub(crate) block: ir::Block,
    pub(crate) exit: context::Exit,
    pub(crate) snapshot: Snapshot,
}

/// Where control goes after the running instruction.
#[derive(Clone, Copy)]
pub(crate) enum Transfer {
    Jump(Val),
    If(Val, Val),
}

pub(crate) struct Lower<'a, 'f> {
    pub(crate) b: &'a mut FunctionBuilder<'f>,
    pub(crate) plan: &'a Plan,
    pub(crate) ctx: Value,
    pub(crate) state: Value,
    pub(crate) insn: Insn,
    /// Offset of the instruction from the head.
    pub(crate) off: u32,
    /// Registers of a [`Mask`], as far as their values are at hand in this block.
    pub(crate) registers: [Option<Val>; 24],
    pub(crate) dirty: Mask,
    pub(crate) written: Mask,
    pub(crate) flags: FlagState,
    pub(crate) variables: Variables,
    /// EIP of the head.
    pub(crate) base: Option<Value>,
    pub(crate) left: Value,
    pub(crate) undone: u64,
    /// The exit of the running instruction.
    pub(crate) leave: Option<ir::Block>,
    pub(crate) exits: Vec<PendingExit>,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) arrays: [Option<Value>; 2],
    pub(crate) note: Option<crate::fpu::Note>,
    /// Whether the x87 unit is known to be in the host's, or in memory.
    pub(crate) x87_in: Option<bool>,
    /// What this block has made of the tags (MMX mode), and the MMX registers whose exponents it has set.
    pub(crate) mmx_mode: Option<i64>,
    pub(crate) exponents: u8,
    /// Host address of the running x87 instruction's memory operand.
    pub(crate) operand: Option<Value>,
    /// Groups of accesses in this block, those of the running instruction, and how many it has made.
    pub(crate) groups: Vec<crate::group::Group>,
    pub(crate) group_of: Vec<Option<(usize, u32)>>,
    pub(crate) touch: usize,
    /// See [`crate::recent`]: what is remembered, and the classes of the running instruction's accesses.
    pub(crate) recent: crate::recent::Recent,
    /// The shadow may be filled for the access that is looked up.
    pub(crate) fills: bool,
    /// The present block looks for what is not in the page found last: it is a cold one.
    pub(crate) searching: bool,
    /// Indexes of this block, what they were shifted by, and the results.
    pub(crate) scaled: Vec<(Value, u8, Val)>,
    pub(crate) recent_of: Vec<Option<crate::recent::Class>>,
    /// The shared end of all exits.
    pub(crate) tail: Option<ir::Block>,
    pub(crate) routines: crate::fpu::Routines,
    /// The running instruction computes with vectors: what it reads from memory is for them.
    pub(crate) vectors: Option<crate::effects::Vectors>,
    /// The instruction that is compiled next, if it follows in the block.
    pub(crate) next: Option<Insn>,
    pub(crate) clean: Vec<(Value, crate::clean::Elements)>,
    /// MXCSR was seen to be as after reset, with the inexact flag set.
    pub(crate) usual_mxcsr: bool,
    /// See [`crate::raised`].
    pub(crate) raised: Vec<Value>,
    pub(crate) addresses: crate::backend::Addresses,
    pub(crate) options: &'a crate::region::Options,
}

/// What lives across blocks.
#[derive(Clone)]
pub(crate) struct Variables {
    pub(crate) registers: [Option<Variable>; 24],
    pub(crate) left: Variable,
    pub(crate) base: Variable,
    /// The read and the write array.
    pub(crate) arrays: [Variable; 2],
}

/// The body cannot be compiled as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsupported;

impl Lower<'_, '_> {
    /// The value as a node of the type of `w`.
    pub(crate) fn node(&mut self, w: Width, v: Val) -> Value {
        match v {
            Val::Const(k) => self.constant(w, k),
            Val::Node(v) => self.fitted(w, v),
            Val::Low(_) | Val::Float(_) => self.bits(w, v),
            // nobody computes with it
            Val::Written => self.constant(w, 0),
            Val::Test(cc, a, b) => {
                let bit = self.b.ins().icmp(cc, a, b);
                if w == Width::B8 { bit } else { self.b.ins().uextend(ty(w), bit) }
            }
            Val::Order(x, y) => {
                let image = self.order_image(x, y);
                self.fitted(w, image)
            }
        }
    }

    /// Values are zero-extended as far as anyone looks: a body may use one at another width.
    pub(crate) fn fitted(&mut self, w: Width, v: Value) -> Value {
        let (has, wants) = (self.b.func.dfg.value_type(v), ty(w));
        match has.bits().cmp(&wants.bits()) {
            std::cmp::Ordering::Equal => v,
            std::cmp::Ordering::Less => self.b.ins().uextend(wants, v),
            std::cmp::Ordering::Greater => self.b.ins().ireduce(wants, v),
        }
    }

    pub(crate) fn constant(&mut self, w: Width, k: u64) -> Value {
        let signed = crate::fold::sext(w, Width::B64, k) as i64;
        // the bits above the type's have to be clear
        let bits = if w == Width::B64 { signed } else { (k & w.mask()) as i64 };
        self.b.ins().iconst(ty(w), bits)
    }

    pub(crate) fn load_own(&mut self, t: Type, at: i32) -> Value {
        let base = self.state;
        self.b.ins().load(t, own(), base, at)
    }

    pub(crate) fn store_own(&mut self, v: Value, at: i32) {
        let base = self.state;
        self.b.ins().store(own(), v, base, at);
    }

    pub(crate) fn load_context(&mut self, t: Type, at: i32) -> Value {
        let base = self.ctx;
        self.b.ins().load(t, own(), base, at)
    }

    pub(crate) fn store_context(&mut self, v: Value, at: i32) {
        let base = self.ctx;
        self.b.ins().store(own(), v, base, at);
    }

    /// A condition for a branch or a select.
    pub(crate) fn condition_node(&mut self, c: Val) -> Value {
        match c {
            Val::Test(cc, a, b) => self.b.ins().icmp(cc, a, b),
            Val::Node(v) => v,
            c => self.node(Width::B32, c),
        }
    }

    /// A register of a mask, whole.
    pub(crate) fn slot(&mut self, slot: u32) -> Val {
        if let Some(v) = self.registers[slot as usize] {
            return v;
        }
        let v = match self.variables.registers[slot as usize] {
            Some(variable) => self.b.use_var(variable),
            // not mentioned by any instruction's effects: never, but memory has it as well
            None => self.load_slot(slot),
        };
        self.registers[slot as usize] = Some(Val::Node(v));
        Val::Node(v)
    }

    pub(crate) fn set_slot(&mut self, slot: u32, v: Val) {
        self.registers[slot as usize] = Some(v);
        self.dirty |= 1 << slot;
        self.written |= 1 << slot;
    }

    /// The node of a register's value, of its type.
    pub(crate) fn slot_node(&mut self, slot: u32) -> Value {
        let v = self.slot(slot);
        self.as_slot(slot, v)
    }

    pub(crate) fn as_slot(&mut self, slot: u32, v: Val) -> Value {
        match (v, slot) {
            (Val::Node(v) | Val::Low(v), XMM..) => v,
            (v, XMM..) => self.vector(Wide::Halves(v, Val::Const(0))),
            (v, _) => self.node(Width::B32, v),
        }
    }

    /// EIP of the head of the region.
    pub(crate) fn base(&mut self) -> Value {
        if let Some(v) = self.base {
            return v;
        }
        let v = self.b.use_var(self.variables.base);
        self.base = Some(v);
        v
    }

    /// EIP at an offset from the head.
    pub(crate) fn ip(&mut self, off: u32) -> Value {
        let base = self.base();
        if off == 0 { base } else { self.b.ins().iadd_imm_s(base, i64::from(off as i32)) }
    }

    /// The address of the read or the write array.
    pub(crate) fn array(&mut self, write: bool) -> Value {
        let n = usize::from(write);
        if let Some(v) = self.arrays[n] {
            return v;
        }
        let v = self.b.use_var(self.variables.arrays[n]);
        self.arrays[n] = Some(v);
        v
    }

    /// Forgets what is only at hand in the block before.
    pub(crate) fn start(&mut self) {
        self.registers = [None; 24];
        self.written = 0;
        self.base = None;
        self.arrays = [None; 2];
        self.clean.clear();
        self.scaled.clear();
        self.usual_mxcsr = false;
        self.note = None;
        self.x87_in = None;
        (self.mmx_mode, self.exponents) = (None, 0);
    }

    /// Gives values written in this block to the variables, for the blocks that follow.
    pub(crate) fn publish(&mut self) {
        for slot in bits(self.written) {
            let v = self.slot_node(slot);
            // what is computed here once is computed for the edges as well
            self.registers[slot as usize] = Some(Val::Node(v));
            if let Some(variable) = self.variables.registers[slot as usize] {
                self.b.def_var(variable, v);
            }
        }
        self.written = 0;
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let dirty = bits(self.dirty).map(|slot| (slot, self.slot(slot))).collect();
        Snapshot {
            dirty,
            flags: self.flags.clone(),
            left: self.left,
            undone: self.undone,
            off: self.off,
            note: self.note,
        }
    }

    /// The block that gives the running instruction to the interpreter, with nothing of it done.
    pub(crate) fn leave(&mut self) -> ir::Block {
        if let Some(block) = self.leave {
            return block;
        }
        let block = self.exit_block(context::Exit::Redo);
        self.leave = Some(block);
        block
    }

    pub(crate) fn exit_block(&mut self, exit: context::Exit) -> ir::Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        let snapshot = self.snapshot();
        self.exits.push(PendingExit { block, exit, snapshot });
        block
    }

    /// Goes on in a new block if `c` is 0, and to `there` if not.
    pub(crate) fn leave_if(&mut self, c: Value, there: ir::Block) {
        let on = self.b.create_block();
        self.b.ins().brif(c, there, &[], on, &[]);
        self.go(on);
    }

    /// Goes on in a block whose predecessors are all there.
    pub(crate) fn go(&mut self, block: ir::Block) {
        self.b.seal_block(block);
        self.b.switch_to_block(block);
    }

    /// Gives the running instruction to the interpreter if `c` is not 0.
    pub(crate) fn give_up_if(&mut self, c: Value) {
        let there = self.leave();
        self.leave_if(c, there);
    }

    /// Stores a register's value where it belongs.
    pub(crate) fn put_back(&mut self, slot: u32, v: Val) {
        let node = match self.as_slot(slot, v) {
            v if slot < MMX => v,
            v => self.lane(F64, v),
        };
        self.store_own(node, offset_in_state(slot));
    }

    /// A register's value in memory.
    pub(crate) fn load_slot(&mut self, slot: u32) -> Value {
        if slot < MMX {
            return self.load_own(type_of(slot), offset_in_state(slot));
        }
        let low = self.load_own(F64, offset_in_state(slot));
        self.vector(Wide::Halves(Val::Float(low), Val::Const(0)))
    }
}

/// The numbers of the bits that are set.
pub(crate) fn bits(mask: Mask) -> impl Iterator<Item = u32> + Clone {
    (0..32).filter(move |n| mask >> n & 1 != 0)
}
