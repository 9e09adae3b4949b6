//! Copying: a file to a sealed file.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;

use memfile::SealedFile;

use crate::bytes::{pattern, size};
use crate::files;
use crate::race::{Clock::Cpu, Result, candidate, effort, race};
use crate::report::Report;

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("copy.md"));
    let sizes = [4 << 10, 64 << 10, 1 << 20, 4 << 20, 16 << 20, 256 << 20];
    for (what, source) in [("from a file on disk", on_disk as fn(usize) -> File), ("from a memory file", in_memory)] {
        let races: Vec<_> = sizes.map(|len| (size(len), copy(&source(len), len))).into();
        report.races(what, &races);
    }
}

/// In the page cache, and gone from its directory.
fn on_disk(len: usize) -> File {
    let path = std::path::Path::new("docs").join(format!(".source-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    std::fs::remove_file(path).expect("it can be removed");
    file.write_all(&pattern(len)).expect("write");
    file
}

fn in_memory(len: usize) -> File {
    SealedFile::from_bytes("source", &pattern(len)).expect("a sealed file").into_fd().into()
}

fn copy(source: &File, len: usize) -> Vec<Result> {
    let rewound = || {
        let mut source = source;
        source.rewind().expect("lseek");
        source
    };
    let sendfile = || -> OwnedFd {
        let fd = files::create();
        let source = rewound();
        while rustix::fs::sendfile(&fd, source, None, 1 << 30).expect("sendfile") > 0 {}
        files::seal(&fd);
        fd
    };
    let old = || {
        let mut file = memfile03::MemFile::create_sealable("bench").expect("memfd_create");
        std::io::copy(&mut rewound(), &mut file).expect("a copy");
        files::seal(&file);
        file
    };
    let into_file = || {
        let mut file = File::from(files::create());
        std::io::copy(&mut rewound(), &mut file).expect("a copy");
        files::seal(&file);
        file
    };
    // Wrong where the source can be shortened meanwhile: SIGBUS on the way through user space, here EFAULT.
    let map_and_write = || {
        // SAFETY: Nobody else has the source.
        let map = unsafe { memmap2::Mmap::map(source) }.expect("mmap");
        files::write_and_seal(&map, usize::MAX)
    };
    let read_to_map = || {
        let fd = files::create();
        let target = File::from(fd.try_clone().expect("a descriptor"));
        target.set_len(len as u64).expect("ftruncate");
        // SAFETY: Nobody else has the file.
        let mut map = unsafe { memmap2::MmapMut::map_mut(&target) }.expect("mmap");
        std::io::Read::read_exact(&mut rewound(), &mut map).expect("read");
        drop(map);
        files::seal(&fd);
        fd
    };
    let mut buffer = vec![0; 256 << 10];
    let read_write = move || {
        let fd = files::create();
        let mut source = rewound();
        loop {
            match std::io::Read::read(&mut source, &mut buffer).expect("read") {
                0 => break,
                n => files::write_all(&fd, &buffer[..n]),
            }
        }
        files::seal(&fd);
        fd
    };
    let candidates = vec![
        candidate("io::copy, memfile 0.3", old),
        candidate("copy_of", || SealedFile::copy_of("bench", rewound()).expect("a sealed file")),
        candidate("sendfile", sendfile),
        candidate("io::copy, File", into_file),
        candidate("map source, write", map_and_write),
        candidate("read to map", read_to_map),
        candidate("read, write 256 KiB", read_write),
    ];
    let (rounds, repeat) = effort(len);
    race(Cpu, rounds.min(9), repeat, candidates)
}
