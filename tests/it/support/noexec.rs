//! `vm.memfd_noexec` (Linux 6.3), which decides what a new memory file can be. A pid namespace has a
//! value of its own, so a container can have another one than its machine.

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

/// Whether [`Exec::Allow`] and [`Exec::DenyUnsealed`] are refused, and with them programs, and files
/// that are shared and frozen later.
pub(crate) fn is_strict() -> bool {
    level() == Some(2)
}

/// Whether a file that is created without a word about execution has the seal Exec, and can be sealed
/// without being asked for.
pub(crate) fn implies_sealing() -> bool {
    matches!(level(), Some(1 | 2))
}

/// The same as [`is_strict`] for a test that needs such files. If they are refused, says so.
#[track_caller]
pub(crate) fn leaves_no_choice() -> bool {
    if is_strict() {
        skip::skip("vm.memfd_noexec is 2: every file has the seal Exec, and none can be executed");
    }
    is_strict()
}

/// The policies that are not refused.
pub(crate) fn policies() -> impl Iterator<Item = Exec> + Clone {
    let strict = [Exec::Deny, Exec::KernelDefault];
    let others = [Exec::DenyUnsealed, Exec::Allow];
    strict.into_iter().chain(others.into_iter().filter(|_| !is_strict()))
}

/// The policy for a file that has no seal but those that a test adds.
pub(crate) fn plain() -> Exec {
    if is_strict() { Exec::Deny } else { Exec::DenyUnsealed }
}

/// The same where the flags are refused, so that the kernel decides.
pub(crate) fn plain_without_flags() -> Exec {
    if implies_sealing() { Exec::Deny } else { Exec::DenyUnsealed }
}

/// The seal that such a file still has if the kernel forbids files without it.
pub(crate) fn implied() -> Seals {
    if is_strict() { Seal::Exec.into() } else { Seals::empty() }
}

/// Calls `memfd_create` without the crate. The file has mode 0777, or 0666 if the kernel forbids that.
pub(crate) fn memfd_create(name: &CStr, flags: MemfdFlags) -> rustix::io::Result<OwnedFd> {
    let exec = match level() {
        Some(0 | 1) => MemfdFlags::EXEC,
        _ => MemfdFlags::empty(),
    };
    rustix::fs::memfd_create(name, flags | exec)
}
