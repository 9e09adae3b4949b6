//! [`SealedFileOptions::limit`](memfile::SealedFileOptions::limit) for received files and for
//! sources of copies.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};

use memfile::{Cause, Error, Holes, MemFile, SealedFile, Seals};

use crate::support::check::{beyond_limit, refused, source_beyond_limit};
use crate::support::huge::steady_policy;
use crate::support::proc_self::{allocated, descriptors_of};
use crate::support::{BEYOND_A_HUGE_PAGE, pattern, seccomp};

fn five_bytes() -> MemFile {
    let file = MemFile::create_sealable("limit").unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    file
}

fn sparse(len: u64) -> MemFile {
    let file = MemFile::create_sealable("limit sparse").unwrap();
    file.set_len(len).unwrap();
    file
}

/// Checks the error, and returns the descriptor that it contains.
#[track_caller]
fn too_long(result: Result<SealedFile, memfile::ErrorWith<OwnedFd>>, len: u64, limit: u64) -> OwnedFd {
    let (error, fd) = result.unwrap_err().into_parts();
    refused(Err::<(), _>(error), None, &beyond_limit(len, limit));
    assert_eq!((error.cause(), error.kind()), (Cause::LimitExceeded, ErrorKind::FileTooLarge));
    assert!(!error.is_unproven());
    fd
}

#[test]
fn of_received_files() {
    for holes in [Holes::Refuse, Holes::Allocate, Holes::Populate, Holes::Accept] {
        let options = SealedFile::options().holes(holes);
        let file = five_bytes();
        let number = file.as_raw_fd();
        let fd = too_long(options.limit(4).seal(file), 5, 4);
        assert_eq!(fd.as_raw_fd(), number);
        assert!(Seals::of(&fd).unwrap().contains(Seals::IMMUTABLE), "the seals are missing");
        let fd = too_long(options.limit(1).verify(fd), 5, 1);
        let fd = too_long(options.limit(0).verify(fd), 5, 0);
        assert_eq!(fd.as_raw_fd(), number);

        let sealed = options.limit(5).verify(fd).unwrap();
        assert_eq!(sealed.map().unwrap(), b"bytes");
        options.limit(5).seal(five_bytes()).unwrap();
        options.limit(0).seal(MemFile::create_sealable("limit").unwrap()).unwrap();
    }
    // The length of a file without seals can change, so the missing seals are reported instead.
    let error = SealedFile::options().limit(4).verify(five_bytes()).unwrap_err();
    assert_eq!(error.error().cause(), Cause::MissingSeals);
}

/// The length is compared before memory is allocated. In case the crate gets that wrong, a filter
/// keeps it from taking all memory of the machine.
#[test]
fn no_memory_is_taken_for_a_file_that_is_too_long() {
    const LEN: u64 = 1 << 40;
    const LIMIT: u64 = BEYOND_A_HUGE_PAGE;
    seccomp::alone(|| {
        let _steady = steady_policy();
        for holes in [Holes::Allocate, Holes::Populate] {
            let options = SealedFile::options().holes(holes).limit(LIMIT);
            options.seal(sparse(LIMIT)).map(|file| assert_eq!(allocated(&file), LIMIT)).unwrap();
        }
        seccomp::always("fallocate", seccomp::errno(libc::EIO));
        seccomp::always("madvise", seccomp::errno(libc::EIO));
        for holes in [Holes::Allocate, Holes::Populate] {
            let options = SealedFile::options().holes(holes).limit(LIMIT);
            let fd = too_long(options.seal(sparse(LEN)), LEN, LIMIT);
            assert_eq!(allocated(&fd), 0);
            let fd = too_long(options.verify(fd), LEN, LIMIT);
            assert_eq!(allocated(&fd), 0);
        }
    });
}

/// Checks the error for a source that is longer than `limit`.
#[track_caller]
fn source_too_long(result: Result<SealedFile, Error>, limit: u64) {
    let error = refused(result, None, &source_beyond_limit(limit));
    assert_eq!((error.cause(), error.kind()), (Cause::LimitExceeded, ErrorKind::FileTooLarge));
}

#[test]
fn of_sources() {
    const LEN: usize = 40_000;
    let bytes = pattern(LEN);
    let source = MemFile::create_default("limit source").unwrap();
    source.write_all_at(&bytes, 0).unwrap();
    let pipe = || {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        std::fs::File::from(writer).write_all(&bytes).unwrap();
        reader
    };
    for limit in [0, 1, LEN as u64 - 1] {
        let options = SealedFile::options().limit(limit);
        source_too_long(options.copy_of("limit copy", &source), limit);
        let reader = pipe();
        source_too_long(options.copy_of("limit copy", &reader), limit);
        // No more than one byte past the limit is read from a pipe, where bytes cannot be put back.
        let mut rest = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut rest).unwrap();
        assert_eq!(rest.len(), LEN - limit as usize - 1);

        let error = options.from_reader("limit copy", &bytes[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        source_too_long(Err(error.downcast().unwrap()), limit);
    }
    assert_eq!(descriptors_of("limit copy"), 0);
    for limit in [LEN as u64, LEN as u64 + 1, u64::MAX] {
        let options = SealedFile::options().limit(limit);
        for copy in [
            options.copy_of("limit copy", &source).unwrap(),
            options.copy_of("limit copy", pipe()).unwrap(),
            options.from_reader("limit copy", &bytes[..]).unwrap(),
        ] {
            assert_eq!(copy.map().unwrap(), bytes[..]);
        }
    }
    // The limit does not apply to bytes of which the caller chooses the length.
    let options = SealedFile::options().limit(0);
    assert_eq!(options.from_bytes("limit own", b"own").unwrap().len(), 3);
    assert_eq!(options.create_with("limit own", 4, |_| ()).unwrap().len(), 4);
    options.from_reader("limit own", io::empty()).unwrap();
}
