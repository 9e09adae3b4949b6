//! What a call costs while this process has many sealed files open and mapped. The other benches
//! measure the same calls without such files.

mod config;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use memfile::{Map, MemFile, SealedFile, Seals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn growth(c: &mut Criterion) {
    // The usual limit of 1024 descriptors is too low for the larger numbers.
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("setrlimit");

    let sealed = SealedFile::from_bytes("bench", b"bytes").expect("a sealed file");
    let plain = MemFile::create_sealable("bench").expect("memfd_create");
    let fixed = MemFile::create_sealable("bench").expect("memfd_create");
    fixed.add_seals(Seals::FIXED_SIZE).expect("F_ADD_SEALS");
    let mut files: Vec<SealedFile> = Vec::new();
    let mut maps: Vec<Map> = Vec::new();
    let mut group = c.benchmark_group("with open files and maps");
    for count in [100, 1000, 10_000] {
        files.resize_with(count, || SealedFile::from_bytes("bench", b"bytes").expect("a sealed file"));
        // Each map is of another file, so that the kernel cannot merge neighbours into one.
        maps.extend(files.iter().skip(maps.len()).map(|file| file.map().expect("mmap")));
        group.bench_function(BenchmarkId::new("create_sealable", count), |b| {
            b.iter(|| MemFile::create_sealable("bench").expect("memfd_create"));
        });
        group.bench_function(BenchmarkId::new("get_seals", count), |b| {
            b.iter(|| plain.get_seals().expect("F_GET_SEALS"));
        });
        // Adding no seal, or seals that are there already, changes nothing: it can be repeated.
        group.bench_function(BenchmarkId::new("add_seals, none set", count), |b| {
            b.iter(|| plain.add_seals(Seals::empty()).expect("F_ADD_SEALS"));
        });
        group.bench_function(BenchmarkId::new("add_seals, already set", count), |b| {
            b.iter(|| fixed.add_seals(Seals::FIXED_SIZE).expect("F_ADD_SEALS"));
        });
        group.bench_function(BenchmarkId::new("map", count), |b| {
            b.iter(|| sealed.map().expect("mmap"));
        });
        group.bench_function(BenchmarkId::new("from_bytes", count), |b| {
            b.iter(|| SealedFile::from_bytes("bench", b"bytes").expect("a sealed file"));
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = config::criterion(); targets = growth);
criterion_main!(benches);
