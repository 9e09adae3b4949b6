//! No descriptor of this crate has the number of a standard stream, even in a process that started
//! without them.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use memfile::{CreateOptions, Exec, MemFile, SealedFile, SharedMap, socket};
use rustix::io::{FdFlags, fcntl_getfd};

use crate::support::child;

/// Runs `body` while the standard streams are closed. It must not panic, since nobody would hear.
fn without_streams<T>(body: impl FnOnce() -> T) -> T {
    let streams = [0, 1, 2].map(|number| {
        // SAFETY: It is open, as long as this process starts as a test does.
        let stream = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_dupfd_cloexec(stream, 100).unwrap()
    });
    for number in [0, 1, 2] {
        // SAFETY: Nobody reads or writes these streams while they are closed.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
    let result = body();
    for (number, stream) in (0..).zip(streams) {
        // SAFETY: The number is free, or a file's that is about to be reported.
        let mut place = unsafe { OwnedFd::from_raw_fd(number) };
        rustix::io::dup2(&stream, &mut place).unwrap();
        // It stays open.
        assert_eq!(place.into_raw_fd(), number);
    }
    result
}

/// What made a descriptor, its number and its flags.
type Made = (&'static str, RawFd, FdFlags);

/// The number and the flags of each descriptor, one call after the other, so that the lowest number
/// is free for each.
fn every_descriptor() -> Result<Vec<Made>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    let mut note = |name, fd: &dyn AsFd| {
        let fd = fd.as_fd();
        all.push((name, fd.as_raw_fd(), fcntl_getfd(fd).unwrap_or(FdFlags::empty())));
    };
    let inherited = CreateOptions::new().close_on_exec(false);
    for exec in [Exec::Deny, Exec::DenyUnsealed, Exec::Allow, Exec::KernelDefault] {
        note("create", &CreateOptions::new().exec(exec).create("streams")?);
        note("create, inherited", &inherited.exec(exec).create("streams")?);
    }
    note("create_cstr", &MemFile::create_cstr(c"streams", CreateOptions::new())?);
    note("create_cstr, inherited", &MemFile::create_cstr(c"streams", inherited)?);

    let mut source = MemFile::create_sealable("streams")?;
    source.write_all(b"bytes")?;
    note("try_clone", &source.try_clone()?);
    note("reopen_read_only", &source.reopen_read_only()?);
    note("from_bytes", &SealedFile::from_bytes("streams", b"bytes")?);
    let options = SealedFile::options().create_options(inherited);
    note("from_bytes, inherited", &options.from_bytes("streams", b"bytes")?);
    note("create_with", &SealedFile::create_with("streams", 5, |bytes| bytes.fill(1))?);
    note("draft", &SealedFile::options().draft("streams", 5)?.seal()?);
    note("from_reader", &SealedFile::from_reader("streams", &b"bytes"[..])?);
    note("copy_of", &SealedFile::copy_of("streams", &source)?);
    let sealed = source.into_sealed()?;
    note("SealedFile::try_clone", &sealed.try_clone()?);
    note("SealedFile::reopen_read_only", &sealed.reopen_read_only()?);

    let shared = SharedMap::create("streams", 5)?;
    note("SharedMap::create", &shared);
    note("reader", &shared.reader()?);

    let program = CreateOptions::new().exec(Exec::Allow).create("streams")?;
    program.write_all_at(b"\x7fELF", 0)?;
    note("to_command", &program.to_command()?.into_parts().1);

    // Of the sockets' numbers one is that of a stream, and stays so while the file is received.
    for _ in 0..2 {
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = rustix::io::fcntl_dupfd_cloexec(theirs, 10)?;
        let ours = rustix::io::fcntl_dupfd_cloexec(ours, 10)?;
        sealed.send(&ours, b"x")?;
        note("SealedFile::recv", &SealedFile::recv(&theirs, &mut [0; 8])?.1);
        socket::send(&ours, b"x", &[sealed.as_fd(); 4])?;
        let mut slots = [const { None }; 4];
        socket::recv(&theirs, &mut [0; 8], &mut slots)?;
        slots.iter().flatten().for_each(|fd| note("socket::recv", fd));
    }
    Ok(all)
}

/// It is opened by its path, which takes the lowest number too.
#[test]
fn no_inherited_file_is_a_stream() {
    child::alone(|| {
        let _left = CreateOptions::new().close_on_exec(false).create("streams inherited").unwrap();
        let found = without_streams(|| {
            let found = MemFile::find_inherited("streams inherited")?;
            std::io::Result::Ok(found.map(|file| file.as_raw_fd()))
        });
        let number = found.unwrap().unwrap();
        assert!(number >= 3, "{number}");
    });
}

#[test]
fn no_descriptor_is_a_stream() {
    child::alone(|| {
        let all = without_streams(|| every_descriptor().map_err(|error| error.to_string())).unwrap();
        assert!(all.len() > 25, "{all:?}");
        for (name, number, flags) in all {
            assert!(number >= 3, "{name}: {number}");
            let inherited = name.ends_with(", inherited");
            assert_eq!(flags.contains(FdFlags::CLOEXEC), !inherited, "{name}: {number}");
        }
    });
}
