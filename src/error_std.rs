//! The `std` half of [`Error`]: conversion into `std::io::Error`.

use std::io;

use crate::error::{Error, ErrorWith, Reason};

impl Error {
    /// The kind that `std::io::Error` has for this error.
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
    pub fn kind(&self) -> io::ErrorKind {
        match (self.raw_os_error(), self.as_reason()) {
            (Some(errno), _) => io::Error::from_raw_os_error(errno).kind(),
            (None, Reason::EndOfFile | Reason::PeerClosed) => io::ErrorKind::UnexpectedEof,
            (None, Reason::WriteZero) => io::ErrorKind::WriteZero,
            (None, Reason::SealingIgnored) => io::ErrorKind::Unsupported,
            (
                None,
                Reason::MissingSeals
                | Reason::ForgedWrite
                | Reason::UntestedWrite
                | Reason::Holes
                | Reason::NotExecutable,
            ) => io::ErrorKind::PermissionDenied,
            (None, Reason::NoFd | Reason::StrayFds | Reason::LostFds | Reason::PayloadTruncated) => {
                io::ErrorKind::InvalidData
            }
            (None, _) => io::ErrorKind::InvalidInput,
        }
    }
}

/// An errno becomes `from_raw_os_error`, so that `raw_os_error()` still answers; the reason is lost there. An error of this
/// crate's own becomes a custom error that holds it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::from_raw_os_error(errno),
            None => Self::new(error.kind(), error),
        }
    }
}

impl<T> From<ErrorWith<T>> for io::Error {
    fn from(error: ErrorWith<T>) -> Self {
        error.into_error().into()
    }
}
