//! The `std` half of [`MemFile`]: `File`, the `io` traits, and `Stdio`.

use std::fs::{File, Metadata};
use std::io::{IoSlice, IoSliceMut, Read, Result, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::process::Stdio;
use std::string::String;
use std::vec::Vec;

use crate::error::ErrorWith;
use crate::file::MemFile;

impl MemFile {
    /// Borrows the file as a `&File`, for functions that take one.
    #[must_use]
    pub const fn as_file(&self) -> &File {
        &self.handle
    }

    /// Converts the file into a `File`.
    #[must_use = "the file is closed when this is dropped"]
    pub fn into_file(self) -> File {
        self.handle
    }

    /// `fstat(fd)` — length, mode, times. Seals protect only the length, and with
    /// [`Seal::Exec`](crate::Seal::Exec) the execute bits.
    ///
    /// # Errors
    /// The kernel returns none for an open memory file.
    ///
    /// # Example
    /// ```
    /// use std::os::unix::fs::MetadataExt;
    ///
    /// let file = memfile::MemFile::create_default("settings")?;
    /// file.write_all_at(b"verbose", 0)?;
    /// let metadata = file.metadata()?;
    /// assert_eq!((metadata.len(), metadata.nlink()), (7, 0)); // no directory has it
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # References
    /// [fstat(2)](https://man7.org/linux/man-pages/man2/stat.2.html)
    #[doc(alias = "fstat")]
    pub fn metadata(&self) -> Result<Metadata> {
        self.handle.metadata()
    }
}

impl From<MemFile> for File {
    fn from(file: MemFile) -> Self {
        file.into_file()
    }
}

impl TryFrom<File> for MemFile {
    type Error = ErrorWith<File>;

    /// [`MemFile::from_fd`]. The position stays where it is.
    fn try_from(file: File) -> core::result::Result<Self, ErrorWith<File>> {
        Self::from_fd(file.into()).map_err(|error| error.map(File::from))
    }
}

/// The child gets the same open file at its current position, so rewind it first.
impl From<MemFile> for Stdio {
    fn from(file: MemFile) -> Self {
        file.into_file().into()
    }
}

// `&MemFile` too, as with `File`: the position belongs to the open file, so `&mut` would protect nothing.
impl Read for &MemFile {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        self.as_file().read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.as_file().read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> Result<usize> {
        self.as_file().read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> Result<usize> {
        self.as_file().read_to_string(buf)
    }
}

impl Write for &MemFile {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        self.as_file().write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> Result<usize> {
        self.as_file().write_vectored(bufs)
    }

    fn flush(&mut self) -> Result<()> {
        // No buffer and no disk: a write is done when `write` returns.
        Ok(())
    }
}

impl Seek for &MemFile {
    fn seek(&mut self, position: SeekFrom) -> Result<u64> {
        self.as_file().seek(position)
    }
}

impl Read for MemFile {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        (&*self).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> Result<usize> {
        (&*self).read_vectored(bufs)
    }

    fn read_to_end(&mut self, buf: &mut Vec<u8>) -> Result<usize> {
        (&*self).read_to_end(buf)
    }

    fn read_to_string(&mut self, buf: &mut String) -> Result<usize> {
        (&*self).read_to_string(buf)
    }
}

impl Write for MemFile {
    fn write(&mut self, buf: &[u8]) -> Result<usize> {
        (&*self).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Seek for MemFile {
    fn seek(&mut self, position: SeekFrom) -> Result<u64> {
        (&*self).seek(position)
    }
}

// For code that is generic over `FileExt`. All other code gets the methods of `MemFile` of the same names,
// whose errors say more: inherent methods take precedence.
impl FileExt for MemFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.as_file().read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<usize> {
        self.as_file().write_at(buf, offset)
    }
}
