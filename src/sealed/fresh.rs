//! [`Fresh`]: a file that nobody else has.

use super::proof::{Holes, Origin, Proof, Terms};
use super::{SealedFile, prove_added};
use crate::error::{Error, ErrorWith};
use crate::file::{FileName, MemFile, copy_more, explain_add_seals, has_more};
use crate::options::CreateOptions;
use crate::seal::{Seal, Seals};
use crate::sys;
use crate::sys::fd::{AsFd, BorrowedFd};

/// A memory file whose only descriptor is in this value, from its creation until it is sealed, together
/// with what is known about it. So until then its bytes can only be reached through this value and the
/// mapping that this crate makes of it.
pub(crate) struct Fresh {
    file: MemFile,
    /// The length of the data. A file of huge pages ends at the next multiple of `granule`.
    len: usize,
    /// How much of the file is allocated, from its start. It is less than `len` only while a draft is
    /// being made longer, or if that has failed and could not be undone.
    allocated: usize,
    /// What the file's length must be a multiple of: the size of its huge pages, or 1.
    granule: usize,
    inheritable: bool,
}

impl Fresh {
    /// Creates an empty file. Sealing is allowed whatever the options say.
    #[inline]
    pub(crate) fn create(name: impl FileName, options: CreateOptions) -> Result<Self, Error> {
        // Close-on-exec until the file is sealed: a program that another thread starts meanwhile must
        // not inherit it.
        let file = MemFile::create(name, options.allow_sealing(true).close_on_exec(true))?;
        let granule = if options.huge_tlb.is_some() { sys::fstat(file.as_fd())?.granule } else { 1 };
        Ok(Self { file, len: 0, allocated: 0, granule, inheritable: !options.close_on_exec })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn granule(&self) -> usize {
        self.granule
    }

    /// Appends bytes.
    #[inline]
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, self.len as u64)?;
        self.len = self.len.saturating_add(bytes.len());
        self.allocated = self.len;
        Ok(())
    }

    /// Continues to copy the source that all bytes of the file so far came from, until the file has
    /// `end` bytes or the source ends.
    pub(crate) fn copy(&mut self, source: BorrowedFd<'_>, end: u64) -> Result<(), Error> {
        let len = copy_more(source, &self.file, self.len as u64, end)?;
        self.len = usize::try_from(len).map_err(|_| Error::too_long(len))?;
        self.allocated = self.len;
        Ok(())
    }

    /// Whether the source that all bytes came from has more of them.
    pub(crate) fn is_shorter_than(&self, source: BorrowedFd<'_>) -> Result<bool, Error> {
        has_more(source, self.len as u64)
    }

    /// Sets the length. New bytes are zero and not allocated yet.
    pub(crate) fn resize(&mut self, len: usize) -> Result<(), Error> {
        // hugetlbfs accepts no other length (EINVAL).
        let file_len = len.checked_next_multiple_of(self.granule).ok_or(Error::too_long(len as u64))?;
        self.file.set_len(file_len as u64)?;
        self.len = len;
        self.allocated = self.allocated.min(len);
        Ok(())
    }

    /// `fstat` — how many bytes of memory the file has.
    pub(crate) fn memory(&self) -> Result<u64, Error> {
        Ok(sys::fstat(self.as_fd())?.allocated)
    }

    /// How much of the file is allocated, from its start.
    pub(crate) fn allocated(&self) -> usize {
        self.allocated
    }

    /// Allocates whole pages from the end of the allocated part up to `end`.
    pub(crate) fn fallocate_to(&self, end: usize) -> Result<(), Error> {
        let len = end.saturating_sub(self.allocated);
        if len == 0 { Ok(()) } else { self.file.allocate(self.allocated as u64, len as u64) }
    }

    /// Records that everything up to `end` is allocated.
    pub(crate) fn set_allocated(&mut self, end: usize) {
        self.allocated = end;
    }

    /// Seals the file, and reads the seals back.
    ///
    /// # Errors
    /// The error returns the file, and the call can be tried again.
    #[inline]
    pub(crate) fn seal(self) -> Result<SealedFile, ErrorWith<Self>> {
        match self.prove() {
            // In a file of huge pages, the data may fill only a part of the last one.
            Ok(proof) => Ok(SealedFile { file: self.file, proof: proof.up_to(self.len as u64) }),
            Err(error) => Err(ErrorWith::new(error, self)),
        }
    }

    /// Fixes the length for ever, forbids writing except through existing mappings, and reads the
    /// seals back.
    pub(crate) fn share(&self) -> Result<(), Error> {
        let fd = self.as_fd();
        let seals = Seals::FIXED_SIZE | Seal::FutureWrite;
        let terms = Terms { required: seals, holes: Holes::Refuse, limit: u64::MAX, origin: Origin::Fresh };
        self.allocate_rest()?;
        // All at once, so that a failure leaves the draft as it was.
        sys::add_seals(fd, seals).map_err(|error| explain_add_seals(error, fd, seals))?;
        prove_added(fd, terms)?;
        if self.inheritable { sys::let_inherit(fd) } else { Ok(()) }
    }

    /// The file alone.
    pub(crate) fn into_file(self) -> MemFile {
        self.file
    }

    /// A lack of memory must be noticed before seals are added, because they cannot be removed.
    #[inline]
    fn allocate_rest(&self) -> Result<(), Error> {
        if self.allocated < self.len { self.fallocate_to(self.len) } else { Ok(()) }
    }

    /// Adds the seals and proves the file. No holes are left: every page was written or allocated, and
    /// such pages stay.
    #[inline]
    fn prove(&self) -> Result<Proof, Error> {
        self.allocate_rest()?;
        let fd = self.as_fd();
        let terms = Terms { required: Seals::CONSTANT, holes: Holes::Refuse, limit: u64::MAX, origin: Origin::Fresh };
        sys::add_seals(fd, Seals::IMMUTABLE)?;
        let proof = prove_added(fd, terms)?;
        if self.inheritable {
            sys::let_inherit(fd)?;
        }
        Ok(proof)
    }
}

/// Only for calls that keep no descriptor, and for mappings that are dropped before the file is sealed.
impl AsFd for Fresh {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
