//! Far RET and IRET (SDM vol. 2, RET, IRET; vol. 3A, 6.12; vol. 3B, 20.2).

use super::flag_image::{ORDINARY, flow_after, implemented, merge, real_mode_mask};
use super::segments::{StackRule, drop_inner_segments, stack_segment};
use super::stack::Stack;
use super::{code, operand_size, tasks};
use crate::{Atom, System};
use cpu::{Fault, Flow, Insn, Segment, eflags as f, reg, seg};

/// What a return takes from the stack before the outer stack pointer.
struct Return {
    size: u32,
    eip: u32,
    selector: u16,
    /// RET's immediate: parameters to drop from both stacks.
    release: u32,
    /// IRET's flags, and those of them that may change.
    flags: Option<(u32, u32)>,
}

/// RET far, with or without an immediate.
///
/// # Errors
/// #GP, #NP, #SS with the selector of the code or stack segment; #SS(0) or a page fault.
pub fn ret_far<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let size = operand_size(insn);
    let mut stack = Stack::current(s, 0);
    let eip = stack.pop(s, size)?;
    let selector = stack.pop(s, size)? as u16;
    let release = insn.imm & 0xffff;
    if s.descriptors_rule() {
        return finish(s, stack, &Return { size, eip, selector, release, flags: None });
    }
    let cs = code::real_target(s, selector, eip)?;
    stack.skip(release);
    stack.commit(s);
    code::commit_real(s, cs, eip);
    Ok(Flow::Continue)
}

/// IRET. NMIs are let in again even if it faults (SDM vol. 3A, 6.7.1).
///
/// # Errors
/// #GP, #NP, #SS, #TS with a selector; #GP(0) in V86 mode; #SS(0) or a page fault.
pub fn iret<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let size = operand_size(insn);
    let old = s.state().eflags;
    s.state_mut().nmi_blocked = false;
    if !s.protection_enabled() {
        iret_real(s, size)?;
    } else if s.virtual_8086() {
        iret_from_v86(s, size)?;
    } else if s.nested_task() {
        return tasks::return_to_previous(s);
    } else {
        iret_protected(s, size)?;
    }
    Ok(flow_after(s, old))
}

/// EIP, CS and EFLAGS from a stack.
fn pop_frame<S: System>(s: &mut S, size: u32) -> Result<(Stack, u32, u16, u32), Fault> {
    let mut stack = Stack::current(s, 0);
    let eip = stack.pop(s, size)?;
    let selector = stack.pop(s, size)? as u16;
    let flags = stack.pop(s, size)?;
    Ok((stack, eip, selector, flags))
}

/// Loads CS:EIP and the flags under a mask, in real or V86 mode.
fn return_real<S: System>(s: &mut S, size: u32, mask: u32, edit: fn(u32) -> u32) -> Result<(), Fault> {
    let (stack, eip, selector, flags) = pop_frame(s, size)?;
    let cs = code::real_target(s, selector, eip)?;
    stack.commit(s);
    code::commit_real(s, cs, eip);
    merge(s, edit(flags), mask);
    Ok(())
}

/// Flags that only a 32-bit image holds.
fn upper(size: u32, flags: u32) -> u32 {
    if size == 4 { flags } else { 0 }
}

fn iret_real<S: System>(s: &mut S, size: u32) -> Result<(), Fault> {
    let mask = ORDINARY | f::IF | f::IOPL | upper(size, f::RF | f::AC | f::ID);
    let mask = real_mode_mask(s.state(), mask);
    return_real(s, size, mask, |image| image)
}

/// IRET in V86 mode: needs IOPL 3, or the virtual interrupt flag (SDM vol. 2, IRET; vol. 3B, 20.2.7).
fn iret_from_v86<S: System>(s: &mut S, size: u32) -> Result<(), Fault> {
    if !s.iopl_below_3() {
        let mask = ORDINARY | f::IF | upper(size, f::RF | f::AC | f::ID);
        return return_real(s, size, mask, |image| image);
    }
    if !s.vme() || size == 4 {
        return Err(Fault::GP0);
    }
    let (_, _, _, image) = pop_frame(s, size)?;
    let pending = s.virtual_interrupt_pending() && image & f::IF != 0;
    if s.ask(Atom::ImageNeedsMonitor, pending || image & f::TF != 0) {
        return Err(Fault::GP0);
    }
    let virtual_if = |image: u32| image & !f::VIF | (image & f::IF) << 10;
    return_real(s, size, ORDINARY | f::VIF, virtual_if)
}

fn iret_protected<S: System>(s: &mut S, size: u32) -> Result<(), Fault> {
    let (stack, eip, selector, image) = pop_frame(s, size)?;
    let outer_cpl_0 = !s.cpl_above_0();
    let to_v86 = outer_cpl_0 && upper(size, image) & implemented(s.state().model) & f::VM != 0;
    if s.ask(Atom::ReturnsToVirtual8086, to_v86) {
        return iret_to_v86(s, stack, eip, selector, image);
    }
    let mut mask = ORDINARY | upper(size, f::RF | f::AC | f::ID);
    if !s.iopl_below_cpl() {
        mask |= f::IF;
    }
    if outer_cpl_0 {
        mask |= f::IOPL | upper(size, f::VIF | f::VIP);
    }
    let what = Return { size, eip, selector, release: 0, flags: Some((image, mask)) };
    finish(s, stack, &what).map(|_| ())
}

/// IRET from CPL 0 to V86 mode: ESP, SS, ES, DS, FS, GS follow (SDM vol. 2, IRET).
fn iret_to_v86<S: System>(
    s: &mut S,
    mut stack: Stack,
    eip: u32,
    selector: u16,
    image: u32,
) -> Result<(), Fault> {
    let cs = Segment::real(selector, 3);
    code::within(s, &cs, eip, 0)?;
    let esp = stack.pop(s, 4)?;
    let mut selectors = [0u16; 5];
    for selector in &mut selectors {
        *selector = stack.pop(s, 4)? as u16;
    }
    merge(s, image, u32::MAX);
    let state = s.state_mut();
    for (n, selector) in [seg::SS, seg::ES, seg::DS, seg::FS, seg::GS].into_iter().zip(selectors) {
        state.seg[usize::from(n)] = Segment::real(selector, 3);
    }
    state.set_r32(reg::SP, esp);
    state.cpl = 3;
    code::commit_real(s, cs, eip);
    s.address_space_changed();
    Ok(())
}

/// The protected-mode part that RET and IRET share: the code segment, and with an outer level
/// the stack.
fn finish<S: System>(s: &mut S, mut stack: Stack, r: &Return) -> Result<Flow, Fault> {
    let cs = code::returned(s, r.selector)?;
    let (old_cpl, cpl) = (s.state().cpl, cs.rpl());
    stack.skip(r.release);
    let outer = s.ask(Atom::PrivilegeChanges, cpl > old_cpl);
    if outer {
        stack = outer_stack(s, stack, r, cpl)?;
    }
    code::within(s, &cs, r.eip, 0)?;
    stack.commit(s);
    if let Some((image, mask)) = r.flags {
        merge(s, image, mask);
    }
    code::commit(s, cs, r.eip, cpl);
    if outer {
        drop_inner_segments(s, cpl);
    }
    Ok(Flow::Continue)
}

/// Pops ESP and SS of the outer level.
fn outer_stack<S: System>(s: &mut S, mut inner: Stack, r: &Return, cpl: u8) -> Result<Stack, Fault> {
    let esp = inner.pop(s, r.size)?;
    let selector = inner.pop(s, r.size)? as u16;
    let segment = stack_segment(s, selector, StackRule { cpl, bad: Fault::gp, ext: 0 })?;
    let mut outer = Stack::of_level(s, segment, esp, cpl, 0);
    outer.skip(r.release);
    Ok(outer)
}
