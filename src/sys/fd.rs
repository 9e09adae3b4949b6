//! The types of descriptors: those of `std::os::fd` with the feature `std`, otherwise those of rustix,
//! which have the same names.

pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
