//! Delivery of interrupts and exceptions (SDM vol. 2, INT n; vol. 3A, chapter 6; vol. 3B, 20.1.4, 20.3).

use super::descriptor::{
    Class, Descriptor, Raise, conforming, error, fetch, is, mark_accessed, read_at, require_present,
};
use super::flag_image::pushed_flags;
use super::segments::{is_code, real_segment};
use super::stack::{Stack, inner_stack};
use super::tasks::{self, Raised, Reason};
use super::{code, transfer};
use crate::{Atom, Privilege, System};
use cpu::{Activity, Fault, InterruptShadow, Segment, eflags as f, reg, seg, vector};

/// Where an event comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// INTR.
    Hardware,
    /// NMI: blocks further NMIs.
    Nmi,
    /// INT n, INT3, INTO: the gate's DPL counts, EXT is clear.
    Software,
    /// INT1: neither.
    Int1,
    /// An exception of the CPU's own.
    Exception,
}

/// An event to be delivered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// The vector.
    pub vector: u8,
    /// Where it comes from.
    pub kind: EventKind,
    /// The error code.
    pub code: Option<u16>,
    /// EIP to be pushed.
    pub return_eip: u32,
}

impl Event {
    /// An exception at an instruction.
    pub fn exception(fault: Fault, return_eip: u32) -> Event {
        Event { vector: fault.vector, kind: EventKind::Exception, code: fault.code, return_eip }
    }

    /// An event without error code.
    pub fn plain(vector: u8, kind: EventKind, return_eip: u32) -> Event {
        Event { vector, kind, code: None, return_eip }
    }

    /// The EXT bit of error codes that its delivery raises (SDM vol. 3A, 6.13).
    fn ext(&self) -> u16 {
        u16::from(self.kind != EventKind::Software)
    }

    /// Error code that names the IDT entry.
    fn idt_code(&self) -> u16 {
        u16::from(self.vector) << 3 | 2 | self.ext()
    }

    /// A fault, whose pushed flags get RF (SDM vol. 3B, 17.3.1.1); #DB, #BP, #OF and #DF do not.
    fn resumes(&self) -> bool {
        use vector as v;
        let fault = !matches!(self.vector, v::DB | v::NMI | v::BP | v::OF | v::DF | v::MC);
        self.kind == EventKind::Exception && fault
    }

    fn flags<S: System>(&self, s: &S) -> u32 {
        pushed_flags(s.state()) | if self.resumes() { f::RF } else { 0 }
    }
}

/// Delivers one event: on success CS:EIP is at its handler.
///
/// # Errors
/// The fault that the delivery raised. The state is then as before, with EIP at `return_eip`;
/// after a task switch it is the new task's.
pub fn deliver<S: System>(s: &mut S, event: Event) -> Result<(), Fault> {
    attempt(s, event).map_err(|raised| match raised {
        Raised::Unchanged(fault) | Raised::InNewTask(fault) => fault,
    })
}

/// As [`deliver`], telling the faults before and after a task switch apart.
pub(super) fn attempt<S: System>(s: &mut S, event: Event) -> Result<(), Raised> {
    s.state_mut().eip = event.return_eip;
    if s.protection_enabled() {
        through_idt(s, event)?
    } else {
        through_ivt(s, event)?
    }
    let state = s.state_mut();
    state.activity = Activity::Running;
    state.shadow = InterruptShadow::None;
    state.shadow_until = 0;
    state.nmi_blocked |= event.kind == EventKind::Nmi;
    Ok(())
}

/// Delivers a fault of the instruction at EIP, and what its delivery raises.
pub fn deliver_fault<S: System>(s: &mut S, fault: Fault) {
    note_address(s, fault);
    let event = Event::exception(fault, s.state().eip);
    inject(s, event);
}

/// Delivers an event and the faults of its delivery: serially, as a double fault, or by
/// shutting down (SDM vol. 3A, table 6-5).
pub fn inject<S: System>(s: &mut S, mut event: Event) {
    // the longest chain: an interrupt, a contributory fault, #PF, #DF
    for _ in 0..4 {
        let Err(fault) = deliver(s, event) else { return };
        note_address(s, fault);
        let next = match escalate(&event, fault) {
            Some(next) => next,
            None => break,
        };
        event = Event::exception(next, s.state().eip);
    }
    s.state_mut().activity = Activity::Shutdown;
    s.leave();
}

/// CR2 gets the address of a page fault.
fn note_address<S: System>(s: &mut S, fault: Fault) {
    if fault.vector == vector::PF {
        s.state_mut().cr2 = fault.address;
    }
}

/// Severity of an exception (SDM vol. 3A, table 6-4).
fn contributory(v: u8) -> bool {
    matches!(v, vector::DE | vector::TS | vector::NP | vector::SS | vector::GP)
}

/// What follows a fault during the delivery of an event; `None` is shutdown.
fn escalate(first: &Event, second: Fault) -> Option<Fault> {
    let serious = contributory(second.vector) || second.vector == vector::PF;
    let v = if first.kind == EventKind::Exception { first.vector } else { vector::NMI };
    match v {
        vector::DF => None,
        vector::PF if serious => Some(Fault::with_code(vector::DF, 0)),
        v if contributory(v) && contributory(second.vector) => Some(Fault::with_code(vector::DF, 0)),
        _ => Some(second),
    }
}

/// Real mode: the vector table at the IDTR's base; no error codes (SDM vol. 3B, 20.1.4).
fn through_ivt<S: System>(s: &mut S, event: Event) -> Result<(), Fault> {
    let (table, entry) = (s.state().idtr, u32::from(event.vector) * 4);
    if !s.ask(Atom::LimitCovers, entry + 3 <= u32::from(table.limit)) {
        return Err(Fault::gp(event.idt_code()));
    }
    let flags = pushed_flags(s.state());
    to_8086_handler(s, table.base.wrapping_add(entry), flags, f::IF | f::AC)
}

/// Pushes flags, CS and IP as an 8086 does and goes to the handler of a table entry.
/// Besides TF and RF, the flags `cleared` are cleared.
pub(super) fn to_8086_handler<S: System>(
    s: &mut S,
    entry: u32,
    flags: u32,
    cleared: u32,
) -> Result<(), Fault> {
    let handler = s.load(entry, 4, Privilege::Supervisor)? as u32;
    let [cs, ip] = transfer::return_address(s);
    let items = [flags, cs, ip];
    let mut stack = Stack::current(s, 0);
    stack.room(s, 2, items.len())?;
    stack.push_all(s, 2, &items)?;
    stack.commit(s);
    let cs = real_segment(s, seg::CS, (handler >> 16) as u16);
    code::commit_real(s, cs, handler & 0xffff);
    s.state_mut().eflags &= !(cleared | f::TF | f::RF);
    Ok(())
}

/// Protected and V86 mode: the IDT (SDM vol. 3A, 6.10 to 6.12).
fn through_idt<S: System>(s: &mut S, event: Event) -> Result<(), Raised> {
    let gate = idt_gate(s, &event)?;
    if is(s, &gate, Class::TaskGate) {
        let ext = event.ext();
        let tss = tasks::through_gate(s, &gate, ext)?;
        let reason = Reason::Interrupt { ext, code: event.code, resume: event.resumes() };
        return tasks::switch(s, tss, reason);
    }
    to_procedure(s, &event, &gate)?;
    Ok(())
}

/// The gate of a vector, its type, DPL (for software interrupts) and presence checked.
fn idt_gate<S: System>(s: &mut S, event: &Event) -> Result<Descriptor, Fault> {
    let table = s.state().idtr;
    let entry = u32::from(event.vector) * 8;
    if !s.ask(Atom::LimitCovers, entry + 7 <= u32::from(table.limit)) {
        return Err(Fault::gp(event.idt_code()));
    }
    let gate = read_at(s, event.idt_code(), table.base.wrapping_add(entry))?;
    let classes = [Class::InterruptGate, Class::TrapGate, Class::TaskGate];
    if !classes.into_iter().any(|class| is(s, &gate, class)) {
        return Err(Fault::gp(event.idt_code()));
    }
    let admitted = event.kind != EventKind::Software || gate.dpl() >= s.state().cpl;
    if !s.ask(Atom::PrivilegeAdmits, admitted) {
        return Err(Fault::gp(event.idt_code()));
    }
    if !s.ask(Atom::DescriptorPresent, gate.present()) {
        return Err(Fault::np(event.idt_code()));
    }
    Ok(gate)
}

/// The handler's code segment.
fn handler_code<S: System>(s: &mut S, selector: u16, ext: u16) -> Result<Descriptor, Fault> {
    let bad: Raise = Fault::gp;
    if s.null(selector) {
        return Err(bad(ext));
    }
    let d = fetch(s, selector, bad, ext)?;
    let inward = d.dpl() <= s.state().cpl;
    if !is_code(s, &d) || !s.ask(Atom::PrivilegeAdmits, inward) {
        return Err(error(bad, selector, ext));
    }
    require_present(s, &d, Fault::np, ext)?;
    Ok(d)
}

/// An interrupt or trap gate.
fn to_procedure<S: System>(s: &mut S, event: &Event, gate: &Descriptor) -> Result<(), Fault> {
    let ext = event.ext();
    let mut d = handler_code(s, gate.target(), ext)?;
    let conforms = conforming(s, &d);
    let (old, level) = (s.state().cpl, if conforms { s.state().cpl } else { d.dpl() });
    let inner = s.ask(Atom::PrivilegeChanges, level < old);
    let v86 = s.virtual_8086();
    if v86 && !s.ask(Atom::PrivilegeAdmits, inner && level == 0) {
        return Err(error(Fault::gp, gate.target(), ext));
    }
    let wide = s.ask(Atom::Is32Bit, gate.wide());
    let (eip, size) = (gate.offset(wide), if wide { 4 } else { 2 });
    let frame = Frame::new(s, event, inner, v86);
    let mut stack = if inner { inner_stack(s, level, ext)? } else { Stack::current(s, ext) };
    stack.room(s, size, frame.count)?;
    code::within(s, &d.segment(), eip, ext)?;
    mark_accessed(s, &mut d)?;
    stack.push_all(s, size, frame.items())?;
    clear_flags(s, gate);
    if v86 {
        drop_v86_segments(s);
    }
    stack.commit(s);
    code::commit(s, d.segment(), eip, level);
    Ok(())
}

/// TF, VM, RF and NT are cleared, and IF by an interrupt gate (SDM vol. 3A, 6.12.1.3).
fn clear_flags<S: System>(s: &mut S, gate: &Descriptor) {
    let masks = s.ask(Atom::InterruptGate, gate.class() == Class::InterruptGate);
    let cleared = f::TF | f::VM | f::RF | f::NT | if masks { f::IF } else { 0 };
    s.state_mut().eflags &= !cleared;
}

/// A handler of V86 code starts with null data segments (SDM vol. 3B, 20.3.1.1).
fn drop_v86_segments<S: System>(s: &mut S) {
    for n in [seg::ES, seg::DS, seg::FS, seg::GS] {
        s.state_mut().seg[usize::from(n)] = Segment::null(0);
    }
}

/// What is pushed for a handler (SDM vol. 3A, figure 6-4; vol. 3B, figure 20-4).
struct Frame {
    item: [u32; 10],
    count: usize,
}

impl Frame {
    fn new<S: System>(s: &S, event: &Event, inner: bool, v86: bool) -> Frame {
        let mut frame = Frame { item: [0; 10], count: 0 };
        let selector = |n: u8| u32::from(s.state().segment(n).selector);
        if v86 {
            [seg::GS, seg::FS, seg::DS, seg::ES].into_iter().for_each(|n| frame.add(selector(n)));
        }
        if inner {
            frame.add(selector(seg::SS));
            frame.add(s.state().r32(reg::SP));
        }
        frame.add(event.flags(s));
        transfer::return_address(s).into_iter().for_each(|item| frame.add(item));
        if let Some(code) = event.code {
            frame.add(u32::from(code));
        }
        frame
    }

    fn add(&mut self, item: u32) {
        self.item[self.count] = item;
        self.count += 1;
    }

    fn items(&self) -> &[u32] {
        &self.item[..self.count]
    }
}
