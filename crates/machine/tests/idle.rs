//! An idle guest leaves the caller in control.

use interp::Interpreter;
use isa::CpuModel;
use machine::{Config, Exit, Image, Machine};

/// STI and HLT with all interrupts masked, while the PIT ticks.
const ROM: &[u8] = &[
    0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x12, 0xe6, 0x40, 0xe6, 0x40, // PIT: mode 2, 1212h
    0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, // both PICs masked
    0xfb, 0xf4, 0xeb, 0xfc, // STI, HLT, again
];

#[test]
fn a_timer_that_wakes_nothing_does_not_keep_the_machine() {
    let config = Config { memory: 1 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, Box::new(Interpreter::default())).unwrap();
    let mut rom = vec![0; 0x1_0000];
    rom[0xff00..][..ROM.len()].copy_from_slice(ROM);
    rom[0xfff0..][..3].copy_from_slice(&[0xe9, 0x0d, 0xff]); // JMP FF00h
    machine.boot(&Image::Rom(rom)).unwrap();
    assert_eq!(machine.run(1_000_000), Exit::Slice);
    assert!(machine.cpu().retired < 100);
}
