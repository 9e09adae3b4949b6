//! [`MemFile::from_fd`]: what it accepts, and that it gives a refused descriptor back, still open.

use std::fs::File;
use std::io::{ErrorKind, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use memfile::{Error, FromFdError, MemFile, Seal, SealedFile, Seals};
use rustix::fs::{Mode, OFlags, fstat};
use rustix::pipe::pipe;

use crate::support::check::{NO_MEMORY_FILE, PATH_ONLY, refused};
use crate::support::skip::skip;
use crate::support::tmpfs;

/// Checks that every conversion refuses `fd` and gives it back.
#[track_caller]
fn given_back(fd: impl Into<OwnedFd>, errno: i32, message: &str) -> OwnedFd {
    let fd = fd.into();
    let number = fd.as_raw_fd();
    let inode = fstat(&fd).unwrap().st_ino;

    let error: FromFdError = MemFile::from_fd(fd).unwrap_err();
    assert!(error.error().is_not_a_memory_file());
    assert_eq!(error.to_string(), message);
    assert_eq!(error.fd().as_raw_fd(), number);
    let fd = error.into_fd();

    let (error, fd) = MemFile::try_from(fd).unwrap_err().into_parts();
    refused(Err::<(), _>(error), errno, message);
    let (error, file) = MemFile::try_from(File::from(fd)).unwrap_err().into_parts();
    refused(Err::<(), _>(error), errno, message);
    let (error, file) = SealedFile::try_from(file).unwrap_err().into_parts();
    refused(Err::<(), _>(error), errno, message);
    let fd = OwnedFd::from(file);
    assert_eq!(fd.as_raw_fd(), number);
    assert_eq!(fstat(&fd).unwrap().st_ino, inode, "the descriptor was closed or replaced");
    fd
}

#[test]
fn a_pipe_is_refused() {
    let (reader, writer) = pipe().unwrap();
    let mut writer = File::from(given_back(writer, libc::EINVAL, NO_MEMORY_FILE));
    writer.write_all(b"still a pipe").unwrap();
    drop(writer);
    assert_eq!(std::io::read_to_string(File::from(reader)).unwrap(), "still a pipe");
}

#[test]
fn a_socket_is_refused() {
    given_back(UnixStream::pair().unwrap().0, libc::EINVAL, NO_MEMORY_FILE);
}

#[test]
fn a_device_is_refused() {
    given_back(File::open("/dev/null").unwrap(), libc::EINVAL, NO_MEMORY_FILE);
}

#[test]
fn a_directory_is_refused() {
    given_back(File::open("/proc").unwrap(), libc::EINVAL, NO_MEMORY_FILE);
}

#[test]
fn a_file_on_disk_is_refused() {
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    if tmpfs::is_on_tmpfs(&file) {
        return skip("the build folder lies on tmpfs");
    }
    given_back(file, libc::EINVAL, NO_MEMORY_FILE);
}

#[test]
fn a_descriptor_with_o_path_is_refused() {
    let memory = MemFile::create_sealable("path only").unwrap();
    let fd = rustix::fs::open(memory.proc_path().as_c_str(), OFlags::PATH, Mode::empty()).unwrap();
    given_back(fd, libc::EBADF, PATH_ONLY);
}

/// A file on tmpfs supports `F_GET_SEALS`, so it is accepted. Its only seal is Seal.
#[test]
fn a_file_on_tmpfs_is_accepted() {
    let Some(file) = tmpfs::file() else { return };
    let number = file.as_raw_fd();
    let file = MemFile::from_fd(file.into()).unwrap();
    assert_eq!(file.as_raw_fd(), number);
    assert_eq!(file.get_seals().unwrap(), Seals::from(Seal::Seal));
}

#[test]
fn the_error_becomes_an_io_error() {
    let (reader, _writer) = pipe().unwrap();
    let take = |fd: OwnedFd| -> std::io::Result<MemFile> { Ok(MemFile::from_fd(fd)?) };
    let error = take(reader).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, NO_MEMORY_FILE));
    assert_eq!(error.downcast::<Error>().unwrap().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_file_of_std_and_back() {
    let mut file = File::from(MemFile::create_sealable("std").unwrap());
    file.write_all(b"std").unwrap();
    let file = MemFile::try_from(file).unwrap();
    assert_eq!((&file).stream_position().unwrap(), 3, "the position has changed");

    let (error, file) = SealedFile::try_from(file.into_file()).unwrap_err().into_parts();
    assert_eq!(error.seals(), Seals::CONSTANT);
    let sealed = MemFile::try_from(file).unwrap().into_sealed().unwrap();
    let sealed = SealedFile::try_from(File::from(sealed)).unwrap();
    assert_eq!(*sealed.map().unwrap(), *b"std");

    let mut file = File::from(sealed);
    file.rewind().unwrap();
    assert_eq!(std::io::read_to_string(&file).unwrap(), "std");
    assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(libc::EPERM), "the seals are missing");
}
