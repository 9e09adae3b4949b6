//! Making sealed files: from bytes, in place, from another file, from a reader.

mod draft;

use crate::error::{Error, ErrorWith};
use crate::map::Exclusive;
use crate::sealed::{Fresh, SealedFile, SealedFileOptions};
use crate::sys::fd::AsFd;

pub use draft::Draft;

/// The smallest length and the alignment that a huge page has on most processors. On machines with
/// larger huge pages the advice is simply not taken.
const HUGE_PAGE: usize = 2 << 20;

impl SealedFileOptions {
    /// Makes a sealed file of these bytes: `memfd_create`, `pwrite`, `fcntl(F_ADD_SEALS)`, and the
    /// two calls of the proof.
    ///
    /// # Errors
    /// - those of [`MemFile::create`](crate::MemFile::create)
    /// - ENOSPC, ENOMEM: no memory for the file; EFBIG: beyond `RLIMIT_FSIZE`, with SIGXFSZ
    /// - EBUSY: the kernel itself holds a page for longer than it waits (it moves or merges
    ///   memory); try again. With huge pages of either kind also as for [`Draft::seal`]
    /// - no errno: [`is_unsupported`](Error::is_unsupported): a sandbox only pretends to add seals
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn from_bytes(&self, name: &str, bytes: &[u8]) -> Result<SealedFile, Error> {
        if self.create_options.huge_tlb.is_some() || self.huge_pages && bytes.len() >= HUGE_PAGE {
            return self.copy_to_huge_pages(name, bytes);
        }
        let mut fresh = Fresh::create(name, self.create_options)?;
        fresh.append(bytes)?;
        fresh.seal().map_err(ErrorWith::into_error)
    }

    /// A file of hugetlbfs can only be filled through a map. Another one is filled through a map if
    /// the kernel has huge pages for it, which shows in the map's alignment; otherwise writing is
    /// faster.
    #[inline(never)]
    fn copy_to_huge_pages(&self, name: &str, bytes: &[u8]) -> Result<SealedFile, Error> {
        let mut fresh = Fresh::create(name, self.create_options)?;
        fresh.resize(bytes.len())?;
        let mut map = Exclusive::new(fresh)?;
        if self.create_options.huge_tlb.is_some() || map.is_aligned_to(HUGE_PAGE) && map.advise_huge_pages() {
            copy(bytes, &mut map)?;
            return map.into_fresh().seal().map_err(ErrorWith::into_error);
        }
        let mut fresh = map.into_fresh();
        fresh.resize(0)?;
        fresh.append(bytes)?;
        fresh.seal().map_err(ErrorWith::into_error)
    }

    /// Makes a sealed file of `len` bytes that `fill` writes in place. They are zero before.
    ///
    /// `memfd_create`, `ftruncate`, `mmap`, `madvise`, then `fill`, then `munmap`,
    /// `fcntl(F_ADD_SEALS)` and the two calls of the proof. For data that exists already,
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
    pub fn create_with(&self, name: &str, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<SealedFile, Error> {
        self.try_create_with(name, len, |bytes| {
            fill(bytes);
            Ok(())
        })
    }

    /// As [`create_with`](Self::create_with), with a closure that can fail. Then there is no file.
    ///
    /// # Errors
    /// What `fill` returns, and those of [`create_with`](Self::create_with), converted.
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
        name: &str,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<SealedFile, E> {
        let mut draft = self.draft(name, len)?;
        fill(&mut draft)?;
        Ok(draft.finish()?)
    }

    /// Makes a file of `len` zero bytes to be filled in place, and sealed when it is finished:
    /// `memfd_create`, `ftruncate`, `mmap`, `madvise`.
    ///
    /// # Errors
    /// - those of [`MemFile::create`](crate::MemFile::create)
    /// - ENOSPC, ENOMEM: no memory, no address space, or no free huge page; EFBIG: beyond
    ///   `RLIMIT_FSIZE`, with SIGXFSZ
    /// - no errno: `len` exceeds the address space
    ///
    /// An example is at [`Draft`].
    #[doc(alias = "memfd_create")]
    pub fn draft(&self, name: &str, len: usize) -> Result<Draft, Error> {
        Draft::create(name, len, self.create_options, self.huge_pages)
    }

    /// Makes a sealed copy of `source`, by the system calls of
    /// [`MemFile::copy_from`](crate::MemFile::copy_from). The result is constant whatever happens
    /// to the source.
    ///
    /// A file is copied from its start to its end, and its position, which may be shared with
    /// others, neither matters nor moves. Of a pipe or a socket it is what is left. A copy is not a
    /// snapshot: it may contain part of a concurrent write.
    ///
    /// A pipe, a socket or a terminal makes the call wait until its other end has written or
    /// closed; so does a file in a file system that another process serves. A sealed or other
    /// memory file does not.
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
    pub fn copy_of(&self, name: &str, source: impl AsFd) -> Result<SealedFile, Error> {
        let mut fresh = Fresh::create(name, self.create_options)?;
        fresh.copy_from(source.as_fd(), self.limit)?;
        fresh.seal().map_err(ErrorWith::into_error)
    }

    /// Makes a sealed file of what is left of `reader`.
    ///
    /// For a source that is a descriptor, [`copy_of`](Self::copy_of) is faster.
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
    pub fn from_reader(&self, name: &str, mut reader: impl std::io::Read) -> std::io::Result<SealedFile> {
        const BUFFER: usize = 128 * 1024;
        let mut fresh = Fresh::create(name, self.create_options)?;
        let mut buffer = std::vec![0; BUFFER];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(fresh.seal().map_err(ErrorWith::into_error)?),
                Ok(n) => {
                    // A reader in safe code can return any number.
                    let bytes = buffer.get(..n).ok_or(std::io::ErrorKind::InvalidData)?;
                    if (fresh.len() as u64).saturating_add(bytes.len() as u64) > self.limit {
                        return Err(Error::source_beyond(self.limit).into());
                    }
                    fresh.append(bytes)?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Populates the map and copies step by step, so that what the kernel has just cleared is still in
/// the cache when it is written.
fn copy(bytes: &[u8], map: &mut Exclusive) -> Result<(), Error> {
    let mut offset = 0_usize;
    for source in bytes.chunks(HUGE_PAGE) {
        map.populate(offset.saturating_add(source.len()))?;
        let rest = map.bytes_mut().get_mut(offset..).unwrap_or_default();
        if let Some((target, _)) = rest.split_at_mut_checked(source.len()) {
            target.copy_from_slice(source);
        }
        offset = offset.saturating_add(source.len());
    }
    Ok(())
}

/// Shorthands for [`SealedFile::options`] without any option.
impl SealedFile {
    /// Makes a sealed file of these bytes: [`SealedFileOptions::from_bytes`].
    ///
    /// # Errors
    /// As for [`SealedFileOptions::from_bytes`].
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Error> {
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
    pub fn create_with(name: &str, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self, Error> {
        Self::options().create_with(name, len, fill)
    }

    /// Makes a sealed copy of a file, or of what is left of a pipe or a socket:
    /// [`SealedFileOptions::copy_of`].
    ///
    /// # Errors
    /// As for [`SealedFileOptions::copy_of`].
    pub fn copy_of(name: &str, source: impl AsFd) -> Result<Self, Error> {
        Self::options().copy_of(name, source)
    }

    /// Makes a sealed file of what is left of a reader: [`SealedFileOptions::from_reader`].
    ///
    /// # Errors
    /// As for [`SealedFileOptions::from_reader`].
    #[cfg(feature = "std")]
    pub fn from_reader(name: &str, reader: impl std::io::Read) -> std::io::Result<Self> {
        Self::options().from_reader(name, reader)
    }
}
