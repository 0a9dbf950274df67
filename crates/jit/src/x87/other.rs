//! Hosts without an x87 unit: no guest's FPU may live there.

use cpu::Fpu;

/// Not called: see [`may_live`](super::may_live).
pub(crate) fn load(_: &Fpu) {}

/// Not called: see [`may_live`](super::may_live).
pub(crate) fn save(_: &mut Fpu) {}
