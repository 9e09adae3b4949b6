//! `memfd_create(2)`. Available since: Linux 3.17, Android's kernels of that age.
//!
//! `MFD_HUGETLB` since 4.14, with sealing since 4.16; `MFD_EXEC` and `MFD_NOEXEC_SEAL` since 6.3.

use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{MemfdFlags, Mode, SealFlags};
use rustix::io::{Errno, retry_on_intr};

use crate::error::{Call, Error, Reason};
use crate::options::{CreateOptions, Exec};
use crate::seal::Seal;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::sys::unix::{failed, memfd_create};

/// Set once this kernel has refused `MFD_EXEC` or `MFD_NOEXEC_SEAL` with EINVAL and accepted the
/// other flags.
static EXEC_FLAGS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Creates a memory file: `memfd_create`, and one more call if flags alone do not fulfil the options:
/// `fchmod` for a file that is to be non-executable without the seal Exec, or `fcntl(F_ADD_SEALS)` to
/// forbid sealing where the kernel implies it.
#[inline]
pub(crate) fn create(name: &CStr, options: &CreateOptions) -> Result<OwnedFd, Error> {
    create_with(name, plain_flags(options), options)
}

/// Creates an empty file in the same file system as that of `fd`, which is tmpfs or hugetlbfs.
pub(crate) fn create_like(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let options = CreateOptions::new().allow_sealing(true);
    let mut flags = plain_flags(&options);
    if let Some(page) = huge_page_size(fd)? {
        // hugetlbfs has one mount for each size of huge pages.
        flags |= MemfdFlags::HUGETLB | MemfdFlags::from_bits_retain(page.trailing_zeros() << 26);
    }
    create_with(c"", flags, &options)
}

/// `fstatfs` — the size of the pages of a file of hugetlbfs, or `None` for another file.
pub(crate) fn huge_page_size(fd: BorrowedFd<'_>) -> Result<Option<u64>, Error> {
    const HUGETLBFS_MAGIC: u32 = 0x9584_58f6;
    let system = rustix::fs::fstatfs(fd).map_err(failed(Call::Fstatfs))?;
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the types of the fields differ")]
    let (magic, block) = (system.f_type as u32, system.f_bsize as u64);
    Ok((magic == HUGETLBFS_MAGIC).then_some(block))
}

/// Creates a file with `MFD_NOEXEC_SEAL`, without falling back, to see whether the kernel knows the
/// exec flags.
pub(crate) fn try_exec_flags() -> Result<(), Error> {
    let options = CreateOptions::new();
    match memfd_create(c"", plain_flags(&options) | MemfdFlags::NOEXEC_SEAL) {
        Ok(_) => Ok(()),
        Err(errno) => Err(explain(errno, &options)),
    }
}

// Always inline: the other caller is rare, and must not make this one slower.
#[inline(always)]
fn create_with(name: &CStr, plain: MemfdFlags, options: &CreateOptions) -> Result<OwnedFd, Error> {
    let exec = match options.exec {
        // A wasted system call for each file otherwise.
        _ if EXEC_FLAGS_REFUSED.load(Ordering::Relaxed) => MemfdFlags::empty(),
        Exec::Deny => MemfdFlags::NOEXEC_SEAL,
        Exec::DenyUnsealed | Exec::Allow => MemfdFlags::EXEC,
        Exec::KernelDefault => MemfdFlags::empty(),
    };
    let (fd, exec) = match memfd_create(name, plain | exec) {
        Ok(fd) => (fd, exec),
        // EINVAL may mean the exec flag: retry without it. If something else is wrong, the retry
        // fails too, and its error is returned.
        Err(Errno::INVAL) if !exec.is_empty() => {
            let fd = memfd_create(name, plain).map_err(|errno| explain(errno, options))?;
            EXEC_FLAGS_REFUSED.store(true, Ordering::Relaxed);
            (fd, MemfdFlags::empty())
        }
        Err(errno) => return Err(explain(errno, options)),
    };
    finish(fd, exec, options)
}

/// Does with further calls what the flags did not do.
#[inline(always)]
fn finish(fd: OwnedFd, exec: MemfdFlags, options: &CreateOptions) -> Result<OwnedFd, Error> {
    if exec.is_empty() && matches!(options.exec, Exec::DenyUnsealed | Exec::Allow) {
        refuse_implied_seal(fd.as_fd())?;
    }
    let executable_by_default = match options.exec {
        Exec::Deny => exec.is_empty(),
        Exec::DenyUnsealed => true,
        Exec::Allow | Exec::KernelDefault => false,
    };
    if executable_by_default {
        deny_execution(fd.as_fd())?;
    }
    // MFD_NOEXEC_SEAL implies sealing. Without a flag, `vm.memfd_noexec` can imply it too, even if the
    // flags were refused, by a sandbox.
    let may_imply_sealing = exec != MemfdFlags::EXEC;
    if may_imply_sealing && !options.allow_sealing {
        forbid_sealing(fd.as_fd())?;
    }
    Ok(fd)
}

/// The flags that have nothing to do with execution.
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

fn deny_execution(fd: BorrowedFd<'_>) -> Result<(), Error> {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(0o666)).map_err(failed(Call::Fchmod))
}

/// Returns an error if the file has the seal Exec: `MFD_EXEC` was refused, so `vm.memfd_noexec` decided,
/// and no call can remove the seal that it has added.
#[cold]
fn refuse_implied_seal(fd: BorrowedFd<'_>) -> Result<(), Error> {
    let seals = rustix::fs::fcntl_get_seals(fd).map_err(failed(Call::GetSeals))?;
    if seals.bits() & Seal::Exec as u32 != 0 {
        return Err(Error::new(Reason::NoexecImplied));
    }
    Ok(())
}

/// Adds the seal Seal, unless the file was created with it already.
fn forbid_sealing(fd: BorrowedFd<'_>) -> Result<(), Error> {
    match retry_on_intr(|| rustix::fs::fcntl_add_seals(fd, SealFlags::SEAL)) {
        // If the file has the seal Seal already, EPERM only means that the kernel has not implied sealing.
        Err(_) if rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SealFlags::SEAL)) => Ok(()),
        result => result.map_err(failed(Call::AddSeals)),
    }
}

/// Finds the reason in the options, which tell more than the call about what the kernel refused.
#[cold]
fn explain(errno: Errno, options: &CreateOptions) -> Error {
    let error = Error::os(Call::MemfdCreate, errno);
    let huge = options.huge_tlb.is_some();
    match errno {
        Errno::NOSYS if huge => error.because(Reason::NoHugeTlb),
        Errno::INVAL if huge => error.because(Reason::UnknownHugeTlb),
        Errno::NODEV => error.because(Reason::HugePageSize),
        Errno::ACCESS if matches!(options.exec, Exec::Allow | Exec::DenyUnsealed) => {
            error.because(Reason::NoexecPolicy)
        }
        _ => error,
    }
}
