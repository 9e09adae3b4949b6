//! [`SealedFile::reopen_read_only`] and `to_stdio` give the same file, proven again, or an error.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};

use memfile::{Cause, CreateOptions, Holes, MemFile, Seal, SealedFile, Seals};
use rustix::fs::{Mode, OFlags, fchmod, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::support::check::{missing, refused};
use crate::support::skip::skip;
use crate::support::{child, noexec};

#[test]
fn has_its_own_position_and_cannot_write() {
    let file = SealedFile::from_bytes("reopened", b"0123456789").unwrap();
    file.as_mem_file().as_file().seek(SeekFrom::Start(4)).unwrap();
    let reopened = file.reopen_read_only().unwrap();
    assert_ne!(reopened.as_raw_fd(), file.as_raw_fd());
    assert_eq!((reopened.len(), &*reopened.name().unwrap()), (10, &b"reopened"[..]));
    assert_eq!(reopened.get_seals().unwrap(), file.get_seals().unwrap());
    assert_eq!(fcntl_getfl(&reopened).unwrap() & OFlags::RWMODE, OFlags::RDONLY);
    assert_eq!(fcntl_getfd(&reopened).unwrap(), FdFlags::CLOEXEC);
    assert_eq!(reopened.map().unwrap(), b"0123456789");
    let mut bytes = [0; 3];
    reopened.read_exact_at(&mut bytes, 7).unwrap();
    assert_eq!(&bytes, b"789");
    assert_eq!((reopened.read_at(&mut bytes, 8).unwrap(), &bytes), (2, b"899"));

    let mut text = String::new();
    File::from(reopened).read_to_string(&mut text).unwrap();
    assert_eq!(text, "0123456789", "does not read from the start");
    assert_eq!(file.as_mem_file().as_file().stream_position().unwrap(), 4);
    assert_eq!(file.proc_path().to_string(), format!("/proc/self/fd/{}", file.as_raw_fd()));
}

/// A file whose holes were accepted can be reopened without accepting them again.
#[test]
fn accepted_holes_stay_accepted() {
    let file = MemFile::create_sealable("reopened").unwrap();
    file.set_len(1 << 20).unwrap();
    file.add_seals(Seals::IMMUTABLE).unwrap();
    let sealed = SealedFile::options().holes(Holes::Accept).verify(file).unwrap();
    assert_eq!(sealed.reopen_read_only().unwrap().len(), 1 << 20);
}

/// Another file system may be mounted at `/proc`, with a different file under the number of the
/// descriptor, so the reopened file is proven again.
#[test]
fn fails_if_proc_shows_another_file() {
    let prefix =
        ["unshare", "--mount", "sh", "-c", "umount -l /proc && mount -t tmpfs none /proc && exec \"$0\" \"$@\""];
    child::alone_through(&prefix, || {
        let file = SealedFile::from_bytes("reopened", b"proven").unwrap();
        for process in ["self", "thread-self"] {
            let fds = format!("/proc/{process}/fd");
            fs::create_dir_all(&fds).unwrap();
            fs::write(format!("{fds}/{}", file.as_raw_fd()), b"this can change").unwrap();
        }
        let other = missing(Seals::CONSTANT, Seal::Seal.into());
        refused(file.reopen_read_only(), None, &other);
        refused(file.to_stdio(), None, &other);
        // `MemFile` makes no promise about the file, so its method succeeds.
        assert_eq!(file.as_mem_file().reopen_read_only().unwrap().len().unwrap(), 15);
    });
}

/// A sender can remove the permission to open the file. `to_stdio` then fails, rather than give a
/// child a descriptor that shares its position with others.
#[test]
fn a_file_without_permissions() {
    const DENIED: &str = "open: EACCES: the file's mode, or a security module, forbids opening it again";
    const NOBODY: libc::uid_t = 65_534;

    child::alone(|| {
        let options = SealedFile::options().create_options(CreateOptions::new().exec(noexec::plain()));
        let file = options.from_bytes("reopened", b"0123456789").unwrap();
        fchmod(file.as_fd(), Mode::empty()).unwrap();
        // SAFETY: No pointers are involved. The call applies to all threads of this process, which
        // is the child of a test. If it fails, this process may not be privileged at all, and needs
        // no other user.
        unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
        if File::open(file.proc_path()).is_ok() {
            return skip("this process can open any file, and cannot change to another user");
        }
        for error in
            [refused(file.reopen_read_only(), libc::EACCES, DENIED), refused(file.to_stdio(), libc::EACCES, DENIED)]
        {
            assert_eq!((error.cause(), error.kind()), (Cause::Denied, std::io::ErrorKind::PermissionDenied));
        }
        assert_eq!(file.map().unwrap(), b"0123456789");
    });
}
