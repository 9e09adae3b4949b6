//! The first read of a received file.

use std::fs::File;

use memfile::{MapOptions, SealedFile};

use crate::bytes::pattern;
use crate::files;
use crate::race::{Clock::Cpu, Race, candidate, effort, race};
use crate::report::{Report, size};

const BUFFER: &str = "read to a warm buffer";
const MAP: &str = "map";
const POPULATED: &str = "map, populated";
const MEMMAP2: &str = "memmap2";
const CHECKED: &str = "receive, check, map";
const HUGE_PAGES: &str = "huge pages";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("read.md"));
    let races = [1 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20].map(first);
    let columns = [BUFFER, MAP, POPULATED, MEMMAP2, CHECKED, HUGE_PAGES];
    report.races("First read: sum all bytes of a file", "size", &columns, &races);
    report.goal_of("first read", &races, 256 << 20, (HUGE_PAGES, BUFFER), 5.0);
}

fn first(len: usize) -> Race {
    let bytes = pattern(len);
    let sealed = files::unless_busy(|| SealedFile::from_bytes("bench", &bytes));
    let huge = files::unless_busy(|| SealedFile::options().huge_pages(true).from_bytes("bench", &bytes));
    drop(bytes);
    let mut buffer = vec![1; len];
    let huge_pages = MapOptions::new().huge_pages(true);
    let populate = MapOptions::new().populate(true);
    let file = File::from(sealed.try_clone().expect("a descriptor").into_fd());
    let candidates = vec![
        candidate(BUFFER, || {
            sealed.read_exact_at(&mut buffer, 0).expect("pread");
            files::sum(&buffer)
        }),
        candidate(MAP, || files::sum(&sealed.map().expect("mmap"))),
        candidate(POPULATED, || files::sum(&sealed.map_with(.., populate).expect("mmap"))),
        // SAFETY: The file is sealed.
        candidate(MEMMAP2, || files::sum(&unsafe { memmap2::Mmap::map(&file) }.expect("mmap"))),
        candidate(CHECKED, || {
            let fd = sealed.try_clone().expect("a descriptor").into_fd();
            let received = SealedFile::try_from(fd).map_err(|error| error.into_error()).expect("a proof");
            files::sum(&received.map().expect("mmap"))
        }),
        candidate(HUGE_PAGES, || files::sum(&huge.map_with(.., huge_pages).expect("mmap"))),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}
