//! A test of the running kernel: does adding the Exec seal look for writers? Available since: Linux 6.3.
//!
//! On an executable file the seal implies Write, and the kernels before the mend (3b041514cb6e) added that without looking
//! for mappings that can write.

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use super::common::{Access, failed, mmap, munmap};
use super::fd::AsFd;
use crate::error::{Error, Operation};

/// The length of the file; a page of any size will do.
const LEN: usize = 1;

/// Adds Exec to an executable file that is mapped writable. A mended kernel answers EBUSY.
///
/// Makes an error where the test cannot run: out of resources, `vm.memfd_noexec` is 2, a kernel without the seal.
pub(crate) fn exec_seal_finds_writers() -> Result<bool, Error> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::EXEC;
    let fd = rustix::fs::memfd_create(c"memfile-exec-seal-test", flags).map_err(failed(Operation::MemfdCreate))?;
    rustix::fs::ftruncate(&fd, LEN as u64).map_err(failed(Operation::Ftruncate))?;
    let base = mmap(fd.as_fd(), 0, LEN, Access::SharedWrite)?;
    let result = rustix::fs::fcntl_add_seals(&fd, SealFlags::EXEC);
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, LEN) };
    match result {
        Ok(()) => Ok(false),
        Err(Errno::BUSY) => Ok(true),
        Err(errno) => Err(failed(Operation::AddSeals)(errno)),
    }
}
