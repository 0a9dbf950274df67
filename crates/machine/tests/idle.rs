//! An idle guest leaves the caller in control, and a stopped one can be woken.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use interp::Interpreter;
use isa::CpuModel;
use machine::{Config, Exit, Image, Machine};

/// STI and HLT with all interrupts masked, while the PIT ticks.
const ROM: &[u8] = &[
    0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x12, 0xe6, 0x40, 0xe6, 0x40, // PIT: mode 2, 1212h
    0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, // both PICs masked
    0xfb, 0xf4, 0xeb, 0xfc, // STI, HLT, again
];

/// HLT with interrupts off; the handler of NMI writes AL and stops again.
const STOPPED: &[u8] = &[
    0x31, 0xc0, 0x8e, 0xd8, // DS = 0
    0xc7, 0x06, 8, 0, 0x20, 0xff, 0xc7, 0x06, 10, 0, 0, 0xf0, // vector 2: F000:FF20
    0xfa, 0xf4, 0xeb, 0xfd, // CLI, HLT, again
    0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, // up to FF20h
    0xb0, 0x99, 0xf4, 0xeb, 0xfd,
];

fn machine(code: &[u8], model: CpuModel) -> Machine {
    let config = Config { memory: 1 << 20, model, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, Box::new(Interpreter::default())).unwrap();
    let mut rom = vec![0; 0x1_0000];
    rom[0xff00..][..code.len()].copy_from_slice(code);
    rom[0xfff0..][..3].copy_from_slice(&[0xe9, 0x0d, 0xff]); // JMP FF00h
    machine.boot(&Image::Rom(rom)).unwrap();
    machine
}

#[test]
fn the_nmi_button_wakes_a_stopped_cpu() {
    // by LINT1, and where there is no local APIC
    for model in [CpuModel::N270, CpuModel::I486] {
        let mut machine = machine(STOPPED, model);
        assert_eq!(machine.run(1_000_000), Exit::Stuck);
        machine.nmi_button();
        assert_eq!(machine.run(1_000_000), Exit::Stuck);
        assert_eq!(machine.cpu().r32(0) & 0xff, 0x99, "{model:?}");
    }
}

#[test]
fn a_timer_that_wakes_nothing_does_not_keep_the_machine() {
    let mut machine = machine(ROM, CpuModel::N270);
    assert_eq!(machine.run(1_000_000), Exit::Slice);
    assert!(machine.cpu().retired < 100);
}
