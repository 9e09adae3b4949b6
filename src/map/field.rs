//! [`Field`]: where an integer lies within its word. It uses nothing but `core`, so that a test can run
//! it under Miri for other processors.

use core::marker::PhantomData;

const WORD: usize = size_of::<usize>();

/// An integer that fits into a word.
pub trait Integer: Copy + Ord {
    const SIZE: usize;
    fn to_word(self) -> usize;
    fn from_word(word: usize) -> Self;
    fn wrapping_add(self, other: Self) -> Self;
    fn wrapping_sub(self, other: Self) -> Self;
}

/// An integer of four bytes, the only size that `futex(2)` compares.
pub trait Waitable: Integer {
    #[allow(clippy::cast_possible_truncation, reason = "it has 32 bits")]
    fn to_u32(self) -> u32 {
        self.to_word() as u32
    }
}

impl Waitable for u32 {}
impl Waitable for i32 {}

/// Implements the trait for a list of integers.
macro_rules! integers {
    ($($(#[$cfg:meta])? $Int:ty),*) => {$(
        $(#[$cfg])?
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            clippy::cast_sign_loss,
            reason = "an integer fits a word, and takes its low bits"
        )]
        impl Integer for $Int {
            const SIZE: usize = size_of::<Self>();

            fn to_word(self) -> usize {
                self as usize
            }

            fn from_word(word: usize) -> Self {
                word as Self
            }

            fn wrapping_add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn wrapping_sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
        }
    )*};
}
integers!(
    u8,
    u16,
    u32,
    usize,
    i8,
    i16,
    i32,
    isize,
    #[cfg(target_pointer_width = "64")]
    u64,
    #[cfg(target_pointer_width = "64")]
    i64
);

/// Where an integer lies within its word.
#[derive(Copy, Clone)]
pub(super) struct Field<T> {
    first_byte: usize,
    integer: PhantomData<T>,
}

impl<T: Integer> Field<T> {
    /// `offset` is the offset in the file, whose words begin at multiples of their size. Returns `None`
    /// if the integer is not aligned to its size, because it may then lie in two words.
    #[allow(clippy::cast_possible_truncation, reason = "a place within a word is a small number")]
    pub(super) fn at(offset: u64) -> Option<Self> {
        // Truncating the offset does not matter, because only its low bits are used.
        let first_byte = offset as usize & (WORD - 1);
        let aligned = first_byte & (T::SIZE - 1) == 0;
        aligned.then_some(Self { first_byte, integer: PhantomData })
    }

    /// The place of the integer's first byte within the word.
    pub(super) fn first_byte(self) -> usize {
        self.first_byte
    }

    /// The place of the integer's lowest bit within the word's value.
    #[allow(clippy::cast_possible_truncation, reason = "a place within a word is a small number")]
    fn shift(self) -> u32 {
        // On a big-endian machine the first byte is the highest.
        let low = if cfg!(target_endian = "little") { self.first_byte } else { WORD - T::SIZE - self.first_byte };
        low as u32 * u8::BITS
    }

    /// A word in which as many low bits are set as the integer has.
    const MASK: usize = usize::MAX >> ((WORD - T::SIZE) * 8);

    /// The integer in the word.
    pub(super) fn get(self, word: usize) -> T {
        T::from_word(word >> self.shift())
    }

    /// The word with the integer replaced by `value`.
    pub(super) fn set(self, word: usize, value: T) -> usize {
        let mask = Self::MASK << self.shift();
        // Masked, because a negative integer is sign-extended, with ones above its own bits.
        (word & !mask) | ((value.to_word() & Self::MASK) << self.shift())
    }
}
