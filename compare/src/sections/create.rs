//! Creating, sealing and mapping: the cost of the calls.

use std::fs::File;

use memfile::{MemFile, SealedFile, Seals};
use rustix::fs::{Mode, OFlags};

use crate::files;
use crate::race::{Clock::Cpu, Result, candidate, race};
use crate::report::Report;

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("create.md"));
    report.races("", &[("create".to_owned(), create())]);
    report.races("", &[("create and seal".to_owned(), seal())]);
    let maps: Vec<_> = [4 << 10, 1 << 20, 256 << 20].map(|len| (crate::report::size(len), map(len))).into();
    report.races("map", &maps);
}

fn create() -> Vec<Result> {
    let tmpfs = || {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        rustix::fs::open("/dev/shm", flags, Mode::RUSR | Mode::WUSR).expect("a file on tmpfs")
    };
    let socket = || std::os::unix::net::UnixStream::pair().expect("a socket pair");
    let candidates = vec![
        candidate("memfile", || MemFile::create_sealable("bench").expect("memfd_create")),
        candidate("rustix", files::create),
        candidate("memfd 0.6", || {
            memfd::MemfdOptions::new().allow_sealing(true).create("bench").expect("memfd_create")
        }),
        candidate("memfile 0.3", || memfile03::MemFile::create_sealable("bench").expect("memfd_create")),
        candidate("shared_memory", || shared_memory::ShmemConf::new().size(4096).create().expect("shm_open")),
        candidate("file on tmpfs", tmpfs),
        candidate("pipe", || std::io::pipe().expect("a pipe")),
        candidate("socket pair", socket),
    ];
    race(Cpu, 41, 200, candidates)
}

fn seal() -> Vec<Result> {
    let ours = || {
        let file = MemFile::create_sealable("bench").expect("memfd_create");
        file.add_seals(Seals::IMMUTABLE).expect("F_ADD_SEALS");
        file
    };
    let proof = || MemFile::create_sealable("bench").expect("memfd_create").into_sealed().expect("a proof");
    let direct = || {
        let fd = files::create();
        files::seal(&fd);
        fd
    };
    let memfd = || {
        use memfd::FileSeal::{SealGrow, SealSeal, SealShrink, SealWrite};
        let file = memfd::MemfdOptions::new().allow_sealing(true).create("bench").expect("memfd_create");
        file.add_seals(&[SealGrow, SealSeal, SealShrink, SealWrite]).expect("F_ADD_SEALS");
        file
    };
    let old = || {
        use memfile03::Seal::{Grow, Seal, Shrink, Write};
        let file = memfile03::MemFile::create_sealable("bench").expect("memfd_create");
        file.add_seals(Seal | Shrink | Grow | Write).expect("F_ADD_SEALS");
        file
    };
    let candidates = vec![
        candidate("memfile", ours),
        candidate("memfile, with the proof", proof),
        candidate("rustix", direct),
        candidate("memfd 0.6", memfd),
        candidate("memfile 0.3", old),
    ];
    race(Cpu, 41, 200, candidates)
}

/// Maps and touches nothing.
fn map(len: usize) -> Vec<Result> {
    let sealed = SealedFile::from_bytes("bench", &files::pattern(len)).expect("a sealed file");
    let file = File::from(sealed.try_clone().expect("a descriptor").into_fd());
    let flags = (rustix::mm::ProtFlags::READ, rustix::mm::MapFlags::SHARED);
    // SAFETY: The kernel picks free address space, and what was mapped is unmapped.
    let direct = || unsafe {
        let base = rustix::mm::mmap(std::ptr::null_mut(), len, flags.0, flags.1, &file, 0).expect("mmap");
        rustix::mm::munmap(base, len).expect("munmap");
    };
    let candidates = vec![
        candidate("memfile", || drop(sealed.map().expect("mmap"))),
        candidate("rustix", direct),
        // SAFETY: The file is sealed.
        candidate("memmap2", || drop(unsafe { memmap2::Mmap::map(&file) }.expect("mmap"))),
    ];
    race(Cpu, 41, 200, candidates)
}
