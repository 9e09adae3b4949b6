//! Adding seals: what they forbid, and every refusal with its reason.

use std::ptr;
use std::thread;
use std::time::{Duration, Instant};

use memfile::{CreateOptions, MemFile, Seal, Seals};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;
use rustix::pipe::{SpliceFlags, pipe, splice};

use crate::support::check::{BUSY, UNSEALABLE, refused, unharmed};
use crate::support::supervisor::{self, Fault, watch};
use crate::support::{noexec, seccomp};

/// A sealable file of 5000 bytes. It has no seals except Exec where the kernel implies that.
fn plain() -> MemFile {
    let file = CreateOptions::new().allow_sealing(true).exec(noexec::plain()).create("plain").unwrap();
    file.write_all_at(&[7; 5000], 0).unwrap();
    assert_eq!(added(&file), Seals::empty());
    file
}

/// The seals that the file has beyond the implied one.
fn added(file: &MemFile) -> Seals {
    let seals = file.get_seals().unwrap();
    assert!(seals.contains(noexec::implied()));
    seals - noexec::implied()
}

#[test]
fn each_seal_alone() {
    for seal in [Seal::Seal, Seal::Shrink, Seal::Grow, Seal::Write, Seal::FutureWrite] {
        let file = plain();
        file.add_seal(seal).unwrap();
        assert_eq!(added(&file), Seals::from(seal));

        let sealed = "a seal forbids this change: put the data into a new file";
        match file.write_at(b"x", 0) {
            Ok(1) => assert!(!matches!(seal, Seal::Write | Seal::FutureWrite)),
            result => _ = refused(result, libc::EPERM, &format!("pwrite: EPERM: {sealed}")),
        }
        for (len, forbidden) in [(4999, Seal::Shrink), (5001, Seal::Grow)] {
            match file.set_len(len) {
                Ok(()) => assert_ne!(seal, forbidden),
                result => {
                    assert_eq!(seal, forbidden);
                    refused(result, libc::EPERM, &format!("ftruncate: EPERM: {sealed}"));
                }
            }
        }
    }
}

#[test]
fn seals_add_up_and_may_be_repeated() {
    let file = plain();
    file.add_seals(Seals::empty()).unwrap();
    // A single seal is accepted as a set.
    file.add_seals(Seal::Shrink).unwrap();
    assert_eq!(added(&file), Seals::from(Seal::Shrink));
    file.add_seal(Seal::Shrink).unwrap();
    file.add_seals(Seal::Shrink | Seal::Grow).unwrap();
    assert_eq!(added(&file), Seals::FIXED_SIZE);
    file.add_seals(Seals::IMMUTABLE).unwrap();
    assert_eq!(added(&file), Seals::IMMUTABLE);
}

#[test]
fn every_descriptor_sees_the_same_seals() {
    let file = plain();
    let (clone, reopened) = (file.try_clone().unwrap(), file.reopen_read_only().unwrap());
    clone.add_seal(Seal::Write).unwrap();
    assert_eq!(added(&file), Seals::from(Seal::Write));
    assert_eq!(added(&reopened), Seals::from(Seal::Write));
}

#[test]
fn after_seal_nothing_can_be_added() {
    let file = plain();
    file.add_seal(Seal::Seal).unwrap();
    for seals in [Seals::empty(), Seal::Seal.into(), Seal::Write.into(), Seals::IMMUTABLE] {
        refused(file.add_seals(seals), libc::EPERM, UNSEALABLE);
    }
    unharmed(&file, noexec::implied() | Seal::Seal);
}

#[test]
fn without_sealing_nothing_can_be_added() {
    for exec in noexec::policies() {
        let file = CreateOptions::new().exec(exec).create("unsealable").unwrap();
        let before = file.get_seals().unwrap();
        assert!(before.contains(Seal::Seal));
        refused(file.add_seal(Seal::Shrink), libc::EPERM, UNSEALABLE);
        unharmed(&file, before);
    }
}

#[test]
fn a_read_only_descriptor_cannot_seal() {
    let file = plain();
    let read_only = file.reopen_read_only().unwrap();
    const MESSAGE: &str = "fcntl(F_ADD_SEALS): EPERM: the descriptor is open for reading only";
    refused(read_only.add_seal(Seal::Write), libc::EPERM, MESSAGE);
    unharmed(&file, noexec::implied());
}

/// EPERM may also come from a sandbox, of which the file knows nothing.
#[test]
fn a_sandbox_that_forbids_seals() {
    seccomp::alone(|| {
        let file = plain();
        seccomp::on_fcntl(libc::F_ADD_SEALS, seccomp::errno(libc::EPERM));
        const MESSAGE: &str = "fcntl(F_ADD_SEALS): EPERM: the kernel refused the call";
        refused(file.add_seal(Seal::Write), libc::EPERM, MESSAGE);
    });
}

#[test]
fn unknown_seals_are_named_and_nothing_is_added() {
    let unknown = Seals::from_bits_retain(0x40);
    let closed = plain();
    closed.add_seal(Seal::Seal).unwrap();
    for (file, seals) in [plain(), closed].iter().flat_map(|file| [unknown, unknown | Seal::Write].map(|s| (file, s))) {
        let before = file.get_seals().unwrap();
        const MESSAGE: &str = "fcntl(F_ADD_SEALS): EINVAL: \
            this kernel lacks one of these seals: FutureWrite is available since Linux 5.1, Exec since 6.3";
        let error = refused(file.add_seals(seals), libc::EINVAL, MESSAGE);
        assert_eq!(error.seals(), unknown);
        assert!(error.is_unsupported());
        unharmed(file, before);
    }
}

#[test]
fn a_live_writable_mapping_is_busy() {
    let file = plain();
    // SAFETY: The kernel picks the address.
    let map = unsafe { mmap(ptr::null_mut(), page_size(), ProtFlags::READ, MapFlags::SHARED, &file, 0) }.unwrap();
    for seals in [Seal::Write.into(), Seals::IMMUTABLE, Seal::Write | Seal::FutureWrite] {
        let error = refused(file.add_seals(seals), libc::EBUSY, BUSY);
        assert!(error.is_busy());
        assert!(error.seals().is_empty(), "{error:?}");
        assert!(!error.is_unsupported());
        unharmed(&file, noexec::implied());
    }
    file.add_seals(Seal::Shrink | Seal::FutureWrite).unwrap();
    // SAFETY: Nothing uses the mapping.
    unsafe { munmap(map, page_size()) }.unwrap();
    file.add_seal(Seal::Write).unwrap();
    assert_eq!(added(&file), Seal::Shrink | Seal::FutureWrite | Seal::Write);
}

/// A timeout of zero is one attempt without a pause.
#[test]
fn a_timeout_of_zero() {
    seccomp::alone(|| {
        let file = plain();
        // SAFETY: The kernel picks the address.
        unsafe { mmap(ptr::null_mut(), page_size(), ProtFlags::READ, MapFlags::SHARED, &file, 0) }.unwrap();
        seccomp::always("nanosleep", seccomp::Action::KillProcess);
        assert!(file.into_sealed_timeout(Duration::ZERO).unwrap_err().error().is_busy());
    });
}

#[test]
fn a_page_in_a_pipe_is_busy() {
    let file = plain();
    let (reader, writer) = pipe().unwrap();
    assert_eq!(splice(&file, Some(&mut 0), &writer, None, 100, SpliceFlags::empty()).unwrap(), 100);
    assert!(refused(file.add_seals(Seals::IMMUTABLE), libc::EBUSY, BUSY).is_busy());
    unharmed(&file, noexec::implied());

    drop((reader, writer));
    // A child that another test has just forked still has the pipe until its execve.
    while file.add_seals(Seals::IMMUTABLE).is_err_and(|error| error.is_busy()) {}
    assert_eq!(added(&file), Seals::IMMUTABLE);
}

/// Only EBUSY is worth another attempt.
#[test]
fn any_other_refusal_is_returned_at_once() {
    seccomp::alone(|| {
        let unsealable = MemFile::create_default("unsealable").unwrap();
        seccomp::always("timerfd_create", seccomp::Action::KillProcess);
        refused(unsealable.into_sealed_timeout(Duration::from_secs(60)), libc::EPERM, UNSEALABLE);
    });
}

/// A file that was busy, and that somebody has closed to new seals meanwhile.
#[test]
fn another_refusal_ends_the_wait() {
    let file = plain();
    let peer = file.try_clone().unwrap();
    let _map = memmap2::MmapRaw::map_raw(&file).unwrap();
    let start = Instant::now();
    let waiting = thread::spawn(|| file.into_sealed_timeout(Duration::from_secs(60)));
    thread::sleep(Duration::from_millis(100));
    peer.add_seal(Seal::Seal).unwrap();
    refused(waiting.join().unwrap(), libc::EPERM, UNSEALABLE);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

/// The call sleeps between its attempts.
#[test]
fn attempts_are_few() {
    supervisor::alone(|| {
        let file = plain();
        let _map = memmap2::MmapRaw::map_raw(&file).unwrap();
        let (result, calls) = watch(Fault::NONE, || file.into_sealed_timeout(Duration::from_millis(50)));
        assert!(result.unwrap().unwrap_err().error().is_busy());
        let attempts = calls.iter().filter(|&&call| call == "fcntl(F_ADD_SEALS)").count();
        // A pause takes at least 5 ms.
        assert!(attempts <= 11, "{attempts}");
    });
}
