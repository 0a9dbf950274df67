//! Any kernel and initrd are refused or loaded and run, without harm to the host.
#![no_main]

use interp::Interpreter;
use isa::CpuModel;
use machine::{Config, Machine, boot};

libfuzzer_sys::fuzz_target!(|parts: (Vec<u8>, Option<Vec<u8>>, String)| {
    let (kernel, initrd, append) = parts;
    let Ok(image) = boot::recognise(kernel, initrd, append) else { return };
    let config = Config { memory: 4 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
    let Ok(mut machine) = Machine::new(config, Box::new(Interpreter::default())) else { return };
    if machine.boot(&image).is_ok() {
        machine.run(20_000);
    }
});
