//! [`MemFile::copy_from`]: filling a file from a descriptor, by the kernel where it can.

use core::fmt;

use crate::error::{Error, Operation, Reason, errno};
use crate::file::MemFile;
use crate::seals::Seal;
use crate::sys;
use crate::sys::fd::{AsFd, BorrowedFd};

/// The most that one call of the kernel's copies takes, on every architecture.
const CALL_MAX: usize = 0x7fff_0000;

/// The buffer of the last rung, on the stack.
const BUFFER: usize = 16 * 1024;

/// What [`MemFile::copy_from`] did.
///
/// ```
/// use memfile::MemFile;
///
/// let (source, copy) = (MemFile::create_default("source")?, MemFile::create_default("copy")?);
/// source.write_all_at(b"1 2 3", 0)?;
/// let copied = copy.copy_from(&source, u64::MAX)?;
/// assert_eq!(copied.len, 5);
/// println!("by {}", copied.method); // copy_file_range
/// # Ok::<(), memfile::Error>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the source may have ended before `limit`"]
pub struct Copied {
    /// Bytes copied.
    pub len: u64,
    /// The system call that copied them.
    pub method: CopyMethod,
}

/// The system call that copied the bytes: the first in this order that the kernel has for the source.
/// It displays as the call's name.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyMethod {
    /// `copy_file_range(2)`: from a memory file or a file of the same file system.
    CopyFileRange,
    /// `sendfile(2)`: from another file, or a block device.
    Sendfile,
    /// `splice(2)`: from a pipe.
    Splice,
    /// `read(2)` and `write(2)`: from a socket, a terminal, most files of `/proc`, and empty sources.
    ReadWrite,
}

impl MemFile {
    /// Copies from the position of `source` to the position of this file, until `limit` bytes are copied or the source
    /// ends. Both positions move, as with `std::io::copy`, which has this path only between types that it knows.
    ///
    /// The bytes do not pass through this process unless the source leaves no other way;
    /// [`Copied::method`] tells. A source that blocks (a pipe, a socket) blocks the call.
    ///
    /// Without a limit give `u64::MAX`. Reaching the limit is no error; to notice a longer source ask for a byte more than
    /// you accept, or take [`Builder::limit`](crate::Builder::limit).
    ///
    /// # Errors
    /// What was copied before the error stays, and the positions tell how much. A source without a position can lose up to
    /// 16 KiB where the last way fails to write, for want of memory for example.
    /// - EPERM: sealed with Write or FutureWrite, or with Grow and the copy would pass the end
    /// - EBADF: the source is not open for reading, or this file was opened read-only
    /// - EAGAIN: the source does not block and has nothing yet
    /// - EINVAL: this file has huge pages; EISDIR: the source is a directory
    /// - EIO, ENOSPC, ENOMEM, EFBIG: as for reading the source and writing this file
    ///
    /// # Example
    /// ```
    /// use memfile::MemFile;
    ///
    /// let source = std::fs::File::open("Cargo.toml")?;
    /// let file = MemFile::create_default("copy")?;
    /// assert_eq!(file.copy_from(&source, u64::MAX)?.len, source.metadata()?.len());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    /// [copy_file_range(2)](https://man7.org/linux/man-pages/man2/copy_file_range.2.html),
    /// [sendfile(2)](https://man7.org/linux/man-pages/man2/sendfile.2.html),
    /// [splice(2)](https://man7.org/linux/man-pages/man2/splice.2.html)
    #[doc(alias = "copy_file_range")]
    #[doc(alias = "sendfile")]
    #[doc(alias = "splice")]
    pub fn copy_from(&self, source: impl AsFd, limit: u64) -> Result<Copied, Error> {
        copy(source.as_fd(), None, self.as_fd(), limit)
    }
}

/// Copies all of a source that has positions, from its start and without moving its own; of another one what is left.
pub(crate) fn copy_whole(source: BorrowedFd<'_>, target: &MemFile, limit: u64) -> Result<Copied, Error> {
    let start = sys::has_position(source)?.then_some(0);
    copy(source, start, target.as_fd(), limit)
}

/// Copies from the offset `at`, or from the position, to the position of `to`.
fn copy(from: BorrowedFd<'_>, mut at: Option<u64>, to: BorrowedFd<'_>, limit: u64) -> Result<Copied, Error> {
    let mut copied = 0;
    for (method, call) in KERNEL_COPIES {
        let before = copied;
        let result = repeat(&mut copied, limit, |len| call(from, at.as_mut(), to, len));
        // A call that fails, or finds nothing, may just not know this kind of source: most files of `/proc` say that they
        // are empty. The next one goes on from here, and the last one is right about both.
        match result {
            Ok(()) if copied > before => return Ok(Copied { len: copied, method }),
            // But the seals of the target stand against all of them, and the last would read before it finds out.
            Err(error) if error.is(errno::EPERM) && is_sealed(to) => return Err(error),
            _ => {}
        }
    }
    let mut buffer = [0; BUFFER];
    repeat(&mut copied, limit, |len| read_write(from, at.as_mut(), to, len, &mut buffer))?;
    Ok(Copied { len: copied, method: CopyMethod::ReadWrite })
}

/// The name of the system call.
impl fmt::Display for CopyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CopyFileRange => "copy_file_range",
            Self::Sendfile => "sendfile",
            Self::Splice => "splice",
            Self::ReadWrite => "read, write",
        })
    }
}

type Call = fn(BorrowedFd<'_>, Option<&mut u64>, BorrowedFd<'_>, usize) -> Result<usize, Error>;

const KERNEL_COPIES: [(CopyMethod, Call); 3] = [
    (CopyMethod::CopyFileRange, sys::copy_file_range),
    (CopyMethod::Sendfile, sys::sendfile),
    (CopyMethod::Splice, sys::splice),
];

/// Calls until `limit` is reached, or the call finds nothing more or fails.
fn repeat(copied: &mut u64, limit: u64, mut call: impl FnMut(usize) -> Result<usize, Error>) -> Result<(), Error> {
    while *copied < limit {
        let rest = usize::try_from(limit.saturating_sub(*copied)).unwrap_or(CALL_MAX);
        match call(rest.min(CALL_MAX))? {
            0 => break,
            n => *copied = copied.saturating_add(n as u64),
        }
    }
    Ok(())
}

fn is_sealed(fd: BorrowedFd<'_>) -> bool {
    sys::get_seals(fd).is_ok_and(|seals| seals.intersects(Seal::Grow | Seal::Write | Seal::FutureWrite))
}

fn read_write(
    from: BorrowedFd<'_>,
    at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
    buffer: &mut [u8],
) -> Result<usize, Error> {
    let len = len.min(buffer.len());
    let buffer = buffer.get_mut(..len).unwrap_or_default();
    let n = match at {
        None => sys::read(from, buffer)?,
        Some(offset) => {
            let n = sys::pread(from, buffer, *offset)?;
            *offset = offset.saturating_add(n as u64);
            n
        }
    };
    let mut rest = buffer.get(..n).unwrap_or_default();
    while !rest.is_empty() {
        match sys::write(to, rest) {
            Ok(written) if written > 0 => rest = rest.get(written..).unwrap_or_default(),
            result => {
                // So that the position of the source tells what was copied. It may have none.
                _ = sys::seek_back(from, rest.len());
                return result.and(Err(Error::new(Operation::Write, Reason::WriteZero)));
            }
        }
    }
    Ok(n)
}
