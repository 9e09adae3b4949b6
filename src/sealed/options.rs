//! [`SealedFileOptions`]: how to make a sealed file, or to check one.

use super::proof::{Holes, Origin, Proof, Terms, prove};
use super::{SealedFile, seal_and_prove};
use crate::error::{Error, ErrorWith};
use crate::file::MemFile;
use crate::options::CreateOptions;
use crate::seal::Seals;
use crate::sys::fd::OwnedFd;

/// How to make or check a [`SealedFile`] with other options than the defaults: what
/// [`SealedFile::options`] returns.
///
/// Which option has an effect on which method.
///
/// | method | the file comes from | `create_options`, `huge_pages` | `limit` | `holes` |
/// |---|---|---|---|---|
/// | [`from_bytes`](Self::from_bytes) | bytes in memory | used | | |
/// | [`create_with`](Self::create_with), [`draft`](Self::draft) | data made in place | used | | |
/// | [`copy_of`](Self::copy_of), `from_reader` | another file, a pipe, a reader | used | on the source | |
/// | [`verify`](Self::verify), [`seal`](Self::seal) | somebody else | | on the file | used |
///
/// A file that is made here is allocated in full before it is sealed, so reading it later cannot fail for
/// lack of memory. Until then, nobody else has its descriptor.
///
/// ```
/// use memfile::SealedFile;
///
/// let bytes = vec![7; 5 << 20];
/// let file = SealedFile::options().huge_pages(true).from_bytes("index", &bytes)?;
/// assert_eq!(file.len(), 5 << 20);
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html),
/// [transhuge](https://docs.kernel.org/admin-guide/mm/transhuge.html)
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "options do nothing until a file is made or checked with them"]
pub struct SealedFileOptions {
    pub(crate) create_options: CreateOptions,
    pub(crate) huge_pages: bool,
    pub(crate) limit: u64,
    holes: Holes,
}

impl SealedFile {
    /// The default options: [`CreateOptions::new`], ordinary pages, no limit, [`Holes::Refuse`].
    #[inline]
    pub const fn options() -> SealedFileOptions {
        SealedFileOptions {
            create_options: CreateOptions::new(),
            huge_pages: false,
            limit: u64::MAX,
            holes: Holes::Refuse,
        }
    }
}

impl SealedFileOptions {
    /// The options to create the file with. Default: [`CreateOptions::new`]. Sealing is allowed in
    /// any case.
    ///
    /// If [`close_on_exec`](CreateOptions::close_on_exec) is off, the file becomes inheritable only when
    /// it is sealed.
    ///
    /// With [`huge_tlb`](CreateOptions::huge_tlb), the length of the file is rounded up to whole huge
    /// pages, which are taken from the pool before anything is written. [`len`](SealedFile::len) stays
    /// the length of the data.
    pub const fn create_options(mut self, options: CreateOptions) -> Self {
        self.create_options = options;
        self
    }

    /// Make the file of transparent huge pages wherever a whole one fits: `madvise(MADV_COLLAPSE)`
    /// and `madvise(MADV_HUGEPAGE)`. Default: no.
    ///
    /// Use it for large files that are filled once and read often: filling takes a quarter to a third of
    /// the time, and reading through a map with
    /// [`MapOptions::huge_pages`](crate::MapOptions::huge_pages) is faster too ([the
    /// figures](crate::guide#benchmarks)). A huge page is 2 MiB on most machines, 32 MiB where
    /// ordinary pages are 16 KiB, and 512 MiB where they are 64 KiB. What follows the last whole huge
    /// page gets ordinary pages. A file from a reader or a pipe gets ordinary pages until it is as long
    /// as a huge page.
    ///
    /// The [policy of the kernel](crate::guide::kernels#huge-pages-on-demand) does not matter since Linux
    /// 6.1, unless it is `deny`. Before 6.1 it must be `advise`, `within_size` or `always`, and before
    /// 5.14 `always`.
    /// If the kernel has no huge page left, or the process has no address space to map one, the rest
    /// of the file gets ordinary pages, and nothing else changes.
    /// [`Feature::Collapse`](crate::kernel::Feature::Collapse) says whether the kernel makes any, and
    /// `ShmemPmdMapped` in `/proc/self/smaps` how much of a map has them.
    ///
    /// The price: a huge page needs free memory in one piece. If no such memory is free, the kernel
    /// first moves other pages away, inside this call; for 256 MiB this has taken a second. So fill
    /// one large file at a time, and not where such a wait does harm.
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

    /// Refuse a source or a received file that has more than this many bytes. Default: no limit.
    ///
    /// The length of a received file is checked after its seals, when the file can no longer become
    /// shorter, and before any memory is taken for it. From a source, no more bytes than the limit are
    /// copied.
    ///
    /// ```
    /// use memfile::{Cause, SealedFile};
    ///
    /// let received = SealedFile::from_bytes("too much", &[1; 4097])?;
    /// let error = SealedFile::options().limit(4096).verify(received).unwrap_err();
    /// assert_eq!(error.error().cause(), Cause::LimitExceeded);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub const fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// What to do about holes in a received file. Default: [`Holes::Refuse`].
    pub const fn holes(mut self, value: Holes) -> Self {
        self.holes = value;
        self
    }

    /// What is required of a received file.
    #[inline]
    pub(super) const fn terms(&self) -> Terms {
        Terms { required: Seals::CONSTANT, holes: self.holes, limit: self.limit, origin: Origin::Received }
    }

    /// Checks a file. Returns it as a `SealedFile`, the proof that its contents are constant, or an error
    /// that says what is missing. Adds no seal.
    ///
    /// `file` is an `OwnedFd`, a [`MemFile`](crate::MemFile) or a `File`. With the default options,
    /// [`SealedFile::try_from`](SealedFile#impl-TryFrom%3COwnedFd%3E-for-SealedFile) does the same.
    ///
    /// It makes two system calls, `F_GET_SEALS` and `fstat`. Neither waits for another process, but the
    /// policy [`Holes::Allocate`] can. If the file has Exec and FutureWrite, the kernel is tested, once
    /// in the life of the process. If the file may have huge pages and ends inside one, `fstatfs` is
    /// called too.
    ///
    /// # Errors
    /// The error returns the descriptor.
    /// - no errno ([`is_unproven`](Error::is_unproven)): seals are missing ([`Error::seals`] names
    ///   them), the seal Write may be forged, the file has holes, or it ends inside a huge page
    /// - no errno ([`LimitExceeded`](crate::Cause::LimitExceeded)): the file exceeds the limit
    /// - EINVAL: not a memory file; EBADF: opened with `O_PATH`
    /// - EMFILE: a descriptor below 3 is moved above the standard streams, and none is left
    /// - those of the policy for [`Holes`]: ENOSPC, ENOMEM: no memory; EBADF: opened read-only
    ///
    /// # Example
    /// ```
    /// use memfile::{Cause, MemFile, Seal, SealedFile};
    ///
    /// let file = MemFile::create_sealable("unsealed")?;
    /// if let Err(error) = SealedFile::options().verify(file) {
    ///     assert_eq!(error.error().cause(), Cause::MissingSeals);
    ///     assert_eq!(error.error().seals(), Seal::Shrink | Seal::Write);
    ///     let _unsealed = error.into_fd();
    /// }
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "F_GET_SEALS")]
    #[inline]
    pub fn verify(&self, file: impl Into<OwnedFd>) -> Result<SealedFile, ErrorWith<OwnedFd>> {
        // The descriptor that is proven is the one that is kept: a caller's `AsFd` could return a
        // different one on each call.
        let file = MemFile::adopt(file.into())?;
        finish(prove(file.as_fd(), self.terms()), file)
    }

    /// Adds [`Seals::IMMUTABLE`] in one call unless the file has them, then checks it as
    /// [`verify`](Self::verify) does.
    ///
    /// The seals stay, even if the check then fails. Use it if the sender expects you to seal the file,
    /// and for your own files; [`MemFile::into_sealed`](crate::MemFile::into_sealed) does the same with
    /// [`Holes::Allocate`].
    ///
    /// Adding the seals waits for the file's lock, which another process that has the file can hold for
    /// as long as it likes. If a page is in use elsewhere, it also waits about 160 ms. If you do not
    /// trust the sender, use [`verify`](Self::verify).
    ///
    /// # Errors
    /// The error returns the descriptor.
    /// - EBUSY: a mapping can write, or a page is in use elsewhere; nothing was added
    ///   ([`is_busy`](Error::is_busy))
    /// - EPERM: created without sealing, opened read-only, or sealed with Seal while Write or
    ///   Shrink is missing
    /// - those of [`verify`](Self::verify)
    ///
    /// # Example
    /// ```
    /// use memfile::{MemFile, SealedFile, fd::OwnedFd};
    ///
    /// let received: OwnedFd = MemFile::create_sealable("from a careless sender")?.into();
    /// let file = SealedFile::options().limit(1 << 20).seal(received)?;
    /// assert!(file.is_empty());
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "F_ADD_SEALS")]
    #[inline]
    pub fn seal(&self, file: impl Into<OwnedFd>) -> Result<SealedFile, ErrorWith<OwnedFd>> {
        let file = MemFile::adopt(file.into())?;
        finish(seal_and_prove(file.as_fd(), self.terms()), file)
    }
}

/// The same as [`SealedFile::options`].
impl Default for SealedFileOptions {
    fn default() -> Self {
        SealedFile::options()
    }
}

#[inline]
fn finish(result: Result<Proof, Error>, file: MemFile) -> Result<SealedFile, ErrorWith<OwnedFd>> {
    match result {
        Ok(proof) => Ok(SealedFile { file, proof }),
        Err(error) => Err(ErrorWith::new(error, file.into_fd())),
    }
}
