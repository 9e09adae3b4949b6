//! What an error must say: its errno and its whole message.

use std::fmt::Debug;

use memfile::{Error, MemFile, Seals};

/// The messages that more than one module provokes.
pub(crate) const HOLES: &str = "verify: the file has holes: reading them would make this process pay for them";
pub(crate) const NO_MEMORY: &str = "no memory left, or for a file of huge pages none free (/proc/sys/vm/nr_hugepages)";
pub(crate) const NO_MEMORY_FILE: &str =
    "fcntl(F_GET_SEALS): EINVAL: the descriptor is no memory file: pipes, sockets and files on disk have no seals";
pub(crate) const BUSY: &str =
    "fcntl(F_ADD_SEALS): EBUSY: a mapping that can write exists, or a page is in flight; no seal was added";

/// Takes the error out of `result`, after a look at its errno and its message.
#[track_caller]
pub(crate) fn refused<T: Debug, E: Into<Error>>(
    result: Result<T, E>,
    errno: impl Into<Option<i32>>,
    message: &str,
) -> Error {
    let error = match result {
        Ok(value) => panic!("no error but {value:?}, where it should be: {message}"),
        Err(error) => error.into(),
    };
    assert_eq!(error.to_string(), message);
    assert_eq!(error.raw_os_error(), errno.into(), "{message}");
    error
}

/// After a refusal: the seals are what they were, and the file still takes writes.
#[track_caller]
pub(crate) fn unharmed(file: &MemFile, seals: impl Into<Seals>) {
    assert_eq!(file.get_seals().unwrap(), seals.into());
    file.write_all_at(b"still writable", 0).unwrap();
}
