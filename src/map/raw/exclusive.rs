//! [`Exclusive`]: the mapping of a file that nobody else has.

use core::ptr::NonNull;
use core::slice;

use super::shared::{Shared, SharedWritable};
use super::{Extent, Mapping, PAGE_MASK};
use crate::error::{Error, ErrorWith};
use crate::sealed::Fresh;
use crate::sys::fd::AsFd;
use crate::sys::{self, Access};

/// The bytes of a file that nobody else has, together with the file. This mapping is the only one.
pub(crate) struct Exclusive {
    mapping: Mapping,
    fresh: Fresh,
}

impl Exclusive {
    /// Maps the whole file, for huge pages of this size, or 1 for none.
    ///
    /// # Errors
    /// The error returns the file.
    pub(crate) fn new(fresh: Fresh, huge_page: usize) -> Result<Self, ErrorWith<Fresh>> {
        match Self::map(&fresh, huge_page) {
            Ok(mapping) => Ok(Self { mapping, fresh }),
            Err(error) => Err(ErrorWith::new(error, fresh)),
        }
    }

    /// Makes one without a mapping, for a file that cannot be mapped. Its bytes are an empty slice.
    pub(crate) fn unmapped(fresh: Fresh) -> Self {
        Self { mapping: Mapping::EMPTY, fresh }
    }

    fn map(fresh: &Fresh, huge_page: usize) -> Result<Mapping, Error> {
        let extent = Extent::within(fresh.len() as u64, ..)?;
        let mapping = Mapping::new(fresh.as_fd(), extent, fresh.granule(), huge_page, Access::SharedWrite)?;
        // Before the first page fault, because that decides which pages the kernel uses.
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

    /// Gives up the `&mut [u8]`: from now on others may have the file. The file must have Shrink.
    pub(in crate::map) fn into_shared(self) -> (SharedWritable, Fresh) {
        (SharedWritable(Shared { mapping: self.mapping, start: 0 }), self.fresh)
    }

    /// Maps the file if an earlier attempt has failed.
    pub(crate) fn map_again(&mut self, huge_page: usize) -> Result<(), Error> {
        if self.mapping.len < self.fresh.len() {
            self.mapping = Self::map(&self.fresh, huge_page)?;
        }
        Ok(())
    }

    /// Sets the length of the file, and maps it again, as [`new`](Self::new) does. If it cannot be mapped,
    /// its bytes are an empty slice.
    pub(crate) fn resize(&mut self, len: usize, huge_page: usize) -> Result<(), Error> {
        // Unmapped first, so that no mapping ever reaches beyond the end of the file.
        self.mapping = Mapping::EMPTY;
        let resized = self.fresh.resize(len);
        // If the file could not be resized, it is mapped again as it was.
        self.mapping = Self::map(&self.fresh, huge_page)?;
        resized
    }

    /// Makes the page that begins at `start` present, and returns whether there was memory for it. (If
    /// not, a store would raise SIGBUS.) [`collapse`](Self::collapse) needs this page.
    pub(crate) fn touch(&mut self, start: usize) -> bool {
        self.bytes_mut().get_mut(start).is_some_and(|byte| sys::madvise_populate_write(byte.into(), 1).is_ok())
    }

    /// Makes huge pages of a range that begins and ends at multiples of their size. Returns whether
    /// the kernel reports success.
    pub(crate) fn collapse(&mut self, start: usize, end: usize) -> bool {
        let range = self.bytes_mut().get_mut(start..end).map(NonNull::from);
        range.is_some_and(|range| sys::madvise_collapse(range.cast(), range.len()))
    }

    /// Records that the file is allocated up to `end`.
    pub(crate) fn set_allocated(&mut self, end: usize) {
        self.fresh.set_allocated(end);
    }

    /// Allocates all pages up to `end` that the file lacks, and makes them present. So no access to them
    /// can raise SIGBUS, and none of them is a hole.
    pub(crate) fn populate(&mut self, end: usize) -> Result<(), Error> {
        let end = end.min(self.mapping.len);
        if end <= self.fresh.allocated() {
            return Ok(());
        }
        // `madvise` needs whole pages. It does no harm to pages that are already present.
        let offset = self.fresh.allocated() & !PAGE_MASK;
        let range = self.bytes_mut().get_mut(offset..end).map(NonNull::from);
        if range.is_none_or(|range| sys::madvise_populate_write(range.cast(), range.len()).is_err()) {
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
