//! Oracles and differential runners.

pub mod bios;
pub mod console;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod differ;
pub mod flat;
#[cfg(target_arch = "x86_64")]
pub mod host_fpu;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod host_runner;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod host_sse_trap;
pub mod lockstep;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod native;
pub mod random;
pub mod random_guest;
pub mod vectors;
