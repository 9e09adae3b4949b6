//! [`MemFile::find_listen_fd`]: a file that a service manager has passed on.

use std::env;
use std::ffi::OsStr;
use std::format;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::MemFile;
use super::inherit::{is_inherited, reopen};
use crate::error::{Error, Reason};

/// The number of the first descriptor: `SD_LISTEN_FDS_START`.
const FIRST: usize = 3;

impl MemFile {
    /// Finds the memory file that the service manager passed under this name, and opens it again with
    /// the same access. If several files have the name, this is the first.
    ///
    /// The service manager sets three variables: `LISTEN_FDS` is the number of descriptors, which are
    /// numbered from 3; `LISTEN_FDNAMES` has their names in that order, separated by colons; and
    /// `LISTEN_PID` is the process that they are meant for. Returns `None` if one of the three is not
    /// set (without `LISTEN_FDNAMES` no descriptor has a name), if they are meant for another process,
    /// or if they do not contain the name.
    ///
    /// Use it for files that systemd keeps for a service across restarts (`FDSTORE=1`) or opens for it
    /// (`OpenFile=`), or that a parent passes in the same way. The new descriptor is close-on-exec and
    /// has its own position, at 0. The inherited descriptor stays open: only unsafe code
    /// (`OwnedFd::from_raw_fd`) can take over a descriptor by its number.
    ///
    /// A close-on-exec descriptor cannot have been inherited and may be any other file of this
    /// process, so it is refused. Call this before anything sets close-on-exec on the inherited
    /// descriptors, as `sd_listen_fds` does.
    ///
    /// # Errors
    /// - ENOENT: `/proc` is not mounted, or no descriptor with that number is open any more
    /// - no errno, `ErrorKind::NotFound`: the descriptor with that number is close-on-exec
    /// - no errno: it is not a memory file ([`NotAMemoryFile`](crate::Cause::NotAMemoryFile))
    /// - EACCES: the file's mode forbids opening it; EMFILE, ENFILE: out of descriptors
    /// - EWOULDBLOCK: somebody holds a lease on the file (`F_SETLEASE`); this call does not wait for it
    ///
    /// # Example
    /// ```
    /// use memfile::{MemFile, SealedFile};
    ///
    /// let config = match MemFile::find_listen_fd("config")? {
    ///     Some(kept) => SealedFile::try_from(kept)?,
    ///     None => SealedFile::from_bytes("config", b"limit=5")?,
    /// };
    /// assert_eq!(&config.map()?[..], b"limit=5");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    /// [sd_listen_fds(3)](https://man7.org/linux/man-pages/man3/sd_listen_fds.3.html)
    #[doc(alias = "LISTEN_FDS")]
    #[doc(alias = "sd_listen_fds")]
    pub fn find_listen_fd(name: impl AsRef<OsStr>) -> io::Result<Option<Self>> {
        let Some(number) = number(name.as_ref()) else { return Ok(None) };
        let path = format!("/proc/thread-self/fd/{number}");
        let path = Path::new(&path);
        let file = reopen(path)?.ok_or(Error::new(Reason::NotAMemoryFile))?;
        // If the descriptor was not passed after all, or was closed since, its number may belong to
        // a file that this process is filling. A second descriptor of that file would break the
        // promise of a draft.
        if is_inherited(path, &file)? { Ok(Some(file)) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

/// The number of the descriptor with this name, if the variables are meant for this process.
fn number(name: &OsStr) -> Option<usize> {
    if env::var("LISTEN_PID").ok()?.parse() != Ok(std::process::id()) {
        return None;
    }
    // Names beyond the number of descriptors name nothing.
    let count = env::var("LISTEN_FDS").ok()?.parse().ok()?;
    let names = env::var_os("LISTEN_FDNAMES")?;
    let mut names = names.as_bytes().split(|&byte| byte == b':').take(count);
    names.position(|entry| entry == name.as_bytes())?.checked_add(FIRST)
}
