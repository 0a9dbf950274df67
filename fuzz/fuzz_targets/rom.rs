//! Any bytes at the reset vector run for a while on any model: ports, MMIO, gates, tables.
#![no_main]

use interp::Interpreter;
use isa::CpuModel;
use machine::{Config, Image, Machine};

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<u8>)| {
    let (model, code) = input;
    let (_, model) = CpuModel::ALL[usize::from(model) % CpuModel::ALL.len()];
    let mut rom = vec![0xf4; 4096];
    let n = code.len().min(4000);
    rom[..n].copy_from_slice(&code[..n]);
    // JMP FF00:0000, the start of the ROM's last page
    rom[0xff0..0xff5].copy_from_slice(&[0xea, 0, 0, 0, 0xff]);
    let config = Config { memory: 2 << 20, model, deterministic: true, epoch: 0 };
    let Ok(mut machine) = Machine::new(config, Box::new(Interpreter::default())) else { return };
    if machine.boot(&Image::Rom(rom)).is_ok() {
        for _ in 0..20 {
            machine.run(100_000);
        }
    }
});
