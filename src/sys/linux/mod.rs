//! The calls that only Linux and Android have.

mod collapse;
mod create;
mod exec_seal;
mod futex;
#[cfg(feature = "net")]
mod pidfd;

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::fs::FallocateFlags;
use rustix::io::retry_on_intr;
use rustix::mm::{Advice, MapFlags};
use rustix::pipe::SpliceFlags;

use super::fd::{AsFd, BorrowedFd};
use super::unix::{failed, open_read_only, read};
use crate::error::{Call, Error};

pub(crate) use collapse::madvise_collapse;
pub(crate) use create::{create, create_like, huge_page_size, try_exec_flags};
pub(crate) use exec_seal::exec_seal_finds_writers;
pub(crate) use futex::{futex_wait, futex_wake};
#[cfg(feature = "net")]
pub(super) use pidfd::close_pidfds;

pub(super) const NORESERVE: MapFlags = MapFlags::NORESERVE;

/// The bytes of memory that a file has, without holes: `st_blocks` counts units of 512 bytes.
#[inline]
pub(super) fn allocated(_len: u64, blocks: u64) -> u64 {
    blocks.wrapping_mul(512)
}

/// Copies from an offset, which moves, or else from the position, to the position of the target. Since
/// 4.5; between file systems since 5.3, and since 5.19 only if both support it (otherwise EXDEV).
pub(crate) fn copy_file_range(
    from: BorrowedFd<'_>,
    mut at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
) -> Result<usize, Error> {
    retry_on_intr(|| rustix::fs::copy_file_range(from, at.as_deref_mut(), to, None, len))
        .map_err(failed(Call::CopyFileRange))
}

/// Copies from an offset, which moves, or else from the position, to the position of the target. To any
/// file since 2.6.33.
pub(crate) fn sendfile(
    from: BorrowedFd<'_>,
    mut at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
) -> Result<usize, Error> {
    retry_on_intr(|| rustix::fs::sendfile(to, from, at.as_deref_mut(), len)).map_err(failed(Call::Sendfile))
}

/// Moves bytes from a pipe to the position of the target. Since 2.6.17. A pipe has no offset (ESPIPE).
pub(crate) fn splice(
    from: BorrowedFd<'_>,
    mut at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
) -> Result<usize, Error> {
    retry_on_intr(|| rustix::pipe::splice(from, at.as_deref_mut(), to, None, len, SpliceFlags::empty()))
        .map_err(failed(Call::Splice))
}

/// `fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)`. Since 3.5.
pub(crate) fn punch_hole(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Error> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    retry_on_intr(|| rustix::fs::fallocate(fd, mode, offset, len)).map_err(failed(Call::Fallocate))
}

/// Allows transparent huge pages in a mapping. Fails with EINVAL if the kernel was built without them.
pub(crate) fn madvise_hugepage(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    madvise(base, len, Advice::LinuxHugepage)
}

/// The size of a transparent huge page, or 1 if `len` is less. It is 2 MiB, but 32 or 512 MiB if ordinary
/// pages have 16 or 64 KiB. Without `/sys` it is assumed to be 2 MiB. The kernel is asked once per process.
pub(crate) fn transparent_huge_page_size(len: usize) -> usize {
    /// No processor has smaller huge pages.
    const SMALLEST: usize = 1 << 20;
    const USUAL: usize = 2 << 20;
    static SIZE: AtomicUsize = AtomicUsize::new(0);

    // Small files, which are the most frequent, do not cost a look at the setting.
    if len < SMALLEST {
        return 1;
    }
    let mut size = SIZE.load(Relaxed);
    if size == 0 {
        let mut text = [0; 20];
        size = open_read_only(c"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
            .and_then(|file| read(file.as_fd(), &mut text))
            .map_or(0, |len| parse(text.get(..len).unwrap_or_default()));
        // Masks are computed from the size, so anything else would break them.
        if !size.is_power_of_two() {
            size = USUAL;
        }
        SIZE.store(size, Relaxed);
    }
    if len < size { 1 } else { size }
}

/// The decimal number at the start of a text. It wraps around, since the caller checks it.
fn parse(text: &[u8]) -> usize {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number: usize, digit| number.wrapping_mul(10).wrapping_add(usize::from(digit & 0xf)))
}

/// Fills the holes in a mapping and makes its pages present, as reading them would. Since 5.14 (EINVAL on
/// older kernels).
pub(crate) fn madvise_populate_read(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    madvise(base, len, Advice::LinuxPopulateRead)
}

/// Fills the holes in a writable mapping and makes its pages present, as writing them would. Since 5.14.
pub(crate) fn madvise_populate_write(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    madvise(base, len, Advice::LinuxPopulateWrite)
}

/// Safe for the advice that is used here: if the range is not mapped, the call fails with ENOMEM.
fn madvise(base: NonNull<u8>, len: usize, advice: Advice) -> Result<(), Error> {
    // SAFETY: The advice makes pages present or larger, and changes neither contents nor mappings.
    retry_on_intr(|| unsafe { rustix::mm::madvise(base.as_ptr().cast::<c_void>(), len, advice) })
        .map_err(failed(Call::Madvise))
}
