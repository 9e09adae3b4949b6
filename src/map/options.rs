//! [`MapOptions`]: how to map a sealed file.

use crate::sys;

/// How to map a [`SealedFile`](crate::SealedFile).
///
/// ```
/// use memfile::{MapOptions, SealedFile};
///
/// let file = SealedFile::from_bytes("index", &[7; 100_000])?;
/// let map = file.map_with(.., MapOptions::new().populate(true))?;
/// assert_eq!(map[99_999], 7);
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "options do nothing until a file is mapped with them"]
pub struct MapOptions {
    pub(super) populate: bool,
    pub(super) huge_pages: bool,
    pub(super) lock: bool,
}

impl MapOptions {
    /// The defaults: no populating, no huge pages, no locking.
    pub const fn new() -> Self {
        Self { populate: false, huge_pages: false, lock: false }
    }

    /// Make all pages present before the map is returned, so that reading it causes no page fault:
    /// `madvise(MADV_POPULATE_READ)`. Default: no.
    ///
    /// Available since Linux 5.14. On older kernels it has no effect.
    #[doc(alias = "MADV_POPULATE_READ")]
    pub const fn populate(mut self, value: bool) -> Self {
        self.populate = value;
        self
    }

    /// Map the file with huge pages wherever a whole one fits: `madvise(MADV_HUGEPAGE)` and
    /// `madvise(MADV_COLLAPSE)`. Default: no.
    ///
    /// Use it for a large table that is read at random or repeatedly. If the file was
    /// [made](crate::SealedFileOptions::huge_pages) of huge pages, this costs little, and even a
    /// single reading is faster. Otherwise the kernel first copies each page into a huge one, for
    /// everybody who has the file, before this call returns. That costs about two thirds as much as
    /// writing the file, and pays off once the file has been mapped and read twice, or been read at
    /// random many millions of times ([the figures](crate::guide#benchmarks)).
    ///
    /// It has no effect on a file with holes ([`Holes::Accept`](crate::Holes::Accept)), because that
    /// would take memory for the whole length. It has no effect either if the kernel has no huge pages
    /// for the file: before Linux 6.1, if the [policy](crate::guide::kernels#huge-pages-on-demand) is
    /// `deny`, or if memory is short. The call can take long if the kernel has to make room. Meanwhile,
    /// adding seals to the file can fail with EBUSY.
    ///
    /// # References
    /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html);
    /// [7d8faaf15545](https://git.kernel.org/torvalds/c/7d8faaf15545)
    #[doc(alias = "MADV_COLLAPSE")]
    #[doc(alias = "MADV_HUGEPAGE")]
    pub const fn huge_pages(mut self, value: bool) -> Self {
        self.huge_pages = value;
        self
    }

    /// The size of a huge page for a map of this length, or 1 if it is to have none.
    #[inline]
    pub(super) fn huge_page_size(self, len: usize) -> usize {
        if self.huge_pages { sys::transparent_huge_page_size(len) } else { 1 }
    }

    /// Keep all pages in memory until the map is dropped: `mlock(2)`. Default: no.
    ///
    /// Reading the map then never waits for a disk or for memory. It also settles what a
    /// [`Holes`](crate::Holes) policy only checks at one time: the sender, or anybody else who has the
    /// file, cannot make the kernel drop pages of a locked map (`MADV_PAGEOUT`), so reading it later
    /// cannot fail for lack of memory.
    ///
    /// Mapping fails with ENOMEM, EPERM or EAGAIN ([`Cause::OutOfMemory`](crate::Cause::OutOfMemory)) if
    /// it would lock more memory than `RLIMIT_MEMLOCK` allows, or if memory or `vm.max_map_count` is
    /// exhausted. A copy-on-write map is copied in full.
    ///
    /// ```
    /// use memfile::{Cause, MapOptions, SealedFile};
    ///
    /// let received = SealedFile::from_bytes("keys", &[7; 100])?;
    /// match received.map_with(.., MapOptions::new().lock(true)) {
    ///     Ok(map) => assert_eq!(map[99], 7),
    ///     Err(error) => assert_eq!(error.cause(), Cause::OutOfMemory), // ulimit -l 0
    /// }
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [mlock(2)](https://man7.org/linux/man-pages/man2/mlock.2.html)
    #[doc(alias = "mlock")]
    pub const fn lock(mut self, value: bool) -> Self {
        self.lock = value;
        self
    }
}
