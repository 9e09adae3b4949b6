//! A program written for memfile 0.3.2 compiles unchanged and does the same, except for the
//! differences that are tested here. Three things no longer compile, and the [program] uses none of
//! them:
//!
//! - `std::io::Error` or `std::io::Result` as the type of a method's result, where it is now
//!   [`memfile::Error`];
//! - a closure whose error type was inferred as `std::io::Error` from such a method;
//! - an `Option` as the argument of `huge_tlb`.
//!
//! [program]: ours::program

use std::fmt::Debug;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use memfile::{MemFile, Seal, Seals};

use crate::support::noexec;
use crate::support::skip::skip;

#[path = "."]
mod ours {
    use memfile as memfile_under_test;

    #[path = "program.rs"]
    pub(crate) mod program;
    #[path = "suite.rs"]
    mod suite;
}

pub(crate) use ours::program::HUGE_TLB_SIZES;

#[path = "."]
mod theirs {
    use memfile03 as memfile_under_test;

    #[path = "program.rs"]
    #[allow(clippy::duplicate_mod, reason = "the same program, for the other crate")]
    pub(super) mod program;
    #[path = "suite.rs"]
    #[allow(clippy::duplicate_mod, reason = "as above")]
    mod suite;
}

#[test]
fn the_same_program_gives_the_same_transcript() {
    let (ours, theirs) = (ours::program::run().unwrap(), theirs::program::run().unwrap());
    assert!(theirs.len() > 40, "the transcript is too short: {} lines", theirs.len());
    assert_eq!(ours.len(), theirs.len());
    let differ = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect::<Vec<_>>();
    if noexec::implies_sealing() {
        // In ours, two files have the seal Seal as requested, and adding a seal to one of them
        // fails.
        assert_eq!(differ.len(), 3, "{differ:?}");
    } else {
        assert!(differ.is_empty(), "{differ:?}");
    }
}

/// In 0.3.2 every error is a `std::io::Error`. Here `?` still converts to one, with the same kind.
/// The errno is only in the error that it contains.
#[test]
fn differs_in_the_type_of_errors() {
    let theirs: fn(&memfile03::MemFile, u64) -> std::io::Result<()> = memfile03::MemFile::set_len;
    let ours: fn(&MemFile, u64) -> Result<(), memfile::Error> = MemFile::set_len;
    let error = theirs(&memfile03::MemFile::create_default("error").unwrap(), u64::MAX).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::InvalidInput, None));
    let error = ours(&MemFile::create_default("error").unwrap(), u64::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);

    let file = memfile03::MemFile::create_sealable("error").unwrap();
    file.add_seal(memfile03::Seal::Seal).unwrap();
    let error = file.add_seal(memfile03::Seal::Grow).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::PermissionDenied, Some(libc::EPERM)));
    let error = MemFile::create_default("error").unwrap().add_seal(Seal::Grow).unwrap_err();
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::PermissionDenied, Some(libc::EPERM)));
    let error = std::io::Error::from(error);
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::PermissionDenied, None));
    assert_eq!(error.downcast::<memfile::Error>().unwrap().raw_os_error(), Some(libc::EPERM));
}

/// In 0.3.2 `huge_tlb` also accepts an `Option`, and `None` resets the option. Here it is a
/// `const fn`.
#[test]
fn differs_in_the_argument_of_huge_tlb() {
    let there = memfile03::CreateOptions::new().huge_tlb(memfile03::HugeTlb::Huge2MB);
    let some = memfile03::CreateOptions::new().huge_tlb(Some(memfile03::HugeTlb::Huge2MB));
    assert_eq!(format!("{there:?}"), format!("{some:?}"));
    assert_eq!(format!("{:?}", there.huge_tlb(None)), format!("{:?}", memfile03::CreateOptions::new()));

    const SET: fn(memfile::CreateOptions, memfile::HugeTlb) -> memfile::CreateOptions =
        memfile::CreateOptions::huge_tlb;
    const HERE: memfile::CreateOptions = memfile::CreateOptions::new().huge_tlb(memfile::HugeTlb::Huge2MB);
    assert_eq!(SET(memfile::CreateOptions::new(), memfile::HugeTlb::Huge2MB), HERE);
}

/// In 0.3.2 the kernel decides, and makes every file sealable if `vm.memfd_noexec` is 1 or 2.
#[test]
fn differs_in_sealing_that_was_not_asked_for() {
    let theirs = memfile03::MemFile::create_default("sealing").unwrap().add_seal(memfile03::Seal::Grow);
    assert_eq!(theirs.is_ok(), noexec::implies_sealing());
    let ours = MemFile::create_default("sealing").unwrap().add_seal(Seal::Grow).unwrap_err();
    assert_eq!(ours.kind(), ErrorKind::PermissionDenied);
}

/// In 0.3.2 `!` sets bits that are not seals.
#[test]
fn differs_in_not() {
    assert_eq!((!memfile03::Seals::empty()).bits(), u32::MAX);
    assert_ne!(!memfile03::Seals::empty(), memfile03::Seals::all());
    assert_eq!((!Seals::empty()).bits(), 0x3f);
    assert_eq!(!Seals::empty(), Seals::all());
}

/// 0.3.2 does not know the seal Exec, so it does not report that a file has it.
#[test]
fn differs_in_the_exec_seal() {
    assert_eq!((memfile03::Seals::all().len(), Seals::all().len()), (5, 6));

    let ours = MemFile::create_sealable("exec").unwrap();
    if let Err(error) = ours.add_seal(Seal::Exec) {
        return skip(error);
    }
    let theirs = memfile03::MemFile::from_fd(ours.try_clone().unwrap().into_fd()).ok().unwrap();
    assert_eq!(theirs.get_seals().unwrap(), memfile03::Seals::empty());
    assert_eq!(ours.get_seals().unwrap(), Seals::from(Seal::Exec));
}

/// In 0.3.2 every file is executable, unless `vm.memfd_noexec` forbids it.
#[test]
fn differs_in_the_mode() {
    let theirs = memfile03::MemFile::create_default("mode").unwrap();
    let ours = MemFile::create_default("mode").unwrap();
    let by_kernel = memfile::CreateOptions::new().exec(memfile::Exec::KernelDefault).create("mode").unwrap();
    assert_eq!(ours.metadata().unwrap().permissions().mode() & 0o777, 0o666);
    assert_eq!(by_kernel.metadata().unwrap().permissions(), theirs.metadata().unwrap().permissions());
}

/// 0.3.2 lets the kernel refuse a name that is too long, so the error has an errno. The kinds are
/// the same.
#[test]
fn differs_in_the_errno_of_a_bad_name() {
    let name = "n".repeat(250);
    let (ours, theirs) =
        (MemFile::create_default(&name).unwrap_err(), memfile03::MemFile::create_default(&name).unwrap_err());
    assert_eq!((theirs.kind(), theirs.raw_os_error()), (ErrorKind::InvalidInput, Some(libc::EINVAL)));
    assert_eq!((ours.kind(), ours.raw_os_error()), (ErrorKind::InvalidInput, None));

    let (ours, theirs) =
        (MemFile::create_default("\0").unwrap_err(), memfile03::MemFile::create_default("\0").unwrap_err());
    assert_eq!((theirs.kind(), theirs.raw_os_error()), (ErrorKind::InvalidInput, None));
    assert_eq!((ours.kind(), ours.raw_os_error()), (ErrorKind::InvalidInput, None));
}

/// In 0.3.2 `FromFdError` implements neither `Debug` nor `Error`, so it works neither with `unwrap`
/// nor with `Box<dyn Error>`.
#[test]
fn differs_in_the_traits_of_from_fd_error() {
    /// Turns a trait bound into a value: if the bound holds, the inherent constant takes precedence
    /// over that of `Fallback`.
    struct Is<T>(std::marker::PhantomData<T>);
    trait Fallback {
        const DEBUG: bool = false;
        const ERROR: bool = false;
    }
    impl<T> Fallback for Is<T> {}
    macro_rules! when {
        ($Bound:path, $NAME:ident) => {
            impl<T: $Bound> Is<T> {
                const $NAME: bool = true;
            }
        };
    }
    when!(Debug, DEBUG);
    when!(std::error::Error, ERROR);

    assert_eq!((Is::<memfile03::FromFdError>::DEBUG, Is::<memfile03::FromFdError>::ERROR), (false, false));
    assert_eq!((Is::<memfile::FromFdError>::DEBUG, Is::<memfile::FromFdError>::ERROR), (true, true));
}

/// In 0.3.2 `Debug` shows the `File` that a `MemFile` contains.
#[test]
fn differs_in_debug() {
    assert!(format!("{:?}", memfile03::MemFile::create_default("name").unwrap()).starts_with("MemFile { file: File {"));
    assert!(format!("{:?}", MemFile::create_default("name").unwrap()).contains(r#"name: "name", len: 0, seals: "#));
}
