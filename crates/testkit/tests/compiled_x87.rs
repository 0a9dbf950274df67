//! Sequences of x87 instructions in compiled code against the interpreter, which is checked against the host's
//! processor: runs of them that become one routine, operands in memory, comparisons and who asks for their flags.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

mod compiled;
#[path = "float_vs_host/operands.rs"]
#[allow(dead_code, reason = "shared with another test")]
mod operands;

use compiled::{DATA, Pair, blank};
use cpu::{CodeSize, CpuModel, Register, State};
use operands::Rng;

/// Sequences, unless RINGER_FP_CASES says otherwise.
fn cases() -> u32 {
    std::env::var("RINGER_FP_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(3000)
}

/// An x87 instruction on registers.
fn inside(rng: &mut Rng) -> Vec<u8> {
    loop {
        let bytes = vec![0xd8 + rng.below(8) as u8, 0xc0 + rng.below(64) as u8];
        // no more than some FNINIT and transcendental functions
        let rare = bytes == [0xdb, 0xe3] || bytes[0] == 0xd9 && bytes[1] >= 0xf0;
        if (!rare || rng.below(4) == 0) && isa::decode(&bytes, CodeSize::Bits32, CpuModel::N270).is_ok() {
            return bytes;
        }
    }
}

/// One with an operand at EDI or behind it, not its whole environment.
fn with_memory(rng: &mut Rng) -> Vec<u8> {
    loop {
        let (escape, digit) = (0xd8 + rng.below(8) as u8, rng.below(8) as u8);
        let large = matches!((escape, digit), (0xd9, 4 | 6) | (0xdd, 4 | 6));
        // FLDCW would most likely unmask exceptions
        if large || (escape, digit) == (0xd9, 5) {
            continue;
        }
        let bytes = vec![escape, 0x40 | digit << 3 | 7, 4 * rng.below(12) as u8];
        if isa::decode(&bytes, CodeSize::Bits32, CpuModel::N270).is_ok() {
            return bytes;
        }
    }
}

/// What sets, asks for or changes flags: FCOMI, FNSTSW AX, SAHF, COMISD, UCOMISS, SETcc, CMOVcc, Jcc to where it goes
/// anyway and over a scalar addition, INC, CMC, LAHF; and scalar arithmetic, for what blocks know of its registers.
fn with_flags(rng: &mut Rng) -> Vec<u8> {
    let cc = rng.below(16) as u8;
    match rng.below(15) {
        0 | 1 => vec![0xdb, 0xf0 + rng.below(4) as u8],
        2 => vec![0xdf, 0xe0],
        3 => vec![0x9e],
        4 => vec![0x66, 0x0f, 0x2f, 0xc0 | rng.below(64) as u8],
        5 => vec![0x0f, 0x2e, 0xc0 | rng.below(64) as u8],
        6 => vec![0x0f, 0x90 | cc, 0xc3],
        7 => vec![0x0f, 0x40 | cc, 0xd1],
        8 => vec![0x70 | cc, 0],
        9 => vec![0x45],
        10 | 11 => [vec![0x70 | cc, 4], scalar(rng)].concat(),
        12 | 13 => scalar(rng),
        _ => vec![[0xf5, 0x9f][rng.below(2) as usize]],
    }
}

/// ADDSD, MULSD, SUBSD or MINSD of registers.
fn scalar(rng: &mut Rng) -> Vec<u8> {
    let opcode = [0x58, 0x59, 0x5c, 0x5d][rng.below(4) as usize];
    vec![0xf2, 0x0f, opcode, 0xc0 | rng.below(64) as u8]
}

fn sequence(rng: &mut Rng, flags: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..4 + rng.below(16) {
        bytes.extend(match rng.below(6) {
            0 => with_memory(rng),
            1 | 2 if flags => with_flags(rng),
            _ => inside(rng),
        });
    }
    bytes
}

fn random(rng: &mut Rng) -> (State, [u8; 64]) {
    let mut cpu = blank();
    cpu.mxcsr = 0x1fa0;
    cpu.set_flags_image(rng.next() as u32 & 0x8d5 | 2);
    for r in 0..8 {
        cpu.set_r32(r, rng.bits() as u32);
    }
    cpu.set_r32(7, DATA);
    let top = rng.below(8) as u16;
    cpu.fpu.control = 0x7f | (rng.below(16) as u16) << 8;
    if rng.below(8) == 0 {
        cpu.fpu.control &= !(rng.next() as u16 & 0x3f);
    }
    cpu.fpu.status = top << 11 | rng.next() as u16 & 0x4700;
    if rng.below(2) == 0 && cpu.fpu.control & 0x3f == 0x3f {
        cpu.fpu.status |= rng.next() as u16 & 0x7f;
    }
    cpu.fpu.occupied = [0x0fu8, 0x3f, 0x1f, rng.next() as u8][rng.below(4) as usize].rotate_left(top.into());
    for n in 0..8 {
        let v = rng.f80();
        cpu.fpu.registers[n] = Register { significand: v.sig, exponent: v.se };
        cpu.xmm[n] = u128::from([rng.f64(), f64::to_bits(1.5), f64::to_bits(-2.0)][rng.below(3) as usize]);
    }
    let mut memory = [0; 64];
    for chunk in memory.chunks_mut(8) {
        chunk.copy_from_slice(&rng.f64().to_le_bytes());
    }
    (cpu, memory)
}

fn check(flags: bool) {
    let (mut pair, mut rng) = (Pair::with(jit::Arithmetic::default()), Rng::new(87 + u64::from(flags)));
    let (mut compiled, mut count) = (0, 0);
    for _ in 0..cases() {
        let bytes = sequence(&mut rng, flags);
        pair.load(&bytes);
        for _ in 0..8 {
            let (cpu, memory) = random(&mut rng);
            count += 1;
            match pair.case(&cpu, &memory) {
                Ok(inside) => compiled += u32::from(inside),
                Err(text) => panic!("{bytes:02x?} {:x?}{text}", cpu.fpu),
            }
        }
    }
    println!("{compiled} of {count} in compiled code");
    assert!(compiled * 8 > count, "only {compiled} of {count} in compiled code");
}

#[test]
fn sequences() {
    check(false);
}

#[test]
fn sequences_with_flags() {
    check(true);
}
