//! `memfd_create(2)`. Available since: Linux 3.17, Android's kernels of that age.
//!
//! `MFD_HUGETLB` since 4.14, with sealing since 4.16; `MFD_EXEC` and `MFD_NOEXEC_SEAL` since 6.3.

use core::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{MemfdFlags, Mode, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::path::Arg;

use super::common::failed;
use super::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::error::{Error, Operation};
use crate::options::{CreateOptions, Exec};

/// Set once this kernel has refused `MFD_EXEC` or `MFD_NOEXEC_SEAL` with EINVAL and taken the other flags.
static EXEC_FLAGS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Creates a memory file: `memfd_create`, and where the policy cannot be had by flags alone one more call:
/// `fchmod` for a file that is to be non-executable without the Exec seal, `fcntl(F_ADD_SEALS)` to forbid sealing
/// where the kernel implies it.
#[inline]
pub(crate) fn create(name: impl Arg + Copy, options: &CreateOptions) -> Result<OwnedFd, Error> {
    create_with(name, plain_flags(options), options)
}

/// Creates an empty file of the same file system as `fd`, which is one of tmpfs or hugetlbfs.
pub(crate) fn create_like(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let options = CreateOptions::new().allow_sealing(true);
    let mut flags = plain_flags(&options);
    if let Some(page) = huge_page_size(fd)? {
        // Each size of huge pages has a mount of its own.
        flags |= MemfdFlags::HUGETLB | MemfdFlags::from_bits_retain(page.trailing_zeros() << 26);
    }
    create_with(c"", flags, &options)
}

/// `fstatfs` — the size of the pages of a file of hugetlbfs, or `None` for another file.
pub(crate) fn huge_page_size(fd: BorrowedFd<'_>) -> Result<Option<u64>, Error> {
    const HUGETLBFS_MAGIC: u32 = 0x9584_58f6;
    let system = rustix::fs::fstatfs(fd).map_err(failed(Operation::Fstatfs))?;
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the types of the fields differ")]
    let (magic, block) = (system.f_type as u32, system.f_bsize as u64);
    Ok((magic == HUGETLBFS_MAGIC).then_some(block))
}

/// Creates a file with `MFD_NOEXEC_SEAL`, without falling back: whether the kernel knows the exec flags.
pub(crate) fn try_exec_flags() -> Result<(), Error> {
    let options = CreateOptions::new();
    match rustix::fs::memfd_create(c"", plain_flags(&options) | MemfdFlags::NOEXEC_SEAL) {
        Ok(_) => Ok(()),
        Err(errno) => Err(explain(errno, &options)),
    }
}

#[inline]
fn create_with(name: impl Arg + Copy, plain: MemfdFlags, options: &CreateOptions) -> Result<OwnedFd, Error> {
    let wanted = match options.exec {
        Exec::Deny => MemfdFlags::NOEXEC_SEAL,
        Exec::DenyUnsealed | Exec::Allow => MemfdFlags::EXEC,
        Exec::KernelDefault => MemfdFlags::empty(),
    };
    let mut exec = if EXEC_FLAGS_REFUSED.load(Ordering::Relaxed) { MemfdFlags::empty() } else { wanted };
    loop {
        match rustix::fs::memfd_create(name, plain | exec) {
            Ok(fd) => {
                if exec != wanted {
                    EXEC_FLAGS_REFUSED.store(true, Ordering::Relaxed);
                }
                return finish(fd, exec, options);
            }
            // It is the exec flag, or something that the second try reports.
            Err(Errno::INVAL) if !exec.is_empty() => exec = MemfdFlags::empty(),
            Err(errno) => return Err(explain(errno, options)),
        }
    }
}

/// Does by calls what the flags did not.
#[inline]
fn finish(fd: OwnedFd, exec: MemfdFlags, options: &CreateOptions) -> Result<OwnedFd, Error> {
    let executable_by_default = match options.exec {
        Exec::Deny => exec.is_empty(),
        Exec::DenyUnsealed => true,
        Exec::Allow | Exec::KernelDefault => false,
    };
    if executable_by_default {
        deny_execution(fd.as_fd())?;
    }
    // MFD_NOEXEC_SEAL implies sealing, and without a flag so can `vm.memfd_noexec`.
    let may_imply_sealing = exec != MemfdFlags::EXEC;
    if may_imply_sealing && !options.allow_sealing {
        forbid_sealing(fd.as_fd())?;
    }
    Ok(fd)
}

/// The flags that say no word about execution.
#[inline]
fn plain_flags(options: &CreateOptions) -> MemfdFlags {
    let mut flags = MemfdFlags::empty();
    flags.set(MemfdFlags::CLOEXEC, options.close_on_exec);
    flags.set(MemfdFlags::ALLOW_SEALING, options.allow_sealing);
    if let Some(size) = options.huge_tlb {
        flags |= MemfdFlags::HUGETLB | MemfdFlags::from_bits_retain(size as u32);
    }
    flags
}

#[inline(never)]
fn deny_execution(fd: BorrowedFd<'_>) -> Result<(), Error> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(0o666)).map_err(failed(Operation::Fchmod))
}

/// Adds the seal Seal, unless the file was born with it.
#[inline(never)]
fn forbid_sealing(fd: BorrowedFd<'_>) -> Result<(), Error> {
    match retry_on_intr(|| rustix::fs::fcntl_add_seals(fd, SealFlags::SEAL)) {
        Err(_) if rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SealFlags::SEAL)) => Ok(()),
        result => result.map_err(failed(Operation::AddSeals)),
    }
}

#[cold]
fn explain(errno: Errno, options: &CreateOptions) -> Error {
    let operation = match options.exec {
        _ if options.huge_tlb.is_some() => Operation::MemfdCreateHuge,
        Exec::Allow | Exec::DenyUnsealed => Operation::MemfdCreateExec,
        Exec::Deny | Exec::KernelDefault => Operation::MemfdCreate,
    };
    failed(operation)(errno)
}
