//! Growth: what a call costs with many files open, many mappings made, many seals set.

use memfile::{Map, MemFile, SealedFile, Seals};

use crate::race::{Clock::Cpu, Result, candidate, race};
use crate::report::Report;

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("growth.md"));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("up to the maximum");

    let mut files: Vec<SealedFile> = Vec::new();
    let mut maps: Vec<Map> = Vec::new();
    let mut races = Vec::new();
    for count in [0, 100, 1000, 10_000] {
        files.resize_with(count, || SealedFile::from_bytes("bench", b"bytes").expect("a sealed file"));
        // Not next to each other in the address space alone: each is of another file.
        maps.extend(files.iter().skip(maps.len()).map(|file| file.map().expect("mmap")));
        races.push((format!("{count} files and maps"), calls()));
    }
    let head =
        ["", "create", "get_seals", "add_seals, no seal set", "add_seals, seals set", "map and unmap", "from_bytes"];
    let time = |result: &Result| crate::report::time(result.seconds);
    let row =
        |(what, results): &(String, Vec<Result>)| [what.clone()].into_iter().chain(results.iter().map(time)).collect();
    report.table(&head, &races.iter().map(row).collect::<Vec<Vec<_>>>());
}

fn calls() -> Vec<Result> {
    let sealed = SealedFile::from_bytes("bench", b"bytes").expect("a sealed file");
    let plain = MemFile::create_sealable("bench").expect("memfd_create");
    let half = MemFile::create_sealable("bench").expect("memfd_create");
    half.add_seals(Seals::FIXED_SIZE).expect("F_ADD_SEALS");
    let candidates = vec![
        candidate("create", || MemFile::create_sealable("bench").expect("memfd_create")),
        candidate("get_seals", || plain.get_seals().expect("F_GET_SEALS")),
        candidate("none", || plain.add_seals(Seals::empty()).expect("F_ADD_SEALS")),
        candidate("set", || half.add_seals(Seals::FIXED_SIZE).expect("F_ADD_SEALS")),
        candidate("map", || drop(sealed.map().expect("mmap"))),
        candidate("from_bytes", || SealedFile::from_bytes("bench", b"bytes").expect("a sealed file")),
    ];
    race(Cpu, 21, 200, candidates)
}
