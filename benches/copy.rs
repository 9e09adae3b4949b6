//! Copying a file to a sealed file.

#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

mod common;

use std::fs::File;
use std::io::{Seek, Write};

use common::{SIZES, criterion, pattern, size};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use memfile::SealedFile;

fn copy(c: &mut Criterion) {
    let mut group = c.benchmark_group("copy");
    for len in SIZES {
        let bytes = pattern(len);
        let memory = SealedFile::from_bytes("source", &bytes).expect("a sealed file").into_fd().into();
        for (what, source) in [("from disk", on_disk(&bytes)), ("from memory", memory)] {
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(BenchmarkId::new(what, size(len)), |b| {
                let rewind = || (&source).rewind().expect("lseek");
                b.iter_batched(rewind, |()| SealedFile::copy_of("bench", &source), BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

/// In the page cache, and gone from its directory.
fn on_disk(bytes: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!("memfile-bench-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    std::fs::remove_file(path).expect("it can be removed");
    file.write_all(bytes).expect("write");
    file
}

criterion_group!(name = benches; config = criterion(); targets = copy);
criterion_main!(benches);
