//! Does what programs do with slices: compares them, copies within them, fills and sorts them. Ends with 0 if everything is right, and
//! otherwise with the number of the first check that fails.
#![no_std]
#![no_main]

use core::cmp::Ordering;
use core::ffi::CStr;
use core::hint::black_box;

use no_libc as _;

const LEN: usize = 40;

#[unsafe(no_mangle)]
fn program() -> i32 {
    let checks = [copies_within, compares, fills, sorts, measures];
    checks.iter().zip(1..).find(|(check, _)| !check()).map_or(0, |(_, number)| number)
}

/// 0, 1, 2 and so on, which the compiler cannot compute in advance.
fn numbers() -> [u8; LEN] {
    black_box(core::array::from_fn(|i| i as u8))
}

/// `memmove`: from every place to every place, so in both directions.
fn copies_within() -> bool {
    (0..LEN).all(|from| (0..LEN).all(|to| (0..=LEN - from.max(to)).all(|len| is_moved(from, to, len))))
}

fn is_moved(from: usize, to: usize, len: usize) -> bool {
    let mut bytes = numbers();
    bytes.copy_within(from..from + len, to);
    let expected = |i| if (to..to + len).contains(&i) { i - to + from } else { i };
    bytes.iter().enumerate().all(|(i, &byte)| usize::from(byte) == expected(i))
}

/// `memcmp` and `bcmp`: slices that differ in one byte, which must be compared as unsigned.
fn compares() -> bool {
    (0..LEN).all(|place| {
        let (low, mut high) = (numbers(), numbers());
        high[place] = 200;
        let (low, high) = (&low[..], black_box(&high[..]));
        let (before, also_before) = (&low[..place], &high[..place]);
        let orders = [low.cmp(high), high.cmp(low), before.cmp(also_before)];
        orders == [Ordering::Less, Ordering::Greater, Ordering::Equal] && low != high && before == also_before
    })
}

/// `memset` and `memcpy`.
fn fills() -> bool {
    (0..LEN).all(|place| {
        let mut bytes = numbers();
        bytes[place..].fill(7);
        let copy = black_box(bytes);
        copy.iter().enumerate().all(|(i, &byte)| usize::from(byte) == if i < place { i } else { 7 })
    })
}

/// Sorting moves elements of all sizes, and `rotate_left` many of them.
fn sorts() -> bool {
    let mut bytes = numbers();
    bytes.reverse();
    bytes.rotate_left(7);
    let mut pairs = bytes.map(|byte| (byte / 2, u64::from(byte)));
    bytes.sort_unstable();
    pairs.sort_unstable();
    bytes == numbers() && pairs.iter().map(|&(_, number)| number).eq(0..LEN as u64)
}

/// `strlen`.
fn measures() -> bool {
    // SAFETY: A literal of this kind ends with a NUL.
    let text = |text: &'static CStr| unsafe { CStr::from_ptr(black_box(text.as_ptr())) }.to_bytes();
    text(c"").is_empty() && text(c"name") == b"name"
}
