//! The `std` half of [`SealedFile`]: `File`.

use std::fs::File;

use crate::error::ErrorWith;
use crate::sealed::{Holes, SealedFile};

impl TryFrom<File> for SealedFile {
    type Error = ErrorWith<File>;

    /// [`SealedFile::verify`] with [`Holes::Refuse`].
    fn try_from(file: File) -> Result<Self, ErrorWith<File>> {
        Self::verify(file, Holes::Refuse).map_err(|error| error.map(File::from))
    }
}

/// The position is where it was left: rewind it before reading. The seals stay.
impl From<SealedFile> for File {
    fn from(sealed: SealedFile) -> Self {
        sealed.into_fd().into()
    }
}
