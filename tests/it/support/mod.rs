//! Helpers of the tests. This module contains no tests.

pub(crate) mod check;
pub(crate) mod child;
pub(crate) mod descriptors;
pub(crate) mod forked;
pub(crate) mod huge;
pub(crate) mod noexec;
pub(crate) mod peer;
pub(crate) mod proc_self;
pub(crate) mod seccomp;
pub(crate) mod skip;
pub(crate) mod supervisor;
pub(crate) mod syscalls;
pub(crate) mod tmpfs;

/// Bytes in which each page and each word differs from its neighbours, so that a comparison notices
/// shifted or repeated parts.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut bytes = period.repeat(len / period.len() + 1);
    bytes.truncate(len);
    bytes
}

/// How often two processes wake each other in a test: `MEMFILE_TEST_ROUNDS` times, or as often as is
/// usual. A million takes a native processor half a minute, and an emulated one an hour.
pub(crate) fn rounds(usual: u32) -> u32 {
    std::env::var("MEMFILE_TEST_ROUNDS").map_or(usual, |rounds| rounds.parse().unwrap())
}

/// The size of an ordinary page.
pub(crate) fn page() -> u64 {
    rustix::param::page_size() as u64
}

/// 8 MiB: a multiple of the size of a transparent huge page, unless huge pages are larger than this.
/// A file of one byte never gets more memory than this.
pub(crate) const BEYOND_A_HUGE_PAGE: u64 = 8 << 20;

/// Compiles only for types that can be sent to any thread and live forever.
pub(crate) fn assert_goes_anywhere<T: Send + Sync + 'static>() {}
