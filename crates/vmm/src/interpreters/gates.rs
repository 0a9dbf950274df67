//! Call gates (SDM vol. 3A, 5.8.3 to 5.8.5; vol. 2, CALL and JMP).

use super::code;
use super::descriptor::{Descriptor, admits, conforming, error, fetch, mark_accessed, require_present};
use super::segments::is_code;
use super::stack::{Stack, inner_stack};
use super::transfer::{push_return, return_address};
use crate::{Atom, System};
use cpu::{Fault, Flow, Segment, reg, seg};

/// Where a gate leads.
struct Target {
    cs: Segment,
    eip: u32,
    /// The level that the code runs at.
    cpl: u8,
    /// Size of the items on the stack.
    size: u32,
}

/// Which levels a gate may lead to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// CALL: the same or an inner level.
    Inward,
    /// JMP: the same level.
    Level,
}

/// Checks a gate and the code segment that it names, but for the offset: that comes after the stack.
fn target<S: System>(s: &mut S, gate: &Descriptor, direction: Direction) -> Result<Target, Fault> {
    if !admits(s, gate) {
        return Err(error(Fault::gp, gate.selector, 0));
    }
    require_present(s, gate, Fault::np, 0)?;
    if s.null(gate.target()) {
        return Err(Fault::GP0);
    }
    let mut d = fetch(s, gate.target(), Fault::gp, 0)?;
    let cpl = s.state().cpl;
    let code = is_code(s, &d);
    let conforms = conforming(s, &d);
    let fits = if conforms || direction == Direction::Inward { d.dpl() <= cpl } else { d.dpl() == cpl };
    if !code || !s.ask(Atom::PrivilegeAdmits, fits) {
        return Err(error(Fault::gp, gate.target(), 0));
    }
    require_present(s, &d, Fault::np, 0)?;
    let wide = s.ask(Atom::Is32Bit, gate.wide());
    let eip = gate.offset(wide);
    mark_accessed(s, &mut d)?;
    let cpl = if conforms { cpl } else { d.dpl() };
    Ok(Target { cs: d.segment(), eip, cpl, size: if wide { 4 } else { 2 } })
}

/// JMP through a call gate.
///
/// # Errors
/// #GP or #NP with the selector of the gate or code segment, or a page fault.
pub(super) fn jump<S: System>(s: &mut S, gate: &Descriptor) -> Result<Flow, Fault> {
    let t = target(s, gate, Direction::Level)?;
    code::within(s, &t.cs, t.eip, 0)?;
    let cpl = s.state().cpl;
    code::commit(s, t.cs, t.eip, cpl);
    Ok(Flow::Continue)
}

/// CALL through a call gate.
///
/// # Errors
/// #GP, #NP, #TS, #SS with the selector of the gate, code or stack segment, or a page fault.
pub(super) fn call<S: System>(s: &mut S, gate: &Descriptor) -> Result<Flow, Fault> {
    let t = target(s, gate, Direction::Inward)?;
    let inner = t.cpl < s.state().cpl;
    if s.ask(Atom::PrivilegeChanges, inner) {
        return call_inward(s, gate, &t);
    }
    push_return(s, t.size, &t.cs, t.eip)?;
    let cpl = s.state().cpl;
    code::commit(s, t.cs, t.eip, cpl);
    Ok(Flow::Continue)
}

/// The part of CALL that changes stacks: SS, ESP, parameters, CS, EIP (SDM vol. 3A, 5.8.5).
fn call_inward<S: System>(s: &mut S, gate: &Descriptor, t: &Target) -> Result<Flow, Fault> {
    let mut stack = inner_stack(s, t.cpl, 0)?;
    let count = gate.parameters() as usize;
    stack.room(s, t.size, count + 4)?;
    code::within(s, &t.cs, t.eip, 0)?;
    let mut parameters = [0u32; 31];
    let mut outer = Stack::current(s, 0);
    for p in parameters[..count].iter_mut().rev() {
        *p = outer.pop(s, t.size)?;
    }
    let old_stack = [u32::from(s.state().segment(seg::SS).selector), s.state().r32(reg::SP)];
    stack.push_all(s, t.size, &old_stack)?;
    stack.push_all(s, t.size, &parameters[..count])?;
    let back = return_address(s);
    stack.push_all(s, t.size, &back)?;
    stack.commit(s);
    code::commit(s, t.cs, t.eip, t.cpl);
    Ok(Flow::Continue)
}
