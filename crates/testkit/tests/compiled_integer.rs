//! Integer code in regions, where it can go wrong although each instruction is right: flags that some instructions
//! of a loop replace in part, or only where a count is not 0, seen from whatever instruction the budget ends at;
//! divisions, and accesses across pages. Compiled code against the interpreter, which the host's processor checks.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

use cpu::{Activity, Engine, State, StopReason};
use interp::Interpreter;
use jit::{Config, Jit, Lookup};
use mem::{Memory, Rights};
use testkit::flat::{Flat, protected};
use testkit::random::Random;

const CODE: u32 = 0x1_0000;
/// The end of a page: EBP points around it, and EDI.
const EDGE: u32 = 0x40_1000;
const RAM: u64 = 8 << 20;
const HLT: u8 = 0xf4;

/// Programs, unless RINGER_CASES says otherwise.
fn programs() -> u64 {
    std::env::var("RINGER_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(400)
}

/// The ways to the host's addresses, with which everything has to be the same.
const LOOKUPS: [Lookup; 2] = [Lookup::Flat, Lookup::Tagged];

fn jit(lookup: Lookup) -> Jit {
    Jit::with(Config { hot: 0, lookup, ..Config::default() }).unwrap()
}

/// With both ways, by the quick tier, and with one tier after the other.
fn jits() -> [Jit; 4] {
    let default = Config::default();
    let quick = [Config { hot: 0, warm: Some(0), ..default }, Config { hot: 6, warm: Some(2), ..default }];
    let [a, b] = quick.map(|c| Jit::with(c).unwrap());
    let [c, d] = LOOKUPS.map(jit);
    [a, b, c, d]
}

struct Party<E> {
    engine: E,
    cpu: State,
    mem: Memory,
}

impl<E: Engine> Party<E> {
    fn new(engine: E, code: &[u8]) -> Party<E> {
        let mut mem = Memory::new(RAM).unwrap();
        mem.load(CODE, code);
        Party { engine, cpu: protected(CODE), mem }
    }

    /// Runs until so many instructions have retired, over faults, after which the code starts anew.
    fn run(&mut self, until: u64) -> Vec<StopReason> {
        let mut faults = Vec::new();
        loop {
            match self.engine.run(&mut self.cpu, &mut self.mem, &mut Flat::default(), until) {
                StopReason::Budget => return faults,
                StopReason::Leave => {}
                stop => {
                    faults.push(stop);
                    self.cpu.eip = CODE;
                    // a fault takes no time here: something has to
                    self.cpu.retired += 1;
                    if self.cpu.retired >= until {
                        return faults;
                    }
                }
            }
        }
    }

    fn seen(&self) -> ([u64; 8], u32, u32, [u8; 64]) {
        let mut bytes = [0; 64];
        self.mem.read_physical(u64::from(EDGE) - 32, &mut bytes);
        (std::array::from_fn(|n| self.cpu.gpr[n]), self.cpu.eip, self.cpu.flags_image(), bytes)
    }
}

/// Instructions whose last byte, if there is a `true`, is anything below 40.
const INSTRUCTIONS: &[(&[u8], bool)] = &[
    // BT, BTS, BTR, BTC; of EAX by ECX, and of memory by a constant
    (&[0x0f, 0xa3, 0xc8], false),
    (&[0x0f, 0xab, 0xc8], false),
    (&[0x0f, 0xb3, 0xc8], false),
    (&[0x0f, 0xbb, 0xc8], false),
    (&[0x0f, 0xba, 0x65, 0xfe], true),
    (&[0x0f, 0xba, 0x6d, 0x01], true),
    // BSF and BSR
    (&[0x0f, 0xbc, 0xd0], false),
    (&[0x0f, 0xbd, 0xd0], false),
    // shifts and rotates by CL, of 32, 16 and 8 bits
    (&[0xd3, 0xe0], false),
    (&[0xd3, 0xe8], false),
    (&[0xd3, 0xf8], false),
    (&[0xd3, 0xc0], false),
    (&[0xd3, 0xc8], false),
    (&[0xd3, 0xd0], false),
    (&[0xd3, 0xd8], false),
    (&[0x66, 0xd3, 0xc2], false),
    (&[0x66, 0xd3, 0xe2], false),
    (&[0x66, 0xd3, 0xd2], false),
    (&[0xd2, 0xcc], false),
    (&[0xd2, 0xfb], false),
    (&[0xd2, 0xdb], false),
    // and by constants
    (&[0xc1, 0xc0], true),
    (&[0xc1, 0xc8], true),
    (&[0xc1, 0xd2], true),
    (&[0xc1, 0xe2], true),
    (&[0xc1, 0xfa], true),
    (&[0x66, 0xc1, 0xc2], true),
    // SHLD and SHRD
    (&[0x0f, 0xa5, 0xc2], false),
    (&[0x0f, 0xad, 0xc2], false),
    (&[0x0f, 0xa4, 0xc2], true),
    (&[0x0f, 0xac, 0xc2], true),
    // INC and DEC
    (&[0x43], false),
    (&[0x49], false),
    (&[0xfe, 0x45, 0x02], false),
    (&[0xff, 0x4d, 0xfd], false),
    // CLC, STC, CMC, LAHF, SAHF
    (&[0xf8], false),
    (&[0xf9], false),
    (&[0xf5], false),
    (&[0x9f], false),
    (&[0x9e], false),
    // ADD, ADC, SUB, SBB, CMP, AND, TEST
    (&[0x01, 0xd0], false),
    (&[0x11, 0xd0], false),
    (&[0x10, 0xe3], false),
    (&[0x29, 0xd8], false),
    (&[0x19, 0xd8], false),
    (&[0x39, 0xc8], false),
    (&[0x83, 0xe1], true),
    (&[0x85, 0xc8], false),
    // IMUL, MUL, BSWAP, CMPXCHG8B
    (&[0x0f, 0xaf, 0xc2], false),
    (&[0x66, 0x0f, 0xaf, 0xda], false),
    (&[0xf7, 0xe2], false),
    (&[0xf6, 0xeb], false),
    (&[0x0f, 0xc9], false),
    (&[0x0f, 0xc7, 0x4d, 0xfb], false),
    // DIV and IDIV: behind XOR EDX, EDX and CDQ, and of anything, of 32, 16 and 8 bits
    (&[0x31, 0xd2, 0xf7, 0xf1], false),
    (&[0x99, 0xf7, 0xf9], false),
    (&[0x99, 0xf7, 0xfb], false),
    (&[0xf7, 0xf1], false),
    (&[0xf7, 0xfb], false),
    (&[0x31, 0xd2, 0x66, 0xf7, 0xf3], false),
    (&[0x66, 0x99, 0x66, 0xf7, 0xf9], false),
    (&[0xf6, 0xf3], false),
    (&[0xf6, 0xf9], false),
    // MOV of 32 and 16 bits, and by an index
    (&[0x8b, 0x45, 0xfd], false),
    (&[0x89, 0x55, 0xfe], false),
    (&[0x66, 0x8b, 0x5d, 0xff], false),
    (&[0x66, 0x89, 0x4d, 0xff], false),
    (&[0x89, 0xc6, 0x83, 0xe6, 0x07, 0x8b, 0x0c, 0x37], false),
    (&[0x89, 0xc6, 0x83, 0xe6, 0x07, 0x01, 0x0c, 0xb7], false),
];

/// An instruction that reads a condition: SETcc, CMOVcc, or Jcc over an INC.
fn condition(r: &mut Random, code: &mut Vec<u8>) {
    let cc = r.below(16) as u8;
    match r.below(4) {
        0 => code.extend([0x0f, 0x90 | cc, 0xc3]),
        1 => code.extend([0x0f, 0x90 | cc, 0x45, 0x04]),
        2 => code.extend([0x0f, 0x40 | cc, 0xc2]),
        _ => code.extend([0x70 | cc, 0x01, 0x40]),
    }
}

/// A loop without end.
fn program(r: &mut Random) -> Vec<u8> {
    let mut code = Vec::new();
    for _ in 0..2 + r.below(14) {
        if r.once_in(4) {
            condition(r, &mut code);
            continue;
        }
        let (bytes, constant) = INSTRUCTIONS[r.below(INSTRUCTIONS.len() as u32) as usize];
        code.extend(bytes);
        code.extend(constant.then(|| r.below(40) as u8));
    }
    let back = -(code.len() as i32 + 5);
    code.push(0xe9);
    code.extend(back.to_le_bytes());
    code
}

fn listing(code: &[u8]) -> String {
    code.iter().map(|b| format!("{b:02x}")).collect()
}

/// Values at the edges, or anything.
fn prepared(cpu: &mut State, r: &mut Random) {
    (0..8).for_each(|n| cpu.set_r32(n, r.value()));
    let edge = EDGE - 8 + r.below(16);
    cpu.set_r32(4, EDGE);
    cpu.set_r32(5, edge);
    cpu.set_r32(7, edge);
    cpu.set_arithmetic_flags(r.bits() as u32);
}

#[test]
fn flags_in_part_divisions_and_page_ends() {
    let mut r = Random::new(20_031_113);
    for n in 0..programs() {
        let code = program(&mut r);
        let mut plain = Party::new(Interpreter::default(), &code);
        let mut compiled = jits().map(|j| Party::new(j, &code));
        prepared(&mut plain.cpu, &mut r);
        compiled.iter_mut().for_each(|c| c.cpu = plain.cpu.clone());
        let mut until = 0;
        while until < 600 {
            until += u64::from(1 + r.below(50));
            let faults = plain.run(until);
            for (which, c) in compiled.iter_mut().enumerate() {
                let program = || format!("#{n} {} at {until}, JIT {which}", listing(&code));
                assert_eq!(c.run(until), faults, "{}", program());
                assert_eq!(c.seen(), plain.seen(), "{}", program());
            }
        }
        assert!(compiled.iter().all(|c| c.engine.meter().unwrap().compiled_regions > 0));
    }
}

/// Two pages one behind the other whose frames are not: loads are done in compiled code, two by one instruction
/// as well.
#[test]
fn loads_across_pages_that_lie_apart() {
    LOOKUPS.into_iter().for_each(loads_across_pages);
}

fn loads_across_pages(lookup: Lookup) {
    // through a register each, so that no two are looked up as one:
    // MOVQ MM0, [EBP+EAX-5]; MOV EAX, [EBP-1]; MOV CX, [EBX-1]; ADD EDX, [ESP-3]; MOVD EBX, MM0; CMPSD; HLT
    let code = [
        0x0f, 0x6f, 0x44, 0x05, 0xfb, 0x8b, 0x45, 0xff, 0x66, 0x8b, 0x4b, 0xff, 0x03, 0x54, 0x24, 0xfd, 0x0f,
        0x7e, 0xc3, 0xa7, HLT,
    ];
    let mut p = Party::new(jit(lookup), &code);
    let rights = Rights { read: true, write: false, execute: false };
    p.mem.install(EDGE - 0x1000, 0x30_0000, rights);
    p.mem.install(EDGE, 0x20_0000, rights);
    let bytes: Vec<u8> = (0..16u8).map(|n| 0x11 * n).collect();
    p.mem.load(0x30_0ff8, &bytes[..8]);
    p.mem.load(0x20_0000, &bytes[8..]);
    let at = |n: usize| u32::from_le_bytes(bytes[n..n + 4].try_into().unwrap());
    for (register, value) in
        [(0, 0), (1, 0), (2, 5), (3, EDGE), (4, EDGE), (5, EDGE), (6, EDGE - 1), (7, EDGE - 2)]
    {
        p.cpu.set_r32(register, value);
    }
    // a trace may want the dispatcher before HLT does
    for _ in 0..4 {
        if p.cpu.activity != Activity::Halted {
            assert_eq!(p.engine.run(&mut p.cpu, &mut p.mem, &mut Flat::default(), 100), StopReason::Leave);
        }
    }
    assert_eq!((p.cpu.r32(0), p.cpu.r32(1), p.cpu.r32(2)), (at(7), at(7) & 0xffff, at(5).wrapping_add(5)));
    assert_eq!(p.cpu.r32(3), at(3));
    let (a, b) = (at(7), at(6));
    assert_eq!(p.cpu.flags_image() & 1, u32::from(a < b));
    assert_eq!(p.cpu.flags_image() >> 6 & 1, u32::from(a == b));
    // CMPSD has seen both: its borrow out of bit 3 as well
    assert_eq!(p.cpu.flags_image() >> 4 & 1, u32::from(a & 15 < b & 15));
    assert_eq!(p.engine.meter().unwrap().exits[2], 0, "something was redone");
}

/// MOV to two such pages is done in compiled code; nothing beside its bytes is written.
#[test]
fn moves_across_pages_that_lie_apart() {
    LOOKUPS.into_iter().for_each(moves_across_pages);
}

fn moves_across_pages(lookup: Lookup) {
    // MOV [EBP-3], EAX; MOV [EBX-1], CX; MOV DWORD [ESI+1], 44332211h; HLT
    let code = [0x89, 0x45, 0xfd, 0x66, 0x89, 0x4b, 0xff, 0xc7, 0x46, 0x01, 0x11, 0x22, 0x33, 0x44, HLT];
    let rights = Rights { read: true, write: true, execute: false };
    for (base, expected) in [
        // the last 8 bytes of one page, the first 8 of the other
        (EDGE, [[0, 0, 0, 0, 0, 1, 2, 0x55], [0x66, 0, 0, 0, 0, 0, 0, 0]]),
        (EDGE - 0x800, [[0; 8], [0; 8]]),
    ] {
        let mut p = Party::new(jit(lookup), &code);
        p.mem.install(EDGE - 0x1000, 0x30_0000, rights);
        p.mem.install(EDGE, 0x20_0000, rights);
        for (register, value) in [(0, 0x0403_0201), (1, 0x6655), (3, base), (5, base), (6, EDGE - 0x100)] {
            p.cpu.set_r32(register, value);
        }
        for _ in 0..4 {
            if p.cpu.activity != Activity::Halted {
                assert_eq!(
                    p.engine.run(&mut p.cpu, &mut p.mem, &mut Flat::default(), 100),
                    StopReason::Leave
                );
            }
        }
        let mut bytes = [[0; 8]; 2];
        p.mem.read_physical(0x30_0ff8, &mut bytes[0]);
        p.mem.read_physical(0x20_0000, &mut bytes[1]);
        assert_eq!(bytes, expected);
        let mut inside = [0; 4];
        p.mem.read_physical(0x30_0f01, &mut inside);
        assert_eq!(inside, [0x11, 0x22, 0x33, 0x44]);
        assert_eq!(p.engine.meter().unwrap().exits[2], 0, "something was redone");
    }
}

/// Pages that have one place in a table do not make compiled code leave, nor do pages that are met for the first
/// time there.
#[test]
fn pages_that_oust_each_other_are_found() {
    // ADD [EBX], EAX; ADD [ESI], ECX; MOV EDX, [EDI]; MOV [EBP], DL; DEC EAX; JNZ -15; HLT
    let code = [0x01, 0x03, 0x01, 0x0e, 0x8b, 0x17, 0x88, 0x55, 0x00, 0x48, 0x75, 0xf4, HLT];
    let apart = mem::TAGGED_ENTRIES * mem::PAGE;
    let mut p = Party::new(jit(Lookup::Tagged), &code);
    for (n, register) in (0u32..).zip([3, 6, 7, 5]) {
        let at = EDGE + n * apart;
        p.mem.install(
            at,
            0x20_0000 + u64::from(n) * 0x1000,
            Rights { read: true, write: true, execute: false },
        );
        p.cpu.set_r32(register, at);
    }
    p.cpu.set_r32(0, 50);
    p.cpu.set_r32(1, 3);
    p.mem.load(0x20_2000, &0x1234_5678_u32.to_le_bytes());
    assert_eq!(p.engine.run(&mut p.cpu, &mut p.mem, &mut Flat::default(), 1000), StopReason::Leave);
    assert_eq!(p.cpu.activity, Activity::Halted);
    let seen = [0, 0x1000, 0x3000].map(|at| p.mem.dword(0x20_0000 + at).unwrap());
    assert_eq!((seen, p.cpu.r32(2)), ([50 * 51 / 2, 150, 0x78], 0x1234_5678));
    assert_eq!(p.engine.meter().unwrap().exits[2], 0, "something was redone");
}
