//! Code segments as targets of transfers (SDM vol. 3A, 5.8).

use super::descriptor::{Descriptor, conforming, error, fetch, mark_accessed, require_present};
use super::segments::{is_code, real_segment};
use crate::{Atom, System};
use cpu::{Fault, Segment, seg};

/// Requires an offset to lie within a code segment.
///
/// # Errors
/// #GP(`ext`).
#[track_caller]
pub fn within<S: System>(s: &mut S, cs: &Segment, eip: u32, ext: u16) -> Result<(), Fault> {
    if s.ask(Atom::LimitCovers, eip <= cs.limit) { Ok(()) } else { Err(Fault::gp(ext)) }
}

/// Goes on at an offset of a code segment with a privilege level, which CS.RPL shows.
pub fn commit<S: System>(s: &mut S, mut cs: Segment, eip: u32, cpl: u8) {
    cs.selector = cs.selector & 0xfffc | u16::from(cpl);
    cs.refresh();
    let state = s.state_mut();
    state.seg[usize::from(seg::CS)] = cs;
    state.eip = eip;
    let changed = state.cpl != cpl;
    state.cpl = cpl;
    if changed {
        s.address_space_changed();
    }
}

/// CS of real or V86 mode, and the check of the offset.
///
/// # Errors
/// #GP(0) beyond the limit.
pub fn real_target<S: System>(s: &mut S, selector: u16, eip: u32) -> Result<Segment, Fault> {
    let cs = real_segment(s, seg::CS, selector);
    within(s, &cs, eip, 0)?;
    Ok(cs)
}

/// Goes on in real or V86 mode, where selectors carry no RPL.
pub fn commit_real<S: System>(s: &mut S, cs: Segment, eip: u32) {
    s.state_mut().seg[usize::from(seg::CS)] = cs;
    s.state_mut().eip = eip;
}

/// The target of a far CALL or JMP without a gate: same level, or conforming (5.8.1).
///
/// # Errors
/// #GP(selector), #NP(selector), or a page fault.
pub fn direct<S: System>(s: &mut S, mut d: Descriptor) -> Result<Segment, Fault> {
    let cpl = s.state().cpl;
    let fits = if conforming(s, &d) { d.dpl() <= cpl } else { d.rpl() <= cpl && d.dpl() == cpl };
    if !s.ask(Atom::PrivilegeAdmits, fits) {
        return Err(error(Fault::gp, d.selector, 0));
    }
    require_present(s, &d, Fault::np, 0)?;
    mark_accessed(s, &mut d)?;
    Ok(d.segment())
}

/// The target of RET or IRET; its level is the selector's RPL (SDM vol. 2, RET, IRET). The offset is checked after the
/// outer stack.
///
/// # Errors
/// #GP(selector), #NP(selector), or a page fault.
pub fn returned<S: System>(s: &mut S, selector: u16) -> Result<Segment, Fault> {
    if s.null(selector) {
        return Err(Fault::GP0);
    }
    let mut d = fetch(s, selector, Fault::gp, 0)?;
    let cpl = s.state().cpl;
    let code = is_code(s, &d);
    let outward = s.ask(Atom::PrivilegeAdmits, d.rpl() >= cpl);
    let fits = if conforming(s, &d) { d.dpl() <= d.rpl() } else { d.dpl() == d.rpl() };
    if !code || !outward || !s.ask(Atom::PrivilegeAdmits, fits) {
        return Err(error(Fault::gp, selector, 0));
    }
    require_present(s, &d, Fault::np, 0)?;
    mark_accessed(s, &mut d)?;
    Ok(d.segment())
}
