//! Guests of Ringer's own, assembled when it is built.
#![forbid(unsafe_code)]

#[cfg(feature = "assembler")]
pub mod asm;

/// The guest that `ringer` boots when it is given nothing else: a ROM of 64 KiB. Its source is
/// in `test-roms/guest`.
pub static DEFAULT_GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.rom"));
