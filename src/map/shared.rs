//! [`SharedMap`] and [`SharedView`]: memory that others change at the same time.

use core::fmt;
use core::ops::RangeBounds;

use super::atomic::{AtomicInteger, SharedAtomic, SharedAtomicView};
use super::raw::{Shared, SharedWritable};
use crate::error::{Errno, Error, ErrorWith, Reason};
use crate::file::MemFile;
use crate::seal::Seal;
use crate::sealed::{Holes, Origin, Proof, Terms, prove};
use crate::sys;
use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// A memory file mapped for reading and writing, which other threads and processes may read and
/// write at the same time.
///
/// It is never a slice: bytes are copied in and out, and integers are [atomic](Self::atomic). Without
/// further synchronization, a copy may be part of an old and part of a new value, but nothing worse can
/// happen. Some calls [can be delayed](crate::guide::sharing) by a peer that changes the same word
/// without pause.
///
/// # The order of copies
/// A copy counts as one relaxed atomic access to each of its bytes, in no order among themselves.
/// So atomic integers and [fences](core::sync::atomic::fence) order copies as they order relaxed
/// loads and stores, even between processes: a reader that loads with `Acquire` what was stored
/// with `Release` then reads at least what was copied in before the store. [Sharing
/// memory](crate::guide::sharing) shows a sequence lock, which needs fences.
///
/// # Seals
/// The file must have the seal Shrink, so that nobody can take pages away. If it also has Grow
/// ([`Seals::FIXED_SIZE`]), its length is final.
///
/// - For one writer and many readers, use [`SharedMap::create`] or [`MemFile::share`].
/// - For many writers, or peers that map the file for writing, use [`SharedMap::create_fixed_size`].
///   Send the file to the peers, and let each call `SharedMap::try_from`.
/// - For a file that [grows](SharedMap::grow), add the seal Shrink alone, then call
///   `SharedMap::try_from`.
///
/// [`Seals::FIXED_SIZE`]: crate::Seals::FIXED_SIZE
///
/// ```
/// use memfile::SharedMap;
///
/// let map = SharedMap::create_fixed_size("board", 8192)?;
/// let other = SharedMap::try_from(map.as_mem_file().try_clone()?)?;
///
/// map.write_all_at(b"hello", 100)?;
/// let mut buffer = [0; 5];
/// other.read_exact_at(&mut buffer, 100)?;
/// assert_eq!(&buffer, b"hello");
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html)
#[doc(alias = "mmap")]
#[doc(alias = "munmap")]
#[doc(alias = "MAP_SHARED")]
#[doc(alias = "shm_open")]
#[must_use = "the file is unmapped when this is dropped"]
pub struct SharedMap {
    pub(super) map: SharedWritable,
    pub(super) file: MemFile,
}

/// A memory file mapped for reading, which others may change at the same time.
///
/// It has the reading methods of [`SharedMap`]. It stays valid without a descriptor, and does not prevent
/// [`SharedMap::freeze`].
///
/// ```
/// use memfile::{CreateOptions, Exec, MemFile, SharedView};
///
/// let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
/// let file = MemFile::create("log", options)?;
/// file.set_len(4096)?;
/// let writer = file.share()?;
/// let view = SharedView::try_from(writer.reader()?)?; // in a reader's process
///
/// writer.write_all_at(b"first", 0)?;
/// let mut buffer = [0; 5];
/// view.read_exact_at(&mut buffer, 0)?;
/// assert_eq!(&buffer, b"first");
/// # Ok::<(), memfile::Error>(())
/// ```
#[doc(alias = "mmap")]
#[doc(alias = "munmap")]
#[doc(alias = "MAP_SHARED")]
#[must_use = "the file is unmapped when this is dropped"]
pub struct SharedView {
    pub(super) map: Shared,
    /// Identifies the file, as [`Proof::id`] says, so that `refresh` cannot be given another one.
    pub(super) file: (u64, u64),
}

impl SharedMap {
    /// `mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)` — maps a file that has the seal
    /// Shrink, and applies the `holes` policy.
    ///
    /// Everybody who can write to the file can also punch holes into it, unless it has FutureWrite. If
    /// memory is short, touching a hole raises SIGBUS. So give a writable file only to those whom you
    /// trust that far.
    ///
    /// # Errors
    /// The error returns the file.
    /// - no errno: no seal Shrink, or holes ([`is_unproven`](Error::is_unproven)); longer than the
    ///   address space
    /// - EPERM: sealed with Write or FutureWrite; EACCES: opened read-only, or a security module
    ///   forbids it
    /// - EINVAL, EBADF: not a memory file; ENOMEM: no address space
    #[doc(alias = "mmap")]
    pub fn map(file: MemFile, holes: Holes) -> Result<Self, ErrorWith<MemFile>> {
        Self::map_range(file, .., holes)
    }

    /// Maps a range of the file, in bytes. The range need not be aligned. The `holes` policy is
    /// applied to the whole file: if that is too much memory, allocate the range with
    /// [`MemFile::allocate`] and accept the other holes.
    ///
    /// Offsets in the map are counted from the start of the range. An [atomic](Self::atomic) integer must
    /// be aligned in the file, so that all maps agree about the word that it is in.
    ///
    /// # Errors
    /// As for [`map`](Self::map), and without an errno if the range does not lie within the file
    /// ([`is_out_of_bounds`](Error::is_out_of_bounds)).
    ///
    /// # Example
    /// ```
    /// use memfile::{Holes, MemFile, Seals, SharedMap};
    ///
    /// let file = MemFile::create_sealable("frames")?;
    /// file.write_all_at(b"0123456789", 0)?;
    /// file.add_seals(Seals::FIXED_SIZE)?;
    /// let part = SharedMap::map_range(file, 4..8, Holes::Refuse)?;
    /// let mut bytes = [0; 4];
    /// part.read_exact_at(&mut bytes, 0)?;
    /// assert_eq!(&bytes, b"4567");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "mmap")]
    pub fn map_range(file: MemFile, range: impl RangeBounds<u64>, holes: Holes) -> Result<Self, ErrorWith<MemFile>> {
        let file = MemFile::adopt(file.into_fd()).map_err(|error| error.map(MemFile::from_owned))?;
        let fd = file.as_fd();
        let result = prove(fd, shrink(holes)).and_then(|proof| SharedWritable::new(fd, proof, range));
        match result {
            Ok(map) => Ok(Self { map, file }),
            Err(error) => Err(ErrorWith::new(explain_map(error, fd), file)),
        }
    }

    /// The length of the map in bytes. The file may have become longer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.shared().len()
    }

    /// Whether the length is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies bytes out of the memory, starting from `offset`: relaxed loads, in no
    /// [order](Self#the-order-of-copies) among themselves.
    ///
    /// # Errors
    /// No errno: the range does not lie within the map. Nothing is copied.
    #[inline]
    pub fn read_exact_at(&self, buf: &mut [u8], offset: usize) -> Result<(), Error> {
        self.map.shared().copy_out(offset, buf)
    }

    /// Copies bytes into the memory, starting at `offset`: relaxed stores, in no
    /// [order](Self#the-order-of-copies) among themselves. Others may see any part of them before the
    /// rest.
    ///
    /// If the bytes begin or end within a word, that word is exchanged as a whole, except on x86_64, and
    /// exchanged again if somebody has changed it meanwhile. A peer that changes it without pause delays
    /// this call.
    ///
    /// # Errors
    /// No errno: the range does not lie within the map. Nothing is copied.
    #[inline]
    pub fn write_all_at(&self, buf: &[u8], offset: usize) -> Result<(), Error> {
        self.map.copy_in(buf, offset)
    }

    /// The atomic integer at `offset`, which must be a multiple of its size. (In a map of a
    /// [range](Self::map_range), this holds for its offset in the file.)
    ///
    /// # Errors
    /// No errno: it does not lie within the map, or is not aligned.
    #[inline]
    pub fn atomic<T: AtomicInteger>(&self, offset: usize) -> Result<SharedAtomic<'_, T>, Error> {
        match self.map.word(last_byte::<T>(offset)) {
            Some(word) => SharedAtomic::new(in_file(self.map.shared(), offset), word),
            None => Err(beyond::<T>(offset, self.len())),
        }
    }

    /// The address of the memory, for code that takes a pointer, such as a renderer in C or an upload to
    /// a device. The pointer dangles if the length is 0.
    ///
    /// Reading or writing through it is unsafe: stay within [`len`](Self::len) bytes and the lifetime of
    /// the map, and form no reference to bytes that others may write meanwhile. In Rust's memory model,
    /// this crate accesses the memory as aligned words. If Rust code uses this pointer while another
    /// thread may copy or operate atomically on the same bytes, its accesses must also be atomic and of
    /// a whole `usize`. A volatile access, or an atomic one of another size, would be a data race.
    /// Accesses that are ordered by a lock, or made by code in other languages, may have any size.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.map.shared().as_ptr()
    }

    /// Borrows the file as a `&MemFile`.
    #[must_use]
    pub const fn as_mem_file(&self) -> &MemFile {
        &self.file
    }

    /// Unmaps the file, and returns it.
    #[must_use = "to unmap it and close the file, drop this"]
    pub fn into_mem_file(self) -> MemFile {
        self.file
    }
}

impl SharedView {
    /// `mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0)` — maps a file that has the seal Shrink, and
    /// applies the `holes` policy.
    ///
    /// Unless the file has FutureWrite or Write, others can punch holes into it; see
    /// [`SharedMap::map`].
    ///
    /// If the descriptor is open for writing, the file is opened again read-only, because a mapping
    /// through a writable descriptor counts as potentially writable, and would make
    /// [`SharedMap::freeze`] fail with EBUSY. If it cannot be opened again, because `/proc` is not mounted
    /// or shows other files, or the owner has a lease on the file, the descriptor is used as it is.
    ///
    /// # Errors
    /// - no errno: no seal Shrink, or holes ([`is_unproven`](Error::is_unproven)); longer than the
    ///   address space
    /// - EPERM: sealed with Write, on a kernel that refuses to map such a file through a descriptor open
    ///   for writing, if `/proc` is not mounted
    /// - EACCES: a security module forbids it; EINVAL, EBADF: not a memory file; ENOMEM: no address
    ///   space
    ///
    /// # Example
    /// ```
    /// use memfile::{Holes, SharedMap, SharedView};
    ///
    /// let writer = SharedMap::create("progress", 4096)?;
    /// let view = SharedView::map(&writer, Holes::Refuse)?;
    /// assert_eq!(view.len(), 4096);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "mmap")]
    pub fn map(file: impl AsFd, holes: Holes) -> Result<Self, Error> {
        Self::map_range(file, .., holes)
    }

    /// Maps a range of the file, in bytes: [`SharedMap::map_range`].
    ///
    /// # Errors
    /// As for [`map`](Self::map), and without an errno if the range does not lie within the file
    /// ([`is_out_of_bounds`](Error::is_out_of_bounds)).
    #[doc(alias = "mmap")]
    pub fn map_range(file: impl AsFd, range: impl RangeBounds<u64>, holes: Holes) -> Result<Self, Error> {
        let fd = file.as_fd();
        // Safe code can put another file under the number of a standard stream at any time, so the file
        // that is proven and the file that is mapped could differ.
        let moved = if sys::is_above_stdio(fd) { None } else { Some(sys::dup(fd)?) };
        let fd = moved.as_ref().map_or(fd, AsFd::as_fd);
        let proof = prove(fd, shrink(holes))?;
        // The descriptor is closed at the end: a mapping keeps the file alive by itself.
        let read_only = reopened(fd, proof);
        let fd = read_only.as_ref().map_or(fd, AsFd::as_fd);
        Ok(Self { map: Shared::new(fd, proof, range)?, file: proof.id() })
    }

    /// The length of the map in bytes. The file may have become longer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether the length is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The address of the memory, as with [`SharedMap::as_ptr`], for reading only: a write raises
    /// SIGSEGV.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.map.as_ptr()
    }

    /// Copies bytes out of the memory, starting from `offset`: relaxed loads, in no
    /// [order](SharedMap#the-order-of-copies) among themselves.
    ///
    /// # Errors
    /// No errno: the range does not lie within the view. Nothing is copied.
    #[inline]
    pub fn read_exact_at(&self, buf: &mut [u8], offset: usize) -> Result<(), Error> {
        self.map.copy_out(offset, buf)
    }

    /// The atomic integer at `offset`, which must be a multiple of its size. (In a map of a
    /// [range](Self::map_range), this holds for its offset in the file.)
    ///
    /// # Errors
    /// No errno: it does not lie within the view, or is not aligned.
    #[inline]
    pub fn atomic<T: AtomicInteger>(&self, offset: usize) -> Result<SharedAtomicView<'_, T>, Error> {
        match self.map.word(last_byte::<T>(offset)) {
            Some(word) => SharedAtomicView::new(in_file(&self.map, offset), word),
            None => Err(beyond::<T>(offset, self.len())),
        }
    }
}

/// What is required of the file of a shared map: Shrink keeps its pages from being taken away.
pub(super) fn shrink(holes: Holes) -> Terms {
    Terms { required: Seal::Shrink.into(), holes, limit: u64::MAX, origin: Origin::Received }
}

/// A read-only descriptor of the file that was proven, or `None` if `fd` is read-only itself, or if the
/// file cannot be opened again without waiting. Mapping `fd` is then just as safe, but can prevent the
/// seal Write.
fn reopened(fd: BorrowedFd<'_>, proof: Proof) -> Option<OwnedFd> {
    if sys::is_read_only(fd) {
        return None;
    }
    let file = MemFile::reopen_fd(fd).ok()?;
    // Another file system may be mounted at /proc, so the descriptor is proven too. But the first proof
    // counts: it has treated the holes, and the file may have become longer since.
    let same = prove(file.as_fd(), shrink(Holes::Accept)).is_ok_and(|again| again.id() == proof.id());
    same.then_some(file)
}

/// Looks at the file to find out which seal forbids a writable map.
#[cold]
pub(super) fn explain_map(error: Error, fd: BorrowedFd<'_>) -> Error {
    // Everything else explains itself.
    if error.call() != Some("mmap") || !error.is(Errno::PERM) {
        return error;
    }
    match sys::get_seals(fd) {
        Ok(seals) if seals.contains(Seal::Write) => error.because(Reason::SealedWrite),
        Ok(seals) if seals.contains(Seal::FutureWrite) => error.because(Reason::SealedFutureWrite),
        _ => error,
    }
}

/// The last byte of an integer. If it is aligned, it lies within the word of that byte.
fn last_byte<T>(offset: usize) -> usize {
    offset.saturating_add(size_of::<T>().saturating_sub(1))
}

/// The offset in the file of an offset in the map.
fn in_file(map: &Shared, offset: usize) -> u64 {
    map.start().saturating_add(offset as u64)
}

#[cold]
fn beyond<T>(offset: usize, len: usize) -> Error {
    let end = (offset as u64).saturating_add(size_of::<T>() as u64);
    Error::out_of_bounds(offset as u64, end, len as u64)
}

impl TryFrom<MemFile> for SharedMap {
    type Error = ErrorWith<MemFile>;

    /// [`SharedMap::map`] with [`Holes::Allocate`], which takes memory for the whole length, and waits
    /// while another process holds the file's lock.
    fn try_from(file: MemFile) -> Result<Self, ErrorWith<MemFile>> {
        Self::map(file, Holes::Allocate)
    }
}

impl TryFrom<OwnedFd> for SharedMap {
    type Error = ErrorWith<OwnedFd>;

    /// [`SharedMap::map`] with [`Holes::Allocate`], which takes memory for the whole length that the
    /// sender chose. If you do not trust the sender, check first that the file has
    /// [`Seals::FIXED_SIZE`](crate::Seals::FIXED_SIZE), and then its length.
    fn try_from(fd: OwnedFd) -> Result<Self, ErrorWith<OwnedFd>> {
        Self::map(MemFile::from_owned(fd), Holes::Allocate).map_err(|error| error.map(MemFile::into_fd))
    }
}

impl From<SharedMap> for MemFile {
    fn from(map: SharedMap) -> Self {
        map.into_mem_file()
    }
}

impl TryFrom<OwnedFd> for SharedView {
    type Error = ErrorWith<OwnedFd>;

    /// [`SharedView::map`] with [`Holes::Refuse`]. The descriptor is closed: if the file may grow, keep
    /// it for [`refresh`](SharedView::refresh) and call `SharedView::map(&fd, Holes::Refuse)`.
    fn try_from(fd: OwnedFd) -> Result<Self, ErrorWith<OwnedFd>> {
        Self::map(&fd, Holes::Refuse).map_err(|error| ErrorWith::new(error, fd))
    }
}

impl TryFrom<MemFile> for SharedView {
    type Error = ErrorWith<MemFile>;

    /// [`SharedView::map`] with [`Holes::Refuse`]. The file is closed: if it may grow, keep it for
    /// [`refresh`](SharedView::refresh) and call `SharedView::map(&file, Holes::Refuse)`.
    fn try_from(file: MemFile) -> Result<Self, ErrorWith<MemFile>> {
        Self::map(&file, Holes::Refuse).map_err(|error| ErrorWith::new(error, file))
    }
}

/// Unmaps the file.
impl From<SharedMap> for OwnedFd {
    fn from(map: SharedMap) -> Self {
        map.file.into_fd()
    }
}

impl AsRawFd for SharedMap {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Unmaps the file.
impl IntoRawFd for SharedMap {
    fn into_raw_fd(self) -> RawFd {
        self.file.into_raw_fd()
    }
}

/// The descriptor, to send it to other processes. It is open for writing.
impl AsFd for SharedMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl fmt::Debug for SharedMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMap").field("len", &self.len()).field("file", &self.file).finish()
    }
}

impl fmt::Debug for SharedView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedView").field("len", &self.len()).finish()
    }
}
