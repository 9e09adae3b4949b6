//! Creating a memory file, by each way.

#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

mod common;

use common::criterion;
use criterion::{Criterion, criterion_group, criterion_main};
use memfile::{CreateOptions, Exec, MemFile};

fn create(c: &mut Criterion) {
    let mut group = c.benchmark_group("create");
    group.bench_function("create_sealable", |b| b.iter(|| MemFile::create_sealable("bench").expect("memfd_create")));
    group.bench_function("create_default", |b| b.iter(|| MemFile::create_default("bench").expect("memfd_create")));
    let options = CreateOptions::new().allow_sealing(true);
    group.bench_function("create_cstr", |b| {
        b.iter(|| MemFile::create_cstr(c"bench", options).expect("memfd_create"));
    });
    let options = options.exec(Exec::DenyUnsealed);
    group.bench_function("Exec::DenyUnsealed", |b| b.iter(|| options.create("bench").expect("memfd_create")));
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = create);
criterion_main!(benches);
