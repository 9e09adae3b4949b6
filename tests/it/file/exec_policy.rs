//! Every [`Exec`] policy, with and without sealing, under every `vm.memfd_noexec`: the mode and the
//! seals of the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use memfile::{Cause, CreateOptions, Exec, MemFile, Seal, Seals, SharedMap};

use crate::support::check::{NOEXEC_IMPLIED, UNTESTED, refused};
use crate::support::noexec::{SYSCTL, level};
use crate::support::proc_self::descriptors;
use crate::support::skip::skip;
use crate::support::{child, seccomp};

/// The mode and the seals that a new file should have, or `None` if creation should fail with
/// EACCES.
fn expected(exec: Exec, allow_sealing: bool, noexec: Option<u8>) -> Option<(u32, Seals)> {
    let unsealable = if allow_sealing { Seals::empty() } else { Seal::Seal.into() };
    match (exec, noexec) {
        (Exec::Deny, Some(_)) | (Exec::KernelDefault, Some(1 | 2)) => Some((0o666, Seal::Exec | unsealable)),
        (Exec::Allow | Exec::DenyUnsealed, Some(2)) => None,
        (Exec::Deny | Exec::DenyUnsealed, _) => Some((0o666, unsealable)),
        (Exec::Allow | Exec::KernelDefault, _) => Some((0o777, unsealable)),
        _ => unreachable!("no result is expected for this policy"),
    }
}

const FORBIDDEN: &str =
    "memfd_create: EACCES: vm.memfd_noexec is 2, which forbids executable memory files: use `Exec::Deny`";

fn check_all(noexec: Option<u8>) {
    for exec in [Exec::Deny, Exec::DenyUnsealed, Exec::Allow, Exec::KernelDefault] {
        for allow_sealing in [false, true] {
            let case = format!("{exec:?}, allow_sealing({allow_sealing}), vm.memfd_noexec={noexec:?}");
            let created = CreateOptions::new().exec(exec).allow_sealing(allow_sealing).create("policy");
            let add_seal = if allow_sealing { Ok(()) } else { Err(Some(libc::EPERM)) };
            let Some((mode, seals)) = expected(exec, allow_sealing, noexec) else {
                assert_eq!(refused(created, libc::EACCES, FORBIDDEN).cause(), Cause::Denied);
                continue;
            };
            let file = created.expect(&case);
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, mode, "{case}");
            assert_eq!(file.get_seals().unwrap(), seals, "{case}");
            file.write_all_at(b"every new file takes writes", 0).expect(&case);
            assert_eq!(file.add_seal(Seal::Grow).map_err(|error| error.raw_os_error()), add_seal, "{case}");
        }
    }
}

/// A shared map can be frozen unless `vm.memfd_noexec` is 2. Every file then has the seal Exec.
/// With FutureWrite, which sharing adds, its Write seal could be forged. The kernel cannot be
/// tested for the fix, because the test needs an executable file, which this policy forbids.
fn check_shared(noexec: Option<u8>) {
    drop(SharedMap::create_fixed_size("policy", 5).unwrap());
    let create = || SharedMap::create("policy", 5);
    if noexec != Some(2) {
        assert!(create().unwrap().freeze().is_ok());
        return;
    }
    refused(create(), libc::EACCES, FORBIDDEN);
    let file = MemFile::create_sealable("policy").unwrap();
    file.set_len(5).unwrap();
    refused(file.share().unwrap().freeze(), None, UNTESTED);
    let file = MemFile::create_sealable("policy").unwrap();
    assert!(file.into_sealed().is_ok(), "an unshared file cannot be sealed");
}

#[test]
fn on_this_machine() {
    check_all(level());
    check_shared(level());
}

/// Creation calls neither `fcntl` nor `fchmod`: the filter would make both fail.
#[test]
fn a_sealable_file_costs_one_call() {
    match level() {
        None => return skip("a kernel before 6.3 needs fchmod"),
        Some(2) => return skip("vm.memfd_noexec is 2"),
        Some(_) => {}
    }
    seccomp::alone(|| {
        seccomp::always("fchmod", seccomp::errno(libc::EIO));
        seccomp::always("fcntl", seccomp::errno(libc::EIO));
        for exec in [Exec::Deny, Exec::Allow, Exec::KernelDefault] {
            CreateOptions::new().exec(exec).allow_sealing(true).create("one call").unwrap();
        }
        CreateOptions::new().exec(Exec::Allow).create("one call").unwrap();
    });
}

/// `vm.memfd_noexec` belongs to a pid namespace and applies to those below it, so setting it in a
/// new one leaves the machine's setting alone.
const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--"];

/// The lowest value that a new namespace can have. If no such namespace can be made, prints that
/// the test is skipped and returns `None`.
#[track_caller]
fn least_here() -> Option<u8> {
    let Some(here) = level() else {
        skip("this kernel has no vm.memfd_noexec (Linux 6.3)");
        return None;
    };
    let writable = [&NAMESPACE[..], &["test", "-w", SYSCTL]].concat();
    child::can_run(&writable).then_some(here)
}

/// Sets the sysctl in the pid namespace of this process.
fn set_noexec(value: &str) {
    assert_eq!(std::process::id(), 1, "not in a pid namespace of its own");
    fs::write(SYSCTL, value).unwrap();
    assert_eq!(level(), value.parse().ok());
}

#[test]
fn under_every_sysctl() {
    let in_namespace = child::split(|value| {
        set_noexec(value);
        check_all(level());
        check_shared(level());
    });
    let Some(test) = in_namespace else { return };
    let Some(least) = least_here() else { return };
    for value in least..=2 {
        test.run(&NAMESPACE, &value.to_string());
    }
}

/// On a kernel that implies MFD_NOEXEC_SEAL, a sandbox refuses the exec flags. No file may then be
/// sealable if that was not requested, and none may have the seal Exec against the caller's policy.
#[test]
fn implied_flags_that_are_refused() {
    let in_namespace = child::split(|value| {
        set_noexec(value);
        seccomp::on_bits("memfd_create", 1, libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL, seccomp::errno(libc::EINVAL));
        let file = MemFile::create_default("policy").unwrap();
        assert_eq!(file.get_seals().unwrap(), Seal::Exec | Seal::Seal);
        let before = descriptors();
        for exec in [Exec::Allow, Exec::DenyUnsealed] {
            let created = CreateOptions::new().exec(exec).create("policy");
            assert_eq!(refused(created, None, NOEXEC_IMPLIED).cause(), Cause::Denied);
        }
        refused(SharedMap::create("policy", 5), None, NOEXEC_IMPLIED);
        assert_eq!(descriptors(), before);
    });
    let Some(test) = in_namespace else { return };
    match least_here() {
        Some(0 | 1) if seccomp::is_available() => test.run(&NAMESPACE, "1"),
        Some(value @ 2..) => skip(format_args!("vm.memfd_noexec is {value}")),
        _ => {}
    }
}
