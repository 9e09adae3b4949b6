//! Copies of memory that others change meanwhile, word by word, for every processor.
//!
//! Each word is read and written by one relaxed atomic access, and a word of which only a part is
//! written is exchanged as a whole, so that all accesses of this process have one size.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const WORD: usize = size_of::<usize>();

/// # Safety
/// `source` is readable for the length of `target`, to the ends of the words that it begins and
/// ends in, and no reference to it exists but to atomic words.
pub(crate) unsafe fn copy_from_shared(source: NonNull<u8>, target: &mut [u8]) {
    let (head, rest) = target.split_at_mut(head_len(source, target.len()));
    let mut word = source;
    if !head.is_empty() {
        // SAFETY: The word holds the range's first byte.
        let bytes = unsafe { word_of(source) }.load(Relaxed).to_ne_bytes();
        copy_part(&bytes, word_offset(source), head);
        // SAFETY: Within the range or at its end.
        word = unsafe { word.add(head.len()) };
    }
    let mut chunks = rest.chunks_exact_mut(WORD);
    for chunk in &mut chunks {
        // SAFETY: The word lies within the range.
        let bytes = unsafe { word_of(word) }.load(Relaxed).to_ne_bytes();
        chunk.copy_from_slice(&bytes);
        // SAFETY: Within the range or at its end.
        word = unsafe { word.add(WORD) };
    }
    let tail = chunks.into_remainder();
    if !tail.is_empty() {
        // SAFETY: The word holds the range's last byte.
        let bytes = unsafe { word_of(word) }.load(Relaxed).to_ne_bytes();
        copy_part(&bytes, 0, tail);
    }
}

/// # Safety
/// `target` is writable for the length of `source`, to the ends of the words that it begins and
/// ends in, and no reference to it exists but to atomic words.
pub(crate) unsafe fn copy_to_shared(source: &[u8], target: NonNull<u8>) {
    let (head, rest) = source.split_at(head_len(target, source.len()));
    let mut word = target;
    if !head.is_empty() {
        // SAFETY: The word holds the range's first byte.
        write_part(unsafe { word_of(target) }, word_offset(target), head);
        // SAFETY: Within the range or at its end.
        word = unsafe { word.add(head.len()) };
    }
    let chunks = rest.chunks_exact(WORD);
    let tail = chunks.remainder();
    for chunk in chunks {
        let value = usize::from_ne_bytes(chunk.try_into().unwrap_or_default());
        // SAFETY: The word lies within the range.
        unsafe { word_of(word) }.store(value, Relaxed);
        // SAFETY: Within the range or at its end.
        word = unsafe { word.add(WORD) };
    }
    if !tail.is_empty() {
        // SAFETY: The word holds the range's last byte.
        write_part(unsafe { word_of(word) }, 0, tail);
    }
}

/// The place of a byte within its word.
fn word_offset(byte: NonNull<u8>) -> usize {
    byte.addr().get() & (WORD - 1)
}

/// How many bytes come before the first whole word.
fn head_len(start: NonNull<u8>, len: usize) -> usize {
    (word_offset(start).wrapping_neg() & (WORD - 1)).min(len)
}

/// # Safety
/// The word that holds `byte` is mapped for `'a`, and accessed as an atomic word alone.
unsafe fn word_of<'a>(byte: NonNull<u8>) -> &'a AtomicUsize {
    let start = byte.map_addr(|address| address.get().wrapping_sub(word_offset(byte)).try_into().unwrap_or(address));
    // SAFETY: By this function's contract; rounding down made it aligned.
    unsafe { start.cast::<AtomicUsize>().as_ref() }
}

fn copy_part(bytes: &[u8; WORD], offset: usize, target: &mut [u8]) {
    for (target, &byte) in target.iter_mut().zip(bytes.iter().skip(offset)) {
        *target = byte;
    }
}

/// Replaces a part of a word, and leaves the rest as others have written it. If the word changes
/// meanwhile, it tries again, so a peer that changes it without pause can delay this.
fn write_part(word: &AtomicUsize, offset: usize, source: &[u8]) {
    let mut old = word.load(Relaxed);
    loop {
        let mut bytes = old.to_ne_bytes();
        for (target, &byte) in bytes.iter_mut().skip(offset).zip(source) {
            *target = byte;
        }
        match word.compare_exchange_weak(old, usize::from_ne_bytes(bytes), Relaxed, Relaxed) {
            Ok(_) => return,
            Err(changed) => old = changed,
        }
    }
}
