//! KVM as a voter, the only one at CPL 0: each form that Ringer executes runs in the model's own state, in protected mode
//! at both levels, V86 and real mode, and traps or does not as the model does. Who differs has an entry in the ledger.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    eprintln!("SKIPPED: KVM is asked on x86-64 Linux alone");
    let trial = libtest_mimic::Trial::test("kvm_agrees", || Ok(())).with_ignored_flag(true);
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod count;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod vote;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn main() {
    vote::main();
}
