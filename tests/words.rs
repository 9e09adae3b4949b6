//! The portable copy of shared memory, and integers within words, on memory of this process. This
//! program makes no system calls, so that Miri can run it for processors of either byte order, and
//! with many of the reorderings of memory accesses that Rust's memory model allows (`ci/miri`).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers in tests are small")]
#![allow(unsafe_code, reason = "the copies take pointers")]

#[path = "../src/sys/copy/words.rs"]
#[allow(unreachable_pub, reason = "it is a module of the crate")]
mod copy_words;

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
#[path = "../src/sys/copy/x86_64.rs"]
#[allow(unreachable_pub, reason = "it is a module of the crate")]
mod copy_assembly;

#[path = "../src/map/field.rs"]
#[allow(unreachable_pub, dead_code, reason = "it is a module of the crate")]
mod field;

use core::ptr::NonNull;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicUsize, fence};
use std::thread;

use field::{Field, Integer, Waitable};

const WORD: usize = size_of::<usize>();
/// Short under Miri, which is slow.
const LEN: usize = if cfg!(miri) { 3 } else { 8 } * WORD;

/// Memory that is accessed in words.
struct Words([AtomicUsize; LEN / WORD]);

impl Words {
    fn of(bytes: [u8; LEN]) -> Self {
        let word = |i: usize| bytes[i * WORD..][..WORD].try_into().unwrap();
        Self(core::array::from_fn(|i| AtomicUsize::new(usize::from_ne_bytes(word(i)))))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect()
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        // SAFETY: The offset is at most the length.
        unsafe { NonNull::from(&self.0).cast::<u8>().add(offset) }
    }
}

#[test]
fn every_offset_and_length() {
    let memory: [u8; LEN] = core::array::from_fn(|i| i as u8 + 1);
    let source: [u8; LEN] = core::array::from_fn(|i| i as u8 + 101);
    for offset in 0..=LEN {
        for len in 0..=LEN - offset {
            let words = Words::of(memory);
            // The target is unaligned, too.
            for shift in if cfg!(miri) { 1..2 } else { 0..3 } {
                let mut target = vec![0xee; len + 4];
                // SAFETY: The range lies within the words.
                unsafe { copy_words::copy_from_shared(words.at(offset), &mut target[shift..shift + len]) };
                let mut expected = vec![0xee; len + 4];
                expected[shift..shift + len].copy_from_slice(&memory[offset..offset + len]);
                assert_eq!(target, expected, "{len} bytes from {offset}");
            }
            // SAFETY: As before.
            unsafe { copy_words::copy_to_shared(&source[..len], words.at(offset)) };
            let mut expected = memory.to_vec();
            expected[offset..offset + len].copy_from_slice(&source[..len]);
            assert_eq!(words.bytes(), expected, "{len} bytes to {offset}");
        }
    }
}

/// Writing a part of a word does not write its other bytes.
#[test]
fn neighbours_in_a_word() {
    let words = Words::of([0; LEN]);
    thread::scope(|scope| {
        for thread in 0..WORD {
            let words = &words;
            scope.spawn(move || {
                for round in (0..=255).step_by(if cfg!(miri) { 51 } else { 1 }) {
                    // SAFETY: The byte lies within the words, which are atomic.
                    unsafe { copy_words::copy_to_shared(&[round], words.at(thread)) };
                    let mut byte = [0];
                    // SAFETY: As before.
                    unsafe { copy_words::copy_from_shared(words.at(thread), &mut byte) };
                    assert_eq!(byte, [round]);
                }
            });
        }
    });
    assert_eq!(words.bytes()[..WORD], [255; WORD]);
}

/// The assembly copies the same bytes, also without `std`, where it uses fewer registers.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(miri)))]
#[test]
fn assembly() {
    const LEN: usize = 4096;
    let source: [u8; LEN] = core::array::from_fn(|i| (i % 251) as u8 + 1);
    for start in 0..17 {
        for len in (0..700).chain(1500..1700) {
            let mut target = [0; LEN];
            // SAFETY: The offset is less than the length.
            let place = unsafe { NonNull::from(&mut target).cast::<u8>().add(start) };
            // SAFETY: The range lies within the target, which nothing else uses.
            unsafe { copy_assembly::copy_to_shared(&source[3..3 + len], place) };
            let mut back = vec![0; len + 2];
            // SAFETY: As before.
            unsafe { copy_assembly::copy_from_shared(place, &mut back[1..=len]) };
            assert_eq!(target[start..start + len], source[3..3 + len], "{len} bytes to {start}");
            assert!(target[..start].iter().chain(&target[start + len..]).all(|&byte| byte == 0));
            assert_eq!((back[0], &back[1..=len], back[len + 1]), (0, &source[3..3 + len], 0));
        }
    }
}

/// As `SharedMap` promises, copies and fences make a sequence lock whose readers get single values.
/// The copies begin and end within a word.
#[test]
fn a_sequence_lock() {
    const ROUNDS: usize = if cfg!(miri) { 4 } else { 100_000 };
    const BYTES: usize = LEN - 2;
    let sequence = AtomicUsize::new(0);
    let words = Words::of([0; LEN]);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                sequence.store(2 * round - 1, Relaxed);
                fence(Release);
                // SAFETY: The range lies within the words.
                unsafe { copy_words::copy_to_shared(&[round as u8; BYTES], words.at(1)) };
                sequence.store(2 * round, Release);
            }
        });
        scope.spawn(|| {
            loop {
                let mut bytes = [0; BYTES];
                let before = sequence.load(Acquire);
                // SAFETY: The range lies within the words.
                unsafe { copy_words::copy_from_shared(words.at(1), &mut bytes) };
                fence(Acquire);
                if before % 2 == 0 && sequence.load(Relaxed) == before {
                    assert_eq!(bytes, [(before / 2) as u8; BYTES]);
                    if before == 2 * ROUNDS {
                        return;
                    }
                }
                thread::yield_now();
            }
        });
    });
}

/// An integer within a word consists of exactly the bytes at its offset, in either byte order.
#[test]
fn integers_in_a_word() {
    fn at<T: Integer + core::fmt::Debug, const SIZE: usize>(bytes: fn(T) -> [u8; SIZE], values: [T; 3]) {
        let old: [u8; WORD] = core::array::from_fn(|i| 0xa0 + i as u8);
        for offset in 0..4 * WORD {
            let Some(field) = Field::<T>::at(offset as u64) else {
                assert_ne!(offset % SIZE, 0);
                continue;
            };
            assert_eq!(offset % SIZE, 0);
            assert_eq!(field.first_byte(), offset % WORD, "what the kernel compares");
            for value in values {
                let word = field.set(usize::from_ne_bytes(old), value);
                let mut expected = old;
                expected[offset % WORD..][..SIZE].copy_from_slice(&bytes(value));
                assert_eq!(word.to_ne_bytes(), expected);
                assert_eq!(field.get(word), value);
            }
        }
    }
    at(u8::to_ne_bytes, [0, 1, u8::MAX]);
    at(i8::to_ne_bytes, [i8::MIN, -1, 5]);
    at(u16::to_ne_bytes, [1, 0x1234, u16::MAX]);
    at(i16::to_ne_bytes, [i16::MIN, -2, 0x1234]);
    at(u32::to_ne_bytes, [1, 0x1234_5678, u32::MAX]);
    at(i32::to_ne_bytes, [i32::MIN, -2, 0x1234_5678]);
    at(usize::to_ne_bytes, [1, 0x1234_5678, usize::MAX]);
    at(isize::to_ne_bytes, [isize::MIN, -2, 0x1234_5678]);
    #[cfg(target_pointer_width = "64")]
    at(u64::to_ne_bytes, [1, 0x1234_5678_9abc_def0, u64::MAX]);
    #[cfg(target_pointer_width = "64")]
    at(i64::to_ne_bytes, [i64::MIN, -2, 0x1234_5678_9abc_def0]);
    assert_eq!([(-2_i32).to_u32(), 7_i32.to_u32(), u32::MAX.to_u32()], [0xffff_fffe, 7, u32::MAX]);
}
