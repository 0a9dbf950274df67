//! Far CALL and JMP (SDM vol. 2, CALL, JMP; vol. 3A, 5.8).

use super::descriptor::{Class, Descriptor, error, fetch, is};
use super::operand::{effective_address, read_memory};
use super::stack::Stack;
use super::tasks::{self, Reason};
use super::{code, gates, operand_size, segments};
use crate::System;
use cpu::{Fault, Flow, Insn, Kind, Segment, seg};

/// Reads selector and offset of a far pointer in memory.
///
/// # Errors
/// Those of the operand.
pub fn read_far_pointer<S: System>(s: &mut S, insn: &Insn) -> Result<(u16, u32), Fault> {
    let size = operand_size(insn);
    let at = effective_address(s.state(), insn);
    let mut after = at.wrapping_add(size);
    if s.is_8086() {
        after &= 0xffff;
    }
    let offset = read_memory(s, insn.seg, at, size)? as u32;
    let selector = read_memory(s, insn.seg, after, 2)? as u16;
    Ok((selector, offset))
}

fn far_target<S: System>(s: &mut S, insn: &Insn) -> Result<(u16, u32), Fault> {
    if insn.kind[0] == Kind::Mem { read_far_pointer(s, insn) } else { Ok((insn.imm2, insn.imm)) }
}

fn target_descriptor<S: System>(s: &mut S, selector: u16) -> Result<Descriptor, Fault> {
    if s.null(selector) {
        return Err(Fault::GP0);
    }
    fetch(s, selector, Fault::gp, 0)
}

/// JMP far.
///
/// # Errors
/// #GP, #NP, #SS, #TS with the selector of the target, gate, or TSS; those of the operand.
pub fn jmp_far<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let (selector, eip) = far_target(s, insn)?;
    if !s.descriptors_rule() {
        let cs = code::real_target(s, selector, eip)?;
        code::commit_real(s, cs, eip);
        return Ok(Flow::Continue);
    }
    let d = target_descriptor(s, selector)?;
    if segments::is_code(s, &d) {
        let cs = code::direct(s, d)?;
        code::within(s, &cs, eip, 0)?;
        let cpl = s.state().cpl;
        code::commit(s, cs, eip, cpl);
        return Ok(Flow::Continue);
    }
    if is(s, &d, Class::CallGate) {
        return gates::jump(s, &d);
    }
    to_task(s, d, Reason::Jump)
}

/// CALL far.
///
/// # Errors
/// #GP, #NP, #SS, #TS with the selector of the target, gate, stack or TSS; those of the operand.
pub fn call_far<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let (selector, eip) = far_target(s, insn)?;
    let size = operand_size(insn);
    if !s.descriptors_rule() {
        let cs = segments::real_segment(s, seg::CS, selector);
        push_return(s, size, &cs, eip)?;
        code::commit_real(s, cs, eip);
        return Ok(Flow::Continue);
    }
    let d = target_descriptor(s, selector)?;
    if segments::is_code(s, &d) {
        let cs = code::direct(s, d)?;
        push_return(s, size, &cs, eip)?;
        let cpl = s.state().cpl;
        code::commit(s, cs, eip, cpl);
        return Ok(Flow::Continue);
    }
    if is(s, &d, Class::CallGate) {
        return gates::call(s, &d);
    }
    to_task(s, d, Reason::Call)
}

/// CS and EIP of the next instruction.
pub fn return_address<S: System>(s: &S) -> [u32; 2] {
    [u32::from(s.state().segment(seg::CS).selector), s.state().eip]
}

/// Pushes CS and EIP on the running stack, on the way to an offset of a code segment, which is checked after the
/// stack (SDM vol. 2, CALL).
///
/// # Errors
/// #SS(0), a page fault, or #GP(0) for the offset; nothing has changed.
pub fn push_return<S: System>(s: &mut S, size: u32, to: &Segment, eip: u32) -> Result<(), Fault> {
    let items = return_address(s);
    let mut stack = Stack::current(s, 0);
    stack.room(s, size, items.len())?;
    code::within(s, to, eip, 0)?;
    stack.push_all(s, size, &items)?;
    stack.commit(s);
    Ok(())
}

/// A far transfer to a TSS or through a task gate.
fn to_task<S: System>(s: &mut S, d: Descriptor, reason: Reason) -> Result<Flow, Fault> {
    let gate = is(s, &d, Class::TaskGate);
    if !super::descriptor::admits(s, &d) {
        return Err(error(Fault::gp, d.selector, 0));
    }
    let tss = if gate { tasks::through_gate(s, &d, 0)? } else { tasks::available(s, d, 0)? };
    tasks::instruction(s, tss, reason)
}
