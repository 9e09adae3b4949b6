//! Creating and sealing an empty file: the cost of the calls.

use memfile::{MemFile, Seals};
use rustix::fs::{Mode, OFlags};

use crate::files;
use crate::race::{Clock::Cpu, Effort, Race, candidate, race};
use crate::report::Report;

const RUSTIX: &str = "rustix";
const MEMFILE: &str = "memfile";
const PROOF: &str = "memfile, `into_sealed`";
const MEMFD: &str = "memfd 0.6";
const OLD: &str = "memfile 0.3";
const SHARED: &str = "shared_memory";
const TMPFS: &str = "file on tmpfs";
const PIPE: &str = "pipe";
const SOCKET: &str = "socket pair";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("create.md"));
    let columns = [RUSTIX, MEMFILE, PROOF, MEMFD, OLD, SHARED, TMPFS, PIPE, SOCKET];
    report.races("Create and seal an empty file", "work", &columns, &[create_and_seal()]);
}

fn create_and_seal() -> Race {
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
        candidate(MEMFILE, ours),
        candidate(PROOF, proof),
        candidate(RUSTIX, direct),
        candidate(MEMFD, memfd),
        candidate(OLD, old),
        // These have no seals, but programs use them where they could use a sealed file.
        candidate(SHARED, || shared_memory::ShmemConf::new().size(4096).create().expect("shm_open")),
        candidate(TMPFS, tmpfs),
        candidate(PIPE, || std::io::pipe().expect("a pipe")),
        candidate(SOCKET, socket),
    ];
    race("create and seal".to_owned(), 0, Cpu, Effort { rounds: 41, repeat: 200 }, candidates)
}
