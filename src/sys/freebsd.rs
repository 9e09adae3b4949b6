//! The calls that only FreeBSD has, and functions that fail in place of those that it lacks.
//! `memfd_create(3)` is available since 13.0.

use core::ffi::CStr;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::mm::MapFlags;

use super::fd::{BorrowedFd, OwnedFd};
use super::unix::{failed, memfd_create};
use crate::error::{Call, Error, Reason};
use crate::options::CreateOptions;

/// FreeBSD reserves nothing for private mappings.
pub(super) const NORESERVE: MapFlags = MapFlags::empty();

/// Creates a memory file. The exec flags do not exist here, because the system does not execute such
/// files.
pub(crate) fn create(name: &CStr, options: &CreateOptions) -> Result<OwnedFd, Error> {
    if options.huge_tlb.is_some() {
        return Err(failed(Call::MemfdCreate)(Errno::NOSYS).because(Reason::NoHugeTlb));
    }
    // `exec` has no effect: `MFD_EXEC` and `MFD_NOEXEC_SEAL` would be refused as unknown.
    let mut flags = MemfdFlags::empty();
    flags.set(MemfdFlags::CLOEXEC, options.close_on_exec);
    flags.set(MemfdFlags::ALLOW_SEALING, options.allow_sealing);
    memfd_create(name, flags).map_err(failed(Call::MemfdCreate))
}

pub(crate) fn create_like(_: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    create(c"", &CreateOptions::new().allow_sealing(true))
}

pub(crate) fn huge_page_size(_: BorrowedFd<'_>) -> Result<Option<u64>, Error> {
    Ok(None)
}

/// Here `st_blocks` counts the pages of the object, allocated or not, so it does not show holes.
pub(super) fn allocated(len: u64, _blocks: u64) -> u64 {
    len
}

/// The error of a call that this system lacks. It names no call, because none was made.
fn absent<T>() -> Result<T, Error> {
    Err(Error::new(Reason::Absent))
}

pub(crate) fn try_exec_flags() -> Result<(), Error> {
    absent()
}

pub(crate) fn exec_seal_finds_writers() -> Result<bool, Error> {
    absent()
}

pub(crate) fn punch_hole(_: BorrowedFd<'_>, _: u64, _: u64) -> Result<(), Error> {
    absent()
}

pub(crate) fn madvise_hugepage(_: NonNull<u8>, _: usize) -> Result<(), Error> {
    absent()
}

pub(crate) fn madvise_collapse(_: NonNull<u8>, _: usize) -> bool {
    false
}

/// FreeBSD makes huge pages by itself.
pub(crate) fn transparent_huge_page_size(_: usize) -> usize {
    1
}

pub(crate) fn madvise_populate_read(_: NonNull<u8>, _: usize) -> Result<(), Error> {
    absent()
}

pub(crate) fn madvise_populate_write(_: NonNull<u8>, _: usize) -> Result<(), Error> {
    absent()
}

pub(crate) fn futex_wait(_: &AtomicU32, _: u32, _: Option<Duration>) -> Result<bool, Error> {
    absent()
}

pub(crate) fn futex_wake(_: &AtomicU32, _: u32) -> Result<usize, Error> {
    absent()
}

pub(crate) fn copy_file_range(
    _: BorrowedFd<'_>,
    _: Option<&mut u64>,
    _: BorrowedFd<'_>,
    _: usize,
) -> Result<usize, Error> {
    absent()
}

pub(crate) fn sendfile(_: BorrowedFd<'_>, _: Option<&mut u64>, _: BorrowedFd<'_>, _: usize) -> Result<usize, Error> {
    absent()
}

pub(crate) fn splice(_: BorrowedFd<'_>, _: Option<&mut u64>, _: BorrowedFd<'_>, _: usize) -> Result<usize, Error> {
    absent()
}

/// FreeBSD has no such messages.
#[cfg(feature = "net")]
pub(super) fn close_pidfds(_: &[core::mem::MaybeUninit<u8>]) {}
