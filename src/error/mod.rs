//! [`Error`]: what was tried, what the kernel answered, and why.

use core::fmt;

pub(crate) use crate::reason::{Operation, Reason, errno};
use crate::seals::Seals;

/// Why a call failed: the operation, the errno if the kernel gave one, and the reason in plain words.
///
/// It is `Copy`, holds no allocation, and converts into `std::io::Error` by `?` (with feature `std`). An `io::Error` keeps the
/// errno but then not the reason: where people read it, return this type.
///
/// ```
/// use memfile::{MemFile, Seal};
///
/// let file = MemFile::create_default("not sealable")?;
/// let error = file.add_seal(Seal::Write).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "fcntl(F_ADD_SEALS): EPERM: the file has the seal Seal: \
///      it was created without sealing, or sealed against more seals",
/// );
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html)
#[derive(Copy, Clone)]
pub struct Error {
    seals: Seals,
    /// 0 is none. As small as Linux's numbers, so that an error, and a result with a descriptor, fit a register.
    errno: u16,
    operation: Operation,
    reason: Reason,
}

impl Error {
    /// The kernel refused `operation`. The reason is the [usual](Reason::usual) one; a caller who knows better adds it.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an errno is below 4096")]
    #[inline]
    pub(crate) const fn os(operation: Operation, errno: i32) -> Self {
        Self { errno: errno as u16, seals: Seals::empty(), operation, reason: Reason::Usual }
    }

    /// This crate refused, without or after asking the kernel.
    pub(crate) const fn new(operation: Operation, reason: Reason) -> Self {
        Self { errno: 0, seals: Seals::empty(), operation, reason }
    }

    pub(crate) const fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    pub(crate) const fn with_seals(self, seals: Seals) -> Self {
        Self { seals, ..self }
    }

    pub(crate) const fn is(self, errno: i32) -> bool {
        self.errno() == errno
    }

    const fn errno(self) -> i32 {
        self.errno as i32
    }

    /// What failed: the C call as in its man page, or `verify` for this crate's own check of a file.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation.name()
    }

    /// The errno of the kernel's refusal, or `None` if this crate refused by itself.
    #[doc(alias = "errno")]
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        match self.errno() {
            0 => None,
            errno => Some(errno),
        }
    }

    /// The seals that the error is about: those that a file lacks, or that the kernel does not know.
    #[must_use]
    pub const fn seals(&self) -> Seals {
        self.seals
    }

    /// The kernel is too old or was built without the feature. The message says since when it exists.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        matches!(
            self.as_reason(),
            Reason::NoMemfd
                | Reason::UnknownFlag
                | Reason::UnknownHugeTlb
                | Reason::NoHugeTlb
                | Reason::HugePageSize
                | Reason::UnknownSeal
                | Reason::SealingIgnored
                | Reason::NoPopulate
                | Reason::NoProc
        )
    }

    /// A writable mapping or a page in flight stands against a seal (EBUSY). Nothing was applied; it may work later.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.as_reason(), Reason::Busy)
    }

    /// The descriptor is no memory file.
    #[must_use]
    pub const fn is_not_a_memory_file(&self) -> bool {
        matches!(self.as_reason(), Reason::NotAMemoryFile | Reason::PathOnly)
    }

    /// The file has no proof for what was asked: seals are missing ([`seals`](Self::seals) names them),
    /// its Write seal may be forged, it has holes, or it ends within a huge page.
    #[must_use]
    pub const fn is_unproven(&self) -> bool {
        matches!(
            self.as_reason(),
            Reason::MissingSeals | Reason::ForgedWrite | Reason::UntestedWrite | Reason::Holes | Reason::HugePart
        )
    }

    pub(crate) const fn is_about_holes(&self) -> bool {
        matches!(self.as_reason(), Reason::Holes)
    }

    /// Looked up when it is asked for, so that a program that does not ask holds no table.
    pub(crate) const fn as_reason(&self) -> Reason {
        match self.reason {
            Reason::Usual => Reason::usual(self.operation, self.errno()),
            reason => reason,
        }
    }

    /// An offset, a length or an alignment does not fit the file or the address space.
    #[must_use]
    pub const fn is_out_of_bounds(&self) -> bool {
        matches!(self.as_reason(), Reason::OutOfBounds | Reason::Misaligned | Reason::TooLong)
    }

    /// The other end of the socket is closed: the stream has ended, or nobody receives (EPIPE, ECONNRESET).
    #[must_use]
    pub const fn is_closed_by_peer(&self) -> bool {
        matches!(self.as_reason(), Reason::PeerClosed)
    }

    /// The reason in plain words.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.as_reason().text()
    }
}

/// `operation: ERRNO: reason (seals)`, in one line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation.name())?;
        match (self.errno, errno::name(self.errno())) {
            (0, _) => Ok(()),
            (_, Some(name)) => write!(f, ": {name}"),
            (errno, None) => write!(f, ": errno {errno}"),
        }?;
        write!(f, ": {}", self.as_reason().text())?;
        if self.seals.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.seals)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

/// Two errors are equal if they say the same.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (self.operation(), self.errno, self.as_reason(), self.seals)
            == (other.operation(), other.errno, other.as_reason(), other.seals)
    }
}

impl Eq for Error {}

impl core::error::Error for Error {}

/// An [`Error`] together with the value that the failed call had taken.
///
/// It displays as the error, and `?` turns it into an [`Error`] or an `io::Error`, which drops the value.
///
/// ```
/// use memfile::MemFile;
///
/// let file = MemFile::create_default("not sealable")?;
/// if let Err(error) = file.into_sealed() {
///     eprintln!("not sealed: {error}");
///     let file = error.into_inner();
///     file.write_all_at(b"still here", 0)?;
/// }
/// # Ok::<(), memfile::Error>(())
/// ```
#[derive(Debug)]
pub struct ErrorWith<T> {
    error: Error,
    value: T,
}

impl<T> ErrorWith<T> {
    pub(crate) const fn new(error: Error, value: T) -> Self {
        Self { error, value }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> ErrorWith<U> {
        ErrorWith::new(self.error, f(self.value))
    }

    /// The error.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }

    /// The value, still owned by this error.
    #[must_use]
    pub const fn get_ref(&self) -> &T {
        &self.value
    }

    /// The error alone; the value is dropped.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }

    /// The value alone.
    #[must_use = "the value is dropped with this error unless it is kept"]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Both.
    #[must_use]
    pub fn into_parts(self) -> (Error, T) {
        (self.error, self.value)
    }
}

impl<T> fmt::Display for ErrorWith<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for ErrorWith<T> {}

impl<T> From<ErrorWith<T>> for Error {
    fn from(error: ErrorWith<T>) -> Self {
        error.error
    }
}
