//! Copies into and out of a `SharedMap`, compared with plain copies.

use memfile::{MemFile, Seals, SharedMap};

use crate::bytes::pattern;
use crate::files;
use crate::race::{Clock::Cpu, Race, candidate, effort, race};
use crate::report::{Report, size};

const PLAIN_IN: &str = "plain copy in";
const WRITE: &str = "`write_all_at`";
const PLAIN_OUT: &str = "plain copy out";
const READ: &str = "`read_exact_at`";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("shared.md"));
    let races = [64, 256, 1 << 10, 4 << 10, 64 << 10, 1 << 20, 16 << 20].map(copy);
    report.races("Copy into a `SharedMap`", "size", &[PLAIN_IN, WRITE], &races);
    report.races("Copy out of a `SharedMap`", "size", &[PLAIN_OUT, READ], &races);
}

fn copy(len: usize) -> Race {
    let file = MemFile::create_sealable("bench").expect("memfd_create");
    file.set_len(len as u64).expect("ftruncate");
    file.add_seals(Seals::FIXED_SIZE).expect("F_ADD_SEALS");
    let map = SharedMap::try_from(file).map_err(|error| error.into_error()).expect("a map");
    let source = pattern(len);
    let mut target = vec![1; len];
    let mut plain = vec![1; len];
    // Memory of the same kind, so that only the way of copying differs.
    let other = std::fs::File::from(files::create());
    other.set_len(len as u64).expect("ftruncate");
    // SAFETY: Nobody else has the file.
    let mut raw = unsafe { memmap2::MmapMut::map_mut(&other) }.expect("mmap");
    let raw = std::cell::RefCell::new(&mut raw[..]);
    map.write_all_at(&source, 0).expect("within bounds");
    let candidates = vec![
        candidate(PLAIN_IN, || raw.borrow_mut().copy_from_slice(&source)),
        candidate(WRITE, || map.write_all_at(&source, 0).expect("within bounds")),
        candidate(PLAIN_OUT, || plain.copy_from_slice(&raw.borrow())),
        candidate(READ, || map.read_exact_at(&mut target, 0).expect("within bounds")),
    ];
    let mut effort = effort(len);
    effort.repeat *= 16;
    race(size(len), len, Cpu, effort, candidates)
}
