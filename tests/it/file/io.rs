//! A memory file as a file: reading, writing, length, allocation, clones and conversions.

use std::fs::File;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use memfile::{CreateOptions, HugeTlb, MemFile, Seal};
use rustix::fs::{Mode, OFlags};

use crate::support::check::{NO_MEMORY, end_of_file, refused, too_long};
use crate::support::huge::steady_policy;
use crate::support::proc_self::{allocated, descriptors};
use crate::support::skip::skip;
use crate::support::supervisor::{self, Fault, watch};
use crate::support::{BEYOND_A_HUGE_PAGE, child, seccomp};

fn holding(bytes: &[u8]) -> MemFile {
    let file = MemFile::create_sealable("file").unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn write_only(file: &MemFile) -> MemFile {
    let fd = rustix::fs::open(file.proc_path().as_c_str(), OFlags::WRONLY, Mode::empty()).unwrap();
    MemFile::from_fd(fd).unwrap()
}

/// Generic code, which is called with the file itself and with a reference to it.
fn read_write_and_seek(mut file: impl Read + Write + Seek) {
    file.write_all(b"Hello ").unwrap();
    assert_eq!(file.write_vectored(&[IoSlice::new(b"wor"), IoSlice::new(b"ld!")]).unwrap(), 6);
    file.flush().unwrap();
    assert_eq!(file.stream_position().unwrap(), 12);

    file.rewind().unwrap();
    let (mut first, mut second) = ([0; 5], [0; 3]);
    let read = file.read_vectored(&mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)]).unwrap();
    assert_eq!((read, &first, &second), (8, b"Hello", b" wo"));
    let mut rest = Vec::new();
    assert_eq!(file.read_to_end(&mut rest).unwrap(), 4);
    assert_eq!(rest, b"rld!");

    assert_eq!(file.seek(SeekFrom::End(-6)).unwrap(), 6);
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "world!");
    assert_eq!(file.read(&mut [0; 8]).unwrap(), 0);
    file.seek(SeekFrom::Start(0)).unwrap();
    let error = file.seek(SeekFrom::Current(-1)).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::InvalidInput, Some(libc::EINVAL)));
}

#[test]
fn reads_writes_and_seeks() {
    read_write_and_seek(MemFile::create_default("owned").unwrap());
}

#[test]
fn reads_writes_and_seeks_through_a_reference() {
    read_write_and_seek(&MemFile::create_default("borrowed").unwrap());
}

#[test]
fn offsets_leave_the_position_alone() {
    let mut file = holding(b"0123456789");
    let mut buffer = [0; 4];
    assert_eq!(file.read_at(&mut buffer, 3).unwrap(), 4);
    assert_eq!(&buffer, b"3456");
    assert_eq!(file.read_at(&mut buffer, 8).unwrap(), 2);
    assert_eq!(file.read_at(&mut buffer, 10).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
    assert_eq!(file.write_at(b"AB", 9).unwrap(), 2);
    assert_eq!(file.stream_position().unwrap(), 0);

    // The same through the trait of `std`.
    assert_eq!(FileExt::read_at(&file, &mut buffer, 8).unwrap(), 3);
    assert_eq!(&buffer[..3], b"8AB");
    assert_eq!(FileExt::write_at(&file, b"C", 11).unwrap(), 1);
    FileExt::read_exact_at(&file, &mut buffer, 8).unwrap();
    assert_eq!(&buffer, b"8ABC");
    FileExt::write_all_at(&file, b"z", 0).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "z12345678ABC");
}

#[test]
fn exact_and_all_at_an_offset() {
    let file = holding(b"0123456789");
    let mut buffer = [0; 4];
    file.read_exact_at(&mut buffer, 6).unwrap();
    assert_eq!(&buffer, b"6789");
    file.read_exact_at(&mut [], 1 << 40).unwrap();
    file.write_all_at(&[], 1 << 40).unwrap();
    assert_eq!(file.len().unwrap(), 10);

    for (offset, read) in [(7, 3), (10, 0), (11, 0)] {
        let error = refused(file.read_exact_at(&mut buffer, offset), None, &end_of_file(read, 4));
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn offsets_beyond_off_t() {
    let file = holding(b"x");
    let offset = i64::MAX.unsigned_abs() + 1;
    let message = |call| format!("{call}: EINVAL: {}", too_long(offset));
    assert!(refused(file.read_at(&mut [0], offset), libc::EINVAL, &message("pread")).is_out_of_bounds());
    assert!(refused(file.write_at(b"x", offset), libc::EINVAL, &message("pwrite")).is_out_of_bounds());
}

#[test]
fn access_modes() {
    let file = holding(b"x");
    let read_only = file.reopen_read_only().unwrap();
    const READ_ONLY: &str = "pwrite: EBADF: the descriptor is open for reading only";
    refused(read_only.write_at(b"x", 0), libc::EBADF, READ_ONLY);
    refused(read_only.write_all_at(b"x", 0), libc::EBADF, READ_ONLY);
    refused(read_only.set_len(0), libc::EINVAL, "ftruncate: EINVAL: the descriptor is open for reading only");
    refused(read_only.allocate(0, 1), libc::EBADF, "fallocate: EBADF: the descriptor is open for reading only");
    refused(
        write_only(&file).read_at(&mut [0], 0),
        libc::EBADF,
        "pread: EBADF: the descriptor is not open for reading",
    );
}

/// A kernel may write the part that fits, or nothing.
#[test]
fn a_write_that_crosses_a_fixed_end() {
    const MESSAGE: &str = "pwrite: EPERM: a seal forbids this change: put the data into a new file";
    let file = holding(&[1; 8192]);
    file.add_seal(Seal::Grow).unwrap();

    match file.write_at(&[2; 65536], 0) {
        Ok(written) => assert!((1..=8192).contains(&written), "{written}"),
        result => _ = refused(result, libc::EPERM, MESSAGE),
    }
    refused(file.write_all_at(&[3; 65536], 0), libc::EPERM, MESSAGE);
    refused(file.write_at(b"x", 8192), libc::EPERM, MESSAGE);
    assert_eq!(file.len().unwrap(), 8192);
    file.write_all_at(&[4; 8192], 0).unwrap();
}

#[test]
fn lengths() {
    let file = holding(b"abc");
    file.set_len(5).unwrap();
    file.set_len(2).unwrap();
    file.set_len(4).unwrap();
    let mut buffer = [1; 4];
    file.read_exact_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"ab\0\0");
    assert_eq!((file.len().unwrap(), file.metadata().unwrap().len()), (4, 4));
    assert!(!file.is_empty().unwrap());

    let error = refused(file.set_len(u64::MAX), None, &too_long(u64::MAX));
    assert!(error.is_out_of_bounds());
    file.add_seals(Seal::Shrink | Seal::Grow).unwrap();
    file.set_len(4).unwrap();
    for len in [3, 5] {
        refused(
            file.set_len(len),
            libc::EPERM,
            "ftruncate: EPERM: a seal forbids this change: put the data into a new file",
        );
    }
}

#[test]
fn allocation() {
    let file = holding(b"abc");
    const HALF: u64 = BEYOND_A_HUGE_PAGE;
    let _steady = steady_policy();
    file.allocate(0, 3).unwrap();
    assert_eq!(file.len().unwrap(), 3);
    file.allocate(HALF, HALF).unwrap();
    assert_eq!(file.len().unwrap(), 2 * HALF);
    assert!((HALF..2 * HALF).contains(&allocated(&file)), "the hole after byte 3 was filled");

    file.add_seals(Seal::Shrink | Seal::Grow | Seal::Write).unwrap();
    file.allocate(0, 2 * HALF).unwrap();
    assert!(allocated(&file) >= 2 * HALF, "the holes of a sealed file were not filled");
    let mut buffer = [1; 4];
    file.read_exact_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"abc\0");

    refused(
        file.allocate(0, 2 * HALF + 1),
        libc::EPERM,
        "fallocate: EPERM: a seal forbids this change: put the data into a new file",
    );
    for (offset, len) in [(0, 1 << 63), (1 << 63, 1)] {
        let message = format!("fallocate: EINVAL: {}", too_long(1 << 63));
        assert!(refused(file.allocate(offset, len), libc::EINVAL, &message).is_out_of_bounds());
    }
    refused(file.allocate(0, 0), libc::EINVAL, "fallocate: EINVAL: the length is 0");
    let end = i64::MAX.unsigned_abs();
    refused(file.allocate(end, end), libc::EFBIG, &format!("fallocate: EFBIG: {}", too_long(2 * end)));
}

#[test]
fn no_free_huge_pages() {
    let Ok(file) = CreateOptions::new().huge_tlb(HugeTlb::Default).create("huge") else {
        return skip("this kernel has no huge pages");
    };
    refused(file.allocate(0, 1 << 40), libc::ENOSPC, &format!("fallocate: ENOSPC: {NO_MEMORY}"));
}

#[test]
fn clones_share_position_and_seals() {
    let mut file = MemFile::create_sealable("clone").unwrap();
    let mut clone = file.try_clone().unwrap();
    assert_ne!(file.as_raw_fd(), clone.as_raw_fd());
    assert_eq!(rustix::io::fcntl_getfd(&clone).unwrap(), rustix::io::FdFlags::CLOEXEC);

    file.write_all(b"one ").unwrap();
    clone.write_all(b"two").unwrap();
    assert_eq!(file.stream_position().unwrap(), 7);
    clone.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one two");

    let before = file.get_seals().unwrap();
    clone.add_seal(Seal::Grow).unwrap();
    assert_eq!(file.get_seals().unwrap(), before | Seal::Grow);
}

#[test]
fn conversions_keep_the_descriptor() {
    let file = holding(b"kept");
    let number = file.as_raw_fd();
    assert_eq!(file.as_fd().as_raw_fd(), number);
    assert_eq!(AsFd::as_fd(&file).as_raw_fd(), number);
    assert_eq!(file.as_file().as_raw_fd(), number);

    let fd: OwnedFd = file.into();
    let file = MemFile::try_from(fd).unwrap();
    let fd = file.into_fd();
    let file = MemFile::from_fd(fd).unwrap();
    let number_again = file.into_raw_fd();
    // SAFETY: `into_raw_fd` gave up the descriptor.
    let file = unsafe { MemFile::from_raw_fd(number_again) };
    let std_file: File = file.into();
    let file = MemFile::from_fd(std_file.into()).unwrap();
    let mut std_file = file.into_file();

    assert_eq!(std_file.as_raw_fd(), number);
    let mut text = String::new();
    std_file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kept");
}

#[test]
fn dropping_closes() {
    child::alone(|| {
        let before = descriptors();
        let file = holding(b"x");
        let clone = file.try_clone().unwrap();
        assert_eq!(descriptors(), before + 2);
        drop((file, clone));
        assert_eq!(descriptors(), before);
    });
}

/// After a signal, the rest is allocated in pieces of half the length, but at least 1 MiB each.
/// Some kernels free what an interrupted call has allocated, so repeating it for the whole length
/// might never finish.
#[test]
fn an_interrupted_allocation_goes_on_in_pieces() {
    const MIB: u64 = 1 << 20;
    supervisor::alone(|| {
        for (len, pieces) in [(8 * MIB, 2), (7 * MIB + 5, 3), (MIB, 1), (5, 1)] {
            let file = MemFile::create_sealable("pieces").unwrap();
            file.set_len(len).unwrap();
            let (result, made) = watch(Fault::once(0, libc::EINTR), || file.allocate(0, len));
            result.unwrap().unwrap();
            assert_eq!(made, vec!["fallocate"; 1 + pieces], "{len}");
            assert!(allocated(&file) >= len);
        }
    });
}

/// A write that writes nothing is an error. Trying again could go on for ever.
#[test]
fn a_write_that_writes_nothing() {
    seccomp::alone(|| {
        let file = holding(b"bytes");
        seccomp::always("pwrite", seccomp::errno(0));
        refused(file.write_all_at(b"more", 0), None, "the kernel wrote nothing");
        assert_eq!(file.write_at(b"more", 0).unwrap(), 0);
    });
}
