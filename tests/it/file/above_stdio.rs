//! No descriptor of this crate has the number of a standard stream (0, 1 or 2), even in a process
//! that was started with these closed.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use memfile::kernel::{Feature, Support};
use memfile::{
    Cause, CreateOptions, Error, ErrorWith, Exec, Holes, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView,
    socket,
};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::skip::skip;
use crate::support::{child, noexec, seccomp};

/// Runs `body` while the standard streams are closed. `body` must not panic: its message would be
/// lost.
fn without_streams<T>(body: impl FnOnce() -> T) -> T {
    let streams = [0, 1, 2].map(|number| {
        // SAFETY: The test harness starts this process with its standard streams open.
        let stream = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_dupfd_cloexec(stream, 40).unwrap()
    });
    for number in [0, 1, 2] {
        // SAFETY: Nobody reads or writes these streams while they are closed.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }
    let result = body();
    for (number, stream) in (0..).zip(streams) {
        // SAFETY: The number is free, or belongs to a file that `body` leaked, and whose number the
        // test is about to report as a failure.
        let mut place = unsafe { OwnedFd::from_raw_fd(number) };
        rustix::io::dup2(&stream, &mut place).unwrap();
        // The restored stream stays open.
        assert_eq!(place.into_raw_fd(), number);
    }
    result
}

/// The call that made a descriptor, the descriptor's number, and its flags.
type Made = (&'static str, RawFd, FdFlags);

/// Makes a descriptor with each call in turn. Each is closed before the next call, so that the
/// lowest number is always free. `policies` are those that this kernel allows.
fn every_descriptor(policies: &[Exec]) -> Result<Vec<Made>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    let mut note = |name, fd: &dyn AsFd| {
        let fd = fd.as_fd();
        all.push((name, fd.as_raw_fd(), fcntl_getfd(fd).unwrap_or(FdFlags::empty())));
    };
    let inherited = CreateOptions::new().close_on_exec(false);
    for &exec in policies {
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

    if policies.contains(&Exec::Allow) {
        let shared = SharedMap::create("streams", 5)?;
        note("SharedMap::create", &shared);
        note("reader", &shared.reader()?);

        let program = CreateOptions::new().exec(Exec::Allow).create("streams")?;
        program.write_all_at(b"\x7fELF", 0)?;
        note("to_command", &program.to_command()?.into_parts().1);
    }

    // One end of the pair had a stream's number, so that number is free again when the file is
    // received.
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

/// `find_inherited` opens the file by its path, and a new descriptor gets the lowest free number.
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
        let policies: Vec<_> = noexec::policies().collect();
        let all = without_streams(|| every_descriptor(&policies).map_err(|error| error.to_string())).unwrap();
        assert!(all.len() > 20, "{all:?}");
        for (name, number, flags) in all {
            assert!(number >= 3, "{name}: {number}");
            let inherited = name.ends_with(", inherited");
            assert_eq!(flags.contains(FdFlags::CLOEXEC), !inherited, "{name}: {number}");
        }
    });
}

/// Moves a file to the number 0. Like every descriptor that `dup2` makes, it is not close-on-exec.
fn at_zero(file: impl Into<OwnedFd>) -> OwnedFd {
    let file = file.into();
    // SAFETY: The number is free, or belongs to a file that the crate has taken over and moved.
    let mut zero = unsafe { OwnedFd::from_raw_fd(0) };
    rustix::io::dup2(&file, &mut zero).unwrap();
    zero
}

/// Passes a file with the number 0 to each call that takes over or examines a caller's file.
fn every_prover() -> Result<Vec<Made>, Box<dyn std::error::Error>> {
    let mut all = Vec::new();
    let mut note = |name, fd: &dyn AsFd| {
        let fd = fd.as_fd();
        all.push((name, fd.as_raw_fd(), fcntl_getfd(fd).unwrap_or(FdFlags::empty())));
    };
    let sealed = || SealedFile::from_bytes("at zero", b"bytes").map(|file| at_zero(file.into_fd()));
    let open = || MemFile::create_sealable("at zero").map(|file| at_zero(file.into_fd()));
    let shared = || -> Result<OwnedFd, Error> {
        let file = MemFile::create_sealable("at zero")?;
        file.set_len(5)?;
        file.add_seal(Seal::Shrink)?;
        Ok(at_zero(file.into_fd()))
    };
    // SAFETY: The descriptor is the caller's own.
    let raw = |fd: OwnedFd| unsafe { MemFile::from_raw_fd(fd.into_raw_fd()) };
    let accept = SealedFile::options().holes(Holes::Accept);

    note("verify", &SealedFile::options().verify(sealed()?)?);
    note("verify, with options", &accept.verify(sealed()?)?);
    note("seal", &SealedFile::options().seal(open()?)?);
    note("from_fd", &MemFile::from_fd(open()?)?);
    note("TryFrom<OwnedFd> for MemFile", &MemFile::try_from(open()?)?);
    note("TryFrom<OwnedFd> for SealedFile", &SealedFile::try_from(sealed()?)?);
    note("TryFrom<File> for SealedFile", &SealedFile::try_from(File::from(sealed()?))?);
    note("TryFrom<MemFile> for SealedFile", &SealedFile::try_from(raw(sealed()?))?);
    note("into_sealed", &raw(open()?).into_sealed()?);
    note("into_sealed_timeout", &raw(open()?).into_sealed_timeout(core::time::Duration::ZERO)?);
    note("TryFrom<OwnedFd> for SharedMap", &SharedMap::try_from(shared()?)?);
    note("SharedMap::map", &SharedMap::map(raw(shared()?), Holes::Allocate)?);
    // A view keeps no descriptor, but must not be proven and mapped through number 0 either.
    drop(SharedView::map(&shared()?, Holes::Accept)?);
    Ok(all)
}

#[test]
fn no_descriptor_from_a_caller_stays_a_stream() {
    child::alone(|| {
        let all = without_streams(|| every_prover().map_err(|error| error.to_string())).unwrap();
        assert_eq!(all.len(), 12);
        for (name, number, flags) in all {
            assert!(number >= 3, "{name}: {number}");
            assert!(flags.contains(FdFlags::CLOEXEC), "{name}");
        }
    });
}

/// If no number above the streams is free, the caller gets the descriptor back unchanged.
#[test]
fn no_other_number_is_free() {
    /// The error, and the number that comes back.
    fn refusal<T, F: IntoRawFd>(result: Result<T, ErrorWith<F>>) -> Option<(Error, RawFd)> {
        let (error, fd) = result.err()?.into_parts();
        Some((error, fd.into_raw_fd()))
    }

    child::alone(|| {
        let file = SealedFile::from_bytes("at zero", b"bytes").unwrap();
        let open = MemFile::create_sealable("at zero").unwrap();
        let inherited = CreateOptions::new().close_on_exec(false).create("inherited").unwrap();
        let (refusals, found) = without_streams(|| {
            let zero = || at_zero(file.as_fd().try_clone_to_owned().unwrap());
            // Once the limit is set, no descriptor for `dup2` to copy could be made.
            let mut zero = Some(zero());
            let lowest = rustix::io::fcntl_dupfd_cloexec(&open, 3).unwrap();
            let before = getrlimit(Resource::Nofile);
            let limit = Rlimit { current: Some(lowest.as_raw_fd().unsigned_abs().into()), ..before };
            drop(lowest);
            setrlimit(Resource::Nofile, limit).unwrap();
            let mut take = || {
                zero.take().unwrap_or_else(|| {
                    // SAFETY: The last call returned the number, and nothing else owns it.
                    unsafe { OwnedFd::from_raw_fd(0) }
                })
            };
            let refusals = [
                refusal(SealedFile::options().verify(take())),
                refusal(SealedFile::options().seal(take())),
                refusal(SealedFile::try_from(take())),
                refusal(SealedFile::try_from(File::from(take()))),
                refusal(MemFile::from_fd(take())),
                refusal(MemFile::try_from(take())),
                refusal(MemFile::try_from(File::from(take()))),
                refusal(SharedMap::try_from(take())),
                refusal(SharedView::try_from(take())),
            ];
            // Opens it as one of the other two.
            let found = MemFile::find_inherited("inherited");
            setrlimit(Resource::Nofile, before).unwrap();
            drop(take());
            (refusals, found)
        });
        drop(inherited);
        let error = found.unwrap_err().downcast::<Error>().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
        for (i, refusal) in refusals.into_iter().enumerate() {
            let (error, number) = refusal.unwrap_or_else(|| panic!("{i} succeeded"));
            assert_eq!((error.raw_os_error(), error.cause()), (Some(libc::EMFILE), Cause::OutOfDescriptors), "{i}");
            assert_eq!(number, 0, "{i}");
        }
    });
}

/// From now on, calls of this thread fail with EBADF on the numbers of the standard streams. It can
/// still duplicate and close those descriptors.
fn forbid_streams() {
    const STREAMS: [u32; 3] = [0, 1, 2];
    let calls = [
        ("fstat", 0),
        ("fstatfs", 0),
        ("fallocate", 0),
        ("fchmod", 0),
        ("pread", 0),
        ("pwrite", 0),
        ("read", 0),
        ("write", 0),
        ("ftruncate", 0),
        ("lseek", 0),
        ("copy_file_range", 0),
        ("copy_file_range", 2),
        ("sendfile", 0),
        ("sendfile", 1),
        ("splice", 0),
        ("splice", 2),
        ("mmap", 4),
    ];
    for (call, argument) in calls {
        seccomp::on_values(call, argument, &STREAMS, seccomp::errno(libc::EBADF));
    }
    for command in [libc::F_ADD_SEALS, libc::F_GET_SEALS, libc::F_SETFD, libc::F_GETFL] {
        seccomp::on_fcntl_of(&STREAMS, command, seccomp::errno(libc::EBADF));
    }
}

/// The crate moves a file before it uses it. While a file has the number of a stream, another
/// thread could replace it, and the crate would examine or write the wrong file.
#[test]
fn no_call_is_made_on_a_stream() {
    seccomp::alone(|| {
        let support = Support::probe();
        let policies: Vec<_> = noexec::policies().collect();
        let result = without_streams(|| {
            // A filter lasts as long as its thread, so it gets a thread of its own.
            let thread = std::thread::spawn(move || {
                forbid_streams();
                let probed = Support::probe();
                every_descriptor(&policies).map_err(|error| error.to_string())?;
                every_prover().map_err(|error| error.to_string())?;
                Ok::<_, String>(probed)
            });
            thread.join()
        });
        let probed = result.expect("the thread panicked").unwrap();
        assert_eq!(format!("{probed:?}"), format!("{support:?}"));
    });
}

/// A new file is not moved by `dup`: if another thread replaced the stream before that, the crate would
/// write to a file that others have, or hand it out as a slice.
#[test]
fn no_new_file_is_moved() {
    seccomp::alone(|| {
        let policies: Vec<_> = noexec::policies().collect();
        let result = without_streams(|| {
            let thread = std::thread::spawn(move || {
                seccomp::on_fcntl_of(&[0, 1, 2], libc::F_DUPFD_CLOEXEC, seccomp::errno(libc::EBADF));
                for exec in policies {
                    CreateOptions::new().exec(exec).create("streams")?;
                }
                let file = SealedFile::from_bytes("streams", b"bytes")?;
                SealedFile::create_with("streams", 5, |bytes| bytes.fill(1))?;
                SealedFile::copy_of("streams", &file)?;
                // The answer about the kernel is kept, so it must be about the crate's own file.
                Ok::<_, Error>(Support::probe().get(Feature::HonestWriteSeal).map_err(|error| error.to_string()))
            });
            thread.join()
        });
        let honest = result.expect("the thread panicked").unwrap();
        assert_eq!(honest, Support::probe().get(Feature::HonestWriteSeal).map_err(|error| error.to_string()));
    });
}

/// The crate tests the kernel with a file of its own, once, and remembers the result. This test
/// makes that happen while the streams are closed.
#[test]
fn no_probe_of_the_kernel_is_made_on_a_stream() {
    seccomp::alone(|| {
        let support = Support::probe();
        if let Err(error) = support.get(Feature::HonestWriteSeal).and(support.get(Feature::ExecSeal)) {
            return skip(error);
        }
        let file = CreateOptions::new().allow_sealing(true).exec(Exec::Deny).create("streams").unwrap();
        file.write_all_at(b"bytes", 0).unwrap();
        file.add_seals(Seals::IMMUTABLE | Seal::FutureWrite | Seal::Exec).unwrap();
        let result = without_streams(|| {
            let thread = std::thread::spawn(|| {
                forbid_streams();
                SealedFile::try_from(file).map_err(|error| error.to_string())
            });
            thread.join()
        });
        result.expect("the thread panicked").unwrap();
    });
}
