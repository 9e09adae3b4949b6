//! [`Fresh`]: a file that nobody else has.

use crate::error::Error;
use crate::file::MemFile;
use crate::options::CreateOptions;
use crate::sealed::SealedFile;
use crate::sys;
use crate::sys::fd::AsFd;

/// A memory file whose only descriptor is in here, from its creation until it is sealed. So a mapping of it, made and
/// dropped in between, is the only way to its bytes.
pub(super) struct Fresh {
    file: MemFile,
    inheritable: bool,
}

impl Fresh {
    #[inline]
    pub(super) fn create(name: &str, options: CreateOptions) -> Result<Self, Error> {
        // A program that another thread starts meanwhile must not get it, even if it may have it sealed.
        let file = MemFile::create(name, options.allow_sealing(true).close_on_exec(true))?;
        Ok(Self { file, inheritable: !options.close_on_exec })
    }

    /// For calls that keep no descriptor and make no mapping that outlives them.
    #[inline]
    pub(super) fn file(&self) -> &MemFile {
        &self.file
    }

    #[inline]
    pub(super) fn seal(self, len: u64, granule: usize) -> Result<SealedFile, Error> {
        let sealed = SealedFile::seal_own(self.file, len, granule)?;
        if self.inheritable {
            sys::let_inherit(sealed.as_fd())?;
        }
        Ok(sealed)
    }
}
