//! [`SealedFile`]: the proof that a file's contents are constant, and the only place that decides it.
//!
//! # What is proven
//!
//! Of the file behind the descriptor: **no byte below `len` will ever change, and each stays readable.** A mapping of it
//! may then be a `&[u8]`, no matter who else holds the file. The proof is made once, since no seal can be removed.
//!
//! # Why each step is needed, in this order
//!
//! 1. `F_GET_SEALS` must hold **Write and Shrink**. Write: the kernel adds it only after it has found no mapping that can
//!    write and no page in use elsewhere (`mapping_deny_writable`, `memfd_wait_for_pins`), and from then on refuses all
//!    of them. Shrink: without it a peer truncates the file, so that reading raises SIGBUS, and extends it again, so that
//!    what was `A` reads as zero. Success of the call alone says nothing: every file of tmpfs has seals, namely Seal.
//! 2. **Not Exec together with FutureWrite**, unless this kernel is known to be mended. On Linux 6.3 up to 6.12.92,
//!    6.18.34 and 7.0.x, adding Exec to a file with an execute bit sets Write *without* looking for writable mappings
//!    (mended by 3b041514cb6e). The same step always sets FutureWrite, so the pair gives it away. The mode does not: it can
//!    be changed afterwards. Whether the kernel is mended is not asked of its version but tried, once.
//! 3. `fstat` **after** the seals: a length taken before could be shrunk away before Shrink came. It is taken once; what
//!    others do to the file later can at most add to its tail.
//!    It ends **with a page**: of a file of huge pages that ends within one, which only `fallocate` makes, some kernels (5.10)
//!    raise SIGBUS for that page, although it has memory.
//! 4. **No holes**, or the caller's word for them: the first read of a hole takes memory, which can fail, and that is
//!    SIGBUS or the end of the process by the memory controller. Nobody can punch a hole after step 1.
//!
//! A descriptor that is no memory file fails in step 1: F_GET_SEALS is EINVAL for all but tmpfs and hugetlbfs.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;

use crate::error::{Error, ErrorWith, Operation, Reason, errno};
use crate::file::{MemFile, add_seals, explain_add_seals};
use crate::seals::{Seal, Seals};
use crate::sys;
use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// A memory file whose contents are proven constant: it has the seals Write and Shrink, and nobody can change a byte of
/// it, whatever descriptors or mappings they hold.
///
/// It comes from [`MemFile::into_sealed`], from the builders ([`from_bytes`](Self::from_bytes),
/// [`build`](Self::build), [`copy_of`](Self::copy_of)), or from a received descriptor by
/// [`try_from`](Self#impl-TryFrom%3COwnedFd%3E-for-SealedFile), which checks it.
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
/// What is checked, and what lies outside the promise: [the guide](crate::guide::design).
///
/// # References
/// [F_GET_SEALS](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html); the forged Write seal:
/// [3b041514cb6e](https://git.kernel.org/torvalds/c/3b041514cb6e)
pub struct SealedFile {
    file: MemFile,
    proof: Proof,
}

/// What to do about holes: ranges of a file that have no memory yet and read as zero.
///
/// The first read of a hole through a mapping allocates it, and where memory is short that is SIGBUS or the end of the
/// process, even in a sealed file. So a sender can make the receiver pay.
///
/// ```
/// use memfile::{Holes, MemFile, SealedFile, Seals};
///
/// let file = MemFile::create_sealable("mostly zero")?;
/// file.set_len(1 << 20)?;
/// file.add_seals(Seals::IMMUTABLE)?;
/// assert!(SealedFile::verify(file.try_clone()?, Holes::Refuse).is_err());
/// assert!(SealedFile::verify(file, Holes::Allocate).is_ok());
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html),
/// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Holes {
    /// Refuse a file with less memory than its length, by the block count that `fstat` returns anyway.
    ///
    /// The count includes memory beyond the end, by which a sender can hide a hole, at the cost of that memory;
    /// who must exclude that takes `Allocate` or `Populate`.
    #[default]
    Refuse,

    /// Fill them by `fallocate(fd, 0, 0, len)`, before anything is read. The error is ENOSPC or ENOMEM.
    ///
    /// Needs a descriptor that is open for writing (EBADF). It takes memory for the whole length, which the sender chose:
    /// look at [`MemFile::len`] first.
    #[doc(alias = "fallocate")]
    Allocate,

    /// Fill them by `madvise(MADV_POPULATE_READ)` on a mapping made for that. The error is ENOMEM or EFAULT.
    /// It takes memory for the whole length, too.
    ///
    /// Works with a read-only descriptor. Since Linux 5.14 (EINVAL before). Where the kernel does not map a sealed file through a
    /// descriptor open for writing (before 6.7), it is done as for `Allocate`.
    #[doc(alias = "MADV_POPULATE_READ")]
    Populate,

    /// Accept them: reading one may raise SIGBUS or end the process where memory is short. The bytes are zero all the same.
    Accept,
}

impl SealedFile {
    /// Checks a file: the proof that its contents are constant, or what is missing. Adds no seal.
    ///
    /// `file` is an `OwnedFd`, a [`MemFile`] or a `File`. [`TryFrom`] does the same with [`Holes::Refuse`].
    ///
    /// Two system calls: `F_GET_SEALS` and `fstat`. A file that has Exec and FutureWrite costs a test of the kernel, once
    /// in the life of the process; one that might have huge pages and ends within one costs an `fstatfs`.
    ///
    /// # Errors
    /// The descriptor comes back with the error.
    /// - no errno: [`is_unproven`](Error::is_unproven): seals are missing ([`Error::seals`] names them), the Write seal
    ///   may be forged, there are holes, or a file of huge pages ends within a page
    /// - EINVAL: no memory file; EBADF: opened with `O_PATH`
    /// - those of `holes`
    ///
    /// # Example
    /// ```
    /// use memfile::{Holes, MemFile, Seal, SealedFile};
    ///
    /// let file = MemFile::create_sealable("draft")?;
    /// if let Err(error) = SealedFile::verify(file, Holes::Refuse) {
    ///     assert!(error.error().is_unproven());
    ///     assert_eq!(error.error().seals(), Seal::Shrink | Seal::Write);
    ///     let _unsealed = error.into_fd();
    /// }
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "F_GET_SEALS")]
    #[inline]
    pub fn verify(file: impl Into<OwnedFd>, holes: Holes) -> Result<Self, ErrorWith<OwnedFd>> {
        Self::check(MemFile::from_owned(file.into()), |fd| prove(fd, Seals::CONSTANT, holes))
            .map_err(|error| error.map(MemFile::into_fd))
    }

    /// Adds [`Seals::IMMUTABLE`] in one call unless the file has them, then checks it as [`verify`](Self::verify) does.
    ///
    /// The seals stay, whatever the check then says. For a receiver that may seal, and for one's own files;
    /// [`MemFile::into_sealed`] does the same with [`Holes::Allocate`]. Like every adding of Write it may block for about
    /// 160 ms, see [`add_seals`](MemFile::add_seals).
    ///
    /// # Errors
    /// The descriptor comes back with the error.
    /// - EPERM: it lacks Write or Shrink, and has Seal or was opened read-only
    /// - EBUSY: a mapping can write, or a page is in use elsewhere; nothing was added
    /// - those of [`verify`](Self::verify)
    ///
    /// # Example
    /// ```
    /// use memfile::{Holes, MemFile, SealedFile, fd::OwnedFd};
    ///
    /// let received: OwnedFd = MemFile::create_sealable("from a careless sender")?.into();
    /// let file = SealedFile::seal(received, Holes::Refuse)?;
    /// assert!(file.is_empty());
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "F_ADD_SEALS")]
    #[inline]
    pub fn seal(file: impl Into<OwnedFd>, holes: Holes) -> Result<Self, ErrorWith<OwnedFd>> {
        Self::check(MemFile::from_owned(file.into()), |fd| {
            add_missing(fd)?;
            prove(fd, Seals::CONSTANT, holes)
        })
        .map_err(|error| error.map(MemFile::into_fd))
    }

    /// What is proven is the very descriptor that is kept: it has left its caller's type, whose `as_fd` could name
    /// another one each time.
    #[inline]
    fn check(
        file: MemFile,
        check: impl FnOnce(BorrowedFd<'_>) -> Result<Proof, Error>,
    ) -> Result<Self, ErrorWith<MemFile>> {
        match check(file.as_fd()) {
            Ok(proof) => Ok(Self { file, proof }),
            Err(error) => Err(ErrorWith::new(error, file)),
        }
    }

    /// Seals a file that this crate has just created, filled to `len` and shown to nobody. The seals are explicit, so the
    /// kernel looked for writers, and nobody else could change the length since.
    #[inline]
    pub(crate) fn seal_own(file: MemFile, len: u64, granule: usize) -> Result<Self, Error> {
        add_seals(file.as_fd(), Seals::IMMUTABLE)?;
        Ok(Self { file, proof: Proof { len, granule } })
    }

    /// The length in bytes, taken when the proof was made. It does not ask the kernel.
    ///
    /// For a file of huge pages that this process built it is the length of the data; the file itself ends at the next
    /// multiple of the page size, and that is what a receiver sees.
    #[must_use]
    #[inline]
    pub const fn len(&self) -> u64 {
        self.proof.len
    }

    /// Whether the length is 0.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the lengths and offsets of its mappings must be a multiple of: `st_blksize`.
    #[inline]
    pub(crate) const fn granule(&self) -> usize {
        self.proof.granule
    }

    /// The file, for its calls that change nothing: [`read_at`](MemFile::read_at), [`proc_path`](MemFile::proc_path), …
    #[must_use]
    pub const fn as_mem_file(&self) -> &MemFile {
        &self.file
    }

    /// `fcntl(fd, F_DUPFD_CLOEXEC)` — another descriptor of the same open file, with the same proof.
    ///
    /// # Errors
    /// EMFILE: out of descriptors.
    #[doc(alias = "F_DUPFD_CLOEXEC")]
    #[doc(alias = "dup")]
    pub fn try_clone(&self) -> Result<Self, Error> {
        Ok(Self { file: self.file.try_clone()?, proof: self.proof })
    }

    /// The descriptor, without the proof. The seals stay.
    #[must_use = "the file is closed when the descriptor is dropped"]
    #[inline]
    pub fn into_fd(self) -> OwnedFd {
        self.file.into_fd()
    }
}

impl MemFile {
    /// Makes the file immutable: adds [`Seals::IMMUTABLE`] in one call, gives holes memory, and proves it.
    ///
    /// Three system calls, and three more if there are holes. Drop mappings that can write first.
    ///
    /// # Errors
    /// Those of [`SealedFile::seal`] with [`Holes::Allocate`]. The file comes back with the error. After an error of
    /// `fallocate` it is sealed already, and the call can be repeated.
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
        SealedFile::check(self, |fd| {
            add_missing(fd)?;
            match prove(fd, Seals::CONSTANT, Holes::Refuse) {
                Err(error) if error.is_about_holes() => prove(fd, Seals::CONSTANT, Holes::Allocate),
                result => result,
            }
        })
    }

    /// As [`into_sealed`](Self::into_sealed), but where that is EBUSY sleeps and tries again, until it has slept for
    /// `patience` altogether.
    ///
    /// The kernel's own waiting, about 160 ms a try when a page is in use elsewhere, comes on top.
    ///
    /// # Errors
    /// Those of [`into_sealed`](Self::into_sealed).
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    ///
    /// let file = memfile::MemFile::create_sealable("table")?;
    /// file.write_all_at(b"1 2 3", 0)?;
    /// let sealed = file.into_sealed_within(Duration::from_secs(1))?;
    /// assert_eq!(sealed.len(), 5);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn into_sealed_within(self, patience: Duration) -> Result<SealedFile, ErrorWith<Self>> {
        const PAUSE: Duration = Duration::from_millis(5);
        let mut slept = Duration::ZERO;
        let mut file = self;
        loop {
            match file.into_sealed() {
                Err(error) if error.error().is_busy() && slept < patience => {
                    sys::nanosleep(PAUSE);
                    slept = slept.saturating_add(PAUSE);
                    file = error.into_inner();
                }
                result => return result,
            }
        }
    }
}

/// What a check yields. Only [`prove`] and [`SealedFile::seal_own`] make one.
#[derive(Copy, Clone)]
pub(crate) struct Proof {
    len: u64,
    granule: usize,
}

impl Proof {
    pub(crate) const fn len(self) -> u64 {
        self.len
    }

    pub(crate) const fn granule(self) -> usize {
        self.granule
    }
}

/// Decides whether `fd` can be trusted to keep the promise of the seals `required`, which hold Shrink. See the head of
/// this file for the why of each step and of their order.
#[inline]
pub(crate) fn prove(fd: BorrowedFd<'_>, required: Seals, holes: Holes) -> Result<Proof, Error> {
    let seals = sys::get_seals(fd)?;
    let missing = required - seals;
    if !missing.is_empty() {
        return Err(Error::new(Operation::Verify, Reason::MissingSeals).with_seals(missing));
    }
    if required.contains(Seal::Write) && seals.contains(FORGED) {
        test_exec_seal()?;
    }
    let stat = sys::fstat(fd)?;
    if stat.granule >= SMALLEST_HUGE_PAGE && stat.len & (stat.granule as u64 - 1) != 0 {
        refuse_part_of_huge_page(fd)?;
    }
    match holes {
        Holes::Refuse if stat.allocated < stat.len => return Err(Error::new(Operation::Verify, Reason::Holes)),
        Holes::Allocate if stat.len > 0 => sys::fallocate(fd, 0, stat.len)?,
        Holes::Populate if stat.len > 0 => sys::populate(fd, stat.len)?,
        _ => {}
    }
    Ok(Proof { len: stat.len, granule: stat.granule })
}

/// Pages this large may be those of hugetlbfs. They may also be ordinary ones, or only be allowed to be huge.
const SMALLEST_HUGE_PAGE: usize = 64 * 1024;

#[cold]
fn refuse_part_of_huge_page(fd: BorrowedFd<'_>) -> Result<(), Error> {
    match sys::huge_page_size(fd)? {
        Some(_) => Err(Error::new(Operation::Verify, Reason::HugePart)),
        None => Ok(()),
    }
}

/// The seals that give a Write seal away as implied by Exec: `F_SEAL_FUTURE_WRITE | F_SEAL_EXEC`, which FreeBSD has not.
const FORGED: Seals = Seals::from_bits_retain(0x10 | 0x20);

/// Looks whether this kernel looks for writers when Exec implies Write, by trying it once. A test that cannot run is a no, and
/// is run again the next time.
#[cold]
fn test_exec_seal() -> Result<(), Error> {
    const UNKNOWN: u8 = 0;
    const MENDED: u8 = 1;
    const OPEN: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);

    if ANSWER.load(Ordering::Relaxed) == UNKNOWN {
        let Ok(mended) = sys::exec_seal_finds_writers() else {
            return Err(Error::new(Operation::Verify, Reason::UntestedWrite));
        };
        ANSWER.store(if mended { MENDED } else { OPEN }, Ordering::Relaxed);
    }
    if ANSWER.load(Ordering::Relaxed) == OPEN {
        return Err(Error::new(Operation::Verify, Reason::ForgedWrite));
    }
    Ok(())
}

/// Adds the seals of an immutable file, unless they cannot be added but those that matter are there.
#[inline]
fn add_missing(fd: BorrowedFd<'_>) -> Result<(), Error> {
    #[cold]
    fn refused(fd: BorrowedFd<'_>, error: Error) -> Result<(), Error> {
        let missing = Seals::CONSTANT - sys::get_seals(fd)?;
        if error.is(errno::EPERM) && missing.is_empty() {
            return Ok(());
        }
        let error = explain_add_seals(error, fd, Seals::IMMUTABLE);
        Err(if error.is(errno::EPERM) { error.with_seals(missing) } else { error })
    }

    match add_seals(fd, Seals::IMMUTABLE) {
        Ok(()) => Ok(()),
        Err(error) => refused(fd, error),
    }
}

impl TryFrom<OwnedFd> for SealedFile {
    type Error = ErrorWith<OwnedFd>;

    /// [`SealedFile::verify`] with [`Holes::Refuse`].
    #[inline]
    fn try_from(fd: OwnedFd) -> Result<Self, ErrorWith<OwnedFd>> {
        Self::verify(fd, Holes::Refuse)
    }
}

impl TryFrom<MemFile> for SealedFile {
    type Error = ErrorWith<MemFile>;

    /// [`SealedFile::verify`] with [`Holes::Refuse`]; to add the seals, take [`MemFile::into_sealed`].
    fn try_from(file: MemFile) -> Result<Self, ErrorWith<MemFile>> {
        Self::check(file, |fd| prove(fd, Seals::CONSTANT, Holes::Refuse))
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
