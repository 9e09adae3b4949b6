//! Creating and sealing an empty file: the cost of the calls.

use memfile::{MemFile, Seals};
use rustix::fs::{Mode, OFlags};

use crate::files;
use crate::race::{Clock::Cpu, Result, candidate, race};
use crate::report::Report;

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("create.md"));
    report.races("", &[("create and seal".to_owned(), create_and_seal())]);
}

fn create_and_seal() -> Vec<Result> {
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
    let tmpfs = || {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        rustix::fs::open("/dev/shm", flags, Mode::RUSR | Mode::WUSR).expect("a file on tmpfs")
    };
    let socket = || std::os::unix::net::UnixStream::pair().expect("a socket pair");
    let candidates = vec![
        candidate("memfile", ours),
        candidate("memfile, with the proof", proof),
        candidate("rustix", direct),
        candidate("memfd 0.6", memfd),
        candidate("memfile 0.3", old),
        // These have no seals: programs use them where a sealed file could be.
        candidate("shared_memory", || shared_memory::ShmemConf::new().size(4096).create().expect("shm_open")),
        candidate("file on tmpfs", tmpfs),
        candidate("pipe", || std::io::pipe().expect("a pipe")),
        candidate("socket pair", socket),
    ];
    race(Cpu, 41, 200, candidates)
}
