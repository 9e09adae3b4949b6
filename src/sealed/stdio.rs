//! Sealed files as the standard streams of a child.

use std::fs::File;
use std::io::Seek;
use std::process::Stdio;

use crate::error::Error;
use crate::file::MemFile;
use crate::sealed::SealedFile;

impl SealedFile {
    /// The file for a child to read: opened again, so the child starts at position 0, moves a position of its own, and
    /// cannot write. One file serves any number of children.
    ///
    /// # Errors
    /// As for [`MemFile::reopen_read_only`].
    ///
    /// # Example
    /// ```
    /// use std::process::Command;
    ///
    /// use memfile::SealedFile;
    ///
    /// let words = SealedFile::from_bytes("words", b"pear\napple\n")?;
    /// let sorted = Command::new("sort").stdin(words.to_stdio()?).output()?;
    /// assert_eq!(sorted.stdout, b"apple\npear\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "stdin")]
    pub fn to_stdio(&self) -> Result<Stdio, Error> {
        self.as_mem_file().reopen_read_only().map(Into::into)
    }
}

/// As [`SealedFile::to_stdio`]. Where the file cannot be opened again, since `/proc` is not mounted, the child gets this very
/// descriptor, rewound: then it shares the position with the clones of this file, wherever they are.
impl From<SealedFile> for Stdio {
    fn from(file: SealedFile) -> Self {
        file.to_stdio().unwrap_or_else(|_| {
            let mut file = File::from(MemFile::from(file));
            // A memory file can always be rewound.
            let _ = file.rewind();
            file.into()
        })
    }
}
