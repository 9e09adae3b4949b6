//! Sealing: adding seals, and proving a file constant.

#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

mod common;

use common::{SIZES, criterion, pattern, size};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use memfile::{MemFile, SealedFile, Seals};

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    for len in SIZES {
        let bytes = pattern(len);
        let filled = || {
            let file = MemFile::create_sealable("bench").expect("memfd_create");
            file.write_all_at(&bytes, 0).expect("pwrite");
            file
        };
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("add_seals", size(len)), |b| {
            b.iter_batched_ref(filled, |file| file.add_seals(Seals::IMMUTABLE), BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("into_sealed", size(len)), |b| {
            b.iter_batched(filled, MemFile::into_sealed, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn prove(c: &mut Criterion) {
    let sealed = SealedFile::from_bytes("bench", b"bytes").expect("a sealed file");
    c.bench_function("prove a received descriptor", |b| {
        b.iter_batched(
            || sealed.try_clone().expect("a descriptor").into_fd(),
            SealedFile::try_from,
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(name = benches; config = criterion(); targets = seal, prove);
criterion_main!(benches);
