//! [`Error`] and [`ErrorWith`]: messages, kinds and conversions.

use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use memfile::{
    Cause, CreateOptions, Error, ErrorWith, Exec, FromFdError, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView,
    socket,
};

use crate::support::check::{
    BUSY, MISSING_BOTH, MISSING_SHRINK, NO_DESCRIPTOR, NO_MEMORY_FILE, SEALED_FUTURE_WRITE, UNSEALABLE, holes,
};
use crate::support::huge::steady_policy;
use crate::support::proc_self::allocated;
use crate::support::{BEYOND_A_HUGE_PAGE, noexec, seccomp};

fn unsealable() -> Error {
    MemFile::create_default("unsealable").unwrap().add_seal(Seal::Write).unwrap_err()
}

fn bad_name() -> Error {
    MemFile::create_default("\0").unwrap_err()
}

fn unsealed() -> ErrorWith<MemFile> {
    SealedFile::try_from(MemFile::create_sealable("unsealed").unwrap()).unwrap_err()
}

/// Every form that a message can have. The other modules compare the whole message of each error
/// that they cause.
#[test]
fn forms_of_the_text() {
    assert_eq!(unsealable().to_string(), UNSEALABLE);
    assert_eq!(format!("{:?}", unsealable()), format!("Error({UNSEALABLE})"));
    // An error of the crate itself names no system call.
    assert_eq!(bad_name().to_string(), "the name contains a NUL byte");
    assert_eq!(unsealed().to_string(), MISSING_BOTH);
    assert_eq!(format!("{:?}", unsealed().error()), format!("Error({MISSING_BOTH})"));
}

/// `ErrorWith` has no source: it is the error itself, with a value, and not caused by it.
#[test]
fn with_a_value() {
    let error = unsealed();
    let debug = format!("{error:?}");
    let start = format!("ErrorWith {{ error: Error({MISSING_BOTH}), value: MemFile {{ fd: ");
    assert!(debug.starts_with(&start), "{debug}");
    assert!(std::error::Error::source(&error).is_none());
}

#[test]
fn parts() {
    let error = unsealable();
    assert_eq!(error.call(), Some("fcntl(F_ADD_SEALS)"));
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    assert_eq!(error.seals(), Seals::empty());
    assert_eq!(error.cause(), Cause::Sealed);
    assert!(!error.is_busy() && !error.is_unsupported() && !error.is_not_a_memory_file());
    assert!(!error.is_unproven() && !error.is_out_of_bounds());
    assert_eq!(error, unsealable());
    assert_ne!(error, bad_name());
    // Errors are equal only if the values in their messages are.
    let (short, long) = ("n".repeat(250), "n".repeat(251));
    assert_ne!(MemFile::create_default(&short).unwrap_err(), MemFile::create_default(&long).unwrap_err());

    let error = unsealed().into_error();
    assert_eq!((error.call(), error.raw_os_error()), (None, None));
    assert_eq!(error.seals(), Seals::CONSTANT);
    assert_eq!(error.cause(), Cause::MissingSeals);
    assert!(error.is_unproven());
}

/// Every cause that a simple call can produce, and the message with its values.
#[test]
fn causes() {
    let options = CreateOptions::new().allow_sealing(true).exec(noexec::plain());
    let plain = |bytes: &[u8]| {
        let file = options.create("cause").unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    };
    let one = SealedFile::from_bytes("cause", b"1").unwrap();
    let shared = plain(&[0; 10]).share().unwrap();
    let sparse = || {
        let file = plain(b"");
        file.set_len(BEYOND_A_HUGE_PAGE).unwrap();
        file.write_all_at(b"2", 4096).unwrap();
        file.add_seals(Seals::IMMUTABLE).unwrap();
        file
    };
    let _steady = steady_policy();
    let sparse = sparse();
    let holes = holes(BEYOND_A_HUGE_PAGE, allocated(&sparse));
    let missing = |seals: Seals| {
        let file = plain(b"1");
        file.add_seals(seals).unwrap();
        SealedFile::try_from(file).unwrap_err().into_error()
    };
    let executable = CreateOptions::new().exec(Exec::Allow).create("cause");
    let script = executable.map(|file| {
        file.write_all_at(b"#!/bin/sh", 0).unwrap();
        file.to_command().unwrap_err()
    });
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let not_ready = SealedFile::recv(&theirs, &mut [0]).unwrap_err();
    socket::send(&ours, b"x", &[]).unwrap();
    let no_descriptor = SealedFile::recv(&theirs, &mut [0]).unwrap_err();
    one.send(&ours, b"x").unwrap();
    let stray = socket::recv(&theirs, &mut [0], &mut []).unwrap_err();
    drop(theirs);
    let closed = one.send(&ours, b"x").unwrap_err();

    let mut all = vec![
        (bad_name(), Cause::InvalidInput, "the name contains a NUL byte"),
        (
            MemFile::create_default("n".repeat(250)).unwrap_err(),
            Cause::InvalidInput,
            "the name has 250 bytes, more than the 249 that fit",
        ),
        (one.map_range(0..5).unwrap_err(), Cause::OutOfBounds, "the range 0..5 ends past the end (1 byte)"),
        (
            one.map_range((Bound::Included(5), Bound::Excluded(2))).unwrap_err(),
            Cause::OutOfBounds,
            "the range 5..2 ends before it starts",
        ),
        (
            shared.read_exact_at(&mut [0; 3], 9).unwrap_err(),
            Cause::OutOfBounds,
            "the range 9..12 ends past the end (10 bytes)",
        ),
        (
            shared.atomic::<u32>(2).unwrap_err(),
            Cause::OutOfBounds,
            "the offset 2 is not a multiple of the value's size (4 bytes)",
        ),
        (shared.atomic::<u32>(8).unwrap_err(), Cause::OutOfBounds, "the range 8..12 ends past the end (10 bytes)"),
        (
            plain(b"").set_len(u64::MAX).unwrap_err(),
            Cause::OutOfBounds,
            "the offset or length 18446744073709551615 is more than a file or the address space can hold",
        ),
        (
            one.read_exact_at(&mut [0; 5], 0).unwrap_err(),
            Cause::EndOfFile,
            "the file ends after 1 byte of the 5 bytes to read",
        ),
        (
            SealedFile::options().limit(0).verify(one.try_clone().unwrap()).unwrap_err().into_error(),
            Cause::LimitExceeded,
            "the file has 1 byte, which exceeds the limit of 0 bytes",
        ),
        (
            SealedFile::options().limit(1).copy_of("cause", plain(b"12")).unwrap_err(),
            Cause::LimitExceeded,
            "the source exceeds the limit of 1 byte",
        ),
        (SealedFile::try_from(sparse).unwrap_err().into_error(), Cause::Holes, &holes),
        (missing(Seals::empty()), Cause::MissingSeals, MISSING_BOTH),
        (
            missing(Seal::Shrink.into()),
            Cause::MissingSeals,
            "the file is missing the seal Write: seal it with `into_sealed`, or copy it with `copy_of`",
        ),
        (SharedView::try_from(plain(b"1")).unwrap_err().into_error(), Cause::MissingSeals, MISSING_SHRINK),
        (unsealable(), Cause::Sealed, UNSEALABLE),
        (
            one.as_mem_file().write_at(b"2", 0).unwrap_err(),
            Cause::Sealed,
            "pwrite: EPERM: a seal forbids this change: put the data into a new file",
        ),
        (
            SharedMap::try_from(shared.as_mem_file().try_clone().unwrap()).unwrap_err().into_error(),
            Cause::Sealed,
            SEALED_FUTURE_WRITE,
        ),
        (shared.as_mem_file().add_seal(Seal::Write).unwrap_err(), Cause::Busy, BUSY),
        (
            plain(b"1").reopen_read_only().unwrap().write_at(b"2", 0).unwrap_err(),
            Cause::ReadOnly,
            "pwrite: EBADF: the descriptor is open for reading only",
        ),
        (
            plain(b"").add_seals(Seals::from_bits_retain(0x40)).unwrap_err(),
            Cause::Unsupported,
            "fcntl(F_ADD_SEALS): EINVAL: this kernel lacks one of these seals: \
             FutureWrite is available since Linux 5.1, Exec since 6.3",
        ),
        (Seals::of(&ours).unwrap_err(), Cause::NotAMemoryFile, NO_MEMORY_FILE),
        (
            plain(b"1").to_command().unwrap_err(),
            Cause::NotExecutable,
            "the file's mode forbids execution: create it with `Exec::Allow`",
        ),
        (plain(b"").allocate(0, 0).unwrap_err(), Cause::InvalidInput, "fallocate: EINVAL: the length is 0"),
        (
            not_ready,
            Cause::WouldBlock,
            "recvmsg: EAGAIN: the descriptor is not ready: it is non-blocking, or its timeout has passed",
        ),
        (no_descriptor, Cause::UnexpectedMessage, NO_DESCRIPTOR),
        (
            stray,
            Cause::UnexpectedMessage,
            "the message carries more descriptors than expected (0): \
             receive such messages with `socket::recv` and more slots",
        ),
        (closed, Cause::ClosedByPeer, "sendmsg: EPIPE: the peer has closed the connection"),
        (
            plain(b"").copy_from(rustix::pipe::pipe().unwrap().1, 1).unwrap_err(),
            Cause::WriteOnly,
            "read: EBADF: the descriptor is not open for reading",
        ),
    ];
    match script {
        Ok(error) => all.push((
            error,
            Cause::NotExecutable,
            "the file is a script, and its interpreter cannot open it, since the descriptor is closed by then: \
             start the interpreter, with the script as its stdin",
        )),
        Err(error) => all.push((
            error,
            Cause::Denied,
            "memfd_create: EACCES: vm.memfd_noexec is 2, which forbids executable memory files: use `Exec::Deny`",
        )),
    }
    for (error, cause, message) in all {
        assert_eq!((error.cause(), error.to_string().as_str()), (cause, message));
        // The error names a call if and only if the kernel returned an errno.
        assert_eq!(error.call().is_some(), error.raw_os_error().is_some(), "{message}");
        assert_eq!(error.call(), message.split_once(": E").map(|(call, _)| call), "{message}");
        assert_eq!(error.is_unproven(), matches!(cause, Cause::MissingSeals | Cause::Holes), "{message}");
    }
}

/// A message has the name of each errno that a call can return, and the number of any other.
#[test]
fn an_errno_by_its_name() {
    macro_rules! named {
        ($($name:ident)*) => { [$((libc::$name, stringify!($name))),*] };
    }
    seccomp::alone(|| {
        let file = MemFile::create_default("errno").unwrap();
        let message = |number| {
            seccomp::on_fcntl(libc::F_GET_SEALS, seccomp::errno(number));
            Seals::of(&file).unwrap_err().to_string()
        };
        for (number, name) in named![
            EACCES EAGAIN EBADF EBUSY ECONNREFUSED ECONNRESET EDESTADDRREQ EEXIST EFAULT EFBIG
            EINTR EINVAL EIO EISCONN EISDIR ELOOP EMFILE EMSGSIZE ENAMETOOLONG ENFILE ENOBUFS
            ENODEV ENOENT ENOMEM ENOSPC ENOSYS ENOTCONN ENOTDIR ENOTSOCK ENXIO EOPNOTSUPP EOVERFLOW
            EPERM EPIPE EPROTOTYPE ESPIPE ETIMEDOUT ETOOMANYREFS ETXTBSY EXDEV
        ] {
            let message = message(number);
            assert!(message.starts_with(&format!("fcntl(F_GET_SEALS): {name}: ")), "{message}");
        }
        assert_eq!(message(libc::ECHILD), "fcntl(F_GET_SEALS): errno 10: the kernel refused the call");

        seccomp::always("open", seccomp::errno(libc::EAGAIN));
        let leased = "open: EAGAIN: the owner of the file holds a lease on it, so opening it again would wait";
        assert_eq!(file.reopen_read_only().unwrap_err().to_string(), leased);
    });
}

#[test]
fn kinds() {
    assert_eq!(unsealable().kind(), ErrorKind::PermissionDenied);
    assert_eq!(bad_name().kind(), ErrorKind::InvalidInput);
    assert_eq!(unsealed().error().kind(), ErrorKind::InvalidData);
    let file = MemFile::create_default("empty").unwrap();
    assert_eq!(file.read_exact_at(&mut [0], 0).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

/// An `io::Error` has the kind and the message, and contains this error, which has the errno.
#[test]
fn as_an_io_error() {
    let errors: [(Error, _, _); 4] = [
        (unsealable(), ErrorKind::PermissionDenied, Some(libc::EPERM)),
        (bad_name(), ErrorKind::InvalidInput, None),
        (unsealed().into(), ErrorKind::InvalidData, None),
        (Seals::of(rustix::pipe::pipe().unwrap().0).unwrap_err(), ErrorKind::InvalidInput, Some(libc::EINVAL)),
    ];
    for (error, kind, errno) in errors {
        let io = io::Error::from(error);
        assert_eq!((io.raw_os_error(), io.kind()), (None, kind));
        assert_eq!(io.kind(), error.kind());
        assert_eq!(io.to_string(), error.to_string());
        assert_eq!(io.get_ref().unwrap().downcast_ref(), Some(&error));
        let inner = io.downcast::<Error>().unwrap();
        assert_eq!((inner, inner.raw_os_error()), (error, errno));
    }
    let io = io::Error::from(unsealed());
    assert_eq!(io.to_string(), unsealed().to_string());
    assert_eq!(io.downcast::<Error>().unwrap(), unsealed().into_error());
}

#[test]
fn the_value_comes_back() {
    let file = MemFile::create_sealable("value").unwrap();
    let number = file.as_raw_fd();
    let error = SealedFile::try_from(file).unwrap_err();
    assert_eq!(error.get_ref().as_raw_fd(), number);
    let (reason, file) = error.into_parts();
    assert_eq!((reason, file.as_raw_fd()), (unsealed().into_error(), number));
    let file = SealedFile::try_from(file).unwrap_err().into_inner();
    file.write_all_at(b"still mine", 0).unwrap();
    assert_eq!(Error::from(SealedFile::try_from(file).unwrap_err()), reason);
}

#[test]
fn size_and_auto_traits() {
    fn goes_everywhere<T: std::error::Error + Send + Sync + 'static>() {}
    fn is_copy<T: Copy>() {}
    goes_everywhere::<Error>();
    goes_everywhere::<ErrorWith<MemFile>>();
    goes_everywhere::<ErrorWith<OwnedFd>>();
    goes_everywhere::<FromFdError>();
    is_copy::<Error>();
    assert!(size_of::<Error>() <= 32, "{}", size_of::<Error>());
    let boxed: Box<dyn std::error::Error + Send + Sync> = unsealable().into();
    assert_eq!(boxed.to_string(), unsealable().to_string());
}
