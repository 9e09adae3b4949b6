//! Sealing: adding seals to files of any size, and proving a file constant.

#[path = "../compare/src/bytes.rs"]
mod bytes;
mod config;

use bytes::{SIZES, pattern, size};
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
        // One file at a time: a batch of the largest would not fit into memory.
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
        let received = || sealed.try_clone().expect("a descriptor").into_fd();
        b.iter_batched(received, SealedFile::try_from, BatchSize::SmallInput);
    });
}

criterion_group!(name = benches; config = config::criterion(); targets = seal, prove);
criterion_main!(benches);
