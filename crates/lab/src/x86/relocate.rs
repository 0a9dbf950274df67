//! f on x86: the state that the processor has while a guest runs deprivileged.

use super::layout::{TASK, WINDOW, descriptor};
use super::shadow::{HIGH, ROOT};
use cpu::{DescriptorTable, Segment, State, cr0, eflags, rights, seg};

/// Flags that a program may have as it likes, at any privilege level.
pub(super) const OWN_FLAGS: u32 = eflags::DF | eflags::NT | eflags::AC | eflags::ID;
/// The monitor's own GDT, in the processor's memory.
pub(super) const HOST_GDT: u32 = 0x1000;
/// The monitor's own IDT, which has no entry: every interrupt is #GP.
const HOST_IDT: u32 = 0x2000;
/// The monitor's own TSS.
pub(super) const HOST_TSS: u32 = 0x3000;
/// What the monitor has set in CR0 for itself, and which bits are as the guest has them, because the FPU's traps depend
/// on them.
const HOST_CR0: u32 = cr0::PE | cr0::ET | cr0::NE | cr0::WP;
const GUEST_CR0: u32 = cr0::TS | cr0::EM | cr0::MP;
/// The processor's memory.
pub(super) const HOST_MEMORY: u32 = 0x10_0000;
/// Where the guest's window is.
pub const PLACE: u32 = 0x4_0000;
/// The selector of the monitor's own TSS.
const HOST_TASK: u16 = 0x58;

/// A guest's segment as the processor holds it: moved to the window, cut off at its end, of privilege level 3. The
/// window is what R is in the paper: whatever the guest says, nothing outside of it can be named.
pub fn segment(guest: &Segment) -> Segment {
    let unusable = !guest.usable() || guest.expand_down() || guest.base >= WINDOW;
    if unusable {
        return Segment::null(guest.selector);
    }
    let mut s = *guest;
    s.base = guest.base + PLACE;
    s.limit = guest.limit.min(WINDOW - 1 - guest.base);
    s.rights |= rights::DPL;
    s.refresh();
    s
}

/// A segment of a guest that uses paging: there the shadow tables confine it, and the bases are its own. The end of the
/// linear space is the monitor's.
fn paged_segment(guest: &Segment) -> Segment {
    if !guest.usable() || guest.expand_down() || guest.base >= HIGH {
        return Segment::null(guest.selector);
    }
    let mut s = *guest;
    s.limit = guest.limit.min(HIGH - 1 - guest.base);
    s.rights |= rights::DPL;
    s.refresh();
    s
}

/// f: the processor's state for a virtual state. Program registers and the program's own flags are as they are; CPL is
/// 3, IOPL 0, IF is on, segments are moved, the tables' registers are the monitor's, and so is CR3 where there is paging.
pub fn f(guest: &State) -> State {
    let mut real = guest.clone();
    let paging = guest.cr0 & cr0::PG != 0;
    let (moved, own): (fn(&Segment) -> Segment, u32) =
        if paging { (paged_segment, HIGH) } else { (segment, 0) };
    real.cpl = 3;
    real.eflags = guest.eflags & OWN_FLAGS | eflags::IF | eflags::RESERVED1;
    for n in 0..6 {
        real.seg[n] = moved(&guest.seg[n]);
        // the RPL of these two is the CPL; the others' is what the guest has loaded
        if matches!(n as u8, seg::CS | seg::SS) {
            real.seg[n].selector |= 3;
        }
    }
    real.cr0 = HOST_CR0 | guest.cr0 & GUEST_CR0 | if paging { cr0::PG } else { 0 };
    (real.cr2, real.cr3, real.cr4) = (0, if paging { ROOT } else { 0 }, 0);
    real.dr = State::new(guest.model).dr;
    real.gdtr = DescriptorTable { base: own + HOST_GDT, limit: 0x7f };
    real.idtr = DescriptorTable { base: own + HOST_IDT, limit: 0 };
    real.ldtr = Segment { rights: rights::UNUSABLE, ..Segment::default() };
    real.tr = Segment {
        base: own + HOST_TSS,
        limit: 0x67,
        rights: 0x8b,
        selector: HOST_TASK,
        ..Segment::default()
    };
    real.shadow_until = 0;
    real
}

/// The entries of the monitor's GDT that stand for the guest's: segments moved as [`segment`] does.
pub(super) fn shadow_descriptor(guest: u64) -> u64 {
    let access = (guest >> 40) as u8;
    let base = (guest >> 16 & 0xff_ffff | guest >> 56 << 24) as u32;
    let is_segment = access & 0x10 != 0 && base < WINDOW;
    let limit = (guest & 0xffff | guest >> 32 & 0xf_0000) as u32;
    let upper = (guest >> 52) as u8 & 0xf;
    let pages = upper & 8 != 0;
    let bytes = if pages { limit << 12 | 0xfff } else { limit };
    match is_segment {
        true => descriptor(base + PLACE, bytes.min(WINDOW - 1 - base), access | 0x60, upper & !8),
        false => 0,
    }
}

const _: () = assert!(HOST_TASK != TASK && PLACE + WINDOW <= HOST_MEMORY);
