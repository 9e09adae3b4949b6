//! The calls that every platform has. Available since: Linux 3.17, FreeBSD 13.0.

use core::ffi::c_void;
use core::ptr::{self, NonNull};
use core::time::Duration;

use rustix::fs::{FallocateFlags, OFlags, SealFlags};
use rustix::io::{Errno, FdFlags, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::thread::{NanosleepRelativeResult, Timespec};

use super::fd::{BorrowedFd, OwnedFd, RawFd};
use crate::error::{Error, Operation};
use crate::seals::Seals;

/// Makes the error of a failed call.
pub(super) fn failed(operation: Operation) -> impl Fn(Errno) -> Error {
    move |errno| Error::os(operation, errno.raw_os_error())
}

#[inline]
pub(crate) fn get_seals(fd: BorrowedFd<'_>) -> Result<Seals, Error> {
    match rustix::fs::fcntl_get_seals(fd) {
        Ok(seals) => Ok(Seals::from_bits_retain(seals.bits())),
        Err(errno) => Err(failed(Operation::GetSeals)(errno)),
    }
}

#[inline]
pub(crate) fn add_seals(fd: BorrowedFd<'_>, seals: Seals) -> Result<(), Error> {
    retry_on_intr(|| rustix::fs::fcntl_add_seals(fd, SealFlags::from_bits_retain(seals.bits())))
        .map_err(failed(Operation::AddSeals))
}

/// What this crate asks of `struct stat`.
#[allow(dead_code, reason = "some are of one feature or system alone")]
#[derive(Copy, Clone)]
pub(crate) struct Stat {
    pub(crate) len: u64,
    /// Bytes of memory that the file has, holes left out.
    pub(crate) allocated: u64,
    /// `st_blksize`: what lengths and offsets of mappings must be a multiple of where the file has huge pages; a power of two.
    pub(crate) granule: usize,
    pub(crate) device: u64,
    /// `st_mode`: type and permission bits.
    pub(crate) mode: u32,
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the kernel gives no negative value, and the fields' types differ from one target to the next"
)]
#[inline]
pub(crate) fn fstat(fd: BorrowedFd<'_>) -> Result<Stat, Error> {
    let stat = rustix::fs::fstat(fd).map_err(failed(Operation::Fstat))?;
    let granule = stat.st_blksize as usize;
    Ok(Stat {
        len: stat.st_size as u64,
        allocated: (stat.st_blocks as u64).wrapping_mul(512),
        granule: if granule.is_power_of_two() { granule } else { 1 },
        device: stat.st_dev as u64,
        mode: stat.st_mode as u32,
    })
}

#[inline]
pub(crate) fn ftruncate(fd: BorrowedFd<'_>, len: u64) -> Result<(), Error> {
    retry_on_intr(|| rustix::fs::ftruncate(fd, len)).map_err(failed(Operation::Ftruncate))
}

/// A signal makes some kernels give up and undo the call, so after one it goes on in smaller pieces.
pub(crate) fn fallocate(fd: BorrowedFd<'_>, mut offset: u64, len: u64) -> Result<(), Error> {
    const SMALLEST: u64 = 1 << 20;
    let (mut rest, mut piece) = (len, len);
    loop {
        match rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, piece) {
            Ok(()) if piece >= rest => return Ok(()),
            Ok(()) => {
                offset = offset.saturating_add(piece);
                rest = rest.saturating_sub(piece);
                piece = piece.min(rest);
            }
            Err(Errno::INTR) => piece = (piece / 2).max(SMALLEST).min(rest),
            Err(errno) => return Err(failed(Operation::Fallocate)(errno)),
        }
    }
}

#[inline]
pub(crate) fn pread(fd: BorrowedFd<'_>, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::pread(fd, &mut *buf, offset)).map_err(failed(Operation::Pread))
}

#[inline]
pub(crate) fn pwrite(fd: BorrowedFd<'_>, buf: &[u8], offset: u64) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::pwrite(fd, buf, offset)).map_err(failed(Operation::Pwrite))
}

/// Whether the descriptor was opened for reading alone.
pub(crate) fn is_read_only(fd: BorrowedFd<'_>) -> Result<bool, Error> {
    let flags = rustix::fs::fcntl_getfl(fd).map_err(failed(Operation::GetFlags))?;
    Ok((flags & OFlags::RWMODE) == OFlags::RDONLY)
}

/// A second descriptor of the same open file, close-on-exec, and not under a number of the standard streams, which a child's
/// own may take.
#[inline]
pub(crate) fn dup(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    const LOWEST: RawFd = 3;
    rustix::io::fcntl_dupfd_cloexec(fd, LOWEST).map_err(failed(Operation::Dup))
}

/// Keeps the descriptor open across `execve`.
pub(crate) fn let_inherit(fd: BorrowedFd<'_>) -> Result<(), Error> {
    rustix::io::fcntl_setfd(fd, FdFlags::empty()).map_err(failed(Operation::SetFdFlags))
}

/// Who sees what is written through a mapping, and whether it can be written.
#[derive(Copy, Clone)]
pub(crate) enum Access {
    /// Of a file that is sealed against writing.
    ConstantRead,
    SharedRead,
    SharedWrite,
    PrivateWrite,
}

#[cfg(not(target_os = "freebsd"))]
const NORESERVE: MapFlags = MapFlags::NORESERVE;
/// FreeBSD reserves nothing for such a mapping.
#[cfg(target_os = "freebsd")]
const NORESERVE: MapFlags = MapFlags::empty();

/// Maps `len` bytes from `offset`, a multiple of the page size, at an address of the kernel's choice.
///
/// Some kernels take a shared mapping for the wish to write later, and refuse it (EPERM) where the file is sealed against
/// writing. A private one of constant bytes is as constant and shares the same pages. Holes alone differ, with huge pages: each
/// map takes pages of its own for them.
///
/// Safe: no existing mapping is touched, and who reads through the pointer answers for that.
#[inline]
pub(crate) fn mmap(fd: BorrowedFd<'_>, offset: u64, len: usize, access: Access) -> Result<NonNull<u8>, Error> {
    let (protection, mut sharing) = match access {
        Access::ConstantRead | Access::SharedRead => (ProtFlags::READ, MapFlags::SHARED),
        Access::SharedWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
        Access::PrivateWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE),
    };
    loop {
        // SAFETY: With a null address and without MAP_FIXED the kernel picks free address space, so nothing that exists is
        // unmapped or changed.
        let address = unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, sharing, fd, offset) };
        match address {
            Ok(address) => {
                return NonNull::new(address.cast()).ok_or(Error::os(Operation::Mmap, Errno::NOMEM.raw_os_error()));
            }
            // Without a reservation, which huge pages would otherwise need a second time.
            Err(Errno::PERM) if matches!(access, Access::ConstantRead) && sharing == MapFlags::SHARED => {
                sharing = MapFlags::PRIVATE | NORESERVE;
            }
            Err(errno) => return Err(failed(Operation::Mmap)(errno)),
        }
    }
}

/// # Safety
/// `base` and `len` are those of one call of [`mmap`], and nothing uses the memory any more.
#[inline]
pub(crate) unsafe fn munmap(base: NonNull<u8>, len: usize) {
    // It can fail with ENOMEM: neighbours of one file had become one mapping, and to split it exceeds `vm.max_map_count`. Then
    // the memory stays mapped, which harms nobody.
    // SAFETY: By this function's contract the range is a mapping of ours that nobody uses.
    let _ = unsafe { rustix::mm::munmap(base.as_ptr().cast::<c_void>(), len) };
}

/// Sleeps; a signal that interrupts it does not make it shorter.
pub(crate) fn nanosleep(duration: Duration) {
    let mut request =
        Timespec { tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() };
    while let NanosleepRelativeResult::Interrupted(remaining) = rustix::thread::nanosleep(&request) {
        request = remaining;
    }
}

/// Implements `FromRawFd`. A macro, since the trait's method is an `unsafe fn` and unsafe code stays here.
macro_rules! impl_from_raw_fd {
    ($Type:ty, $from_owned:expr) => {
        #[allow(unsafe_code, reason = "the method of this trait is unsafe")]
        impl $crate::sys::fd::FromRawFd for $Type {
            /// # Safety
            /// `fd` is open, and nobody else owns it. That it is a memory file is not checked:
            /// calls on another kind of file fail with the kernel's error.
            unsafe fn from_raw_fd(fd: $crate::sys::fd::RawFd) -> Self {
                // SAFETY: The caller hands over an open descriptor that it owns.
                $from_owned(unsafe { $crate::sys::fd::OwnedFd::from_raw_fd(fd) })
            }
        }
    };
}
pub(crate) use impl_from_raw_fd;
