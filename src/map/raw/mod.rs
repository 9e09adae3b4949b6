//! The pointer, the length and the drop of a mapping: all unsafe code of the maps.
//!
//! # Safety
//!
//! [`Mapping`] owns a range of address space, and its fields never change. Each type around it is made
//! from a value that proves what its references promise, and gives out no other references.
//!
//! | type here | its public face | made from | gives | because |
//! |---|---|---|---|---|
//! | [`Constant`] | `Map` | `&SealedFile` | `&[u8]` | nobody can change or shorten the file |
//! | [`Private`] | `CowMap` | `&SealedFile` | `&mut [u8]` | written pages are this process's, the others are constant |
//! | [`Exclusive`] | `Draft` | `Fresh` | `&mut [u8]` | nobody else has the file |
//! | [`Shared`] | `SharedView` | a [`Proof`](crate::sealed::Proof) of Shrink | copies, loads of words | no reference to bytes is ever formed |
//! | [`SharedWritable`] | `SharedMap` | a [`Proof`](crate::sealed::Proof) of Shrink | copies, atomic words | no reference to bytes is ever formed |

#![allow(unsafe_code, reason = "pointers into mappings")]

mod exclusive;
mod sealed;
mod shared;

use core::ops::{Bound, RangeBounds};
use core::ptr::NonNull;

use super::options::MapOptions;
use crate::error::{Errno, Error};
use crate::sys::fd::BorrowedFd;
use crate::sys::{self, Access};

pub(crate) use exclusive::Exclusive;
pub(super) use sealed::{Constant, Private};
pub(super) use shared::{Futex, ReadOnlyWord, Shared, SharedWritable, WORD};

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
            // At least `start`, because the error message shows both.
            Bound::Unbounded => file_len.max(start),
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
/// An empty extent has no mapping (`mmap` of length 0 fails with EINVAL): then `base` dangles,
/// aligned as the start of a mapping is, and `mapped` is 0.
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
    // A dangling pointer that is aligned as a mapping is, because an empty slice needs that too.
    const EMPTY: Self = Self { base: NonNull::<SmallestPage>::dangling().cast(), mapped: 0, lead: 0, len: 0 };

    /// Mapping lengths must be a multiple of `granule`; it exceeds the size of a page only where the
    /// file has, or may have, huge pages. What the mapping has beyond the extent is never touched:
    /// tmpfs reports a huge page size when it merely may use huge pages, and then pages of the mapping
    /// lie beyond the end of the file.
    ///
    /// If there is address space for it, `base` is a multiple of `huge_page`, which is the size of
    /// a transparent huge page, or 1 where none are wanted. The kernel itself aligns a map only
    /// where its policy is to use huge pages.
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

    /// Applies the options as far as the kernel can. They change no byte, so it is not an error if the
    /// kernel refuses one, with two exceptions: failing to populate or to lock memory that the caller
    /// asked to be populated or locked.
    #[inline]
    fn follow(&self, options: MapOptions) -> Result<(), Error> {
        if self.mapped == 0 {
            return Ok(());
        }
        // From the page of the first byte to the last byte, not to the end of the mapping: the part that
        // a large granule adds may lie beyond the end of the file.
        let skipped = self.lead & !PAGE_MASK;
        let used = self.lead.saturating_sub(skipped).saturating_add(self.len);
        // SAFETY: `skipped` is at most `lead`, which is less than `mapped`.
        let first = unsafe { self.base.add(skipped) };
        if options.populate {
            match sys::madvise_populate_read(first, used) {
                // EINVAL comes from a kernel before 5.14, EPERM from a sandbox. The pages then become
                // present when they are read.
                Err(error) if !error.is_unsupported() && !error.is(Errno::PERM) => return Err(error),
                _ => {}
            }
        }
        if options.lock {
            // Not the lead, which nobody reads. The kernel rounds the address down to a page.
            sys::mlock(self.data(), self.len)?;
        }
        Ok(())
    }

    /// Makes huge pages of the file wherever a whole one fits, from the one that holds the first
    /// byte.
    #[cold]
    fn collapse(&self, fd: BorrowedFd<'_>, huge_page: usize) {
        self.advise_huge_pages();
        // A file with holes stays as it is: a collapse would allocate them, and its sender chose the
        // length.
        if !sys::fstat(fd).is_ok_and(|stat| stat.allocated >= stat.len) {
            return;
        }
        let whole = self.lead.saturating_add(self.len) & !(huge_page - 1);
        let mut next = 0_usize;
        while next < whole {
            // SAFETY: `next` is less than `lead + len`.
            let page = unsafe { self.base.add(next) };
            // Linux 6.1 and 6.12 stop at a range of which no page is present in the mapping.
            let _ = sys::madvise_populate_read(page, 1);
            next = next.saturating_add(huge_page);
        }
        sys::madvise_collapse(self.base, whole);
    }

    /// Allows huge pages under the policy `advise`. It is only advice, so an error is ignored: EINVAL means
    /// that the kernel was built without huge pages.
    fn advise_huge_pages(&self) {
        let _ = sys::madvise_hugepage(self.base, self.mapped);
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
