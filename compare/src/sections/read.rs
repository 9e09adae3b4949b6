//! Reading: the first read of a received file, and reads at random.

use std::fs::File;
use std::hint::black_box;

use memfile::{MapOptions, SealedFile};

use crate::bytes::{SIZES, pattern, size};
use crate::files;
use crate::race::{Clock::Cpu, Result, candidate, effort, race};
use crate::report::Report;

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("read.md"));
    let races: Vec<_> = SIZES.map(|len| (size(len), first(len))).into();
    report.races("first read and sum", &races);
    if let Some(races) = crate::with_huge_policy("advise", || vec![(size(LARGE), random())]) {
        report.races("100,000 random reads", &races);
    }
}

const LARGE: usize = 256 << 20;

fn first(len: usize) -> Vec<Result> {
    let sealed = SealedFile::from_bytes("bench", &pattern(len)).expect("a sealed file");
    let mut buffer = vec![1; len];
    let populate = MapOptions::new().populate(true);
    let file = File::from(sealed.try_clone().expect("a descriptor").into_fd());
    let candidates = vec![
        candidate("read to a warm buffer", || {
            sealed.read_exact_at(&mut buffer, 0).expect("pread");
            files::sum(&buffer)
        }),
        candidate("map", || files::sum(&sealed.map().expect("mmap"))),
        candidate("map, populated", || files::sum(&sealed.map_with(.., populate).expect("mmap"))),
        // SAFETY: The file is sealed.
        candidate("memmap2", || files::sum(&unsafe { memmap2::Mmap::map(&file) }.expect("mmap"))),
        candidate("receive, prove, map", || {
            let fd = sealed.try_clone().expect("a descriptor").into_fd();
            let received = SealedFile::try_from(fd).map_err(|error| error.into_error()).expect("a proof");
            files::sum(&received.map().expect("mmap"))
        }),
    ];
    let (rounds, repeat) = effort(len);
    race(Cpu, rounds, repeat, candidates)
}

/// Maps afresh each time, as a reader would.
fn random() -> Vec<Result> {
    let bytes = pattern(LARGE);
    let small = SealedFile::from_bytes("bench", &bytes).expect("a sealed file");
    let huge = SealedFile::options().huge_pages(true).from_bytes("bench", &bytes).expect("a sealed file");
    let read = |file: &SealedFile, options| {
        let map = file.map_with(.., options).expect("mmap");
        let mut state = 1_u64;
        let mut sum = 0_u64;
        for _ in 0..100_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += u64::from(map[(state >> 33) as usize % LARGE]);
        }
        black_box(sum)
    };
    let plain = MapOptions::new();
    let candidates = vec![
        candidate("4 KiB pages", || read(&small, plain)),
        candidate("4 KiB pages, populated", || read(&small, plain.populate(true))),
        candidate("huge pages", || read(&huge, plain.huge_pages(true))),
        candidate("huge pages, populated", || read(&huge, plain.huge_pages(true).populate(true))),
    ];
    race(Cpu, 9, 1, candidates)
}
