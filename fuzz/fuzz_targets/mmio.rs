//! Any accesses to memory of devices, the display in all its modes and the APICs wherever they are: no
//! panic, and whatever state they are in is saved and comes back.
#![no_main]

use ringer_fuzz::{Devices, Input, Make, Rig, step};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let make = Make::new(&mut input);
    let mut rig = Rig::new(make);
    while !input.is_empty() {
        step(&mut rig, &mut input, Devices::Memory);
    }
    let whole = ringer_fuzz::hash(bytes);
    if whole & 7 == 0 {
        rig.machine.frame();
    }
    if whole & 127 == 0 {
        rig.round_trip();
    }
});
