//! The types of descriptors: those of `std::os::fd` with the feature `std`, otherwise those of rustix,
//! which have the same names.

pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// Implements `FromRawFd`. This is a macro because the method of the trait is an `unsafe fn`, and unsafe
/// code stays in `sys`.
macro_rules! impl_from_raw_fd {
    ($Type:ty, $from_owned:expr) => {
        #[allow(unsafe_code, reason = "the method of this trait is unsafe")]
        impl $crate::sys::fd::FromRawFd for $Type {
            /// # Safety
            /// `fd` is open, and nobody else owns it. Whether it is a memory file is not checked: calls
            /// on another kind of file fail with the error of the kernel.
            unsafe fn from_raw_fd(fd: $crate::sys::fd::RawFd) -> Self {
                // SAFETY: The caller hands over an open descriptor that it owns.
                $from_owned(unsafe { $crate::sys::fd::OwnedFd::from_raw_fd(fd) })
            }
        }
    };
}
pub(crate) use impl_from_raw_fd;
