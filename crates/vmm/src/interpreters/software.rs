//! INT n, INT1, INT3, INTO (SDM vol. 2, INT n; vol. 3B, 20.3.3).

use super::flag_image::pushed_flags;
use super::interrupt::{self, Event, EventKind};
use super::tasks::Raised;
use crate::{Atom, Privilege, System};
use cpu::{Fault, Flow, Insn, eflags as f, vector};

/// Delivers an event of the instruction itself. A fault after a task switch belongs to the new
/// task and is delivered there.
fn raise<S: System>(s: &mut S, v: u8, kind: EventKind) -> Result<Flow, Fault> {
    let event = Event::plain(v, kind, s.state().eip);
    match interrupt::attempt(s, event) {
        Ok(()) => Ok(Flow::Continue),
        Err(Raised::Unchanged(fault)) => Err(fault),
        Err(Raised::InNewTask(fault)) => {
            interrupt::deliver_fault(s, fault);
            Ok(Flow::Leave)
        }
    }
}

/// INT n.
///
/// # Errors
/// #GP(0) in V86 mode below IOPL 3; those of the delivery.
pub fn int<S: System>(s: &mut S, insn: &Insn) -> Result<Flow, Fault> {
    let v = insn.imm as u8;
    if s.virtual_8086() {
        if s.vme() && redirected(s, v)? {
            return to_program(s, v);
        }
        if s.iopl_below_3() {
            return Err(Fault::GP0);
        }
    }
    raise(s, v, EventKind::Software)
}

/// INT1 (ICEBP): #DB without regard to the gate's DPL; DR6 does not change.
///
/// # Errors
/// Those of the delivery.
pub fn int1<S: System>(s: &mut S, _: &Insn) -> Result<Flow, Fault> {
    raise(s, vector::DB, EventKind::Int1)
}

/// INT3: not sensitive to IOPL, never redirected.
///
/// # Errors
/// Those of the delivery.
pub fn int3<S: System>(s: &mut S, _: &Insn) -> Result<Flow, Fault> {
    raise(s, vector::BP, EventKind::Software)
}

/// INTO: #OF if OF is set.
///
/// # Errors
/// Those of the delivery.
pub fn into<S: System>(s: &mut S, _: &Insn) -> Result<Flow, Fault> {
    if s.state().arithmetic_flags() & f::OF == 0 {
        return Ok(Flow::Continue);
    }
    raise(s, vector::OF, EventKind::Software)
}

/// Whether the interrupt redirection bitmap, the 32 bytes below the I/O bitmap, sends a vector
/// to the 8086 program: its bit is clear (SDM vol. 3B, 20.3.3).
fn redirected<S: System>(s: &mut S, v: u8) -> Result<bool, Fault> {
    let tr = s.state().tr;
    let wide_enough = tr.usable() && tr.rights & 8 != 0 && tr.limit >= 0x67;
    if !s.ask(Atom::LimitCovers, wide_enough) {
        return Err(Fault::GP0);
    }
    let map = s.load(tr.base.wrapping_add(0x66), 2, Privilege::Supervisor)? as u32;
    let at = map.wrapping_sub(32).wrapping_add(u32::from(v >> 3));
    if !s.ask(Atom::LimitCovers, at <= tr.limit) {
        return Err(Fault::GP0);
    }
    let byte = s.load(tr.base.wrapping_add(at), 1, Privilege::Supervisor)?;
    Ok(s.ask(Atom::InterruptRedirected, byte >> (v & 7) & 1 == 0))
}

/// The program's own handler, through the table at linear address 0. Below IOPL 3 the pushed
/// image shows VIF as IF and IOPL 3, and VIF is cleared (SDM vol. 3B, table 20-2, methods 5 and 6).
fn to_program<S: System>(s: &mut S, v: u8) -> Result<Flow, Fault> {
    let flags = pushed_flags(s.state());
    let (flags, cleared) = if s.iopl_below_3() {
        (flags & !f::IF | (flags & f::VIF) >> 10 | f::IOPL, f::VIF)
    } else {
        (flags, f::IF)
    };
    interrupt::to_8086_handler(s, u32::from(v) * 4, flags, cleared)?;
    Ok(Flow::Continue)
}
