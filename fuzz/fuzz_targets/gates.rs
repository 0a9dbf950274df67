//! Far transfers, interrupts, task switches and loads of segments over tables of any bytes: the interpreter and the JIT
//! do the same, and neither gives up.
#![no_main]

use jit::Jit;
use machine::Machine;
use ringer_fuzz::protected::{self, CODE, GDT, IDT, TSS};
use ringer_fuzz::{compilers, state};

/// Instructions that look descriptors up.
const FORMS: [&[u8]; 16] = [
    &[0x9a, 0, 0x80, 0, 0],
    &[0xea, 0, 0x80, 0, 0],
    &[0xcb],
    &[0xcf],
    &[0xcd],
    &[0xcc],
    &[0x8e, 0xd8],
    &[0x8e, 0xd0],
    &[0x0f, 0x02, 0xc0],
    &[0x0f, 0x03, 0xc0],
    &[0x0f, 0x00, 0xe0],
    &[0x0f, 0x00, 0xd0],
    &[0x0f, 0x00, 0xd8],
    &[0xff, 0x1b],
    &[0x17],
    &[0x90],
];

/// Code of the forms that the bytes name; what is left of an instruction is theirs as well.
fn code(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(3).flat_map(|c| [FORMS[usize::from(c[0] % 16)], &c[1..]].concat()).collect()
}

fn run(bytes: &[u8], engine: Box<dyn cpu::Engine + Send>) -> Option<Machine> {
    let mut machine = protected::machine(engine)?;
    let (first, rest) = bytes.split_first()?;
    let part = rest.len() / 4;
    for (n, at) in [GDT, IDT, TSS].into_iter().enumerate() {
        machine.memory().load(at, &rest[n * part..][..part.min(0x800)]);
    }
    let code = code(&rest[3 * part..]);
    machine.memory().load(CODE, &code[..code.len().min(0x2000)]);
    protected::start(machine.cpu_mut(), if first & 1 == 0 { 0 } else { 3 });
    machine.synchronise();
    machine.run(200);
    Some(machine)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(evaluated) = run(bytes, Box::new(interp::Interpreter::default())) else { return };
    let expected = state(&evaluated, bytes);
    for config in compilers(bytes) {
        let Some(compiled) = Jit::with(config).ok().and_then(|j| run(bytes, Box::new(j))) else { return };
        assert_eq!(state(&compiled, bytes), expected, "{config:?}");
    }
});
