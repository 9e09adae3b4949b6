//! [`MemFile::is_memfd`]: true for what `memfd_create` made, false for everything else that has
//! seals.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::ptr;

use memfile::{CreateOptions, Exec, HugeTlb, MemFile, Seal};
use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

use crate::support::skip::skip;
use crate::support::{noexec, tmpfs};

#[track_caller]
fn is_memfd(file: impl Into<OwnedFd>) -> bool {
    MemFile::from_fd(file.into()).unwrap().is_memfd().unwrap()
}

#[test]
fn every_memfd_is() {
    for exec in noexec::policies() {
        for allow_sealing in [false, true] {
            let file = CreateOptions::new().exec(exec).allow_sealing(allow_sealing).create("plain").unwrap();
            assert!(file.is_memfd().unwrap(), "{exec:?}, {allow_sealing}");
            assert!(is_memfd(file.reopen_read_only().unwrap()), "{exec:?}, {allow_sealing}");
        }
        let file = CreateOptions::new().exec(exec).allow_sealing(true).create("").unwrap();
        file.add_seal(Seal::Seal).unwrap();
        assert!(file.is_memfd().unwrap(), "{exec:?}, sealed with Seal alone");
    }
}

#[test]
fn a_huge_memfd_is() {
    let options = CreateOptions::new().huge_tlb(HugeTlb::Default);
    for exec in [Exec::Deny, Exec::KernelDefault] {
        match options.exec(exec).create("huge") {
            Ok(file) => assert!(file.is_memfd().unwrap()),
            Err(error) => return skip(error),
        }
    }
}

#[test]
fn a_file_on_tmpfs_is_not() {
    let Some(folder) = tmpfs::folder() else { return };
    assert!(!is_memfd(tempfile::tempfile_in(&folder).unwrap()), "without a name");
    let named = tempfile::NamedTempFile::new_in(&folder).unwrap();
    assert!(!is_memfd(named.reopen().unwrap()));
    assert!(!is_memfd(named.into_file()), "unlinked");
}

/// The kernel keeps shared anonymous memory on the same internal mount as memory files.
#[test]
fn shared_anonymous_memory_is_not() {
    const LEN: usize = 4096;
    // SAFETY: The kernel picks the address.
    let map = unsafe { mmap_anonymous(ptr::null_mut(), LEN, ProtFlags::READ, MapFlags::SHARED) }.unwrap();
    let address = map.addr();
    let opened = File::open(format!("/proc/self/map_files/{:x}-{:x}", address, address + LEN));
    // SAFETY: Nothing uses the mapping.
    unsafe { munmap(map, LEN) }.unwrap();
    match opened {
        Ok(file) => assert!(!is_memfd(file)),
        Err(error) => skip(format_args!("/proc/self/map_files: {error}")),
    }
}

/// Creates a file on a new mount of the given file system that is attached to no path.
fn on_a_detached_mount(system: &str, name: &str) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(system, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let file = openat(&mount, name, OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RWXU)?;
    unlinkat(&mount, name, AtFlags::empty())?;
    Ok(file)
}

#[test]
fn a_file_on_hugetlbfs_is_not() {
    match on_a_detached_mount("hugetlbfs", "file") {
        Ok(file) => assert!(!is_memfd(file)),
        Err(errno) => skip(format_args!("mounting hugetlbfs: {errno}")),
    }
}

/// At the root of a detached mount, a file's link in `/proc` reads like that of a memory file.
#[test]
fn a_file_that_is_named_like_one_is_not() {
    match on_a_detached_mount("tmpfs", "memfd:forged") {
        Ok(file) => {
            let file = MemFile::from_fd(file).unwrap();
            assert_eq!(&*file.name().unwrap(), b"forged");
            assert!(!file.is_memfd().unwrap());
        }
        Err(errno) => skip(format_args!("mounting tmpfs: {errno}")),
    }
}
