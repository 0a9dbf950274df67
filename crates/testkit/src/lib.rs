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
pub mod host_witness;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod kvm;
pub mod kvm_witness;
pub mod lockstep;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub mod native;
pub mod random;
pub mod random_guest;
pub mod vectors;

/// The engine that users get.
///
/// # Errors
/// This host has no JIT.
pub fn engine() -> Result<Box<dyn cpu::Engine + Send>, String> {
    let jit = jit::Jit::with_defaults().map_err(|e| e.to_string())?;
    Ok(Box::new(jit))
}
