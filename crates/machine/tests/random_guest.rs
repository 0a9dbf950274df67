//! Guests of random bytes: nothing that they do may panic or exhaust the host.
//!
//! RINGER_SEEDS and RINGER_INSTRUCTIONS make the run longer: the full one is 64 seeds of
//! 10000000 instructions.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

use cpu::{Activity, Segment, State, cr0, cr4, eflags, rights, seg};
use interp::Interpreter;
use isa::CpuModel;
use machine::{Config, Exit, Machine};

const MEMORY: u64 = 2 << 20;
const SIZE: u32 = MEMORY as u32;
/// What one machine may add to the process, whatever its guest does.
const MOST_GROWTH: u64 = 600 << 20;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn word(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Real,
    Protected,
    Paged,
    Virtual8086,
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Bytes of the process that are in memory.
fn resident() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    text.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn flat(code: bool, dpl: u16) -> Segment {
    let kind = if code { rights::CODE } else { 0 };
    let rights =
        rights::PRESENT | rights::S | rights::WRITABLE | rights::ACCESSED | rights::BIG | kind | dpl << 5;
    let selector = dpl | if code { 8 } else { 16 };
    let mut s = Segment { base: 0, limit: u32::MAX, rights, selector, ..Segment::default() };
    s.refresh();
    s
}

/// Puts the CPU at a random place in a mode. Control registers keep what the mode needs, and are
/// random otherwise.
fn start(cpu: &mut State, mode: Mode, random: &mut Random) {
    let retired = cpu.retired;
    *cpu = State::new(cpu.model);
    cpu.retired = retired;
    for r in 0..8 {
        let value = if random.word() & 1 == 0 { random.word() % SIZE } else { random.word() };
        cpu.set_r32(r, value);
    }
    cpu.eip = random.word() % SIZE;
    cpu.activity = Activity::Running;
    let flags = random.word() & 0x27_7fd5 & !(eflags::TF | eflags::VM);
    cpu.set_flags_image(flags | eflags::RESERVED1);
    cpu.gdtr = cpu::DescriptorTable { base: random.word() % SIZE, limit: random.word() as u16 };
    cpu.idtr = cpu::DescriptorTable { base: random.word() % SIZE, limit: random.word() as u16 };
    let fpu_bits = random.word() & (cr0::MP | cr0::EM | cr0::TS | cr0::NE);
    match mode {
        Mode::Real => {
            cpu.eip &= 0xffff;
            for s in cpu.seg.iter_mut().take(6) {
                *s = Segment::real(random.word() as u16 & 0x1fff, 0);
            }
        }
        Mode::Protected | Mode::Paged => {
            let cpl = if random.word() & 1 == 0 { 0 } else { 3 };
            cpu.cr0 = cr0::PE | cr0::ET | fpu_bits;
            cpu.cpl = cpl;
            cpu.seg.iter_mut().take(6).for_each(|s| *s = flat(false, cpl.into()));
            cpu.seg[usize::from(seg::CS)] = flat(true, cpl.into());
        }
        Mode::Virtual8086 => {
            cpu.cr0 = cr0::PE | cr0::ET | fpu_bits;
            cpu.cr4 = random.word() & cr4::VME;
            cpu.eflags |= eflags::VM;
            cpu.cpl = 3;
            cpu.eip &= 0xffff;
            for s in cpu.seg.iter_mut().take(6) {
                *s = Segment::real(random.word() as u16 & 0x1fff, 3);
            }
        }
    }
    if mode == Mode::Paged {
        cpu.cr0 |= cr0::PG | random.word() & (cr0::WP | cr0::AM);
        cpu.cr3 = (random.word() % SIZE) & !0xfff;
        cpu.cr4 = random.word() & (cr4::PSE | cr4::PAE | cr4::PGE | cr4::OSFXSR | cr4::TSD);
        cpu.efer = u64::from(random.word() & 1 << 11);
    }
    cpu.seg.iter_mut().for_each(Segment::refresh);
}

/// Random bytes everywhere; with paging, page tables that mostly lead somewhere.
fn fill(machine: &mut Machine, mode: Mode, random: &mut Random) {
    let mut bytes: Vec<u8> = (0..SIZE / 8).flat_map(|_| random.next().to_le_bytes()).collect();
    if mode == Mode::Paged {
        for entry in bytes.chunks_exact_mut(4) {
            if random.word().is_multiple_of(4) {
                let value = (random.word() % SIZE) & !0xfff | random.word() & 0xfe7 | 7;
                entry.copy_from_slice(&value.to_le_bytes());
            }
        }
    }
    // below the video window, and above the ROM area
    assert!(machine.memory().load(0, &bytes[..0xa_0000]));
    assert!(machine.memory().load(0x10_0000, &bytes[0x10_0000..]));
}

/// Runs one guest for `instructions`; returns how often it came to an end of its own.
fn run(mode: Mode, seed: u64, instructions: u64) -> u32 {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let models = [CpuModel::N270, CpuModel::I386, CpuModel::I486, CpuModel::Pentium, CpuModel::Pentium3];
    let model = models[seed as usize % models.len()];
    let config = Config { memory: MEMORY, model, deterministic: true, epoch: 0 };
    let mut machine = Machine::new(config, Box::new(Interpreter::default())).unwrap();
    fill(&mut machine, mode, &mut random);
    start(machine.cpu_mut(), mode, &mut random);
    machine.synchronise();
    let (mut out, mut ends, mut last) = (Vec::new(), 0u32, 0);
    // exits that retire nothing count as well, so that this ends whatever happens
    let mut exits = 0;
    while machine.cpu().retired < instructions && exits < instructions {
        exits += 1;
        // a guest that only takes faults is moved on
        let goal = machine.cpu().retired + 20_000;
        let exit = machine.run(goal.min(instructions));
        machine.serial_output(0, &mut out);
        machine.serial_output(1, &mut out);
        out.clear();
        match exit {
            Exit::Slice => continue,
            Exit::Limit if machine.cpu().retired - last < 1_000_000 => continue,
            _ => {}
        }
        ends += 1;
        last = machine.cpu().retired;
        start(machine.cpu_mut(), mode, &mut random);
        if ends.is_multiple_of(1024) {
            fill(&mut machine, mode, &mut random);
        }
        machine.synchronise();
    }
    ends
}

fn all_seeds(mode: Mode) {
    let seeds = number("RINGER_SEEDS", 5);
    let instructions = number("RINGER_INSTRUCTIONS", 100_000);
    let before = resident();
    let mut ends = 0;
    for seed in 0..seeds {
        ends += run(mode, seed, instructions);
        let grown = resident().saturating_sub(before);
        // four tests may run side by side
        assert!(grown < 4 * MOST_GROWTH, "{mode:?}, seed {seed}: {} MiB more", grown >> 20);
    }
    assert!(ends > 0, "random bytes must come to an end sometimes");
}

#[test]
fn random_bytes_in_real_mode() {
    all_seeds(Mode::Real);
}

#[test]
fn random_bytes_in_protected_mode() {
    all_seeds(Mode::Protected);
}

#[test]
fn random_bytes_with_paging() {
    all_seeds(Mode::Paged);
}

#[test]
fn random_bytes_in_virtual_8086_mode() {
    all_seeds(Mode::Virtual8086);
}
