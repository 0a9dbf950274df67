//! Any accesses to memory of devices, the display in all its modes and the APICs wherever they are: no
//! panic, and whatever state they are in is saved and comes back.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringer_fuzz::accesses(bytes, ringer_fuzz::Devices::Memory));
