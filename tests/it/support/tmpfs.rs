//! Files on tmpfs, which support seals as memory files do.

use std::fs::File;
use std::path::PathBuf;

use super::skip;

/// A folder on tmpfs in which this process can create files. If there is none, prints that the test
/// is skipped.
#[track_caller]
pub(crate) fn folder() -> Option<PathBuf> {
    let places = ["/dev/shm".into(), std::env::temp_dir(), "/run".into()];
    let found = places.into_iter().find(|place| tempfile::tempfile_in(place).is_ok_and(|file| is_on_tmpfs(&file)));
    if found.is_none() {
        skip::skip("no tmpfs is mounted where this process may make files");
    }
    found
}

/// A file without a name in such a folder.
#[track_caller]
pub(crate) fn file() -> Option<File> {
    Some(tempfile::tempfile_in(folder()?).unwrap())
}

pub(crate) fn is_on_tmpfs(file: &File) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    #[allow(clippy::unnecessary_cast, reason = "the type of the field differs")]
    let kind = rustix::fs::fstatfs(file).unwrap().f_type as i64;
    kind == TMPFS_MAGIC
}
