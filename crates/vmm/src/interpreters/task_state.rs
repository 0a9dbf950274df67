//! The task-state segment: saving and loading a task (SDM vol. 3A, 7.2.1, 7.6; table 7-1).

use super::descriptor::{Class, Descriptor, conforming, error, fetch, is, mark_accessed, require_present};
use super::segments::{StackRule, data_segment, is_code, put, stack_segment};
use super::stack::truncated;
use crate::{Atom, Privilege, System};
use cpu::{Fault, Segment, seg};

/// Offsets within a TSS.
struct Layout {
    size: u32,
    eip: u32,
    flags: u32,
    regs: u32,
    segments: u32,
    segment_count: u32,
    /// Distance of selectors.
    step: u32,
    ldt: u32,
}

const WIDE: Layout = Layout {
    size: 4,
    eip: 0x20,
    flags: 0x24,
    regs: 0x28,
    segments: 0x48,
    segment_count: 6,
    step: 4,
    ldt: 0x60,
};
const NARROW: Layout = Layout {
    size: 2,
    eip: 0x0e,
    flags: 0x10,
    regs: 0x12,
    segments: 0x22,
    segment_count: 4,
    step: 2,
    ldt: 0x2a,
};

fn layout(wide: bool) -> &'static Layout {
    if wide { &WIDE } else { &NARROW }
}

/// What a TSS holds of its task.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// A 32-bit TSS.
    pub wide: bool,
    /// EIP.
    pub eip: u32,
    /// EFLAGS.
    pub flags: u32,
    /// General registers in encoding order.
    pub regs: [u32; 8],
    /// Selectors in encoding order.
    pub selectors: [u16; 6],
    /// LDT selector.
    pub ldt: u16,
    /// CR3, of a 32-bit TSS.
    pub cr3: u32,
    /// The T bit.
    pub trap: bool,
}

fn field<S: System>(s: &mut S, at: u32, size: u32) -> Result<u32, Fault> {
    s.load(at, size, Privilege::Supervisor).map(|v| v as u32)
}

/// Reads a new task's TSS.
///
/// # Errors
/// A page fault.
pub(super) fn read<S: System>(s: &mut S, d: &Descriptor, wide: bool) -> Result<Image, Fault> {
    let (l, base) = (layout(wide), d.base());
    let at = |offset: u32| base.wrapping_add(offset);
    let mut image = Image {
        wide,
        eip: field(s, at(l.eip), l.size)?,
        flags: field(s, at(l.flags), l.size)?,
        regs: [0; 8],
        selectors: [0; 6],
        ldt: field(s, at(l.ldt), 2)? as u16,
        cr3: if wide { field(s, at(0x1c), 4)? } else { 0 },
        trap: wide && field(s, at(0x64), 2)? & 1 != 0,
    };
    // a 16-bit TSS leaves ones in the upper halves
    let upper = if wide { 0 } else { 0xffff_0000 };
    for (n, r) in (0..).zip(&mut image.regs) {
        *r = field(s, at(l.regs + n * l.size), l.size)? | upper;
    }
    for (n, selector) in (0..l.segment_count).zip(&mut image.selectors) {
        *selector = field(s, at(l.segments + n * l.step), 2)? as u16;
    }
    Ok(image)
}

/// Finds whether the running task can be saved.
///
/// # Errors
/// #TS(TR) if its TSS is too small, or a page fault.
pub(super) fn prepare_save<S: System>(s: &mut S, ext: u16) -> Result<(), Fault> {
    let tr = s.state().tr;
    let l = layout(s.ask(Atom::Is32Bit, tr.rights & 8 != 0));
    let last = l.segments + (l.segment_count - 1) * l.step;
    if !s.ask(Atom::LimitCovers, tr.usable() && last < tr.limit) {
        return Err(error(Fault::ts, tr.selector, ext));
    }
    s.probe(tr.base.wrapping_add(l.eip), l.size, true, Privilege::Supervisor)?;
    s.probe(tr.base.wrapping_add(last), 2, true, Privilege::Supervisor)
}

/// Saves the running task's registers, with EIP as it stands.
///
/// # Errors
/// None after [`prepare_save`].
pub(super) fn save<S: System>(s: &mut S, flags: u32) -> Result<(), Fault> {
    let tr = s.state().tr;
    let l = layout(s.ask(Atom::Is32Bit, tr.rights & 8 != 0));
    let at = |offset: u32| tr.base.wrapping_add(offset);
    let eip = s.state().eip;
    s.store(at(l.eip), l.size, truncated(eip, l.size), Privilege::Supervisor)?;
    s.store(at(l.flags), l.size, truncated(flags, l.size), Privilege::Supervisor)?;
    for n in 0..8 {
        let value = truncated(s.state().r32(n), l.size);
        s.store(at(l.regs + u32::from(n) * l.size), l.size, value, Privilege::Supervisor)?;
    }
    for n in 0..l.segment_count {
        let value = u64::from(s.state().segment(n as u8).selector);
        s.store(at(l.segments + n * l.step), 2, value, Privilege::Supervisor)?;
    }
    Ok(())
}

/// Loads LDTR and the segment registers of a task that was just entered, with the checks of
/// SDM vol. 3A, table 7-1.
///
/// # Errors
/// #TS, #NP, #SS with the selector, or a page fault.
pub(super) fn load_segments<S: System>(s: &mut S, image: &Image, ext: u16) -> Result<(), Fault> {
    let v86 = s.virtual_8086();
    let ldtr = load_ldt(s, image.ldt, ext)?;
    s.state_mut().ldtr = ldtr;
    if v86 {
        let segments = image.selectors.map(|selector| Segment::real(selector, 3));
        s.state_mut().seg[..6].copy_from_slice(&segments);
        return Ok(());
    }
    let cpl = s.state().cpl;
    let selector = |n: u8| image.selectors[usize::from(n)];
    // the stack first: a handler of the other faults needs it
    let ss = stack_segment(s, selector(seg::SS), StackRule { cpl, bad: Fault::ts, ext })?;
    s.state_mut().seg[usize::from(seg::SS)] = ss;
    let cs = code_segment(s, selector(seg::CS), ext)?;
    s.state_mut().seg[usize::from(seg::CS)] = cs;
    for n in [seg::DS, seg::ES, seg::FS, seg::GS] {
        let hidden = data_segment(s, selector(n), Fault::ts, ext)?;
        put(s, n, hidden);
    }
    Ok(())
}

fn load_ldt<S: System>(s: &mut S, selector: u16, ext: u16) -> Result<Segment, Fault> {
    if s.null(selector) {
        return Ok(Segment::null(selector));
    }
    if s.ask(Atom::SelectorLocal, selector & 4 != 0) {
        return Err(error(Fault::ts, selector, ext));
    }
    let d = fetch(s, selector, Fault::ts, ext)?;
    if !is(s, &d, Class::Ldt) {
        return Err(error(Fault::ts, selector, ext));
    }
    require_present(s, &d, Fault::ts, ext)?;
    Ok(d.segment())
}

/// The code segment of a new task: its level is the selector's RPL.
fn code_segment<S: System>(s: &mut S, selector: u16, ext: u16) -> Result<Segment, Fault> {
    if s.null(selector) {
        return Err(Fault::ts(ext));
    }
    let mut d = fetch(s, selector, Fault::ts, ext)?;
    let code = is_code(s, &d);
    let fits = if conforming(s, &d) { d.dpl() <= d.rpl() } else { d.dpl() == d.rpl() };
    if !code || !s.ask(Atom::PrivilegeAdmits, fits) {
        return Err(error(Fault::ts, selector, ext));
    }
    require_present(s, &d, Fault::np, ext)?;
    mark_accessed(s, &mut d)?;
    Ok(d.segment())
}
