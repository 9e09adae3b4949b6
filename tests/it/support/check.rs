//! Checks of an error's errno and its whole message.

use std::fmt::Debug;

use memfile::{Error, MemFile, Seal, Seals};

/// Messages that several modules expect.
pub(crate) const NO_ADDRESS_SPACE: &str = "no address space or memory is left, vm.max_map_count or RLIMIT_AS is reached, \
     or, for a file of huge pages, no free huge page is left (/proc/sys/vm/nr_hugepages)";

pub(crate) const NO_MEMORY: &str =
    "no memory is left, or, for a file of huge pages, no free huge page (/proc/sys/vm/nr_hugepages)";
pub(crate) const NO_MEMORY_FILE: &str =
    "fcntl(F_GET_SEALS): EINVAL: the descriptor is not a memory file: pipes, sockets and files on disk have no seals";
pub(crate) const PATH_ONLY: &str = "fcntl(F_GET_SEALS): EBADF: the descriptor is not open, or was opened with O_PATH";
pub(crate) const BUSY: &str = "fcntl(F_ADD_SEALS): EBUSY: \
    a writable mapping of the file exists, here or in another process, or a page is in use elsewhere, so no seal was added: \
    drop the mapping, or try again later, as `into_sealed_timeout` does";
pub(crate) const UNSEALABLE: &str = "fcntl(F_ADD_SEALS): EPERM: \
    the file has the seal Seal: it was created without sealing (`create_sealable` permits it), or closed to further seals";
pub(crate) const MISSING_BOTH: &str =
    "the file is missing the seals Shrink and Write: seal it with `into_sealed`, or copy it with `copy_of`";
/// If the kernel implies the seal Exec, and a sandbox refuses the flag that would prevent it.
pub(crate) const NOEXEC_IMPLIED: &str =
    "vm.memfd_noexec is 1 or 2, and a sandbox refuses the flag MFD_EXEC: use `Exec::Deny`";
/// For a file that should be mapped shared, which needs only this seal.
pub(crate) const MISSING_SHRINK: &str =
    "the file is missing the seal Shrink, so another process could shorten the file: add the seal with `add_seals`";
/// If a sandbox or an emulated kernel only pretends to add seals.
pub(crate) const SEALING_IGNORED: &str = "the kernel accepted the seals, \
    but the file is missing the seals Shrink and Write: a sandbox may pretend to add them";
/// For a file with the seals Exec and FutureWrite.
pub(crate) const UNTESTED: &str = "the seal Write came with Exec, \
    and it cannot be tested whether this kernel then looks for writable mappings: copy the file with `copy_of`";
/// For a writable map of a sealed file.
pub(crate) const SEALED_WRITE: &str = "mmap: EPERM: the file has the seal Write, so nobody can map it for writing: \
    use `SealedFile::map` or `SharedView`";
/// For a writable map of a shared file, which already has its only writer.
pub(crate) const SEALED_FUTURE_WRITE: &str = "mmap: EPERM: the file has the seal FutureWrite: \
    only mappings that existed before can write to it. Map it before you seal it, as `MemFile::share` does";
pub(crate) const NO_DESCRIPTOR: &str = "the message carries no descriptor, 1 was expected: \
    the sender passed none, or an earlier read of the stream took it";
pub(crate) const MAP_DENIED: &str =
    "mmap: EACCES: the mapping was denied: the descriptor is not open for it, or a security module forbids it";

/// The message about a file that is not sealed enough to be mapped.
pub(crate) fn missing(seals: Seals, present: Seals) -> String {
    let names: Vec<_> = seals.iter().map(|seal| seal.to_string()).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    let advice = if present.contains(Seal::FutureWrite) {
        ", and has FutureWrite: a writer still shares it. Use `SharedView`, wait until the writer freezes it, \
         or copy it with `copy_of`"
    } else if present.contains(Seal::Seal) {
        ", and has the seal Seal, so no more can be added: copy it with `copy_of`"
    } else {
        ": seal it with `into_sealed`, or copy it with `copy_of`"
    };
    format!("the file is missing the seal{plural} {}{advice}", names.join(" and "))
}

/// A number of bytes, as messages write it.
fn bytes(n: u64) -> String {
    if n == 1 { "1 byte".into() } else { format!("{n} bytes") }
}

/// The message about holes in a file of `len` bytes.
pub(crate) fn holes(len: u64, allocated: u64) -> String {
    let (len, allocated) = (bytes(len), bytes(allocated));
    format!(
        "the file has holes (of its {len}, {allocated} are allocated): \
         choose the policy `Holes::Allocate`, or copy the file with `copy_of`"
    )
}

/// The message about a range that does not lie within `len` bytes.
pub(crate) fn range(start: u64, end: u64, len: u64) -> String {
    if start > end {
        format!("the range {start}..{end} ends before it starts")
    } else {
        format!("the range {start}..{end} ends past the end ({})", bytes(len))
    }
}

/// The message about a length or an offset that no file can have.
pub(crate) fn too_long(value: u64) -> String {
    format!("the offset or length {value} is more than a file or the address space can hold")
}

/// The message about a file that is longer than its receiver accepts.
pub(crate) fn beyond_limit(len: u64, limit: u64) -> String {
    format!("the file has {}, which exceeds the limit of {}", bytes(len), bytes(limit))
}

/// The message about a source that is longer than the limit for copies.
pub(crate) fn source_beyond_limit(limit: u64) -> String {
    format!("the source exceeds the limit of {}", bytes(limit))
}

/// The message about a file that ends before the buffer is full.
pub(crate) fn end_of_file(read: u64, wanted: u64) -> String {
    format!("the file ends after {} of the {} to read", bytes(read), bytes(wanted))
}

/// Returns the error of `result`, after checking its errno and its message.
#[track_caller]
pub(crate) fn refused<T: Debug, E: Into<Error>>(
    result: Result<T, E>,
    errno: impl Into<Option<i32>>,
    message: &str,
) -> Error {
    let error = match result {
        Ok(value) => panic!("{value:?} instead of the error: {message}"),
        Err(error) => error.into(),
    };
    assert_eq!(error.to_string(), message);
    assert_eq!(error.raw_os_error(), errno.into(), "{message}");
    error
}

/// Checks after an error that the file has these seals, as before, and can still be written.
#[track_caller]
pub(crate) fn unharmed(file: &MemFile, seals: impl Into<Seals>) {
    assert_eq!(file.get_seals().unwrap(), seals.into());
    file.write_all_at(b"still writable", 0).unwrap();
}
