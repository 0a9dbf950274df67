//! The lockstep runner: it finds nothing where there is nothing, and what was put there where it
//! was put.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]
#![forbid(unsafe_code)]

use cpu::{Engine, Monitor, State, StopReason, eflags, reg};
use interp::Interpreter;
use mem::Memory;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use testkit::lockstep::guests::{Chosen, Start};
use testkit::lockstep::{Divergence, Failure, Lockstep, MakeEngine, Options, Party, Report, maker};

/// Does something wrong, once, when so many instructions have retired.
type Wrong = fn(&mut State, &mut Memory);

/// The interpreter, and one thing wrong.
struct Faulty {
    inner: Interpreter,
    at: u64,
    wrong: Wrong,
    /// Instructions that it must have run itself before.
    warm: u64,
    run: u64,
    done: Arc<AtomicBool>,
}

impl Engine for Faulty {
    fn run(&mut self, cpu: &mut State, mem: &mut Memory, m: &mut dyn Monitor, until: u64) -> StopReason {
        let before = cpu.retired;
        let stop = if before < self.at { until.min(self.at) } else { until };
        let reason = self.inner.run(cpu, mem, m, stop);
        self.run += cpu.retired - before;
        let reached = before < self.at && cpu.retired == self.at && self.run >= self.warm;
        if reached && !self.done.swap(true, Ordering::Relaxed) {
            (self.wrong)(cpu, mem);
        }
        if reason == StopReason::Budget && cpu.retired < until {
            return self.run(cpu, mem, m, until);
        }
        reason
    }

    fn flush(&mut self) {
        self.inner.flush();
    }
}

fn interpreter() -> MakeEngine {
    maker("interpreter").unwrap()
}

fn faulty(at: u64, wrong: Wrong) -> MakeEngine {
    warm(at, wrong, 0)
}

fn warm(at: u64, wrong: Wrong, warm: u64) -> MakeEngine {
    Box::new(move || {
        let done = Arc::new(AtomicBool::new(false));
        Ok(Box::new(Faulty { inner: Interpreter::default(), at, wrong, warm, run: 0, done }))
    })
}

fn run(guest: &Chosen, second: MakeEngine, instructions: u64) -> Result<Report, Box<Divergence>> {
    let options = Options { every: 10_000, keep: 200_000, pause: 0 };
    let first = Party { name: "interpreter".to_owned(), engine: interpreter() };
    let second = Party { name: "other".to_owned(), engine: second };
    match Lockstep::new(guest, first, second, options).run(instructions) {
        Ok(report) => Ok(report),
        Err(Failure::Diverged(d)) => Err(d),
        Err(Failure::Cannot(why)) => panic!("{why}"),
    }
}

fn embedded() -> Chosen {
    Chosen::by_name("embedded", Some(2 << 20)).unwrap()
}

fn random(seed: u64) -> Chosen {
    Chosen { start: Start::Random(seed), memory: 0 }
}

fn found(second: MakeEngine) -> Divergence {
    *run(&embedded(), second, 1_000_000).expect_err("the engine is wrong")
}

/// It was found at exactly the instruction, and one line says what.
fn exactly(second: MakeEngine, at: u64, line: impl Fn(&str) -> bool) {
    let d = found(second);
    assert_eq!((d.same_at, d.differ_at), (at - 1, at), "{d}");
    assert!(d.differences.iter().any(|l| line(l)), "{d}");
    let marked: Vec<_> = d.instructions.iter().filter(|l| l.starts_with('>')).collect();
    assert!(marked.len() == 1 && marked[0].contains(&format!(" {at}  ")), "{d}");
}

#[test]
fn the_same_engine_makes_no_difference() {
    let report = run(&embedded(), interpreter(), 1_000_000).unwrap();
    assert_eq!((report.retired, report.comparisons, report.ended), (1_000_000, 100, None));
    assert!(report.kept >= 4);
}

#[test]
fn random_bytes_make_no_difference() {
    for seed in 0..4 {
        let report = run(&random(seed), interpreter(), 60_000).unwrap();
        assert_eq!(report.retired, 60_000, "seed {seed}");
    }
}

#[test]
fn the_shadows_form_makes_no_difference() {
    for (guest, instructions) in [(embedded(), 30_000_000), (random(1), 500_000)] {
        let report = run(&guest, maker("jit-tagged").unwrap(), instructions).unwrap();
        assert_eq!(report.retired, instructions);
    }
}

#[test]
fn a_wrong_register_is_found() {
    let wrong: Wrong = |cpu, _| cpu.xmm[3] ^= 0x10;
    exactly(faulty(123_457, wrong), 123_457, |l| l == "xmm3: 0, 10");
}

#[test]
fn a_wrong_register_is_found_behind_a_kept_state() {
    let wrong: Wrong = |cpu, _| cpu.set_r32(reg::DI, cpu.r32(reg::DI) ^ 0x8000_0000);
    exactly(faulty(654_321, wrong), 654_321, |l| l.starts_with("edi: "));
}

#[test]
fn a_wrong_flag_is_found() {
    let wrong: Wrong = |cpu, _| cpu.set_flags_image(cpu.flags_image() ^ eflags::AF);
    exactly(faulty(77_777, wrong), 77_777, |l| l.starts_with("flag af: "));
}

#[test]
fn another_form_of_the_same_flags_is_no_difference() {
    let other: Wrong = |cpu, _| {
        let image = cpu.flags_image();
        cpu.set_flags_image(image);
        (cpu.gpr[20], cpu.leave) = (1, false);
    };
    assert!(run(&embedded(), faulty(77_777, other), 200_000).is_ok());
}

#[test]
fn a_wrong_byte_of_memory_is_found() {
    let wrong: Wrong = |_, mem| mem.write_physical(0x1f_fff3, &[0x5a]);
    exactly(faulty(300_001, wrong), 300_001, |l| l == "memory 001ffff3: 00, 5a");
}

#[test]
fn a_write_that_no_trace_saw_is_found_at_the_next_look_at_all_of_memory() {
    let wrong: Wrong = |_, mem| {
        mem.install(0x1f_e000, 0x1f_e000, mem::Rights { read: true, write: true, execute: false });
        let host = mem.lookup_read(0x1f_e000, 1).unwrap();
        mem.write(host, [0x77]);
        mem.drop_all();
    };
    exactly(faulty(300_001, wrong), 300_001, |l| l == "memory 001fe000: 00, 77");
}

#[test]
fn a_wrong_count_is_found() {
    let wrong: Wrong = |cpu, _| cpu.retired += 1;
    exactly(faulty(45_678, wrong), 45_678, |l| l == "instructions retired: 45678, 45679");
}

#[test]
fn what_a_new_engine_does_not_show_is_found_from_the_start() {
    let wrong: Wrong = |cpu, _| cpu.dr[0] = 1;
    // the last state before is kept at 600000 instructions
    let d = found(warm(654_321, wrong, 300_000));
    assert_eq!((d.same_at, d.differ_at), (654_320, 654_321), "{d}");
    assert!(d.remarks[0].contains("from the last state that was kept: no difference"), "{d}");
    assert!(d.remarks[1].starts_with("found by running again to ever nearer counts from the start"), "{d}");
    assert_eq!(d.differences, ["dr0: 0, 1"]);
}

#[test]
fn what_does_not_come_again_is_told_of_as_it_was_seen() {
    let done = Arc::new(AtomicBool::new(false));
    let wrong: Wrong = |cpu, _| cpu.dr[1] = 0xabc;
    let once: MakeEngine = Box::new(move || {
        let (inner, done) = (Interpreter::default(), Arc::clone(&done));
        Ok(Box::new(Faulty { inner, at: 123_456, wrong, warm: 0, run: 0, done }))
    });
    let d = found(once);
    assert_eq!((d.same_at, d.differ_at), (120_000, 130_000), "{d}");
    assert!(d.remarks.last().unwrap().contains("did not come again"), "{d}");
    assert_eq!(d.differences, ["dr1: 0, abc"]);
    assert!(d.instructions.is_empty());
}

#[test]
fn an_end_of_one_alone_is_found() {
    let wrong: Wrong = |cpu, _| cpu.activity = cpu::Activity::Shutdown;
    let d = found(faulty(5_000, wrong));
    assert_eq!(d.differ_at, 5_000, "{d}");
    assert!(d.differences.iter().any(|l| l.contains("activity: Running, Shutdown")), "{d}");
}
