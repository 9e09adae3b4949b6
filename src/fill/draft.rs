//! [`Draft`]: a file to be filled in place, before anybody else has it.

use core::fmt;
use core::ops::{Deref, DerefMut};

use super::huge::HugePages;
use crate::error::{Error, ErrorWith};
use crate::map::{Exclusive, SharedMap};
use crate::sealed::{Fresh, SealedFile};

/// A file that nobody else has yet, mapped for writing: a `&mut [u8]` that becomes a
/// [`SealedFile`].
///
/// Use it for data that is made piece by piece, or by code that cannot be a closure; otherwise
/// [`SealedFile::create_with`] is shorter. At first the bytes are zero. They are allocated, so writing to
/// them cannot fail. Dropping a draft drops the file.
///
/// Two ways still lead to the file. A process of the same user, or one with the right to inspect this
/// process, can open it through `/proc/PID/fd` until it is sealed. And after a `fork`, which only unsafe
/// code can do, both processes have the draft: one of them must forget it without using it
/// (`core::mem::forget`), and the other cannot seal it while the child has the map.
///
/// ```
/// use memfile::SealedFile;
///
/// let mut draft = SealedFile::options().draft("table", 4)?;
/// draft.copy_from_slice(b"1 2 ");
/// draft.set_len(7)?;
/// draft[4..].copy_from_slice(b"3 4");
/// let sealed = draft.seal()?;
/// assert_eq!(&sealed.map()?[..], b"1 2 3 4");
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html),
/// [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html)
#[must_use = "the file is dropped with its draft unless it is sealed"]
pub struct Draft {
    map: Exclusive,
    pages: HugePages,
}

impl Draft {
    /// Makes a draft from an empty file.
    pub(super) fn new(mut fresh: Fresh, len: usize, mut pages: HugePages) -> Result<Self, Error> {
        fresh.resize(len)?;
        let mut draft = Self { map: Exclusive::new(fresh, pages.size(len))?, pages };
        draft.allocate()?;
        Ok(draft)
    }

    fn allocate(&mut self) -> Result<(), Error> {
        // Huge pages first, as far as the kernel has any, and ordinary pages for the rest.
        while self.pages.take(&mut self.map)?.is_some() {}
        self.map.populate(usize::MAX)
    }

    /// `ftruncate(fd, len)` — sets the length in bytes. New bytes are zero and allocated. The bytes may
    /// move in memory.
    ///
    /// # Errors
    /// If the draft was to become longer, it keeps its length and its bytes. If it was to become
    /// shorter, it may have the new length already, and the bytes up to there. If it cannot be mapped
    /// again, it is an empty slice until this call succeeds, and the file keeps its bytes.
    /// - ENOMEM, ENOSPC: no memory, no address space, or no free huge page is left
    /// - EFBIG: the file would exceed `RLIMIT_FSIZE`; the kernel also sends SIGXFSZ
    /// - no errno: `len` exceeds the address space
    #[doc(alias = "ftruncate")]
    pub fn set_len(&mut self, len: usize) -> Result<(), Error> {
        let before = self.map.fresh().len();
        // If the new end lies within a huge page, the file keeps the whole page. The bytes after the
        // end must not reach anybody, and must be zero if the draft becomes longer again. They can
        // be cleared only while they are mapped.
        if self.map.fresh().granule() > 1 {
            self.map.map_again(self.pages.size(before))?;
        }
        self.clear_to_page_end(len);
        self.pages.cut(len);
        let result = self.map.resize(len, self.pages.size(len)).and_then(|()| self.allocate());
        if result.is_err() {
            // Back to a length that is allocated: a slice must not contain bytes without memory.
            let len = before.min(len);
            self.pages.cut(len);
            let _ = self.map.resize(len, self.pages.size(len));
        }
        self.clear_to_page_end(before);
        result
    }

    /// Sets the bytes from `start` to the end of its huge page to zero, if the file has huge pages.
    fn clear_to_page_end(&mut self, start: usize) {
        let granule = self.map.fresh().granule();
        if granule > 1 {
            let end = start.checked_next_multiple_of(granule).unwrap_or(start);
            let rest = self.map.bytes_mut().iter_mut().skip(start);
            rest.take(end.saturating_sub(start)).for_each(|byte| *byte = 0);
        }
    }

    /// Like [`seal`](Self::seal), but an error drops the draft.
    pub(super) fn finish(self) -> Result<SealedFile, Error> {
        self.map.into_fresh().seal().map_err(ErrorWith::into_error)
    }

    /// Unmaps the draft, seals it with [`Seals::IMMUTABLE`](crate::Seals::IMMUTABLE), and proves
    /// it.
    ///
    /// # Errors
    /// The error returns the draft. If it cannot be mapped again, it is an empty slice, and the file
    /// keeps its bytes.
    /// - EBUSY ([`is_busy`](Error::is_busy)): another thread has forked, and the child still has the
    ///   draft's map; or the kernel itself, which may be moving or merging memory, holds a page for
    ///   longer than it waits. Try again
    /// - no errno ([`is_unsupported`](Error::is_unsupported)): a sandbox only pretends to add seals
    pub fn seal(self) -> Result<SealedFile, ErrorWith<Self>> {
        let Self { map, mut pages } = self;
        map.into_fresh().seal().map_err(|error| {
            error.map(|fresh| {
                // `seal` needed a file without a writable mapping, so the draft was unmapped.
                let huge_page = pages.size(fresh.len());
                let map = match Exclusive::new(fresh, huge_page) {
                    Ok(map) => map,
                    Err(error) => Exclusive::unmapped(error.into_inner()),
                };
                Self { map, pages }
            })
        })
    }

    /// Shares the draft as it is: adds FutureWrite, Shrink and Grow, and turns the draft into the
    /// one map that can write the file, without mapping it again. See [`MemFile::share`] for what
    /// readers do.
    ///
    /// This way the memory can be prepared as a slice, and can have [huge
    /// pages](crate::SealedFileOptions::huge_pages). If you want to freeze the file later, create
    /// the draft with [`Exec::DenyUnsealed`](crate::Exec::DenyUnsealed): otherwise
    /// [`SharedMap::freeze`] fails on a kernel [whose Exec seal can forge
    /// Write](crate::guide::design#what-a-sealedfile-proves).
    ///
    /// [`MemFile::share`]: crate::MemFile::share
    ///
    /// # Errors
    /// The error returns the draft, unchanged except that it may already have the seals.
    /// - EINVAL: a kernel before 5.1, or FreeBSD ([`is_unsupported`](Error::is_unsupported))
    /// - ENOSPC, ENOMEM: an earlier [`set_len`](Self::set_len) or [`seal`](Self::seal) failed, and
    ///   there is still no memory or no address space
    /// - no errno ([`is_unsupported`](Error::is_unsupported)): a sandbox only pretends to add seals
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, Exec, SealedFile, SharedView};
    ///
    /// let options = CreateOptions::new().exec(Exec::DenyUnsealed);
    /// let mut draft = SealedFile::options().create_options(options).draft("prices", 4096)?;
    /// draft.fill(9);
    /// let writer = draft.share()?;
    /// let view = SharedView::try_from(writer.reader()?)?;
    /// let mut last = [0];
    /// view.read_exact_at(&mut last, 4095)?;
    /// assert_eq!(last, [9]);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "F_SEAL_FUTURE_WRITE")]
    pub fn share(mut self) -> Result<SharedMap, ErrorWith<Self>> {
        // Map the file now, if an earlier call has left it unmapped: with FutureWrite that is forbidden.
        let huge_page = self.pages.size(self.map.fresh().len());
        if let Err(error) = self.map.map_again(huge_page) {
            return Err(ErrorWith::new(error, self));
        }
        let Self { map, pages } = self;
        SharedMap::of(map).map_err(|error| error.map(|map| Self { map, pages }))
    }
}

impl Deref for Draft {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.map.bytes()
    }
}

impl DerefMut for Draft {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.map.bytes_mut()
    }
}

impl AsRef<[u8]> for Draft {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Draft {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("address", &self.as_ptr()).field("len", &self.len()).finish()
    }
}
