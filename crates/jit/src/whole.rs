//! REP MOVS and REP STOS within a block: done whole by the interpreter's routine where all of them lies in plain memory,
//! while the region's values stay where they are. Others leave, as any access does that the shadow does not show.

use crate::attempt::NOT_DONE;
use crate::context::{self, Context};
use crate::effects::{Effects, Mask, Tracker};
use crate::engine::{Call, in_user_mode};
use crate::flow::COVERED;
use crate::lower::{Lower, Val, bits};
use crate::plan::LONGEST;
use cpu::{Insn, State, Width, reg};
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{AbiParam, InstBuilder};
use sem::Bulk;

/// What is kept of the budget for the instructions behind it: those that one check covers.
pub(crate) const KEPT: i64 = (COVERED + LONGEST as u64) as i64;

/// Such an instruction, at an address that compiled code knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeated {
    insn: Insn,
    what: (Bulk, Width),
}

impl Repeated {
    /// Of an instruction with these effects, if it is one that is done so.
    pub(crate) fn of(insn: &Insn, effects: &Effects) -> Option<Repeated> {
        let what = effects.repeats.filter(|(bulk, _)| matches!(bulk, Bulk::Move | Bulk::Store))?;
        Some(Repeated { insn: *insn, what })
    }

    /// What it touches. Memory is not noted: it is looked up outside.
    pub(crate) fn effects(&self) -> Effects {
        let with = |r: u8| -> Mask { 1 << r };
        let count = with(reg::CX) | with(reg::DI);
        let (reads, writes) = match self.what.0 {
            Bulk::Move => (count | with(reg::SI), count | with(reg::SI)),
            _ => (count | with(reg::AX), count),
        };
        Effects { reads, writes, stops: true, ..Effects::default() }
    }

    /// Notes it.
    pub(crate) fn note(&self, tracker: &mut Tracker) {
        bits(self.effects().writes).for_each(|r| tracker.anything(r as u8));
    }
}

impl Lower<'_, '_> {
    /// The running instruction, which is of the plan's repeated ones: number `n`.
    pub(crate) fn whole(&mut self, n: usize, effects: &Effects) {
        for slot in bits(effects.reads & self.dirty) {
            let v = self.slot(slot);
            self.put_back(slot, v);
        }
        let left = self.b.ins().iadd_imm_s(self.left, self.undone as i64);
        self.store_context(left, context::LEFT);
        let mut s = crate::backend::signature(self.options.host, 3);
        s.returns.push(AbiParam::new(I32));
        let s = self.b.import_signature(s);
        let f = self.b.ins().iconst(I64, self.addresses.whole as i64);
        let repeated = self.b.ins().iconst(I64, &raw const self.plan.repeated[n] as i64);
        let call = self.b.ins().call_indirect(s, f, &[self.ctx, self.state, repeated]);
        let answer = self.b.inst_results(call)[0];
        for slot in bits(effects.writes) {
            let v = self.load_slot(slot);
            self.set_slot(slot, Val::Node(v));
        }
        // each iteration has retired
        let left = self.load_context(I64, context::LEFT);
        self.left = self.b.ins().iadd_imm_s(left, -(self.undone as i64));
        self.b.def_var(self.variables.left, self.left);
        self.give_up_if(answer);
    }
}

/// Does such an instruction whole: 0, or [`NOT_DONE`] where nothing has changed. All but one of its iterations are taken
/// from what is left.
pub(crate) unsafe extern "C" fn whole(
    context: *mut Context,
    cpu: *mut State,
    repeated: *const Repeated,
) -> u32 {
    // SAFETY: compiled code passes on what `Jit::enter` gave it: valid, and used by nobody else now; the instruction
    // is in a region's own table, which lives as long as its code.
    let (context, cpu, repeated) = unsafe { (&mut *context, &mut *cpu, &*repeated) };
    // SAFETY: it is on the stack of `Jit::enter`, and its pointers come from unique borrows that last until that
    // returns.
    let mem = unsafe { &mut *(*(context.call as *mut Call)).mem };
    let Ok(most) = u64::try_from(context.left - KEPT) else { return NOT_DONE };
    let Some(count) = interp::whole(cpu, mem, &repeated.insn, repeated.what, most) else { return NOT_DONE };
    let more = count.saturating_sub(1);
    context.left -= more as i64;
    context.called += 1;
    context.repeated += more;
    if in_user_mode(cpu) {
        context.called_user += 1;
        context.repeated_user += more;
    }
    0
}
