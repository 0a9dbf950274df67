//! Small ROMs, each a question about the machine with an answer in the manual, put to the
//! interpreter and to the JIT.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

mod addressing;
mod apic;
mod compiled;
mod debug;
mod engines;
mod events;
mod modes;
mod paging;
mod rig;
mod self_modifying;
mod units;
