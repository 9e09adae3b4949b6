//! The calls of Linux and Android alone.

use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use rustix::fs::{CWD, Mode, OFlags, SeekFrom};
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::Advice;
use rustix::pipe::SpliceFlags;

use super::common::{Access, failed, fallocate, mmap, munmap};
use super::fd::{BorrowedFd, OwnedFd};
use crate::error::{Error, Operation, Reason, errno};

/// Another number on sparc64 than on most processors, in the kernel's texts too.
#[cfg(feature = "std")]
pub(crate) const O_CLOEXEC: u32 = OFlags::CLOEXEC.bits();

pub(crate) fn open_read_only(path: &CStr) -> Result<OwnedFd, Error> {
    retry_on_intr(|| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))
        .map_err(failed(Operation::Open))
}

/// The target of a symbolic link, cut off at the buffer's length.
pub(crate) fn readlink<'a>(path: &CStr, buf: &'a mut [MaybeUninit<u8>]) -> Result<&'a [u8], Error> {
    match rustix::fs::readlinkat_raw(CWD, path, buf) {
        Ok((target, _)) => Ok(target),
        Err(errno) => Err(failed(Operation::Readlink)(errno)),
    }
}

pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::read(fd, &mut *buf)).map_err(failed(Operation::Read))
}

pub(crate) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::write(fd, buf)).map_err(failed(Operation::Write))
}

/// `lseek` towards the start.
pub(crate) fn seek_back(fd: BorrowedFd<'_>, len: usize) -> Result<(), Error> {
    let offset = i64::try_from(len).map_or(i64::MIN, |len| -len);
    rustix::fs::seek(fd, SeekFrom::Current(offset)).map(drop).map_err(failed(Operation::Lseek))
}

/// Whether the file has positions to read from: a pipe, a socket or a terminal has none.
pub(crate) fn has_position(fd: BorrowedFd<'_>) -> Result<bool, Error> {
    match rustix::fs::seek(fd, SeekFrom::Current(0)) {
        Ok(_) => Ok(true),
        Err(Errno::SPIPE) => Ok(false),
        Err(errno) => Err(failed(Operation::Lseek)(errno)),
    }
}

/// From an offset, which moves, or else the position, to the position of the target. Since 4.5; between file systems since
/// 5.3, and from 5.19 on only where both agree (EXDEV).
pub(crate) fn copy_file_range(
    from: BorrowedFd<'_>,
    mut at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
) -> Result<usize, Error> {
    retry_on_intr(|| rustix::fs::copy_file_range(from, at.as_deref_mut(), to, None, len))
        .map_err(failed(Operation::CopyFileRange))
}

/// From an offset, which moves, or else the position, to the position of the target. Since 2.6.33 to any file.
pub(crate) fn sendfile(
    from: BorrowedFd<'_>,
    mut at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
) -> Result<usize, Error> {
    retry_on_intr(|| rustix::fs::sendfile(to, from, at.as_deref_mut(), len)).map_err(failed(Operation::Sendfile))
}

/// From a pipe, to the position of the target. Since 2.6.17; a pipe has no offset (ESPIPE).
pub(crate) fn splice(
    from: BorrowedFd<'_>,
    mut at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
) -> Result<usize, Error> {
    retry_on_intr(|| rustix::pipe::splice(from, at.as_deref_mut(), to, None, len, SpliceFlags::empty()))
        .map_err(failed(Operation::Splice))
}

/// Allows transparent huge pages below a mapping. EINVAL where the kernel was built without them.
pub(crate) fn madvise_hugepage(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    madvise(base, len, Advice::LinuxHugepage)
}

/// Fills the holes below a mapping and makes its pages present, as reading them would. Since 5.14 (EINVAL before).
pub(crate) fn madvise_populate_read(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    madvise(base, len, Advice::LinuxPopulateRead)
}

/// Fills the holes below a writable mapping and makes its pages present, as writing them would. Since 5.14.
pub(crate) fn madvise_populate_write(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    madvise(base, len, Advice::LinuxPopulateWrite)
}

/// Maps the first page of a file and unmaps it: whether that is allowed.
pub(crate) fn try_map(fd: BorrowedFd<'_>, access: Access) -> Result<(), Error> {
    let base = mmap(fd, 0, 1, access)?;
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, 1) };
    Ok(())
}

/// Fills all holes of a file by reading faults: maps it, advises, unmaps. Where it cannot be mapped so: `fallocate`.
pub(crate) fn populate(fd: BorrowedFd<'_>, len: u64) -> Result<(), Error> {
    let mapped = usize::try_from(len).map_err(|_| Error::new(Operation::Mmap, Reason::TooLong))?;
    let base = match mmap(fd, 0, mapped, Access::SharedRead) {
        // What some kernels refuse for a file that is sealed against writing, but only through a descriptor that is open for
        // writing, which this call wants. A private map would not do: huge pages that it takes for holes are not the file's.
        Err(error) if error.is(errno::EPERM) => return fallocate(fd, 0, len),
        result => result?,
    };
    let result = madvise_populate_read(base, mapped);
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, mapped) };
    result
}

/// Safe for the advice that is given here: a range that is not mapped is ENOMEM.
fn madvise(base: NonNull<u8>, len: usize, advice: Advice) -> Result<(), Error> {
    // SAFETY: The advice makes pages present or larger, and changes neither contents nor mappings.
    retry_on_intr(|| unsafe { rustix::mm::madvise(base.as_ptr().cast::<c_void>(), len, advice) })
        .map_err(failed(Operation::Madvise))
}
