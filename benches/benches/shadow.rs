//! The shadow and its traces: what a lookup, a fill and a hit cost.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mem::{Memory, Rights, TableUse};
use std::hint::black_box;

const PAGES: u32 = 256;
const ALL: Rights = Rights { read: true, write: true, execute: true };

fn filled() -> Memory {
    let mut memory = Memory::new(8 << 20).expect("8 MiB");
    (0..PAGES).for_each(|n| memory.install(n << 12, u64::from(n) << 12, ALL));
    memory
}

fn shadow(c: &mut Criterion) {
    let mut group = c.benchmark_group("shadow");
    group.throughput(Throughput::Elements(u64::from(PAGES)));
    let mut memory = filled();
    group.bench_function("lookup", |b| {
        b.iter(|| (0..PAGES).filter(|n| black_box(&memory).lookup_read(n << 12, 4).is_some()).count());
    });
    group.bench_function("fill and drop", |b| {
        b.iter(|| {
            (0..PAGES).for_each(|n| memory.install(n << 12, u64::from(n) << 12, ALL));
            memory.drop_pages(memory.current(), 0, PAGES);
        });
    });
    group.throughput(Throughput::Elements(1));
    let mut memory = filled();
    let space = memory.current();
    memory.trace_table(9, TableUse { space, first_page: 0, pages_per_entry: 1, entry_size: 4 });
    group.bench_function("trace hit of a table", |b| {
        b.iter(|| {
            memory.write_physical(0x9010, black_box(&[1, 0, 0, 0]));
            memory.take_table_write()
        });
    });
    let mut memory = filled();
    group.bench_function("trace hit of code", |b| {
        b.iter(|| {
            memory.set_code(9, 1);
            memory.write_physical(0x9010, black_box(&[1, 0, 0, 0]));
            memory.take_code_writes().len()
        });
    });
}

criterion_group!(benches, shadow);
criterion_main!(benches);
