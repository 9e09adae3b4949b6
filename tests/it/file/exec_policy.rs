//! Every [`Exec`] policy, with and without sealing, under every `vm.memfd_noexec`: the mode and the seals of the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use memfile::{CreateOptions, Exec, MemFile, Seal, Seals};

use crate::check::refused;
use crate::skip::skip;
use crate::{child, seccomp};

const SYSCTL: &str = "/proc/sys/vm/memfd_noexec";

/// `None` on a kernel before 6.3, which has neither the sysctl nor the flags.
fn noexec() -> Option<u8> {
    fs::read_to_string(SYSCTL).ok().map(|value| value.trim().parse().unwrap())
}

/// Mode and seals, or `None` for EACCES.
fn expected(exec: Exec, allow_sealing: bool, noexec: Option<u8>) -> Option<(u32, Seals)> {
    let unsealable = if allow_sealing { Seals::empty() } else { Seal::Seal.into() };
    match (exec, noexec) {
        (Exec::Deny, Some(_)) | (Exec::KernelDefault, Some(1 | 2)) => Some((0o666, Seal::Exec | unsealable)),
        (Exec::Allow | Exec::DenyUnsealed, Some(2)) => None,
        (Exec::Deny | Exec::DenyUnsealed, _) => Some((0o666, unsealable)),
        (Exec::Allow | Exec::KernelDefault, _) => Some((0o777, unsealable)),
        _ => unreachable!("a policy without an expectation"),
    }
}

fn check_all(noexec: Option<u8>) {
    for exec in [Exec::Deny, Exec::DenyUnsealed, Exec::Allow, Exec::KernelDefault] {
        for allow_sealing in [false, true] {
            let case = format!("{exec:?}, allow_sealing({allow_sealing}), vm.memfd_noexec={noexec:?}");
            let created = CreateOptions::new().exec(exec).allow_sealing(allow_sealing).create("policy");
            let add_seal = if allow_sealing { Ok(()) } else { Err(Some(libc::EPERM)) };
            let Some((mode, seals)) = expected(exec, allow_sealing, noexec) else {
                const MESSAGE: &str = "memfd_create: EACCES: vm.memfd_noexec is 2: no executable memory files here";
                refused(created, libc::EACCES, MESSAGE);
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

#[test]
fn on_this_machine() {
    check_all(noexec());
}

/// `fcntl` and `fchmod` would fail, so creation makes neither call.
#[test]
fn a_sealable_file_costs_one_call() {
    const TEST: &str = "exec_policy::a_sealable_file_costs_one_call";
    match noexec() {
        None => return skip(TEST, "a kernel before 6.3 needs fchmod"),
        Some(2) => return skip(TEST, "vm.memfd_noexec is 2"),
        Some(_) if !child::is_child(TEST) => return,
        Some(_) => {}
    }
    seccomp::always("fchmod", seccomp::errno(libc::EIO));
    seccomp::always("fcntl", seccomp::errno(libc::EIO));
    for exec in [Exec::Deny, Exec::Allow, Exec::KernelDefault] {
        CreateOptions::new().exec(exec).allow_sealing(true).create("one call").unwrap();
    }
    CreateOptions::new().exec(Exec::Allow).create("one call").unwrap();
}

/// The value of the sysctl binds a pid namespace and those below it, so the machine's own stays as it is.
const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--"];

/// The least value that a namespace can have, or `None` and a word about it where there can be no such namespace.
fn least_here(test: &str) -> Option<u8> {
    let Some(here) = noexec() else {
        skip(test, "this kernel has no vm.memfd_noexec (Linux 6.3)");
        return None;
    };
    match Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).args(["test", "-w", SYSCTL]).output() {
        Ok(output) if output.status.success() => return Some(here),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            skip(test, format_args!("no pid namespace with a writable {SYSCTL}: {why}"));
        }
        Err(error) => skip(test, format_args!("unshare: {error}")),
    }
    None
}

/// Sets the sysctl in a namespace of this process's own.
fn set_noexec(value: &str) {
    assert_eq!(std::process::id(), 1, "not in a pid namespace of its own");
    fs::write(SYSCTL, value).unwrap();
    assert_eq!(noexec(), value.parse().ok());
}

#[test]
fn under_every_sysctl() {
    const TEST: &str = "exec_policy::under_every_sysctl";
    if let Some(value) = child::situation() {
        set_noexec(&value);
        return check_all(noexec());
    }
    let Some(least) = least_here(TEST) else { return };
    for value in least..=2 {
        child::run(TEST, &NAMESPACE, &value.to_string());
    }
}

/// A sandbox that knows no exec flags, on a kernel that implies them: a file is no more sealable than was asked for.
#[test]
fn implied_flags_that_are_refused() {
    const TEST: &str = "exec_policy::implied_flags_that_are_refused";
    if let Some(value) = child::situation() {
        set_noexec(&value);
        seccomp::on_bits("memfd_create", 1, libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL, seccomp::errno(libc::EINVAL));
        let file = MemFile::create_default("policy").unwrap();
        assert_eq!(file.get_seals().unwrap(), Seal::Exec | Seal::Seal);
        return;
    }
    match least_here(TEST) {
        Some(0 | 1) => child::run(TEST, &NAMESPACE, "1"),
        Some(value) => skip(TEST, format_args!("vm.memfd_noexec is {value}")),
        None => {}
    }
}
