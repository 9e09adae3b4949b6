//! [`SharedAtomic`] and [`SharedAtomicView`]: atomic integers in shared memory.
//!
//! Every operation is an access to the word that contains the integer, see
//! [`Shared`](super::raw::Shared): a narrow integer is changed by exchanging its word.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

use super::field::{Field, Integer};
use super::raw::{Futex, ReadOnlyWord, WORD};
use crate::error::{Error, Reason};

/// The integers that fit into a word: `u8`, `u16`, `u32`, `usize`, `i8`, `i16`, `i32`, `isize`, and on
/// targets with 64-bit pointers also `u64` and `i64`. No other type can implement it.
pub trait AtomicInteger: Copy + Ord + Integer {}

impl AtomicInteger for u8 {}
impl AtomicInteger for u16 {}
impl AtomicInteger for u32 {}
impl AtomicInteger for usize {}
impl AtomicInteger for i8 {}
impl AtomicInteger for i16 {}
impl AtomicInteger for i32 {}
impl AtomicInteger for isize {}
#[cfg(target_pointer_width = "64")]
impl AtomicInteger for u64 {}
#[cfg(target_pointer_width = "64")]
impl AtomicInteger for i64 {}

/// An atomic integer in a [`SharedMap`](crate::SharedMap), at a place that others may change too.
///
/// It has the operations of [`core::sync::atomic`], with the same meaning between the threads of this
/// process. Between processes the hardware makes it atomic and orders memory in the same way; access
/// the integer with the same width in all of them. An ordering that a load or a store cannot have (a load
/// with `Release`) is replaced by one that it can have; std would panic.
///
/// Most operations change an integer narrower than a word by a compare-and-exchange of its word, which
/// is repeated if the word has changed meanwhile. So use words for counters, and see [what a peer can
/// delay](crate::guide::sharing).
///
/// ```
/// use core::sync::atomic::Ordering;
/// use memfile::SharedMap;
///
/// let map = SharedMap::create("counters", 4096)?;
/// let counter = map.atomic::<u64>(0)?;
/// counter.fetch_add(2, Ordering::Relaxed);
/// assert_eq!(counter.load(Ordering::Acquire), 2);
/// # Ok::<(), memfile::Error>(())
/// ```
#[derive(Copy, Clone)]
pub struct SharedAtomic<'map, T> {
    word: &'map AtomicUsize,
    field: Field<T>,
}

impl<'map, T: AtomicInteger> SharedAtomic<'map, T> {
    pub(super) fn new(offset: u64, word: &'map AtomicUsize) -> Result<Self, Error> {
        let field = field_at(offset)?;
        Ok(Self { word, field })
    }

    /// The address for `futex(2)`, which is only useful for an integer of four bytes.
    pub(super) fn futex(&self) -> Futex<'map> {
        Futex::of(self.word, self.field.first_byte())
    }

    /// Loads the value.
    #[must_use]
    pub fn load(&self, order: Ordering) -> T {
        self.field.get(self.load_word(order))
    }

    fn load_word(&self, order: Ordering) -> usize {
        match order {
            Ordering::Relaxed => self.word.load(Ordering::Relaxed),
            Ordering::SeqCst => self.word.load(Ordering::SeqCst),
            // `Release` and `AcqRel` too: std panics, and this crate has no panics.
            _ => self.word.load(Ordering::Acquire),
        }
    }

    /// Stores a value into the integer.
    pub fn store(&self, value: T, order: Ordering) {
        // The rest of the word belongs to others, and must be written back unchanged.
        if T::SIZE < WORD {
            self.swap(value, order);
            return;
        }
        let word = value.to_word();
        match order {
            Ordering::Relaxed => self.word.store(word, Ordering::Relaxed),
            Ordering::SeqCst => self.word.store(word, Ordering::SeqCst),
            _ => self.word.store(word, Ordering::Release),
        }
    }

    /// Stores a value into the integer, and returns the previous value.
    pub fn swap(&self, value: T, order: Ordering) -> T {
        self.update(order, |_| value)
    }

    /// Stores `new` into the integer if the current value is the same as `current`. Returns the previous
    /// value: `Ok` if `new` was stored.
    ///
    /// # Errors
    /// The value, if it is not the same as `current`. Nothing is stored.
    ///
    /// # Example
    /// ```
    /// use core::sync::atomic::Ordering::{Acquire, Relaxed};
    ///
    /// let map = memfile::SharedMap::create("lock", 4096)?;
    /// let lock = map.atomic::<u32>(0)?;
    /// assert_eq!(lock.compare_exchange(0, 1, Acquire, Relaxed), Ok(0));
    /// assert_eq!(lock.compare_exchange(0, 1, Acquire, Relaxed), Err(1));
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn compare_exchange(&self, current: T, new: T, success: Ordering, failure: Ordering) -> Result<T, T> {
        self.fetch_update(success, failure, |value| (value == current).then_some(new))
    }

    /// Like [`compare_exchange`](Self::compare_exchange), but it may fail spuriously even if the
    /// comparison succeeds, which makes a loop faster on some processors.
    ///
    /// # Errors
    /// The current value. Nothing is stored.
    ///
    /// # Example
    /// ```
    /// use core::sync::atomic::Ordering::{AcqRel, Relaxed};
    ///
    /// let map = memfile::SharedMap::create("count", 4096)?;
    /// let count = map.atomic::<u32>(0)?;
    /// let mut old = count.load(Relaxed);
    /// while let Err(now) = count.compare_exchange_weak(old, old + 1, AcqRel, Relaxed) {
    ///     old = now;
    /// }
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn compare_exchange_weak(&self, current: T, new: T, success: Ordering, failure: Ordering) -> Result<T, T> {
        let word = self.load_word(failure);
        let old = self.field.get(word);
        if old == current && self.exchange_word(word, new, success) { Ok(old) } else { Err(old) }
    }

    /// Adds to the current value, wrapping around on overflow. Returns the previous value.
    pub fn fetch_add(&self, value: T, order: Ordering) -> T {
        if T::SIZE == WORD {
            return T::from_word(self.word.fetch_add(value.to_word(), order));
        }
        self.update(order, |old| old.wrapping_add(value))
    }

    /// Subtracts from the current value, wrapping around on overflow. Returns the previous value.
    pub fn fetch_sub(&self, value: T, order: Ordering) -> T {
        if T::SIZE == WORD {
            return T::from_word(self.word.fetch_sub(value.to_word(), order));
        }
        self.update(order, |old| old.wrapping_sub(value))
    }

    /// Bitwise AND with `value`. Returns the previous value.
    pub fn fetch_and(&self, value: T, order: Ordering) -> T {
        // Ones leave the rest of the word as it is; for OR and XOR, zeros do. So no loop is needed.
        self.field.get(self.word.fetch_and(self.field.set(usize::MAX, value), order))
    }

    /// Bitwise OR with `value`. Returns the previous value.
    pub fn fetch_or(&self, value: T, order: Ordering) -> T {
        self.field.get(self.word.fetch_or(self.field.set(0, value), order))
    }

    /// Bitwise XOR with `value`. Returns the previous value.
    pub fn fetch_xor(&self, value: T, order: Ordering) -> T {
        self.field.get(self.word.fetch_xor(self.field.set(0, value), order))
    }

    /// Bitwise NAND with `value`. Returns the previous value.
    pub fn fetch_nand(&self, value: T, order: Ordering) -> T {
        self.update(order, |old| T::from_word(!(old.to_word() & value.to_word())))
    }

    /// Maximum with `value`: stores the greater of the two. Returns the previous value.
    pub fn fetch_max(&self, value: T, order: Ordering) -> T {
        self.update(order, |old| old.max(value))
    }

    /// Minimum with `value`: stores the smaller of the two. Returns the previous value.
    pub fn fetch_min(&self, value: T, order: Ordering) -> T {
        self.update(order, |old| old.min(value))
    }

    /// Fetches the value, and applies a function to it that returns an optional new value, which is
    /// stored. The function is called again if somebody has changed the value meanwhile. Returns the
    /// previous value.
    ///
    /// # Errors
    /// The value for which `f` returned `None`.
    ///
    /// # Example
    /// ```
    /// use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};
    ///
    /// let map = memfile::SharedMap::create("seats", 4096)?;
    /// let seats = map.atomic::<u32>(0)?;
    /// seats.store(1, Release);
    /// assert_eq!(seats.fetch_update(AcqRel, Acquire, |free| free.checked_sub(1)), Ok(1));
    /// assert_eq!(seats.fetch_update(AcqRel, Acquire, |free| free.checked_sub(1)), Err(0));
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn fetch_update(
        &self,
        success: Ordering,
        failure: Ordering,
        mut f: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        loop {
            let word = self.load_word(failure);
            let old = self.field.get(word);
            let Some(new) = f(old) else { return Err(old) };
            // This fails if any part of the word has changed, so a neighbour can cause another round.
            if self.exchange_word(word, new, success) {
                return Ok(old);
            }
        }
    }

    /// Stores `new` if the whole word is still `word`. It may fail spuriously.
    fn exchange_word(&self, word: usize, new: T, success: Ordering) -> bool {
        let exchanged = self.field.set(word, new);
        self.word.compare_exchange_weak(word, exchanged, success, Ordering::Relaxed).is_ok()
    }

    fn update(&self, order: Ordering, mut f: impl FnMut(T) -> T) -> T {
        match self.fetch_update(order, Ordering::Relaxed, |old| Some(f(old))) {
            // Never an error, because the closure never returns `None`.
            Ok(old) | Err(old) => old,
        }
    }
}

/// An atomic integer in a [`SharedView`](crate::SharedView): it can only be read.
///
/// ```
/// use core::sync::atomic::Ordering;
/// use memfile::{SharedMap, SharedView};
///
/// let writer = SharedMap::create("counters", 4096)?;
/// let view = SharedView::try_from(writer.reader()?)?;
/// writer.atomic::<u32>(64)?.store(7, Ordering::Release);
/// assert_eq!(view.atomic::<u32>(64)?.load(Ordering::Acquire), 7);
/// # Ok::<(), memfile::Error>(())
/// ```
#[derive(Copy, Clone)]
pub struct SharedAtomicView<'map, T> {
    word: ReadOnlyWord<'map>,
    field: Field<T>,
}

impl<'map, T: AtomicInteger> SharedAtomicView<'map, T> {
    pub(super) fn new(offset: u64, word: ReadOnlyWord<'map>) -> Result<Self, Error> {
        let field = field_at(offset)?;
        Ok(Self { word, field })
    }

    /// The address for `futex(2)`, which is only useful for an integer of four bytes.
    pub(super) fn futex(&self) -> Futex<'map> {
        self.word.futex(self.field.first_byte())
    }

    /// Loads the value. See [`SharedAtomic`] for orderings and other processes.
    #[must_use]
    pub fn load(&self, order: Ordering) -> T {
        // Only a relaxed load is guaranteed to work on read-only memory, so fences add the ordering. A
        // SeqCst fence on each side orders the load after all operations before it, and before all
        // operations after it, as a SeqCst load would be. With the first fence alone, two threads could
        // disagree about the order of two loads.
        if order == Ordering::SeqCst {
            fence(Ordering::SeqCst);
        }
        let word = self.word.load();
        match order {
            Ordering::Relaxed => {}
            Ordering::SeqCst => fence(Ordering::SeqCst),
            _ => fence(Ordering::Acquire),
        }
        self.field.get(word)
    }
}

/// `offset` is the offset in the file.
fn field_at<T: Integer>(offset: u64) -> Result<Field<T>, Error> {
    Field::at(offset).ok_or(Error::new(Reason::Misaligned).with_numbers(offset, T::SIZE as u64))
}

/// Shows the value, which a relaxed load reads.
impl<T: AtomicInteger + fmt::Debug> fmt::Debug for SharedAtomic<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load(Ordering::Relaxed).fmt(f)
    }
}

/// Shows the value, which a relaxed load reads.
impl<T: AtomicInteger + fmt::Debug> fmt::Debug for SharedAtomicView<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load(Ordering::Relaxed).fmt(f)
    }
}
