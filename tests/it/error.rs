//! [`Error`] and [`ErrorWith`]: their texts, kinds and conversions.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, OwnedFd};

use memfile::{Cause, Error, ErrorWith, FromFdError, MemFile, Seal, SealedFile, Seals};

use crate::support::check::{MISSING_BOTH, UNSEALABLE};

fn unsealable() -> Error {
    MemFile::create_default("unsealable").unwrap().add_seal(Seal::Write).unwrap_err()
}

fn bad_name() -> Error {
    MemFile::create_default("\0").unwrap_err()
}

fn unsealed() -> ErrorWith<MemFile> {
    SealedFile::try_from(MemFile::create_sealable("unsealed").unwrap()).unwrap_err()
}

/// The other modules compare the text of every error that they provoke; here are the forms that a
/// text can have.
#[test]
fn forms_of_the_text() {
    assert_eq!(unsealable().to_string(), UNSEALABLE);
    assert_eq!(format!("{:?}", unsealable()), format!("Error({UNSEALABLE})"));
    // What the crate refuses by itself names no call.
    assert_eq!(bad_name().to_string(), "the name contains a NUL byte");
    assert_eq!(unsealed().to_string(), MISSING_BOTH);
    assert_eq!(format!("{:?}", unsealed().error()), format!("Error({MISSING_BOTH})"));
}

/// It adds a value to the error, and is not caused by it: there is no source.
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
    // The values belong to the error.
    let (short, long) = ("n".repeat(250), "n".repeat(251));
    assert_ne!(MemFile::create_default(&short).unwrap_err(), MemFile::create_default(&long).unwrap_err());

    let error = unsealed().into_error();
    assert_eq!((error.call(), error.raw_os_error()), (None, None));
    assert_eq!(error.seals(), Seals::CONSTANT);
    assert_eq!(error.cause(), Cause::MissingSeals);
    assert!(error.is_unproven());
}

#[test]
fn kinds() {
    assert_eq!(unsealable().kind(), ErrorKind::PermissionDenied);
    assert_eq!(bad_name().kind(), ErrorKind::InvalidInput);
    assert_eq!(unsealed().error().kind(), ErrorKind::InvalidData);
    let file = MemFile::create_default("empty").unwrap();
    assert_eq!(file.read_exact_at(&mut [0], 0).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

/// With and without an errno: `io::Error` has the kind and the text, and this error within, which
/// has the errno.
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
fn it_is_small_and_goes_everywhere() {
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
