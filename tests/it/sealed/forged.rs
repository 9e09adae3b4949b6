//! The rule against forged Write seals: a file with Exec and FutureWrite is trusted only if a test
//! has shown that the kernel has the fix.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::ptr;

use libc::EACCES;
use memfile::kernel::Feature;
use memfile::{Cause, MemFile, Seal, SealedFile, Seals};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::support::check::{UNTESTED, refused};
use crate::support::skip::lacks;
use crate::support::{noexec, seccomp};

pub(crate) const FORGED: &str = "the seal Write came with Exec, \
    which on this kernel can leave writable mappings: copy the file with `copy_of`";

/// A file with bytes and these seals. Its mode has no execute bit, so Exec implies no other seal.
fn honest(seals: Seals) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(noexec::memfd_create(c"forged", flags).unwrap());
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
    file.write_all_at(b"honest", 0).unwrap();
    rustix::fs::fcntl_add_seals(&file, SealFlags::from_bits_retain(seals.bits())).unwrap();
    file.into()
}

/// Adds Exec to an executable file that is mapped for writing. Returns the file if the kernel adds
/// the seal, which makes its Write seal a forged one.
fn try_to_forge() -> Result<OwnedFd, rustix::io::Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = noexec::memfd_create(c"forged", flags).unwrap();
    rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o700)).unwrap();
    rustix::fs::ftruncate(&fd, 4096).unwrap();
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: The kernel chooses the address.
    let base = unsafe { rustix::mm::mmap(ptr::null_mut(), 4096, access, MapFlags::SHARED, &fd, 0) }.unwrap();
    let result = rustix::fs::fcntl_add_seals(&fd, SealFlags::EXEC);
    // SAFETY: The mapping belongs to this function.
    unsafe { rustix::mm::munmap(base, 4096) }.unwrap();
    result.map(|()| fd)
}

/// The error message for a file with Exec and FutureWrite, or `None` if the kernel can be tested
/// and has the fix.
pub(crate) fn objection() -> Option<&'static str> {
    if noexec::is_strict() {
        return Some(UNTESTED);
    }
    try_to_forge().is_ok().then_some(FORGED)
}

const SUSPECT: Seals = Seals::from_bits_retain(Seals::CONSTANT.bits() | Seal::Exec as u32 | Seal::FutureWrite as u32);

#[test]
fn only_a_fixed_kernel_is_trusted() {
    if lacks(Feature::ExecSeal) {
        return;
    }
    if noexec::is_strict() {
        refused(SealedFile::try_from(honest(SUSPECT)), None, UNTESTED);
        return;
    }
    match try_to_forge() {
        Err(errno) => {
            assert_eq!(errno, rustix::io::Errno::BUSY);
            let file = SealedFile::try_from(honest(SUSPECT)).unwrap();
            assert_eq!(&file.map().unwrap()[..], b"honest");
        }
        Ok(forged) => {
            refused(SealedFile::try_from(forged), None, FORGED);
            refused(SealedFile::try_from(honest(SUSPECT)), None, FORGED);
        }
    }
}

/// A kernel that cannot be tested is not trusted. The failure is not remembered: the next file
/// tests it again.
#[test]
fn a_file_is_refused_if_the_test_cannot_run() {
    if lacks(Feature::ExecSeal) {
        return;
    }
    seccomp::alone(|| {
        let fixed = objection().is_none();
        let file = honest(SUSPECT);
        // The filter keeps only this thread from testing.
        let file = std::thread::spawn(move || {
            let execute = MemfdFlags::EXEC.bits();
            seccomp::on_bits("memfd_create", 1, execute, seccomp::errno(EACCES));
            let (error, file) = SealedFile::try_from(file).unwrap_err().into_parts();
            assert_eq!(error.to_string(), UNTESTED);
            assert_eq!(error.raw_os_error(), None);
            assert!(error.is_unproven() && error.seals().is_empty());
            assert_eq!((error.cause(), error.kind()), (Cause::ForgedWrite, std::io::ErrorKind::InvalidData));

            let error = SealedFile::options().seal(MemFile::from_fd(file).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), UNTESTED);
            error.into_inner()
        });
        assert_eq!(SealedFile::try_from(file.join().unwrap()).is_ok(), fixed);
    });
}

/// The result of the test is remembered for the next file.
#[test]
fn the_test_runs_once() {
    if noexec::leaves_no_choice() {
        return;
    }
    if lacks(Feature::ExecSeal) {
        return;
    }
    seccomp::alone(|| {
        let fixed = objection().is_none();
        assert_eq!(SealedFile::try_from(honest(SUSPECT)).is_ok(), fixed);
        let file = honest(SUSPECT);
        seccomp::always("memfd_create", seccomp::Action::KillProcess);
        assert_eq!(SealedFile::try_from(file).is_ok(), fixed);
    });
}

/// Files without both Exec and FutureWrite do not need the test.
#[test]
fn other_files_need_no_test() {
    if noexec::leaves_no_choice() {
        return;
    }
    if lacks(Feature::ExecSeal) {
        return;
    }
    seccomp::alone(|| {
        let files = [
            Seals::CONSTANT,
            Seals::IMMUTABLE,
            Seals::CONSTANT | Seal::Exec,
            Seals::IMMUTABLE | Seal::Exec,
            Seals::CONSTANT | Seal::FutureWrite,
            Seals::IMMUTABLE | Seal::FutureWrite,
        ]
        .map(honest);
        let shared = honest(Seal::Shrink | Seal::Exec | Seal::FutureWrite);
        seccomp::always("memfd_create", seccomp::Action::KillProcess);
        for file in files {
            SealedFile::try_from(file).unwrap();
        }
        // A view does not rely on the Write seal.
        drop(memfile::SharedView::try_from(shared).unwrap());
    });
}
