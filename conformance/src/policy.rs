//! `vm.memfd_noexec` (1.7). Each row sets it in a new pid namespace.

use memfile::{CreateOptions, Exec};

use crate::probe::{EXEC, MFD_ALLOW_SEALING, MFD_EXEC, MFD_NOEXEC_SEAL, SEAL};
use crate::raw;
use crate::table::{EACCES, EINVAL, Expect, OK, Table, Try, skip};

const SYSCTL: &str = "/proc/sys/vm/memfd_noexec";

/// Runs in a new pid namespace with the sysctl at `level`.
fn at_level(level: &'static str, run: impl FnOnce() -> Try) -> Try {
    if std::fs::metadata(SYSCTL).is_err() {
        return skip("no vm.memfd_noexec: a kernel before 6.3, or no /proc");
    }
    if !rustix::process::geteuid().is_root() {
        return skip("not root");
    }
    raw::in_child(|| {
        raw::unshare(libc::CLONE_NEWPID).or_else(|_| skip("no pid namespaces here"))?;
        // Only children are in the new namespace.
        raw::in_child(|| {
            if std::fs::write(SYSCTL, level).is_err() {
                return skip("the level of the parent namespace is higher");
            }
            run()
        })
    })
}

pub(crate) fn rows(table: &mut Table) {
    let flags =
        [("none", 0), ("sealing", MFD_ALLOW_SEALING), ("MFD_EXEC", MFD_EXEC), ("MFD_NOEXEC_SEAL", MFD_NOEXEC_SEAL)];
    // The seals of the new file, or EACCES if it cannot be created.
    let seals = [
        ("0", [Expect::Value(SEAL), OK, Expect::Value(SEAL), Expect::Value(EXEC)]),
        ("1", [Expect::Value(EXEC), Expect::Value(EXEC), Expect::Value(SEAL), Expect::Value(EXEC)]),
        ("2", [Expect::Value(EXEC), Expect::Value(EXEC), EACCES, Expect::Value(EXEC)]),
    ];
    for (level, expected) in seals {
        for ((name, flags), expect) in flags.into_iter().zip(expected) {
            table.row(format!("1.7/{level}/{name}"), expect, move || {
                at_level(level, || raw::get_seals(raw::memfd(flags)?))
            });
        }
    }
    let no = SEAL | EXEC;
    let policies = [
        ("0", Exec::Deny, Expect::Value(no)),
        ("0", Exec::DenyUnsealed, Expect::Value(SEAL)),
        ("0", Exec::Allow, Expect::Value(SEAL)),
        ("0", Exec::KernelDefault, Expect::Value(SEAL)),
        ("1", Exec::Deny, Expect::Value(no)),
        ("1", Exec::DenyUnsealed, Expect::Value(SEAL)),
        ("1", Exec::Allow, Expect::Value(SEAL)),
        ("1", Exec::KernelDefault, Expect::Value(no)),
        ("2", Exec::Deny, Expect::Value(no)),
        ("2", Exec::DenyUnsealed, EACCES),
        ("2", Exec::Allow, EACCES),
        ("2", Exec::KernelDefault, Expect::Value(no)),
    ];
    for (level, exec, expect) in policies {
        table.row(format!("1.7/{level}/crate-{exec:?}"), expect, move || {
            at_level(level, || Ok(u64::from(CreateOptions::new().exec(exec).create("policy")?.get_seals()?.bits())))
        });
    }
    for level in ["3", "-1"] {
        table.row(format!("1.7/no-such-level/{level}"), EINVAL, move || {
            at_level("0", || {
                std::fs::write(SYSCTL, level)?;
                Ok(0)
            })
        });
    }
    table.row("1.7/inherited/by-a-nested-namespace", EACCES, || {
        at_level("2", || {
            raw::unshare(libc::CLONE_NEWPID)?;
            raw::in_child(|| raw::memfd(MFD_EXEC).map(|_| 0))
        })
    });
    table.row("1.7/inherited/cannot-be-lowered", EINVAL, || {
        at_level("2", || {
            raw::unshare(libc::CLONE_NEWPID)?;
            raw::in_child(|| {
                std::fs::write(SYSCTL, "1")?;
                Ok(0)
            })
        })
    });
}
