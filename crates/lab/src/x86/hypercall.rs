//! A guest that knows of the monitor (Barham et al., "Xen and the Art of Virtualization", SOSP 2003; Whitaker et al.,
//! "Scale and Performance in the Denali Isolation Kernel", OSDI 2002): instead of instructions that do not trap it calls,
//! and several changes of page tables are one call. It is no longer the system that runs on the bare machine.

use super::system::Virtual;
use cpu::{Activity, eflags, reg};
use vmm::{Privilege, System};

/// The vector of calls; EAX says which.
pub(super) const VECTOR: u8 = 0x82;
/// The virtual IF := bit 0 of EBX; EAX := what it was.
pub(super) const SET_INTERRUPTS: u32 = 0;
/// Waits for an interrupt.
pub(super) const HALT: u32 = 1;
/// Writes EBX to port ECX.
pub(super) const OUTPUT: u32 = 2;
/// ECX dwords, at the addresses and with the values that EBX points to: changes of page tables.
pub(super) const UPDATE: u32 = 3;
/// What EAX says after a call that there is not.
const UNKNOWN: u32 = u32::MAX;
/// More updates than a call does.
const MOST: u32 = 256;

/// Does a call.
pub(super) fn serve(v: &mut Virtual<'_>) {
    let [call, port, _, argument] = [0, 1, 2, 3].map(|n| v.cpu.r32(n));
    let answer = match call {
        SET_INTERRUPTS => {
            let was = u32::from(v.cpu.eflags & eflags::IF != 0);
            v.cpu.eflags = v.cpu.eflags & !eflags::IF | (argument & 1) << 9;
            was
        }
        HALT => {
            v.cpu.activity = Activity::Halted;
            0
        }
        OUTPUT => {
            v.ports.output(port as u16, 4, argument);
            0
        }
        UPDATE => update(v, argument, port.min(MOST)),
        _ => UNKNOWN,
    };
    v.cpu.set_r32(reg::AX, answer);
}

/// How many updates were done.
fn update(v: &mut Virtual<'_>, list: u32, count: u32) -> u32 {
    for n in 0..count {
        let entry =
            |v: &mut Virtual<'_>, at: u32| v.load(list.wrapping_add(8 * n + at), 4, Privilege::Current);
        let (Ok(to), Ok(value)) = (entry(v, 0), entry(v, 4)) else { return n };
        if v.store(to as u32, 4, value, Privilege::Current).is_err() {
            return n;
        }
    }
    count
}
