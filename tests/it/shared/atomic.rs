//! Atomic integers in shared memory: their alignment, their operations, and that no update is lost.

use std::fmt::Debug;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::thread;

use memfile::{AtomicInteger, Error, MemFile, SharedAtomic, SharedAtomicView, SharedMap};

use super::{map, view};
use crate::support::check::{range, refused};
use crate::support::peer::{Channel, Peer};

/// Integers of every width at every offset of a file that ends within a word: only those that are
/// aligned and in bounds exist, and others cause the right error.
#[test]
fn atomics_everywhere() {
    fn at<T: AtomicInteger + Debug>(len: usize, bytes: fn(T) -> Vec<u8>, value: T) {
        let size = size_of::<T>();
        let map = map("shared atomics", len as u64);
        let view = view(&map);
        for offset in 0..len + 20 {
            let (atomic, seen) = (map.atomic::<T>(offset), view.atomic::<T>(offset));
            let message = if offset + size > len {
                range(offset as u64, (offset + size) as u64, len as u64)
            } else {
                let plural = if size == 1 { "" } else { "s" };
                format!("the offset {offset} is not a multiple of the value's size ({size} byte{plural})")
            };
            if offset + size > len || offset % size != 0 {
                assert!(refused(atomic, None, &message).is_out_of_bounds());
                refused(seen, None, &message);
                continue;
            }
            let (atomic, seen): (SharedAtomic<T>, SharedAtomicView<T>) = (atomic.unwrap(), seen.unwrap());
            map.write_all_at(&vec![0xaa; len], 0).unwrap();
            atomic.store(value, SeqCst);
            let mut model = vec![0xaa; len];
            model[offset..offset + size].copy_from_slice(&bytes(value));
            let mut whole = vec![0; len];
            map.read_exact_at(&mut whole, 0).unwrap();
            assert_eq!(whole, model, "the neighbours have changed");
            assert_eq!((atomic.load(SeqCst), seen.load(SeqCst)), (value, value));
            assert_eq!((format!("{atomic:?}"), format!("{seen:?}")), (format!("{value:?}"), format!("{value:?}")));
        }
        for offset in [usize::MAX, usize::MAX - size + 1, isize::MAX as usize] {
            let message = range(offset as u64, (offset as u64).saturating_add(size as u64), len as u64);
            refused(map.atomic::<T>(offset), None, &message);
            refused(view.atomic::<T>(offset), None, &message);
        }
    }
    for len in [8, 29, 4096, 4097 + 4] {
        at::<u8>(len, |value| value.to_ne_bytes().into(), 0x12);
        at::<u16>(len, |value| value.to_ne_bytes().into(), 0x1234);
        at::<u32>(len, |value| value.to_ne_bytes().into(), 0x1234_5678);
        at::<usize>(len, |value| value.to_ne_bytes().into(), 0x1234_5678);
        at::<i8>(len, |value| value.to_ne_bytes().into(), -0x12);
        at::<i16>(len, |value| value.to_ne_bytes().into(), -0x1234);
        at::<i32>(len, |value| value.to_ne_bytes().into(), -0x1234_5678);
        at::<isize>(len, |value| value.to_ne_bytes().into(), -0x1234_5678);
        #[cfg(target_pointer_width = "64")]
        at::<u64>(len, |value| value.to_ne_bytes().into(), 0x1234_5678_9abc_def0);
        #[cfg(target_pointer_width = "64")]
        at::<i64>(len, |value| value.to_ne_bytes().into(), -0x1234_5678_9abc_def0);
    }
}

/// The operations do the same as those of `core::sync::atomic`, and accept every ordering.
#[test]
fn atomic_operations() {
    fn check<T>(map: &SharedMap, offset: usize, max: T)
    where
        T: AtomicInteger + From<u8> + Debug,
    {
        let t = T::from;
        let atomic = map.atomic::<T>(offset).unwrap();
        for order in [Relaxed, Acquire, Release, AcqRel, SeqCst] {
            atomic.store(t(5), order);
            assert_eq!(atomic.load(order), t(5));
            assert_eq!(atomic.swap(t(6), order), t(5));
            assert_eq!(atomic.fetch_add(t(4), order), t(6));
            assert_eq!(atomic.fetch_sub(t(2), order), t(10));
            assert_eq!(atomic.fetch_and(t(12), order), t(8));
            assert_eq!(atomic.fetch_or(t(3), order), t(8));
            assert_eq!(atomic.fetch_xor(t(6), order), t(11));
            assert_eq!(atomic.fetch_xor(t(6), order), t(13));
            assert_eq!(atomic.fetch_max(t(10), order), t(11));
            assert_eq!(atomic.fetch_max(t(12), order), t(11));
            assert_eq!(atomic.fetch_min(t(13), order), t(12));
            assert_eq!(atomic.fetch_min(t(10), order), t(12));
            assert_eq!(atomic.fetch_nand(t(6), order), t(10));
            // The value is now !(10 & 6). A nand with all bits inverts it, to 2.
            atomic.fetch_nand(max, order);
            assert_eq!(atomic.swap(t(11), order), t(2));
            for failure in [Relaxed, Acquire, Release, AcqRel, SeqCst] {
                assert_eq!(atomic.compare_exchange_weak(t(9), t(1), order, failure), Err(t(11)));
                let mut failures = 0;
                while atomic.compare_exchange_weak(t(11), t(11), order, failure) != Ok(t(11)) {
                    failures += 1;
                    assert!(failures < 1000, "compare_exchange_weak never succeeds");
                }
                assert_eq!(atomic.compare_exchange(t(9), t(1), order, failure), Err(t(11)));
                assert_eq!(atomic.compare_exchange(t(11), t(1), order, failure), Ok(t(11)));
                assert_eq!(atomic.fetch_update(order, failure, |_| None), Err(t(1)));
                assert_eq!(atomic.fetch_update(order, failure, |old| (old == t(1)).then_some(t(11))), Ok(t(1)));
            }
            atomic.store(max, order);
            assert_eq!(atomic.fetch_add(t(1), order), max);
            assert_eq!(atomic.load(order), t(0), "does not wrap around");
            assert_eq!(atomic.fetch_sub(t(1), order), t(0));
            assert_eq!(atomic.load(order), max);
        }
    }
    fn signed<T: AtomicInteger + From<i8> + Debug>(map: &SharedMap, offset: usize, min: T, max: T) {
        let t = T::from;
        let atomic = map.atomic::<T>(offset).unwrap();
        for order in [Relaxed, Acquire, Release, AcqRel, SeqCst] {
            atomic.store(t(-5), order);
            assert_eq!(atomic.load(order), t(-5));
            assert_eq!(atomic.fetch_add(t(7), order), t(-5));
            assert_eq!(atomic.fetch_sub(t(4), order), t(2));
            assert_eq!(atomic.fetch_max(t(-3), order), t(-2));
            assert_eq!(atomic.fetch_min(t(-3), order), t(-2));
            assert_eq!(atomic.fetch_max(t(1), order), t(-3));
            assert_eq!(atomic.fetch_min(t(-1), order), t(1));
            assert_eq!(atomic.fetch_and(t(-8), order), t(-1));
            assert_eq!(atomic.fetch_or(t(1), order), t(-8));
            assert_eq!(atomic.fetch_xor(t(-1), order), t(-7));
            assert_eq!(atomic.fetch_nand(t(-1), order), t(6));
            assert_eq!(atomic.compare_exchange(t(7), max, order, order), Err(t(-7)));
            assert_eq!(atomic.compare_exchange(t(-7), max, order, order), Ok(t(-7)));
            assert_eq!(atomic.fetch_add(t(1), order), max);
            assert_eq!(atomic.fetch_sub(t(1), order), min, "does not wrap around");
            assert_eq!(atomic.load(order), max);
        }
    }
    let map = map("shared operations", 64);
    signed::<i8>(&map, 1, i8::MIN, i8::MAX);
    signed::<i16>(&map, 2, i16::MIN, i16::MAX);
    signed::<i32>(&map, 12, i32::MIN, i32::MAX);
    signed::<isize>(&map, 16, isize::MIN, isize::MAX);
    #[cfg(target_pointer_width = "64")]
    signed::<i64>(&map, 24, i64::MIN, i64::MAX);
    map.write_all_at(&[0x55; 64], 0).unwrap();
    check::<u8>(&map, 9, u8::MAX);
    check::<u16>(&map, 18, u16::MAX);
    check::<u32>(&map, 36, u32::MAX);
    check::<usize>(&map, 48, usize::MAX);
    let mut whole = [0; 64];
    map.read_exact_at(&mut whole, 0).unwrap();
    let expected: [u8; 64] = std::array::from_fn(|i| match i {
        9 | 18..20 | 36..40 => 0xff,
        i if (48..48 + size_of::<usize>()).contains(&i) => 0xff,
        _ => 0x55,
    });
    assert_eq!(whole, expected, "the neighbours have changed");
}

/// Narrow integers in one word, and bytes that are copied next to them, do not affect each other.
#[test]
fn neighbours_in_a_word() {
    const ROUNDS: u16 = 20_000;
    let map = map("shared neighbours", 8);
    let atomic = |offset: usize| map.atomic::<u16>(offset).unwrap();
    thread::scope(|scope| {
        for offset in [0, 2, 4] {
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    atomic(offset).fetch_add(1, Relaxed);
                }
            });
        }
        let map = &map;
        scope.spawn(move || {
            for round in 0..ROUNDS {
                map.atomic::<u8>(6).unwrap().store(round as u8, Relaxed);
            }
        });
    });
    assert_eq!([0, 2, 4].map(|offset| atomic(offset).load(Relaxed)), [ROUNDS; 3]);
    assert_eq!(map.atomic::<u16>(6).unwrap().load(Relaxed).to_ne_bytes(), [(ROUNDS - 1) as u8, 0]);
}

const COUNT: u32 = 100_000;

/// Two processes increment the same integers.
#[test]
fn counters_of_two_processes() {
    let Some(peer) = Peer::start(|channel| {
        add(channel);
    }) else {
        return;
    };
    let map = map("shared count", 4096);
    peer.channel().send(b'm', &[map.as_fd()]);
    peer.channel().expect(b'r');
    count(&map).unwrap();
    peer.channel().expect(b'o');
    peer.finish();
    assert_eq!(map.atomic::<usize>(8).unwrap().load(Acquire), 2 * COUNT as usize);
    assert_eq!(map.atomic::<u32>(16).unwrap().load(Acquire), 2 * COUNT);
    assert_eq!(map.atomic::<u16>(20).unwrap().load(Acquire), (2 * COUNT) as u16);
}

fn count(map: &SharedMap) -> Result<(), Error> {
    for _ in 0..COUNT {
        map.atomic::<usize>(8)?.fetch_add(1, AcqRel);
        map.atomic::<u32>(16)?.fetch_add(1, AcqRel);
        map.atomic::<u16>(20)?.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// The other process of [`counters_of_two_processes`].
fn add(channel: &Channel) {
    let file = MemFile::from_fd(channel.expect(b'm').pop().unwrap()).unwrap();
    let map = SharedMap::try_from(file).unwrap();
    channel.send(b'r', &[]);
    count(&map).unwrap();
    channel.send(b'o', &[]);
}
