//! [`MemFile::find_inherited`]: a file that the parent left open, found by its name.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::string::String;

use super::MemFile;
use crate::sys;

impl MemFile {
    /// Finds a memory file among the inherited descriptors of this process by the name it was
    /// created with, and opens it once more, with the same access. Of several with that name it is
    /// the first that can be opened.
    ///
    /// For a child whose parent passed the file on under a number that was not agreed upon. The new
    /// descriptor is close-on-exec and has its own position, at 0. The inherited one stays open,
    /// and children of this process inherit it too: only unsafe code, `OwnedFd::from_raw_fd`, can
    /// take over a descriptor by its number.
    ///
    /// A descriptor that is close-on-exec was not inherited, and is passed over, as is one opened
    /// with `O_PATH`: call this first, before something makes all descriptors close-on-exec.
    /// Anybody can give a file this name, so what is found is as trustworthy as the parent.
    ///
    /// # Errors
    /// - ENOENT: `/proc` is not mounted
    /// - EACCES: the file's mode forbids opening it; EMFILE, ENFILE: out of descriptors
    /// - EWOULDBLOCK: somebody holds a lease on the file (`F_SETLEASE`), for which this call does
    ///   not wait
    /// - those of [`is_memfd`](Self::is_memfd)
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, MemFile};
    ///
    /// // In the parent, which then starts its child:
    /// let settings = CreateOptions::new().close_on_exec(false).create("settings")?;
    /// settings.write_all_at(b"verbose", 0)?;
    ///
    /// // In the child:
    /// if let Some(settings) = MemFile::find_inherited("settings")? {
    ///     assert_eq!(settings.len()?, 7);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    /// [proc_pid_fd(5)](https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html),
    /// [proc_pid_fdinfo(5)](https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html)
    pub fn find_inherited(name: impl AsRef<OsStr>) -> io::Result<Option<Self>> {
        let name = name.as_ref().as_bytes();
        let link = [b"/memfd:", name, b" (deleted)"].concat();
        let mut failure = None;
        for entry in fs::read_dir("/proc/thread-self/fd")? {
            let path = entry?.path();
            if !fs::read_link(&path).is_ok_and(|target| target.as_os_str().as_bytes() == link) {
                continue;
            }
            match inherited(&path, name) {
                Ok(Some(file)) => return Ok(Some(file)),
                Ok(None) => {}
                // It was closed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Another one may have the name too. One that was not inherited does not count.
                Err(_) if closes_on_exec(&path) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }
}

/// The memory file at `path`, opened once more, if it has this name and was inherited.
///
/// That is asked after opening, so that a file which another thread has just put under this number
/// is not taken, least of all one that a `SealedFile` is being built in.
fn inherited(path: &Path, name: &[u8]) -> io::Result<Option<MemFile>> {
    let Some(file) = reopen(path)? else { return Ok(None) };
    // The link alone proves nothing: a file on disk can have the name of a memory file.
    let found = is_inherited(path, &file)? && file.is_memfd()? && file.name().is_ok_and(|found| *found == *name);
    Ok(found.then_some(file))
}

/// Opens a file of `/proc/thread-self/fd` with the access that its descriptor has, which shows in
/// the mode of the link. One that was opened with `O_PATH` has none. A FIFO with such a name must
/// not make this wait, nor must a lease.
pub(super) fn reopen(path: &Path) -> io::Result<Option<MemFile>> {
    let mode = fs::symlink_metadata(path)?.mode();
    let (read, write) = (mode & 0o400 != 0, mode & 0o200 != 0);
    if !read && !write {
        return Ok(None);
    }
    if !fs::metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = OpenOptions::new().read(read).write(write).custom_flags(sys::O_NONBLOCK).open(path)?;
    match MemFile::from_fd(file.into()) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.error().is_not_a_memory_file() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the descriptor at `path` is of this file and not close-on-exec, by its `fdinfo`. The line
/// `ino` exists since Linux 5.14; before, the file at `path` is asked.
pub(super) fn is_inherited(path: &Path, file: &MemFile) -> io::Result<bool> {
    let info = info(path)?;
    let inode = match field(&info, "ino:").and_then(|inode| inode.parse().ok()) {
        Some(inode) => inode,
        None => fs::metadata(path)?.ino(),
    };
    Ok(flags(&info).is_some_and(|flags| flags & sys::O_CLOEXEC == 0) && inode == file.metadata()?.ino())
}

/// Best effort: a descriptor of which nothing can be learned is not taken for close-on-exec.
fn closes_on_exec(path: &Path) -> bool {
    info(path).is_ok_and(|info| flags(&info).is_some_and(|flags| flags & sys::O_CLOEXEC != 0))
}

fn info(path: &Path) -> io::Result<String> {
    fs::read_to_string(Path::new("/proc/thread-self/fdinfo").join(path.file_name().unwrap_or_default()))
}

fn flags(info: &str) -> Option<u32> {
    field(info, "flags:").and_then(|flags| u32::from_str_radix(flags, 8).ok())
}

fn field<'info>(info: &'info str, name: &str) -> Option<&'info str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
