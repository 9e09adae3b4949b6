//! Ways of filling and copying that were tried, and that `memfile` does not use.

use std::fs::File;
use std::io::{Read, Seek};

use memfile::SealedFile;
use memmap2::{MmapMut, MmapOptions};

use crate::bytes::pattern;
use crate::collapse::{self, HUGE_PAGE};
use crate::files;
use crate::race::{Clock::Cpu, Race, candidate, effort, race};
use crate::report::{Report, size};

const SIZES: [usize; 4] = [4 << 20, 16 << 20, 64 << 20, 256 << 20];

const FROM_BYTES_HUGE: &str = "`from_bytes`, huge pages";
const COPY_TWO: &str = "2 MiB, memcpy";
const COPY_EIGHT: &str = "8 MiB, memcpy";
const COPY_ALL: &str = "all, memcpy";
const WRITE_TWO: &str = "2 MiB, `pwrite`";

const COPY_OF_HUGE: &str = "`copy_of`, huge pages";
const READ_TWO: &str = "2 MiB, `pread`";
const READ_EIGHT: &str = "8 MiB, `pread`";
const SENDFILE_ALL: &str = "all, `sendfile`";

const FROM_BYTES: &str = "`from_bytes`";
const POPULATE: &str = "map populated, memcpy";
const ALLOCATE: &str = "`fallocate`, `write`";

const COPY_OF: &str = "`copy_of`";
const WRITE_MAP: &str = "map source, `write`";
const READ_MAP: &str = "`read` to map";
const READ_WRITE: &str = "`read`, `write` 256 KiB";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("tried.md"));
    if collapse::works() {
        let columns = [FROM_BYTES_HUGE, COPY_TWO, COPY_EIGHT, COPY_ALL, WRITE_TWO];
        report.races("Fill with huge pages: collapse so much, then fill it", "size", &columns, &SIZES.map(fill_huge));
        let columns = [COPY_OF_HUGE, READ_TWO, READ_EIGHT, SENDFILE_ALL];
        report.races("Copy with huge pages: collapse so much, then fill it", "size", &columns, &SIZES.map(copy_huge));
    } else {
        report.paragraph("(This kernel does not collapse memory files, so the ways to do that were not measured.)");
    }
    let sizes = [4 << 20, 64 << 20];
    report.races("Fill with 4 KiB pages", "size", &[FROM_BYTES, POPULATE, ALLOCATE], &sizes.map(fill));
    report.races("Copy with 4 KiB pages", "size", &[COPY_OF, WRITE_MAP, READ_MAP, READ_WRITE], &sizes.map(copy));
}

fn fill_huge(len: usize) -> Race {
    let bytes = pattern(len);
    let huge = SealedFile::options().huge_pages(true);
    let candidates = vec![
        candidate(FROM_BYTES_HUGE, || files::unless_busy(|| huge.from_bytes("bench", &bytes))),
        candidate(COPY_TWO, || collapse::fill(&bytes, HUGE_PAGE)),
        candidate(COPY_EIGHT, || collapse::fill(&bytes, 4 * HUGE_PAGE)),
        candidate(COPY_ALL, || collapse::fill(&bytes, len)),
        candidate(WRITE_TWO, || collapse::fill_by_write(&bytes)),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}

fn copy_huge(len: usize) -> Race {
    let source = files::on_disk(len);
    let source = &source;
    let huge = SealedFile::options().huge_pages(true);
    let candidates = vec![
        candidate(COPY_OF_HUGE, || files::unless_busy(|| huge.copy_of("bench", rewound(source)))),
        candidate(READ_TWO, || collapse::copy(source, len, HUGE_PAGE)),
        candidate(READ_EIGHT, || collapse::copy(source, len, 4 * HUGE_PAGE)),
        candidate(SENDFILE_ALL, || collapse::copy_by_sendfile(source, len)),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}

fn fill(len: usize) -> Race {
    let bytes = pattern(len);
    let populate = || {
        let file = File::from(files::create());
        file.set_len(len as u64).expect("ftruncate");
        // SAFETY: Nobody else has the file.
        let mut map = unsafe { MmapOptions::new().populate().map_mut(&file) }.expect("mmap");
        map.copy_from_slice(&bytes);
        drop(map);
        files::seal(&file);
        file
    };
    let allocate = || {
        let fd = files::create();
        rustix::fs::fallocate(&fd, rustix::fs::FallocateFlags::empty(), 0, len as u64).expect("fallocate");
        files::write_all(&fd, &bytes);
        files::seal(&fd);
        fd
    };
    let candidates = vec![
        candidate(FROM_BYTES, || files::unless_busy(|| SealedFile::from_bytes("bench", &bytes))),
        candidate(POPULATE, populate),
        candidate(ALLOCATE, allocate),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}

fn copy(len: usize) -> Race {
    let source = files::on_disk(len);
    let source = &source;
    // Not safe in general: if the source is truncated meanwhile, `write` fails with EFAULT, and a copy in user space
    // would raise SIGBUS.
    let map_and_write = || {
        // SAFETY: Nobody else has the source.
        let map = unsafe { memmap2::Mmap::map(source) }.expect("mmap");
        files::write_and_seal(&map, usize::MAX)
    };
    let read_to_map = || {
        let target = File::from(files::create());
        target.set_len(len as u64).expect("ftruncate");
        // SAFETY: Nobody else has the file.
        let mut map = unsafe { MmapMut::map_mut(&target) }.expect("mmap");
        rewound(source).read_exact(&mut map).expect("read");
        drop(map);
        files::seal(&target);
        target
    };
    let mut buffer = vec![0; 256 << 10];
    let read_write = move || {
        let fd = files::create();
        let mut source = rewound(source);
        loop {
            match source.read(&mut buffer).expect("read") {
                0 => break,
                n => files::write_all(&fd, &buffer[..n]),
            }
        }
        files::seal(&fd);
        fd
    };
    let candidates = vec![
        candidate(COPY_OF, || files::unless_busy(|| SealedFile::copy_of("bench", rewound(source)))),
        candidate(WRITE_MAP, map_and_write),
        candidate(READ_MAP, read_to_map),
        candidate(READ_WRITE, read_write),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}

fn rewound(mut source: &File) -> &File {
    source.rewind().expect("lseek");
    source
}
