//! Hosts without an x87 unit: no guest's FPU may live there.

use super::soft::{Seen, Step};
use cpu::Fpu;
use float::F80;

/// Not called: see [`may_live`](super::may_live).
pub(crate) fn load(_: &Fpu) {}

/// Not called: see [`may_live`](super::may_live).
pub(crate) fn save(_: &mut Fpu) {}

/// Not called: see [`may_live`](super::may_live).
pub(crate) fn look() -> Seen {
    Seen { control: 0, status: 0, occupied: 0, st0: F80::ZERO, st1: F80::ZERO }
}

/// Not called: see [`may_live`](super::may_live).
pub(crate) fn apply(_: &Step, _: u16) {}
