//! Holes in files that are verified: refused, filled or accepted.

use std::fs::File;
use std::os::fd::OwnedFd;

use libc::{EBADF, EINVAL, ENOMEM, ENOSPC};
use memfile::kernel::Feature;
use memfile::{Cause, Holes, MapOptions, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView};
use rustix::fs::FallocateFlags;

use crate::support::check::{NO_MEMORY, holes as holes_in, refused};
use crate::support::huge::steady_policy;
use crate::support::proc_self::{allocated, mappings};
use crate::support::skip::lacks;
use crate::support::{BEYOND_A_HUGE_PAGE, page, seccomp};

const LEN: u64 = BEYOND_A_HUGE_PAGE;

/// A sealed file of [`LEN`] bytes, in which only the second page is allocated, or the huge page
/// that contains it.
fn sparse() -> MemFile {
    let file = MemFile::create_sealable("holes").unwrap();
    file.set_len(LEN).unwrap();
    file.write_all_at(b"island", page()).unwrap();
    file.add_seals(Seals::IMMUTABLE).unwrap();
    file
}

fn read_only(file: &MemFile) -> OwnedFd {
    file.reopen_read_only().unwrap().into_fd()
}

/// Checks how much memory is allocated for the file, and then its bytes, since reading fills holes.
#[track_caller]
fn look(sealed: &SealedFile, memory: u64) {
    assert_eq!(allocated(sealed), memory);
    let map = sealed.map().unwrap();
    assert_eq!(map.len() as u64, LEN);
    let (before, rest) = map.split_at(page() as usize);
    assert_eq!(&rest[..6], b"island");
    assert!(before.iter().chain(&rest[6..]).all(|&byte| byte == 0));
}

#[test]
fn refuse() {
    let _steady = steady_policy();
    for fd in [sparse().into_fd(), read_only(&sparse())] {
        let message = holes_in(LEN, allocated(&fd));
        let error = SealedFile::options().verify(fd).unwrap_err();
        assert!(error.error().is_unproven() && error.error().seals().is_empty());
        let error = refused(SealedFile::try_from(error.into_fd()), None, &message);
        assert_eq!((error.cause(), error.kind()), (Cause::Holes, std::io::ErrorKind::InvalidData));
    }
    assert_eq!(Holes::default(), Holes::Refuse);
    let file = sparse();
    let message = holes_in(LEN, allocated(&file));
    refused(SealedFile::try_from(file.try_clone().unwrap()), None, &message);
    refused(SharedView::try_from(read_only(&file)), None, &message);
    refused(SharedView::try_from(file), None, &message);
}

#[test]
fn allocate() {
    let _steady = steady_policy();
    look(&SealedFile::options().holes(Holes::Allocate).verify(sparse()).unwrap(), LEN);
    let message = "fallocate: EBADF: the descriptor is open for reading only";
    refused(SealedFile::options().holes(Holes::Allocate).verify(read_only(&sparse())), EBADF, message);
    look(&sparse().into_sealed().unwrap(), LEN);

    let file = MemFile::create_sealable("holes").unwrap();
    file.set_len(LEN).unwrap();
    file.add_seal(Seal::Shrink).unwrap();
    let map = SharedMap::try_from(file).unwrap();
    assert_eq!(allocated(&map), LEN);
}

#[test]
fn populate() {
    if lacks(Feature::Populate) {
        return;
    }
    let _steady = steady_policy();
    look(&SealedFile::options().holes(Holes::Populate).verify(sparse()).unwrap(), LEN);
    look(&SealedFile::options().holes(Holes::Populate).verify(read_only(&sparse())).unwrap(), LEN);
}

#[test]
fn accept() {
    let _steady = steady_policy();
    for fd in [sparse().into_fd(), read_only(&sparse())] {
        let before = allocated(&fd);
        look(&SealedFile::options().holes(Holes::Accept).verify(fd).unwrap(), before);
    }
    if lacks(Feature::Populate) {
        return;
    }
    let sealed = SealedFile::options().holes(Holes::Accept).verify(sparse()).unwrap();
    drop(sealed.map_with(.., MapOptions::new().populate(true)).unwrap());
    look(&sealed, LEN);
}

/// `Refuse` compares allocated memory with the length, so it misses a hole if as much memory is
/// allocated past the end of the file.
#[test]
fn a_hole_hidden_by_memory_past_the_end() {
    let _steady = steady_policy();
    let hidden = || {
        let file = MemFile::create_sealable("holes").unwrap();
        file.set_len(LEN).unwrap();
        file.write_all_at(b"island", page()).unwrap();
        rustix::fs::fallocate(file.as_fd(), FallocateFlags::KEEP_SIZE, LEN, LEN).unwrap();
        file.add_seals(Seals::IMMUTABLE).unwrap();
        file
    };
    let file = hidden();
    let before = allocated(&file);
    look(&SealedFile::options().verify(file).unwrap(), before);
    look(&SealedFile::options().holes(Holes::Allocate).verify(hidden()).unwrap(), 2 * LEN);
    if !lacks(Feature::Populate) {
        look(&SealedFile::options().holes(Holes::Populate).verify(read_only(&hidden())).unwrap(), 2 * LEN);
    }
}

#[test]
fn empty_files_have_none() {
    let _steady = steady_policy();
    for holes in [Holes::Refuse, Holes::Allocate, Holes::Populate, Holes::Accept] {
        let file = MemFile::create_sealable("holes empty").unwrap();
        file.add_seals(Seals::IMMUTABLE).unwrap();
        for fd in [read_only(&file), file.into_fd()] {
            let sealed = SealedFile::options().holes(holes).verify(fd).unwrap();
            assert!(sealed.is_empty() && sealed.map().unwrap().is_empty());
        }
    }
}

/// A file that ends within a page has no hole there.
#[test]
fn a_file_without_holes_passes_every_policy() {
    let _steady = steady_policy();
    let mut policies = vec![Holes::Refuse, Holes::Allocate, Holes::Accept];
    if !lacks(Feature::Populate) {
        policies.push(Holes::Populate);
    }
    let page = page() as usize;
    for len in [1, page - 1, page, page + 1, 100_000] {
        for &holes in &policies {
            let file = MemFile::create_sealable("holes none").unwrap();
            file.write_all_at(&vec![1; len], 0).unwrap();
            file.add_seals(Seals::IMMUTABLE).unwrap();
            let sealed = SealedFile::options().holes(holes).verify(file).unwrap();
            assert!(sealed.map().unwrap().iter().all(|&byte| byte == 1));
        }
    }
}

/// A lack of memory is an error with the kernel's errno. A filter simulates it, because a real lack
/// of memory would hit every process.
#[test]
fn no_memory() {
    seccomp::alone(|| {
        let _steady = steady_policy();
        for (errno, name) in [(ENOSPC, "ENOSPC"), (ENOMEM, "ENOMEM")] {
            std::thread::spawn(move || {
                let file = sparse();
                seccomp::always("fallocate", seccomp::errno(errno));
                let message = format!("fallocate: {name}: {NO_MEMORY}");
                let (error, file) = file.into_sealed().unwrap_err().into_parts();
                assert_eq!((error.to_string(), error.raw_os_error()), (message, Some(errno)));
                assert!(file.get_seals().unwrap().contains(Seals::IMMUTABLE), "the file is not sealed");
            })
            .join()
            .unwrap();
        }
        for (errno, name, reason) in [
            (EINVAL, "EINVAL", "this kernel lacks MADV_POPULATE_READ (since Linux 5.14): copy the file with `copy_of`"),
            (ENOMEM, "ENOMEM", NO_MEMORY),
            (libc::EFAULT, "EFAULT", NO_MEMORY),
        ] {
            std::thread::spawn(move || {
                // Read-only, because Linux 5.10 maps no sealed file through a writable descriptor.
                let (file, accepted) =
                    (read_only(&sparse()), SealedFile::options().holes(Holes::Accept).verify(sparse()).unwrap());
                // Of the advice that is given here, only MADV_POPULATE_READ (22) has this bit.
                seccomp::on_bits("madvise", 2, 16, seccomp::errno(errno));
                let message = &format!("madvise: {name}: {reason}");
                let error = refused(SealedFile::options().holes(Holes::Populate).verify(file), errno, message);
                assert_eq!(error.is_unsupported(), errno == EINVAL);
                assert!(mappings("holes").is_empty(), "the map that was made to populate is still there");
                // On a kernel that cannot populate, the option is ignored.
                let map = accepted.map_with(.., MapOptions::new().populate(true));
                match errno {
                    EINVAL => assert_eq!(&map.unwrap()[page() as usize..][..6], b"island"),
                    _ => drop(refused(map, errno, message)),
                }
                assert!(mappings("holes").is_empty());
            })
            .join()
            .unwrap();
        }
        let file = File::from(sparse().into_fd());
        let message = holes_in(LEN, allocated(&file));
        assert_eq!(SealedFile::options().verify(file).unwrap_err().to_string(), message);
    });
}
