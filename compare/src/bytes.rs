//! Bytes to work on, and how their number is shown. `benches/` includes this file too, so it has no
//! dependencies, and contains only what both packages use.

/// From one page to more than any cache holds.
pub const SIZES: [usize; 5] = [4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20];

/// Bytes that are not all the same.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8)).to_le_bytes()[0]).collect()
}

/// Formats a number of bytes: 4 KiB, 16 MiB.
pub fn size(bytes: usize) -> String {
    match bytes {
        b if b >= 1 << 20 => format!("{} MiB", b >> 20),
        b if b >= 1 << 10 => format!("{} KiB", b >> 10),
        b => format!("{b} B"),
    }
}
