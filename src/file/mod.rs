//! [`MemFile`]: an owned descriptor of a memory file.

#[cfg(feature = "std")]
mod command;
mod copy;
#[cfg(feature = "std")]
mod inherit;
#[cfg(feature = "std")]
mod io;
#[cfg(feature = "std")]
mod listen;
mod name;
pub mod proc;

use core::ffi::CStr;

use crate::error::{Errno, Error, ErrorWith, Reason};
use crate::options::CreateOptions;
use crate::seal::{Seal, Seals};
use crate::sys;
use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

#[cfg(feature = "std")]
pub use command::FileCommand;
pub(crate) use copy::{copy_more, has_more};
pub use name::FileName;

// With std it is a `File`, because `as_file` lends one.
#[cfg(not(feature = "std"))]
use crate::sys::fd::OwnedFd as Handle;
#[cfg(feature = "std")]
use std::fs::File as Handle;

/// A file in memory, without a name in any file system, that can be sealed.
///
/// The file exists for as long as any process has a descriptor or a mapping of it. With feature `std`
/// this type wraps a `std::fs::File`, and reads, writes and seeks as a `File` does; without it, reads
/// and writes take an offset. To map the file, seal it first: `file.into_sealed()?.map()?`.
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
pub struct MemFile {
    pub(crate) handle: Handle,
}

impl MemFile {
    /// `memfd_create(name, flags)` — creates a file of length 0.
    ///
    /// The name is only a label, which `/proc/self/fd` and `/proc/self/maps` show. It need not be
    /// unique, and may be empty. [`FileName`] says which types and lengths are accepted.
    ///
    /// # Errors
    /// - no errno: the name has a NUL byte or more than 249 bytes; no system call is made
    /// - EINVAL: the kernel does not know a flag (if it is an [`Exec`](crate::Exec) flag, the file is
    ///   created without it instead)
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
    pub fn create(name: impl FileName, options: CreateOptions) -> Result<Self, Error> {
        // `sys::create` never returns the number of a standard stream, so no `adopt`.
        name.with(|name| sys::create(name, &options)).map(Self::from_owned)
    }

    /// The same as [`create`](Self::create), for programs written for memfile 0.3.
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    #[doc(alias = "memfd_create")]
    #[inline]
    pub fn create_cstr(name: &CStr, options: CreateOptions) -> Result<Self, Error> {
        Self::create(name, options)
    }

    /// Creates a file that cannot be sealed: [`create`](Self::create) with [`CreateOptions::new`].
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    #[inline]
    pub fn create_default(name: impl FileName) -> Result<Self, Error> {
        Self::create(name, CreateOptions::new())
    }

    /// Creates a file that can be sealed: [`create`](Self::create) with
    /// [`allow_sealing`](CreateOptions::allow_sealing).
    ///
    /// # Errors
    /// As for [`create`](Self::create).
    #[inline]
    pub fn create_sealable(name: impl FileName) -> Result<Self, Error> {
        Self::create(name, CreateOptions::new().allow_sealing(true))
    }

    /// `fcntl(fd, F_GET_SEALS)` — takes ownership of a descriptor if its file can have seals.
    ///
    /// Every file of tmpfs and hugetlbfs can, not only one made by `memfd_create`; use
    /// [`is_memfd`](Self::is_memfd) to tell them apart. If you need constant contents, use
    /// [`SealedFile`](crate::SealedFile).
    ///
    /// # Errors
    /// The error returns the descriptor.
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
    #[inline]
    pub fn from_fd(fd: OwnedFd) -> Result<Self, FromFdError> {
        // Moved first, so that the descriptor that is checked is the one that is kept.
        let file = Self::adopt(fd)?;
        match sys::get_seals(file.as_fd()) {
            Ok(_) => Ok(file),
            Err(error) => Err(ErrorWith::new(error, file.into_fd())),
        }
    }

    /// Takes a descriptor that somebody else has made. If it has the number of a standard stream, it
    /// gets another one, because safe code can put another file under those numbers.
    #[inline]
    pub(crate) fn adopt(fd: OwnedFd) -> Result<Self, ErrorWith<OwnedFd>> {
        if sys::is_above_stdio(fd.as_fd()) {
            return Ok(Self::from_owned(fd));
        }
        match sys::dup(fd.as_fd()) {
            Ok(moved) => Ok(Self::from_owned(moved)),
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

    /// `fcntl(fd, F_DUPFD_CLOEXEC)` — another descriptor of the same open file. Both share the
    /// position, the access mode and the seals.
    ///
    /// For a descriptor with a position of its own, use [`reopen_read_only`](Self::reopen_read_only).
    ///
    /// # Errors
    /// EMFILE: out of descriptors.
    ///
    /// # References
    /// [fcntl(2)](https://man7.org/linux/man-pages/man2/fcntl.2.html)
    #[doc(alias = "F_DUPFD_CLOEXEC")]
    #[doc(alias = "dup")]
    #[inline]
    pub fn try_clone(&self) -> Result<Self, Error> {
        sys::dup(self.as_fd()).map(Self::from_owned)
    }

    /// `fstat(fd)` — the length in bytes.
    ///
    /// # Errors
    /// The kernel returns none for an open memory file.
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

    /// `ftruncate(fd, len)` — sets the length in bytes. New bytes read as zero and take no memory
    /// yet.
    ///
    /// If the length exceeds `RLIMIT_FSIZE`, the kernel also sends SIGXFSZ, which ends the process
    /// unless it is handled or ignored.
    ///
    /// Like every change of a file, this call waits while another process holds the file's lock:
    /// [which calls can wait](crate::guide::receiving).
    ///
    /// # Errors
    /// - no errno: more than `i64::MAX`; no system call is made
    /// - EPERM: sealed with Shrink or Grow
    /// - EINVAL: opened read-only, or not a multiple of the file's huge page size
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
    #[inline]
    pub fn set_len(&self, len: u64) -> Result<(), Error> {
        // Such a length is negative for the kernel: the raw call and libc would report it differently.
        if len > i64::MAX.unsigned_abs() {
            return Err(Error::too_long(len));
        }
        match sys::ftruncate(self.as_fd(), len) {
            // `ftruncate` reports a read-only descriptor as EINVAL, not as EBADF.
            Err(error) if error.is(Errno::INVAL) && sys::is_read_only(self.as_fd()) => {
                Err(error.because(Reason::ReadOnly))
            }
            result => result,
        }
    }

    /// `fallocate(fd, 0, offset, len)` — allocates the range, and makes the file longer if the
    /// range ends beyond it.
    ///
    /// Existing bytes stay as they are. Within the length of the file this works in spite of all
    /// seals, because a hole reads as zeros before and after. For `RLIMIT_FSIZE` and an example, see
    /// [`set_len`](Self::set_len).
    ///
    /// Like every change of a file, this call waits while another process holds the file's lock:
    /// [which calls can wait](crate::guide::receiving).
    ///
    /// # Errors
    /// - ENOSPC, ENOMEM: no memory left, or no free huge pages
    /// - EPERM: sealed with Grow, and the range ends beyond the file
    /// - EBADF: opened read-only
    /// - EINVAL: `len` is 0; EINVAL, EFBIG: the range ends above `i64::MAX`
    /// - EFBIG: beyond `RLIMIT_FSIZE`
    ///
    /// # References
    /// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html)
    #[doc(alias = "fallocate")]
    #[inline]
    pub fn allocate(&self, offset: u64, len: u64) -> Result<(), Error> {
        sys::fallocate(self.as_fd(), offset, len).map_err(|error| explain_range(error, offset, len))
    }

    /// `fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, len)` — returns the memory
    /// of the range to the system. The range then reads as zeros, and the length stays the same.
    ///
    /// In a page that is only partly in the range, that part is filled with zeros.
    ///
    /// Like every change of a file, this call waits while another process holds the file's lock:
    /// [which calls can wait](crate::guide::receiving).
    ///
    /// # Errors
    /// - EPERM: sealed with Write or FutureWrite
    /// - EBADF: opened read-only
    /// - EINVAL: `len` is 0; EINVAL, EFBIG: the range ends above `i64::MAX`
    /// - no errno: on FreeBSD ([`is_unsupported`](Error::is_unsupported))
    ///
    /// # Example
    /// ```
    /// use memfile::MemFile;
    ///
    /// let file = MemFile::create_default("cache")?;
    /// file.write_all_at(&[1; 5], 0)?;
    /// file.punch_hole(1, 3)?;
    /// let mut bytes = [9; 5];
    /// file.read_exact_at(&mut bytes, 0)?;
    /// assert_eq!(bytes, [1, 0, 0, 0, 1]);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html)
    #[doc(alias = "FALLOC_FL_PUNCH_HOLE")]
    #[doc(alias = "MADV_REMOVE")]
    #[inline]
    pub fn punch_hole(&self, offset: u64, len: u64) -> Result<(), Error> {
        sys::punch_hole(self.as_fd(), offset, len).map_err(|error| explain_range(error, offset, len))
    }

    /// `pread(fd, buf, offset)` — reads bytes starting from an offset, without using or moving the
    /// position. Returns the number of bytes read, which is less than the length of `buf` if the file
    /// ends.
    ///
    /// # Errors
    /// - EBADF: opened write-only
    /// - EINVAL: the range ends above `i64::MAX`
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
    #[inline]
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        sys::pread(self.as_fd(), buf, offset).map_err(|error| explain_offset(error, offset, buf.len() as u64))
    }

    /// Reads the exact number of bytes required to fill `buf`, starting from an offset.
    ///
    /// # Errors
    /// Those of [`read_at`](Self::read_at), and without an errno
    /// [`EndOfFile`](crate::Cause::EndOfFile) if the file ends too early; then part of `buf` is
    /// filled.
    #[doc(alias = "pread")]
    #[inline]
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        let mut done = 0_usize;
        while let Some(rest @ [_, ..]) = buf.get_mut(done..) {
            match self.read_at(rest, offset.saturating_add(done as u64))? {
                0 => return Err(Error::new(Reason::EndOfFile).with_numbers(done as u64, buf.len() as u64)),
                n => done = done.saturating_add(n),
            }
        }
        Ok(())
    }

    /// `pwrite(fd, buf, offset)` — writes bytes starting from an offset, without using or moving the
    /// position. Returns the number of bytes written.
    ///
    /// If the file has the seal Grow, a write that crosses its end fails with EPERM or writes fewer
    /// bytes, depending on the kernel. The file never grows. If the file was opened with `O_APPEND`, Linux
    /// ignores the offset, and appends.
    ///
    /// Like every change of a file, this call waits while another process holds the file's lock:
    /// [which calls can wait](crate::guide::receiving).
    ///
    /// # Errors
    /// - EPERM: sealed with Write or FutureWrite, or with Grow and the range ends beyond the file
    /// - EBADF: opened read-only
    /// - EINVAL: a file of huge pages, or a range that ends above `i64::MAX`
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
    #[inline]
    pub fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize, Error> {
        sys::pwrite(self.as_fd(), buf, offset).map_err(|error| explain_offset(error, offset, buf.len() as u64))
    }

    /// Writes all of `buf`, starting from an offset.
    ///
    /// # Errors
    /// Those of [`write_at`](Self::write_at). Part of `buf` may then be written.
    #[doc(alias = "pwrite")]
    #[inline]
    pub fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), Error> {
        let mut done = 0_usize;
        while let Some(rest @ [_, ..]) = buf.get(done..) {
            match self.write_at(rest, offset.saturating_add(done as u64))? {
                // Trying again could go on for ever.
                0 => return Err(Error::new(Reason::WriteZero)),
                n => done = done.saturating_add(n),
            }
        }
        Ok(())
    }

    /// `fcntl(fd, F_GET_SEALS)` — the seals that the file has now. More can be added at any time, but
    /// none can be removed.
    ///
    /// # Errors
    /// The kernel returns none for a memory file.
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
        self.add_seals(seal)
    }

    /// `fcntl(fd, F_ADD_SEALS, seals)` — adds all of the seals, or none.
    ///
    /// A seal that the file already has may be added again, unless the file has the seal Seal.
    ///
    /// If a page is in use elsewhere, adding Write waits about 160 ms before it fails with EBUSY. Every
    /// call also waits for the file's lock, which another process that has the file can hold for as
    /// long as it likes. So seal a file before you share it, and do not call this where waiting does
    /// harm.
    ///
    /// The seals are not read back. If a sandbox only pretends to add them,
    /// [`SealedFile`](crate::SealedFile) notices it, because it reads them before it trusts the file.
    ///
    /// # Errors
    /// - EPERM: the file was created without sealing or has the seal Seal, or the descriptor is
    ///   read-only
    /// - EBUSY ([`is_busy`](Error::is_busy)): the seal is Write, or Exec on an executable file, and a
    ///   mapping can write or a page is in use elsewhere
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
    pub fn add_seals(&self, seals: impl Into<Seals>) -> Result<(), Error> {
        let (fd, seals) = (self.as_fd(), seals.into());
        // The reason is looked up only after a failure: it costs up to two system calls.
        sys::add_seals(fd, seals).map_err(|error| explain_add_seals(error, fd, seals))
    }
}

impl Seals {
    /// `fcntl(fd, F_GET_SEALS)` — the seals of the file behind a borrowed descriptor.
    ///
    /// # Errors
    /// - EINVAL: not a memory file; EBADF: opened with `O_PATH`
    ///
    /// # Example
    /// ```
    /// use memfile::{Cause, MemFile, Seals};
    ///
    /// let file = MemFile::create_sealable("config")?;
    /// assert!(!Seals::of(&file)?.intersects(Seals::IMMUTABLE));
    ///
    /// let error = Seals::of(std::io::stdin()).unwrap_err();
    /// assert_eq!(error.cause(), Cause::NotAMemoryFile);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "F_GET_SEALS")]
    #[inline]
    pub fn of(file: impl AsFd) -> Result<Self, Error> {
        sys::get_seals(file.as_fd())
    }
}

#[cold]
fn explain_range(error: Error, offset: u64, len: u64) -> Error {
    if error.is(Errno::INVAL) && len == 0 {
        return error.because(Reason::NoLength);
    }
    explain_offset(error, offset, len)
}

#[cold]
fn explain_offset(error: Error, offset: u64, len: u64) -> Error {
    // The number that is too large: an argument by itself, or else the end of the range.
    const LARGEST: u64 = i64::MAX.unsigned_abs();
    let given = offset.max(len);
    let number = if given > LARGEST { given } else { offset.saturating_add(len) };
    if (error.is(Errno::INVAL) || error.is(Errno::FBIG)) && number > LARGEST {
        return error.because(Reason::TooLong).with_number(number);
    }
    error
}

/// Looks at the file to find out why the kernel refused the seals.
#[cold]
pub(crate) fn explain_add_seals(error: Error, fd: BorrowedFd<'_>, seals: Seals) -> Error {
    match sys::get_seals(fd) {
        Ok(present) if error.is(Errno::PERM) && present.contains(Seal::Seal) => error.because(Reason::Sealed),
        Ok(_) if error.is(Errno::PERM) && sys::is_read_only(fd) => error.because(Reason::ReadOnly),
        // Every kernel that has seals at all has these four.
        Ok(_) if error.is(Errno::INVAL) => error.with_seals(seals - Seals::IMMUTABLE),
        // Another kind of file, for which `add_seals` fails with EPERM if it is not open for writing.
        Err(no_seals) if no_seals.is(Errno::INVAL) => error.because(Reason::NotAMemoryFile),
        _ => error,
    }
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
    pub fn create(&self, name: impl FileName) -> Result<MemFile, Error> {
        MemFile::create(name, *self)
    }

    /// The same as [`create`](Self::create), for programs written for memfile 0.3.
    ///
    /// # Errors
    /// As for [`MemFile::create`].
    pub fn create_cstr(&self, name: &CStr) -> Result<MemFile, Error> {
        MemFile::create(name, *self)
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

sys::fd::impl_from_raw_fd!(MemFile, MemFile::from_owned);

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
