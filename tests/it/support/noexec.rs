//! `vm.memfd_noexec` (since Linux 6.3) decides whether new memory files may be executable. Each pid
//! namespace has its own value, so a container may have a different one from its machine.

use std::ffi::CStr;
use std::fs;
use std::os::fd::OwnedFd;

use memfile::{Exec, Seal, Seals};
use rustix::fs::MemfdFlags;

use super::skip;

pub(crate) const SYSCTL: &str = "/proc/sys/vm/memfd_noexec";

/// `None` on a kernel before 6.3, which has neither the sysctl nor the flags.
pub(crate) fn level() -> Option<u8> {
    fs::read_to_string(SYSCTL).ok().map(|value| value.trim().parse().unwrap())
}

/// Whether the kernel forbids [`Exec::Allow`] and [`Exec::DenyUnsealed`]. Then no memory file can
/// be a program, and none can be shared and frozen later.
pub(crate) fn is_strict() -> bool {
    level() == Some(2)
}

/// Whether a file that is created without an exec flag gets the seal Exec, and is sealable even if
/// that was not requested.
pub(crate) fn implies_sealing() -> bool {
    matches!(level(), Some(1 | 2))
}

/// Like [`is_strict`], for a test that needs such files. If they are forbidden, prints that the
/// test is skipped.
#[track_caller]
pub(crate) fn leaves_no_choice() -> bool {
    if is_strict() {
        skip::skip("vm.memfd_noexec is 2: every file has the seal Exec, and none can be executed");
    }
    is_strict()
}

/// The exec policies that this kernel permits.
pub(crate) fn policies() -> impl Iterator<Item = Exec> + Clone {
    let strict = [Exec::Deny, Exec::KernelDefault];
    let others = [Exec::DenyUnsealed, Exec::Allow];
    strict.into_iter().chain(others.into_iter().filter(|_| !is_strict()))
}

/// The policy for a file that should have only the seals that a test adds.
pub(crate) fn plain() -> Exec {
    if is_strict() { Exec::Deny } else { Exec::DenyUnsealed }
}

/// Like [`plain`], if a filter refuses the exec flags, so that the kernel's default applies.
pub(crate) fn plain_without_flags() -> Exec {
    if implies_sealing() { Exec::Deny } else { Exec::DenyUnsealed }
}

/// The seals that a [`plain`] file has anyway: Exec, if the kernel forbids files without it.
pub(crate) fn implied() -> Seals {
    if is_strict() { Seal::Exec.into() } else { Seals::empty() }
}

/// Calls `memfd_create` without the crate. The file has mode 0777, or 0666 if the kernel forbids
/// that.
pub(crate) fn memfd_create(name: &CStr, flags: MemfdFlags) -> rustix::io::Result<OwnedFd> {
    let exec = match level() {
        Some(0 | 1) => MemfdFlags::EXEC,
        _ => MemfdFlags::empty(),
    };
    rustix::fs::memfd_create(name, flags | exec)
}
