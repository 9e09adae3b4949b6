//! Making sealed files: from bytes, in place, from another file, from a reader.

mod draft;
mod huge;

use crate::error::{Error, ErrorWith};
use crate::file::FileName;
use crate::map::Exclusive;
use crate::options::CreateOptions;
use crate::sealed::{Fresh, SealedFile, SealedFileOptions};
use crate::sys;
use crate::sys::fd::{AsFd, BorrowedFd};

use huge::HugePages;

pub use draft::Draft;

impl SealedFileOptions {
    /// Makes a sealed file with these bytes: `memfd_create`, `pwrite`, `fcntl(F_ADD_SEALS)`, and the
    /// two calls of the proof.
    ///
    /// # Errors
    /// - those of [`MemFile::create`](crate::MemFile::create)
    /// - ENOSPC, ENOMEM: no memory for the file; EFBIG: beyond `RLIMIT_FSIZE`, with SIGXFSZ
    /// - EBUSY: the kernel itself, which may be moving or merging memory, holds a page for longer than
    ///   it waits; try again. With huge pages of either kind, also as for [`Draft::seal`]
    /// - no errno ([`is_unsupported`](Error::is_unsupported)): a sandbox only pretends to add seals
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn from_bytes(&self, name: impl FileName, bytes: &[u8]) -> Result<SealedFile, Error> {
        if self.huge_pages || self.create_options.huge_tlb.is_some() {
            return self.copy_to_huge_pages(name, bytes);
        }
        let mut fresh = Fresh::create(name, self.create_options)?;
        fresh.append(bytes)?;
        fresh.seal().map_err(ErrorWith::into_error)
    }

    #[inline(never)]
    fn copy_to_huge_pages(&self, name: impl FileName, bytes: &[u8]) -> Result<SealedFile, Error> {
        let mut fresh = Fresh::create(name, self.create_options)?;
        if self.create_options.huge_tlb.is_some() {
            return copy(bytes, fresh)?.seal().map_err(ErrorWith::into_error);
        }
        let mut rest = bytes;
        let read = |page: &mut [u8]| {
            // Not `copy_from_slice`: when optimizing for size, the compiler does not remove its panic.
            let Some((source, after)) = rest.split_at_checked(page.len()) else { return Ok(0) };
            page.iter_mut().zip(source).for_each(|(to, from)| *to = *from);
            rest = after;
            Ok::<_, Error>(source.len())
        };
        fresh = self.transparent().fill(fresh, bytes.len(), read)?;
        // What follows the last whole huge page, or everything if the kernel has none.
        fresh.append(rest)?;
        fresh.seal().map_err(ErrorWith::into_error)
    }

    /// A file of hugetlbfs takes its pages from a pool, and cannot have transparent huge pages.
    fn transparent(&self) -> HugePages {
        HugePages::new(self.huge_pages && self.create_options.huge_tlb.is_none())
    }

    /// Makes a sealed file of `len` bytes, which `fill` writes in place. They are zero at first.
    ///
    /// The system calls are `memfd_create`, `ftruncate`, `mmap` and `madvise`, and after `fill`
    /// `munmap`, `fcntl(F_ADD_SEALS)` and the two calls of the proof. If the data already exists,
    /// [`from_bytes`](Self::from_bytes) is faster.
    ///
    /// # Errors
    /// Those of [`draft`](Self::draft) and [`Draft::seal`].
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, Exec, SealedFile};
    ///
    /// let options =
    ///     SealedFile::options().create_options(CreateOptions::new().exec(Exec::DenyUnsealed));
    /// let file = options.create_with("ones", 4096, |bytes| bytes.fill(1))?;
    /// assert!(file.map()?.iter().all(|&byte| byte == 1));
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "memfd_create")]
    pub fn create_with(
        &self,
        name: impl FileName,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<SealedFile, Error> {
        self.try_create_with(name, len, |bytes| {
            fill(bytes);
            Ok(())
        })
    }

    /// Like [`create_with`](Self::create_with), with a closure that can fail. If it does, no file is left.
    ///
    /// # Errors
    /// The error of `fill`, or one of [`create_with`](Self::create_with), converted.
    ///
    /// # Example
    /// ```
    /// use std::io::{self, Read};
    ///
    /// use memfile::SealedFile;
    ///
    /// let mut source = io::Cursor::new([7; 100]);
    /// let fill = |bytes: &mut [u8]| source.read_exact(bytes);
    /// let error = SealedFile::options().try_create_with("too long", 4096, fill).unwrap_err();
    /// assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    /// ```
    #[doc(alias = "memfd_create")]
    pub fn try_create_with<E: From<Error>>(
        &self,
        name: impl FileName,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<SealedFile, E> {
        let mut draft = self.draft(name, len)?;
        // If `fill` fails or panics, the file is dropped with the draft.
        fill(&mut draft)?;
        Ok(draft.finish()?)
    }

    /// Makes a file of `len` zero bytes, to be filled in place and then sealed: `memfd_create`,
    /// `ftruncate`, `mmap`, `madvise`.
    ///
    /// # Errors
    /// - those of [`MemFile::create`](crate::MemFile::create)
    /// - ENOSPC, ENOMEM: no memory, no address space, or no free huge page; EFBIG: beyond
    ///   `RLIMIT_FSIZE`, with SIGXFSZ
    /// - no errno: `len` exceeds the address space
    ///
    /// [`Draft`] has an example.
    #[doc(alias = "memfd_create")]
    pub fn draft(&self, name: impl FileName, len: usize) -> Result<Draft, Error> {
        let fresh = Fresh::create(name, self.create_options)?;
        Draft::new(fresh, len, self.transparent())
    }

    /// Makes a sealed copy of `source`, by the system calls of
    /// [`MemFile::copy_from`](crate::MemFile::copy_from). The result is constant whatever happens
    /// to the source.
    ///
    /// A file is copied from its start to its end; its position, which others may share, neither matters
    /// nor moves. From a pipe or a socket, what is left in it is copied. A copy is not a snapshot: it
    /// may contain part of a concurrent write.
    ///
    /// If the source is a pipe, a socket or a terminal, the call waits until the other end is closed,
    /// or the limit is exceeded. If the source is a file of a file system that another process serves,
    /// the call waits for that process. A memory file, sealed or not, never makes the call wait.
    ///
    /// # Errors
    /// Those of [`MemFile::create`](crate::MemFile::create) and
    /// [`MemFile::copy_from`](crate::MemFile::copy_from); EINVAL for a file of huge pages;
    /// [`LimitExceeded`](crate::Cause::LimitExceeded) for a source longer than the
    /// [limit](Self::limit).
    ///
    /// # Example
    /// ```
    /// use memfile::SealedFile;
    ///
    /// let source = std::fs::File::open("Cargo.toml")?;
    /// let copy = SealedFile::options().limit(1 << 20).copy_of("manifest", &source)?;
    /// assert_eq!(copy.len(), source.metadata()?.len());
    /// assert!(SealedFile::options().limit(9).copy_of("manifest", &source).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn copy_of(&self, name: impl FileName, source: impl AsFd) -> Result<SealedFile, Error> {
        let source = source.as_fd();
        let mut fresh = Fresh::create(name, self.create_options)?;
        if self.huge_pages {
            fresh = self.read_to_huge_pages(fresh, source)?;
        }
        fresh.copy(source, self.limit)?;
        // A source of exactly the limit is accepted, so one more byte decides.
        if fresh.len() as u64 == self.limit && fresh.is_shorter_than(source)? {
            return Err(Error::source_beyond(self.limit));
        }
        fresh.seal().map_err(ErrorWith::into_error)
    }

    /// Fills whole huge pages by reading into them. This is faster than a copy inside the kernel, which
    /// looks up each 4 KiB of them. If reading fails, the ordinary copy continues from there, and
    /// reports the error.
    fn read_to_huge_pages(&self, mut fresh: Fresh, source: BorrowedFd<'_>) -> Result<Fresh, Error> {
        if sys::has_position(source)? {
            let len = to_usize(sys::fstat(source)?.len.min(self.limit));
            let mut offset = 0_u64;
            return self.transparent().fill(fresh, len, |page| {
                let n = sys::pread(source, page, offset).unwrap_or(0);
                offset = offset.saturating_add(n as u64);
                Ok(n)
            });
        }
        let (mut pages, limit) = (self.transparent(), to_usize(self.limit));
        fresh.copy(source, pages.least(limit) as u64)?;
        pages.stream(fresh, limit, |page| Ok(sys::read(source, page).unwrap_or(0)))
    }

    /// Makes a sealed file of what is left in `reader`.
    ///
    /// If the source is a descriptor, [`copy_of`](Self::copy_of) is faster.
    ///
    /// # Errors
    /// Those of the reader, of [`MemFile::create`](crate::MemFile::create), and of
    /// [`from_bytes`](Self::from_bytes); EINVAL for a file of huge pages;
    /// [`LimitExceeded`](crate::Cause::LimitExceeded); `InvalidData`: the reader claims to have
    /// read more than there was room for.
    ///
    /// # Example
    /// ```
    /// let answer = std::io::Cursor::new("4 bytes, say");
    /// let file = memfile::SealedFile::options().limit(100).from_reader("answer", answer)?;
    /// assert_eq!(file.len(), 12);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "std")]
    pub fn from_reader(&self, name: impl FileName, mut reader: impl std::io::Read) -> std::io::Result<SealedFile> {
        const BUFFER: usize = 128 * 1024;
        // A reader that has ended is not asked again: a terminal would wait for more.
        let mut ended = false;
        let mut read = |buffer: &mut [u8]| {
            while !ended {
                match reader.read(buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    // `Read` is a safe trait, so a reader may return any number.
                    Ok(n) if n > buffer.len() => return Err(std::io::ErrorKind::InvalidData.into()),
                    Ok(0) => ended = true,
                    result => return result,
                }
            }
            Ok(0)
        };
        let limit = to_usize(self.limit);
        let mut pages = self.transparent();
        let mut buffer = std::vec![0; BUFFER];
        let mut fresh = Fresh::create(name, self.create_options)?;
        pour(&mut fresh, pages.least(limit), &mut buffer, &mut read)?;
        fresh = pages.stream(fresh, limit, &mut read)?;
        // What follows the last whole huge page.
        pour(&mut fresh, limit, &mut buffer, &mut read)?;
        if fresh.len() == limit && read(&mut [0])? > 0 {
            return Err(Error::source_beyond(self.limit).into());
        }
        Ok(fresh.seal().map_err(ErrorWith::into_error)?)
    }
}

/// Appends what `read` returns to the file, until the file has `len` bytes or the source ends.
#[cfg(feature = "std")]
fn pour(
    fresh: &mut Fresh,
    len: usize,
    buffer: &mut [u8],
    mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize>,
) -> std::io::Result<()> {
    while fresh.len() < len {
        let (buffer, _) = buffer.split_at_mut(len.saturating_sub(fresh.len()).min(buffer.len()));
        let n = read(buffer)?;
        if n == 0 {
            break;
        }
        fresh.append(buffer.get(..n).unwrap_or_default())?;
    }
    Ok(())
}

/// A length that exceeds the address space becomes `usize::MAX`.
fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Fills a file of hugetlbfs, which is only possible through a map. It does so in steps, so that memory
/// that the kernel has just cleared is still in the cache when it is written.
fn copy(bytes: &[u8], mut fresh: Fresh) -> Result<Fresh, Error> {
    const STEP: usize = 2 << 20;
    fresh.resize(bytes.len())?;
    let mut map = Exclusive::new(fresh, 1)?;
    let mut offset = 0_usize;
    for source in bytes.chunks(STEP) {
        map.populate(offset.saturating_add(source.len()))?;
        let rest = map.bytes_mut().get_mut(offset..).unwrap_or_default();
        if let Some((target, _)) = rest.split_at_mut_checked(source.len()) {
            target.copy_from_slice(source);
        }
        offset = offset.saturating_add(source.len());
    }
    Ok(map.into_fresh())
}

/// Whether the kernel makes a huge page on demand. The test makes one and drops it.
pub(crate) fn collapses() -> Result<bool, Error> {
    let mut pages = HugePages::new(true);
    let size = pages.size(usize::MAX);
    let mut fresh = Fresh::create("", CreateOptions::new())?;
    fresh.resize(size)?;
    let mut map = Exclusive::new(fresh, size)?;
    Ok(pages.take(&mut map)?.is_some() && pages.collapses())
}

/// Shorthands for the methods of [`SealedFile::options`] with the default options.
impl SealedFile {
    /// Makes a sealed file with these bytes: [`SealedFileOptions::from_bytes`].
    ///
    /// # Errors
    /// As for [`SealedFileOptions::from_bytes`].
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn from_bytes(name: impl FileName, bytes: &[u8]) -> Result<Self, Error> {
        Self::options().from_bytes(name, bytes)
    }

    /// Makes a sealed file of `len` bytes that `fill` writes in place:
    /// [`SealedFileOptions::create_with`].
    ///
    /// # Errors
    /// As for [`SealedFileOptions::create_with`].
    ///
    /// # Example
    /// ```
    /// use memfile::SealedFile;
    ///
    /// let squares = SealedFile::create_with("squares", 16, |bytes| {
    ///     for (i, byte) in bytes.iter_mut().enumerate() {
    ///         *byte = (i * i) as u8;
    ///     }
    /// })?;
    /// assert_eq!(squares.map()?[7], 49);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "memfd_create")]
    pub fn create_with(name: impl FileName, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self, Error> {
        Self::options().create_with(name, len, fill)
    }

    /// Makes a sealed copy of a file, or of what is left in a pipe or a socket:
    /// [`SealedFileOptions::copy_of`].
    ///
    /// # Errors
    /// As for [`SealedFileOptions::copy_of`].
    pub fn copy_of(name: impl FileName, source: impl AsFd) -> Result<Self, Error> {
        Self::options().copy_of(name, source)
    }

    /// Makes a sealed file of what is left in a reader: [`SealedFileOptions::from_reader`].
    ///
    /// # Errors
    /// As for [`SealedFileOptions::from_reader`].
    #[cfg(feature = "std")]
    pub fn from_reader(name: impl FileName, reader: impl std::io::Read) -> std::io::Result<Self> {
        Self::options().from_reader(name, reader)
    }
}
