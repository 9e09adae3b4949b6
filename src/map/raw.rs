//! Pointer, length and drop of a mapping: all the unsafe code of the maps.
//!
//! # Safety
//!
//! [`Mapping`] owns a range of address space; its fields never change. Each of the four types around it is made from a
//! type that proves what its references promise, and gives out those and no others:
//!
//! | type | made from | gives | because |
//! |---|---|---|---|
//! | [`Constant`] | `&SealedFile` | `&[u8]` | nobody can change or shorten the file |
//! | [`Private`] | `&SealedFile` | `&mut [u8]` | written pages are this process's, the others are constant |
//! | [`Exclusive`] | `&mut Fresh` | `&mut [u8]` | nobody else has the file |
//! | [`Shared`], [`SharedWritable`] | any file | copies, atomic words | no reference to bytes is ever formed |

#![allow(unsafe_code, reason = "pointers into mappings")]

use core::ops::{Bound, RangeBounds};
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::fresh::Fresh;
use super::options::MapOptions;
use crate::error::{Error, Operation, Reason, errno};
use crate::sealed::SealedFile;
use crate::sys::fd::{AsFd, BorrowedFd};
use crate::sys::{self, Access};

/// A multiple of the page size, so that it need not be asked for: offsets are rounded down to this. Pages are larger only in
/// unusual builds for PowerPC 44x and Hexagon, and there mapping a range from a later offset is EINVAL.
const OFFSET_ALIGN: u64 = 64 * 1024;

/// A range of a file that was checked to lie within it and to fit the address space.
#[derive(Copy, Clone)]
pub(super) struct Extent {
    offset: u64,
    len: usize,
}

impl Extent {
    /// The one place where a range of a file is checked.
    #[inline]
    pub(super) fn within(file_len: u64, range: impl RangeBounds<u64>) -> Result<Self, Error> {
        let out_of_bounds = Error::new(Operation::Mmap, Reason::OutOfBounds);
        let offset = match range.start_bound() {
            Bound::Included(&start) => Some(start),
            Bound::Excluded(&start) => start.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(&end) => end.checked_add(1),
            Bound::Excluded(&end) => Some(end),
            Bound::Unbounded => Some(file_len),
        };
        let (Some(offset), Some(end)) = (offset, end) else {
            return Err(out_of_bounds);
        };
        let Some(len) = end.checked_sub(offset).filter(|_| end <= file_len) else {
            return Err(out_of_bounds);
        };
        match isize::try_from(len) {
            Ok(len) => Ok(Self { offset, len: len.unsigned_abs() }),
            Err(_) => Err(Error::new(Operation::Mmap, Reason::TooLong)),
        }
    }
}

/// A range of address space that this value owns, and the part of it that is shown:
///
/// ```text
///  base                                          base + mapped
///   |<--- lead --->|<------ len ------>|<- rest ->|
///   a multiple of  the extent's        to a multiple of
///   OFFSET_ALIGN   first byte          the granule
/// ```
///
/// An empty extent has no mapping (`mmap` of length 0 is EINVAL): then `base` dangles and `mapped` is 0.
struct Mapping {
    base: NonNull<u8>,
    mapped: usize,
    lead: usize,
    len: usize,
}

// SAFETY: A mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: A shared `Mapping` only gives out its pointer and length; what they are used for is up to the types around it.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `granule` is what the kernel wants lengths to be a multiple of for this file: more than 1 only matters for huge
    /// pages. What the mapping has beyond the extent is not touched: tmpfs names huge pages where it only might use them,
    /// and then pages lie beyond the end of the file.
    #[inline]
    fn new(fd: BorrowedFd<'_>, extent: Extent, granule: usize, access: Access) -> Result<Self, Error> {
        let Extent { offset, len } = extent;
        if len == 0 {
            return Ok(Self { base: NonNull::dangling(), mapped: 0, lead: 0, len });
        }
        let too_long = Error::new(Operation::Mmap, Reason::TooLong);
        let align = OFFSET_ALIGN.max(granule as u64);
        let lead = usize::try_from(offset & (align - 1)).map_err(|_| too_long)?;
        let mapped =
            lead.checked_add(len).and_then(|end| end.checked_add(granule - 1)).ok_or(too_long)? & !(granule - 1);
        let base = sys::mmap(fd, offset.saturating_sub(lead as u64), mapped, access)?;
        Ok(Self { base, mapped, lead, len })
    }

    /// The first byte of the extent.
    #[inline]
    fn data(&self) -> NonNull<u8> {
        // SAFETY: `lead` is less than `mapped`, or both are 0.
        unsafe { self.base.add(self.lead) }
    }

    /// Follows the options as far as the kernel can. They change no byte, so refusing them is no error, with one
    /// exception: memory that was asked for beforehand and is not to be had.
    #[inline]
    fn advise(&self, options: MapOptions) -> Result<(), Error> {
        if options.huge_pages && self.mapped > 0 {
            // EINVAL: a kernel without transparent huge pages.
            let _ = sys::madvise_hugepage(self.base, self.mapped);
        }
        if options.populate && self.mapped > 0 {
            // Not to the end of the mapping: what a large granule adds may lie beyond the file (EFAULT).
            match sys::madvise_populate_read(self.base, self.lead.saturating_add(self.len)) {
                Err(error) if !error.is(errno::EINVAL) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Mapping {
    #[inline]
    fn drop(&mut self) {
        if self.mapped > 0 {
            // SAFETY: `base` and `mapped` are those of the `mmap` in `new`, and every reference given out borrows `self`.
            unsafe { sys::munmap(self.base, self.mapped) }
        }
    }
}

/// Bytes that never change.
pub(super) struct Constant(Mapping);

impl Constant {
    #[inline]
    pub(super) fn new(file: &SealedFile, extent: Extent, options: MapOptions) -> Result<Self, Error> {
        let mapping = Mapping::new(file.as_fd(), extent, file.granule(), Access::ConstantRead)?;
        mapping.advise(options)?;
        Ok(Self(mapping))
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: The mapping has `len` readable bytes from `data`, `len` is at most `isize::MAX` (`Extent::within`), and
        // nobody can change or shorten the file (`SealedFile`). The mapping lives as long as `self`.
        unsafe { slice::from_raw_parts(self.0.data().as_ptr(), self.0.len) }
    }
}

/// Bytes of constant origin that this process may change for itself.
pub(super) struct Private(Mapping);

impl Private {
    #[inline]
    pub(super) fn new(file: &SealedFile, extent: Extent, options: MapOptions) -> Result<Self, Error> {
        let mapping = Mapping::new(file.as_fd(), extent, file.granule(), Access::PrivateWrite)?;
        mapping.advise(options)?;
        Ok(Self(mapping))
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: As for `Constant`; what was written since came through `bytes_mut`, which borrowed `self` alone.
        unsafe { slice::from_raw_parts(self.0.data().as_ptr(), self.0.len) }
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: As for `bytes`, and the mapping is writable; the pages written are this process's own.
        unsafe { slice::from_raw_parts_mut(self.0.data().as_ptr(), self.0.len) }
    }
}

/// Bytes of a file that nobody else has.
pub(super) struct Exclusive<'fresh> {
    mapping: Mapping,
    fresh: &'fresh mut Fresh,
}

impl<'fresh> Exclusive<'fresh> {
    /// Maps the first `len` bytes. The file must be that long; else the result is SIGBUS.
    pub(super) fn new(fresh: &'fresh mut Fresh, len: usize, granule: usize) -> Result<Self, Error> {
        let extent = Extent::within(len as u64, ..)?;
        let mapping = Mapping::new(fresh.file().as_fd(), extent, granule, Access::SharedWrite)?;
        Ok(Self { mapping, fresh })
    }

    pub(super) fn is_aligned_to(&self, size: usize) -> bool {
        self.mapping.base.addr().get() % size == 0
    }

    /// Lets the kernel use huge pages. Returns whether it knows them.
    pub(super) fn advise_huge_pages(&self) -> bool {
        self.mapping.mapped > 0 && sys::madvise_hugepage(self.mapping.base, self.mapping.mapped).is_ok()
    }

    /// Gives the file all its memory, so that no byte of the map can be SIGBUS, and makes the pages present.
    pub(super) fn populate(&self) -> Result<(), Error> {
        let Mapping { base, mapped, .. } = self.mapping;
        if mapped == 0 || sys::madvise_populate_write(base, mapped).is_ok() {
            return Ok(());
        }
        // A kernel before 5.14, or no memory: the second call knows the better errno.
        self.fresh.file().allocate(0, mapped as u64)
    }

    /// Populates the map and copies `bytes` to its start, step by step, so that what the kernel has just cleared is still in
    /// the cache when it is written. `step` is a multiple of the page size.
    pub(super) fn populate_with(&mut self, bytes: &[u8], step: usize) -> Result<(), Error> {
        let bytes = bytes.get(..self.mapping.len).unwrap_or(bytes);
        let mut target = self.mapping.base;
        for (chunk, offset) in bytes.chunks(step).zip((0_u64..).step_by(step)) {
            if sys::madvise_populate_write(target, chunk.len()).is_err() {
                self.fresh.file().allocate(offset, chunk.len() as u64)?;
            }
            // SAFETY: `bytes` is not longer than the mapping, which is writable, and the only one of a file whose only
            // descriptor is borrowed for `'fresh`; so the chunks do not overlap.
            unsafe { ptr::copy_nonoverlapping(chunk.as_ptr(), target.as_ptr(), chunk.len()) };
            // SAFETY: It is at most one past the last byte of the mapping.
            target = unsafe { target.add(chunk.len()) };
        }
        Ok(())
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: The mapping is writable, and the only one of a file whose only descriptor is borrowed for `'fresh`.
        unsafe { slice::from_raw_parts_mut(self.mapping.data().as_ptr(), self.mapping.len) }
    }
}

/// Bytes that others may change at any time, through a mapping that cannot be written.
///
/// Within this process the memory is a sequence of words, and every access is an atomic access to whole words: Rust's
/// memory model knows no race between accesses that are atomic and of one size and place. (The copies may be
/// assembly instead, which is opaque to the compiler and does no more than such accesses could: it reads and writes each byte
/// once.)
/// Across processes the hardware decides, and a torn or stale value is only a value.
pub(super) struct Shared(Mapping);

/// The size of a word.
pub(super) const WORD: usize = size_of::<usize>();

impl Shared {
    /// Maps the first `len` bytes.
    pub(super) fn new(fd: BorrowedFd<'_>, len: u64, granule: usize) -> Result<Self, Error> {
        Self::map(fd, len, granule, Access::SharedRead)
    }

    fn map(fd: BorrowedFd<'_>, len: u64, granule: usize, access: Access) -> Result<Self, Error> {
        Ok(Self(Mapping::new(fd, Extent::within(len, ..)?, granule, access)?))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.0.data().as_ptr()
    }

    /// The word that holds the byte at `offset`.
    pub(super) fn word(&self, offset: usize) -> Option<ReadOnlyWord<'_>> {
        self.atomic(offset).map(ReadOnlyWord)
    }

    fn atomic(&self, offset: usize) -> Option<&AtomicUsize> {
        if offset >= self.0.len {
            return None;
        }
        // SAFETY: `offset` is less than `len`, and `lead` is 0 for the range `..`. Rounded down to a word it is still within
        // the mapping, and so is the whole word, since a mapping ends with a page.
        let word = unsafe { self.0.base.byte_add(offset & !(WORD - 1)) };
        // SAFETY: The word is mapped as long as `self` lives, aligned since a mapping is, initialized since pages are, and
        // accessed as a word alone.
        Some(unsafe { word.cast::<AtomicUsize>().as_ref() })
    }

    /// Copies from `offset` on. `None`: the range does not lie within the mapping.
    pub(super) fn copy_out(&self, offset: usize, target: &mut [u8]) -> Option<()> {
        let source = self.range(offset, target.len())?;
        // SAFETY: The range is readable as long as `self` lives, and no `&mut [u8]` overlaps it, since no reference to it is
        // ever formed.
        unsafe { sys::copy_from_shared(source, target) }
        Some(())
    }

    /// The start of a range that lies within the mapping.
    fn range(&self, offset: usize, len: usize) -> Option<NonNull<u8>> {
        if offset.checked_add(len)? > self.0.len {
            return None;
        }
        // SAFETY: `offset` is at most `len` of the mapping.
        Some(unsafe { self.0.base.add(offset) })
    }
}

/// A word of a mapping that cannot be written.
#[derive(Copy, Clone)]
pub(super) struct ReadOnlyWord<'map>(&'map AtomicUsize);

impl ReadOnlyWord<'_> {
    /// The one load that is guaranteed to work on read-only memory, for words of this size.
    pub(super) fn load(self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// As [`Shared`], through a mapping that can be written.
pub(super) struct SharedWritable(Shared);

impl SharedWritable {
    /// Maps the first `len` bytes.
    pub(super) fn new(fd: BorrowedFd<'_>, len: u64, granule: usize) -> Result<Self, Error> {
        Shared::map(fd, len, granule, Access::SharedWrite).map(Self)
    }

    /// For the calls that read.
    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// The word that holds the byte at `offset`.
    pub(super) fn word(&self, offset: usize) -> Option<&AtomicUsize> {
        self.0.atomic(offset)
    }

    /// Copies to `offset`. `None`: the range does not lie within the mapping.
    pub(super) fn copy_in(&self, source: &[u8], offset: usize) -> Option<()> {
        let target = self.0.range(offset, source.len())?;
        // SAFETY: The range is writable as long as `self` lives, and no `&[u8]` overlaps it, since no reference to it is
        // ever formed.
        unsafe { sys::copy_to_shared(source, target) }
        Some(())
    }
}
