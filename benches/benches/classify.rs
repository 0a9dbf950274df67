//! How many pairs of states the classifier asks its predicates of, in a second.

use classify::derive::Certificate;
use classify::{CodeMode, Configuration, Form, derive};
use cpu::CpuModel;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// A form of each weight: none of what is derived is kept from one to the next.
const FORMS: [(&str, &[u8]); 3] = [("push_cs", &[0x0e]), ("mov_ds_eax", &[0x8e, 0xd8]), ("iretd", &[0xcf])];

fn pairs(c: &mut Criterion) {
    let mut group = c.benchmark_group("classify");
    group.sample_size(10);
    for (name, bytes) in FORMS {
        let Some(form) = Form::decode(bytes, CodeMode::Bits32, CpuModel::N270) else { continue };
        let Certificate::Tree { pairs, .. } = derive(&form, Configuration::default()).certificate else {
            continue;
        };
        group.throughput(Throughput::Elements(pairs));
        group.bench_function(name, |b| b.iter(|| derive(&form, Configuration::default())));
    }
    group.finish();
}

criterion_group!(benches, pairs);
criterion_main!(benches);
