//! Any accesses to ports, with time, DMA and a user's doings in between: no panic, and whatever
//! state the devices are in is saved and comes back.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringer_fuzz::accesses(bytes, ringer_fuzz::Devices::Ports));
