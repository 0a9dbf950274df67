//! The x87 unit in compiled code: the guest's registers live in the host's unit ([`crate::x87`]), and
//! each instruction is a call of a few bytes that performs the very same one.

use crate::context;
use crate::emit::Place;
use crate::lower::{Lower, Unsupported, Val};
use crate::wide::Wide;
use crate::x87;
use cpu::Width::{B32, B64};
use cpu::{Fpu, Insn, Kind, Segment, State, seg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{
    AbiParam, ExtFuncData, ExternalName, FuncRef, InstBuilder, UserExternalName, Value,
};
use cranelift_codegen::isa::CallConv;
use sem::Guard;
use sem::fp::{X87, X87Op};
use std::mem::offset_of;

/// The last x87 instruction, for FCS, FIP, FOP, FDS and FDP: written when somebody may look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    /// Its offset from the head.
    off: u32,
    opcode: u16,
    /// Segment and offset of the last memory operand.
    data: Option<(u8, Val)>,
}

const FPU: usize = offset_of!(State, fpu);
const STATUS: i32 = (FPU + offset_of!(Fpu, status)) as i32;
const OCCUPIED: i32 = (FPU + offset_of!(Fpu, occupied)) as i32;
/// TOP in the status word.
const TOP: i64 = 0x3800;
/// CF, PF and ZF in EFLAGS.
const COMPARED: i64 = 0x45;
/// The exception masks of a control word.
const MASKS: i64 = 0x3f;

/// Machine code of a region's own that it calls: x87 instructions in a row.
#[derive(Default)]
pub(crate) struct Routines {
    all: Vec<(Vec<u8>, FuncRef)>,
    /// The instructions of the one that is being collected, and the argument of its call.
    open: Vec<u8>,
    argument: Option<Value>,
}

impl Routines {
    /// The code, by the numbers that calls have.
    pub(crate) fn into_code(self) -> Vec<Vec<u8>> {
        self.all.into_iter().map(|(code, _)| code).collect()
    }

    /// The routine of this code, if there is one.
    fn find(&self, code: &[u8]) -> Option<FuncRef> {
        self.all.iter().find(|(c, _)| c == code).map(|r| r.1)
    }
}

/// Where a stub finds its operand, from the address that it is called with.
fn slot(insn: &Insn) -> i32 {
    if insn.kind.contains(&Kind::Mem) { 0 } else { context::SLOT }
}

/// The instruction is done by the host's own unit, or with a result that [`float`] has computed.
pub(crate) fn has_code(insn: &Insn) -> bool {
    x87::native(insn, slot(insn)).is_some() || x87::Function::of(insn.code.mnemonic()).is_some()
}

/// Whether the second instruction may be performed with the first in one routine: nothing that could leave comes
/// in between, and they have one operand at most outside of the unit. `memory`: the routine has a memory operand.
fn joins(first: &Insn, second: &Insn, memory: bool) -> bool {
    let open = x87::stays_inside(first) || x87::has_memory_operand(first);
    open && (x87::stays_inside(second) || x87::gives_to_slot(second) && !memory)
}

fn cs_field(field: usize) -> i32 {
    segment_field(seg::CS, field)
}

fn segment_field(segment: u8, field: usize) -> i32 {
    (offset_of!(State, seg) + size_of::<Segment>() * usize::from(segment & 7) + field) as i32
}

impl Lower<'_, '_> {
    pub(crate) fn guard_unit(&mut self, unit: Guard) -> Result<(), Unsupported> {
        let on = match unit {
            Guard::Fpu | Guard::FpuNoWait | Guard::Mmx => self.plan.key.fpu(),
            Guard::Sse => self.plan.key.sse(),
        };
        if !on {
            return Err(Unsupported);
        }
        match unit {
            Guard::Fpu | Guard::FpuNoWait => self.bring_in(),
            Guard::Mmx => self.take_out(),
            Guard::Sse => {}
        }
        Ok(())
    }

    /// Sees to it that the guest's x87 unit is in the host's; leaves where it cannot be. While it is
    /// there no exception is pending, nor can one become so.
    fn bring_in(&mut self) {
        if self.x87_in == Some(true) {
            return;
        }
        self.x87_in = Some(true);
        (self.mmx_mode, self.exponents) = (None, 0);
        let live = self.load_context(I32, context::X87_LIVE);
        let (bring, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(bring);
        self.b.ins().brif(live, on, &[], bring, &[]);
        self.go(bring);
        self.call_kept(self.addresses.x87_in);
        let live = self.load_context(I32, context::X87_LIVE);
        let there = self.leave();
        self.b.ins().brif(live, on, &[], there, &[]);
        self.go(on);
    }

    /// Sees to it that the guest's x87 unit is in memory, where the MMX registers are.
    fn take_out(&mut self) {
        if self.x87_in == Some(false) {
            return;
        }
        self.x87_in = Some(false);
        let live = self.load_context(I32, context::X87_LIVE);
        // MMX registers at hand are those of before
        let there = self.leave();
        self.leave_if(live, there);
        let status = self.load_own(I16, STATUS);
        let pending = self.b.ins().band_imm_u(status, 0x80);
        self.give_up_if(pending);
    }

    /// Calls a routine that keeps all registers, with context and state.
    fn call_kept(&mut self, address: u64) {
        let s = self.b.import_signature(crate::backend::signature(CallConv::PreserveAll, 2));
        let f = self.b.ins().iconst(I64, address as i64);
        let (ctx, state) = (self.ctx, self.state);
        self.b.ins().call_indirect(s, f, &[ctx, state]);
    }

    pub(crate) fn note_instruction(&mut self) {
        let i = self.insn;
        let data = if matches!(i.kind[0], Kind::Mem) {
            Some((i.seg, self.effective()))
        } else {
            self.note.and_then(|n| n.data)
        };
        self.note = Some(Note { off: self.off, opcode: i.imm as u16, data });
    }

    /// Writes the note down.
    pub(crate) fn store_note(&mut self, note: Option<Note>) {
        let Some(Note { off, opcode, data }) = note else { return };
        let field = |f: usize| (FPU + f) as i32;
        let ip = self.ip(off);
        self.store_own(ip, field(offset_of!(Fpu, ip)));
        let cs = self.load_own(I16, cs_field(offset_of!(Segment, selector)));
        self.store_own(cs, field(offset_of!(Fpu, cs)));
        let opcode = self.b.ins().iconst(I16, i64::from(opcode));
        self.store_own(opcode, field(offset_of!(Fpu, opcode)));
        if let Some((segment, offset)) = data {
            let offset = self.node(B32, offset);
            self.store_own(offset, field(offset_of!(Fpu, dp)));
            let ds = self.load_own(I16, segment_field(segment, offset_of!(Segment, selector)));
            self.store_own(ds, field(offset_of!(Fpu, ds)));
        }
    }

    pub(crate) fn x87_operation(&mut self, op: X87, a: Wide) -> Wide {
        match op.op {
            X87Op::EnterMmx => self.enter_mode(0xff),
            X87Op::LeaveMmx => self.enter_mode(0),
            X87Op::SetControl => self.load_control(a),
            X87Op::MoveIf => {
                let c = self.half(a, false);
                let c = self.node(B64, c);
                self.store_context(c, context::SLOT);
                self.run_stub();
            }
            X87Op::CompareFlags | X87Op::CompareFlagsQuiet => {
                self.run_stub();
                let flags = self.load_context(I64, context::SLOT);
                let flags = self.b.ins().band_imm_u(flags, COMPARED);
                return Wide::Halves(Val::Node(flags), Val::Const(0));
            }
            X87Op::Status | X87Op::Control if self.insn.kind[0] != Kind::Mem => {
                self.run_stub();
                let word = self.load_context(I16, context::SLOT);
                let word = self.b.ins().uextend(I64, word);
                return Wide::Halves(Val::Node(word), Val::Const(0));
            }
            _ => match x87::Function::of(self.insn.code.mnemonic()) {
                Some(f) => self.run_function(f),
                None => self.run_stub(),
            },
        }
        // what goes to memory is there already
        Wide::Halves(Val::Written, Val::Const(0))
    }

    /// FLDCW with a word that masks everything; others are for the interpreter.
    fn load_control(&mut self, a: Wide) {
        let word = self.half(a, false);
        let word = self.node(B64, word);
        let masks = self.b.ins().band_imm_u(word, MASKS);
        let open = self.b.ins().icmp_imm_u(IntCC::NotEqual, masks, MASKS);
        self.give_up_if(open);
        self.run_stub();
    }

    /// The instruction itself: on the memory operand, or on registers and the context's slot. With those that follow
    /// it at once it becomes one routine.
    fn run_stub(&mut self) {
        let memory = self.insn.kind.contains(&Kind::Mem);
        let argument = if memory { self.operand } else { None };
        if let Some(stub) = x87::native(&self.insn, slot(&self.insn))
            && let Some((_, code)) = stub.bytes().split_last()
        {
            self.routines.open.extend_from_slice(code);
            self.routines.argument = self.routines.argument.or(argument);
        }
        let memory = self.routines.argument.is_some();
        if !self.next.is_some_and(|next| joins(&self.insn, &next, memory)) {
            self.call_routine();
        }
    }

    /// Calls what was collected.
    fn call_routine(&mut self) {
        const RET: u8 = 0xc3;
        let mut code = std::mem::take(&mut self.routines.open);
        code.push(RET);
        let argument = self.routines.argument.take().unwrap_or(self.ctx);
        let routine = match self.routines.find(&code) {
            Some(f) => f,
            None => {
                let index = self.routines.all.len() as u32;
                let name =
                    self.b.func.declare_imported_user_function(UserExternalName { namespace: 0, index });
                let signature = self.b.import_signature(crate::backend::signature(CallConv::PreserveAll, 1));
                let name = ExternalName::user(name);
                let f = self.b.import_function(ExtFuncData {
                    name,
                    signature,
                    colocated: true,
                    patchable: false,
                });
                self.routines.all.push((code, f));
                f
            }
        };
        self.b.ins().call(routine, &[argument]);
    }

    /// A function that [`float`] computes while the guest's unit stays in the host's; leaves where it says that it
    /// cannot.
    fn run_function(&mut self, f: x87::Function) {
        let mut s = crate::backend::signature(self.options.host, 1);
        s.returns.push(AbiParam::new(I32));
        let s = self.b.import_signature(s);
        let address = self.b.ins().iconst(I64, self.addresses.x87_function as i64);
        let number = self.b.ins().iconst(I64, f as i64);
        let call = self.b.ins().call_indirect(s, address, &[number]);
        let done = self.b.inst_results(call)[0];
        let failed = self.b.ins().icmp_imm_u(IntCC::Equal, done, 0);
        self.give_up_if(failed);
    }

    /// MMX instructions make the registers theirs (SDM vol. 1, 9.5.1).
    fn enter_mode(&mut self, occupied: i64) {
        // once a block will do: nothing else in it changes them
        if self.mmx_mode == Some(occupied) {
            return;
        }
        self.mmx_mode = Some(occupied);
        let status = self.load_own(I16, STATUS);
        let status = self.b.ins().band_imm_s(status, !TOP);
        self.store_own(status, STATUS);
        let occupied = self.b.ins().iconst(I8, occupied);
        self.store_own(occupied, OCCUPIED);
    }

    /// Remembers the address of the memory operand, for the stub.
    pub(crate) fn remember_operand(&mut self, p: Place) -> Place {
        if let Place::Host(at) = p {
            self.operand = Some(at);
        }
        p
    }
}
