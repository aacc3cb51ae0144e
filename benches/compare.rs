//! Comparing two tensors against copying the same bytes, in one run: the ratio is what counts.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paritty::compare::metrics::sums;

fn compare(c: &mut Criterion) {
    // The first fits the second-level cache, the second is the logits of a large vocabulary, the
    // third is far larger than any cache.
    for (label, n) in [("4096", 4096), ("151936", 151_936), ("16M", 16 << 20)] {
        let a: Vec<f32> = (0..n).map(|i| (i % 1013) as f32 * 0.01 - 5.0).collect();
        let b: Vec<f32> = a.iter().map(|x| x * 1.001).collect();
        let mut out = vec![0.0_f32; 2 * n];
        let mut group = c.benchmark_group(format!("two tensors of {label} f32"));
        group.throughput(Throughput::Bytes(8 * n as u64)).sample_size(20);
        group.bench_function("compare", |bench| bench.iter(|| sums(black_box(&a), black_box(&b))));
        group.bench_function("copy", |bench| {
            bench.iter(|| {
                out[..n].copy_from_slice(black_box(&a));
                out[n..].copy_from_slice(black_box(&b));
                black_box(&mut out);
            });
        });
        group.finish();
    }
}

criterion_group!(benches, compare);
criterion_main!(benches);
