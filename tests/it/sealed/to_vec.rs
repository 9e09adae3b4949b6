//! [`SealedFile::to_vec`] reads the whole file, or fails if there is not enough memory.

use memfile::{Cause, CreateOptions, Holes, HugeTlb, MemFile, SealedFile, Seals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::check::{beyond_limit, end_of_file, refused};
use crate::support::huge::{Pool, page};
use crate::support::proc_self::mappings;
use crate::support::{child, pattern, seccomp};

#[test]
fn every_size() {
    for len in [0, 1, 4095, 4096, 4097, 1 << 20, (5 << 20) + 3] {
        let bytes = pattern(len);
        let file = SealedFile::from_bytes("to_vec", &bytes).unwrap();
        // The position neither matters nor moves.
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(3)).unwrap();
        for file in [file.try_clone().unwrap(), file.reopen_read_only().unwrap(), file] {
            let read = file.to_vec().unwrap();
            assert!(read == bytes && read.capacity() >= len, "{len}");
        }
    }
    assert!(mappings("to_vec").is_empty());
}

#[test]
fn a_limit_comes_first() {
    let received = || SealedFile::from_bytes("to_vec limit", &[7; 9]).unwrap();
    assert_eq!(SealedFile::options().limit(9).verify(received()).unwrap().to_vec().unwrap(), [7; 9]);
    refused(SealedFile::options().limit(8).verify(received()), None, &beyond_limit(9, 8));
}

/// Holes that were accepted read as zeros, and reading does not allocate them in the file.
#[test]
fn holes() {
    let file = MemFile::create_sealable("to_vec holes").unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all_at(b"data", 500_000).unwrap();
    let sealed = SealedFile::options().holes(Holes::Accept).seal(file).unwrap();
    let mut expected = vec![0; 1 << 20];
    expected[500_000..500_004].copy_from_slice(b"data");
    assert!(sealed.to_vec().unwrap() == expected);
}

/// The length of a file of huge pages is rounded up to a page, so its data may end before it.
#[test]
fn data_shorter_than_the_file() {
    let Some(_pool) = Pool::of(2) else { return };
    let options = SealedFile::options().create_options(CreateOptions::new().huge_tlb(HugeTlb::Default));
    for len in [1, 5000, page() + 1] {
        let file = options.from_bytes("to_vec huge", &pattern(len)).unwrap();
        assert!(file.to_vec().unwrap() == pattern(len), "{len}");
        let received = SealedFile::try_from(file.into_fd()).unwrap().to_vec().unwrap();
        assert_eq!(received.len(), len.next_multiple_of(page()));
        assert!(received[..len] == pattern(len) && received[len..].iter().all(|&byte| byte == 0));
    }
}

/// If there is no memory for the `Vec`, the call returns an error instead of aborting the process.
#[test]
fn out_of_memory() {
    child::alone(|| {
        const LEN: u64 = 1 << 30;
        let file = MemFile::create_sealable("to_vec memory").unwrap();
        file.set_len(LEN).unwrap();
        let sealed = SealedFile::options().holes(Holes::Accept).seal(file).unwrap();
        setrlimit(Resource::As, Rlimit { current: Some(LEN / 2), maximum: getrlimit(Resource::As).maximum }).unwrap();
        let error = refused(sealed.to_vec(), None, "no memory is left for a copy of 1073741824 bytes");
        assert_eq!(error.cause(), Cause::OutOfMemory);
        assert_eq!(sealed.map_range(LEN - 5..).unwrap().len(), 5);
    });
}

/// A read that finds the end of the file before its proven length, as only a simulated kernel shows it, is
/// an error. Trying again could go on for ever.
#[test]
fn a_read_that_reads_nothing() {
    seccomp::alone(|| {
        let file = SealedFile::from_bytes("to_vec end", b"bytes").unwrap();
        seccomp::always("pread", seccomp::errno(0));
        let error = refused(file.to_vec(), None, &end_of_file(0, 5));
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
}

/// A file without Grow that has become longer since it was proven is read up to its proven length.
#[test]
fn bytes_that_were_added_are_not_read() {
    let file = MemFile::create_sealable("to_vec added").unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    file.add_seals(Seals::CONSTANT).unwrap();
    let sealed = SealedFile::try_from(file.try_clone().unwrap()).unwrap();
    file.set_len(100).unwrap();
    assert_eq!(sealed.len(), 5);
    assert_eq!(sealed.to_vec().unwrap(), b"bytes");
    for (offset, expected) in [(0, 5), (3, 2), (5, 0), (6, 0)] {
        assert_eq!(sealed.read_at(&mut [0; 8], offset).unwrap(), expected, "{offset}");
        refused(sealed.read_exact_at(&mut [0; 8], offset), None, &end_of_file(expected as u64, 8));
    }
    let mut bytes = [0; 2];
    sealed.read_exact_at(&mut bytes, 3).unwrap();
    assert_eq!(&bytes, b"es");
    sealed.read_exact_at(&mut [], 6).unwrap();
}
