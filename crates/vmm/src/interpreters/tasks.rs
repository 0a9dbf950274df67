//! Tasks: finding a TSS and switching to it (SDM vol. 3A, chapter 7).

use super::descriptor::{Class, Descriptor, error, fetch, is, require_present};
use super::interrupt;
use super::task_state::{self, Image};
use crate::{Atom, Privilege, System};
use cpu::{Fault, Flow, Segment, cr0, eflags as f, rights, seg};

/// Why tasks are switched (SDM vol. 3A, table 7-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// JMP: the old task ends.
    Jump,
    /// CALL: the new task is nested.
    Call,
    /// IRET with NT: back to the task that the link names.
    Return,
    /// An interrupt or exception: nested as by CALL.
    Interrupt {
        /// The EXT bit of error codes.
        ext: u16,
        /// The error code to be pushed on the new stack.
        code: Option<u16>,
        /// The saved flags get RF: the event is a fault.
        resume: bool,
    },
}

impl Reason {
    fn nests(self) -> bool {
        matches!(self, Reason::Call | Reason::Interrupt { .. })
    }
    fn ext(self) -> u16 {
        if let Reason::Interrupt { ext, .. } = self { ext } else { 0 }
    }
}

/// A fault of an operation that may switch tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Raised {
    /// Before the switch: nothing has changed.
    Unchanged(Fault),
    /// After the commit point: the new task runs, and the fault is at its first instruction.
    InNewTask(Fault),
}

impl From<Fault> for Raised {
    fn from(fault: Fault) -> Raised {
        Raised::Unchanged(fault)
    }
}

/// Requires an available, present TSS in the GDT.
///
/// # Errors
/// #GP(selector) or #NP(selector).
pub fn available<S: System>(s: &mut S, d: Descriptor, ext: u16) -> Result<Descriptor, Fault> {
    let global = !s.ask(Atom::SelectorLocal, d.selector & 4 != 0);
    if !global || !is(s, &d, Class::AvailableTss) {
        return Err(error(Fault::gp, d.selector, ext));
    }
    require_present(s, &d, Fault::np, ext)?;
    Ok(d)
}

/// The TSS that a task gate names; the gate's privilege was checked (SDM vol. 3A, 7.2.5).
///
/// # Errors
/// #NP(gate), #GP(selector) or #NP(selector), or a page fault.
pub fn through_gate<S: System>(s: &mut S, gate: &Descriptor, ext: u16) -> Result<Descriptor, Fault> {
    require_present(s, gate, Fault::np, ext)?;
    let selector = gate.target();
    if s.ask(Atom::SelectorLocal, selector & 4 != 0) {
        return Err(error(Fault::gp, selector, ext));
    }
    let d = fetch(s, selector, Fault::gp, ext)?;
    available(s, d, ext)
}

/// IRET with NT set: the task that the running TSS links to (SDM vol. 2, IRET, TASK-RETURN).
///
/// # Errors
/// #TS(selector), #NP(selector), or a page fault.
pub fn return_to_previous<S: System>(s: &mut S) -> Result<Flow, Fault> {
    let base = s.state().tr.base;
    let selector = s.load(base, 2, Privilege::Supervisor)? as u16;
    if s.ask(Atom::SelectorLocal, selector & 4 != 0) {
        return Err(error(Fault::ts, selector, 0));
    }
    let d = fetch(s, selector, Fault::ts, 0)?;
    if !is(s, &d, Class::BusyTss) {
        return Err(error(Fault::ts, selector, 0));
    }
    require_present(s, &d, Fault::np, 0)?;
    instruction(s, d, Reason::Return)
}

/// A switch by an instruction. A fault after the commit point belongs to the new task and is
/// delivered there.
///
/// # Errors
/// A fault before the commit point.
pub fn instruction<S: System>(s: &mut S, d: Descriptor, reason: Reason) -> Result<Flow, Fault> {
    match switch(s, d, reason) {
        Ok(()) => {}
        Err(Raised::Unchanged(fault)) => return Err(fault),
        Err(Raised::InNewTask(fault)) => interrupt::deliver_fault(s, fault),
    }
    Ok(Flow::Leave)
}

/// Switches to a task (SDM vol. 3A, 7.3). EIP is the one to be saved.
///
/// # Errors
/// #TS(TSS) or a page fault before the commit point; those of the new task's segments after it.
pub fn switch<S: System>(s: &mut S, d: Descriptor, reason: Reason) -> Result<(), Raised> {
    let wide = s.ask(Atom::Is32Bit, d.wide());
    let least = if wide { 0x67 } else { 0x2b };
    if !s.ask(Atom::LimitCovers, d.limit() >= least) {
        return Err(error(Fault::ts, d.selector, reason.ext()).into());
    }
    let mut image = task_state::read(s, &d, wide)?;
    task_state::prepare_save(s, reason.ext())?;
    prepare_descriptors(s, &d)?;
    let flags = saved_flags(s, reason);
    task_state::save(s, flags)?;
    mark_busy(s, &d, reason)?;
    if reason.nests() {
        image.flags |= f::NT;
    }
    enter(s, &d, &image);
    settle(s, &image, reason).map_err(Raised::InNewTask)
}

/// Finds whether the stores that a switch makes besides the old state can fault.
fn prepare_descriptors<S: System>(s: &mut S, d: &Descriptor) -> Result<(), Fault> {
    let old = running_descriptor(s);
    s.probe(old, 1, true, Privilege::Supervisor)?;
    s.probe(d.address.wrapping_add(5), 1, true, Privilege::Supervisor)?;
    s.probe(d.base(), 2, true, Privilege::Supervisor)
}

/// Linear address of the type byte of the running task's descriptor.
fn running_descriptor<S: System>(s: &S) -> u32 {
    let state = s.state();
    state.gdtr.base.wrapping_add(u32::from(state.tr.selector & 0xfff8) + 5)
}

fn saved_flags<S: System>(s: &S, reason: Reason) -> u32 {
    let flags = s.state().flags_image();
    match reason {
        Reason::Return => flags & !f::NT,
        Reason::Interrupt { resume: true, .. } => flags | f::RF,
        _ => flags,
    }
}

/// Busy bits and back link (SDM vol. 3A, table 7-2).
fn mark_busy<S: System>(s: &mut S, d: &Descriptor, reason: Reason) -> Result<(), Fault> {
    if !reason.nests() {
        let at = running_descriptor(s);
        let byte = s.load(at, 1, Privilege::Supervisor)?;
        s.store(at, 1, byte & !2, Privilege::Supervisor)?;
    }
    if reason != Reason::Return {
        let byte = u64::from(d.rights() & 0xff | 2);
        s.store(d.address.wrapping_add(5), 1, byte, Privilege::Supervisor)?;
    }
    if reason.nests() {
        let link = u64::from(s.state().tr.selector);
        s.store(d.base(), 2, link, Privilege::Supervisor)?;
    }
    Ok(())
}

/// The commit point: TR, CR0.TS, CR3, registers and selectors become the new task's. The
/// segment registers hold nothing yet.
fn enter<S: System>(s: &mut S, d: &Descriptor, image: &Image) {
    let mut tr = d.segment();
    tr.rights |= 2;
    let paging = image.wide && s.paging();
    let state = s.state_mut();
    state.tr = tr;
    state.cr0 |= cr0::TS;
    state.dr[7] &= !0x155;
    if paging {
        state.cr3 = image.cr3;
    }
    state.eip = image.eip;
    for (n, value) in image.regs.into_iter().enumerate() {
        state.set_r32(n as u8, value);
    }
    for (register, selector) in state.seg.iter_mut().zip(image.selectors) {
        *register = Segment::null(selector);
    }
    state.ldtr = Segment::null(image.ldt);
    state.set_flags_image(image.flags & super::flag_image::implemented(state.model));
    let v86 = s.virtual_8086();
    s.state_mut().cpl = if v86 { 3 } else { (image.selectors[usize::from(seg::CS)] & 3) as u8 };
    if paging {
        let (cr0, cr4) = (s.state().cr0, s.state().cr4);
        // past the commit point: entries that are not legal leave the registers as they were
        let _ = super::control::load_pdptes(s, cr0, image.cr3, cr4);
    }
    s.address_space_changed();
    s.watchpoints_changed();
    s.leave();
}

/// What follows the commit point: descriptors, the error code, the T bit, the limit of CS.
fn settle<S: System>(s: &mut S, image: &Image, reason: Reason) -> Result<(), Fault> {
    let ext = reason.ext();
    task_state::load_segments(s, image, ext)?;
    if let Reason::Interrupt { code: Some(code), .. } = reason {
        let mut stack = super::stack::Stack::current(s, ext);
        stack.push(s, if image.wide { 4 } else { 2 }, u32::from(code))?;
        stack.commit(s);
    }
    if s.ask(Atom::TaskTraps, image.trap) {
        s.state_mut().debug_hits |= 1 << 15;
    }
    let cs = *s.state().segment(seg::CS);
    super::code::within(s, &cs, image.eip, ext)
}

/// LTR's part: TR from an available TSS, which becomes busy (SDM vol. 2, LTR).
///
/// # Errors
/// A page fault.
pub fn load_register<S: System>(s: &mut S, d: &Descriptor) -> Result<(), Fault> {
    let byte = u64::from(d.rights() & 0xff | 2);
    s.store(d.address.wrapping_add(5), 1, byte, Privilege::Supervisor)?;
    let mut tr = d.segment();
    tr.rights |= 2;
    tr.rights &= !rights::UNUSABLE;
    s.state_mut().tr = tr;
    Ok(())
}
