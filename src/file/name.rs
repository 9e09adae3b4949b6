//! [`FileName`]: what a memory file can be called.

use core::ffi::CStr;

use crate::error::{Error, Reason};
use crate::sys;

/// A name for a new memory file: a `&str` or a `&CStr`, and with feature `std` also a `String` or a
/// `CString`. No other type can implement it.
///
/// A name has at most 249 bytes, contains no NUL, and may be empty. A `&str` is copied to the stack to
/// append the NUL; a `&CStr` is passed on as it is, and need not be UTF-8.
///
/// ```
/// use memfile::SealedFile;
///
/// let number = 7;
/// SealedFile::from_bytes("table", b"1 2 3")?;
/// SealedFile::from_bytes(format!("table {number}"), b"1 2 3")?;
/// SealedFile::from_bytes(c"caf\xe9", b"1 2 3")?;
/// # Ok::<(), memfile::Error>(())
/// ```
pub trait FileName: private::Sealed {}

/// The longest name that the kernel accepts, without the NUL.
pub(super) const MAX: usize = 249;

// `FileName` itself is empty, so its method is not part of the public interface.
pub(crate) mod private {
    use core::ffi::CStr;

    use crate::error::Error;

    pub trait Sealed {
        /// Passes the name on as a C string.
        ///
        /// # Errors
        /// It contains a NUL, or is too long.
        fn with<T>(&self, f: impl FnOnce(&CStr) -> Result<T, Error>) -> Result<T, Error>;
    }
}

impl FileName for str {}

impl private::Sealed for str {
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&CStr) -> Result<T, Error>) -> Result<T, Error> {
        if self.len() > MAX {
            return Err(too_long(self.len()));
        }
        // The text is short enough, so a failure can only mean that it contains a NUL.
        sys::with_c_str(self, f).unwrap_or(Err(Error::new(Reason::NameHasNul)))
    }
}

impl FileName for CStr {}

impl private::Sealed for CStr {
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&CStr) -> Result<T, Error>) -> Result<T, Error> {
        let len = self.to_bytes().len();
        if len > MAX { Err(too_long(len)) } else { f(self) }
    }
}

#[cold]
fn too_long(len: usize) -> Error {
    Error::new(Reason::NameTooLong).with_number(len as u64)
}

impl<N: FileName + ?Sized> FileName for &N {}

impl<N: FileName + ?Sized> private::Sealed for &N {
    #[inline]
    fn with<T>(&self, f: impl FnOnce(&CStr) -> Result<T, Error>) -> Result<T, Error> {
        (**self).with(f)
    }
}

#[cfg(feature = "std")]
impl FileName for std::string::String {}

#[cfg(feature = "std")]
impl private::Sealed for std::string::String {
    fn with<T>(&self, f: impl FnOnce(&CStr) -> Result<T, Error>) -> Result<T, Error> {
        self.as_str().with(f)
    }
}

#[cfg(feature = "std")]
impl FileName for std::ffi::CString {}

#[cfg(feature = "std")]
impl private::Sealed for std::ffi::CString {
    fn with<T>(&self, f: impl FnOnce(&CStr) -> Result<T, Error>) -> Result<T, Error> {
        self.as_c_str().with(f)
    }
}
