//! A program written against memfile 0.3.2 compiles unchanged and does the same, but for what is
//! listed here. Three things no longer compile, and the [program] uses none of them:
//!
//! - the name `std::io::Error` or `std::io::Result` for what a method returns: [`memfile::Error`];
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
fn the_same_program_says_the_same() {
    let (ours, theirs) = (ours::program::run().unwrap(), theirs::program::run().unwrap());
    assert!(theirs.len() > 40, "the program has hardly run");
    assert_eq!(ours.len(), theirs.len());
    let differ = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).collect::<Vec<_>>();
    if noexec::implies_sealing() {
        // Two files have the seal Seal, and one is asked for another seal.
        assert_eq!(differ.len(), 3, "{differ:?}");
    } else {
        assert!(differ.is_empty(), "{differ:?}");
    }
}

/// There every error is a `std::io::Error`. Here `?` still makes one of it: with the same kind, but
/// the errno is that of the error within.
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

/// There it takes an `Option` as well, and `None` undoes the setting; here it is a `const fn`.
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

/// There the kernel decides, and where `vm.memfd_noexec` is 1 or 2 it makes every file sealable.
#[test]
fn differs_in_sealing_that_was_not_asked_for() {
    let theirs = memfile03::MemFile::create_default("sealing").unwrap().add_seal(memfile03::Seal::Grow);
    assert_eq!(theirs.is_ok(), noexec::implies_sealing());
    let ours = MemFile::create_default("sealing").unwrap().add_seal(Seal::Grow).unwrap_err();
    assert_eq!(ours.kind(), ErrorKind::PermissionDenied);
}

/// There `!` sets bits that no kernel knows.
#[test]
fn differs_in_not() {
    assert_eq!((!memfile03::Seals::empty()).bits(), u32::MAX);
    assert_ne!(!memfile03::Seals::empty(), memfile03::Seals::all());
    assert_eq!((!Seals::empty()).bits(), 0x3f);
    assert_eq!(!Seals::empty(), Seals::all());
}

/// There the Exec seal does not exist, and the seals of a file that has it are not the whole truth.
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

/// There every file is executable, unless `vm.memfd_noexec` says otherwise.
#[test]
fn differs_in_the_mode() {
    let theirs = memfile03::MemFile::create_default("mode").unwrap();
    let ours = MemFile::create_default("mode").unwrap();
    let by_kernel = memfile::CreateOptions::new().exec(memfile::Exec::KernelDefault).create("mode").unwrap();
    assert_eq!(ours.metadata().unwrap().permissions().mode() & 0o777, 0o666);
    assert_eq!(by_kernel.metadata().unwrap().permissions(), theirs.metadata().unwrap().permissions());
}

/// There a name that is too long is for the kernel to refuse. The kinds agree.
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

/// There the error of `from_fd` has neither, so that `unwrap` and `Box<dyn Error>` do not take it.
#[test]
fn differs_in_the_traits_of_from_fd_error() {
    /// A trait bound as a value: the inherent constant wins where the bound holds.
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

/// There it shows the `File` within.
#[test]
fn differs_in_debug() {
    assert!(format!("{:?}", memfile03::MemFile::create_default("name").unwrap()).starts_with("MemFile { file: File {"));
    assert!(format!("{:?}", MemFile::create_default("name").unwrap()).contains(r#"name: "name", len: 0, seals: "#));
}
