//! [`prove`]: the only place that decides whether a file's contents are constant, for received files and for our own.
//!
//! # What is proven
//!
//! For the file behind the descriptor, **no byte below [`Proof::len`] will ever change, and each stays
//! readable.** A mapping may then be a `&[u8]`, no matter who else has the file. The proof is made once,
//! because seals cannot be removed.
//!
//! # Why each step is needed, in this order
//!
//! 1. `F_GET_SEALS` must show **Write and Shrink**. The kernel adds Write only after it has found
//!    no mapping that can write and no page in use elsewhere (`mapping_deny_writable`,
//!    `memfd_wait_for_pins`), and refuses new ones from then on. Without Shrink, another process
//!    could truncate the file, so that reading it raises SIGBUS, and extend it again, so that it reads
//!    as zeros. It is not enough that the call succeeds, because every file of tmpfs has the seal
//!    Seal. It is not enough either that `F_ADD_SEALS` has succeeded, because a seccomp filter can
//!    pretend that it did: the seals of our own files are read back too.
//! 2. **Not Exec together with FutureWrite**, unless this kernel is known to be fixed. On Linux
//!    from 6.3 to the fixed 6.12.93, 6.18.35, 7.0.13 and 7.1, adding Exec to a file with an execute
//!    bit sets Write *without* looking for writable mappings (3b041514cb6e). The kernel sets
//!    FutureWrite in the same step, so Exec together with FutureWrite is the telltale. The mode is
//!    not, because it can be changed afterwards. Whether the kernel is fixed is found out by trying
//!    once, not by its version.
//! 3. `fstat` **after** the seals: if it came first, the file could become shorter before Shrink was
//!    added. It is called once, because from then on others can at most make the file longer. The
//!    length must be within the caller's limit before the next step takes memory for it. The file must
//!    **not end inside a huge page**. Only `fallocate` can make such a file, and some kernels (5.10)
//!    raise SIGBUS for that page, although it is allocated.
//! 4. **No holes**, or the policy that the caller has chosen for them. The first read of a hole
//!    allocates memory. If that fails, it raises SIGBUS, or the memory controller ends the process.
//!    Nobody can punch a hole after step 1. But a page that was allocated by *reading* a hole is
//!    clean, and any process that maps the file can make the kernel drop it again (`MADV_PAGEOUT`),
//!    so the block count can go down after the check. Pages from `fallocate` are dirty, as written
//!    ones are, and stay.
//!
//! A descriptor of any other kind of file fails in step 1: `F_GET_SEALS` fails with EINVAL for all
//! but tmpfs and hugetlbfs.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::error::{Errno, Error, Reason};
use crate::seal::{Seal, Seals};
use crate::sys;
use crate::sys::fd::BorrowedFd;

/// What to do about holes: parts of a file that have no memory yet and read as zeros.
///
/// The first read of a hole through a mapping allocates it. If memory is short, that raises SIGBUS or
/// ends the process, even in a sealed file. So a sender can make the receiver pay for its file.
/// [A table](crate#holes-which-call-does-what) on the front page says which call applies which policy.
///
/// ```
/// use memfile::{Holes, MemFile, SealedFile, Seals};
///
/// let file = MemFile::create_sealable("mostly zero")?;
/// file.set_len(1 << 20)?;
/// file.add_seals(Seals::IMMUTABLE)?;
/// assert!(SealedFile::options().verify(file.try_clone()?).is_err());
/// assert!(SealedFile::options().holes(Holes::Allocate).verify(file).is_ok());
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html),
/// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html)
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Holes {
    /// Refuse a file that has less memory than its length, by the block count that `fstat` returns
    /// anyway.
    ///
    /// The answer may not stay true. A sender can make the count look full by memory beyond the end of
    /// the file, or by reading the holes, and later let the kernel drop the pages that were only read
    /// (`MADV_PAGEOUT`). If that matters, use `Allocate`, or lock the map with
    /// [`MapOptions::lock`](crate::MapOptions::lock).
    #[default]
    Refuse,

    /// Fill the holes with `fallocate(fd, 0, 0, len)`, before anything is read. Nobody can undo that.
    ///
    /// This needs a descriptor that is open for writing (otherwise EBADF). It takes memory for the
    /// whole length, which the sender chose: set a [limit](crate::SealedFileOptions::limit). It waits
    /// for the file's lock, which the sender can hold for as long as it likes.
    #[doc(alias = "fallocate")]
    Allocate,

    /// Do the same as `Allocate`, or, if the descriptor is read-only, fill the holes by reading them:
    /// with `madvise(MADV_POPULATE_READ)` on a temporary mapping.
    ///
    /// Pages that were only read may be dropped again, as described at `Refuse`. `MADV_POPULATE_READ`
    /// is available since Linux 5.14.
    #[doc(alias = "MADV_POPULATE_READ")]
    Populate,

    /// Accept the holes. If memory is short, reading one may raise SIGBUS or end the process. Their bytes
    /// are constant nevertheless: zeros.
    Accept,
}

/// The proof that the first `len` bytes of a file are constant, or, if only Shrink was required, that
/// they stay readable.
///
/// Only [`prove`] makes one.
#[derive(Copy, Clone)]
pub(crate) struct Proof {
    len: u64,
    granule: usize,
    id: (u64, u64),
}

impl Proof {
    pub(crate) const fn len(self) -> u64 {
        self.len
    }

    /// If the file has huge pages, lengths and offsets of mappings must be multiples of this number:
    /// `st_blksize`.
    pub(crate) const fn granule(self) -> usize {
        self.granule
    }

    /// Device and inode, which identify the file for as long as somebody has it.
    pub(crate) const fn id(self) -> (u64, u64) {
        self.id
    }

    /// A proof of the first `len` bytes alone.
    pub(crate) fn up_to(self, len: u64) -> Self {
        Self { len: self.len.min(len), ..self }
    }
}

/// What is required of a file.
#[derive(Copy, Clone)]
pub(crate) struct Terms {
    /// The seals that the file must have: at least Shrink.
    pub(crate) required: Seals,
    pub(crate) holes: Holes,
    pub(crate) limit: u64,
    pub(crate) origin: Origin,
}

/// Where a file comes from. This decides how unusual answers of the kernel are treated, not what is
/// required of the file.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This crate has created the file, and nobody else has had it. It does not get FutureWrite before
    /// it is shared, and its length is a multiple of its huge pages. So steps 2 and 3 need not ask the
    /// kernel or the file system, and a small program does not contain that code.
    Fresh,
    /// Anything can be wrong with the file.
    Received,
}

/// Decides whether `fd` can be trusted to keep the promise of the seals that the terms require. See
/// the head of this file for the reason of each step and of their order.
#[inline(always)]
pub(crate) fn prove(fd: BorrowedFd<'_>, terms: Terms) -> Result<Proof, Error> {
    let Terms { required, holes, limit, origin } = terms;
    // Step 1.
    let seals = sys::get_seals(fd)?;
    if !seals.contains(required) {
        return Err(missing(required, seals));
    }
    // Step 2. A view does without Write, so it may be forged there.
    if required.contains(Seal::Write) && seals.contains(FORGED) {
        match origin {
            Origin::Fresh => return Err(Error::new(Reason::ForgedWrite)),
            Origin::Received => test_exec_seal()?,
        }
    }
    // Step 3.
    let stat = sys::fstat(fd)?;
    if stat.len > limit {
        return Err(beyond(limit, stat.len));
    }
    if origin == Origin::Received && stat.granule >= SMALLEST_HUGE_PAGE && stat.len & (stat.granule as u64 - 1) != 0 {
        refuse_part_of_huge_page(fd, stat.len)?;
    }
    // Step 4. `fallocate` and `mmap` of no bytes would fail with EINVAL.
    match holes {
        Holes::Refuse if stat.allocated < stat.len => return Err(too_few(stat.len, stat.allocated)),
        Holes::Allocate if stat.len > 0 => sys::fallocate(fd, 0, stat.len)?,
        Holes::Populate if stat.len > 0 => populate(fd, stat.len)?,
        _ => {}
    }
    Ok(Proof { len: stat.len, granule: stat.granule, id: (stat.device, stat.inode) })
}

// Inline, because that makes a small program smaller than calls that return an error through memory.

#[inline]
fn missing(required: Seals, seals: Seals) -> Error {
    let reason = if !required.contains(Seal::Write) {
        // A caller that only needs Shrink should not be told to make the file immutable.
        Reason::MissingShrink
    } else if seals.contains(Seal::FutureWrite) {
        Reason::StillShared
    } else if seals.contains(Seal::Seal) {
        Reason::MissingForGood
    } else {
        Reason::MissingSeals
    };
    Error::new(reason).with_seals(required - seals)
}

#[inline]
fn beyond(limit: u64, len: u64) -> Error {
    Error::new(Reason::FileBeyondLimit).with_numbers(len, limit)
}

#[inline]
fn too_few(len: u64, allocated: u64) -> Error {
    Error::new(Reason::Holes).with_numbers(len, allocated)
}

/// A block size from here on may be the page size of hugetlbfs. It may also be that of ordinary pages, or
/// tmpfs may only be allowed to use huge ones.
const SMALLEST_HUGE_PAGE: usize = 64 * 1024;

#[cold]
fn refuse_part_of_huge_page(fd: BorrowedFd<'_>, len: u64) -> Result<(), Error> {
    match sys::huge_page_size(fd)? {
        Some(page) => Err(Error::new(Reason::PartialHugePage).with_numbers(len, page)),
        None => Ok(()),
    }
}

/// Seeing both of these means that Write may have been implied by Exec.
const FORGED: Seals = Seals::from_bits_retain(Seal::FutureWrite as u32 | Seal::Exec as u32);

/// Tests whether this kernel looks for writable mappings when Exec implies Write, and remembers the
/// answer. If the test cannot run, the file is refused, and the test runs again next time.
#[cold]
fn test_exec_seal() -> Result<(), Error> {
    const UNKNOWN: u8 = 0;
    const FIXED: u8 = 1;
    const OPEN: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);

    // Two threads may both run the test: they get the same answer.
    if ANSWER.load(Ordering::Relaxed) == UNKNOWN {
        let Ok(fixed) = sys::exec_seal_finds_writers() else {
            return Err(Error::new(Reason::UntestedWrite));
        };
        ANSWER.store(if fixed { FIXED } else { OPEN }, Ordering::Relaxed);
    }
    if ANSWER.load(Ordering::Relaxed) == OPEN {
        return Err(Error::new(Reason::ForgedWrite));
    }
    Ok(())
}

/// Fills all holes, with `fallocate` if the descriptor is open for writing, otherwise by reading them.
fn populate(fd: BorrowedFd<'_>, len: u64) -> Result<(), Error> {
    match sys::fallocate(fd, 0, len) {
        Err(error) if error.is(Errno::BADF) => {}
        result => return result,
    }
    // Every kernel permits a shared mapping of a write-sealed file through a read-only descriptor. A
    // private mapping would not do: in a file of huge pages, the pages that fill its holes are not the
    // file's.
    let mapped = usize::try_from(len).map_err(|_| Error::too_long(len))?;
    sys::populate(fd, mapped)
}
