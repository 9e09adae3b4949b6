//! Kernels and sandboxes that refuse a call or a flag, simulated with a seccomp filter.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use memfile::kernel::{Feature, Support};
use memfile::{Cause, CreateOptions, Error, Exec, HugeTlb, MemFile, Seal, SealedFile, Seals};

use crate::support::check::{MISSING_BOTH, NOEXEC_IMPLIED, SEALING_IGNORED, refused};
use crate::support::noexec;
use crate::support::proc_self::descriptors;
use crate::support::seccomp::{self, errno};

fn on_flags(flags: u32, action: seccomp::Action) {
    seccomp::on_bits("memfd_create", 1, flags, action);
}

fn sealable(exec: Exec) -> CreateOptions {
    CreateOptions::new().allow_sealing(true).exec(exec)
}

#[track_caller]
fn assert_mode(file: &MemFile, mode: u32) {
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, mode);
}

#[test]
fn exec_flags_are_left_out_and_not_tried_again() {
    seccomp::alone(|| {
        // What a file without these flags is like is up to the kernel.
        let implied = if noexec::implies_sealing() { Seal::Exec.into() } else { Seals::empty() };
        on_flags(libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL, errno(libc::EINVAL));
        let file = sealable(Exec::Deny).create("first").unwrap();
        assert_mode(&file, 0o666);
        assert_eq!(file.get_seals().unwrap(), implied);

        // From here on, trying one of the flags again would make the call fail: the crate tries
        // without them only after EINVAL.
        on_flags(libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL, errno(libc::EXFULL));
        for (exec, mode) in [(Exec::Deny, 0o666), (Exec::DenyUnsealed, 0o666), (Exec::Allow, 0o777)] {
            // If the kernel implies the seal Exec, only a flag could avoid it.
            if exec != Exec::Deny && noexec::implies_sealing() {
                assert_eq!(refused(sealable(exec).create("second"), None, NOEXEC_IMPLIED).cause(), Cause::Denied);
                continue;
            }
            let file = sealable(exec).create("second").unwrap();
            assert_mode(&file, mode);
            assert_eq!(file.get_seals().unwrap(), implied);
            let file = sealable(exec).allow_sealing(false).create("third").unwrap();
            assert_mode(&file, mode);
            assert_eq!(file.get_seals().unwrap(), implied | Seal::Seal);
        }
    });
}

#[test]
fn only_the_refused_flag_is_left_out() {
    seccomp::alone(|| {
        on_flags(libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL, errno(libc::EINVAL));
        let file = sealable(Exec::Deny).create("close-on-exec").unwrap();
        assert_eq!(rustix::io::fcntl_getfd(&file).unwrap(), rustix::io::FdFlags::CLOEXEC);
        file.add_seal(Seal::Grow).unwrap();
    });
}

/// If memfd_create returns EINVAL because of another flag, the crate must not conclude that the
/// kernel lacks the exec flags.
#[test]
fn another_refused_flag_is_reported_and_not_remembered() {
    seccomp::alone(|| {
        let seals =
            || sealable(Exec::Deny).close_on_exec(false).create("before and after").unwrap().get_seals().unwrap();
        let before = seals();
        on_flags(libc::MFD_CLOEXEC | libc::MFD_HUGETLB, errno(libc::EINVAL));

        const FLAG: &str = "memfd_create: EINVAL: this kernel, or a sandbox, refuses a flag of memfd_create";
        assert!(refused(sealable(Exec::Deny).create("x"), libc::EINVAL, FLAG).is_unsupported());

        const HUGE: &str = "memfd_create: EINVAL: this kernel lacks MFD_HUGETLB (since Linux 4.14), or cannot seal such files (since 4.16)";
        let huge = sealable(Exec::Deny).close_on_exec(false).huge_tlb(HugeTlb::Default);
        assert!(refused(huge.create("x"), libc::EINVAL, HUGE).is_unsupported());

        assert_eq!(seals(), before);
    });
}

#[test]
fn no_memfd_create_at_all() {
    seccomp::alone(|| {
        seccomp::always("memfd_create", errno(libc::ENOSYS));
        let error = MemFile::create_default("x").unwrap_err();
        assert!(error.is_unsupported());
        const NONE: &str = "memfd_create: ENOSYS: this system has no memfd_create: \
            it needs Linux 3.17 with CONFIG_MEMFD_CREATE, and a sandbox may hide it";
        refused(Err::<(), _>(error), libc::ENOSYS, NONE);

        let error = CreateOptions::new().huge_tlb(HugeTlb::Default).create("x").unwrap_err();
        assert!(error.is_unsupported());
        refused(Err::<(), _>(error), libc::ENOSYS, "memfd_create: ENOSYS: this system has no hugetlbfs");

        for (number, name) in [(libc::EPERM, "EPERM"), (libc::EACCES, "EACCES")] {
            seccomp::always("memfd_create", errno(number));
            let denied = format!("memfd_create: {name}: a sandbox or a security module forbids memory files");
            assert_eq!(refused(MemFile::create_default("x"), number, &denied).cause(), Cause::Denied);
        }
    });
}

/// Some emulated kernels and sandboxes accept `F_ADD_SEALS` and do nothing. The crate checks every
/// file: a program can enter a sandbox at any time, so earlier files prove nothing.
#[test]
fn no_file_is_sealed_by_ignored_seals() {
    seccomp::alone(|| {
        drop(SealedFile::from_bytes("x", b"honest").unwrap());
        let sealing = sealable(Exec::Deny);
        let (file, received) = (sealing.create("x").unwrap(), sealing.create("x").unwrap());
        file.write_all_at(b"bytes", 0).unwrap();
        let draft = SealedFile::options().draft("x", 5).unwrap();
        seccomp::on_fcntl(libc::F_ADD_SEALS, errno(0));
        // `add_seal` is documented as a single call, so it does not notice.
        file.add_seal(Seal::Grow).unwrap();

        let ignored = |result: Result<SealedFile, Error>| {
            let error = refused(result, None, SEALING_IGNORED);
            assert_eq!((error.cause(), error.seals()), (Cause::Unsupported, Seals::CONSTANT));
            assert!(error.is_unsupported() && !error.is_unproven());
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        };
        let before = descriptors();
        ignored(SealedFile::from_bytes("x", b"bytes"));
        ignored(SealedFile::options().huge_pages(true).from_bytes("x", &[1; 2 << 20]));
        ignored(SealedFile::create_with("x", 5, |bytes| bytes.fill(1)));
        ignored(SealedFile::options().try_create_with("x", 5, |bytes| {
            bytes.fill(1);
            Ok(())
        }));
        ignored(SealedFile::copy_of("x", &file));
        let error = SealedFile::from_reader("x", &b"bytes"[..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        ignored(Err(error.downcast().unwrap()));
        assert_eq!(descriptors(), before);

        let (error, mut draft) = draft.seal().unwrap_err().into_parts();
        ignored(Err(error));
        draft.copy_from_slice(b"still");
        let (error, file) = file.into_sealed().unwrap_err().into_parts();
        ignored(Err(error));
        let (error, file) = file.into_sealed_timeout(Duration::from_secs(60)).unwrap_err().into_parts();
        ignored(Err(error));
        file.write_all_at(b"mine", 0).unwrap();
        let (error, received) = SealedFile::options().seal(received).unwrap_err().into_parts();
        ignored(Err(error));
        // `verify` adds no seals, so it sees that they are missing.
        let error = SealedFile::options().verify(received).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.error().cause()), (MISSING_BOTH, Cause::MissingSeals));
        // `Support::probe` notices it too.
        let error = Support::probe().get(Feature::Sealing).unwrap_err();
        assert_eq!((error.cause(), error.seals()), (Cause::Unsupported, Seals::from(Seal::Shrink)));
    });
}

/// If `fchmod` or `F_ADD_SEALS` fails after `memfd_create`, the descriptor is closed.
#[test]
fn a_failed_creation_leaks_no_descriptor() {
    seccomp::alone(|| {
        on_flags(libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL, errno(libc::EINVAL));
        seccomp::always("fchmod", errno(libc::EIO));
        let before = descriptors();
        for exec in [Exec::Deny, noexec::plain_without_flags()] {
            refused(sealable(exec).create("x"), libc::EIO, "fchmod: EIO: the kernel refused the call");
        }
        assert_eq!(descriptors(), before);
    });
}

/// If a file cannot be made unsealable as requested, creation fails.
#[test]
fn sealing_that_cannot_be_forbidden_is_an_error() {
    seccomp::alone(|| {
        let implied = sealable(Exec::Deny).create("x").unwrap().get_seals().unwrap().contains(Seal::Exec);
        seccomp::on_fcntl(libc::F_ADD_SEALS, errno(libc::EIO));
        let before = descriptors();
        let created = CreateOptions::new().create("x");
        if implied {
            refused(created, libc::EIO, "fcntl(F_ADD_SEALS): EIO: the kernel refused the call");
        } else {
            assert_eq!(created.unwrap().get_seals().unwrap(), Seals::from(Seal::Seal), "a kernel before 6.3");
        }
        assert_eq!(descriptors(), before);
    });
}
