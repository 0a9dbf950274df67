//! Guests that are made to be bad for a compiler: code that is rewritten for ever, jumps to anywhere,
//! more code than the cache holds, blocks without end. Compiled code does as the interpreter does,
//! the budget is kept, and memory stays bounded.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

use cpu::{Engine, Meter, State, StopReason};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ebx, ecx, esi};
use interp::Interpreter;
use jit::Jit;
use mem::Memory;
use testkit::flat::{Flat, protected};

const CODE: u32 = 0x1_0000;
const DATA: u32 = 0x40_0000;
const RAM: u64 = 8 << 20;
/// Instructions between two looks at the meter: odd, so that slices end anywhere.
const SLICE: u64 = 997;
/// Guest instructions of a region at most: so many, and the block that began before.
const MOST: u64 = 256 + 64;

/// An engine with its machine.
struct Party<E> {
    engine: E,
    cpu: State,
    mem: Memory,
}

impl<E: Engine> Party<E> {
    fn new(engine: E, code: &[u8]) -> Party<E> {
        let mut mem = Memory::new(RAM).unwrap();
        mem.load(CODE, code);
        let mut cpu = protected(CODE);
        cpu.set_r32(4, DATA);
        cpu.set_r32(6, DATA);
        Party { engine, cpu, mem }
    }

    fn run(&mut self, until: u64) {
        let stop = self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat::default(), until);
        // a store into code may ask for the dispatcher, which goes on
        if stop == StopReason::Leave {
            return self.run(until);
        }
        assert_eq!((stop, self.cpu.retired), (StopReason::Budget, until));
    }

    fn memory(&self) -> Vec<u8> {
        let mut all = vec![0; RAM as usize];
        self.mem.read_physical(0, &mut all);
        all
    }
}

/// Runs the code on both engines; what the JIT's meter says at the end.
fn both(code: &[u8], instructions: u64, hot: u32, cache: usize) -> Meter {
    let mut plain = Party::new(Interpreter::default(), code);
    let mut compiled = Party::new(Jit::with_cache(hot, cache).unwrap(), code);
    for until in (SLICE..instructions).step_by(SLICE as usize) {
        plain.run(until);
        compiled.run(until);
        let state = |c: &State| (c.gpr, c.eip, c.flags_image());
        assert_eq!(state(&compiled.cpu), state(&plain.cpu), "after {until} instructions");
        let m = compiled.engine.meter().unwrap();
        assert!(m.code_bytes <= cache as u64 && m.regions <= cache as u64 / 64, "{m:?}");
        assert!(m.compiled_instructions <= m.compiled_regions * MOST, "{m:?}");
    }
    assert!(compiled.memory() == plain.memory(), "memory differs");
    compiled.engine.meter().unwrap()
}

fn assembled(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Vec<u8> {
    let mut a = CodeAssembler::new(32).unwrap();
    write(&mut a).unwrap();
    a.assemble(u64::from(CODE)).unwrap()
}

#[test]
fn code_that_rewrites_itself_each_time() {
    // the constant of MOV counts up
    let code = assembled(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.mov(eax, 0)?;
        a.add(ebx, eax)?;
        a.inc(dword_ptr(CODE + 1))?;
        a.jmp(again)
    });
    assert!(both(&code, 20_000, 0, 1 << 20).invalidations > 1000);
    // it never gets hot
    assert_eq!(both(&code, 20_000, 4, 1 << 20).compiled_regions, 0);
}

#[test]
fn a_procedure_that_is_rewritten_when_it_is_hot() {
    let code = assembled(|a| {
        let mut again = a.create_label();
        let (mut call, mut procedure) = (a.create_label(), a.create_label());
        a.jmp(again)?;
        // five bytes of a near jump, and so the procedure's constant is at CODE + 65
        a.nops_with_size(59)?;
        a.set_label(&mut procedure)?;
        a.mov(eax, 0)?;
        a.add(ebx, eax)?;
        a.ret()?;
        a.nops_with_size(256)?;
        a.set_label(&mut again)?;
        a.add(dword_ptr(CODE + 65), 3)?;
        // more than what changes for ever has to run before it is compiled: 32 times 8
        a.mov(ecx, 400)?;
        a.set_label(&mut call)?;
        a.call(procedure)?;
        a.dec(ecx)?;
        a.jne(call)?;
        a.jmp(again)
    });
    let meter = both(&code, 300_000, 8, 1 << 20);
    assert!(meter.invalidations > 50, "{meter:?}");
}

/// Blocks of 32 bytes, all alike, each of which jumps to one of them by a congruence.
fn wild() -> Vec<u8> {
    const BLOCKS: u32 = 1 << 14;
    let block = |a: &mut CodeAssembler| {
        a.imul_3(eax, eax, 1_103_515_245)?;
        a.add(eax, 12345)?;
        a.mov(ecx, eax)?;
        a.shr(ecx, 9)?;
        a.and(ecx, (BLOCKS - 1) * 32)?;
        a.add(ecx, CODE)?;
        a.jmp(ecx)
    };
    let mut a = CodeAssembler::new(32).unwrap();
    block(&mut a).unwrap();
    let mut one = a.assemble(u64::from(CODE)).unwrap();
    assert!(one.len() <= 32);
    one.resize(32, 0xf4);
    one.repeat(BLOCKS as usize)
}

#[test]
fn jumps_to_anywhere_fill_the_cache() {
    let meter = both(&wild(), 10_000, 0, 128 << 10);
    assert!(meter.flushes > 0, "{meter:?}");
    let meter = both(&wild(), 100_000, 3, 128 << 10);
    assert!(meter.interpreted > 0, "{meter:?}");
}

/// A loop of thousands of instructions with no branch but the one at its end.
fn straight() -> Vec<u8> {
    assembled(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        for n in 0..4000u32 {
            a.add(eax, n)?;
            a.xor(ebx, eax)?;
            a.adc(dword_ptr(esi + n % 500 * 4), ebx)?;
        }
        a.jmp(again)
    })
}

#[test]
fn blocks_without_end_are_cut() {
    let meter = both(&straight(), 100_000, 0, 4 << 20);
    assert!(meter.compiled_regions as usize >= 12_000 / MOST as usize, "{meter:?}");
}

#[test]
fn more_code_than_the_cache_holds() {
    let meter = both(&straight(), 40_000, 0, 64 << 10);
    assert!(meter.flushes > 0, "{meter:?}");
}

/// Every instruction is a way out: stores to a page each, and a branch to elsewhere after each.
fn exits() -> Vec<u8> {
    assembled(|a| {
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        let mut outs = Vec::new();
        for n in 0..400u32 {
            let (out, mut back) = (a.create_label(), a.create_label());
            a.add(dword_ptr(esi + n * 4096), eax)?;
            a.add(eax, 0x1234_5671u32.wrapping_mul(n | 1) & 0x7fff_ffff)?;
            a.jb(out)?;
            a.set_label(&mut back)?;
            outs.push((out, back));
        }
        a.jmp(again)?;
        for (mut out, back) in outs {
            a.set_label(&mut out)?;
            a.inc(ebx)?;
            a.jmp(back)?;
        }
        Ok(())
    })
}

#[test]
fn regions_of_nothing_but_exits() {
    for hot in [0, 2, 8] {
        let meter = both(&exits(), 15_000, hot, 1 << 20);
        assert!(meter.compiled_regions > 0, "{meter:?}");
    }
}

#[test]
fn a_cache_that_holds_no_region_still_goes_on() {
    let least = (1..64).map(|n| n * 1024).find(|&n| Jit::with_cache(0, n).is_ok()).unwrap();
    let mut small = Party::new(Jit::with_cache(0, least).unwrap(), &exits());
    let mut plain = Party::new(Interpreter::default(), &exits());
    small.run(600);
    plain.run(600);
    assert_eq!((small.cpu.gpr, small.cpu.eip), (plain.cpu.gpr, plain.cpu.eip));
    assert!(small.engine.meter().unwrap().code_bytes <= least as u64);
}

#[test]
fn a_cache_too_small_for_the_engine_is_an_error() {
    for bytes in [0, 1, 64] {
        assert!(Jit::with_cache(0, bytes).is_err(), "{bytes}");
    }
}
