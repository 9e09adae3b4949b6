//! [`Fresh`]: a file that nobody else has.

use crate::error::Error;
use crate::file::MemFile;
use crate::options::CreateOptions;
use crate::sealed::SealedFile;

/// A memory file whose only descriptor is in here, from its creation until it is sealed. So a mapping of it, made and
/// dropped in between, is the only way to its bytes.
pub(super) struct Fresh {
    file: MemFile,
}

impl Fresh {
    #[inline]
    pub(super) fn create(name: &str, options: CreateOptions) -> Result<Self, Error> {
        let file = MemFile::create(name, options.allow_sealing(true))?;
        Ok(Self { file })
    }

    /// For calls that keep no descriptor and make no mapping that outlives them.
    #[inline]
    pub(super) fn file(&self) -> &MemFile {
        &self.file
    }

    #[inline]
    pub(super) fn seal(self, len: u64, granule: usize) -> Result<SealedFile, Error> {
        SealedFile::seal_own(self.file, len, granule)
    }
}
