//! Pointer, length and drop of a mapping: all the unsafe code of the maps.
//!
//! # Safety
//!
//! [`Mapping`] owns a range of address space; its fields never change. Each of the types around it
//! is made from a type that proves what its references promise, and gives out those and no others:
//!
//! | type here | its public face | made from | gives | because |
//! |---|---|---|---|---|
//! | [`Constant`] | `Map` | `&SealedFile` | `&[u8]` | nobody can change or shorten the file |
//! | [`Private`] | `CowMap` | `&SealedFile` | `&mut [u8]` | written pages are this process's, the others are constant |
//! | [`Exclusive`] | `Draft` | `Fresh` | `&mut [u8]` | nobody else has the file |
//! | [`Shared`] | `SharedView` | a [`Proof`] of Shrink | copies, loads of words | no reference to bytes is ever formed |
//! | [`SharedWritable`] | `SharedMap` | a [`Proof`] of Shrink | copies, atomic words | no reference to bytes is ever formed |

#![allow(unsafe_code, reason = "pointers into mappings")]

use core::ops::{Bound, RangeBounds};
use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;

use super::options::MapOptions;
use crate::error::{Errno, Error, ErrorWith};
use crate::sealed::{Fresh, Proof, SealedFile};
use crate::sys::fd::{AsFd, BorrowedFd};
use crate::sys::{self, Access};

/// A multiple of every usual page size, so that we never query it: offsets are rounded down to
/// this. Pages are larger only in unusual builds for PowerPC 44x and Hexagon, where mapping a range
/// from a later offset fails with EINVAL.
const OFFSET_ALIGN: u64 = 64 * 1024;
const PAGE_MASK: usize = 64 * 1024 - 1;

/// A range of a file that was checked to lie within it and to fit the address space.
#[derive(Copy, Clone)]
struct Extent {
    offset: u64,
    len: usize,
}

impl Extent {
    /// The one place where a range of a file is checked.
    #[inline]
    fn within(file_len: u64, range: impl RangeBounds<u64>) -> Result<Self, Error> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        // A bound that saturates is the largest offset, which no file has.
        let end = match range.end_bound() {
            Bound::Included(&end) => end.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => file_len,
        };
        match end.checked_sub(start) {
            Some(len) if end <= file_len => match isize::try_from(len) {
                Ok(len) => Ok(Self { offset: start, len: len.unsigned_abs() }),
                Err(_) => Err(Error::too_long(len)),
            },
            _ => Err(Error::out_of_bounds(start, end, file_len)),
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
/// An empty extent has no mapping (`mmap` of length 0 fails with EINVAL): then `base` dangles, aligned as
/// the start of a mapping is, and `mapped` is 0.
struct Mapping {
    base: NonNull<u8>,
    mapped: usize,
    lead: usize,
    len: usize,
}

// SAFETY: A mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}
// SAFETY: A shared `Mapping` only gives out its pointer and length; what they are used for is up to
// the types around it.
unsafe impl Sync for Mapping {}

/// The alignment that [`Map`](super::Map) promises.
#[repr(align(4096))]
struct SmallestPage;

impl Mapping {
    const EMPTY: Self = Self { base: NonNull::<SmallestPage>::dangling().cast(), mapped: 0, lead: 0, len: 0 };

    /// Mapping lengths must be a multiple of `granule`; it exceeds 1 only where the file has, or
    /// may have, huge pages. What the mapping has beyond the extent is never touched: tmpfs reports
    /// a huge page size when it merely may use huge pages, and then pages of the mapping lie beyond
    /// the end of the file.
    ///
    /// `base` is a multiple of `huge_page`, the size of a transparent huge page, or 1 where none are
    /// wanted, if address space for that can be had. The kernel would see to it only where its policy
    /// is to use them.
    #[inline]
    fn new(
        fd: BorrowedFd<'_>,
        extent: Extent,
        granule: usize,
        huge_page: usize,
        access: Access,
    ) -> Result<Self, Error> {
        let Extent { offset, len } = extent;
        if len == 0 {
            return Ok(Self::EMPTY);
        }
        let align = OFFSET_ALIGN.max(granule as u64).max(huge_page as u64);
        let lead = usize::try_from(offset & (align - 1)).map_err(|_| Error::too_long(offset))?;
        let Some(end) = lead.checked_add(len).and_then(|end| end.checked_add(granule - 1)) else {
            return Err(Error::too_long(len as u64));
        };
        let mapped = end & !(granule - 1);
        let hint = if huge_page > 1 { sys::free_address(mapped, huge_page) } else { None };
        let base = sys::mmap(fd, offset.saturating_sub(lead as u64), mapped, access, hint)?;
        Ok(Self { base, mapped, lead, len })
    }

    /// The first byte of the extent.
    #[inline]
    fn data(&self) -> NonNull<u8> {
        // SAFETY: `lead` is less than `mapped`, or both are 0.
        unsafe { self.base.add(self.lead) }
    }

    /// Follows the options as far as the kernel can. They change no byte, so it is not an error if
    /// the kernel refuses them, with two exceptions: failing to populate or to lock memory for
    /// which the caller asked that.
    #[inline]
    fn follow(&self, options: MapOptions, huge_page: usize) -> Result<(), Error> {
        if self.mapped == 0 {
            return Ok(());
        }
        // From the page of the first byte, and not to the end of the mapping: what a large granule
        // adds may lie beyond the file.
        let skipped = self.lead & !PAGE_MASK;
        let used = self.lead.saturating_sub(skipped).saturating_add(self.len);
        // SAFETY: `skipped` is at most `lead`, which is less than `mapped`.
        let first = unsafe { self.base.add(skipped) };
        if huge_page > 1 {
            self.collapse(huge_page);
        }
        if options.populate {
            match sys::madvise_populate_read(first, used) {
                // EINVAL: a kernel before 5.14. EPERM: a sandbox. Reading then populates the
                // memory.
                Err(error) if !error.is_unsupported() && !error.is(Errno::PERM) => return Err(error),
                _ => {}
            }
        }
        if options.lock {
            // From the first page of the range on: the kernel rounds the address down, and the lead
            // need not be locked.
            sys::mlock(self.data(), self.len)?;
        }
        Ok(())
    }

    /// Makes huge pages of the file as far as whole ones go, from the one that holds the first byte.
    #[cold]
    fn collapse(&self, huge_page: usize) {
        self.advise_huge_pages();
        let whole = self.lead.saturating_add(self.len) & !(huge_page - 1);
        for page in (0..whole).step_by(huge_page) {
            // SAFETY: `page` is less than `lead + len`.
            let page = unsafe { self.base.add(page) };
            // Linux 6.1 and 6.12 stop at a huge page of which the mapping has no page yet.
            let _ = sys::madvise_populate_read(page, 1);
        }
        sys::madvise_collapse(self.base, whole);
    }

    /// Allows huge pages where the kernel's policy is `advise`. EINVAL: it was built without them.
    fn advise_huge_pages(&self) {
        if self.mapped > 0 {
            let _ = sys::madvise_hugepage(self.base, self.mapped);
        }
    }
}

impl Drop for Mapping {
    #[inline]
    fn drop(&mut self) {
        if self.mapped > 0 {
            // SAFETY: `base` and `mapped` are those of the `mmap` in `new`, and every reference
            // given out borrows `self`.
            unsafe { sys::munmap(self.base, self.mapped) }
        }
    }
}

/// Bytes that never change.
pub(super) struct Constant(Mapping);

impl Constant {
    #[inline]
    pub(super) fn new(file: &SealedFile, range: impl RangeBounds<u64>, options: MapOptions) -> Result<Self, Error> {
        let extent = Extent::within(file.len(), range)?;
        let huge_page = options.huge_page_size(extent.len);
        let mapping = Mapping::new(file.as_fd(), extent, file.granule(), huge_page, Access::ConstantRead)?;
        mapping.follow(options, huge_page)?;
        Ok(Self(mapping))
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: The mapping has `len` readable bytes from `data`, `len` is at most `isize::MAX`
        // (`Extent::within`), and nobody can change or shorten the file (`SealedFile`). The mapping
        // lives as long as `self`.
        unsafe { slice::from_raw_parts(self.0.data().as_ptr(), self.0.len) }
    }
}

/// Bytes of constant origin that this process may change for itself.
pub(super) struct Private(Mapping);

impl Private {
    #[inline]
    pub(super) fn new(file: &SealedFile, range: impl RangeBounds<u64>, options: MapOptions) -> Result<Self, Error> {
        let extent = Extent::within(file.len(), range)?;
        let huge_page = options.huge_page_size(extent.len);
        let mapping = Mapping::new(file.as_fd(), extent, file.granule(), huge_page, Access::PrivateWrite)?;
        mapping.follow(options, huge_page)?;
        Ok(Self(mapping))
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: As for `Constant`; what was written since came through `bytes_mut`, which
        // borrowed `self` alone.
        unsafe { slice::from_raw_parts(self.0.data().as_ptr(), self.0.len) }
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: As for `bytes`, and the mapping is writable; the pages written are this process's
        // own.
        unsafe { slice::from_raw_parts_mut(self.0.data().as_ptr(), self.0.len) }
    }
}

/// Bytes of a file that nobody else has, together with the file. There is no mapping of it but this
/// one.
pub(crate) struct Exclusive {
    mapping: Mapping,
    fresh: Fresh,
}

impl Exclusive {
    /// Maps the file in its whole length, for huge pages of this size, or 1.
    ///
    /// # Errors
    /// The file comes back with the error.
    pub(crate) fn new(fresh: Fresh, huge_page: usize) -> Result<Self, ErrorWith<Fresh>> {
        match Self::map(&fresh, huge_page) {
            Ok(mapping) => Ok(Self { mapping, fresh }),
            Err(error) => Err(ErrorWith::new(error, fresh)),
        }
    }

    /// Without a mapping, for a file that cannot be mapped for writing any more. Its bytes are an
    /// empty slice.
    pub(crate) fn unmapped(fresh: Fresh) -> Self {
        Self { mapping: Mapping::EMPTY, fresh }
    }

    fn map(fresh: &Fresh, huge_page: usize) -> Result<Mapping, Error> {
        let extent = Extent::within(fresh.len() as u64, ..)?;
        let mapping = Mapping::new(fresh.as_fd(), extent, fresh.granule(), huge_page, Access::SharedWrite)?;
        if huge_page > 1 {
            mapping.advise_huge_pages();
        }
        Ok(mapping)
    }

    pub(crate) fn fresh(&self) -> &Fresh {
        &self.fresh
    }

    /// Unmaps the file.
    pub(crate) fn into_fresh(self) -> Fresh {
        self.fresh
    }

    /// Gives up the `&mut [u8]`: from now on others may have the file. It must have Shrink.
    pub(super) fn into_shared(self) -> (SharedWritable, Fresh) {
        (SharedWritable(Shared { mapping: self.mapping, start: 0 }), self.fresh)
    }

    /// Maps the file, if that has failed before.
    pub(crate) fn map_again(&mut self, huge_page: usize) -> Result<(), Error> {
        if self.mapping.len < self.fresh.len() {
            self.mapping = Self::map(&self.fresh, huge_page)?;
        }
        Ok(())
    }

    /// Sets the file's length, and maps it anew, as [`new`](Self::new) does. If the file cannot be
    /// mapped any more, its bytes are an empty slice.
    pub(crate) fn resize(&mut self, len: usize, huge_page: usize) -> Result<(), Error> {
        // Unmapped first, so that no mapping ever reaches beyond the end of the file.
        self.mapping = Mapping::EMPTY;
        let resized = self.fresh.resize(len);
        self.mapping = Self::map(&self.fresh, huge_page)?;
        resized
    }

    /// Makes the page present that begins at `start`, if there is memory for it. (A store would raise
    /// SIGBUS if there is none.) It is the one that [`collapse`](Self::collapse) needs.
    pub(crate) fn touch(&mut self, start: usize) -> bool {
        // SAFETY: `start` is less than the length of the mapping, whose `lead` is 0 for the range `..`.
        start < self.mapping.len && sys::madvise_populate_write(unsafe { self.mapping.base.add(start) }, 1).is_ok()
    }

    /// Makes huge pages of a range that begins and ends at multiples of their size. Returns whether the
    /// kernel says that it did.
    pub(crate) fn collapse(&mut self, start: usize, end: usize) -> bool {
        // SAFETY: `start` is less than the length of the mapping, as above.
        let place = (start < end && end <= self.mapping.len).then(|| unsafe { self.mapping.base.add(start) });
        place.is_some_and(|place| sys::madvise_collapse(place, end.saturating_sub(start)))
    }

    /// Notes that the file has memory up to here.
    pub(crate) fn set_allocated(&mut self, end: usize) {
        self.fresh.set_allocated(end);
    }

    /// Allocates the file from where it is allocated already up to `end`, and makes those pages
    /// present. So no byte of them can be SIGBUS, and none is a hole.
    pub(crate) fn populate(&mut self, end: usize) -> Result<(), Error> {
        let end = end.min(self.mapping.len);
        if end <= self.fresh.allocated() {
            return Ok(());
        }
        // `madvise` wants whole pages, and what is there already is none the worse for it.
        let offset = self.fresh.allocated() & !PAGE_MASK;
        // SAFETY: `offset` is less than the length of the mapping, whose `lead` is 0 for the range `..`.
        let start = unsafe { self.mapping.base.add(offset) };
        if sys::madvise_populate_write(start, end.saturating_sub(offset)).is_err() {
            // A kernel before 5.14, or no memory: `fallocate` reports why (ENOSPC, ENOMEM), `madvise`
            // does not.
            self.fresh.fallocate_to(end)?;
        }
        self.fresh.set_allocated(end);
        Ok(())
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: As for `bytes_mut`, and `self` is borrowed, so nobody writes meanwhile.
        unsafe { slice::from_raw_parts(self.mapping.data().as_ptr(), self.mapping.len) }
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: The mapping is writable, of the length that the file has, and the only one of it;
        // the only descriptor of the file is in `fresh`, which gives it to nobody.
        unsafe { slice::from_raw_parts_mut(self.mapping.data().as_ptr(), self.mapping.len) }
    }
}

/// Bytes that others may change at any time, through a mapping that cannot be written.
///
/// Within this process the memory is a sequence of words, and every access is an atomic access to
/// whole words: Rust's memory model knows no race between accesses that are atomic and of one size
/// and place. (The copies may be assembly instead, which is opaque to the compiler and does no more
/// than such accesses could: it reads and writes each byte once.) Across processes the hardware
/// decides, and a torn or stale value is only a value.
///
/// The words are those of the file: a map of a range that begins within a word has a part of it,
/// and the whole word is accessed, as at the end of a map.
pub(super) struct Shared {
    mapping: Mapping,
    start: u64,
}

/// The size of a word.
pub(super) const WORD: usize = size_of::<usize>();

impl Shared {
    /// Maps the file of which Shrink was proven.
    pub(super) fn new(fd: BorrowedFd<'_>, proof: Proof, range: impl RangeBounds<u64>) -> Result<Self, Error> {
        Self::map(fd, proof, range, Access::SharedRead)
    }

    fn map(fd: BorrowedFd<'_>, proof: Proof, range: impl RangeBounds<u64>, access: Access) -> Result<Self, Error> {
        let extent = Extent::within(proof.len(), range)?;
        Ok(Self { mapping: Mapping::new(fd, extent, proof.granule(), 1, access)?, start: extent.offset })
    }

    pub(super) fn len(&self) -> usize {
        self.mapping.len
    }

    /// Where the first byte is in the file.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.mapping.data().as_ptr()
    }

    /// The word that holds the byte at `offset`.
    #[inline]
    pub(super) fn word(&self, offset: usize) -> Option<ReadOnlyWord<'_>> {
        self.atomic(offset).map(ReadOnlyWord)
    }

    #[inline]
    fn atomic(&self, offset: usize) -> Option<&AtomicUsize> {
        if offset >= self.mapping.len {
            return None;
        }
        let byte = self.mapping.lead.saturating_add(offset);
        // SAFETY: `lead + len` is at most `mapped`, so `byte` is less. Rounded down to a word it
        // is still within the mapping, and so is the whole word, since `base` is aligned and a
        // mapping ends with a page.
        let word = unsafe { self.mapping.base.byte_add(byte & !(WORD - 1)) };
        // SAFETY: The word is mapped as long as `self` lives, aligned since a mapping is,
        // initialized since pages are, and accessed as a word alone.
        Some(unsafe { word.cast::<AtomicUsize>().as_ref() })
    }

    /// Copies from `offset` on.
    #[inline]
    pub(super) fn copy_out(&self, offset: usize, target: &mut [u8]) -> Result<(), Error> {
        let source = self.range(offset, target.len())?;
        // SAFETY: The range is readable as long as `self` lives, and no `&mut [u8]` overlaps it,
        // since no reference to it is ever formed.
        unsafe { sys::copy_from_shared(source, target) }
        Ok(())
    }

    /// The start of a range that lies within the mapping.
    #[inline]
    fn range(&self, offset: usize, len: usize) -> Result<NonNull<u8>, Error> {
        match offset.checked_add(len) {
            // SAFETY: `offset` is at most `len` of the mapping.
            Some(end) if end <= self.mapping.len => Ok(unsafe { self.mapping.data().add(offset) }),
            end => Err(Error::out_of_bounds(offset as u64, end.unwrap_or(usize::MAX) as u64, self.mapping.len as u64)),
        }
    }
}

/// A word of a mapping that cannot be written.
#[derive(Copy, Clone)]
pub(super) struct ReadOnlyWord<'map>(&'map AtomicUsize);

impl<'map> ReadOnlyWord<'map> {
    /// The one load that is guaranteed to work on read-only memory, for words of this size.
    pub(super) fn load(self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The four bytes of the word from `first_byte` on, to wait for.
    pub(super) fn futex(self, first_byte: usize) -> Futex<'map> {
        Futex::of(self.0, first_byte)
    }
}

/// Four bytes of a word, for the kernel. It alone reads them as a `u32`: an atomic access of that
/// size by this process could race with those to the whole word.
pub(super) struct Futex<'map>(&'map AtomicU32);

impl<'map> Futex<'map> {
    /// `first_byte` is rounded down to a multiple of 4.
    pub(super) fn of(word: &'map AtomicUsize, first_byte: usize) -> Self {
        let bytes = NonNull::from(word).cast::<u8>();
        // SAFETY: A multiple of 4 that is less than the word's size, which is 4 or 8.
        let place = unsafe { bytes.add(first_byte & (WORD - size_of::<u32>())) };
        // SAFETY: The four bytes lie within the word, which is mapped for `'map` and as aligned. A
        // reference to an atomic is no access, so it may lie over memory that cannot be written;
        // only its address is used (`sys::futex_wait`, `sys::futex_wake`).
        Self(unsafe { place.cast::<AtomicU32>().as_ref() })
    }

    /// Sleeps while the bytes are `expected`. Returns false if the time has passed.
    pub(super) fn wait(&self, expected: u32, timeout: Option<Duration>) -> Result<bool, Error> {
        sys::futex_wait(self.0, expected, timeout)
    }

    /// Wakes those who sleep, and returns how many.
    pub(super) fn wake(&self, most: u32) -> Result<usize, Error> {
        sys::futex_wake(self.0, most)
    }
}

/// As [`Shared`], through a mapping that can be written.
pub(super) struct SharedWritable(Shared);

impl SharedWritable {
    /// Maps the file of which Shrink was proven.
    pub(super) fn new(fd: BorrowedFd<'_>, proof: Proof, range: impl RangeBounds<u64>) -> Result<Self, Error> {
        Shared::map(fd, proof, range, Access::SharedWrite).map(Self)
    }

    /// For the calls that read.
    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }

    /// The word that holds the byte at `offset`.
    #[inline]
    pub(super) fn word(&self, offset: usize) -> Option<&AtomicUsize> {
        self.0.atomic(offset)
    }

    /// Copies to `offset`.
    #[inline]
    pub(super) fn copy_in(&self, source: &[u8], offset: usize) -> Result<(), Error> {
        let target = self.0.range(offset, source.len())?;
        // SAFETY: The range is writable as long as `self` lives, and no `&[u8]` overlaps it, since
        // no reference to it is ever formed.
        unsafe { sys::copy_to_shared(source, target) }
        Ok(())
    }
}
