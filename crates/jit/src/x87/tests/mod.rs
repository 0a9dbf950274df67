//! Every native form, called on the host, against the interpreter.

#[cfg(target_arch = "x86_64")]
mod forms;
#[cfg(target_arch = "x86_64")]
mod functions;
#[cfg(target_arch = "x86_64")]
mod guest;
#[cfg(target_arch = "x86_64")]
mod moves;
#[cfg(target_arch = "x86_64")]
#[path = "../../../../testkit/tests/float_vs_host/operands.rs"]
#[allow(dead_code, reason = "shared with another crate's tests")]
mod operands;
#[cfg(target_arch = "x86_64")]
mod states;

#[cfg(not(target_arch = "x86_64"))]
#[test]
fn nothing_is_native() {
    println!("skipped: the host has no x87 unit");
    assert!(!super::may_live(&cpu::Fpu::default()));
}
