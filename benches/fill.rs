//! Filling: bytes to a sealed file.

#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

mod common;

use common::{SIZES, criterion, pattern, size};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use memfile::{Builder, SealedFile};

fn fill(c: &mut Criterion) {
    let mut group = c.benchmark_group("fill");
    for len in SIZES {
        let bytes = pattern(len);
        let huge = Builder::new().huge_pages(true);
        group.throughput(Throughput::Bytes(len as u64));
        // One file at a time, dropped after the clock has stopped.
        group.bench_function(BenchmarkId::new("from_bytes", size(len)), |b| {
            b.iter_batched(|| (), |()| SealedFile::from_bytes("bench", &bytes), BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("from_bytes, huge pages", size(len)), |b| {
            b.iter_batched(|| (), |()| huge.from_bytes("bench", &bytes), BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("build", size(len)), |b| {
            let build = |()| SealedFile::build("bench", len, |target| target.copy_from_slice(&bytes));
            b.iter_batched(|| (), build, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("from_reader", size(len)), |b| {
            b.iter_batched(|| (), |()| SealedFile::from_reader("bench", &bytes[..]), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = fill);
criterion_main!(benches);
