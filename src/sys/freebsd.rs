//! The calls of FreeBSD alone. `memfd_create(3)` is available since 13.0.

use core::ptr::NonNull;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::path::Arg;

use super::common::failed;
use super::fd::{BorrowedFd, OwnedFd};
use crate::error::{Error, Operation, Reason};
use crate::options::CreateOptions;

/// Creates a memory file. FreeBSD has no exec flags, since it does not execute such files.
pub(crate) fn create(name: impl Arg, options: &CreateOptions) -> Result<OwnedFd, Error> {
    if options.huge_tlb.is_some() {
        return Err(failed(Operation::MemfdCreate)(Errno::NOSYS).because(Reason::NoHugeTlb));
    }
    let mut flags = MemfdFlags::empty();
    flags.set(MemfdFlags::CLOEXEC, options.close_on_exec);
    flags.set(MemfdFlags::ALLOW_SEALING, options.allow_sealing);
    rustix::fs::memfd_create(name, flags).map_err(failed(Operation::MemfdCreate))
}

/// There are no such files.
pub(crate) fn huge_page_size(_: BorrowedFd<'_>) -> Result<Option<u64>, Error> {
    Ok(None)
}

/// There is no such advice.
pub(crate) fn populate(_: BorrowedFd<'_>, _: u64) -> Result<(), Error> {
    Err(failed(Operation::Madvise)(Errno::INVAL))
}

/// There is no such advice.
pub(crate) fn madvise_hugepage(_: NonNull<u8>, _: usize) -> Result<(), Error> {
    Err(failed(Operation::Madvise)(Errno::INVAL))
}

/// There is no such advice.
pub(crate) fn madvise_populate_read(_: NonNull<u8>, _: usize) -> Result<(), Error> {
    Err(failed(Operation::Madvise)(Errno::INVAL))
}

/// There is no such advice.
pub(crate) fn madvise_populate_write(_: NonNull<u8>, _: usize) -> Result<(), Error> {
    Err(failed(Operation::Madvise)(Errno::INVAL))
}

/// There is no Exec seal.
pub(crate) fn exec_seal_finds_writers() -> Result<bool, Error> {
    Err(failed(Operation::AddSeals)(Errno::INVAL))
}
