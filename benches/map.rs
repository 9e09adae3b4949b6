//! Mapping a sealed file: the call alone, with each page made present, and for private changes.

#[path = "../compare/src/bytes.rs"]
mod bytes;
mod config;

use bytes::{SIZES, pattern, size};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use memfile::{MapOptions, SealedFile};

fn map(c: &mut Criterion) {
    let mut group = c.benchmark_group("map");
    for len in SIZES {
        let sealed = SealedFile::from_bytes("bench", &pattern(len)).expect("a sealed file");
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("map", size(len)), |b| {
            b.iter(|| sealed.map().expect("mmap"));
        });
        let populate = MapOptions::new().populate(true);
        group.bench_function(BenchmarkId::new("populated", size(len)), |b| {
            b.iter(|| sealed.map_with(.., populate).expect("mmap"));
        });
        group.bench_function(BenchmarkId::new("copy-on-write", size(len)), |b| {
            b.iter(|| sealed.map_copy_on_write().expect("mmap"));
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = config::criterion(); targets = map);
criterion_main!(benches);
