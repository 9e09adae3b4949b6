//! Reading a hole makes a clean page, which any process that maps the file can make the kernel drop
//! again. Pages that this crate fills or writes are dirty, so they stay.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;

use memfile::kernel::Feature;
use memfile::{Holes, MapOptions, MemFile, SealedFile, Seals};
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::support::huge::steady_policy;
use crate::support::peer::{Channel, Peer};
use crate::support::proc_self::allocated;
use crate::support::skip::{lacks, skip};

const LEN: usize = 1 << 20;

/// Maps the file for reading, gives advice, and unmaps it.
fn advise(file: BorrowedFd<'_>, advice: &[Advice]) {
    // SAFETY: The kernel chooses the address.
    let base = unsafe { rustix::mm::mmap(ptr::null_mut(), LEN, ProtFlags::READ, MapFlags::SHARED, file, 0) }.unwrap();
    for &advice in advice {
        // SAFETY: The mapping belongs to this function, and the advice does not change its
        // contents.
        unsafe { rustix::mm::madvise(base, LEN, advice) }.unwrap();
    }
    // SAFETY: As before.
    unsafe { rustix::mm::munmap(base, LEN) }.unwrap();
}

/// The other process: tries to make the kernel drop the pages of each file that it receives.
fn attack(channel: &Channel) {
    while let Some((b'f', fds)) = channel.receive() {
        // Only pages that are mapped are dropped, so maps them first by reading.
        let advice = [Advice::LinuxPopulateRead, Advice::LinuxPageOut];
        fds.iter().for_each(|fd| advise(fd.as_fd(), &advice));
        channel.send(b'd', &[]);
    }
}

/// A sealable file without any pages, and a read-only descriptor for the other process.
fn sparse() -> (MemFile, MemFile) {
    let file = MemFile::create_sealable("clean").unwrap();
    file.set_len(LEN as u64).unwrap();
    let read_only = file.reopen_read_only().unwrap();
    (file, read_only)
}

fn immutable() -> (MemFile, MemFile) {
    let (file, read_only) = sparse();
    file.add_seals(Seals::IMMUTABLE).unwrap();
    (file, read_only)
}

/// The name of a way to fill the holes, and a function that does so.
type Policy = (&'static str, fn(MemFile) -> SealedFile);

#[test]
fn filled_pages_stay() {
    let Some(peer) = Peer::start(|channel| {
        attack(channel);
    }) else {
        return;
    };
    if lacks(Feature::Populate) {
        return;
    }
    let _steady = steady_policy();
    let attack = |fd: BorrowedFd<'_>| {
        peer.channel().send(b'f', &[fd]);
        peer.channel().expect(b'd');
    };
    let read_only = |sealed: &SealedFile| sealed.reopen_read_only().unwrap();

    // First checks that the attack works: pages that were only read are dropped, although `Refuse`
    // saw no hole before. This is documented.
    let (file, reader) = immutable();
    advise(reader.as_fd(), &[Advice::LinuxPopulateRead]);
    SealedFile::try_from(file.try_clone().unwrap()).unwrap();
    attack(reader.as_fd());
    // Some pages may stay, which are still in another processor's batch for the LRU lists.
    if allocated(&file) == LEN as u64 {
        return skip("this kernel does not drop the pages");
    }

    // Each policy that fills holes, also for a file that looks full because its holes were read.
    let policies: [Policy; 5] = [
        ("into_sealed", |file| file.into_sealed().unwrap()),
        ("seal Allocate", |file| SealedFile::options().holes(Holes::Allocate).seal(file).unwrap()),
        ("seal Populate", |file| SealedFile::options().holes(Holes::Populate).seal(file).unwrap()),
        ("verify Allocate", |file| SealedFile::options().holes(Holes::Allocate).verify(file).unwrap()),
        ("verify Populate", |file| SealedFile::options().holes(Holes::Populate).verify(file).unwrap()),
    ];
    for (name, fill) in policies {
        for touched in [false, true] {
            let (file, reader) = if name.starts_with("verify") { immutable() } else { sparse() };
            if touched {
                advise(reader.as_fd(), &[Advice::LinuxPopulateRead]);
                assert_eq!(allocated(&file), LEN as u64);
            }
            let sealed = fill(file);
            attack(reader.as_fd());
            assert_eq!(allocated(&sealed), LEN as u64, "{name}, read before: {touched}");
        }
    }

    let zeros = vec![0; LEN];
    let source = SealedFile::from_bytes("clean source", &zeros).unwrap();
    let options = SealedFile::options();
    for (name, sealed) in [
        ("from_bytes", options.from_bytes("clean", &zeros).unwrap()),
        ("from_bytes", options.huge_pages(true).from_bytes("clean", &zeros).unwrap()),
        ("create_with", options.create_with("clean", LEN, |_| ()).unwrap()),
        ("copy_of", options.copy_of("clean", &source).unwrap()),
        ("from_reader", options.from_reader("clean", &zeros[..]).unwrap()),
        ("draft", options.draft("clean", LEN).unwrap().seal().unwrap()),
        ("set_len", {
            let mut draft = options.draft("clean", 1).unwrap();
            draft.set_len(LEN).unwrap();
            draft.seal().unwrap()
        }),
    ] {
        let reader = OwnedFd::from(read_only(&sealed));
        attack(reader.as_fd());
        assert_eq!(allocated(&sealed), LEN as u64, "{name}");
    }
}

/// A receiver that cannot fill the holes can lock its map, and then the kernel drops none of its
/// pages.
#[test]
fn a_locked_map_stays() {
    let Some(peer) = Peer::start(|channel| {
        attack(channel);
    }) else {
        return;
    };
    if lacks(Feature::Populate) {
        return;
    }
    let _steady = steady_policy();
    let attack = |fd: BorrowedFd<'_>| {
        peer.channel().send(b'f', &[fd]);
        peer.channel().expect(b'd');
    };
    let (file, reader) = immutable();
    advise(reader.as_fd(), &[Advice::LinuxPopulateRead]);
    let sealed = SealedFile::try_from(file).unwrap();
    let map = match sealed.map_with(.., MapOptions::new().lock(true)) {
        Ok(map) => map,
        Err(error) => return skip(error),
    };
    attack(reader.as_fd());
    assert_eq!(allocated(&sealed), LEN as u64);
    assert!(map.iter().all(|&byte| byte == 0));

    // Checks that the attack works if the map of the same file is not locked.
    drop(map);
    let map = sealed.map().unwrap();
    attack(reader.as_fd());
    if allocated(&sealed) == LEN as u64 {
        skip("this kernel does not drop the pages");
    }
    drop(map);
}
