//! Stacks that are read or written before the state that goes with them is committed.

use super::descriptor::error;
use super::operand::set_stack_pointer;
use super::segments::{StackRule, stack_segment};
use crate::{Atom, Privilege, System};
use cpu::{Fault, Segment, reg, seg};

/// A stack segment and a pointer into it. Nothing shows in the registers before
/// [`Stack::commit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stack {
    segment: Segment,
    pointer: u32,
    mask: u32,
    privilege: Privilege,
    code: u16,
}

impl Stack {
    /// The running stack; a limit violation on it is #SS(`ext`).
    #[track_caller]
    pub fn current<S: System>(s: &mut S, ext: u16) -> Stack {
        let segment = *s.state().segment(seg::SS);
        let pointer = s.state().r32(reg::SP);
        Stack::with(s, segment, pointer, Privilege::Current, ext)
    }

    /// A stack of another privilege level; a limit violation on it is #SS(`code`).
    #[track_caller]
    pub fn of_level<S: System>(s: &mut S, segment: Segment, pointer: u32, cpl: u8, code: u16) -> Stack {
        let privilege = if cpl == 3 { Privilege::Current } else { Privilege::Supervisor };
        Stack::with(s, segment, pointer, privilege, code)
    }

    #[track_caller]
    fn with<S: System>(s: &mut S, segment: Segment, pointer: u32, privilege: Privilege, code: u16) -> Stack {
        let mask = if s.ask(Atom::StackIs32, segment.big()) { u32::MAX } else { 0xffff };
        Stack { segment, pointer: pointer & mask, mask, privilege, code }
    }

    /// The linear address of an item, if the segment covers it.
    #[track_caller]
    fn place<S: System>(&self, s: &mut S, pointer: u32, size: u32, write: bool) -> Result<u32, Fault> {
        let pointer = pointer & self.mask;
        if s.ask(Atom::LimitCovers, self.segment.permits(pointer, size, write)) {
            Ok(self.segment.base.wrapping_add(pointer))
        } else {
            let real_286 = s.state().limit_fault(seg::SS) == Fault::GP0;
            Err(if real_286 { Fault::GP0 } else { Fault::ss(self.code) })
        }
    }

    /// Finds whether `count` items can be pushed, so that the pushes cannot fault.
    ///
    /// # Errors
    /// #SS or a page fault.
    #[track_caller]
    pub fn room<S: System>(&self, s: &mut S, size: u32, count: usize) -> Result<(), Fault> {
        for n in 1..=count as u32 {
            let at = self.place(s, self.pointer.wrapping_sub(n * size), size, true)?;
            s.probe(at, size, true, self.privilege)?;
        }
        Ok(())
    }

    /// Pushes one item of 2 or 4 bytes.
    ///
    /// # Errors
    /// #SS or a page fault.
    #[track_caller]
    pub fn push<S: System>(&mut self, s: &mut S, size: u32, value: u32) -> Result<(), Fault> {
        let pointer = self.pointer.wrapping_sub(size) & self.mask;
        let at = self.place(s, pointer, size, true)?;
        s.store(at, size, truncated(value, size), self.privilege)?;
        self.pointer = pointer;
        Ok(())
    }

    /// Pushes items, the first one first.
    ///
    /// # Errors
    /// #SS or a page fault.
    #[track_caller]
    pub fn push_all<S: System>(&mut self, s: &mut S, size: u32, items: &[u32]) -> Result<(), Fault> {
        // no closure: it would hide who asks
        for &item in items {
            self.push(s, size, item)?;
        }
        Ok(())
    }

    /// Pops one item of 2 or 4 bytes.
    ///
    /// # Errors
    /// #SS or a page fault.
    #[track_caller]
    pub fn pop<S: System>(&mut self, s: &mut S, size: u32) -> Result<u32, Fault> {
        let at = self.place(s, self.pointer, size, false)?;
        let value = s.load(at, size, self.privilege)?;
        self.skip(size);
        Ok(value as u32)
    }

    /// Drops bytes.
    pub fn skip(&mut self, bytes: u32) {
        self.pointer = self.pointer.wrapping_add(bytes) & self.mask;
    }

    /// Puts segment and pointer into the registers; a 16-bit stack leaves the upper half of ESP.
    pub fn commit<S: System>(&self, s: &mut S) {
        s.state_mut().seg[usize::from(seg::SS)] = self.segment;
        set_stack_pointer(s.state_mut(), self.pointer);
    }
}

/// The low 2 or 4 bytes of a value.
pub fn truncated(value: u32, size: u32) -> u64 {
    u64::from(if size == 2 { value & 0xffff } else { value })
}

/// The stack that the running task's TSS gives for an inner level (SDM vol. 3A, 5.8.5).
///
/// # Errors
/// #TS with the TSS or stack selector, #SS for an absent stack, or a page fault.
pub fn inner_stack<S: System>(s: &mut S, cpl: u8, ext: u16) -> Result<Stack, Fault> {
    let tr = s.state().tr;
    let level = u32::from(cpl);
    let wide = s.ask(Atom::Is32Bit, tr.rights & 8 != 0);
    let (offset, size) = if wide { (4 + 8 * level, 4) } else { (2 + 4 * level, 2) };
    if !s.ask(Atom::LimitCovers, tr.usable() && offset + size < tr.limit) {
        return Err(error(Fault::ts, tr.selector, ext));
    }
    let at = tr.base.wrapping_add(offset);
    let pointer = s.load(at, size, Privilege::Supervisor)? as u32;
    let selector = s.load(at.wrapping_add(size), 2, Privilege::Supervisor)? as u16;
    let segment = stack_segment(s, selector, StackRule { cpl, bad: Fault::ts, ext })?;
    Ok(Stack::of_level(s, segment, pointer, cpl, selector & 0xfffc | ext))
}
