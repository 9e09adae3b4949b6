//! Making a new memory file in each way, and another descriptor of one.

mod config;

use criterion::{Criterion, criterion_group, criterion_main};
use memfile::{CreateOptions, Exec, MemFile, SealedFile};

fn create(c: &mut Criterion) {
    let mut group = c.benchmark_group("create");
    group.bench_function("create_sealable", |b| {
        b.iter(|| MemFile::create_sealable("bench").expect("memfd_create"));
    });
    group.bench_function("create_default", |b| {
        b.iter(|| MemFile::create_default("bench").expect("memfd_create"));
    });
    let options = CreateOptions::new().allow_sealing(true);
    group.bench_function("create_cstr", |b| {
        b.iter(|| MemFile::create_cstr(c"bench", options).expect("memfd_create"));
    });
    let options = options.exec(Exec::DenyUnsealed);
    group.bench_function("Exec::DenyUnsealed", |b| {
        b.iter(|| options.create("bench").expect("memfd_create"));
    });
    group.finish();
}

fn clone(c: &mut Criterion) {
    let sealed = SealedFile::from_bytes("bench", b"bytes").expect("a sealed file");
    c.bench_function("try_clone", |b| b.iter(|| sealed.try_clone().expect("a descriptor")));
}

criterion_group!(name = benches; config = config::criterion(); targets = create, clone);
criterion_main!(benches);
