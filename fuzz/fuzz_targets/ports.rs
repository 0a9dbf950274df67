//! Any accesses to ports, with time, DMA and a user's doings in between: no panic, and whatever
//! state the devices are in is saved and comes back.
#![no_main]

use ringer_fuzz::{Devices, Input, Make, Rig, step};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    let make = Make::new(&mut input);
    let mut rig = Rig::new(make);
    while !input.is_empty() {
        step(&mut rig, &mut input, Devices::Ports);
    }
    let whole = ringer_fuzz::hash(bytes);
    if whole & 7 == 0 {
        rig.machine.frame();
    }
    if whole & 127 == 0 {
        rig.round_trip();
    }
});
