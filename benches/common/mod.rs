//! What the benches share: sizes, bytes, and how long to measure.

#![allow(dead_code, reason = "each bench uses a part")]

use std::time::Duration;

use criterion::Criterion;

/// From nothing to 256 MiB.
pub(crate) const SIZES: [usize; 6] = [0, 4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20];

/// Short series, so that `cargo bench` takes minutes.
pub(crate) fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args()
}

/// Bytes that are not all the same.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8)).to_le_bytes()[0]).collect()
}

/// Fast enough to be limited by memory.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let sum = words
        .by_ref()
        .fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(word.try_into().unwrap_or_default())));
    words.remainder().iter().fold(sum, |sum, &byte| sum.wrapping_add(byte.into()))
}

/// For people: 4 KiB, 16 MiB.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    }
}
