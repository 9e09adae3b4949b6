//! The portable copy of shared memory, on memory of this process: a program of its own that makes
//! no system call, so that Miri can run it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the report")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers in tests are small")]
#![allow(unsafe_code, reason = "the copies take pointers")]

#[path = "../src/sys/copy/words.rs"]
#[allow(unreachable_pub, reason = "it is a module of the crate")]
mod copy_words;

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const WORD: usize = size_of::<usize>();
/// Miri runs every instruction by itself, which takes long.
const LEN: usize = if cfg!(miri) { 3 } else { 8 } * WORD;

/// Memory that is accessed by words.
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
            // The target is off every alignment too.
            for shift in 0..3 {
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

/// The other bytes of a word that is written in part are not written.
#[test]
fn neighbours_in_a_word() {
    let words = Words::of([0; LEN]);
    std::thread::scope(|scope| {
        for thread in 0..WORD {
            let words = &words;
            scope.spawn(move || {
                for round in (0..=255).step_by(if cfg!(miri) { 51 } else { 1 }) {
                    // SAFETY: One byte of the words, which are atomic.
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
