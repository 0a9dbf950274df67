//! IA32_APIC_BASE, and CPUID's APIC bit (SDM vol. 3A, 10.4.3 and 10.4.4).

use crate::fake::*;
use cpu::{CpuModel, Fault, reg};
use vmm::Atom;

const RDMSR: &[u8] = &[0x0f, 0x32];
const WRMSR: &[u8] = &[0x0f, 0x30];
const CPUID: &[u8] = &[0x0f, 0xa2];

/// Selects the register, with a value in EDX:EAX.
fn with(f: &mut Fake, value: u64) {
    f.cpu.set_r32(reg::CX, 0x1b);
    f.cpu.set_r32(reg::AX, value as u32);
    f.cpu.set_r32(reg::DX, (value >> 32) as u32);
}

fn features(f: &mut Fake) -> u32 {
    f.cpu.set_r32(reg::AX, 1);
    f.run(CPUID).unwrap();
    f.cpu.r32(reg::DX)
}

#[test]
fn the_base_is_read_and_written() {
    let mut f = Fake::protected(0);
    with(&mut f, 0);
    f.run(RDMSR).unwrap();
    assert_eq!((f.cpu.r32(reg::AX), f.cpu.r32(reg::DX)), (0xfee0_0900, 0));
    with(&mut f, 0x1234_5800);
    f.run(WRMSR).unwrap();
    assert_eq!(f.apic_base, 0x1234_5800);
    // x2APIC mode, other reserved bits, addresses beyond 4 GiB
    for reserved in [1 << 10, 1, 1 << 9, 1 << 32] {
        with(&mut f, 0xfee0_0900 | reserved);
        assert_eq!(f.faults(WRMSR), Fault::GP0);
    }
    assert!(f.asked.contains(&Atom::ValueLegal));
    let mut f = Fake::protected(3);
    with(&mut f, 0);
    assert_eq!(f.faults(RDMSR), Fault::GP0);
}

#[test]
fn the_pentium_has_no_such_register() {
    let mut f = Fake::real(CpuModel::Pentium);
    with(&mut f, 0xfee0_0900);
    assert_eq!((f.faults(RDMSR), f.faults(WRMSR)), (Fault::GP0, Fault::GP0));
    assert_eq!(features(&mut f) & 1 << 9, 1 << 9);
}

#[test]
fn cpuid_shows_an_apic_that_is_on() {
    let mut f = Fake::protected(0);
    assert_eq!(features(&mut f) & 1 << 9, 1 << 9);
    assert!(f.asked.contains(&Atom::ApicEnabled));
    f.lie = Some(Atom::ApicEnabled);
    assert_eq!(features(&mut f) & 1 << 9, 0);
    f.lie = None;
    f.apic_base = 0xfee0_0100;
    assert_eq!(features(&mut f) & 1 << 9, 0);
}
