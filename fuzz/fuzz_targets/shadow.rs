//! Shadow page tables over tables of any bytes, which the guest writes as it goes: dropping all shadows at every step
//! changes nothing, and the JIT, in both tiers and over flat arrays as over tagged tables, does what the interpreter does.
#![no_main]

use cpu::cr0;
use jit::Jit;
use machine::Machine;
use ringer_fuzz::protected::{self, CODE, DIRECTORY, MEMORY};
use ringer_fuzz::{compilers, state};

/// Stores, loads, INVLPG, reloads of CR3: by EBX, ESI and EDI, which move.
const FORMS: [&[u8]; 12] = [
    &[0x89, 0x03],
    &[0x8b, 0x06],
    &[0x01, 0x07],
    &[0x0f, 0x01, 0x3b],
    &[0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8],
    &[0x81, 0xc3, 0x00, 0x10, 0x00, 0x00],
    &[0x81, 0xc6, 0xfe, 0x0f, 0x00, 0x00],
    &[0x81, 0xc7, 0x04, 0x00, 0x00, 0x00],
    &[0xbf, 0x00, 0x50, 0x00, 0x00],
    &[0xbb, 0x00, 0x40, 0x00, 0x00],
    &[0xa5],
    &[0x35, 0x07, 0x10, 0x00, 0x00],
];

fn prepare(bytes: &[u8], engine: Box<dyn cpu::Engine + Send>) -> Option<Machine> {
    let mut machine = protected::machine(engine)?;
    let (first, rest) = bytes.split_first()?;
    // page tables that lead to memory, with the bytes' rights, and the code where it is
    let entry = |n: usize| {
        let b = rest.get(n % rest.len().max(1)).copied().unwrap_or(7);
        let frame = if n < 16 { n as u32 } else { u32::from(b).wrapping_mul(7) % (MEMORY as u32 >> 12) };
        frame << 12 | u32::from(b & 0x67) | if n < 16 { 7 } else { u32::from(b >> 7) }
    };
    let table: Vec<u8> = (0..1024).flat_map(|n| entry(n).to_le_bytes()).collect();
    let directory: Vec<u8> =
        [DIRECTORY + 0x1007, DIRECTORY + 0x2007].into_iter().flat_map(u32::to_le_bytes).collect();
    machine.memory().load(DIRECTORY, &directory);
    machine.memory().load(DIRECTORY + 0x1000, &table);
    machine.memory().load(DIRECTORY + 0x2000, &table);
    let code: Vec<u8> = rest.iter().flat_map(|b| FORMS[usize::from(b % 12)]).copied().collect();
    machine.memory().load(CODE, &code[..code.len().min(0x1000)]);
    let cpu = machine.cpu_mut();
    protected::start(cpu, 0);
    cpu.cr3 = DIRECTORY;
    cpu.cr0 |= cr0::PG | if first & 1 == 0 { 0 } else { cr0::WP };
    machine.synchronise();
    Some(machine)
}

fn hash(bytes: &[u8], engine: Box<dyn cpu::Engine + Send>, dropping: bool) -> Option<u64> {
    let mut machine = prepare(bytes, engine)?;
    for limit in (4..=200).step_by(4) {
        machine.run(limit);
        if dropping {
            machine.drop_shadows();
        }
    }
    Some(state(&machine, bytes))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let interpreter = || Box::new(interp::Interpreter::default());
    let Some(expected) = hash(bytes, interpreter(), false) else { return };
    assert_eq!(hash(bytes, interpreter(), true), Some(expected), "shadows show");
    for config in compilers(bytes) {
        let Ok(engine) = Jit::with(config) else { return };
        assert_eq!(hash(bytes, Box::new(engine), false), Some(expected), "{config:?}");
    }
});
