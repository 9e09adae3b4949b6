//! [`MemFile::find_inherited`]: a file that the parent left open, found by its name.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::Result;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::file::MemFile;

impl MemFile {
    /// Finds a memory file among the descriptors of this process by the name it was created with, and opens it once more,
    /// with the same access. Of several with that name it is the first.
    ///
    /// For a child whose parent passed the file on under a number that was not agreed upon. The new descriptor is
    /// close-on-exec and has its own position, at 0. The inherited one stays open, and children of this process inherit
    /// it too: a number belongs to whoever says so, and to take it over is `OwnedFd::from_raw_fd`, which is unsafe.
    ///
    /// Anybody can give a file this name, so what is found is as trustworthy as the parent.
    ///
    /// # Errors
    /// - ENOENT: `/proc` is not mounted
    /// - EACCES: the file's mode forbids to open it; EMFILE, ENFILE: out of descriptors
    pub fn find_inherited(name: impl AsRef<OsStr>) -> Result<Option<Self>> {
        let name = name.as_ref().as_bytes();
        let link = [b"/memfd:", name, b" (deleted)"].concat();
        for entry in fs::read_dir("/proc/self/fd")? {
            let path = entry?.path();
            // Another thread may close it meanwhile, and open another file under its number.
            if !fs::read_link(&path).is_ok_and(|target| target.as_os_str().as_bytes() == link) {
                continue;
            }
            let file = reopen(&path)?;
            if file.name().is_ok_and(|found| *found == *name) {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }
}

/// Opens a file of `/proc/self/fd` with the access that its descriptor has, which shows in the mode of the link.
fn reopen(path: &Path) -> Result<MemFile> {
    let mode = fs::symlink_metadata(path)?.mode();
    let file = OpenOptions::new().read(mode & 0o400 != 0).write(mode & 0o200 != 0).open(path)?;
    Ok(MemFile::from_owned(file.into()))
}
