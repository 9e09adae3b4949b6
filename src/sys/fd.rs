//! The types of descriptors: `std::os::fd`'s with the feature `std`, otherwise rustix's own with
//! the same names.

pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
