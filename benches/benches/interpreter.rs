//! Instructions a second of the interpreter, by kind of code: criterion's "elements" are guest
//! instructions.
#![allow(missing_docs)]

use benches::GUESTS;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use interp::Interpreter;

/// Instructions an iteration.
const BATCH: u64 = 100_000;

fn interpreter(c: &mut Criterion) {
    let mut group = c.benchmark_group("interpreter");
    group.throughput(Throughput::Elements(BATCH));
    for guest in GUESTS {
        let mut machine = guest.machine(Box::new(Interpreter::default())).expect("the guest's machine");
        group.bench_function(guest.name, |b| b.iter(|| machine.run(machine.cpu().retired + BATCH)));
    }
}

criterion_group!(benches, interpreter);
criterion_main!(benches);
