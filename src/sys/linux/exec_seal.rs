//! A test of the running kernel: does adding the seal Exec look for writable mappings? Available
//! since: Linux 6.3.
//!
//! On an executable file, Exec implies Write. Kernels before the fix (3b041514cb6e) add Write without
//! looking for mappings that can write.

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use crate::error::{Call, Error};
use crate::sys::fd::AsFd;
use crate::sys::unix::{Access, failed, memfd_create, mmap, munmap};

/// The length of the file; a page of any size will do.
const LEN: usize = 1;

/// Adds Exec to an executable file that is mapped for writing. A fixed kernel refuses that with EBUSY.
///
/// # Errors
/// The test cannot run: out of resources, `vm.memfd_noexec` is 2, or the kernel lacks the seal.
pub(crate) fn exec_seal_finds_writers() -> Result<bool, Error> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC;
    let fd = memfd_create(c"memfile-exec-seal-test", flags).map_err(failed(Call::MemfdCreate))?;
    rustix::fs::ftruncate(&fd, LEN as u64).map_err(failed(Call::Ftruncate))?;
    let base = mmap(fd.as_fd(), 0, LEN, Access::SharedWrite, None)?;
    let result = rustix::fs::fcntl_add_seals(&fd, SealFlags::EXEC);
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, LEN) };
    match result {
        Ok(()) => Ok(false),
        Err(Errno::BUSY) => Ok(true),
        Err(errno) => Err(failed(Call::AddSeals)(errno)),
    }
}
