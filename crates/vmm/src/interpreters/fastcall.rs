//! SYSENTER, SYSEXIT, SYSCALL, SYSRET (SDM vol. 2, those pages; vol. 3A, 5.8.7).

use super::code;
use crate::{Atom, System};
use cpu::{Fault, Flow, Insn, Segment, eflags as f, reg, rights, seg};

/// A flat 4 GiB segment that no descriptor in memory stands for.
fn flat(selector: u16, code: bool, dpl: u8) -> Segment {
    use rights as r;
    let kind = if code { r::CODE | r::WRITABLE | r::ACCESSED } else { r::WRITABLE | r::ACCESSED };
    let rights = kind | r::S | r::PRESENT | r::BIG | r::GRANULAR | u16::from(dpl) << 5;
    let selector = selector & 0xfffc | u16::from(dpl);
    let mut out = Segment { base: 0, limit: u32::MAX, rights, selector, ..Segment::default() };
    out.refresh();
    out
}

/// IA32_SYSENTER_CS, which must not be null, in protected mode.
fn base_selector<S: System>(s: &mut S) -> Result<u16, Fault> {
    let selector = s.state().sysenter[0] as u16;
    if !s.protection_enabled() || s.ask(Atom::SysenterDisabled, selector & 0xfffc == 0) {
        return Err(Fault::GP0);
    }
    Ok(selector & 0xfffc)
}

fn enter<S: System>(s: &mut S, selectors: [u16; 2], stack: u32, eip: u32, cpl: u8) -> Flow {
    s.state_mut().seg[usize::from(seg::SS)] = flat(selectors[1], false, cpl);
    s.state_mut().set_r32(reg::SP, stack);
    code::commit(s, flat(selectors[0], true, cpl), eip, cpl);
    Flow::Continue
}

/// SYSENTER.
///
/// # Errors
/// #GP(0) in real mode or if IA32_SYSENTER_CS is null.
pub fn sysenter<S: System>(s: &mut S, _: &Insn) -> Result<Flow, Fault> {
    let selector = base_selector(s)?;
    let [_, stack, eip] = s.state().sysenter;
    s.state_mut().eflags &= !(f::VM | f::IF | f::RF);
    Ok(enter(s, [selector, selector.wrapping_add(8)], stack, eip, 0))
}

/// SYSEXIT.
///
/// # Errors
/// #GP(0) in real mode, above CPL 0 or if IA32_SYSENTER_CS is null.
pub fn sysexit<S: System>(s: &mut S, _: &Insn) -> Result<Flow, Fault> {
    let selector = base_selector(s)?;
    s.require_cpl_0()?;
    let (stack, eip) = (s.state().r32(reg::CX), s.state().r32(reg::DX));
    Ok(enter(s, [selector.wrapping_add(16), selector.wrapping_add(24)], stack, eip, 3))
}

/// SYSCALL and SYSRET: none of the models has them outside 64-bit mode.
///
/// # Errors
/// #UD.
pub fn absent<S: System>(_: &mut S, _: &Insn) -> Result<Flow, Fault> {
    Err(Fault::UD)
}
