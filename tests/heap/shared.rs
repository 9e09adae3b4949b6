//! [`SharedMap`] and [`SharedView`]: copies and integers at every offset, growing, waiting, and the
//! two examples that use them.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use core::time::Duration;
use std::thread;

use memfile::{AtomicInteger, Holes, MemFile, Seal, Seals, SharedMap, SharedView};

use super::pattern;

#[path = "../../examples/latest_value.rs"]
mod latest_value;
#[path = "../../examples/ring.rs"]
mod ring;

const LONG: Duration = Duration::from_secs(3600);
/// Rounds of a test in which threads wait for each other.
const ROUNDS: usize = if cfg!(miri) { 12 } else { 2000 };

fn map(len: u64) -> SharedMap {
    SharedMap::create("shared", len).unwrap()
}

fn view(map: &SharedMap) -> SharedView {
    SharedView::try_from(map.reader().unwrap()).unwrap()
}

/// Ranges that begin and end within a word, at both ends of a map.
#[test]
fn copies() {
    // Short under Miri, because the words are copied one by one.
    const LEN: usize = if cfg!(miri) { 64 + 13 } else { 4096 + 13 };
    let map = map(LEN as u64);
    let view = view(&map);
    let mut model = vec![0; LEN];
    let places = [0, 1, 5, 8, 16, LEN - 16, LEN - 13, LEN - 10, LEN - 1, LEN];
    for (round, &start) in places.iter().enumerate() {
        for &end in &places[round..] {
            let mut bytes = pattern(end - start);
            bytes.iter_mut().for_each(|byte| *byte ^= round as u8);
            map.write_all_at(&bytes, start).unwrap();
            model[start..end].copy_from_slice(&bytes);
            let (mut there, mut whole) = (vec![0; end - start], vec![0; LEN]);
            view.read_exact_at(&mut there, start).unwrap();
            map.read_exact_at(&mut whole, 0).unwrap();
            assert!(there == bytes && whole == model, "{start}..{end}");
        }
    }
    for (len, offset) in [(1, LEN), (2, LEN - 1), (0, LEN + 1), (1, usize::MAX)] {
        assert!(map.write_all_at(&vec![0; len], offset).unwrap_err().is_out_of_bounds());
        assert!(view.read_exact_at(&mut vec![0; len], offset).unwrap_err().is_out_of_bounds());
    }
}

fn integer<T: AtomicInteger + From<u8> + core::fmt::Debug>(map: &SharedMap, view: &SharedView, offset: usize) {
    let t = T::from;
    let size = size_of::<T>();
    if offset % size != 0 || offset + size > map.len() {
        let _ = (map.atomic::<T>(offset).unwrap_err(), view.atomic::<T>(offset).unwrap_err());
        return;
    }
    map.write_all_at(&vec![0xaa; map.len()], 0).unwrap();
    let (atomic, seen) = (map.atomic::<T>(offset).unwrap(), view.atomic::<T>(offset).unwrap());
    for order in [Relaxed, Acquire, Release, AcqRel, SeqCst] {
        atomic.store(t(5), order);
        assert_eq!((atomic.load(order), seen.load(order)), (t(5), t(5)));
        assert_eq!(atomic.swap(t(6), order), t(5));
        assert_eq!(atomic.fetch_add(t(4), order), t(6));
        assert_eq!(atomic.fetch_sub(t(2), order), t(10));
        assert_eq!(atomic.fetch_and(t(12), order), t(8));
        assert_eq!(atomic.fetch_or(t(3), order), t(8));
        assert_eq!(atomic.fetch_xor(t(6), order), t(11));
        assert_eq!(atomic.fetch_nand(t(6), order), t(13));
        assert_eq!(atomic.compare_exchange(t(1), t(2), order, order).unwrap_err(), atomic.fetch_max(t(1), order));
    }
    let mut bytes = vec![0; map.len()];
    map.read_exact_at(&mut bytes, 0).unwrap();
    bytes.drain(offset..offset + size);
    assert!(bytes.iter().all(|&byte| byte == 0xaa), "the neighbours have changed");
}

#[test]
fn integers() {
    let map = map(29);
    let view = view(&map);
    for offset in 0..32 {
        integer::<u8>(&map, &view, offset);
        integer::<u16>(&map, &view, offset);
        integer::<i16>(&map, &view, offset);
        integer::<u32>(&map, &view, offset);
        integer::<usize>(&map, &view, offset);
        #[cfg(target_pointer_width = "64")]
        integer::<i64>(&map, &view, offset);
    }
}

/// Two maps of parts can share a word, in which one ends and the other begins.
#[test]
fn parts() {
    let whole = map(64 * 1024 + 100);
    let clone = || whole.as_mem_file().try_clone().unwrap();
    let file = MemFile::create_sealable("parts").unwrap();
    file.set_len(whole.len() as u64).unwrap();
    file.add_seals(Seals::FIXED_SIZE).unwrap();
    for (start, end) in [(7, 9), (65_530, 65_537), (65_537, 65_550), (65_536 + 99, 65_536 + 100)] {
        let part = SharedMap::map_range(file.try_clone().unwrap(), start..end, Holes::Allocate).unwrap();
        part.write_all_at(&vec![start as u8; part.len()], 0).unwrap();
        part.atomic::<u8>(part.len() - 1).unwrap().fetch_add(1, Relaxed);
        let view = SharedView::map_range(&file, start - 1..end, Holes::Refuse).unwrap();
        let mut bytes = vec![0; view.len()];
        view.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(
            (bytes[1], bytes[view.len() - 1]),
            if part.len() == 1 { (start as u8 + 1, start as u8 + 1) } else { (start as u8, start as u8 + 1) }
        );
    }
    assert!(SharedMap::map_range(clone(), 0..5, Holes::Refuse).is_err(), "FutureWrite");
    assert_eq!(SharedView::map_range(&whole, 5..5, Holes::Refuse).unwrap().len(), 0);
}

#[test]
fn grows() {
    let file = MemFile::create_sealable("grows").unwrap();
    file.set_len(5000).unwrap();
    file.add_seal(Seal::Shrink).unwrap();
    let mut map = SharedMap::try_from(file).unwrap();
    let mut view = SharedView::map(&map, Holes::Refuse).unwrap();
    map.write_all_at(b"bytes", 4990).unwrap();
    for len in [5000, 5001, 20_000] {
        map.grow(len).unwrap();
        assert_eq!(view.refresh(&map, Holes::Refuse).unwrap(), len > 5000);
        let mut bytes = [0; 5];
        view.read_exact_at(&mut bytes, 4990).unwrap();
        assert_eq!((&bytes, view.len() as u64), (b"bytes", len));
        map.atomic::<u8>(map.len() - 1).unwrap().store(1, Relaxed);
        assert_eq!(view.atomic::<u8>(view.len() - 1).unwrap().load(Relaxed), 1);
    }
}

/// Waits for two integers in one word are independent, and no wake-up is lost.
#[test]
fn waiting() {
    let map = map(64);
    let view = view(&map);
    assert!(!view.atomic::<u32>(8).unwrap().wait_timeout(0, Duration::from_millis(1)).unwrap());
    assert!(view.atomic::<u32>(8).unwrap().wait_timeout(1, LONG).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            let (ping, pong) = (view.atomic::<u32>(8).unwrap(), map.atomic::<u32>(12).unwrap());
            for round in 1..=ROUNDS as u32 {
                while ping.load(Acquire) != round {
                    ping.wait(round - 1).unwrap();
                }
                pong.store(round, Release);
                pong.wake_all().unwrap();
            }
        });
        let (ping, pong) = (map.atomic::<u32>(8).unwrap(), view.atomic::<u32>(12).unwrap());
        for round in 1..=ROUNDS as u32 {
            ping.store(round, Release);
            ping.wake_one().unwrap();
            while pong.load(Acquire) != round {
                pong.wait(round - 1).unwrap();
            }
        }
    });
}

/// Records wrap around in a small ring, and each side sleeps until the other wakes it.
#[test]
fn a_ring() {
    fn record(number: usize) -> Vec<u8> {
        vec![number as u8; number * 5 % 40]
    }
    let file = ring::create(64).unwrap();
    let mut receiver = ring::Receiver::new(file.try_clone().unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sender = ring::Sender::new(file).unwrap();
            for number in 0..ROUNDS {
                sender.send(&record(number), LONG).unwrap();
            }
        });
        let mut bytes = Vec::new();
        for number in 0..ROUNDS {
            receiver.recv(&mut bytes, LONG).unwrap();
            assert_eq!(bytes, record(number));
        }
    });
}

/// A reader only gets whole values, and in the end the last one.
#[test]
fn a_sequence_lock() {
    let mut writer = latest_value::Writer::create().unwrap();
    let mut reader = latest_value::Reader::new(writer.reader().unwrap()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..=ROUNDS {
                writer.write(&[number as u8; 1024]).unwrap();
            }
        });
        loop {
            let value = reader.next(LONG).unwrap();
            assert_eq!(value, [value[0]; 1024]);
            if value[0] == ROUNDS as u8 {
                break;
            }
        }
    });
}
