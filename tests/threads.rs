//! Tests of what `Send` and `Sync` promise, with threads. They are a program of their own, so that
//! ThreadSanitizer can run them alone.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use core::sync::atomic::{Ordering, fence};
use std::sync::Arc;
use std::thread;

use memfile::{CreateOptions, Exec, MemFile, SealedFile, SharedMap, SharedView};

// `tests/heap` includes these tests for Miri, which is slow.
const ROUNDS: usize = if cfg!(miri) { 10 } else { 10_000 };
const THREADS: usize = if cfg!(miri) { 2 } else { 4 };

fn shared() -> SharedMap {
    let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    let file = MemFile::create("threads", options).unwrap();
    file.set_len(4096).unwrap();
    file.share().unwrap()
}

/// No update of integers of any width in one word is lost.
#[test]
fn counters_of_one_word() {
    let map = shared();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    map.atomic::<u8>(0).unwrap().fetch_add(1, Ordering::Relaxed);
                    map.atomic::<u16>(2).unwrap().fetch_add(1, Ordering::AcqRel);
                    map.atomic::<u32>(4).unwrap().fetch_add(1, Ordering::SeqCst);
                    map.atomic::<usize>(8).unwrap().fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let total = ROUNDS * THREADS;
    assert_eq!(usize::from(map.atomic::<u8>(0).unwrap().load(Ordering::Relaxed)), total % 256);
    assert_eq!(usize::from(map.atomic::<u16>(2).unwrap().load(Ordering::Relaxed)), total % 65536);
    assert_eq!(map.atomic::<u32>(4).unwrap().load(Ordering::Relaxed) as usize, total);
    assert_eq!(map.atomic::<usize>(8).unwrap().load(Ordering::Relaxed), total);
}

/// A thread that acquires a released value sees what was written before the release, also through a
/// view.
#[test]
fn release_and_acquire() {
    let map = shared();
    let view = SharedView::try_from(map.as_mem_file().try_clone().unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                map.atomic::<usize>(64).unwrap().store(round, Ordering::Relaxed);
                map.atomic::<usize>(0).unwrap().store(round, Ordering::Release);
            }
        });
        scope.spawn(|| {
            loop {
                let flag = view.atomic::<usize>(0).unwrap().load(Ordering::Acquire);
                assert!(view.atomic::<usize>(64).unwrap().load(Ordering::Relaxed) >= flag);
                if flag == ROUNDS {
                    break;
                }
                thread::yield_now();
            }
        });
    });
}

/// A lock made of an integer protects bytes that are copied.
#[test]
fn copies_under_a_lock() {
    let map = shared();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let map = &map;
            scope.spawn(move || {
                let lock = map.atomic::<usize>(0).unwrap();
                for round in 0..ROUNDS / 10 {
                    while lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
                        thread::yield_now();
                    }
                    let byte = (thread * 31 + round).to_le_bytes()[0];
                    map.write_all_at(&[byte; 100], 101).unwrap();
                    let mut bytes = [0; 100];
                    map.read_exact_at(&mut bytes, 101).unwrap();
                    assert_eq!(bytes, [byte; 100]);
                    lock.store(0, Ordering::Release);
                }
            });
        }
    });
}

/// In a sequence lock, a reader copies without a lock, and then checks whether the copy is a single
/// value. The lengths cover each way of copying.
#[test]
fn copies_under_a_sequence_lock() {
    for len in if cfg!(miri) { &[7, 30][..] } else { &[7, 100, 256, 2000] }.iter().copied() {
        let map = shared();
        let view = SharedView::try_from(map.as_mem_file().try_clone().unwrap()).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let sequence = map.atomic::<usize>(0).unwrap();
                for round in 1..=ROUNDS {
                    sequence.store(2 * round - 1, Ordering::Relaxed);
                    fence(Ordering::Release);
                    map.write_all_at(&vec![round.to_le_bytes()[0]; len], 77).unwrap();
                    sequence.store(2 * round, Ordering::Release);
                }
            });
            scope.spawn(|| {
                let sequence = view.atomic::<usize>(0).unwrap();
                let mut bytes = vec![0; len];
                loop {
                    let before = sequence.load(Ordering::Acquire);
                    view.read_exact_at(&mut bytes, 77).unwrap();
                    fence(Ordering::Acquire);
                    if before % 2 == 0 && sequence.load(Ordering::Relaxed) == before {
                        assert_eq!(bytes, vec![(before / 2).to_le_bytes()[0]; len]);
                        if before == 2 * ROUNDS {
                            break;
                        }
                    }
                }
            });
        });
    }
}

/// Threads can share a map, and it outlives its file.
#[test]
fn a_map_in_many_threads() {
    const LEN: usize = if cfg!(miri) { 1_000 } else { 100_000 };
    let map = Arc::new(SealedFile::create_with("threads", LEN, |bytes| bytes.fill(7)).unwrap().map().unwrap());
    let threads = [(); THREADS].map(|()| {
        let map = Arc::clone(&map);
        thread::spawn(move || map.iter().map(|&byte| usize::from(byte)).sum::<usize>())
    });
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 7 * LEN);
    }
}
