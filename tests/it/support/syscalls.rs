//! The system calls of the crate: their numbers on this processor, and the names that they have in
//! its errors.

use libc::c_long;

/// The calls that exist on every processor.
const CALLS: &[(c_long, &str)] = &[
    (libc::SYS_memfd_create, "memfd_create"),
    (libc::SYS_statx, "fstat"),
    (libc::SYS_fallocate, "fallocate"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_pread64, "pread"),
    (libc::SYS_pwrite64, "pwrite"),
    (libc::SYS_read, "read"),
    (libc::SYS_write, "write"),
    (libc::SYS_copy_file_range, "copy_file_range"),
    (libc::SYS_splice, "splice"),
    (libc::SYS_madvise, "madvise"),
    (libc::SYS_futex, "futex"),
    (libc::SYS_timerfd_create, "timerfd_create"),
    (libc::SYS_nanosleep, "nanosleep"),
    // glibc and musl implement `nanosleep` with this.
    (libc::SYS_clock_nanosleep, "nanosleep"),
    (libc::SYS_openat, "open"),
    // rustix uses this if the processor has it.
    #[cfg(any(target_arch = "x86_64", target_arch = "x86", target_arch = "arm"))]
    (libc::SYS_open, "open"),
    (libc::SYS_readlinkat, "readlink"),
    (libc::SYS_getsockopt, "getsockopt(SO_TYPE)"),
    (libc::SYS_sendmsg, "sendmsg"),
    (libc::SYS_recvmsg, "recvmsg"),
];

#[cfg(target_pointer_width = "64")]
const OF_THIS_WIDTH: &[(c_long, &str)] = &[
    (libc::SYS_fcntl, "fcntl"),
    (libc::SYS_fstat, "fstat"),
    // glibc implements `fstat` with this.
    (libc::SYS_newfstatat, "fstat"),
    (libc::SYS_fstatfs, "fstatfs"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_lseek, "lseek"),
    (libc::SYS_sendfile, "sendfile"),
    (libc::SYS_mmap, "mmap"),
    (libc::SYS_timerfd_settime, "timerfd_settime"),
    (libc::SYS_timerfd_gettime, "timerfd_gettime"),
];

#[cfg(target_pointer_width = "32")]
const OF_THIS_WIDTH: &[(c_long, &str)] = &[
    (libc::SYS_fcntl64, "fcntl"),
    (libc::SYS_fstat64, "fstat"),
    (libc::SYS_fstatat64, "fstat"),
    (libc::SYS_fstatfs64, "fstatfs"),
    (libc::SYS_ftruncate64, "ftruncate"),
    (libc::SYS__llseek, "lseek"),
    (libc::SYS_sendfile64, "sendfile"),
    (libc::SYS_mmap2, "mmap"),
    #[cfg(target_arch = "x86")]
    (libc::SYS_socketcall, "socketcall"),
];

/// Each number with its name. Several numbers may have the same name.
#[allow(clippy::useless_conversion, reason = "`c_long` has 32 bits on some")]
pub(crate) fn all() -> impl Iterator<Item = (i64, &'static str)> {
    CALLS.iter().chain(OF_THIS_WIDTH).map(|&(number, name)| (number.into(), name))
}
