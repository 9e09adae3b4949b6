//! [`ErrorWith`]: an error that returns what the failed call had taken.

use core::fmt;

use super::Error;

/// An [`Error`] together with the value that the failed call had taken.
///
/// It is displayed as the error. `?` converts it into an [`Error`] or a `std::io::Error`, and drops
/// the value.
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

    /// The error and the value.
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

// Without a `source`, because this displays as the error itself, and reporters would print it twice.
impl<T: fmt::Debug> core::error::Error for ErrorWith<T> {}

impl<T> From<ErrorWith<T>> for Error {
    fn from(error: ErrorWith<T>) -> Self {
        error.error
    }
}

#[cfg(feature = "std")]
impl<T> From<ErrorWith<T>> for std::io::Error {
    fn from(error: ErrorWith<T>) -> Self {
        error.error.into()
    }
}
