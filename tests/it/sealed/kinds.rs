//! Every kind of descriptor becomes a [`SealedFile`] that cannot change, or the right error, which
//! gives the descriptor back.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind::PermissionDenied;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::ptr;

use memfile::kernel::{Feature, Support};
use memfile::{Error, Seal, SealedFile, Seals};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use super::forged;
use crate::support::check::{MAP_DENIED, MISSING_BOTH, NO_MEMORY_FILE, PATH_ONLY, UNSEALABLE};
use crate::support::huge::{Pool, steady_policy};
use crate::support::{check, child, noexec, proc_self, seccomp, skip, tmpfs};

const LEN: usize = 10_000;

/// Converts `fd`, checks the error, and checks that the error gives the descriptor back.
#[track_caller]
fn refuse(fd: OwnedFd, errno: impl Into<Option<i32>>, message: &str) -> Error {
    let (number, before) = (fd.as_raw_fd(), proc_self::descriptors());
    let (error, fd) = SealedFile::try_from(fd).expect_err(message).into_parts();
    assert_eq!(error.to_string(), message);
    assert_eq!(error.raw_os_error(), errno.into());
    assert_eq!(fd.as_raw_fd(), number);
    rustix::io::fcntl_getfd(&fd).expect("the descriptor was closed");
    assert_eq!(proc_self::descriptors(), before);
    drop(fd);
    assert_eq!(proc_self::descriptors(), before - 1);
    error
}

/// Converts `fd`, and tries to change the file in every possible way.
#[track_caller]
fn accept(fd: OwnedFd) {
    let before = proc_self::descriptors();
    let sealed = SealedFile::try_from(fd).unwrap();
    assert_eq!(proc_self::descriptors(), before);
    let map = sealed.map().unwrap();
    let bytes = map.to_vec();
    let file = File::from(sealed.into_fd());
    keeps_promise(file.as_fd(), bytes.len());
    if let Ok(writer) = OpenOptions::new().write(true).read(true).open(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        keeps_promise(writer.as_fd(), bytes.len());
    }
    assert!(*map == bytes);
    drop(file);
    assert!(*map == bytes);
    assert_eq!(proc_self::descriptors(), before - 1);
}

#[track_caller]
fn keeps_promise(fd: BorrowedFd<'_>, len: usize) {
    let denied = |result: Result<(), Errno>| {
        // Besides EPERM: a descriptor that is not open for writing gives EBADF, EACCES or EINVAL,
        // and write(2) to huge pages gives EINVAL.
        let errno = result.expect_err("a sealed file was changed");
        assert!([Errno::PERM, Errno::BADF, Errno::ACCESS, Errno::INVAL].contains(&errno), "{errno:?}");
    };
    denied(rustix::io::write(fd, b"!").map(drop));
    denied(rustix::io::pwrite(fd, b"!", 0).map(drop));
    denied(rustix::fs::ftruncate(fd, 0));
    denied(rustix::fs::ftruncate(fd, len as u64 - 1));
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // The whole file, because Linux 5.10 does nothing for a part of a huge page, and succeeds.
    denied(rustix::fs::fallocate(fd, punch, 0, len as u64));
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: The kernel chooses the address.
    denied(unsafe { rustix::mm::mmap(ptr::null_mut(), len, access, MapFlags::SHARED, fd, 0) }.map(drop));
    // SAFETY: As before.
    if let Ok(base) = unsafe { rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, fd, 0) } {
        let access = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: The mapping belongs to this test.
        assert_eq!(unsafe { rustix::mm::mprotect(base, len, access) }, Err(Errno::ACCESS));
        // SAFETY: As before.
        unsafe { rustix::mm::munmap(base, len) }.unwrap();
    }
}

#[test]
fn not_memory_files() {
    child::alone(|| {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let (one, two) = UnixStream::pair().unwrap();
        let clock = rustix::time::TimerfdClockId::Monotonic;
        let open = |path: &str| OwnedFd::from(OpenOptions::new().read(true).write(true).open(path).unwrap());
        let mut files: Vec<OwnedFd> = vec![
            read,
            write,
            one.into(),
            two.into(),
            rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap(),
            rustix::event::epoll::create(rustix::event::epoll::CreateFlags::empty()).unwrap(),
            rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::empty()).unwrap(),
            rustix::time::timerfd_create(clock, rustix::time::TimerfdFlags::empty()).unwrap(),
            rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).unwrap(),
            File::open("/").unwrap().into(),
            File::open("/proc/self/maps").unwrap().into(),
            open("/dev/null"),
            open("/dev/zero"),
        ];
        let executable = File::open(std::env::current_exe().unwrap()).unwrap();
        if tmpfs::is_on_tmpfs(&executable) {
            skip::skip("this program is on tmpfs");
        } else {
            files.push(executable.into());
        }
        for fd in files {
            let error = refuse(fd.try_clone().unwrap(), libc::EINVAL, NO_MEMORY_FILE);
            assert!(error.is_not_a_memory_file());
            // If it is not open for writing, sealing fails with EPERM.
            let error = SealedFile::options().seal(fd).unwrap_err();
            assert!(error.error().is_not_a_memory_file(), "{}", error.error());
        }
        // SAFETY: A system call without pointers.
        match unsafe { libc::syscall(libc::SYS_memfd_secret, 0) } {
            -1 => skip::skip("no memfd_secret"),
            // SAFETY: A descriptor that was just made.
            fd => drop(refuse(unsafe { OwnedFd::from_raw_fd(fd.try_into().unwrap()) }, libc::EINVAL, NO_MEMORY_FILE)),
        }
        let memfd = memfd(MemfdFlags::empty(), 0o666, Seals::IMMUTABLE);
        for target in [format!("/proc/self/fd/{}", memfd.as_raw_fd()), "/".into()] {
            // `OpenOptions` drops O_PATH on musl.
            let path = rustix::fs::open(target, OFlags::PATH, Mode::empty()).unwrap();
            let sealing = SealedFile::options().seal(path.try_clone().unwrap()).unwrap_err();
            assert_eq!(sealing.to_string(), PATH_ONLY.replace("F_GET_SEALS", "F_ADD_SEALS"));
            assert!(refuse(path, libc::EBADF, PATH_ONLY).is_not_a_memory_file());
        }
    });
}

/// Files on tmpfs support seals, but have only Seal.
#[test]
fn files_on_tmpfs() {
    child::alone(|| {
        let Some(folder) = tmpfs::folder() else { return };
        let named = tempfile::NamedTempFile::new_in(&folder).unwrap().into_file();
        let unnamed = tempfile::tempfile_in(&folder).unwrap();
        for file in [named, unnamed] {
            file.write_all_at(&[1; LEN], 0).unwrap();
            let error = refuse(file.into(), None, &check::missing(Seals::CONSTANT, Seal::Seal.into()));
            assert!(error.is_unproven());
            assert_eq!(error.seals(), Seals::CONSTANT);
        }
    });
}

/// A memory file without holes, with this mode and these seals. It has [`LEN`] bytes, or one page
/// if it is of huge pages.
fn memfd(flags: MemfdFlags, mode: u32, seals: Seals) -> File {
    let fd = noexec::memfd_create(c"kinds", flags | MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    let file = File::from(fd);
    if flags.contains(MemfdFlags::HUGETLB) {
        let page = rustix::fs::fstat(&file).unwrap().st_blksize;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, page.try_into().unwrap()).unwrap();
    } else {
        file.write_all_at(&[1; LEN], 0).unwrap();
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode)).unwrap();
    if !seals.is_empty() {
        rustix::fs::fcntl_add_seals(&file, SealFlags::from_bits_retain(seals.bits())).unwrap();
    }
    file
}

/// All 64 sets of seals, except those with a seal that this kernel does not know.
fn every_set() -> impl Iterator<Item = Seals> {
    (0..64).map(Seals::from_bits_retain).filter(|&seals| {
        let probe = noexec::memfd_create(c"kinds", MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::fcntl_add_seals(probe, SealFlags::from_bits_retain(seals.bits())) != Err(Errno::INVAL)
    })
}

/// Checks that `file` is accepted or refused according to the seals that it has. It can have more
/// than were added, because some imply others. Returns whether it is accepted.
#[track_caller]
fn judge(file: File) -> bool {
    let seals = Seals::from_bits_retain(rustix::fs::fcntl_get_seals(&file).unwrap().bits());
    let missing = Seals::CONSTANT - seals;
    if !missing.is_empty() {
        let error = refuse(file.into(), None, &check::missing(missing, seals));
        assert!(error.is_unproven());
        assert_eq!(error.seals(), missing);
        return false;
    }
    let objection = forged::objection().filter(|_| seals.contains(Seal::Exec | Seal::FutureWrite));
    if let Some(objection) = objection {
        assert!(refuse(file.into(), None, objection).is_unproven());
        return false;
    }
    accept(file.into());
    true
}

/// How many of the sets prove a file: those with Write and Shrink. If the mode has an execute bit,
/// Exec implies both, so all sets with Exec count too, unless the kernel adds forged Write seals.
fn proofs(mode: u32) -> usize {
    let exec = Support::probe().get(Feature::ExecSeal).is_ok();
    if noexec::is_strict() {
        // All files have Exec, so those that also have FutureWrite are refused.
        return 8;
    }
    match (exec, forged::objection().is_none(), mode == 0o777) {
        (false, ..) => 8,
        (true, true, true) => 40,
        (true, true, false) => 16,
        (true, false, true) => 8,
        (true, false, false) => 12,
    }
}

/// The modes that a file can have under the current `vm.memfd_noexec`.
fn modes(modes: &[u32]) -> impl Iterator<Item = u32> {
    modes.iter().copied().filter(|mode| mode & 0o111 == 0 || !noexec::is_strict())
}

#[test]
fn every_set_of_seals() {
    child::alone(|| {
        for mode in modes(&[0o777, 0o666, 0o600]) {
            let accepted = every_set().filter(|&seals| judge(memfd(MemfdFlags::empty(), mode, seals))).count();
            assert_eq!(accepted, proofs(mode), "mode {mode:o}");
        }
    });
}

#[test]
fn every_set_of_seals_on_huge_pages() {
    child::alone(|| {
        let Some(_pool) = Pool::of(1) else { return };
        for mode in modes(&[0o777, 0o666]) {
            let accepted = every_set().filter(|&seals| judge(memfd(MemfdFlags::HUGETLB, mode, seals))).count();
            assert_eq!(accepted, proofs(mode), "mode {mode:o}");
        }
    });
}

/// The proof does not depend on whether the descriptor is open for reading or for writing.
#[test]
fn opened_again() {
    child::alone(|| {
        for seals in every_set() {
            let file = memfd(MemfdFlags::empty(), 0o666, seals);
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let proven = judge(File::open(&path).unwrap());
            let write_only = OpenOptions::new().write(true).open(&path).unwrap();
            if proven {
                let before = proc_self::descriptors();
                let sealed = SealedFile::try_from(OwnedFd::from(write_only)).unwrap();
                let error = sealed.map().unwrap_err();
                assert_eq!(error.to_string(), MAP_DENIED);
                assert_eq!(error.raw_os_error(), Some(libc::EACCES));
                assert_eq!(error.kind(), PermissionDenied);
                drop(sealed);
                assert_eq!(proc_self::descriptors(), before - 1);
            } else {
                judge(write_only);
            }
        }
    });
}

/// A type's `AsFd` and its conversion to `OwnedFd` may give different descriptors. The crate must
/// prove the one that it keeps.
#[test]
fn a_type_with_two_descriptors() {
    struct TwoFaces {
        shown: OwnedFd,
        kept: OwnedFd,
    }
    impl AsFd for TwoFaces {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.shown.as_fd()
        }
    }
    impl From<TwoFaces> for OwnedFd {
        fn from(faces: TwoFaces) -> Self {
            faces.kept
        }
    }
    let faces = || TwoFaces {
        shown: memfd(MemfdFlags::empty(), 0o666, Seals::IMMUTABLE).into(),
        kept: memfd(MemfdFlags::empty(), 0o666, Seals::empty()).into(),
    };
    let error = SealedFile::options().verify(faces()).unwrap_err();
    assert_eq!(error.to_string(), MISSING_BOTH);
    let seals = rustix::fs::fcntl_get_seals(error.fd()).unwrap();
    assert_eq!(seals.bits(), noexec::implied().bits());
    let sealed = SealedFile::options().seal(faces()).unwrap();
    assert!(sealed.as_mem_file().get_seals().unwrap().contains(Seals::IMMUTABLE));
}

/// The crate reads the length after it has checked the seals, because until then the file could
/// shrink.
#[test]
fn the_length_comes_after_the_seals() {
    seccomp::alone(|| {
        let file = OwnedFd::from(memfd(MemfdFlags::empty(), 0o666, Seals::empty()));
        seccomp::always("fstat", seccomp::Action::KillProcess);
        let error = SealedFile::try_from(file).unwrap_err();
        assert_eq!(error.to_string(), MISSING_BOTH);
    });
}

/// If a receiver may not seal a file, the error names the missing seals, and gives the file back
/// unchanged.
#[test]
fn seals_that_cannot_be_added() {
    let read_only = "fcntl(F_ADD_SEALS): EPERM: the descriptor is open for reading only";
    for present in [Seals::empty(), Seal::Write.into(), Seal::Shrink | Seal::Grow] {
        let missing = Seals::CONSTANT - present;
        let closed = memfd(MemfdFlags::empty(), 0o666, present | Seal::Seal);
        let open = memfd(MemfdFlags::empty(), 0o666, present);
        let read = File::open(format!("/proc/self/fd/{}", open.as_raw_fd())).unwrap();
        for (file, reason, seals) in [(closed, UNSEALABLE, present | Seal::Seal), (read, read_only, present)] {
            let (error, fd) = SealedFile::options().seal(file).unwrap_err().into_parts();
            assert_eq!(error.to_string(), reason);
            assert_eq!((error.raw_os_error(), error.seals()), (Some(libc::EPERM), missing));
            assert_eq!(rustix::fs::fcntl_get_seals(fd).unwrap().bits(), (seals | noexec::implied()).bits());
        }
    }
    // If the file already has Write and Shrink, no seal has to be added.
    let closed = memfd(MemfdFlags::empty(), 0o666, Seals::CONSTANT | Seal::Seal);
    SealedFile::options().seal(closed).unwrap();
}

/// Pages of hugetlbfs have at least 64 KiB. For a file of smaller pages the crate does not call
/// `fstatfs`, which a sandbox may refuse.
#[test]
fn ordinary_pages_need_no_look_at_the_file_system() {
    seccomp::alone(|| {
        let _steady = steady_policy();
        let file = memfd(MemfdFlags::empty(), 0o666, Seals::IMMUTABLE);
        let page = rustix::fs::fstat(&file).unwrap().st_blksize;
        if page >= 64 << 10 {
            return skip::skip(format_args!("the pages of a memory file have {page} bytes"));
        }
        seccomp::always("fstatfs", seccomp::errno(libc::EPERM));
        let sealed = SealedFile::options().verify(file).unwrap();
        assert_eq!(sealed.len(), LEN as u64);
    });
}
