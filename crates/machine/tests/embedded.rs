//! The default guest, and the properties of runs that it can show.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

use interp::Interpreter;
use isa::CpuModel;
use machine::{Config, Exit, Image, Machine};

fn guest() -> Machine {
    let config = Config { memory: 16 << 20, model: CpuModel::N270, deterministic: true, epoch: 946_684_800 };
    let mut machine = Machine::new(config, Box::new(Interpreter::default())).unwrap();
    machine.boot(&Image::Rom(test_roms::DEFAULT_GUEST.to_vec())).unwrap();
    machine
}

/// Runs up to `limit` instructions in all; returns why it ended, with what was printed appended.
fn run(machine: &mut Machine, limit: u64, out: &mut Vec<u8>) -> Exit {
    loop {
        let exit = machine.run(limit);
        machine.serial_output(0, out);
        if exit != Exit::Slice {
            return exit;
        }
    }
}

/// Numbers from a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % n
    }
}

fn fibonacci(n: u32) -> u32 {
    (0..n).fold((0u32, 1u32), |(a, b), _| (b, a.wrapping_add(b))).0
}

fn primes_below(n: usize) -> usize {
    let mut composite = vec![false; n];
    (2..n)
        .filter(|&p| {
            if !composite[p] {
                (p * p..n).step_by(p).for_each(|m| composite[m] = true);
            }
            !composite[p]
        })
        .count()
}

fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    !bytes.fold(u32::MAX, |crc, &b| {
        (0..8).fold(crc ^ u32::from(b), |c, _| if c & 1 != 0 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[test]
fn the_default_guest_computes_and_powers_off() {
    let mut machine = guest();
    let mut out = Vec::new();
    assert_eq!(run(&mut machine, 400_000_000, &mut out), Exit::PowerOff);
    let text = String::from_utf8(out).unwrap();
    let page = &test_roms::DEFAULT_GUEST[0x8000..0x9000];
    for line in [
        "Page fault at 40200000h, error code 6".to_owned(),
        "CLI at CPL 3. It is privileged, so it trapped".to_owned(),
        "PUSHF says IF = 1: POPF was ignored".to_owned(),
        "SMSW shows me CR0: 80010011h".to_owned(),
        "HLT at CPL 3. The interpreter for HLT ends task C".to_owned(),
        format!("There are {} primes below 1048576", primes_below(1 << 20)),
        format!("The 15000000th Fibonacci number ends in {:08X}h", fibonacci(15_000_000)),
        format!("200 times over, is {:08X}h", crc32((0..200).flat_map(|_| page))),
        "granted 256 pages on demand. Power off.".to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("nobody planned"), "{text}");
    let lines = text.lines().count();
    assert!((25..=45).contains(&lines), "{lines} lines");
    let stats = machine.stats();
    assert!(stats.interrupts > 100, "{stats:?}");
    assert!(stats.faults[14] == 256 && stats.faults[13] == 2, "{stats:?}");
}

#[test]
fn deterministic_runs_are_the_same_run() {
    let mut hashes = [Vec::new(), Vec::new()];
    for list in &mut hashes {
        let mut machine = guest();
        let mut out = Vec::new();
        // odd steps, so that stops fall into blocks
        while run(&mut machine, machine_goal(list.len()), &mut out) == Exit::Limit {
            list.push(machine.state_hash());
        }
        list.push(machine.state_hash());
    }
    assert!(hashes[0].len() > 10);
    assert_eq!(hashes[0], hashes[1]);
}

fn machine_goal(n: usize) -> u64 {
    (n as u64 + 1) * 9_999_991
}

#[test]
fn dropping_every_shadow_changes_nothing_that_the_guest_sees() {
    let mut plain = guest();
    let mut dropped = guest();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut at = 0;
    let mut drops = 0;
    loop {
        // dense where the tasks begin, sparse where they only compute
        at += if at < 3_000_000 { 1 + random.below(20_000) } else { 1 + random.below(3_000_000) };
        let exits = [run(&mut plain, at, &mut a), run(&mut dropped, at, &mut b)];
        assert_eq!(exits[0], exits[1], "at {at}");
        assert_eq!(a, b, "at {at}");
        if drops % 16 == 0 || exits[0] != Exit::Limit {
            assert_eq!(plain.state_hash(), dropped.state_hash(), "after {drops} drops, at {at}");
        }
        if exits[0] != Exit::Limit {
            break;
        }
        dropped.drop_shadows();
        drops += 1;
    }
    assert!(drops > 200, "{drops}");
    // the drops did happen
    assert!(dropped.stats().shadow.fills > plain.stats().shadow.fills);
}

#[test]
fn a_different_instant_has_a_different_hash() {
    let mut machine = guest();
    let mut out = Vec::new();
    run(&mut machine, 1_000_000, &mut out);
    let before = machine.state_hash();
    let inverse = !machine.cpu().r32(3);
    machine.cpu_mut().set_r32(3, inverse);
    assert_ne!(machine.state_hash(), before);
    let inverse = !machine.cpu().r32(3);
    machine.cpu_mut().set_r32(3, inverse);
    assert_eq!(machine.state_hash(), before);
}
