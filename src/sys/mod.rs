//! The platform: the only module that names `rustix` or (but for what FreeBSD lacks) a system, and with `map::raw` the only
//! one with unsafe code.
//!
//! | system | file | memory file | seals | since |
//! |---|---|---|---|---|
//! | Linux, Android | `linux.rs`, `memfd.rs` | `memfd_create(2)` | all | 3.17 |
//! | FreeBSD | `freebsd.rs` | `memfd_create(3)` | Seal, Shrink, Grow, Write | 13.0 |
//!
//! On Linux the calls are raw system calls through rustix's linux_raw backend, where rustix has one (x86, x86_64, arm,
//! aarch64, riscv64); with the feature `use-libc`, and on every other processor, they go through the C library.
//!
//! # Contract
//!
//! A function makes the one system call that its name or its comment says, and nothing else; [`create`], [`create_like`],
//! [`populate`], [`mmap`] of constant bytes, `try_*` and [`exec_seal_finds_writers`] make several. A call that a signal
//! interrupts is made again. An error names the call and holds the errno; the usual reason follows from both (`reason.rs`), a
//! better one is for the caller to add. Descriptors are borrowed as `BorrowedFd`, made as `OwnedFd`, and always close-on-exec
//! unless the caller of [`create`] asks for less.

#![allow(unsafe_code, reason = "the boundary to the kernel")]

mod common;

pub(crate) use common::{
    Access, add_seals, dup, fallocate, fstat, ftruncate, get_seals, impl_from_raw_fd, is_read_only, let_inherit, mmap,
    munmap, nanosleep, pread, pwrite,
};

cfg_if::cfg_if! {
    if #[cfg(any(target_os = "linux", target_os = "android"))] {
        mod linux;
        mod memfd;
        mod exec_seal;
        pub(crate) use linux::{
            copy_file_range, has_position, madvise_hugepage, madvise_populate_read, madvise_populate_write, populate, open_read_only, read,
            readlink, seek_back, sendfile, splice, try_map, write,
        };
        pub(crate) use memfd::{create, create_like, huge_page_size, try_exec_flags};
        pub(crate) use exec_seal::exec_seal_finds_writers;
        pub(crate) use rustix::path::DecInt;
        #[cfg(feature = "std")]
        pub(crate) use linux::O_CLOEXEC;
    } else if #[cfg(target_os = "freebsd")] {
        mod freebsd;
        pub(crate) use freebsd::{
            create, exec_seal_finds_writers, huge_page_size, madvise_hugepage, madvise_populate_read, madvise_populate_write, populate,
        };
    } else {
        compile_error!("memfile needs memfd_create and file seals: Linux, Android, or FreeBSD 13 and later");
    }
}

cfg_if::cfg_if! {
    if #[cfg(feature = "net")] {
        mod socket;
        pub(crate) use socket::{FDS_MAX, is_connection, is_stream, recvmsg, sendmsg};
    }
}

cfg_if::cfg_if! {
    // Not x32, whose pointers leave the upper halves of the registers undefined.
    if #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))] {
        mod copy_x86_64;
        pub(crate) use copy_x86_64::{copy_from_shared, copy_to_shared};
    } else {
        mod copy_words;
        pub(crate) use copy_words::{copy_from_shared, copy_to_shared};
    }
}

/// The types of descriptors: `std::os::fd`'s with the feature `std`, otherwise rustix's own with the same names.
pub mod fd {
    pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
}
