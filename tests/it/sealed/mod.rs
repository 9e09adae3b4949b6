//! [`memfile::SealedFile`]: which files are proven, which are refused, and what an error leaves.

mod clean_holes;
mod forged;
mod holes;
mod hostile;
mod kinds;
mod limit;
mod reopen;
mod stdio;
mod to_vec;
mod waiting;

/// Methods and impls that only delegate to another type.
#[test]
fn delegations() {
    use std::ffi::CString;
    use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

    use memfile::{CreateOptions, SealedFile, SealedFileOptions};

    let name = CString::new("passes on").unwrap();
    let file = SealedFileOptions::default().from_bytes(name, b"bytes").unwrap();
    assert_eq!(*file.name().unwrap(), *b"passes on");
    let number = file.as_raw_fd();
    assert_eq!(format!("{file:?}"), format!("SealedFile({:?})", file.as_mem_file()));
    let raw = file.into_raw_fd();
    assert_eq!(raw, number);
    // SAFETY: `into_raw_fd` gave up the descriptor.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    assert_eq!(SealedFile::try_from(fd).unwrap().len(), 5);
    assert_eq!(SealedFileOptions::default(), SealedFile::options().create_options(CreateOptions::new()));
}
