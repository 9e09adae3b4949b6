//! [`CowMap`]: a sealed file as a private `&mut [u8]`.

use core::fmt;
use core::ops::{Deref, DerefMut, RangeBounds};

use super::options::MapOptions;
use super::raw::Private;
use crate::error::Error;
use crate::sealed::SealedFile;

/// A private, writable map of a [`SealedFile`]: a page is copied when it is first written, and the file
/// stays as it is. Use it for a template from which many workers start.
///
/// ```
/// use memfile::SealedFile;
///
/// let file = SealedFile::from_bytes("template", b"state: new")?;
/// let mut image = file.map_copy_on_write()?;
/// image[7..].copy_from_slice(b"old");
/// assert_eq!(&file.map()?[7..], b"new");
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// Writing to a page needs memory for its copy. If none is left, the kernel ends the process, as with all
/// memory that Linux overcommits.
///
/// # References
/// [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html)
#[doc(alias = "mmap")]
#[doc(alias = "munmap")]
#[doc(alias = "MAP_PRIVATE")]
#[must_use = "the file is unmapped when this is dropped"]
pub struct CowMap(Private);

impl SealedFile {
    /// `mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0)` — maps the whole file,
    /// copy-on-write.
    ///
    /// # Errors
    /// As for [`map`](Self::map). A file of huge pages also fails with ENOMEM unless as many huge pages
    /// as it has are free for the copies.
    #[doc(alias = "mmap")]
    #[doc(alias = "MAP_PRIVATE")]
    #[inline]
    pub fn map_copy_on_write(&self) -> Result<CowMap, Error> {
        self.map_copy_on_write_with(.., MapOptions::new())
    }

    /// Maps a range of the file with options, copy-on-write.
    ///
    /// # Errors
    /// As for [`map_with`](Self::map_with).
    ///
    /// # Example
    /// ```
    /// use memfile::{MapOptions, SealedFile};
    ///
    /// let file = SealedFile::from_bytes("header, then body", b"HEADbody")?;
    /// let mut header = file.map_copy_on_write_with(..4, MapOptions::new())?;
    /// header.make_ascii_lowercase();
    /// assert_eq!((&header[..], &file.map()?[..]), (&b"head"[..], &b"HEADbody"[..]));
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "mmap")]
    #[doc(alias = "MAP_PRIVATE")]
    #[inline]
    pub fn map_copy_on_write_with(&self, range: impl RangeBounds<u64>, options: MapOptions) -> Result<CowMap, Error> {
        Private::new(self, range, options).map(CowMap)
    }
}

impl Deref for CowMap {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for CowMap {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

impl AsRef<[u8]> for CowMap {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for CowMap {
    #[inline]
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

// No `Hash` or `Borrow`: unlike those of a `Map`, these bytes can change.
impl fmt::Debug for CowMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CowMap").field("address", &self.as_ptr()).field("len", &self.len()).finish()
    }
}
