//! [`Constant`] and [`Private`]: mappings of sealed files.

use core::ops::RangeBounds;
use core::slice;

use super::{Extent, Mapping};
use crate::error::Error;
use crate::map::options::MapOptions;
use crate::sealed::SealedFile;
use crate::sys::Access;
use crate::sys::fd::AsFd;

/// Maps a range of a sealed file, and applies the options.
#[inline]
fn map(file: &SealedFile, range: impl RangeBounds<u64>, options: MapOptions, access: Access) -> Result<Mapping, Error> {
    let extent = Extent::within(file.len(), range)?;
    let huge_page = options.huge_page_size(extent.len);
    let mapping = Mapping::new(file.as_fd(), extent, file.granule(), huge_page, access)?;
    // Collapse first: pages that are already locked or populated would be copied again.
    if huge_page > 1 {
        mapping.collapse(file.as_fd(), huge_page);
    }
    mapping.follow(options)?;
    Ok(mapping)
}

/// Bytes that never change.
pub(in crate::map) struct Constant(Mapping);

impl Constant {
    #[inline]
    pub(in crate::map) fn new(
        file: &SealedFile,
        range: impl RangeBounds<u64>,
        options: MapOptions,
    ) -> Result<Self, Error> {
        map(file, range, options, Access::ConstantRead).map(Self)
    }

    #[inline]
    pub(in crate::map) fn bytes(&self) -> &[u8] {
        // SAFETY: The mapping has `len` readable bytes from `data`, `len` is at most `isize::MAX`
        // (`Extent::within`), and nobody can change or shorten the file (`SealedFile`). The mapping
        // lives as long as `self`.
        unsafe { slice::from_raw_parts(self.0.data().as_ptr(), self.0.len) }
    }
}

/// Bytes that were constant at first, and that this process may change for itself.
pub(in crate::map) struct Private(Mapping);

impl Private {
    #[inline]
    pub(in crate::map) fn new(
        file: &SealedFile,
        range: impl RangeBounds<u64>,
        options: MapOptions,
    ) -> Result<Self, Error> {
        map(file, range, options, Access::PrivateWrite).map(Self)
    }

    #[inline]
    pub(in crate::map) fn bytes(&self) -> &[u8] {
        // SAFETY: As for `Constant`; what was written since came through `bytes_mut`, which
        // borrowed `self` alone.
        unsafe { slice::from_raw_parts(self.0.data().as_ptr(), self.0.len) }
    }

    #[inline]
    pub(in crate::map) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: As for `bytes`, and the mapping is writable; the pages written are this process's
        // own.
        unsafe { slice::from_raw_parts_mut(self.0.data().as_ptr(), self.0.len) }
    }
}
