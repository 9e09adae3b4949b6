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
    /// created with, and opens it again with the same access. If several files have the name, this is
    /// the first that can be opened. Returns `None` if no inherited file has it.
    ///
    /// Use it in a child whose parent did not tell it the number of the descriptor. The new descriptor
    /// is close-on-exec, without `O_APPEND`, and has its own position, at 0. The inherited descriptor stays
    /// open, and children of this process inherit it too: only unsafe code (`OwnedFd::from_raw_fd`) can take
    /// over a descriptor by its number.
    ///
    /// A close-on-exec descriptor cannot have been inherited, so it is skipped, as is one opened with
    /// `O_PATH`. Call this before anything sets close-on-exec on all descriptors. Anybody can give a
    /// file this name, so trust the file no more than you trust the parent.
    ///
    /// # Errors
    /// - ENOENT: `/proc` is not mounted
    /// - EACCES: the file's mode forbids opening it; ETXTBSY: it is the program of a running process, and
    ///   was inherited for writing; EMFILE, ENFILE: out of descriptors
    /// - EWOULDBLOCK: somebody holds a lease on the file (`F_SETLEASE`); this call does not wait for it
    /// - those of [`is_memfd`](Self::is_memfd)
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, MemFile, SealedFile};
    ///
    /// // In the parent, which then starts its child:
    /// let inherited = CreateOptions::new().close_on_exec(false);
    /// let options = SealedFile::options().create_options(inherited);
    /// let settings = options.from_bytes("settings", b"verbose")?;
    ///
    /// // In the child:
    /// if let Some(settings) = MemFile::find_inherited("settings")? {
    ///     let settings = SealedFile::try_from(settings)?.map()?;
    ///     assert_eq!(&settings[..], b"verbose");
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
                // Another thread has closed it meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // It was not inherited, so it does not matter that it cannot be opened.
                Err(_) if closes_on_exec(&path) => {}
                // Another descriptor may have the name too, and may be possible to open.
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(None), Err)
    }
}

/// Opens the memory file at `path` again, if it has this name and was inherited.
///
/// Both are checked after opening. Otherwise another thread could put its own file under the number in
/// between, such as one that is being filled, which must not get a second descriptor.
fn inherited(path: &Path, name: &[u8]) -> io::Result<Option<MemFile>> {
    let Some(file) = reopen(path)? else { return Ok(None) };
    // The link alone is not enough: a file on disk can have a name that looks like a memory file's.
    let found = is_inherited(path, &file)? && file.is_memfd()? && file.name().is_ok_and(|found| *found == *name);
    Ok(found.then_some(file))
}

/// Opens a memory file of `/proc/thread-self/fd` with the access that its descriptor has, which the mode of
/// the link shows. The flag `O_NONBLOCK` keeps a lease from making this call wait.
pub(super) fn reopen(path: &Path) -> io::Result<Option<MemFile>> {
    let mode = fs::symlink_metadata(path)?.mode();
    // Any other file could be one of FUSE, whose server might never let it be opened. A descriptor opened
    // with `O_PATH` shows no seals.
    let number = path.file_name().and_then(OsStr::to_str).and_then(|number| number.parse().ok());
    if !number.is_some_and(sys::has_seals) {
        return Ok(None);
    }
    let (read, write) = (mode & 0o400 != 0, mode & 0o200 != 0);
    let file = OpenOptions::new().read(read).write(write).custom_flags(sys::O_NONBLOCK).open(path)?;
    Ok(Some(MemFile::from_fd(file.into())?))
}

/// Whether the descriptor at `path` belongs to this file and is not close-on-exec, according to its
/// `fdinfo`. The line `ino` is available since Linux 5.14; on older kernels, `path` is looked up.
pub(super) fn is_inherited(path: &Path, file: &MemFile) -> io::Result<bool> {
    let info = info(path)?;
    let inode = match field(&info, "ino:").and_then(|inode| inode.parse().ok()) {
        Some(inode) => inode,
        None => fs::metadata(path)?.ino(),
    };
    Ok(flags(&info).is_some_and(|flags| flags & sys::O_CLOEXEC == 0) && inode == file.metadata()?.ino())
}

/// Best effort: if its `fdinfo` cannot be read, a descriptor counts as inheritable.
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
