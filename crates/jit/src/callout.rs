//! What compiled code has done outside and goes on behind: sensitive instructions, and those that have no code.

use crate::context::{Context, Exit};
use crate::engine::{Call, in_user_mode, refresh, take_x87_out};
use crate::key::Key;
use crate::mxcsr;
use crate::settle::settle;
use cpu::{Flow, Insn, Monitor, State, StopReason, eflags, seg};
use mem::Memory;

/// What [`callout`] says: go on behind the instruction.
const ON: u32 = 0;
/// What [`callout`] says: return to the engine.
pub(crate) const RETURN: i64 = 1;
/// What [`callout`] says: go on wherever EIP says.
const ELSEWHERE: u32 = 2;

/// As [`perform`], outside of the guest's MXCSR.
pub(crate) unsafe extern "C" fn callout(
    context: *mut Context,
    cpu: *mut State,
    len: u64,
    insn: *const Insn,
) -> u32 {
    // SAFETY: compiled code passes on what `Jit::enter` gave it: valid, and used by nobody else now; `insn` is
    // null or in a region's own table, which lives as long as its code.
    unsafe {
        let arithmetic = (*context).arithmetic;
        mxcsr::take_out(arithmetic, &mut *cpu);
        let then = perform(context, cpu, len, insn);
        mxcsr::bring_in(arithmetic, &*cpu);
        then
    }
}

/// Does the instruction at EIP, of `len` bytes, outside of compiled code: a sensitive one (`insn` is not
/// null) in the monitor, any other in the interpreter.
unsafe fn perform(context: *mut Context, cpu: *mut State, len: u64, insn: *const Insn) -> u32 {
    // SAFETY: compiled code passes on what `Jit::enter` gave it: valid, and used by nobody else now;
    // `call` is on that function's stack, and its pointers come from unique borrows that last until it returns.
    let (context, cpu) = unsafe { (&mut *context, &mut *cpu) };
    // SAFETY: see above.
    let call = unsafe { &mut *(context.call as *mut Call) };
    // SAFETY: see above.
    let (mem, monitor) = unsafe { (&mut *call.mem, &mut *call.monitor) };
    settle(context, cpu);
    take_x87_out(context, cpu);
    let until = cpu.until;
    cpu.retired = until - context.left as u64;
    let (before, user) = (cpu.retired, in_user_mode(cpu));
    if before >= until {
        // no region has ended here, and EIP is at no door
        (context.exit, context.region) = (Exit::Budget as u32, u32::MAX);
        return RETURN as u32;
    }
    let next = cpu.eip.wrapping_add(len as u32);
    let base = cpu.segment(seg::CS).base;
    let linear = base.wrapping_add(cpu.eip);
    let page = mem.lookup_execute(linear);
    // SAFETY: null, or an instruction in a region's own table, which lives as long as its code.
    let done = match unsafe { insn.as_ref() } {
        Some(insn) => sensitive(cpu, mem, monitor, insn),
        None => {
            // SAFETY: see above.
            let interpreter = unsafe { &mut *call.interpreter };
            interpreter.single_step(cpu, mem, monitor)
        }
    };
    count(context, cpu.retired - before, user);
    context.left = until as i64 - cpu.retired as i64;
    match done {
        Ok(()) if !cpu.leave && !mem.has_traces() => {
            refresh(context, mem);
            // SAFETY: see above.
            let same = unsafe { insn.as_ref() }.is_some_and(Key::outlives) || {
                let key = u64::from(Key::of(cpu).0) << 32;
                std::mem::replace(&mut context.key, key) == key
            };
            let stays = cpu.eip == next && cpu.segment(seg::CS).base == base;
            let here = stays && mem.lookup_execute(linear) == page;
            if same && here { ON } else { ELSEWHERE }
        }
        Ok(()) => {
            context.exit = Exit::Lookup as u32;
            RETURN as u32
        }
        Err(reason) => {
            context.exit = Exit::Stopped as u32;
            call.reason = Some(reason);
            RETURN as u32
        }
    }
}

/// Counts an instruction, and the further iterations of one that is repeated.
fn count(context: &mut Context, retired: u64, user: bool) {
    let (called, repeated) = (retired.min(1), retired.saturating_sub(1));
    context.called += called;
    context.repeated += repeated;
    context.called_user += if user { called } else { 0 };
    context.repeated_user += if user { repeated } else { 0 };
}

/// Has the monitor interpret a sensitive instruction.
fn sensitive(
    cpu: &mut State,
    mem: &mut Memory,
    monitor: &mut dyn Monitor,
    insn: &Insn,
) -> Result<(), StopReason> {
    let flow = monitor.sensitive(cpu, mem, insn).map_err(StopReason::Fault)?;
    cpu.retired += 1;
    if flow == Flow::Leave || cpu.leave || watched(cpu) { Err(StopReason::Leave) } else { Ok(()) }
}

/// What the dispatcher has to see before the next instruction, and an instruction that goes elsewhere may
/// have loaded: RF, which is for one instruction; checks of alignment; a virtual interrupt that is due; an NMI
/// that IRET has let in.
fn watched(cpu: &State) -> bool {
    let both = eflags::VIF | eflags::VIP;
    cpu.eflags & eflags::RF != 0
        || cpu.alignment_checked()
        || cpu.eflags & both == both
        || cpu.nmi_pending && !cpu.nmi_blocked
}
