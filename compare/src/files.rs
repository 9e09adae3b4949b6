//! The same tasks with direct system calls, with which `memfile` is compared.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};

use memmap2::MmapMut;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::bytes::pattern;

pub const IMMUTABLE: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

pub fn create() -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::NOEXEC_SEAL;
    memfd_create("bench", flags).expect("memfd_create")
}

pub fn seal(fd: impl AsFd) {
    unless_busy(|| fcntl_add_seals(&fd, IMMUTABLE));
}

/// Repeats `f` while it fails with EBUSY: a kernel that watches or moves memory can hold a page of a new
/// file for longer than adding a seal waits.
pub fn unless_busy<T, E: Into<io::Error>>(mut seal: impl FnMut() -> Result<T, E>) -> T {
    loop {
        match seal().map_err(Into::into) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
            result => return result.expect("a sealed file"),
        }
    }
}

/// The usual recipe: set the length, map, copy, unmap, seal.
pub fn map_and_copy(bytes: &[u8]) -> OwnedFd {
    let fd = create();
    copy_by_map(&fd, bytes);
    seal(&fd);
    fd
}

pub fn copy_by_map(fd: impl AsFd, bytes: &[u8]) {
    let file = File::from(fd.as_fd().try_clone_to_owned().expect("a descriptor"));
    ftruncate(&file, bytes.len() as u64).expect("ftruncate");
    if !bytes.is_empty() {
        // SAFETY: The file is new and nobody else has it.
        let mut map = unsafe { MmapMut::map_mut(&file) }.expect("mmap");
        map.copy_from_slice(bytes);
    }
}

/// A loop of `write` with this many bytes at a time, then seal.
pub fn write_and_seal(bytes: &[u8], chunk: usize) -> OwnedFd {
    let fd = create();
    for chunk in bytes.chunks(chunk) {
        write_all(&fd, chunk);
    }
    seal(&fd);
    fd
}

pub fn write_all(fd: impl AsFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let n = rustix::io::write(&fd, bytes).expect("write");
        bytes = &bytes[n..];
    }
}

/// The sum of the bytes, fast enough to be limited by memory.
pub fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)));
    rest.iter().fold(words, |sum, &byte| sum.wrapping_add(byte.into()))
}

/// `sendfile` of the whole source.
pub fn send(mut source: &File, fd: impl AsFd) {
    source.rewind().expect("lseek");
    while rustix::fs::sendfile(&fd, source, None, 1 << 30).expect("sendfile") > 0 {}
}

/// A file in the page cache that was removed from its directory. It is in the folder of the report, because
/// `/tmp` may not be on a disk.
pub fn on_disk(len: usize) -> File {
    let path = std::path::Path::new("docs").join(format!(".source-{}", std::process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    std::fs::remove_file(path).expect("it can be removed");
    file.write_all(&pattern(len)).expect("write");
    file
}
