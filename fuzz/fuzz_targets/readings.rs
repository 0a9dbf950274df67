//! The three readings of an innocuous instruction agree: what it does when it is evaluated and when it is compiled is
//! the same, and nothing that the analysis has no word for.
#![no_main]

use classify::innocuous::{Word, words};
use classify::{CodeMode, Form};
use cpu::{CpuModel, State};
use machine::{Config, Image, Machine};
use ringer_fuzz::{compilers, state};

/// Runs code from the reset vector, in real mode.
fn run(rom: &[u8], engine: Box<dyn cpu::Engine + Send>) -> Option<Machine> {
    let config = Config { memory: 1 << 20, model: CpuModel::N270, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, engine).ok()?;
    machine.boot(&Image::Rom(rom.to_vec())).ok()?;
    machine.run(1);
    Some(machine)
}

/// What changed has a word.
fn said(before: &State, after: &State, words: &[Word], next: u32) {
    let has = |word| words.contains(&word);
    assert!(before.gpr == after.gpr || has(Word::Registers) || has(Word::Repeat), "registers: {words:?}");
    let flags = |s: &State| s.flags_image() & cpu::eflags::ARITHMETIC;
    assert!(flags(before) == flags(after) || has(Word::Flags), "flags: {words:?}");
    assert!(before.xmm == after.xmm || has(Word::Packed), "XMM: {words:?}");
    assert!(after.eip == next || has(Word::Jump) || has(Word::Repeat), "EIP: {words:?}");
    assert_eq!(
        (before.cpl, before.cr0, before.cr3, before.cr4),
        (after.cpl, after.cr0, after.cr3, after.cr4)
    );
    assert_eq!((before.gdtr, before.idtr, before.seg), (after.gdtr, after.idtr, after.seg));
    assert_eq!(before.eflags & !0x400, after.eflags & !0x400, "flags of the system's");
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut rom = vec![0xf4; 0x1_0000];
    let len = bytes.len().min(15);
    rom[0xfff0..0xfff0 + len].copy_from_slice(&bytes[..len]);
    let Some(form) = Form::decode(&rom[0xfff0..0xffff], CodeMode::Bits16, CpuModel::N270) else { return };
    if form.routine.is_some() {
        return;
    }
    let Some(evaluated) = run(&rom, Box::new(interp::Interpreter::default())) else { return };
    let expected = state(&evaluated, &form.bytes);
    for config in compilers(&form.bytes) {
        let Some(mut compiled) = jit::Jit::with(config).ok().and_then(|j| run(&rom, Box::new(j))) else {
            return;
        };
        assert_eq!(state(&compiled, &form.bytes), expected, "{:02x?} {config:?}", form.bytes);
        compiled.synchronise();
    }
    let before = State::new(CpuModel::N270);
    let after = evaluated.cpu();
    // a fault goes through the vector table, and is said otherwise
    if after.segment(cpu::seg::CS).base == before.segment(cpu::seg::CS).base {
        said(&before, after, &words(&form.insn), before.eip.wrapping_add(u32::from(form.insn.len)));
    }
});
