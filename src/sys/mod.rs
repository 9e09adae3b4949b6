//! The system. Only this module makes system calls and names a system, and only this module and
//! `map::raw` have unsafe code.
//!
//! Where the calls of each system are, and what its memory files support.
//!
//! | system | file | memory file | seals | since |
//! |---|---|---|---|---|
//! | Linux, Android | `linux/` | `memfd_create(2)` | all | 3.17 |
//! | FreeBSD | `freebsd.rs` | `memfd_create(3)` | Seal, Shrink, Grow, Write | 13.0 |
//!
//! The calls that all systems have are in `unix.rs`. A call that a system lacks is a function that fails
//! as the call does on an old Linux, so that nothing above this module depends on the system.
//!
//! On Linux the calls are raw system calls through rustix's linux_raw backend, where rustix has one
//! (x86, x86_64, arm, aarch64, riscv64); with the feature `use-libc`, and on every other processor,
//! they go through the C library.
//!
//! # Contract
//!
//! A function makes the one system call that its name or its comment says, and nothing else.
//! [`create`], [`create_like`], [`populate`], [`free_address`], [`mmap`] of constant bytes, `try_*`,
//! [`exec_seal_finds_writers`], [`transparent_huge_page_size`], `peer_has_closed` and `dup_high` make
//! several. If a signal interrupts a call, it is made again, except [`futex_wait`]. An error contains the call and
//! the errno. The usual reason follows from both (`error/call.rs`), and the caller may add a better one.
//! Descriptors are borrowed as `BorrowedFd` and made as `OwnedFd`. New ones are close-on-exec unless the
//! caller of [`create`] asks otherwise, and never have a number below 3.

#![allow(unsafe_code, reason = "the boundary to the kernel")]

mod copy;
pub mod fd;
#[cfg(feature = "net")]
mod socket;
mod unix;

// Android is Linux with another C library.
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
pub(crate) use socket::{is_stream, peer_has_closed, recvmsg, sendmsg};
pub(crate) use system::{
    copy_file_range, create, create_like, exec_seal_finds_writers, futex_wait, futex_wake, huge_page_size,
    madvise_collapse, madvise_hugepage, madvise_populate_read, madvise_populate_write, punch_hole, sendfile, splice,
    transparent_huge_page_size, try_exec_flags,
};
pub(crate) use unix::{
    Access, Timer, add_seals, dup, fallocate, free_address, fstat, ftruncate, get_seals, has_position, is_above_stdio,
    is_read_only, let_inherit, mlock, mmap, munmap, nanosleep, open_read_only, populate, pread, pwrite, read, readlink,
    seek, seek_back, try_map, with_c_str, write,
};
#[cfg(feature = "std")]
pub(crate) use unix::{O_CLOEXEC, O_NONBLOCK, dup_high, has_seals, pread_to_vec};
