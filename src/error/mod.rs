//! [`Error`]: what failed, why, and what to do about it.

mod call;
mod cause;
mod errno;
mod with;

use core::fmt;

use crate::seal::Seals;

pub(crate) use call::Call;
pub use cause::Cause;
pub(crate) use cause::Reason;
pub(crate) use errno::Errno;
pub use with::ErrorWith;

/// Why a call failed: the [`Cause`], the kernel's errno if there is one, and a message that says
/// what to do.
///
/// It is `Copy` and allocates nothing. With feature `std`, `?` converts it into a `std::io::Error`
/// with the same `kind()` and the same message. The `raw_os_error()` of that error is `None`, but
/// `error.downcast::<memfile::Error>()` returns this error, with the errno.
///
/// ```
/// use memfile::{Cause, MemFile, Seal};
///
/// let file = MemFile::create_default("not sealable")?;
/// let error = file.add_seal(Seal::Write).unwrap_err();
/// assert_eq!(error.cause(), Cause::Sealed);
/// assert_eq!(
///     error.to_string(),
///     "fcntl(F_ADD_SEALS): EPERM: the file has the seal Seal: it was created without \
///      sealing (`create_sealable` permits it), or closed to further seals",
/// );
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [errno(3)](https://man7.org/linux/man-pages/man3/errno.3.html)
// Small, and without a pointer, because most results of this crate contain an error, even without std.
#[derive(Copy, Clone)]
pub struct Error {
    /// The numbers that the sentence shows, in its order.
    numbers: [u64; 3],
    seals: Seals,
    /// 0 if `call` is `None`.
    errno: u16,
    /// The call that the kernel refused, or `None` if this crate refused by itself.
    call: Option<Call>,
    /// `None` stands for the usual reason for the call and the errno.
    reason: Option<Reason>,
}

impl Error {
    /// The kernel refused `call`. The reason is the [usual](Call::usual_reason) one, unless the caller
    /// adds a better one.
    // No lookup here: errors are made in every call, and most of them are never displayed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an errno is a small positive number")]
    #[inline]
    pub(crate) const fn os(call: Call, errno: Errno) -> Self {
        let errno = errno.raw_os_error() as u16;
        Self { numbers: [0; 3], seals: Seals::empty(), errno, call: Some(call), reason: None }
    }

    /// This crate refuses by itself.
    pub(crate) const fn new(reason: Reason) -> Self {
        Self { numbers: [0; 3], seals: Seals::empty(), errno: 0, call: None, reason: Some(reason) }
    }

    pub(crate) const fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    pub(crate) const fn with_seals(self, seals: Seals) -> Self {
        Self { seals, ..self }
    }

    /// For a sentence that shows one number.
    pub(crate) const fn with_number(self, number: u64) -> Self {
        Self { numbers: [number, 0, 0], ..self }
    }

    /// For a sentence that shows two numbers.
    pub(crate) const fn with_numbers(self, first: u64, second: u64) -> Self {
        Self { numbers: [first, second, 0], ..self }
    }

    /// A range that does not lie within `len` bytes.
    #[cold]
    pub(crate) const fn out_of_bounds(start: u64, end: u64, len: u64) -> Self {
        // A range such as `5..3` would be reported as "past the end" of a long file.
        let reason = if start > end { Reason::Reversed } else { Reason::OutOfBounds };
        Self { numbers: [start, end, len], ..Self::new(reason) }
    }

    #[cold]
    pub(crate) const fn source_beyond(limit: u64) -> Self {
        Self::new(Reason::SourceBeyondLimit).with_number(limit)
    }

    /// A length or an offset that no file or no address space can hold.
    #[cold]
    pub(crate) const fn too_long(len: u64) -> Self {
        Self::new(Reason::TooLong).with_number(len)
    }

    #[inline]
    pub(crate) fn is(&self, errno: Errno) -> bool {
        // Without a call there is no errno, and the field holds 0.
        self.call.is_some() && i32::from(self.errno) == errno.raw_os_error()
    }

    /// What went wrong, for programs that react to it.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.reason().cause()
    }

    /// The C call that the kernel refused, as its man page names it, or `None` if this crate
    /// refused by itself.
    #[must_use]
    pub const fn call(&self) -> Option<&'static str> {
        match self.call {
            Some(call) => Some(call.name()),
            None => None,
        }
    }

    /// The errno that the kernel returned, or `None` if this crate refused by itself.
    #[doc(alias = "errno")]
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        match self.call {
            Some(_) => Some(self.errno as i32),
            None => None,
        }
    }

    /// The seals that the error is about: those that a file is missing, or that the kernel may not
    /// know.
    #[must_use]
    pub const fn seals(&self) -> Seals {
        self.seals
    }

    /// [`Cause::Unsupported`]: the system is too old, was built without the feature, or hides it.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        matches!(self.cause(), Cause::Unsupported)
    }

    /// [`Cause::Busy`]: a writable mapping, or a page in use elsewhere, prevents a seal. Adding it may
    /// work later.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.cause(), Cause::Busy)
    }

    /// [`Cause::NotAMemoryFile`]: the descriptor is another kind of file.
    #[must_use]
    pub const fn is_not_a_memory_file(&self) -> bool {
        matches!(self.cause(), Cause::NotAMemoryFile)
    }

    /// The descriptor is a memory file, but its contents cannot be trusted to stay as they are:
    /// [`Cause::MissingSeals`], [`Cause::ForgedWrite`], [`Cause::Holes`] or
    /// [`Cause::PartialHugePage`].
    #[must_use]
    pub const fn is_unproven(&self) -> bool {
        matches!(self.cause(), Cause::MissingSeals | Cause::ForgedWrite | Cause::Holes | Cause::PartialHugePage)
    }

    /// [`Cause::OutOfBounds`]: an offset, a range or a length does not fit.
    #[must_use]
    pub const fn is_out_of_bounds(&self) -> bool {
        matches!(self.cause(), Cause::OutOfBounds)
    }

    /// [`Cause::ClosedByPeer`]: the peer has closed the connection, or no socket is open at the path.
    #[must_use]
    pub const fn is_closed_by_peer(&self) -> bool {
        matches!(self.cause(), Cause::ClosedByPeer)
    }

    /// Looks the reason up only when it is asked for, so a program that never asks does not contain
    /// the table.
    const fn reason(&self) -> Reason {
        match (self.reason, self.call) {
            (Some(reason), _) => reason,
            (None, Some(call)) => call.usual_reason(self.as_errno()),
            (None, None) => Reason::Kernel,
        }
    }

    const fn as_errno(&self) -> Errno {
        Errno::from_raw_os_error(self.errno as i32)
    }
}

/// `call: ERRNO: sentence`, or the sentence alone, in one line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(call) = self.call {
            write!(f, "{}: ", call.name())?;
            match errno::name(self.as_errno()) {
                Some(name) => write!(f, "{name}: ")?,
                None => write!(f, "errno {}: ", self.errno)?,
            }
        }
        let mut numbers = self.numbers.into_iter();
        // Not `format_args!`: the sentences are data, so the places in them are filled in here.
        let mut rest = self.reason().text();
        while let Some((text, after)) = rest.split_once('{') {
            f.write_str(text)?;
            let Some((place, after)) = after.split_once('}') else { break };
            rest = after;
            if place == "seals" {
                write_seals(f, self.seals)?;
                continue;
            }
            let number = numbers.next().unwrap_or(0);
            fmt::Display::fmt(&number, f)?;
            match (place, number) {
                ("bytes", 1) => f.write_str(" byte")?,
                ("bytes", _) => f.write_str(" bytes")?,
                _ => {}
            }
        }
        f.write_str(rest)
    }
}

/// `seal Write`, `seals Shrink and Write`, `seals Shrink, Grow and Write`.
fn write_seals(f: &mut fmt::Formatter<'_>, seals: Seals) -> fmt::Result {
    let mut rest = seals.iter();
    f.write_str(if rest.len() == 1 { "seal " } else { "seals " })?;
    let mut first = true;
    while let Some(seal) = rest.next() {
        match (first, rest.len()) {
            (true, _) => {}
            (false, 0) => f.write_str(" and ")?,
            (false, _) => f.write_str(", ")?,
        }
        fmt::Display::fmt(&seal, f)?;
        first = false;
    }
    Ok(())
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

/// Two errors are equal if they say the same.
// Not derived: a reason that is the usual one may be given or left out.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        (self.call, self.errno, self.reason(), self.seals, self.numbers)
            == (other.call, other.errno, other.reason(), other.seals, other.numbers)
    }
}

impl Eq for Error {}

impl core::error::Error for Error {}

#[cfg(feature = "std")]
impl Error {
    /// The kind of the `std::io::Error` that this error is converted into: the kind that std gives the
    /// errno, or one that fits the cause if this error has no errno.
    ///
    /// ```
    /// use memfile::{MemFile, Seal};
    ///
    /// let file = MemFile::create_default("not sealable")?;
    /// if let Err(error) = file.add_seal(Seal::Write) {
    ///     assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    /// }
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> std::io::ErrorKind {
        match self.raw_os_error() {
            Some(errno) => std::io::Error::from_raw_os_error(errno).kind(),
            None => self.cause().io_kind(),
        }
    }
}

/// Keeps the message, which is what people read when a program ends with an `io::Result`. The errno is
/// kept inside: `error.downcast::<memfile::Error>()` returns this error. The conversion allocates.
#[cfg(feature = "std")]
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}
