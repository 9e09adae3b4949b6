//! What the tests share. No test stands here.

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

/// Bytes of which each page and each word differs from its neighbours, so that a shifted or
/// repeated part is noticed.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut bytes = period.repeat(len / period.len() + 1);
    bytes.truncate(len);
    bytes
}

/// The size of an ordinary page.
pub(crate) fn page() -> u64 {
    rustix::param::page_size() as u64
}

/// More than the memory of a file of one byte under any policy for huge pages of this size or less,
/// and a whole number of them.
pub(crate) const BEYOND_A_HUGE_PAGE: u64 = 8 << 20;

/// Compiles only for types that can go to any thread and live there for ever.
pub(crate) fn assert_goes_anywhere<T: Send + Sync + 'static>() {}
