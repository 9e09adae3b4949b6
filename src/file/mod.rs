//! [`MemFile`]: an owned descriptor of a memory file.

use core::ffi::CStr;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, ErrorWith, Operation, Reason, errno};
use crate::options::CreateOptions;
use crate::seals::{Seal, Seals};
use crate::sys;
use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

#[cfg(not(feature = "std"))]
use crate::sys::fd::OwnedFd as Handle;
#[cfg(feature = "std")]
use std::fs::File as Handle;

/// The longest name that the kernel takes, without the NUL.
const NAME_MAX: usize = 249;

const NAME_TOO_LONG: Error = Error::new(Operation::MemfdCreate, Reason::NameTooLong);

/// A file in memory, without a name in any file system, that can be sealed.
///
/// It lives as long as a descriptor or a mapping of it, in any process. With feature `std` it holds a
/// `std::fs::File` and reads, writes and seeks as one; without, it is used by offsets.
///
/// ```
/// use std::io::{Read, Seek, Write};
///
/// let mut file = memfile::MemFile::create_default("scratch")?;
/// file.write_all(b"Hello")?;
/// file.rewind()?;
/// let mut text = String::new();
/// file.read_to_string(&mut text)?;
/// assert_eq!(text, "Hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html),
/// [tmpfs](https://docs.kernel.org/filesystems/tmpfs.html)
#[doc(alias = "memfd")]
#[cfg_attr(target_os = "freebsd", derive(Debug))]
pub struct MemFile {
    pub(crate) handle: Handle,
}

impl MemFile {
    /// `memfd_create(name, flags)` — creates a file of length 0.
    ///
    /// The name is for people: it shows in `/proc/self/fd` and `/proc/self/maps`, need not be unique, and may be empty.
    ///
    /// # Errors
    /// - no errno: the name has a NUL byte or more than 249 bytes; the kernel is not asked
    /// - EINVAL: the kernel does not know a flag (an [`Exec`](crate::Exec) flag is left out instead)
    /// - EACCES: [`Exec::Allow`](crate::Exec::Allow) or `DenyUnsealed`, and `vm.memfd_noexec` is 2
    /// - ENODEV: no huge pages of that size; ENOSYS: no `memfd_create`, or no huge pages
    /// - EMFILE, ENFILE, ENOMEM: out of descriptors or memory
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, MemFile};
    ///
    /// let file = MemFile::create("config", CreateOptions::new())?;
    /// file.write_all_at(b"answer=42", 0)?;
    /// assert_eq!(file.len()?, 9);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn create(name: &str, options: CreateOptions) -> Result<Self, Error> {
        if name.len() > NAME_MAX {
            return Err(NAME_TOO_LONG);
        }
        match sys::create(name, &options) {
            Ok(fd) => Ok(Self::from_owned(fd)),
            Err(error) => Err(explain_create(error, name)),
        }
    }

    /// As [`create`](Self::create), without a copy of the name, which need not be UTF-8.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, MemFile};
    ///
    /// let file = MemFile::create_cstr(c"config", CreateOptions::new())?;
    /// assert!(file.is_empty()?);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn create_cstr(name: &CStr, options: CreateOptions) -> Result<Self, Error> {
        if name.to_bytes().len() > NAME_MAX {
            return Err(NAME_TOO_LONG);
        }
        sys::create(name, &options).map(Self::from_owned)
    }

    /// Creates a file that cannot be sealed: [`create`](Self::create) with [`CreateOptions::new`].
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    #[inline]
    pub fn create_default(name: &str) -> Result<Self, Error> {
        Self::create(name, CreateOptions::new())
    }

    /// Creates a file that can be sealed: [`create`](Self::create) with
    /// [`allow_sealing`](CreateOptions::allow_sealing).
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    #[inline]
    pub fn create_sealable(name: &str) -> Result<Self, Error> {
        Self::create(name, CreateOptions::new().allow_sealing(true))
    }

    /// Takes a descriptor that answers `fcntl(fd, F_GET_SEALS)`.
    ///
    /// Every file of tmpfs and hugetlbfs does, not only one made by `memfd_create`. Who needs to know asks
    /// [`is_memfd`](Self::is_memfd); who needs constant contents asks for a [`SealedFile`](crate::SealedFile).
    ///
    /// # Errors
    /// The descriptor comes back with the error.
    /// - EINVAL: another kind of file
    /// - EBADF: opened with `O_PATH`
    ///
    /// # Example
    /// ```
    /// use memfile::MemFile;
    ///
    /// let file = MemFile::from_fd(MemFile::create_default("config")?.into_fd())?;
    /// assert!(file.is_memfd()?);
    ///
    /// let on_disk = std::fs::File::open("Cargo.toml")?;
    /// assert!(MemFile::from_fd(on_disk.into()).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "F_GET_SEALS")]
    pub fn from_fd(fd: OwnedFd) -> Result<Self, FromFdError> {
        match sys::get_seals(fd.as_fd()) {
            Ok(_) => Ok(Self::from_owned(fd)),
            Err(error) => Err(ErrorWith::new(error, fd)),
        }
    }

    #[allow(clippy::useless_conversion, reason = "the handle is another type with std")]
    #[inline]
    pub(crate) fn from_owned(fd: OwnedFd) -> Self {
        Self { handle: fd.into() }
    }

    /// The descriptor, without this type.
    #[must_use = "the file is closed when the descriptor is dropped"]
    #[allow(clippy::useless_conversion, reason = "the handle is another type with std")]
    pub fn into_fd(self) -> OwnedFd {
        self.handle.into()
    }

    /// The descriptor, borrowed.
    #[must_use]
    #[inline]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// `fcntl(fd, F_DUPFD_CLOEXEC)` — another descriptor of the same open file: they share the position, the access mode
    /// and the seals.
    ///
    /// For one with a position of its own: [`reopen_read_only`](Self::reopen_read_only).
    ///
    /// # Errors
    /// EMFILE: out of descriptors.
    ///
    /// # References
    /// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html)
    #[doc(alias = "F_DUPFD_CLOEXEC")]
    #[doc(alias = "dup")]
    pub fn try_clone(&self) -> Result<Self, Error> {
        sys::dup(self.as_fd()).map(Self::from_owned)
    }

    /// `fstat(fd)` — the length in bytes.
    ///
    /// # Errors
    /// The kernel has none for an open memory file.
    ///
    /// # References
    /// [fstat(2)](https://man7.org/linux/man-pages/man2/stat.2.html)
    #[doc(alias = "fstat")]
    pub fn len(&self) -> Result<u64, Error> {
        Ok(sys::fstat(self.as_fd())?.len)
    }

    /// Whether the length is 0.
    ///
    /// # Errors
    /// As for [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len()? == 0)
    }

    /// `ftruncate(fd, len)` — sets the length in bytes. New bytes read as zero and take no memory yet.
    ///
    /// Beyond `RLIMIT_FSIZE` the kernel also sends SIGXFSZ, which ends the process unless it is handled or ignored.
    ///
    /// # Errors
    /// - no errno: more than `i64::MAX`; the kernel is not asked
    /// - EPERM: sealed with Shrink or Grow
    /// - EINVAL: opened read-only, or no multiple of the file's huge page size
    /// - EFBIG: beyond `RLIMIT_FSIZE`
    ///
    /// # Example
    /// ```
    /// use memfile::MemFile;
    ///
    /// let file = MemFile::create_default("buffer")?;
    /// file.set_len(1 << 20)?; // zeros, which take no memory
    /// file.allocate(0, 4096)?; // the first page of them has memory now
    /// assert_eq!(file.len()?, 1 << 20);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [ftruncate(2)](https://man7.org/linux/man-pages/man2/truncate.2.html)
    #[doc(alias = "ftruncate")]
    pub fn set_len(&self, len: u64) -> Result<(), Error> {
        // The raw call and the one through libc would answer differently.
        if len > i64::MAX.unsigned_abs() {
            return Err(Error::new(Operation::Ftruncate, Reason::TooLong));
        }
        sys::ftruncate(self.as_fd(), len).map_err(|error| {
            if error.is(errno::EINVAL) && is_read_only(self.as_fd()) {
                return error.because(Reason::ReadOnly);
            }
            error
        })
    }

    /// `fallocate(fd, 0, offset, len)` — gives the range memory, and makes the file longer if the range ends beyond it.
    ///
    /// Existing bytes stay as they are. It works on a file with all seals too, within its length: holes become zeros,
    /// which they read as before. For `RLIMIT_FSIZE` and an example see [`set_len`](Self::set_len).
    ///
    /// # Errors
    /// - ENOSPC, ENOMEM: no memory left, or no free huge pages
    /// - EPERM: sealed with Grow, and the range ends beyond the file
    /// - EBADF: opened read-only
    /// - EINVAL: `len` is 0, or one of the two is above `i64::MAX`
    /// - EFBIG: the range ends beyond `i64::MAX` or `RLIMIT_FSIZE`
    ///
    /// # References
    /// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html)
    #[doc(alias = "fallocate")]
    pub fn allocate(&self, offset: u64, len: u64) -> Result<(), Error> {
        sys::fallocate(self.as_fd(), offset, len).map_err(|error| match error.raw_os_error() {
            Some(errno::EINVAL) if len == 0 => error.because(Reason::NoLength),
            Some(errno::EINVAL) if offset.max(len) > i64::MAX.unsigned_abs() => error.because(Reason::TooLong),
            _ => error,
        })
    }

    /// `pread(fd, buf, offset)` — reads at an offset, not at the position. Fewer bytes than asked come at the file's end.
    ///
    /// # Errors
    /// - EBADF: opened write-only
    /// - EINVAL: the offset is above `i64::MAX`
    ///
    /// # Example
    /// ```
    /// use memfile::MemFile;
    ///
    /// let file = MemFile::create_default("words")?;
    /// file.write_all_at(b"pear apple", 0)?;
    /// let mut word = [0; 8];
    /// let n = file.read_at(&mut word, 5)?;
    /// assert_eq!(&word[..n], b"apple");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [pread(2)](https://man7.org/linux/man-pages/man2/pread.2.html)
    #[doc(alias = "pread")]
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        sys::pread(self.as_fd(), buf, offset)
    }

    /// Reads at an offset until `buf` is full.
    ///
    /// # Errors
    /// As for [`read_at`](Self::read_at), and without an errno where the file ends too early; then part of `buf` is filled.
    #[doc(alias = "pread")]
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        let mut done = 0_usize;
        while let Some(rest @ [_, ..]) = buf.get_mut(done..) {
            match self.read_at(rest, offset.saturating_add(done as u64))? {
                0 => return Err(Error::new(Operation::Pread, Reason::EndOfFile)),
                n => done = done.saturating_add(n),
            }
        }
        Ok(())
    }

    /// `pwrite(fd, buf, offset)` — writes at an offset, not at the position. Returns how much was written.
    ///
    /// A write that crosses the end of a file with the seal Grow is EPERM, or short by an amount that depends on the kernel;
    /// the file never grows.
    ///
    /// # Errors
    /// - EPERM: sealed with Write or FutureWrite, or with Grow and the range ends beyond the file
    /// - EBADF: opened read-only
    /// - EINVAL: a file of huge pages, or an offset above `i64::MAX`
    /// - ENOSPC, ENOMEM: no memory left
    /// - EFBIG: beyond `RLIMIT_FSIZE`, with SIGXFSZ
    ///
    /// # Example
    /// ```
    /// use memfile::{MemFile, Seal};
    ///
    /// let file = MemFile::create_sealable("log")?;
    /// assert_eq!(file.write_at(b"first", 0)?, 5);
    /// file.add_seal(Seal::Grow)?;
    /// assert!(file.write_at(b"more", 5).is_err());
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [pwrite(2)](https://man7.org/linux/man-pages/man2/pwrite.2.html)
    #[doc(alias = "pwrite")]
    pub fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize, Error> {
        sys::pwrite(self.as_fd(), buf, offset).map_err(|error| {
            if error.is(errno::EINVAL) && offset > i64::MAX.unsigned_abs() {
                return error.because(Reason::TooLong);
            }
            error
        })
    }

    /// Writes all of `buf` at an offset.
    ///
    /// # Errors
    /// As for [`write_at`](Self::write_at); then part of `buf` may be written.
    #[doc(alias = "pwrite")]
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), Error> {
        let mut done = 0_usize;
        while let Some(rest @ [_, ..]) = buf.get(done..) {
            match self.write_at(rest, offset.saturating_add(done as u64))? {
                0 => return Err(Error::new(Operation::Pwrite, Reason::WriteZero)),
                n => done = done.saturating_add(n),
            }
        }
        Ok(())
    }

    /// `fcntl(fd, F_GET_SEALS)` — the seals that the file has now. Others can be added at any time, none goes away.
    ///
    /// # Errors
    /// The kernel has none for a memory file.
    ///
    /// # References
    /// [F_GET_SEALS](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html)
    #[doc(alias = "F_GET_SEALS")]
    #[inline]
    pub fn get_seals(&self) -> Result<Seals, Error> {
        sys::get_seals(self.as_fd())
    }

    /// Adds one seal: [`add_seals`](Self::add_seals).
    ///
    /// # Errors
    /// As for [`add_seals`](Self::add_seals).
    #[inline]
    pub fn add_seal(&self, seal: Seal) -> Result<(), Error> {
        self.add_seals(seal.into())
    }

    /// `fcntl(fd, F_ADD_SEALS, seals)` — adds all of the seals, or none.
    ///
    /// A seal that is there already may be added again, unless the file has the seal Seal.
    ///
    /// Adding Write waits for pages that are in use elsewhere, about 160 ms, before it gives up with EBUSY: call it where
    /// that may block. The first time that a process adds a certain seal it is read back, which costs a second call,
    /// to notice a kernel that accepts seals and ignores them.
    ///
    /// # Errors
    /// - EPERM: created without sealing, or sealed with Seal, or opened read-only
    /// - EBUSY: Write (or Exec on an executable file) while a mapping can write or a page is in use elsewhere;
    ///   [`is_busy`](Error::is_busy)
    /// - EINVAL: the kernel does not know a seal; [`Error::seals`] names those that may be too new
    ///
    /// # Example
    /// ```
    /// use memfile::{MemFile, Seal, Seals};
    ///
    /// let file = MemFile::create_sealable("buffer")?;
    /// file.set_len(4096)?;
    /// file.add_seals(Seals::FIXED_SIZE)?;
    /// assert!(file.get_seals()?.contains(Seal::Shrink | Seal::Grow));
    /// assert!(file.set_len(0).is_err());
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [F_ADD_SEALS](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html)
    #[doc(alias = "F_ADD_SEALS")]
    #[inline]
    pub fn add_seals(&self, seals: Seals) -> Result<(), Error> {
        let fd = self.as_fd();
        add_seals(fd, seals).map_err(|error| explain_add_seals(error, fd, seals))
    }
}

/// A name that is no C string was not shown to the kernel.
#[cold]
fn explain_create(error: Error, name: &str) -> Error {
    if name.as_bytes().contains(&0) {
        return Error::new(Operation::MemfdCreate, Reason::NameHasNul);
    }
    error
}

/// Without the reason where that takes a look at the file: [`explain_add_seals`] adds it.
#[inline]
pub(crate) fn add_seals(fd: BorrowedFd<'_>, seals: Seals) -> Result<(), Error> {
    /// The seals that this kernel was seen to keep.
    static KEPT: AtomicU32 = AtomicU32::new(0);

    #[cold]
    fn read_back(fd: BorrowedFd<'_>, seals: Seals) -> Result<(), Error> {
        let ignored = seals - sys::get_seals(fd)?;
        if !ignored.is_empty() {
            return Err(Error::new(Operation::AddSeals, Reason::SealingIgnored).with_seals(ignored));
        }
        KEPT.fetch_or(seals.bits(), Ordering::Relaxed);
        Ok(())
    }

    sys::add_seals(fd, seals)?;
    if Seals::from_bits_retain(KEPT.load(Ordering::Relaxed)).contains(seals) {
        return Ok(());
    }
    read_back(fd, seals)
}

#[cold]
pub(crate) fn explain_add_seals(error: Error, fd: BorrowedFd<'_>, seals: Seals) -> Error {
    match (error.raw_os_error(), sys::get_seals(fd)) {
        (Some(errno::EPERM), Ok(present)) if present.contains(Seal::Seal) => error.because(Reason::Sealed),
        (Some(errno::EPERM), Ok(_)) if is_read_only(fd) => error.because(Reason::ReadOnly),
        (Some(errno::EINVAL), Ok(_)) => error.with_seals(seals - Seals::IMMUTABLE),
        (Some(errno::EINVAL), Err(_)) => error.because(Reason::NotAMemoryFile),
        _ => error,
    }
}

/// Only for the reason of an error: where the answer cannot be had it is no.
fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    sys::is_read_only(fd).unwrap_or(false)
}

/// The error of [`MemFile::from_fd`]: it holds the descriptor.
pub type FromFdError = ErrorWith<OwnedFd>;

impl ErrorWith<OwnedFd> {
    /// The descriptor, borrowed.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }

    /// The descriptor alone.
    #[must_use = "the file is closed when the descriptor is dropped"]
    pub fn into_fd(self) -> OwnedFd {
        self.into_inner()
    }
}

impl CreateOptions {
    /// Creates a file: [`MemFile::create`].
    ///
    /// # Errors
    /// As for [`MemFile::create`].
    pub fn create(&self, name: &str) -> Result<MemFile, Error> {
        MemFile::create(name, *self)
    }

    /// Creates a file: [`MemFile::create_cstr`].
    ///
    /// # Errors
    /// As for [`MemFile::create`].
    pub fn create_cstr(&self, name: &CStr) -> Result<MemFile, Error> {
        MemFile::create_cstr(name, *self)
    }
}

impl AsFd for MemFile {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl AsRawFd for MemFile {
    fn as_raw_fd(&self) -> RawFd {
        self.handle.as_raw_fd()
    }
}

impl IntoRawFd for MemFile {
    fn into_raw_fd(self) -> RawFd {
        self.handle.into_raw_fd()
    }
}

sys::impl_from_raw_fd!(MemFile, MemFile::from_owned);

impl From<MemFile> for OwnedFd {
    fn from(file: MemFile) -> Self {
        file.into_fd()
    }
}

impl TryFrom<OwnedFd> for MemFile {
    type Error = FromFdError;

    fn try_from(fd: OwnedFd) -> Result<Self, FromFdError> {
        Self::from_fd(fd)
    }
}
