//! [`MemFile::copy_from`]: every kind of source, the system call that copies it, and where both
//! positions end up.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::thread;

use memfile::{Cause, CreateOptions, Error, HugeTlb, MemFile, Seal};
use rustix::fs::{Mode, OFlags, open, tell};

use crate::support::check::refused;
use crate::support::pattern;
use crate::support::seccomp;
use crate::support::skip::skip;

const LEN: usize = 100_000;

fn memory(bytes: &[u8]) -> MemFile {
    let file = MemFile::create_sealable("source").unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn disk(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn pipe() -> (File, File) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    (reader.into(), writer.into())
}

fn target() -> MemFile {
    MemFile::create_sealable("target").unwrap()
}

#[track_caller]
fn assert_contents(file: &MemFile, expected: &[u8]) {
    let actual = fs::read(file.proc_path()).unwrap();
    assert!(actual == expected, "{} bytes, {} expected, or the bytes differ", actual.len(), expected.len());
}

#[track_caller]
fn assert_copied(result: Result<u64, Error>, len: usize) {
    assert_eq!(result.unwrap(), len as u64);
}

#[test]
fn from_a_memory_file() {
    let (bytes, target) = (pattern(LEN), target());
    assert_copied(target.copy_from(memory(&bytes), u64::MAX), LEN);
    assert_contents(&target, &bytes);
}

#[test]
fn from_a_file() {
    let (bytes, target) = (pattern(LEN), target());
    assert_copied(target.copy_from(disk(&bytes), u64::MAX), LEN);
    assert_contents(&target, &bytes);
}

#[test]
fn both_positions_move_by_what_was_copied() {
    let bytes = pattern(LEN);
    fn check(mut source: impl AsFd + Seek, bytes: &[u8]) {
        let mut target = target();
        target.write_all(b"before").unwrap();
        source.seek(SeekFrom::Start(1000)).unwrap();

        assert_eq!(target.copy_from(&source, 50_000).unwrap(), 50_000);
        assert_eq!((tell(&source).unwrap(), tell(&target).unwrap()), (51_000, 50_006));
        assert_eq!(target.copy_from(&source, 0).unwrap(), 0);
        assert_eq!((tell(&source).unwrap(), tell(&target).unwrap()), (51_000, 50_006));
        assert_eq!(target.copy_from(&source, u64::MAX).unwrap(), LEN as u64 - 51_000);
        assert_eq!(tell(&source).unwrap(), LEN as u64);
        assert_eq!(target.copy_from(&source, u64::MAX).unwrap(), 0);

        assert_contents(&target, &[b"before", &bytes[1000..]].concat());
    }
    check(memory(&bytes), &bytes);
    check(disk(&bytes), &bytes);
}

#[test]
fn from_a_pipe() {
    let (bytes, target) = (pattern(LEN), target());
    let (reader, mut writer) = pipe();
    thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&bytes).map(|()| drop(writer)).unwrap());
        assert_copied(target.copy_from(&reader, LEN as u64 / 2), LEN / 2);
        assert_copied(target.copy_from(&reader, u64::MAX), LEN - LEN / 2);
    });
    assert_contents(&target, &bytes);
}

#[test]
fn from_a_socket() {
    let (bytes, target) = (pattern(LEN), target());
    let (receiver, mut sender) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| sender.write_all(&bytes).and_then(|()| sender.shutdown(Shutdown::Write)).unwrap());
        assert_copied(target.copy_from(&receiver, u64::MAX), LEN);
    });
    assert_contents(&target, &bytes);
}

/// Files in `/proc` report a size of 0.
#[test]
fn from_proc() {
    for path in ["/proc/version", "/proc/filesystems", "/proc/self/limits"] {
        let (target, source) = (target(), File::open(path).unwrap());
        assert_eq!(source.metadata().unwrap().len(), 0);
        let expected = fs::read(path).unwrap();
        let copied = target.copy_from(&source, u64::MAX).unwrap();
        assert_eq!(copied, expected.len() as u64, "{path}");
        assert_contents(&target, &expected);
    }
    // The contents of these change all the time, so they are not compared.
    for path in ["/proc/self/status", "/proc/cpuinfo"] {
        let target = target();
        let copied = target.copy_from(File::open(path).unwrap(), u64::MAX).unwrap();
        let text = fs::read_to_string(target.proc_path()).unwrap();
        assert_eq!(copied, text.len() as u64);
        assert_eq!(text.lines().count(), fs::read_to_string(path).unwrap().lines().count(), "{path}");
    }
}

#[test]
fn from_an_endless_source() {
    let target = target();
    assert_copied(target.copy_from(File::open("/dev/zero").unwrap(), LEN as u64), LEN);
    assert_contents(&target, &[0; LEN]);
}

#[test]
fn from_an_empty_source() {
    let (reader, _) = pipe();
    let target = target();
    assert_copied(target.copy_from(memory(b""), u64::MAX), 0);
    assert_copied(target.copy_from(disk(b""), u64::MAX), 0);
    assert_copied(target.copy_from(reader, u64::MAX), 0);
    assert_copied(target.copy_from(File::open("/dev/null").unwrap(), u64::MAX), 0);
    assert_contents(&target, b"");
}

#[test]
fn copying_no_bytes_reads_nothing() {
    let (mut reader, mut writer) = pipe();
    writer.write_all(b"kept").unwrap();
    drop(writer);
    assert_eq!(target().copy_from(&reader, 0).unwrap(), 0);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kept");
}

#[test]
fn sources_that_cannot_be_read() {
    let target = target();
    let directory = File::open("/proc").unwrap();
    refused(target.copy_from(directory, u64::MAX), libc::EISDIR, "read: EISDIR: the source is a directory");

    let memory = memory(b"x");
    for flags in [OFlags::WRONLY, OFlags::PATH] {
        let fd = open(memory.proc_path().as_c_str(), flags, Mode::empty()).unwrap();
        refused(target.copy_from(fd, u64::MAX), libc::EBADF, "read: EBADF: the descriptor is not open for reading");
    }
    let (_, writer) = pipe();
    refused(target.copy_from(writer, u64::MAX), libc::EBADF, "read: EBADF: the descriptor is not open for reading");
    assert_contents(&target, b"");
}

#[test]
fn a_source_that_has_nothing_yet() {
    const NOT_READY: &str = "read: EAGAIN: the descriptor is not ready: it is non-blocking, or its timeout has passed";
    let (receiver, mut sender) = UnixStream::pair().unwrap();
    receiver.set_nonblocking(true).unwrap();
    let target = target();
    let error = target.copy_from(&receiver, u64::MAX).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.cause()), (NOT_READY, Cause::WouldBlock));

    let (reader, mut writer) = pipe();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let error = target.copy_from(&reader, u64::MAX).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.cause()), (NOT_READY, Cause::WouldBlock));

    // What was copied before EAGAIN stays in the target, and a later call continues.
    sender.write_all(b"from the socket, ").unwrap();
    writer.write_all(b"from the pipe").unwrap();
    assert_eq!(target.copy_from(&receiver, u64::MAX).unwrap_err().raw_os_error(), Some(libc::EAGAIN));
    assert_eq!(target.copy_from(&reader, u64::MAX).unwrap_err().raw_os_error(), Some(libc::EAGAIN));
    assert_contents(&target, b"from the socket, from the pipe");
    assert_eq!(tell(&target).unwrap(), 30);
}

/// The bytes do not pass through this process, although that would give the same result.
#[test]
fn the_kernel_copies_where_it_can() {
    seccomp::alone(|| {
        let (bytes, small) = (pattern(LEN), pattern(1000));
        let check = |source: BorrowedFd<'_>, bytes: &[u8], call: &str| {
            let target = target();
            thread::scope(|scope| {
                scope.spawn(|| {
                    let others = ["copy_file_range", "sendfile", "splice", "read", "pread", "write"];
                    for other in others.into_iter().filter(|&other| other != call) {
                        seccomp::always(other, seccomp::errno(libc::EIO));
                    }
                    assert_copied(target.copy_from(source, u64::MAX), bytes.len());
                });
            });
            assert_contents(&target, bytes);
        };
        check(memory(&bytes).as_fd(), &bytes, "copy_file_range");
        check(memory(&bytes).as_fd(), &bytes, "sendfile");
        let (reader, mut writer) = pipe();
        writer.write_all(&small).unwrap();
        drop(writer);
        check(reader.as_fd(), &small, "splice");
    });
}

/// A call that copies nothing, as for a file of `/proc` on some kernels, or that is refused, has not
/// copied everything.
#[test]
fn the_next_call_continues() {
    seccomp::alone(|| {
        let bytes = pattern(LEN);
        for call in ["copy_file_range", "sendfile", "splice"] {
            for errno in [libc::EPERM, 0] {
                seccomp::always(call, seccomp::errno(errno));
                let target = target();
                assert_copied(target.copy_from(memory(&bytes), u64::MAX), LEN);
                assert_contents(&target, &bytes);
            }
        }
    });
}

/// `copy_file_range`, `sendfile` and `splice` refuse a target opened with O_APPEND.
#[test]
fn a_target_that_appends() {
    let target = target();
    target.write_all_at(b"before, ", 0).unwrap();
    let appending = File::options().append(true).open(target.proc_path()).unwrap();
    let appending = MemFile::from_fd(appending.into()).unwrap();
    assert_copied(appending.copy_from(memory(b"after"), u64::MAX), 5);
    assert_contents(&target, b"before, after");
}

/// Copying to a sealed target consumes nothing from the source, whatever its kind.
#[test]
fn a_sealed_target_leaves_the_source_alone() {
    let bytes = pattern(LEN);
    for seal in [Seal::Write, Seal::FutureWrite, Seal::Grow] {
        let target = target();
        target.add_seal(seal).unwrap();
        let sealed = |source: &dyn AsFd| {
            let error = target.copy_from(source.as_fd(), u64::MAX).unwrap_err();
            assert_eq!((error.raw_os_error(), error.cause()), (Some(libc::EPERM), Cause::Sealed), "{seal:?}");
            assert!(
                error.to_string().ends_with(": EPERM: a seal forbids this change: put the data into a new file"),
                "{error}"
            );
        };
        let (memory, disk) = (memory(&bytes), disk(&bytes));
        sealed(&memory);
        sealed(&disk);
        assert_eq!((tell(&memory).unwrap(), tell(&disk).unwrap()), (0, 0), "{seal:?}");

        let (mut reader, mut writer) = pipe();
        writer.write_all(b"kept").unwrap();
        drop(writer);
        sealed(&reader);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kept", "{seal:?}");
        assert_contents(&target, b"");
    }
}

/// A target that cannot grow may be filled in part, and both positions tell how far.
#[test]
fn a_target_of_fixed_size() {
    let bytes = pattern(LEN);
    for source in [&memory(&bytes) as &dyn AsFd, &disk(&bytes)] {
        let target = target();
        target.set_len(8192).unwrap();
        target.add_seal(Seal::Grow).unwrap();
        let error = target.copy_from(source.as_fd(), u64::MAX).unwrap_err();
        assert_eq!((error.raw_os_error(), error.cause()), (Some(libc::EPERM), Cause::Sealed));
        assert!(
            error.to_string().ends_with(": EPERM: a seal forbids this change: put the data into a new file"),
            "{error}"
        );

        let position = tell(&target).unwrap();
        assert!(position <= 8192);
        assert_eq!(tell(source).unwrap(), position);
        let position = usize::try_from(position).unwrap();
        assert_contents(&target, &[&bytes[..position], &[0; 8192][position..]].concat());
    }
}

#[test]
fn targets_that_write_refuses() {
    let source = memory(b"x");
    let read_only = target().reopen_read_only().unwrap();
    let error = read_only.copy_from(&source, u64::MAX).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    assert_eq!(tell(&source).unwrap(), 0);

    match CreateOptions::new().huge_tlb(HugeTlb::Default).create("huge") {
        Ok(huge) => {
            let error = huge.copy_from(&source, u64::MAX).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            assert_eq!(tell(&source).unwrap(), 0);
        }
        Err(error) => skip(error),
    }
}

/// A write that writes nothing is an error. Trying again could go on for ever.
#[test]
fn a_write_that_writes_nothing() {
    seccomp::alone(|| {
        // A filter lasts as long as its thread. This one must still be able to report.
        let copied = thread::spawn(|| {
            for call in ["copy_file_range", "sendfile", "splice", "write"] {
                seccomp::always(call, seccomp::errno(0));
            }
            target().copy_from(memory(b"bytes"), u64::MAX)
        });
        refused(copied.join().unwrap(), None, "the kernel wrote nothing");
    });
}
