//! [`Seal`] and [`Seals`]: rights on a file that everybody can lose for ever.
//!
//! A set is a plain number, because the kernel may know more seals than this crate: no bit is lost.

use core::fmt;
use core::iter::FusedIterator;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not, Sub, SubAssign};

use bitflags::{Flag, Flags};

/// Declares [`Seal`] together with the one list of all seals, which iteration and names use.
macro_rules! seals {
    ($(#[$seal:meta])* pub enum Seal { $($(#[$doc:meta])* $Name:ident = $bit:literal,)* }) => {
        $(#[$seal])*
        pub enum Seal {
            $($(#[$doc])* $Name = $bit,)*
        }

        /// Every seal, in the order of the bits.
        const SEALS: &[Seal] = &[$(Seal::$Name),*];

        const FLAGS: &[Flag<Seals>] = &[$(Flag::new(stringify!($Name), Seals { bits: $bit })),*];
    };
}

seals! {
    /// One seal: it takes a right to change the file away from everybody, for ever.
    ///
    /// Seals belong to the file, not to a descriptor: every descriptor of the file, in every
    /// process, sees the same seals, and no call removes one. [The guide](crate::guide::sealing)
    /// says what each forbids.
    ///
    /// This type has all seals on every system. Adding one that the running kernel lacks fails with
    /// [`Cause::Unsupported`](crate::Cause::Unsupported); FreeBSD lacks `FutureWrite` and `Exec`.
    ///
    /// ```
    /// use memfile::{MemFile, Seal};
    ///
    /// let file = MemFile::create_sealable("config")?;
    /// file.add_seal(Seal::Shrink)?;
    /// assert!(file.get_seals()?.contains(Seal::Shrink));
    /// assert_eq!(Seal::Shrink.to_string(), "Shrink");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [fcntl(2), "File Sealing"](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html)
    #[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(u32)]
    #[non_exhaustive]
    pub enum Seal {
        /// No more seals can be added: every later attempt fails with EPERM, even for a seal that
        /// the file has already.
        #[doc(alias = "F_SEAL_SEAL")]
        Seal = 0x1,

        /// The file cannot become shorter.
        ///
        /// Together with [`Grow`](Self::Grow) it fixes the length.
        #[doc(alias = "F_SEAL_SHRINK")]
        Shrink = 0x2,

        /// The file cannot become longer.
        #[doc(alias = "F_SEAL_GROW")]
        Grow = 0x4,

        /// The bytes of the file cannot change: no `write(2)`, no hole punching, no new shared
        /// writable mapping.
        ///
        /// Adding this seal fails with EBUSY while a shared mapping exists that could write, or while
        /// pages are in use elsewhere (in a pipe, by direct I/O).
        ///
        /// It does **not** fix the length: only with [`Shrink`](Self::Shrink) are the contents
        /// constant, because a file that shrinks and grows again reads as zeros.
        #[doc(alias = "F_SEAL_WRITE")]
        Write = 0x8,

        /// Like [`Write`](Self::Write), except that shared writable mappings that already exist stay
        /// writable.
        ///
        /// Available since Linux 5.1.
        #[doc(alias = "F_SEAL_FUTURE_WRITE")]
        FutureWrite = 0x10,

        /// The execute permission bits cannot change by `chmod`. (Linux 6.18 still lets an access control
        /// list change them.)
        ///
        /// On a file whose mode has an execute bit this seal implies `Shrink`, `Grow`, `Write` and
        /// `FutureWrite`. It is not a security boundary: `mmap` with `PROT_EXEC` ignores it.
        ///
        /// Available since Linux 6.3.
        #[doc(alias = "F_SEAL_EXEC")]
        Exec = 0x20,
    }
}

/// A set of [seals](Seal).
///
/// Bits that this crate does not know are kept. They may come from a newer kernel or another process.
/// To look for seals, use [`contains`](Self::contains) and not `==`: a kernel may add seals that
/// nobody asked for (`MFD_NOEXEC_SEAL` sets [`Seal::Exec`]).
///
/// The operators accept a [`Seal`] or a set on either side:
///
/// ```
/// use memfile::{Seal, Seals};
///
/// let seals = Seal::Write | Seal::Shrink;
/// assert!(Seals::IMMUTABLE.contains(seals));
/// assert_eq!(seals - Seal::Write, Seals::from(Seal::Shrink));
/// assert_eq!(format!("{seals}"), "Shrink | Write");
/// ```
///
/// The type implements [`bitflags::Flags`], for generic code.
///
/// # References
/// [F_GET_SEALS](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html)
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Seals {
    bits: u32,
}

// Recursive, because a `const fn` can neither iterate nor call `|` of this type.
const fn set(seals: &[Seal]) -> Seals {
    match seals {
        [] => Seals::empty(),
        [first, rest @ ..] => Seals::from_bits_retain(*first as u32 | set(rest).bits),
    }
}

impl Seals {
    /// Nobody can change the bytes or the length, nor add another seal:
    /// `Seal | Shrink | Grow | Write`.
    ///
    /// These four exist since Linux 3.17.
    pub const IMMUTABLE: Self = set(&[Seal::Seal, Seal::Shrink, Seal::Grow, Seal::Write]);

    /// The length is constant: `Shrink | Grow`.
    pub const FIXED_SIZE: Self = set(&[Seal::Shrink, Seal::Grow]);

    /// What a mapping needs to be a `&[u8]`: `Shrink | Write`. See
    /// [`SealedFile`](crate::SealedFile).
    pub const CONSTANT: Self = set(&[Seal::Shrink, Seal::Write]);

    /// The set without any seal.
    #[inline]
    #[must_use]
    pub const fn empty() -> Self {
        Self { bits: 0 }
    }

    /// The set of all seals that this crate knows, [`Seal::Exec`] included.
    ///
    /// A kernel before 6.3 does not know all of them, and adding an unknown seal fails with EINVAL. To
    /// forbid every change, add [`IMMUTABLE`](Self::IMMUTABLE).
    #[inline]
    #[must_use]
    pub const fn all() -> Self {
        set(SEALS)
    }

    /// The set with exactly these `F_SEAL_*` bits, known or not.
    #[inline]
    #[must_use]
    pub const fn from_bits_retain(bits: u32) -> Self {
        Self { bits }
    }

    /// The set with the `F_SEAL_*` bits that this crate knows; unknown bits are dropped.
    #[inline]
    #[must_use]
    pub const fn from_bits_truncate(bits: u32) -> Self {
        Self::from_bits_retain(bits & Self::all().bits)
    }

    /// The `F_SEAL_*` bits.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// The number of seals in the set, unknown ones included.
    #[inline]
    #[must_use]
    pub const fn len(self) -> usize {
        self.bits.count_ones() as usize
    }

    /// Whether the set contains no seal.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Whether the set contains all seals that this crate knows.
    #[inline]
    #[must_use]
    pub const fn is_all(self) -> bool {
        self.bits & Self::all().bits == Self::all().bits
    }

    /// The seals of either set: `|` in a `const`.
    #[inline]
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits }
    }

    /// The seals of this set that are not in `other`: `-` in a `const`.
    #[inline]
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self { bits: self.bits & !other.bits }
    }

    /// Whether all of `other` are in the set. In a `const`, use `other.difference(set).is_empty()`.
    #[inline]
    #[must_use]
    pub fn contains(self, other: impl Into<Self>) -> bool {
        (other.into() - self).is_empty()
    }

    /// Whether any of `other` is in the set.
    #[inline]
    #[must_use]
    pub fn intersects(self, other: impl Into<Self>) -> bool {
        !(self & other).is_empty()
    }

    /// The known seals of the set, in the order of their bits.
    ///
    /// ```
    /// use memfile::{Seal, Seals};
    ///
    /// assert!(Seals::FIXED_SIZE.iter().eq([Seal::Shrink, Seal::Grow]));
    /// ```
    #[inline]
    #[must_use]
    pub const fn iter(&self) -> Iter {
        Iter { seals: *self }
    }
}

impl Flags for Seals {
    const FLAGS: &'static [Flag<Self>] = FLAGS;

    type Bits = u32;

    // `bitflags` asks for these two; everything else it offers is built on them.
    fn bits(&self) -> u32 {
        self.bits
    }

    fn from_bits_retain(bits: u32) -> Self {
        Self { bits }
    }
}

impl From<Seal> for Seals {
    #[inline]
    fn from(seal: Seal) -> Self {
        Self { bits: seal as u32 }
    }
}

// So that `seals.iter().filter(…).collect()` works.
impl FromIterator<Seal> for Seals {
    fn from_iter<I: IntoIterator<Item = Seal>>(seals: I) -> Self {
        seals.into_iter().fold(Self::empty(), BitOr::bitor)
    }
}

impl Extend<Seal> for Seals {
    fn extend<I: IntoIterator<Item = Seal>>(&mut self, seals: I) {
        *self |= seals.into_iter().collect::<Self>();
    }
}

/// One set operator between seals and sets on either side, and its assigning form.
macro_rules! operator {
    ($Op:ident $op:ident, $Assign:ident $assign:ident, |$a:ident, $b:ident| $bits:expr) => {
        impl<T: Into<Seals>> $Op<T> for Seals {
            type Output = Seals;

            #[inline]
            fn $op(self, other: T) -> Seals {
                let ($a, $b) = (self.bits, other.into().bits);
                Seals { bits: $bits }
            }
        }

        impl<T: Into<Seals>> $Op<T> for Seal {
            type Output = Seals;

            #[inline]
            fn $op(self, other: T) -> Seals {
                Seals::from(self).$op(other)
            }
        }

        impl<T: Into<Seals>> $Assign<T> for Seals {
            #[inline]
            fn $assign(&mut self, other: T) {
                *self = self.$op(other);
            }
        }
    };
}

operator!(BitOr bitor, BitOrAssign bitor_assign, |a, b| a | b);
operator!(BitAnd bitand, BitAndAssign bitand_assign, |a, b| a & b);
operator!(BitXor bitxor, BitXorAssign bitxor_assign, |a, b| a ^ b);
operator!(Sub sub, SubAssign sub_assign, |a, b| a & !b);

/// The known seals that are not in the set.
impl Not for Seals {
    type Output = Self;

    #[inline]
    fn not(self) -> Self {
        // Not `!self.bits`: that would set bits that are not seals, and `!empty()` would not be `all()`.
        Self::all() - self
    }
}

/// The name, as in a set.
impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Seals::from(*self).fmt(f)
    }
}

/// The names joined by ` | `, unknown bits in hexadecimal, or `none`.
impl fmt::Display for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An empty text would leave a message incomplete.
        if self.is_empty() {
            return f.write_str("none");
        }
        bitflags::parser::to_writer(self, f)
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("Seals { }");
        }
        write!(f, "Seals {{ {self} }}")
    }
}

/// The known seals of a set, in the order of their bits: what [`Seals::iter`] returns.
#[derive(Clone, Debug)]
pub struct Iter {
    seals: Seals,
}

impl Iterator for Iter {
    type Item = Seal;

    fn next(&mut self) -> Option<Seal> {
        let seal = SEALS.iter().copied().find(|&seal| self.seals.contains(seal))?;
        self.seals -= seal;
        Some(seal)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Unknown bits have no `Seal` to return.
        let known = (self.seals & Seals::all()).len();
        (known, Some(known))
    }
}

impl ExactSizeIterator for Iter {}

impl FusedIterator for Iter {}

impl IntoIterator for Seals {
    type Item = Seal;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

impl IntoIterator for &Seals {
    type Item = Seal;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}
