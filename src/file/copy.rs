//! [`MemFile::copy_from`]: filling a file from a descriptor, inside the kernel where possible.

use crate::error::{Errno, Error, Reason};
use crate::file::MemFile;
use crate::seal::Seal;
use crate::sys;
use crate::sys::fd::{AsFd, BorrowedFd};

/// The most bytes that the kernel copies in one call, on every architecture (`MAX_RW_COUNT`).
const CALL_MAX: usize = 0x7fff_0000;

/// The buffer of the copy of last resort, on the stack.
const BUFFER: usize = 16 * 1024;

impl MemFile {
    /// Copies from the position of `source` to the position of this file, until `limit` bytes are
    /// copied or the source ends, and returns how many bytes were copied. Both positions move, as
    /// with `std::io::copy`.
    ///
    /// The kernel copies with `copy_file_range`, `sendfile` or `splice`, whichever is the first to work
    /// for this source. If none of them does, for example with a socket, the bytes pass through this
    /// process.
    ///
    /// If the source is a pipe, a socket or a terminal, the call waits until the other end has written
    /// enough or is closed. If the source is a file of a file system that another process serves, the
    /// call waits for that process. Writing to this file waits while another process holds its lock:
    /// [which calls can wait](crate::guide::receiving).
    ///
    /// To copy without a limit, pass `u64::MAX`. Reaching the limit is not an error. To refuse a longer
    /// source, use [`SealedFileOptions::limit`](crate::SealedFileOptions::limit).
    ///
    /// # Errors
    /// The bytes that were copied before the error stay in this file, and the positions tell how many
    /// they are. If writing to this file fails, for example because no memory is left, up to 16 KiB
    /// that were read from a source without a position are lost.
    /// - EPERM: sealed with Write or FutureWrite, or with Grow and the copy would pass the end
    /// - EBADF: the source is not open for reading, or this file was opened read-only
    /// - EAGAIN: the source is non-blocking and has no bytes yet
    /// - EINVAL: this file has huge pages; EISDIR: the source is a directory
    /// - EIO, ENOSPC, ENOMEM, EFBIG: as for reading the source and writing this file
    ///
    /// # Example
    /// ```
    /// use memfile::MemFile;
    ///
    /// let source = std::fs::File::open("Cargo.toml")?;
    /// let file = MemFile::create_default("copy")?;
    /// assert_eq!(file.copy_from(&source, u64::MAX)?, source.metadata()?.len());
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
    pub fn copy_from(&self, source: impl AsFd, limit: u64) -> Result<u64, Error> {
        copy(source.as_fd(), None, self.as_fd(), limit)
    }
}

/// Continues copying a source whose first `len` bytes `target` already has, until `target` has
/// `end` bytes or the source ends. Returns the new length. The position of a seekable source does
/// not move; any other source is read from where it is.
pub(crate) fn copy_more(source: BorrowedFd<'_>, target: &MemFile, len: u64, end: u64) -> Result<u64, Error> {
    let start = sys::has_position(source)?.then_some(len);
    // A new file is at 0 already.
    if len > 0 {
        sys::seek(target.as_fd(), len)?;
    }
    let copied = copy(source, start, target.as_fd(), end.saturating_sub(len))?;
    Ok(len.saturating_add(copied))
}

/// Whether a source has a byte after the first `len` or, if it is not seekable, any byte left.
pub(crate) fn has_more(source: BorrowedFd<'_>, len: u64) -> Result<bool, Error> {
    let mut byte = [0];
    let read =
        if sys::has_position(source)? { sys::pread(source, &mut byte, len)? } else { sys::read(source, &mut byte)? };
    Ok(read > 0)
}

/// Copies from the offset `at`, or from the position, to the position of `to`.
fn copy(from: BorrowedFd<'_>, mut at: Option<u64>, to: BorrowedFd<'_>, limit: u64) -> Result<u64, Error> {
    let mut copied = 0;
    for call in KERNEL_COPIES {
        let before = copied;
        let result = repeat(&mut copied, limit, |len| call(from, at.as_mut(), to, len));
        // A call that fails or copies nothing may just not support this kind of source: most files of
        // `/proc` claim to be empty. The next call continues from here, and only the last one is
        // believed.
        match result {
            Ok(()) if copied > before => return Ok(copied),
            // If the target is sealed, all calls fail, but the last one would first read bytes from
            // the source, and lose them.
            Err(error) if error.is(Errno::PERM) && is_sealed(to) => return Err(error),
            _ => {}
        }
    }
    let mut buffer = [0; BUFFER];
    repeat(&mut copied, limit, |len| read_write(from, at.as_mut(), to, len, &mut buffer))?;
    Ok(copied)
}

/// Copies at most a number of bytes from the source, from an offset that moves, or else from its
/// position.
type Copy = fn(BorrowedFd<'_>, Option<&mut u64>, BorrowedFd<'_>, usize) -> Result<usize, Error>;

/// The copies inside the kernel, the fastest first.
const KERNEL_COPIES: [Copy; 3] = [sys::copy_file_range, sys::sendfile, sys::splice];

/// Repeats a call until `limit` bytes are copied, or the call copies nothing or fails.
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

/// The copy of last resort.
fn read_write(
    from: BorrowedFd<'_>,
    at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
    buffer: &mut [u8; BUFFER],
) -> Result<usize, Error> {
    let (buffer, _) = buffer.split_at_mut(len.min(BUFFER));
    let moved_position = at.is_none();
    let n = match at {
        None => sys::read(from, buffer)?,
        Some(offset) => {
            let n = sys::pread(from, buffer, *offset)?;
            *offset = offset.saturating_add(n as u64);
            n
        }
    };
    let (mut rest, _) = buffer.split_at(n.min(buffer.len()));
    while !rest.is_empty() {
        let written = match sys::write(to, rest) {
            Ok(0) => Err(Error::new(Reason::WriteZero)),
            result => result,
        };
        match written {
            Ok(written) => (_, rest) = rest.split_at(written.min(rest.len())),
            Err(error) => {
                // Move back, so that the position of the source tells what was copied. A pipe or a
                // socket has no position, so this fails, and the bytes are lost.
                if moved_position {
                    _ = sys::seek_back(from, rest.len());
                }
                return Err(error);
            }
        }
    }
    Ok(n)
}
