//! The system: the only module that makes system calls or names a system, and with `map::raw` the
//! only one with unsafe code.
//!
//! | system | file | memory file | seals | since |
//! |---|---|---|---|---|
//! | Linux, Android | `linux/` | `memfd_create(2)` | all | 3.17 |
//! | FreeBSD | `freebsd.rs` | `memfd_create(3)` | Seal, Shrink, Grow, Write | 13.0 |
//!
//! What all of them have is in `unix.rs`. A function that a system lacks is there all the same, and
//! fails as it does on an old Linux, so that nothing above this module depends on the system.
//!
//! On Linux the calls are raw system calls through rustix's linux_raw backend, where rustix has one
//! (x86, x86_64, arm, aarch64, riscv64); with the feature `use-libc`, and on every other processor,
//! they go through the C library.
//!
//! # Contract
//!
//! A function makes the one system call that its name or its comment says, and nothing else.
//! [`create`], [`create_like`], [`populate`], [`free_address`], [`mmap`] of constant bytes, `try_*`,
//! [`exec_seal_finds_writers`] and [`transparent_huge_page_size`] make several. A call that a signal
//! interrupts is made again, except [`futex_wait`]. An error names the call and holds the errno; the
//! usual reason follows from both (`error/call.rs`), and a caller who knows better adds another.
//! Descriptors are borrowed as `BorrowedFd` and made as `OwnedFd`, close-on-exec unless the caller of
//! [`create`] asks otherwise, and none that is made has a number below 3.

#![allow(unsafe_code, reason = "the boundary to the kernel")]

mod copy;
pub mod fd;
#[cfg(feature = "net")]
mod socket;
mod unix;

cfg_if::cfg_if! {
    if #[cfg(target_os = "freebsd")] {
        mod freebsd;
        use freebsd as system;
    } else {
        mod linux;
        use linux as system;
    }
}

#[cfg(feature = "net")]
use system::close_pidfds;
use system::{NORESERVE, allocated};

pub(crate) use copy::{copy_from_shared, copy_to_shared};
pub(crate) use rustix::path::DecInt;
#[cfg(feature = "net")]
pub(crate) use socket::{FDS_MAX, is_stream, peer_has_closed, recvmsg, sendmsg};
pub(crate) use system::{
    copy_file_range, create, create_like, exec_seal_finds_writers, futex_wait, futex_wake, huge_page_size,
    madvise_collapse, madvise_hugepage, madvise_populate_read, madvise_populate_write, punch_hole, sendfile, splice,
    transparent_huge_page_size, try_exec_flags,
};
pub(crate) use unix::{
    Access, add_seals, dup, fallocate, free_address, fstat, ftruncate, get_seals, has_position, impl_from_raw_fd,
    is_above_stdio, is_read_only, let_inherit, mlock, mmap, munmap, nanosleep, open_read_only, populate, pread, pwrite,
    read, readlink, seek, seek_back, try_map, with_c_str, write,
};
#[cfg(feature = "std")]
pub(crate) use unix::{O_CLOEXEC, O_NONBLOCK, pread_to_vec};
