//! What the targets share: a machine with everything in it, and operations on it from bytes.
#![forbid(unsafe_code)]

mod input;
mod ops;
mod rig;
mod saved;

pub use input::Input;
pub use ops::{Devices, step};
pub use rig::{Make, Rig};
pub use saved::{Saved, damage, touch};

/// A number of an input's, by which some inputs have the costly checks too: always the same ones.
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv) >> 20
}
