//! What the targets share: a machine with everything in it, and operations on it from bytes.
#![forbid(unsafe_code)]

mod input;
mod ops;
pub mod protected;
mod rig;
mod saved;

use jit::Lookup;

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

/// JITs that compile what they have not run, into small caches, as an input is a few hundred instructions: the quick
/// tier, which costs little, and the optimising tier with either form of the shadow, of one input in thirty-two.
pub fn compilers(bytes: &[u8]) -> Vec<jit::Config> {
    let small = jit::Config { hot: 0, code: 1 << 20, ..jit::Config::default() };
    let mut all = vec![jit::Config { warm: Some(0), ..small }];
    if hash(bytes) & 31 == 0 {
        all.extend([Lookup::Flat, Lookup::Tagged].map(|lookup| jit::Config { lookup, ..small }));
    }
    all
}

/// A number of all that a machine is, of one input in sixteen; else of its memory up to what VGA has without VBE.
pub fn state(machine: &machine::Machine, bytes: &[u8]) -> u64 {
    const FLASH_AND_PLANES: u64 = (256 + 256) << 10;
    match hash(bytes) >> 8 & 15 {
        0 => machine.state_hash(),
        _ => machine.state_hash_of(protected::MEMORY + FLASH_AND_PLANES),
    }
}
