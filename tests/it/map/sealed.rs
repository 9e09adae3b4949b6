//! [`Map`] and [`CowMap`]: bytes, ranges, lifetime, and their use with other crates.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Bound;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use libc::{EACCES, ENOMEM, EPERM};
use memfile::kernel::Feature;
use memfile::{Cause, CowMap, Error, Holes, Map, MapOptions, MemFile, SealedFile};
use rustix::mm::MprotectFlags;
use zerocopy::{FromBytes, Immutable, KnownLayout, little_endian::U32};

use crate::support::assert_goes_anywhere;
use crate::support::check::{MAP_DENIED, NO_ADDRESS_SPACE, NO_MEMORY, holes, range, refused, too_long};
use crate::support::huge::{POLICY, steady_policy};
use crate::support::peer::{Channel, Peer};
use crate::support::proc_self::{allocated, descriptors_of, mappings, smaps};
use crate::support::skip::{lacks, skip};
use crate::support::{child, page, pattern, seccomp};

#[test]
fn is_send_sync_and_static() {
    assert_goes_anywhere::<Map>();
    assert_goes_anywhere::<CowMap>();
    assert_goes_anywhere::<SealedFile>();
}

#[test]
fn whole_files() {
    for len in [0, 1, 4095, 4096, 4097, 200_000] {
        let bytes = pattern(len);
        let file = SealedFile::from_bytes("map whole", &bytes).unwrap();
        let map = file.map().unwrap();
        assert!(*map == bytes && map.as_ref() == bytes && Borrow::<[u8]>::borrow(&map) == bytes);
        let mut copy = file.map_copy_on_write().unwrap();
        assert!(*copy == bytes && copy.as_ref() == bytes);
        copy.as_mut().fill(0xff);
        assert!(copy.iter().all(|&byte| byte == 0xff));
        assert!(*map == bytes && *file.map().unwrap() == bytes, "the file has changed");
        assert_eq!(format!("{map:?}"), format!("Map {{ address: {:?}, len: {len} }}", map.as_ptr()));
        assert_eq!(format!("{copy:?}"), format!("CowMap {{ address: {:?}, len: {len} }}", copy.as_ptr()));
    }
}

/// An empty map does not create a mapping.
#[test]
fn empty_ranges() {
    let file = SealedFile::from_bytes("map empty", b"not empty").unwrap();
    for at in [0, 5, 9] {
        assert!(file.map_range(at..at).unwrap().is_empty());
        let options = MapOptions::new().populate(true).huge_pages(true);
        assert!(file.map_with(at..at, options).unwrap().is_empty());
        assert!(file.map_copy_on_write_with(at..at, options).unwrap().is_empty());
    }
    let map = file.map_range(9..).unwrap();
    let mut copy = file.map_copy_on_write_with(9.., MapOptions::new()).unwrap();
    assert!(map.is_empty() && copy.is_empty() && copy.as_mut().is_empty());
    assert!(mappings("map empty").is_empty());
}

#[test]
fn ranges() {
    const LEN: u64 = 300_000;
    let bytes = pattern(LEN as usize);
    let file = SealedFile::from_bytes("map ranges", &bytes).unwrap();
    let places = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_072, 262_143, 299_999, LEN];
    for start in places {
        for end in places.into_iter().filter(|&end| end >= start) {
            let expected = &bytes[start as usize..end as usize];
            assert!(*file.map_range(start..end).unwrap() == *expected, "{start}..{end}");
            let mut copy = file.map_copy_on_write_with(start..end, MapOptions::new()).unwrap();
            assert!(*copy == *expected, "{start}..{end}");
            copy.fill(0);
        }
        assert!(*file.map_range(start..).unwrap() == bytes[start as usize..]);
        assert!(*file.map_range(..start).unwrap() == bytes[..start as usize]);
        if start < LEN {
            assert!(*file.map_range(..=start).unwrap() == bytes[..=start as usize]);
            let after = (Bound::Excluded(start), Bound::Unbounded);
            assert!(*file.map_range(after).unwrap() == bytes[start as usize + 1..]);
        }
    }
    assert!(mappings("map ranges").is_empty(), "a part is still mapped");
}

/// The address of a map and the start of its range are equal modulo the smallest page size. An
/// empty map is aligned too.
#[test]
fn alignment() {
    const PAGE: usize = 4096;
    for options in [SealedFile::options(), SealedFile::options().huge_pages(true)] {
        let draft = options.draft("map aligned", 5 << 20).unwrap();
        assert_eq!(draft.as_ptr().addr() % PAGE, 0);
        assert_eq!(options.draft("map aligned", 0).unwrap().as_ptr().addr() % PAGE, 0);

        let file = draft.seal().unwrap();
        for start in [0, 1, 8, 4095, 4096, 4104, 65_535, 65_544, 2 << 20, (2 << 20) + 16, (5 << 20) - 4] {
            for options in [MapOptions::new(), MapOptions::new().huge_pages(true)] {
                let map = file.map_with(start as u64.., options).unwrap();
                assert_eq!(map.as_ptr().addr() % PAGE, start % PAGE, "{start}, {options:?}");
                let copy = file.map_copy_on_write_with(start as u64.., options).unwrap();
                assert_eq!(copy.as_ptr().addr() % PAGE, start % PAGE, "{start}, {options:?}");
                let empty = file.map_with(start as u64..start as u64, options).unwrap();
                assert_eq!(empty.as_ptr().addr() % PAGE, 0, "{start}, {options:?}");
            }
        }
    }
    assert_eq!(SealedFile::from_bytes("map aligned", b"").unwrap().map().unwrap().as_ptr().addr() % PAGE, 0);
}

#[test]
fn out_of_bounds() {
    use Bound::{Excluded, Included, Unbounded};
    const MAX: u64 = u64::MAX;
    let file = SealedFile::from_bytes("map bounds", &[1; 10]).unwrap();
    let empty = SealedFile::from_bytes("map bounds", b"").unwrap();
    let check = |file: &SealedFile, start: Bound<u64>, end: Bound<u64>| {
        let first = match start {
            Included(start) => start,
            Excluded(start) => start.saturating_add(1),
            Unbounded => 0,
        };
        let after = match end {
            Included(end) => end.saturating_add(1),
            Excluded(end) => end,
            // The range has no end, so the message must not name one that lies before the start.
            Unbounded => file.len().max(first),
        };
        let message = &range(first, after, file.len());
        let error = refused(file.map_range((start, end)), None, message);
        assert!(error.is_out_of_bounds());
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        refused(file.map_copy_on_write_with((start, end), MapOptions::new()), None, message);
    };
    for start in [11, 12, 4096, 65_536, i64::MAX as u64, i64::MAX as u64 + 1, MAX - 1, MAX] {
        check(&file, Included(start), Unbounded);
        check(&file, Excluded(start - 1), Unbounded);
        check(&file, Included(start), Excluded(start));
        check(&file, Unbounded, Excluded(start));
        check(&file, Unbounded, Included(start - 1));
        check(&empty, Included(start), Unbounded);
    }
    check(&file, Excluded(MAX), Unbounded);
    check(&file, Excluded(MAX), Excluded(MAX));
    check(&file, Unbounded, Included(MAX));
    check(&file, Included(MAX), Included(MAX));
    check(&file, Included(0), Included(10));
    check(&file, Included(5), Excluded(4));
    check(&file, Excluded(5), Excluded(5));
    check(&file, Included(MAX), Excluded(0));
    check(&empty, Unbounded, Included(0));
}

#[test]
fn beyond_the_address_space() {
    let file = MemFile::create_sealable("map long").unwrap();
    file.set_len(i64::MAX as u64).unwrap();
    file.add_seals(memfile::Seals::IMMUTABLE).unwrap();
    let file = SealedFile::try_from(file).unwrap_err();
    assert_eq!(file.to_string(), holes(i64::MAX as u64, 0));
    let (errno, message) = if usize::BITS == 32 {
        (None, too_long(i64::MAX as u64))
    } else {
        (Some(ENOMEM), format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}"))
    };
    // Through a read-only descriptor: with a writable one, `fallocate` would take all memory.
    let file = file.into_inner();
    let read_only = file.reopen_read_only().unwrap();
    refused(SealedFile::options().holes(Holes::Populate).verify(read_only), errno, &message);
    let file = SealedFile::options().holes(Holes::Accept).verify(file).unwrap();
    refused(file.map(), errno, &message);
    refused(file.map_copy_on_write(), errno, &message);
    // Not the last byte: a mapping ends with a whole page, which may be a huge one, past the
    // largest offset. On 32-bit systems the kernel counts offsets in pages, up to 16 TiB.
    let end = if usize::BITS == 32 { 1 << 44 } else { i64::MAX as u64 };
    let last = end - 10_000_000;
    assert_eq!(*file.map_range(last..=last).unwrap(), [0], "cannot map a byte near the end");
}

/// The kernel cannot map the last page of a file of the maximum length, because the page ends past
/// the largest offset.
#[test]
#[cfg(target_pointer_width = "64")]
fn the_last_page_of_the_longest_file() {
    let file = MemFile::create_sealable("map last page").unwrap();
    file.set_len(i64::MAX as u64).unwrap();
    file.add_seals(memfile::Seals::IMMUTABLE).unwrap();
    let file = SealedFile::options().holes(Holes::Accept).verify(file).unwrap();
    let last = i64::MAX as u64 - 5;
    let message = "mmap: EOVERFLOW: the range ends past the largest offset that the kernel can map";
    let overflow = |error: Error| assert_eq!((error.cause(), error.is_out_of_bounds()), (Cause::OutOfBounds, true));
    overflow(refused(file.map_range(last..), libc::EOVERFLOW, message));
    overflow(refused(file.map_copy_on_write_with(last.., MapOptions::new()), libc::EOVERFLOW, message));
    assert!(mappings("map last page").is_empty());
    // The page can still be read.
    let mut bytes = [1; 5];
    file.read_exact_at(&mut bytes, last).unwrap();
    assert_eq!(bytes, [0; 5]);
}

/// A map stays valid without any descriptor of the file, and is unmapped on drop.
#[test]
fn outlives_the_descriptors() {
    let file = SealedFile::from_bytes("map outlives", b"still here").unwrap();
    let clone = file.try_clone().unwrap();
    let map = file.map().unwrap();
    let copy = clone.map_copy_on_write().unwrap();
    drop((file, clone));
    assert_eq!(descriptors_of("map outlives"), 0);
    assert_eq!(mappings("map outlives").len(), 2);
    assert_eq!((&map[..], &copy[..]), (&b"still here"[..], &b"still here"[..]));
    drop(map);
    assert_eq!(mappings("map outlives").len(), 1);
    drop(copy);
    assert!(mappings("map outlives").is_empty());
}

#[test]
fn populate() {
    if lacks(Feature::Populate) {
        return;
    }
    let _steady = steady_policy();
    let bytes = pattern(1 << 20);
    let file = SealedFile::from_bytes("map populate", &bytes).unwrap();
    let map = file.map().unwrap();
    assert_eq!(smaps("map populate", "Rss"), 0, "pages are present before they are read");
    drop(map);
    let map = file.map_with(.., MapOptions::new().populate(true)).unwrap();
    // At least, because under some policies the file has a huge page that is larger than itself.
    assert!(smaps("map populate", "Rss") >= 1024);
    drop(map);
    // The mapping begins before the range, at a multiple of 64 KiB.
    let part = file.map_with(70_001..80_000, MapOptions::new().populate(true)).unwrap();
    assert!(smaps("map populate", "Rss") >= 10);
    drop(part);
    let copy = file.map_copy_on_write_with(.., MapOptions::new().populate(true)).unwrap();
    assert!(smaps("map populate", "Rss") >= 1024);
    assert!(*copy == bytes);
}

/// Populating is an optimization. If a sandbox or an old kernel refuses it, the pages come when
/// they are read. A lack of memory is an error.
#[test]
fn populate_that_is_refused() {
    seccomp::alone(|| {
        let bytes = pattern(100_000);
        let file = SealedFile::from_bytes("map unpopulated", &bytes).unwrap();
        let options = MapOptions::new().populate(true).huge_pages(true);
        for errno in [libc::EINVAL, EPERM] {
            let file = file.try_clone().unwrap();
            let bytes = bytes.clone();
            // A filter lasts as long as its thread, so it gets a thread of its own.
            let thread = thread::spawn(move || {
                seccomp::always("madvise", seccomp::errno(errno));
                assert!(*file.map_with(.., options).unwrap() == bytes);
                assert!(*file.map_with(70_000.., options).unwrap() == bytes[70_000..]);
                assert!(*file.map_copy_on_write_with(.., options).unwrap() == bytes);
            });
            thread.join().unwrap();
        }
        seccomp::always("madvise", seccomp::errno(libc::EFAULT));
        let message = format!("madvise: EFAULT: {NO_MEMORY}");
        refused(file.map_with(.., options), libc::EFAULT, &message);
        assert!(mappings("map unpopulated").is_empty());
    });
}

/// The mapping is shared, so that not even a debugger can write to it.
#[test]
fn is_shared_and_read_only() {
    if lacks(Feature::MapSealedShared) {
        return;
    }
    let file = SealedFile::from_bytes("map shared", b"constant").unwrap();
    let map = file.map().unwrap();
    let line = &mappings("map shared")[0];
    assert_eq!(line.split_whitespace().nth(1), Some("r--s"));
    // SAFETY: The mapping belongs to this test, and the kernel should refuse the change.
    let result = unsafe {
        rustix::mm::mprotect(map.as_ptr().cast_mut().cast(), map.len(), MprotectFlags::READ | MprotectFlags::WRITE)
    };
    assert_eq!(result, Err(rustix::io::Errno::ACCESS));
    let memory = std::fs::OpenOptions::new().write(true).open("/proc/self/mem").unwrap();
    let error = std::os::unix::fs::FileExt::write_at(&memory, b"!", map.as_ptr() as u64).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EIO));
    assert_eq!(&map[..], b"constant");
}

/// `MAP_SHARED`
const SHARED: u32 = 1;

/// Some kernels, such as Linux 5.10, refuse shared mappings of a write-sealed file, even read-only
/// ones. The map is private there.
#[test]
fn private_where_shared_is_refused() {
    seccomp::alone(|| {
        let bytes = pattern(100_000);
        let file = SealedFile::from_bytes("map private", &bytes).unwrap();
        seccomp::on_bits("mmap", 3, SHARED, seccomp::errno(EPERM));
        let map = file.map().unwrap();
        assert!(*map == bytes);
        assert_eq!(mappings("map private")[0].split_whitespace().nth(1), Some("r--p"));
        assert!(*file.map_with(70_000..70_001, MapOptions::new().populate(true)).unwrap() == bytes[70_000..70_001]);
        assert!(*file.map_copy_on_write().unwrap() == bytes);

        let _steady = steady_policy();
        let sparse = MemFile::create_sealable("map private").unwrap();
        sparse.set_len(2 * page()).unwrap();
        sparse.add_seals(memfile::Seals::IMMUTABLE).unwrap();
        let sealed = SealedFile::options().holes(Holes::Populate).verify(sparse).unwrap();
        assert!(allocated(&sealed) >= 2 * page(), "the pages do not belong to the file");
        drop(sealed);
        drop((map, file));
        assert!(mappings("map private").is_empty());
    });
}

/// Other errors are returned without a second attempt.
#[test]
fn refusals_are_passed_on() {
    seccomp::alone(|| {
        let file = SealedFile::from_bytes("map refused", b"1").unwrap();
        seccomp::on_bits("mmap", 3, SHARED, seccomp::errno(EACCES));
        refused(file.map(), EACCES, MAP_DENIED);
        assert_eq!(&file.map_copy_on_write().unwrap()[..], b"1");
    });
}

#[test]
fn read_in_threads() {
    let bytes = pattern(500_000);
    let map = Arc::new(SealedFile::from_bytes("map threads", &bytes).unwrap().map().unwrap());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (map, bytes) = (Arc::clone(&map), bytes.clone());
            thread::spawn(move || assert!(**map == bytes))
        })
        .collect();
    drop(map);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(mappings("map threads").is_empty());
}

#[test]
fn as_bytes() {
    let file = SealedFile::from_bytes("map bytes", b"head and tail").unwrap();
    let bytes = Bytes::from_owner(file.map().unwrap());
    let copy = Bytes::from_owner(file.map_copy_on_write().unwrap());
    drop(file);
    let tail = bytes.slice(9..);
    drop(bytes);
    assert_eq!((&tail[..], &copy.slice(..4)[..]), (&b"tail"[..], &b"head"[..]));
    drop((tail, copy));
    assert!(mappings("map bytes").is_empty());
}

/// Maps compare with every type of bytes, and in both orders where the orphan rule allows it.
#[test]
fn compared() {
    let file = SealedFile::from_bytes("map compared", b"bytes").unwrap();
    let (map, same) = (file.map().unwrap(), file.map().unwrap());
    let (shorter, other) = (file.map_range(..4).unwrap(), SealedFile::from_bytes("map compared", b"bytez").unwrap());
    let other = other.map().unwrap();
    let (slice, other_slice): (&[u8], &[u8]) = (b"bytes", b"bytez");
    assert_eq!(map, *slice);
    assert_eq!(*slice, map);
    assert_eq!(map, slice);
    assert_eq!(map, *b"bytes");
    assert_eq!(map, b"bytes");
    assert_eq!(map, same);
    assert_ne!(map, shorter);
    assert_ne!(map, other);
    assert_ne!(map, *other_slice);
    assert_ne!(*other_slice, map);
    assert_ne!(map, other_slice);
    assert_ne!(map, slice[..4]);
    assert_ne!(map, *b"bytez");
    assert_ne!(map, b"bytez");
    assert_ne!(map, b"byte");
}

/// A map hashes like its bytes, so that a set of maps can be searched for bytes.
#[test]
fn hashed() {
    let hash = |value: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        value(&mut hasher);
        hasher.finish()
    };
    let file = SealedFile::from_bytes("map hashed", b"bytes").unwrap();
    let map = file.map().unwrap();
    let slice: &[u8] = b"bytes";
    assert_eq!(hash(&|hasher| map.hash(hasher)), hash(&|hasher| slice.hash(hasher)));
    let set = HashSet::from([map, file.map_range(1..).unwrap(), file.map().unwrap()]);
    assert_eq!(set.len(), 2);
    assert!(set.contains(slice) && set.contains(&b"ytes"[..]) && !set.contains(&b"byte"[..]));
}

#[test]
fn iterated() {
    let map = SealedFile::from_bytes("map iterated", b"\x01\x02\x04").unwrap().map().unwrap();
    let mut sum = 0;
    for &byte in &map {
        sum += byte;
    }
    assert_eq!(sum, 7);
    let mut iterator = (&map).into_iter();
    assert_eq!((iterator.len(), iterator.next_back(), iterator.as_slice()), (3, Some(&4), &[1, 2][..]));
}

#[test]
fn as_structure() {
    #[derive(FromBytes, KnownLayout, Immutable)]
    #[repr(C)]
    struct Header {
        magic: [u8; 4],
        count: U32,
    }
    let file = SealedFile::from_bytes("map header", b"MEMF\x03\0\0\0abc").unwrap();
    let map = file.map().unwrap();
    let (header, rest) = Header::ref_from_prefix(&map).unwrap();
    assert_eq!((&header.magic, header.count.get(), rest), (b"MEMF", 3, &b"abc"[..]));
    let mut copy = file.map_copy_on_write().unwrap();
    let (count, _) = U32::mut_from_prefix(&mut copy[4..]).unwrap();
    count.set(4);
    assert_eq!(copy[4], 4);
    assert_eq!(map[4], 3);
}

#[test]
fn searched() {
    let mut bytes = vec![b'.'; 1 << 20];
    bytes[777_777..777_783].copy_from_slice(b"needle");
    let map = SealedFile::from_bytes("map search", &bytes).unwrap().map().unwrap();
    assert_eq!(memchr::memmem::find(&map, b"needle"), Some(777_777));
    assert_eq!(memchr::memchr_iter(b'e', &map).count(), 3);
}

/// What a process writes to its copy-on-write map appears neither in the file nor in the maps of
/// other processes.
#[test]
fn copies_of_two_processes() {
    let Some(peer) = Peer::start(|channel| {
        write_copy(channel);
    }) else {
        return;
    };
    let file = SealedFile::from_bytes("map two", &[b'0'; 10_000]).unwrap();
    let mut copy = file.map_copy_on_write().unwrap();
    peer.channel().send(b'f', &[file.as_fd()]);
    peer.channel().expect(b'w');
    assert!(copy.iter().all(|&byte| byte == b'0'));
    copy.fill(b'1');
    peer.channel().send(b'w', &[]);
    peer.channel().expect(b'o');
    peer.finish();
    assert!(copy.iter().all(|&byte| byte == b'1'));
    assert!(file.map().unwrap().iter().all(|&byte| byte == b'0'));
}

/// The other process of [`copies_of_two_processes`].
fn write_copy(channel: &Channel) {
    let fd = channel.expect(b'f').pop().unwrap();
    let mut copy = SealedFile::try_from(fd).unwrap().map_copy_on_write().unwrap();
    copy.fill(b'2');
    channel.send(b'w', &[]);
    channel.expect(b'w');
    assert!(copy.iter().all(|&byte| byte == b'2'));
    channel.send(b'o', &[]);
}

/// A map stays valid after the process that made the file has ended.
#[test]
fn outlives_the_process_that_made_it() {
    let Some(peer) = Peer::start(|channel| {
        read_on_signal(channel);
    }) else {
        return;
    };
    let bytes = pattern(100_000);
    {
        let file = SealedFile::from_bytes("map maker", &bytes).unwrap();
        peer.channel().send(b'f', &[file.as_fd()]);
        peer.channel().expect(b'm');
    }
    assert_eq!(descriptors_of("map maker") + mappings("map maker").len(), 0);
    let mirror = SealedFile::from_bytes("map mirror", &bytes).unwrap();
    peer.channel().send(b'c', &[mirror.as_fd()]);
    peer.channel().expect(b'o');
    peer.finish();
}

/// The other process of [`outlives_the_process_that_made_it`].
fn read_on_signal(channel: &Channel) {
    let fd = channel.expect(b'f').pop().unwrap();
    let map = SealedFile::try_from(fd).unwrap().map().unwrap();
    assert_eq!(descriptors_of("map maker"), 0);
    channel.send(b'm', &[]);
    let mirror = SealedFile::try_from(channel.expect(b'c').pop().unwrap()).unwrap().map().unwrap();
    assert!(*map == *mirror);
    channel.send(b'o', &[]);
}

/// The kernel merges the maps of neighbouring ranges of a file, and dropping one in the middle
/// splits the mapping. If vm.max_map_count forbids the split, the drop does nothing.
#[test]
fn at_the_limit_of_mappings() {
    child::alone(|| {
        let limit: usize = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap().trim().parse().unwrap();
        if limit > 200_000 {
            skip(format_args!("vm.max_map_count is {limit}"));
            return;
        }
        let _steady = steady_policy();
        let other = SealedFile::from_bytes("map other", &[1; 4096]).unwrap();
        // The pieces become neighbours because the kernel maps from the top down. It fills gaps
        // first, though, so maps that fell into gaps are kept until none is left.
        let mut gaps = Vec::new();
        let (name, mut pieces) = loop {
            let name = format!("map limit {}", gaps.len());
            let file = SealedFile::from_bytes(&name, &pattern(3 << 16)).unwrap();
            let unit = u64::try_from(rustix::fs::fstat(file.as_fd()).unwrap().st_blksize).unwrap();
            if unit > page() {
                return skip(format_args!("files are mapped in units of {unit} bytes, by the policy in {POLICY}"));
            }
            let pieces: Vec<_> = [2, 1, 0].map(|i| file.map_range(i << 16..(i + 1) << 16).unwrap()).into();
            if mappings(&name).len() == 1 {
                break (name, pieces);
            }
            assert!(gaps.len() < 100, "the pieces never become one mapping");
            gaps.push(pieces);
        };
        // Neighbours that map the same offset are not merged, so each takes one mapping.
        let mut others = Vec::with_capacity(limit);
        let error = loop {
            match other.map() {
                Ok(map) => others.push(map),
                Err(error) => break error,
            }
        };
        assert_eq!(error.raw_os_error(), Some(ENOMEM));
        drop(pieces.remove(1));
        drop(others);
        assert_eq!(mappings(&name).len(), 1, "the mapping was split");
        assert!(*pieces[0] == pattern(3 << 16)[2 << 16..] && *pieces[1] == pattern(1 << 16));
    });
}

/// Conversions from and to `File` and `OwnedFd`.
#[test]
fn conversions() {
    let file = SealedFile::from_bytes("map convert", b"1").unwrap();
    let file = SealedFile::options().verify(File::from(file.into_fd())).unwrap();
    let file = SealedFile::try_from(MemFile::from(file)).unwrap();
    let file = SealedFile::try_from(OwnedFd::from(file)).unwrap();
    assert_eq!(&file.map().unwrap()[..], b"1");
}
