//! The crate `float` against the host's own floating-point units, bit for bit.

#[cfg(target_arch = "x86_64")]
mod operands;
#[cfg(target_arch = "x86_64")]
mod sse;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod sse_unmasked;
#[cfg(target_arch = "x86_64")]
mod transcendental;
#[cfg(target_arch = "x86_64")]
mod x87;

#[cfg(not(target_arch = "x86_64"))]
#[test]
#[ignore = "skipped: the oracle is an x86-64 host's FPU, and this host has none"]
fn float_against_the_host() {}
