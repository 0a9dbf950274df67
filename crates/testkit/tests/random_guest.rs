//! Guests of random bytes: nothing that they do may panic or exhaust the host.
//!
//! RINGER_SEEDS and RINGER_INSTRUCTIONS make the run longer: the full one is 64 seeds of
//! 10000000 instructions.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

use interp::Interpreter;
use machine::Exit;
use testkit::random::Random;
use testkit::random_guest::{Mode, fill, machine, start};

/// What one machine may add to the process, whatever its guest does.
const MOST_GROWTH: u64 = 600 << 20;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Bytes of the process that are in memory.
fn resident() -> u64 {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else { return 0 };
    text.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 4096
}

/// Runs one guest for `instructions`; returns how often it came to an end of its own.
fn run(mode: Mode, seed: u64, instructions: u64) -> u32 {
    let mut random = Random::new(seed);
    let mut machine = machine(seed, Box::new(Interpreter::default())).unwrap();
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
