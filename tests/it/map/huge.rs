//! Files of hugetlbfs pages: building, mapping and verifying them.

use std::os::fd::AsFd;

use memfile::kernel::Feature;
use memfile::{
    Cause, CreateOptions, Error, Holes, HugeTlb, MapOptions, MemFile, Seal, SealedFile, SealedFileOptions, Seals,
    SharedMap, SharedView,
};
use rustix::fs::{FallocateFlags, MemfdFlags};

use crate::support::check::{NO_ADDRESS_SPACE, NO_MEMORY, holes as holes_in, refused};
use crate::support::huge::{Pool, page};
use crate::support::pattern;
use crate::support::proc_self::{descriptors_of, mappings};
use crate::support::{seccomp, skip};

fn options() -> SealedFileOptions {
    SealedFile::options().create_options(CreateOptions::new().huge_tlb(HugeTlb::Default))
}

/// If no huge page is free, building a file is an error, not SIGBUS.
#[test]
fn no_free_pages() {
    let Some(_pool) = Pool::of(0) else { return };
    let message = &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
    refused(options().from_bytes("huge no pages", b"1"), libc::ENOMEM, message);
    refused(options().create_with("huge no pages", 1, |_| unreachable!("no memory to fill")), libc::ENOMEM, message);
    assert_eq!(descriptors_of("huge no pages"), 0);
    assert!(mappings("huge no pages").is_empty());
    let empty = options().from_bytes("huge empty", b"").unwrap();
    assert_eq!((empty.len(), &empty.map().unwrap()[..]), (0, &b""[..]));
}

/// Memory is allocated before a byte is written, even on a kernel that lacks MADV_POPULATE_WRITE.
#[test]
fn no_memory_to_write_to() {
    seccomp::alone(|| {
        let Some(_pool) = Pool::of(1) else { return };
        // Of the advice that is given here, only MADV_POPULATE_WRITE (23) has this bit.
        seccomp::on_bits("madvise", 2, 16, seccomp::errno(libc::EINVAL));
        assert_eq!(options().from_bytes("huge memory", &[1]).unwrap().map().unwrap()[0], 1);
        seccomp::always("fallocate", seccomp::errno(libc::ENOSPC));
        let message = &format!("fallocate: ENOSPC: {NO_MEMORY}");
        refused(options().from_bytes("huge memory", &[1]), libc::ENOSPC, message);
        assert!(mappings("huge memory").is_empty());
    });
}

#[test]
fn a_file_of_huge_pages() {
    let Some(_pool) = Pool::of(4) else { return };
    let page = page();
    for len in [1, page - 1, page, page + 1, 2 * page] {
        let bytes = pattern(len);
        let file = options().from_bytes("huge file", &bytes).unwrap();
        assert_eq!(file.len(), len as u64);
        assert_eq!(file.as_mem_file().len().unwrap(), len.next_multiple_of(page) as u64);
        assert!(file.as_mem_file().get_seals().unwrap().contains(Seals::IMMUTABLE));
        let map = file.map_with(.., MapOptions::new().populate(true).huge_pages(true)).unwrap();
        assert!(*map == bytes);
        assert_eq!(mappings("huge file").len(), 1);
        // These ranges begin and end within pages.
        for (start, end) in [(0, 1), (len - 1, len), (len / 2, len), (len / 3, len / 2), (len, len)] {
            let part = file.map_range(start as u64..end as u64).unwrap();
            assert!(*part == bytes[start..end]);
            assert_eq!(part.as_ptr().addr() % 4096, if start < end { start % 4096 } else { 0 });
        }
        drop(map);
        assert!(mappings("huge file").is_empty(), "a part is still mapped");

        let mut copy = file.map_copy_on_write_with(len as u64 / 2.., MapOptions::new()).unwrap();
        copy[0] ^= 1;
        assert_eq!(copy[0], bytes[len / 2] ^ 1);
        assert_eq!(file.map().unwrap()[len / 2], bytes[len / 2]);
        drop(copy);
        assert!(mappings("huge file").is_empty());

        // A receiver only knows the length of the file, which is rounded up to a whole page.
        let received = SealedFile::try_from(file.into_fd()).unwrap();
        let map = received.map().unwrap();
        assert!(map[..len] == bytes && map[len..].iter().all(|&byte| byte == 0));
        assert_eq!(map.len() % page, 0);
    }
    assert!(mappings("huge file").is_empty());
    assert_eq!(descriptors_of("huge file"), 0);
}

#[test]
fn copy_of_and_from_reader_cannot_fill_huge_pages() {
    let Some(_pool) = Pool::of(1) else { return };
    let error = options().from_reader("huge reader", &b"1"[..]).unwrap_err();
    assert_eq!(error.downcast::<Error>().unwrap().raw_os_error(), Some(libc::EINVAL));
    let source = MemFile::create_default("source").unwrap();
    source.write_all_at(b"1", 0).unwrap();
    let message = "write: EINVAL: a file of huge pages does not support write(2): fill it through a mapping, for example with `create_with`";
    refused(options().copy_of("huge copy", &source), libc::EINVAL, message);
    assert_eq!(descriptors_of("huge copy") + descriptors_of("huge reader"), 0);
}

/// A file that ends within a huge page is refused, because Linux 5.10 raises SIGBUS for that page.
/// `fallocate` can make such a file.
#[test]
fn a_length_that_is_not_a_multiple_of_a_page() {
    let Some(_pool) = Pool::of(1) else { return };
    let flags = MemfdFlags::HUGETLB | MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let odd = || {
        let fd = rustix::fs::memfd_create(c"huge odd", flags).unwrap();
        rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, 5000).unwrap();
        fd
    };
    let message = &format!(
        "the file ends inside a huge page (its length is 5000 bytes, a page has {} bytes), \
         which some kernels cannot read: copy it with `copy_of`",
        page()
    );
    for holes in [Holes::Refuse, Holes::Allocate, Holes::Populate, Holes::Accept] {
        let error = SealedFile::options().holes(holes).seal(odd()).unwrap_err();
        assert_eq!((&error.to_string(), error.error().cause()), (message, Cause::PartialHugePage), "{holes:?}");
        let file = MemFile::from_fd(error.into_inner()).unwrap();
        assert_eq!(file.len().unwrap(), 5000);
        refused(SharedView::map(&file, holes), None, message);
    }
    let shared = MemFile::from_fd(odd()).unwrap();
    shared.add_seal(Seal::Shrink).unwrap();
    refused(SharedMap::try_from(shared), None, message);
    assert!(mappings("huge odd").is_empty());
}

/// The kernel reserves huge pages for the copies when it makes the map, before any write.
#[test]
fn a_copy_on_write_map_reserves_its_own_pages() {
    let sealed = || options().from_bytes("huge private", &[1; 5000]).unwrap();
    let Some(pool) = Pool::of(1) else { return };
    let message = &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
    refused(sealed().map_copy_on_write(), libc::ENOMEM, message);
    drop(pool);

    let Some(_pool) = Pool::of(2) else { return };
    let sealed = sealed();
    let mut copy = sealed.map_copy_on_write().unwrap();
    copy.fill(2);
    assert!(sealed.map().unwrap().iter().all(|&byte| byte == 1));
    drop(copy);
    assert!(mappings("huge private").is_empty());
}

#[test]
fn holes_of_huge_pages() {
    if skip::lacks(Feature::Populate) {
        return;
    }
    let Some(pool) = Pool::of(1) else { return };
    let page = page() as u64;
    let flags = MemfdFlags::HUGETLB | MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let two_pages = || {
        let fd = rustix::fs::memfd_create(c"huge holes", flags).unwrap();
        rustix::fs::ftruncate(&fd, 2 * page).unwrap();
        fd
    };
    refused(SealedFile::options().seal(two_pages()), None, &holes_in(2 * page, 0));
    let message = &format!("fallocate: ENOSPC: {NO_MEMORY}");
    refused(SealedFile::options().holes(Holes::Allocate).seal(two_pages()), libc::ENOSPC, message);
    refused(SealedFile::options().holes(Holes::Populate).seal(two_pages()), libc::ENOSPC, message);
    // A read-only descriptor cannot allocate.
    let file = MemFile::from_fd(two_pages()).unwrap();
    file.add_seals(Seals::IMMUTABLE).unwrap();
    let read_only = file.reopen_read_only().unwrap();
    let message = &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
    refused(SealedFile::options().holes(Holes::Populate).verify(read_only), libc::ENOMEM, message);
    // The kernel reserves huge pages when it makes the map, before any access.
    let accepted = SealedFile::options().holes(Holes::Accept).seal(two_pages()).unwrap();
    let message = &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
    refused(accepted.map(), libc::ENOMEM, message);
    assert!(mappings("huge holes").is_empty());
    drop((accepted, pool));

    let Some(_pool) = Pool::of(2) else { return };
    for holes in [Holes::Allocate, Holes::Populate] {
        let sealed = SealedFile::options().holes(holes).seal(two_pages()).unwrap();
        let blocks = rustix::fs::fstat(sealed.as_fd()).unwrap().st_blocks;
        assert_eq!(u64::try_from(blocks).unwrap(), 2 * page / 512);
        assert!(sealed.map().unwrap().iter().all(|&byte| byte == 0));
    }
    let file = MemFile::from_fd(two_pages()).unwrap();
    file.add_seal(Seal::Shrink).unwrap();
    let map = SharedMap::try_from(file).unwrap();
    map.write_all_at(b"end", map.len() - 3).unwrap();
    drop(map);
    assert!(mappings("huge holes").is_empty());
}

/// If the kernel refuses a shared map of a sealed file, the crate makes a private one. That would
/// take further huge pages for the holes, and lack them when it is read, if they were not filled
/// before.
#[test]
fn holes_of_huge_pages_if_shared_maps_are_refused() {
    seccomp::alone(|| {
        let Some(_pool) = Pool::of(2) else { return };
        let len = 2 * page() as u64;
        let flags = MemfdFlags::HUGETLB | MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
        let fd = rustix::fs::memfd_create(c"huge private", flags).unwrap();
        rustix::fs::ftruncate(&fd, len).unwrap();
        seccomp::on_bits("mmap", 3, libc::MAP_SHARED.try_into().unwrap(), seccomp::errno(libc::EPERM));
        let sealed = SealedFile::options().holes(Holes::Populate).seal(fd).unwrap();
        let blocks = rustix::fs::fstat(sealed.as_fd()).unwrap().st_blocks;
        assert_eq!(u64::try_from(blocks).unwrap() * 512, len);
        let (one, two) = (sealed.map().unwrap(), sealed.map().unwrap());
        assert!(one.iter().chain(&two[..]).all(|&byte| byte == 0), "the maps do not share the two pages");
    });
}
