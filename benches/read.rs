//! Reading a sealed file: all of it the first time, and at random.

#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

mod common;

use core::hint::black_box;

use common::{SIZES, criterion, pattern, size, sum};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use memfile::{Builder, Map, MapOptions, SealedFile};

fn first(c: &mut Criterion) {
    let mut group = c.benchmark_group("first read");
    for len in SIZES {
        let sealed = SealedFile::from_bytes("bench", &pattern(len)).expect("a sealed file");
        let mut buffer = vec![1; len];
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::new("map and sum", size(len)), |b| {
            b.iter(|| sum(&sealed.map().expect("mmap")));
        });
        group.bench_function(BenchmarkId::new("read to a warm buffer and sum", size(len)), |b| {
            b.iter(|| {
                sealed.as_mem_file().read_exact_at(&mut buffer, 0).expect("pread");
                sum(&buffer)
            });
        });
    }
    group.finish();
}

const READS: u64 = 100_000;

fn random(c: &mut Criterion) {
    let bytes = pattern(256 << 20);
    let mut group = c.benchmark_group("random read, 256 MiB");
    group.throughput(Throughput::Elements(READS));
    for (pages, huge) in [("ordinary pages", false), ("huge pages", true)] {
        let sealed = Builder::new().huge_pages(huge).from_bytes("bench", &bytes).expect("a sealed file");
        let options = MapOptions::new().huge_pages(huge);
        group.bench_function(pages, |b| b.iter(|| read(&sealed.map_with(.., options).expect("mmap"))));
    }
    group.finish();
}

/// Reads bytes in an order that no cache can guess.
fn read(map: &Map) -> u64 {
    let mut state = 1_u64;
    let mut sum = 0;
    for _ in 0..READS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let place = usize::try_from(state >> 33).unwrap_or_default() % map.len();
        sum += map.get(place).copied().map_or(0, u64::from);
    }
    black_box(sum)
}

criterion_group!(name = benches; config = criterion(); targets = first, random);
criterion_main!(benches);
