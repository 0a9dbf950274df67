//! Part of Ringer.
#[cfg(target_arch = "x86_64")]
pub mod host_fpu;
