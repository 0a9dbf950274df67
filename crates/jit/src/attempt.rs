//! Sensitive instructions that are done within a block: the monitor interprets them while the region's values stay
//! where they are. What it would have to do more about (a fault, memory that the shadow does not show) it leaves alone.

use crate::context::{self, Context, Exit};
use crate::effects::{ALL_FLAGS, Effects, Mask, Tracker};
use crate::engine::{Call, in_user_mode};
use crate::flags::FlagState;
use crate::lower::{Lower, Val, bits};
use crate::settle::settle;
use cpu::{Insn, Kind, State, Width, reg, seg};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{AbiParam, Block, InstBuilder, Value};
use isa::{Routine, routine};
use std::mem::offset_of;

/// What [`attempt`] says: go on behind the instruction.
const DONE: u32 = 0;
/// What [`attempt`] says: nothing was done.
pub(crate) const NOT_DONE: u32 = 1;
/// What [`attempt`] says: it is done, and the engine has to look before the next one.
const LOOK: u32 = 2;

/// What such an instruction touches; `None` for others. Memory is not noted: it is looked up outside.
pub(crate) fn effects(insn: &Insn) -> Option<Effects> {
    let sp = 1 << reg::SP;
    let (reads, writes): (Mask, Mask) = match routine(insn.code)? {
        Routine::Cli | Routine::Sti => (0, 0),
        Routine::Pushf | Routine::Popf | Routine::PushSreg => (sp, sp),
        // CS is a jump (on the 8086); SS casts a shadow, and the width of the stack is part of the key
        Routine::PopSreg | Routine::MovToSreg if matches!(insn.reg[0], seg::CS | seg::SS) => return None,
        Routine::PopSreg => (sp, sp),
        Routine::MovToSreg => (operand(insn, 1), 0),
        Routine::MovFromSreg if insn.kind[0] == Kind::Mem => (operand(insn, 0), 0),
        Routine::MovFromSreg => (operand(insn, 0), operand(insn, 0)),
        Routine::Rdtsc => (0, 1 << reg::AX | 1 << reg::DX),
        _ => return None,
    };
    let pops_flags = routine(insn.code) == Some(Routine::Popf);
    let sets_flags = if pops_flags { ALL_FLAGS } else { 0 };
    Some(Effects { reads, writes, sets_flags, stops: true, ..Effects::default() })
}

/// The registers of an operand.
fn operand(insn: &Insn, n: usize) -> Mask {
    let bit = |r: u8| if r == reg::NONE { 0 } else { 1 << (r & 7) };
    match insn.kind[n] {
        Kind::Reg => 1 << (insn.reg[n] & 7),
        _ => bit(insn.base) | bit(insn.index),
    }
}

impl Tracker {
    /// Notes such an instruction.
    pub(crate) fn attempt(&mut self, insn: &Insn, effects: &Effects, stack: Width) {
        let bytes = if insn.op32 { 4 } else { 2 };
        let moved = match routine(insn.code) {
            Some(Routine::Pushf | Routine::PushSreg) => Some(0u32.wrapping_sub(bytes)),
            Some(Routine::Popf | Routine::PopSreg) => Some(bytes),
            _ => None,
        };
        match moved {
            Some(by) if stack == Width::B32 => self.moved(reg::SP, by),
            _ => bits(effects.writes).for_each(|r| self.anything(r as u8)),
        }
    }
}

/// Whether the arithmetic flags are read or written.
pub(crate) fn takes_flags(insn: &Insn) -> bool {
    matches!(routine(insn.code), Some(Routine::Pushf | Routine::Popf))
}

impl Lower<'_, '_> {
    /// The running instruction, which is a sensitive one of the plan's: number `n`.
    pub(crate) fn attempt(&mut self, n: usize, effects: &Effects) {
        let insn = &self.plan.sensitive[n];
        let not_done = self.leave();
        // they stay dirty: exits take what is not from the start of the block
        for slot in bits(effects.reads & self.dirty) {
            let v = self.slot(slot);
            self.put_back(slot, v);
        }
        let after = self.off.wrapping_add(u32::from(insn.len));
        let ip = self.ip(after);
        self.store_own(ip, offset_of!(State, eip) as i32);
        let left = self.b.ins().iadd_imm_s(self.left, self.undone as i64);
        self.store_context(left, context::LEFT);
        if takes_flags(insn) {
            self.store_flags(self.flags.clone());
            self.flags = FlagState::MEMORY;
        }
        let answer = self.call_attempt(insn);
        for slot in bits(effects.writes) {
            let v = self.load_slot(slot);
            self.set_slot(slot, Val::Node(v));
        }
        self.go_on_if_done(answer, not_done, after);
    }

    fn call_attempt(&mut self, insn: &Insn) -> Value {
        let mut s = crate::backend::signature(self.options.host, 3);
        s.returns.push(AbiParam::new(I32));
        let s = self.b.import_signature(s);
        let routine = if takes_flags(insn) { self.addresses.attempt_flags } else { self.addresses.attempt };
        let f = self.b.ins().iconst(I64, routine as i64);
        let insn = self.b.ins().iconst(I64, std::ptr::from_ref(insn) as i64);
        let call = self.b.ins().call_indirect(s, f, &[self.ctx, self.state, insn]);
        self.b.inst_results(call)[0]
    }

    /// The two ways out: to this instruction, or to the next.
    fn go_on_if_done(&mut self, answer: Value, not_done: Block, after: u32) {
        let (off, undone) = (self.off, self.undone);
        (self.off, self.undone) = (after, undone - 1);
        let look = self.exit_block(Exit::Lookup);
        (self.off, self.undone) = (off, undone);
        let (out, on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(out);
        self.b.ins().brif(answer, out, &[], on, &[]);
        self.go(out);
        let nothing = self.b.ins().icmp_imm_s(IntCC::Equal, answer, i64::from(NOT_DONE));
        self.b.ins().brif(nothing, not_done, &[], look, &[]);
        self.go(on);
    }
}

/// Has the monitor attempt the instruction before EIP.
pub(crate) unsafe extern "C" fn attempt(context: *mut Context, cpu: *mut State, insn: *const Insn) -> u32 {
    // SAFETY: compiled code passes on what `Jit::enter` gave it: valid, and used by nobody else now; the instruction
    // is in a region's own table, which lives as long as its code.
    let (context, cpu, insn) = unsafe { (&mut *context, &mut *cpu, &*insn) };
    // SAFETY: it is on the stack of `Jit::enter`, and its pointers come from unique borrows that last until that
    // returns.
    let (mem, monitor) = unsafe {
        let call = &mut *(context.call as *mut Call);
        (&mut *call.mem, &mut *call.monitor)
    };
    cpu.retired = cpu.until - context.left as u64;
    let flat = flat(cpu, insn);
    if !monitor.attempt(cpu, mem, insn) {
        return NOT_DONE;
    }
    context.called += 1;
    context.called_user += u64::from(in_user_mode(cpu));
    if cpu.leave || flat != self::flat(cpu, insn) { LOOK } else { DONE }
}

/// As [`attempt`], for an instruction that reads or writes the arithmetic flags.
pub(crate) unsafe extern "C" fn attempt_flags(
    context: *mut Context,
    cpu: *mut State,
    insn: *const Insn,
) -> u32 {
    // SAFETY: as in `attempt`, which is called as this is.
    unsafe {
        settle(&mut *context, &mut *cpu);
        attempt(context, cpu, insn)
    }
}

/// Of all that the key looks at, such an instruction can only change whether a segment is flat.
#[inline(always)]
fn flat(cpu: &State, insn: &Insn) -> (bool, bool) {
    let s = cpu.segment(insn.reg[0].min(seg::DS));
    (s.flat_read, s.flat_write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpu::{CodeSize, CpuModel};

    #[test]
    fn loads_of_cs_and_ss_end_their_block() {
        let attempted = |bytes: &[u8]| {
            let mut all = [0x90; isa::MAX_LENGTH];
            all[..bytes.len()].copy_from_slice(bytes);
            let insn = isa::decode(&all, CodeSize::Bits16, CpuModel::I8086);
            insn.is_ok_and(|i| effects(&i).is_some())
        };
        // POP ES, CS, SS, DS
        assert_eq!([0x07, 0x0f, 0x17, 0x1f].map(|b| attempted(&[b])), [true, false, false, true]);
        // MOV ES, CS, SS, DS from AX
        assert_eq!([0xc0, 0xc8, 0xd0, 0xd8].map(|b| attempted(&[0x8e, b])), [true, false, false, true]);
    }
}
