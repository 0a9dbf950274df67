//! What the targets share: a machine with everything in it, and operations on it from bytes.
#![forbid(unsafe_code)]

mod input;
mod ops;
pub mod protected;
mod rig;
mod saved;

pub use input::Input;
pub use ops::{Devices, step};
pub use rig::{Make, Rig};
pub use saved::{Saved, damage, touch};

/// Runs the accesses that an input spells out; of some inputs the picture is drawn, and the state saved and loaded.
pub fn accesses(bytes: &[u8], devices: Devices) {
    let mut input = Input::new(bytes);
    let make = Make::new(&mut input);
    let mut rig = Rig::new(make);
    while !input.is_empty() {
        step(&mut rig, &mut input, devices);
    }
    let whole = hash(bytes);
    if whole & 7 == 0 {
        rig.machine.frame();
    }
    if whole & 127 == 0 {
        rig.round_trip();
    }
}

/// A number of an input's, by which some inputs have the costly checks too: always the same ones.
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv) >> 20
}

/// A JIT that compiles what it has not run, into a small cache: an input is a few hundred instructions.
pub fn small() -> jit::Config {
    jit::Config { hot: 0, code: 1 << 20, ..jit::Config::default() }
}
