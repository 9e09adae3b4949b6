//! [`SealedFile`]: a file with the proof that its contents are constant.

mod fresh;
mod options;
mod proof;

use core::fmt;
use core::time::Duration;

use crate::error::{Errno, Error, ErrorWith, Reason};
#[cfg(feature = "std")]
use crate::file::FileCommand;
use crate::file::{MemFile, explain_add_seals, proc};
use crate::seal::Seals;
use crate::sys;
use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

pub(crate) use fresh::Fresh;
pub use options::SealedFileOptions;
pub use proof::Holes;
pub(crate) use proof::{Origin, Proof, Terms, prove};

/// A memory file whose contents are proven constant: it has the seals Write and Shrink, and nobody
/// can change a byte of it, whatever descriptors or mappings they have.
///
/// Make one with [`from_bytes`](Self::from_bytes), [`create_with`](Self::create_with) or
/// [`copy_of`](Self::copy_of), or seal a file of your own with [`MemFile::into_sealed`]. Check a
/// received descriptor with [`try_from`](Self#impl-TryFrom%3COwnedFd%3E-for-SealedFile). To use other
/// options than the defaults, call the method of the same name of [`SealedFile::options`].
///
/// ```
/// use memfile::SealedFile;
///
/// let file = SealedFile::from_bytes("greeting", b"Hello")?;
/// let map = file.map()?;
/// assert_eq!(&map[..], b"Hello");
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// [The guide](crate::guide::design) says what is checked, and what the proof does not cover.
///
/// This type implements neither `Read` nor `Seek`, because all clones of the file, in every process,
/// share one position. Read at offsets, map the file, or [reopen](Self::reopen_read_only) it to get a
/// descriptor with its own position.
///
/// # References
/// [F_GET_SEALS](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html); the forged Write
/// seal: [3b041514cb6e](https://git.kernel.org/torvalds/c/3b041514cb6e)
pub struct SealedFile {
    file: MemFile,
    proof: Proof,
}

impl SealedFile {
    /// The length in bytes, as it was when the proof was made. No system call is made.
    ///
    /// For a file of huge pages that this process has made, this is the length of the data. The file
    /// itself ends at the next multiple of the page size, which is the length that a receiver sees.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> u64 {
        self.proof.len()
    }

    /// Whether the length is 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lengths and offsets of its mappings must be multiples of this number.
    #[inline]
    pub(crate) const fn granule(&self) -> usize {
        self.proof.granule()
    }

    /// Borrows the file as a `&MemFile`, for functions that take one.
    #[must_use]
    pub const fn as_mem_file(&self) -> &MemFile {
        &self.file
    }

    /// Reads at an offset, but not beyond [`len`](Self::len): [`MemFile::read_at`].
    ///
    /// To read the bytes once, this is faster than a map for up to about 4 MiB.
    ///
    /// # Errors
    /// As for [`MemFile::read_at`].
    #[doc(alias = "pread")]
    pub fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        let len = buf.len().min(self.rest(offset));
        self.file.read_at(buf.get_mut(..len).unwrap_or_default(), offset)
    }

    /// Reads at an offset until `buf` is full: [`MemFile::read_exact_at`].
    ///
    /// # Errors
    /// As for [`MemFile::read_exact_at`].
    ///
    /// # Example
    /// ```
    /// let file = memfile::SealedFile::from_bytes("words", b"pear apple")?;
    /// let mut word = [0; 5];
    /// file.read_exact_at(&mut word, 5)?;
    /// assert_eq!(&word, b"apple");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "pread")]
    pub fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), Error> {
        let rest = self.rest(offset);
        if buf.len() > rest {
            return Err(Error::new(Reason::EndOfFile).with_numbers(rest as u64, buf.len() as u64));
        }
        self.file.read_exact_at(buf, offset)
    }

    /// How many bytes follow the offset. A file without Grow may have become longer than its proof.
    fn rest(&self, offset: u64) -> usize {
        usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX)
    }

    /// The seals that the file has now: [`MemFile::get_seals`].
    ///
    /// # Errors
    /// As for [`MemFile::get_seals`].
    #[doc(alias = "F_GET_SEALS")]
    pub fn get_seals(&self) -> Result<Seals, Error> {
        self.file.get_seals()
    }

    /// The name that the file was created with: [`MemFile::name`].
    ///
    /// # Errors
    /// As for [`MemFile::name`].
    pub fn name(&self) -> Result<proc::Name, Error> {
        self.file.name()
    }

    /// The path of this file for this process: [`MemFile::proc_path`].
    #[must_use]
    pub fn proc_path(&self) -> proc::Path<'_> {
        self.file.proc_path()
    }

    /// `open("/proc/thread-self/fd/N", O_RDONLY | O_CLOEXEC | O_NONBLOCK)` — opens the same file again,
    /// read-only, with its own position at 0. The new descriptor is proven again, because another file
    /// system may be mounted at `/proc`.
    ///
    /// # Errors
    /// As for [`MemFile::reopen_read_only`] and [`SealedFileOptions::verify`].
    ///
    /// # Example
    /// ```
    /// let file = memfile::SealedFile::from_bytes("words", b"pear apple")?;
    /// let other = file.reopen_read_only()?;
    /// assert_eq!(other.len(), 10);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn reopen_read_only(&self) -> Result<Self, Error> {
        let file = self.file.reopen_read_only()?;
        // The policy for holes was applied when this file was proven.
        let proof = prove(file.as_fd(), Self::options().holes(Holes::Accept).terms())?;
        Ok(Self { file, proof: proof.up_to(self.len()) })
    }

    /// `fcntl(fd, F_DUPFD_CLOEXEC)` — another descriptor of the same open file, with the same
    /// proof.
    ///
    /// # Errors
    /// EMFILE: out of descriptors.
    #[doc(alias = "F_DUPFD_CLOEXEC")]
    #[doc(alias = "dup")]
    pub fn try_clone(&self) -> Result<Self, Error> {
        // The same open file, so nothing needs to be proven again.
        Ok(Self { file: self.file.try_clone()?, proof: self.proof })
    }

    /// The descriptor, without the proof. The seals stay.
    #[must_use = "the file is closed when the descriptor is dropped"]
    #[inline]
    pub fn into_fd(self) -> OwnedFd {
        self.file.into_fd()
    }
}

#[cfg(feature = "std")]
impl SealedFile {
    /// Reads the whole file into a vector. The file never changes, so the copy is as good as a map.
    ///
    /// To read the bytes once, this is faster than a map for up to about 4 MiB.
    ///
    /// This allocates memory for the whole length, which the sender of a received file has chosen: set
    /// a [limit](SealedFileOptions::limit).
    ///
    /// # Errors
    /// - no errno: no memory is left for the copy, or it would exceed the address space
    ///   ([`OutOfMemory`](crate::Cause::OutOfMemory))
    /// - those of [`read_at`](Self::read_at)
    ///
    /// # Example
    /// ```
    /// use memfile::SealedFile;
    ///
    /// let received = SealedFile::from_bytes("reply", b"42")?;
    /// let file = SealedFile::options().limit(64 << 10).verify(received)?;
    /// assert_eq!(file.to_vec()?, b"42");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "pread")]
    pub fn to_vec(&self) -> Result<std::vec::Vec<u8>, Error> {
        let len = usize::try_from(self.len()).map_err(|_| Error::too_long(self.len()))?;
        let mut bytes = std::vec::Vec::new();
        // Not `with_capacity`: a received length must not abort the process.
        bytes.try_reserve_exact(len).map_err(|_| Error::new(Reason::NoRoom).with_number(self.len()))?;
        while bytes.len() < len {
            let offset = bytes.len() as u64;
            if sys::pread_to_vec(self.as_fd(), &mut bytes, offset)? == 0 {
                return Err(Error::new(Reason::EndOfFile).with_numbers(offset, self.len()));
            }
        }
        // A file of huge pages ends with a whole page, so the vector may be longer than the data.
        bytes.truncate(len);
        Ok(bytes)
    }

    /// The file as the stdin of a child. It is [reopened](Self::reopen_read_only), so the child has a
    /// position of its own, which starts at 0, and cannot write. One file serves any number of
    /// children.
    ///
    /// This is not a `From<SealedFile> for Stdio`, because it can fail: `/proc` may not be mounted, or the
    /// sender of the file, or an earlier child of the same user, may have taken away the permission to open
    /// it (`fchmod`). Without reopening, the child would get a position that others can move.
    ///
    /// # Errors
    /// As for [`reopen_read_only`](Self::reopen_read_only).
    ///
    /// # Example
    /// ```
    /// use std::process::Command;
    ///
    /// use memfile::SealedFile;
    ///
    /// let words = SealedFile::from_bytes("words", b"pear\napple\n")?;
    /// let sorted = Command::new("sort").stdin(words.to_stdio()?).output()?;
    /// assert_eq!(sorted.stdout, b"apple\npear\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "stdin")]
    pub fn to_stdio(&self) -> Result<std::process::Stdio, Error> {
        Ok(self.reopen_read_only()?.into_fd().into())
    }

    /// A command that runs the program in this file: [`MemFile::to_command`], which has an example.
    ///
    /// # Errors
    /// As for [`MemFile::to_command`].
    #[doc(alias = "execve")]
    #[doc(alias = "fexecve")]
    pub fn to_command(&self) -> Result<FileCommand, Error> {
        self.file.to_command()
    }
}

impl MemFile {
    /// Makes the file immutable: adds [`Seals::IMMUTABLE`] in one call, proves that the file is sealed,
    /// and allocates its holes. Drop all mappings that can write before you call this.
    ///
    /// It makes four system calls: `F_ADD_SEALS`, `F_GET_SEALS`, `fstat` and `fallocate`. The last one
    /// is made even if `fstat` shows no hole, because the kernel may drop pages that were only read.
    ///
    /// This waits for the file's lock, which another process that has the file can hold for as long as
    /// it likes: seal a file before you share it.
    ///
    /// # Errors
    /// Those of [`SealedFileOptions::seal`] with [`Holes::Allocate`]. The error returns the file. If
    /// `fallocate` has failed, the file is already sealed, and the call can be repeated.
    ///
    /// # Example
    /// ```
    /// use memfile::MemFile;
    ///
    /// let file = MemFile::create_sealable("table")?;
    /// file.write_all_at(b"1 2 3", 0)?;
    /// let sealed = file.into_sealed()?;
    /// assert_eq!(&sealed.map()?[..], b"1 2 3");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[inline]
    pub fn into_sealed(self) -> Result<SealedFile, ErrorWith<Self>> {
        let options = SealedFile::options().holes(Holes::Allocate);
        options.seal(self).map_err(|error| error.map(Self::from_owned))
    }

    /// Calls [`into_sealed`](Self::into_sealed) until it does not fail with EBUSY, or `timeout` has passed
    /// since the first attempt. It sleeps 5 ms between the attempts.
    ///
    /// While a page is in use elsewhere, the kernel waits about 160 ms in each attempt, also in the first
    /// and in the last, so the call can take 320 ms longer. A process that holds the file's lock can make
    /// it wait without a limit, as it can `into_sealed`.
    ///
    /// # Errors
    /// Those of [`into_sealed`](Self::into_sealed), and those of `timerfd_create`, with which the timeout
    /// is measured after an attempt has failed:
    /// - EMFILE, ENFILE: out of descriptors; ENOMEM: no memory for the timer
    ///
    /// On FreeBSD, timers are available since 14.0.
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    ///
    /// let file = memfile::MemFile::create_sealable("table")?;
    /// file.write_all_at(b"1 2 3", 0)?;
    /// let sealed = file.into_sealed_timeout(Duration::from_secs(1))?;
    /// assert_eq!(sealed.len(), 5);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn into_sealed_timeout(self, timeout: Duration) -> Result<SealedFile, ErrorWith<Self>> {
        const PAUSE: Duration = Duration::from_millis(5);
        let mut busy = match self.into_sealed() {
            Err(error) if error.error().is_busy() => error,
            result => return result,
        };
        // Not before the first attempt, which seldom fails.
        let timer = match sys::Timer::start(timeout) {
            Ok(timer) => timer,
            Err(error) => return Err(ErrorWith::new(error, busy.into_inner())),
        };
        while timer.is_running() {
            sys::nanosleep(PAUSE);
            busy = match busy.into_inner().into_sealed() {
                Err(error) if error.error().is_busy() => error,
                result => return result,
            };
        }
        Err(busy)
    }
}

/// Adds the seals of an immutable file, then proves it.
#[inline]
fn seal_and_prove(fd: BorrowedFd<'_>, terms: Terms) -> Result<Proof, Error> {
    add_missing(fd)?;
    prove_added(fd, terms)
}

/// Proves a file whose seals were added without an error. If they are missing nevertheless, a sandbox
/// has only pretended to add them.
#[inline]
fn prove_added(fd: BorrowedFd<'_>, terms: Terms) -> Result<Proof, Error> {
    match prove(fd, terms) {
        Err(error) if !error.seals().is_empty() => Err(error.because(Reason::SealingIgnored)),
        result => result,
    }
}

/// Adds the seals of an immutable file. Succeeds without adding anything if the file is already
/// closed to new seals but has Write and Shrink.
#[inline]
fn add_missing(fd: BorrowedFd<'_>) -> Result<(), Error> {
    #[cold]
    fn refused(fd: BorrowedFd<'_>, error: Error) -> Result<(), Error> {
        let error = explain_add_seals(error, fd, Seals::IMMUTABLE);
        if !error.is(Errno::PERM) {
            return Err(error);
        }
        // A file with Seal and these two is as constant as one that has Grow too.
        let missing = Seals::CONSTANT - sys::get_seals(fd)?;
        if missing.is_empty() { Ok(()) } else { Err(error.with_seals(missing)) }
    }

    // Without asking first, because most files lack the seals. A file that has Seal already gives EPERM.
    match sys::add_seals(fd, Seals::IMMUTABLE) {
        Ok(()) => Ok(()),
        Err(error) => refused(fd, error),
    }
}

impl TryFrom<OwnedFd> for SealedFile {
    type Error = ErrorWith<OwnedFd>;

    /// [`SealedFileOptions::verify`] with [`Holes::Refuse`].
    #[inline]
    fn try_from(fd: OwnedFd) -> Result<Self, ErrorWith<OwnedFd>> {
        Self::options().verify(fd)
    }
}

impl TryFrom<MemFile> for SealedFile {
    type Error = ErrorWith<MemFile>;

    /// [`SealedFileOptions::verify`] with [`Holes::Refuse`]. To add the seals, use
    /// [`MemFile::into_sealed`].
    fn try_from(file: MemFile) -> Result<Self, ErrorWith<MemFile>> {
        Self::options().verify(file).map_err(|error| error.map(MemFile::from_owned))
    }
}

#[cfg(feature = "std")]
impl TryFrom<std::fs::File> for SealedFile {
    type Error = ErrorWith<std::fs::File>;

    /// [`SealedFileOptions::verify`] with [`Holes::Refuse`].
    fn try_from(file: std::fs::File) -> Result<Self, ErrorWith<std::fs::File>> {
        Self::options().verify(file).map_err(|error| error.map(std::fs::File::from))
    }
}

impl From<SealedFile> for MemFile {
    fn from(sealed: SealedFile) -> Self {
        sealed.file
    }
}

impl From<SealedFile> for OwnedFd {
    fn from(sealed: SealedFile) -> Self {
        sealed.into_fd()
    }
}

/// The position is wherever it was left, so rewind the file before you read. The seals stay.
#[cfg(feature = "std")]
impl From<SealedFile> for std::fs::File {
    fn from(sealed: SealedFile) -> Self {
        sealed.file.into_file()
    }
}

impl fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealedFile").field(&self.file).finish()
    }
}

impl IntoRawFd for SealedFile {
    fn into_raw_fd(self) -> RawFd {
        self.file.into_raw_fd()
    }
}

impl AsFd for SealedFile {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for SealedFile {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
