//! [`Shared`] and [`SharedWritable`]: mappings that others change at the same time.

use core::ops::RangeBounds;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use core::time::Duration;

use super::{Extent, Mapping};
use crate::error::Error;
use crate::sealed::Proof;
use crate::sys::fd::BorrowedFd;
use crate::sys::{self, Access};

/// Bytes that others may change at any time, through a mapping that cannot be written.
///
/// Within this process the memory is a sequence of words, and every access is an atomic access to a whole
/// word. In Rust's memory model, atomic accesses to the same place and of the same size never race. (The
/// copies may be assembly instead. It is opaque to the compiler, and does nothing that such accesses
/// could not do: it reads and writes each byte once.) Between processes the hardware decides what is
/// read. A torn or stale value is still a valid value.
///
/// The words are aligned in the file. If a map begins or ends within a word, it shows only a part of that
/// word, but the whole word is accessed.
pub(in crate::map) struct Shared {
    pub(super) mapping: Mapping,
    pub(super) start: u64,
}

/// The size of a word.
pub(in crate::map) const WORD: usize = size_of::<usize>();

impl Shared {
    /// Maps a file that was proven to have Shrink.
    pub(in crate::map) fn new(fd: BorrowedFd<'_>, proof: Proof, range: impl RangeBounds<u64>) -> Result<Self, Error> {
        Self::map(fd, proof, range, Access::SharedRead)
    }

    fn map(fd: BorrowedFd<'_>, proof: Proof, range: impl RangeBounds<u64>, access: Access) -> Result<Self, Error> {
        let extent = Extent::within(proof.len(), range)?;
        Ok(Self { mapping: Mapping::new(fd, extent, proof.granule(), 1, access)?, start: extent.offset })
    }

    pub(in crate::map) fn len(&self) -> usize {
        self.mapping.len
    }

    /// The offset of the first byte in the file.
    pub(in crate::map) fn start(&self) -> u64 {
        self.start
    }

    pub(in crate::map) fn as_ptr(&self) -> *mut u8 {
        self.mapping.data().as_ptr()
    }

    /// The word that holds the byte at `offset`.
    #[inline]
    pub(in crate::map) fn word(&self, offset: usize) -> Option<ReadOnlyWord<'_>> {
        self.atomic(offset).map(ReadOnlyWord)
    }

    #[inline]
    fn atomic(&self, offset: usize) -> Option<&AtomicUsize> {
        if offset >= self.mapping.len {
            return None;
        }
        let byte = self.mapping.lead.saturating_add(offset);
        // SAFETY: `lead + len` is at most `mapped`, so `byte` is less. Rounded down to a word it
        // is still within the mapping, and so is the whole word, since `base` is aligned and a
        // mapping ends with a page.
        let word = unsafe { self.mapping.base.byte_add(byte & !(WORD - 1)) };
        // SAFETY: The word is mapped as long as `self` lives, aligned since a mapping is,
        // initialized since pages are, and accessed as a word alone.
        Some(unsafe { word.cast::<AtomicUsize>().as_ref() })
    }

    /// Copies bytes out, starting from `offset`.
    #[inline]
    pub(in crate::map) fn copy_out(&self, offset: usize, target: &mut [u8]) -> Result<(), Error> {
        let source = self.range(offset, target.len())?;
        // SAFETY: The range is readable as long as `self` lives, and no `&mut [u8]` overlaps it,
        // since no reference to it is ever formed.
        unsafe { sys::copy_from_shared(source, target) }
        Ok(())
    }

    /// The start of a range that lies within the mapping.
    #[inline]
    fn range(&self, offset: usize, len: usize) -> Result<NonNull<u8>, Error> {
        match offset.checked_add(len) {
            // SAFETY: `offset` is at most `len` of the mapping.
            Some(end) if end <= self.mapping.len => Ok(unsafe { self.mapping.data().add(offset) }),
            end => Err(Error::out_of_bounds(offset as u64, end.unwrap_or(usize::MAX) as u64, self.mapping.len as u64)),
        }
    }
}

/// A word of a mapping that cannot be written.
#[derive(Copy, Clone)]
pub(in crate::map) struct ReadOnlyWord<'map>(&'map AtomicUsize);

impl<'map> ReadOnlyWord<'map> {
    /// A relaxed load, the only one that is guaranteed to work on read-only memory.
    pub(in crate::map) fn load(self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The four bytes of the word from `first_byte` on, to wait on.
    pub(in crate::map) fn futex(self, first_byte: usize) -> Futex<'map> {
        Futex::of(self.0, first_byte)
    }
}

/// Four bytes of a word, for the kernel. Only the kernel reads them as a `u32`: an atomic access of
/// that size by this process could race with accesses to the whole word.
pub(in crate::map) struct Futex<'map>(&'map AtomicU32);

impl<'map> Futex<'map> {
    /// `first_byte` is rounded down to a multiple of 4.
    pub(in crate::map) fn of(word: &'map AtomicUsize, first_byte: usize) -> Self {
        let bytes = NonNull::from(word).cast::<u8>();
        // SAFETY: A multiple of 4 that is less than the word's size, which is 4 or 8.
        let place = unsafe { bytes.add(first_byte & (WORD - size_of::<u32>())) };
        // SAFETY: The four bytes lie within the word, which is mapped for `'map`, at a multiple of 4. A
        // reference to an atomic is not an access, so it may lie over memory that cannot be
        // written; only its address is used (`sys::futex_wait`, `sys::futex_wake`).
        Self(unsafe { place.cast::<AtomicU32>().as_ref() })
    }

    /// Sleeps while the bytes are `expected`. Returns false if the timeout has passed.
    pub(in crate::map) fn wait(&self, expected: u32, timeout: Option<Duration>) -> Result<bool, Error> {
        sys::futex_wait(self.0, expected, timeout)
    }

    /// Wakes at most `most` sleepers, and returns how many it woke.
    pub(in crate::map) fn wake(&self, most: u32) -> Result<usize, Error> {
        sys::futex_wake(self.0, most)
    }
}

/// Like [`Shared`], through a mapping that can be written.
pub(in crate::map) struct SharedWritable(pub(super) Shared);

impl SharedWritable {
    /// Maps a file that was proven to have Shrink.
    pub(in crate::map) fn new(fd: BorrowedFd<'_>, proof: Proof, range: impl RangeBounds<u64>) -> Result<Self, Error> {
        Shared::map(fd, proof, range, Access::SharedWrite).map(Self)
    }

    /// For the calls that read.
    pub(in crate::map) fn shared(&self) -> &Shared {
        &self.0
    }

    /// The word that holds the byte at `offset`.
    #[inline]
    pub(in crate::map) fn word(&self, offset: usize) -> Option<&AtomicUsize> {
        self.0.atomic(offset)
    }

    /// Copies bytes in, starting at `offset`.
    #[inline]
    pub(in crate::map) fn copy_in(&self, source: &[u8], offset: usize) -> Result<(), Error> {
        let target = self.0.range(offset, source.len())?;
        // SAFETY: The range is writable as long as `self` lives, and no `&[u8]` overlaps it, since
        // no reference to it is ever formed.
        unsafe { sys::copy_to_shared(source, target) }
        Ok(())
    }
}
