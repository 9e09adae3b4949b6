//! [`Map`] and [`CowMap`]: every range, and their lifetimes.

use std::sync::Arc;
use std::thread;

use memfile::{Map, MapOptions, MemFile, SealedFile};

use super::pattern;

const LEN: usize = 64 * 1024 + 4096 + 5;

fn file() -> SealedFile {
    SealedFile::from_bytes("constant", &pattern(LEN)).unwrap()
}

#[test]
fn ranges() {
    let (file, bytes) = (file(), pattern(LEN));
    let places = [0, 1, 7, 8, 4095, 4096, 65_535, 65_536, 65_537, LEN - 1, LEN];
    for (i, &start) in places.iter().enumerate() {
        for &end in &places[i..] {
            let options = MapOptions::new().populate(end % 2 == 0).lock(start % 2 == 0).huge_pages(true);
            let map = file.map_with(start as u64..end as u64, options).unwrap();
            assert!(*map == bytes[start..end], "{start}..{end}");
        }
    }
    for (start, end) in [(0, LEN as u64 + 1), (5, 4), (u64::MAX, u64::MAX), (0, u64::MAX)] {
        assert!(file.map_range(start..end).unwrap_err().is_out_of_bounds());
    }
    assert!(file.map_range(5..=u64::MAX).unwrap_err().is_out_of_bounds());
}

#[test]
fn empty() {
    let file = SealedFile::from_bytes("empty", b"").unwrap();
    assert!(file.map().unwrap().is_empty());
    let mut copy = file.map_copy_on_write().unwrap();
    copy.fill(1);
    assert!(copy.is_empty());
}

/// A map needs neither the file nor the thread that made it.
#[test]
fn lives_on_its_own() {
    let map = Arc::new(file().map().unwrap());
    let sums = [(); 2].map(|()| {
        let map = Arc::clone(&map);
        thread::spawn(move || map[..100].iter().map(|&byte| usize::from(byte)).sum::<usize>())
    });
    for sum in sums {
        assert_eq!(sum.join().unwrap(), 5050);
    }
    let other: Map = file().map().unwrap();
    assert!(*map == other && other == pattern(LEN)[..]);
}

#[test]
fn writes_to_a_copy() {
    let file = file();
    let (map, bytes) = (file.map().unwrap(), pattern(LEN));
    let mut copy = file.map_copy_on_write_with(3.., MapOptions::new()).unwrap();
    let mut second = file.map_copy_on_write().unwrap();
    let (left, right) = copy.split_at_mut(4000);
    left.fill(0);
    right[0] = map[5];
    second.fill(9);
    assert!(*map == bytes[..] && copy[4001..] == bytes[4004..] && copy[4000] == 6);
    drop(file);
    assert!(map[..] == bytes && copy[..4000] == [0; 4000] && second[LEN - 1] == 9);
}

#[test]
fn made_by_every_way() {
    let bytes = pattern(20_000);
    let source = MemFile::create_sealable("source").unwrap();
    source.write_all_at(&bytes, 0).unwrap();
    for file in [
        SealedFile::create_with("filled", bytes.len(), |target| target.copy_from_slice(&bytes)).unwrap(),
        SealedFile::copy_of("copied", &source).unwrap(),
        SealedFile::from_reader("read", &bytes[..]).unwrap(),
        SealedFile::options().huge_pages(true).from_bytes("huge", &bytes).unwrap(),
        source.into_sealed().unwrap(),
    ] {
        assert!(*file.map().unwrap() == bytes[..]);
        assert_eq!(file.to_vec().unwrap(), bytes);
        assert!(*file.reopen_read_only().unwrap().map().unwrap() == bytes[..]);
        assert!(*file.try_clone().unwrap().map().unwrap() == bytes[..]);
    }
}
