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

#[test]
fn under_every_sysctl() {
    const TEST: &str = "exec_policy::under_every_sysctl";
    /// The value binds a pid namespace and those below it, so the machine's own stays as it is.
    const NAMESPACE: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--"];

    /// A sandbox that knows no exec flags, on a kernel that implies them.
    const WITHOUT_FLAGS: &str = "1 without flags";

    if let Some(situation) = child::situation() {
        assert_eq!(std::process::id(), 1, "not in a pid namespace of its own");
        let value = &situation[..1];
        fs::write(SYSCTL, value).unwrap();
        assert_eq!(noexec(), value.parse().ok());
        if situation == WITHOUT_FLAGS {
            seccomp::on_bits("memfd_create", 1, libc::MFD_EXEC | libc::MFD_NOEXEC_SEAL, seccomp::errno(libc::EINVAL));
            let file = MemFile::create_default("policy").unwrap();
            return assert_eq!(file.get_seals().unwrap(), Seal::Exec | Seal::Seal);
        }
        return check_all(noexec());
    }
    let Some(here) = noexec() else {
        return skip(TEST, "this kernel has no vm.memfd_noexec (Linux 6.3)");
    };
    let allowed = Command::new(NAMESPACE[0]).args(&NAMESPACE[1..]).args(["test", "-w", SYSCTL]).output();
    match allowed {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            return skip(TEST, format_args!("no pid namespace with a writable {SYSCTL}: {why}"));
        }
        Err(error) => return skip(TEST, format_args!("unshare: {error}")),
    }
    for value in here..=2 {
        child::run(TEST, &NAMESPACE, &value.to_string());
    }
    if here <= 1 {
        child::run(TEST, &NAMESPACE, WITHOUT_FLAGS);
    }
}
