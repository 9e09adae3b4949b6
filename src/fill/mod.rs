//! [`Builder`]: sealed files made in one call.

use super::fresh::Fresh;
use super::raw::Exclusive;
#[cfg(not(target_os = "freebsd"))]
use crate::copy::copy_whole;
use crate::error::{Error, Operation, Reason};
use crate::options::{CreateOptions, HugeTlb};
use crate::sealed::SealedFile;
use crate::sys;

/// How to make a [`SealedFile`] in one call, with other than the default options.
///
/// The file gets all its memory before it is sealed, so reading it later cannot fail for lack of it, and nobody else has
/// its descriptor before.
///
/// ```
/// use memfile::SealedFile;
///
/// let bytes = vec![7; 5 << 20];
/// let file = SealedFile::builder().huge_pages(true).from_bytes("index", &bytes)?;
/// assert_eq!(file.len(), 5 << 20);
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html),
/// [transhuge](https://docs.kernel.org/admin-guide/mm/transhuge.html)
#[derive(Copy, Clone, Debug)]
#[must_use = "a builder does nothing until a file is made with it"]
pub struct Builder {
    options: CreateOptions,
    huge_pages: bool,
    limit: u64,
}

/// The smallest length and the alignment that a huge page has on most processors. Where it is larger, as with base pages of
/// 64 KiB, asking for huge pages only costs the attempt.
const HUGE_PAGE: usize = 2 << 20;

impl Builder {
    /// [`CreateOptions::new`], and ordinary pages.
    pub const fn new() -> Self {
        Self { options: CreateOptions::new(), huge_pages: false, limit: u64::MAX }
    }

    /// The options to create the file with; that it can be sealed goes without saying. Without
    /// [`close_on_exec`](CreateOptions::close_on_exec) it becomes inheritable only when it is sealed.
    ///
    /// With [`huge_tlb`](CreateOptions::huge_tlb) the file's length is rounded up to whole huge pages, which are taken from
    /// their pool before anything is written, and [`len`](SealedFile::len) stays the length of the data.
    pub const fn options(mut self, options: CreateOptions) -> Self {
        self.options = options;
        self
    }

    /// Let the kernel use transparent huge pages in [`build`](Self::build) and from 2 MiB on in [`from_bytes`](Self::from_bytes):
    /// `madvise(MADV_HUGEPAGE)`. Default: no.
    ///
    /// Filling is faster, and so is reading at random through a map with [`MapOptions::huge_pages`](crate::MapOptions).
    /// Where the kernel's policy (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`) forbids it, which is the default,
    /// the file is filled as without.
    #[doc(alias = "MADV_HUGEPAGE")]
    pub const fn huge_pages(mut self, value: bool) -> Self {
        self.huge_pages = value;
        self
    }

    /// Refuse a source that is longer than this many bytes, in [`copy_of`](Self::copy_of), which has an example, and
    /// `from_reader`. Default: take it all.
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    #[allow(dead_code, reason = "FreeBSD without `std` has no source with an unknown length")]
    fn within_limit(&self, len: u64) -> Result<(), Error> {
        if len > self.limit { Err(Error::new(Operation::Read, Reason::BeyondLimit)) } else { Ok(()) }
    }

    /// Makes a sealed file of these bytes: `memfd_create`, `pwrite`, `fcntl(F_ADD_SEALS)`.
    ///
    /// # Errors
    /// - those of [`MemFile::create`](crate::MemFile::create)
    /// - ENOSPC, ENOMEM: no memory for the file; EFBIG: beyond `RLIMIT_FSIZE`, with SIGXFSZ
    /// - EBUSY: the kernel itself holds a page for longer than it waits (it moves or watches memory); try again. With huge pages of
    ///   either kind also as for [`build`](Self::build)
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn from_bytes(&self, name: &str, bytes: &[u8]) -> Result<SealedFile, Error> {
        if self.options.huge_tlb.is_some() || self.huge_pages && bytes.len() >= HUGE_PAGE {
            return self.copy_to_huge_pages(name, bytes);
        }
        let fresh = Fresh::create(name, self.options)?;
        fresh.file().write_all_at(bytes, 0)?;
        fresh.seal(bytes.len() as u64, 1)
    }

    #[inline(never)]
    fn copy_to_huge_pages(&self, name: &str, bytes: &[u8]) -> Result<SealedFile, Error> {
        let mut fresh = Fresh::create(name, self.options)?;
        let granule = granule(&fresh, self.options.huge_tlb)?;
        if !self.fill_huge_pages(&mut fresh, bytes, granule)? {
            fresh.file().write_all_at(bytes, 0)?;
        }
        fresh.seal(bytes.len() as u64, granule)
    }

    /// Copies the bytes into huge pages, if the kernel has them for this file.
    ///
    /// It then places the mapping so that transparent huge pages fit. Where it does not, writing to the mapping would be
    /// slower than `pwrite`, so that is left to the caller.
    fn fill_huge_pages(&self, fresh: &mut Fresh, bytes: &[u8], granule: usize) -> Result<bool, Error> {
        let file_len = bytes.len().checked_next_multiple_of(granule).ok_or(TOO_LONG)?;
        fresh.file().set_len(file_len as u64)?;
        let mut map = Exclusive::new(fresh, bytes.len(), granule)?;
        if self.options.huge_tlb.is_none() && !(map.is_aligned_to(HUGE_PAGE) && map.advise_huge_pages()) {
            return Ok(false);
        }
        map.populate_with(bytes, HUGE_PAGE)?;
        Ok(true)
    }

    /// Makes a sealed file of `len` bytes that `fill` writes in place. They are zero before.
    ///
    /// `memfd_create`, `ftruncate`, `mmap`, `madvise`, then `fill`, then `munmap` and `fcntl(F_ADD_SEALS)`. For data that
    /// exists already [`from_bytes`](Self::from_bytes) is faster.
    ///
    /// # Errors
    /// Those of [`from_bytes`](Self::from_bytes); without an errno, a `len` beyond the address space; EBUSY: another thread
    /// forked during `fill`, and the child still has the map.
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, Exec, SealedFile};
    ///
    /// let builder = SealedFile::builder().options(CreateOptions::new().exec(Exec::DenyUnsealed));
    /// let file = builder.build("ones", 4096, |bytes| bytes.fill(1))?;
    /// assert!(file.map()?.iter().all(|&byte| byte == 1));
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "memfd_create")]
    pub fn build(&self, name: &str, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<SealedFile, Error> {
        let mut fresh = Fresh::create(name, self.options)?;
        let granule = granule(&fresh, self.options.huge_tlb)?;
        let file_len = len.checked_next_multiple_of(granule).ok_or(TOO_LONG)?;
        fresh.file().set_len(file_len as u64)?;
        let mut map = Exclusive::new(&mut fresh, len, granule)?;
        if self.huge_pages {
            map.advise_huge_pages();
        }
        map.populate()?;
        fill(map.bytes_mut());
        drop(map);
        fresh.seal(len as u64, granule)
    }

    /// Makes a sealed copy of `source`, by the system calls of [`MemFile::copy_from`](crate::MemFile::copy_from). The result
    /// is constant whatever happens to the source.
    ///
    /// A file is copied from its start to its end, and its position, which may be shared with others, neither matters nor
    /// moves. Of a pipe or a socket it is what is left. It is no snapshot: of what others write meanwhile a part may be in it.
    ///
    /// # Errors
    /// Those of [`MemFile::create`](crate::MemFile::create) and [`MemFile::copy_from`](crate::MemFile::copy_from); a file of
    /// huge pages is EINVAL; without an errno, a source longer than the [limit](Self::limit).
    ///
    /// # Example
    /// ```
    /// use memfile::SealedFile;
    ///
    /// let source = std::fs::File::open("Cargo.toml")?;
    /// let copy = SealedFile::builder().limit(1 << 20).copy_of("manifest", &source)?;
    /// assert_eq!(copy.len(), source.metadata()?.len());
    /// assert!(SealedFile::builder().limit(9).copy_of("manifest", &source).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(not(target_os = "freebsd"))]
    pub fn copy_of(&self, name: &str, source: impl sys::fd::AsFd) -> Result<SealedFile, Error> {
        let fresh = Fresh::create(name, self.options)?;
        let copied = copy_whole(source.as_fd(), fresh.file(), self.limit.saturating_add(1))?;
        self.within_limit(copied.len)?;
        fresh.seal(copied.len, 1)
    }

    /// Makes a sealed file of what is left of `reader`.
    ///
    /// For a source that is a descriptor [`copy_of`](Self::copy_of) is faster.
    ///
    /// # Errors
    /// Those of the reader, of [`MemFile::create`](crate::MemFile::create), and of [`from_bytes`](Self::from_bytes),
    /// EINVAL for a file of huge pages;
    /// `InvalidData`: the reader claims to have read more than there was room for.
    ///
    /// # Example
    /// ```
    /// let answer = std::io::Cursor::new("4 bytes, say");
    /// let file = memfile::SealedFile::builder().limit(100).from_reader("answer", answer)?;
    /// assert_eq!(file.len(), 12);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "std")]
    pub fn from_reader(&self, name: &str, mut reader: impl std::io::Read) -> std::io::Result<SealedFile> {
        const BUFFER: usize = 128 * 1024;
        let fresh = Fresh::create(name, self.options)?;
        let mut buffer = std::vec![0; BUFFER];
        let mut len = 0_u64;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(fresh.seal(len, 1)?),
                Ok(n) => {
                    // The length is what was written, since a reader in safe code can return any number.
                    let bytes = buffer.get(..n).ok_or(std::io::ErrorKind::InvalidData)?;
                    fresh.file().write_all_at(bytes, len)?;
                    len = len.saturating_add(bytes.len() as u64);
                    self.within_limit(len)?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

/// The shorthands for [`Builder::new`].
impl SealedFile {
    /// A builder, for other than the default options.
    #[inline]
    pub const fn builder() -> Builder {
        Builder::new()
    }

    /// Makes a sealed file of these bytes: [`Builder::from_bytes`].
    ///
    /// # Errors
    /// As for [`Builder::from_bytes`].
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        Builder::new().from_bytes(name, bytes)
    }

    /// Makes a sealed file of `len` bytes that `fill` writes in place: [`Builder::build`].
    ///
    /// # Errors
    /// As for [`Builder::build`].
    ///
    /// # Example
    /// ```
    /// use memfile::SealedFile;
    ///
    /// let squares = SealedFile::build("squares", 16, |bytes| {
    ///     for (i, byte) in bytes.iter_mut().enumerate() {
    ///         *byte = (i * i) as u8;
    ///     }
    /// })?;
    /// assert_eq!(squares.map()?[7], 49);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "memfd_create")]
    pub fn build(name: &str, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self, Error> {
        Builder::new().build(name, len, fill)
    }

    /// Makes a sealed copy of a file, or of what is left of a pipe or a socket: [`Builder::copy_of`].
    ///
    /// # Errors
    /// As for [`Builder::copy_of`].
    #[cfg(not(target_os = "freebsd"))]
    pub fn copy_of(name: &str, source: impl sys::fd::AsFd) -> Result<Self, Error> {
        Builder::new().copy_of(name, source)
    }

    /// Makes a sealed file of what is left of a reader: [`Builder::from_reader`].
    ///
    /// # Errors
    /// As for [`Builder::from_reader`].
    #[cfg(feature = "std")]
    pub fn from_reader(name: &str, reader: impl std::io::Read) -> std::io::Result<Self> {
        Builder::new().from_reader(name, reader)
    }
}

const TOO_LONG: Error = Error::new(Operation::Ftruncate, Reason::TooLong);

/// What the length of the file must be a multiple of: the size of its huge pages, or 1.
fn granule(fresh: &Fresh, huge_tlb: Option<HugeTlb>) -> Result<usize, Error> {
    match huge_tlb {
        None => Ok(1),
        Some(_) => Ok(sys::fstat(fresh.file().as_fd())?.granule),
    }
}
