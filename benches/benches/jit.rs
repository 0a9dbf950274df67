//! What the JIT costs, by part. "Elements" are what the name of a benchmark counts: time over
//! elements is the figure.
#![allow(missing_docs)]

use benches::GUESTS;
use benches::flat::{self, Alone};
use cpu::{Engine, Meter};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jit::{Config, Jit, Lookup};
use std::time::Duration;

/// Instructions an iteration.
const BATCH: u64 = 100_000;

/// Instructions a second by kind of code, as the interpreter's benchmark has them: code compiled at
/// the usual threshold, in a whole machine.
fn speed(c: &mut Criterion) {
    let mut group = c.benchmark_group("jit: instructions");
    group.throughput(Throughput::Elements(BATCH));
    for guest in GUESTS {
        let engine = Jit::with_defaults().expect("a JIT");
        let mut machine = guest.machine(Box::new(engine)).expect("the guest's machine");
        group.bench_function(guest.name, |b| b.iter(|| machine.run(machine.cpu().retired + BATCH)));
    }
}

fn meter(alone: &Alone) -> Meter {
    alone.engine.meter().expect("a JIT has a meter")
}

/// The compiler's own time for an instruction of ordinary code: planning, writing the IR, Cranelift
/// and the way into the cache. What runs is not counted.
fn compile(c: &mut Criterion) {
    let at_once = Config { hot: 0, ..Config::default() };
    for (name, config) in
        [("an instruction", at_once), ("an instruction in one pass", Config { warm: Some(0), ..at_once })]
    {
        compile_by(c, name, config);
    }
}

fn compile_by(c: &mut Criterion, name: &str, config: Config) {
    let mut group = c.benchmark_group("jit: compile");
    let mut alone = Alone::by(&flat::plain().expect("code"), config).expect("an engine");
    alone.run(flat::PLAIN);
    group.throughput(Throughput::Elements(meter(&alone).compiled_instructions));
    group.bench_function(name, |b| {
        b.iter_custom(|times| {
            let before = meter(&alone).compile_nanos;
            for _ in 0..times {
                alone.engine.flush();
                alone.restart();
                alone.run(flat::PLAIN);
            }
            Duration::from_nanos(meter(&alone).compile_nanos - before)
        });
    });
}

/// Code that runs for `instructions` as `count` of what its name says.
fn steady(c: &mut Criterion, name: &str, code: &[u8], instructions: u64, count: u64) {
    steady_by(c, name, Lookup::Flat, code, instructions, count);
}

fn steady_by(c: &mut Criterion, name: &str, lookup: Lookup, code: &[u8], instructions: u64, count: u64) {
    let mut group = c.benchmark_group("jit: steady");
    group.throughput(Throughput::Elements(count));
    let mut alone = Alone::with(code, lookup).expect("an engine");
    assert!(alone.run(instructions), "{name}");
    group.bench_function(name, |b| b.iter(|| alone.run(instructions)));
}

/// - empty loop: a jump to itself with its check of the budget, to be taken off the rest;
/// - chain: from one region to another through a register: the exit's stores, the jump cache, the
///   entry's loads, and two instructions;
/// - load, store: by the shadow, each from a page of its own, with a fifth of the loop; the same by
///   tagged tables;
/// - store beside code: into a page with compiled code, whose grains are looked at;
/// - callout: an instruction done by a routine outside, with its loop.
fn steadily(c: &mut Criterion) {
    let turns = BATCH / 10;
    let all = flat::ACCESSES + 1;
    steady(c, "empty loop", &flat::empty().expect("code"), turns, turns);
    steady(c, "chain", &flat::chained().expect("code"), 2 * turns, turns);
    for (how, lookup) in [("", Lookup::Flat), (", tagged", Lookup::Tagged)] {
        for (what, code) in [("load", flat::loads()), ("store", flat::stores())] {
            let (name, code) = (format!("{what}{how}"), code.expect("code"));
            steady_by(c, &name, lookup, &code, all * turns, flat::ACCESSES * turns);
        }
    }
    steady(c, "store beside code", &flat::beside_code().expect("code"), 2 * turns, turns);
    steady(c, "callout", &flat::called_out().expect("code"), 2 * turns, turns);
}

/// Out of compiled code and into it again: the engine is asked for as many instructions as two turns
/// of an empty loop are, so that every call is an entry and an exit for the budget.
fn exit(c: &mut Criterion) {
    let mut group = c.benchmark_group("jit: exit");
    let mut alone = Alone::new(&flat::empty().expect("code")).expect("an engine");
    alone.run(10);
    let before = meter(&alone);
    group.bench_function("leave and come back", |b| b.iter(|| alone.run(2)));
    let after = meter(&alone);
    assert_eq!(after.interpreted, before.interpreted, "each call was one entry");
}

/// A store into compiled code: the trace, the region dropped, and another compiled in its place, as
/// often as the engine bears it; then what it does about it. First with a new engine each time, then
/// in the long run.
fn trace_hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("jit: store into code");
    let code = flat::into_code().expect("code");
    let fresh = || Alone::new(&code).expect("an engine");
    group.throughput(Throughput::Elements(10));
    group.bench_function("at first", |b| {
        b.iter_batched_ref(fresh, |alone| alone.run(10 * flat::INTO_CODE), BatchSize::PerIteration);
    });
    let turns = 1000;
    group.throughput(Throughput::Elements(turns));
    let mut alone = fresh();
    alone.run(turns * flat::INTO_CODE);
    group.bench_function("in the long run", |b| b.iter(|| alone.run(turns * flat::INTO_CODE)));
}

criterion_group!(benches, speed, compile, steadily, exit, trace_hit);
criterion_main!(benches);
