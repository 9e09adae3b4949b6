//! [`Map`]: a sealed file as `&[u8]`.

use core::borrow::Borrow;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, RangeBounds};
use core::slice;

use super::options::MapOptions;
use super::raw::Constant;
use crate::error::Error;
use crate::sealed::SealedFile;

/// The constant bytes of a [`SealedFile`], mapped read-only and shared with all who map it.
///
/// [`SealedFile::map`] and its relatives make one. It stays valid without the [`SealedFile`] or any
/// descriptor. It is `Send`, `Sync` and `'static`, and dereferences to `[u8]`, so it can be passed to
/// everything that takes bytes: to `Bytes::from_owner`, to a parser that borrows, or into an `Arc`.
///
/// ```
/// use memfile::SealedFile;
///
/// let map = SealedFile::from_bytes("table", b"key=value")?.map()?;
/// let reader = std::thread::spawn(move || map.ends_with(b"value"));
/// assert_eq!(reader.join().ok(), Some(true));
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// Dropping it unmaps the file. [The guide](crate::guide::design) says what the proof does not cover.
///
/// # Alignment
/// The address of a map of the whole file, also of an empty one, is a multiple of 4096. The address of a
/// map from [`map_range`](SealedFile::map_range) and the start of the range leave the same remainder
/// when they are divided by 4096. So data that is aligned within the file, to 4096 at most, has the same
/// alignment in memory, and can be cast without a copy (zerocopy, bytemuck). The same holds for a
/// [`CowMap`](crate::CowMap), a [`Draft`](crate::Draft) and the slice that
/// [`create_with`](SealedFile::create_with) fills.
///
/// ```
/// use memfile::SealedFile;
/// use zerocopy::FromBytes;
///
/// let file = SealedFile::from_bytes("table", &[0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])?;
/// let map = file.map_range(4..)?;
/// assert_eq!(map.as_ptr().addr() % 4096, 4);
/// let numbers = <[u32]>::ref_from_bytes(&map).expect("4 is a multiple of its alignment");
/// assert_eq!(numbers.iter().map(|number| u32::from_le(*number)).sum::<u32>(), 3);
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html); a shared map of a write-sealed
/// file: [158978945f31](https://git.kernel.org/torvalds/c/158978945f31)
#[doc(alias = "mmap")]
#[doc(alias = "munmap")]
#[doc(alias = "MAP_SHARED")]
#[must_use = "the file is unmapped when this is dropped"]
pub struct Map(Constant);

impl SealedFile {
    /// `mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0)` — maps the whole file. This is one system call, or
    /// none for an empty file.
    ///
    /// # Errors
    /// - ENOMEM: no address space left, or too many mappings (`vm.max_map_count`); EAGAIN: beyond
    ///   `RLIMIT_MEMLOCK`, after `mlockall(MCL_FUTURE)`
    /// - EACCES: opened write-only, or a security module forbids it
    /// - no errno: longer than the address space
    #[doc(alias = "mmap")]
    #[inline]
    pub fn map(&self) -> Result<Map, Error> {
        self.map_range(..)
    }

    /// Maps a range of the file, in bytes. The range need not be aligned. [`Map`](Map#alignment)
    /// says how the map is aligned.
    ///
    /// # Errors
    /// As for [`map`](Self::map), and without an errno where the range does not lie within the file
    /// ([`is_out_of_bounds`](Error::is_out_of_bounds)).
    ///
    /// # Example
    /// ```
    /// use memfile::SealedFile;
    ///
    /// let file = SealedFile::from_bytes("poem", b"roses are red")?;
    /// assert_eq!(&file.map_range(6..9)?[..], b"are");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "mmap")]
    #[inline]
    pub fn map_range(&self, range: impl RangeBounds<u64>) -> Result<Map, Error> {
        self.map_with(range, MapOptions::new())
    }

    /// Maps a range of the file with options. [`MapOptions`] has an example.
    ///
    /// # Errors
    /// As for [`map_range`](Self::map_range). With [`populate`](MapOptions::populate) also EFAULT,
    /// ENOMEM: a hole that was [accepted](crate::Holes::Accept) cannot be filled, and EHWPOISON:
    /// broken memory. With [`lock`](MapOptions::lock) also ENOMEM, EPERM, EAGAIN: no more memory
    /// may be locked.
    #[doc(alias = "mmap")]
    #[inline]
    pub fn map_with(&self, range: impl RangeBounds<u64>, options: MapOptions) -> Result<Map, Error> {
        Constant::new(self, range, options).map(Map)
    }
}

impl Deref for Map {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl AsRef<[u8]> for Map {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// So that a `HashMap<Map, _>` can be searched with a `&[u8]`.
impl Borrow<[u8]> for Map {
    #[inline]
    fn borrow(&self) -> &[u8] {
        self
    }
}

/// Compares the bytes.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Map {}

// Slices and arrays, by value and by reference, as `Vec<u8>` is comparable with them: for assertions.
impl PartialEq<[u8]> for Map {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Map {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<[u8; N]> for Map {
    fn eq(&self, other: &[u8; N]) -> bool {
        **self == *other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Map {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == **other
    }
}

impl PartialEq<Map> for [u8] {
    fn eq(&self, other: &Map) -> bool {
        *self == **other
    }
}

/// Hashes as the bytes do, which `Borrow<[u8]>` requires.
impl Hash for Map {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<'map> IntoIterator for &'map Map {
    type Item = &'map u8;
    type IntoIter = slice::Iter<'map, u8>;

    fn into_iter(self) -> slice::Iter<'map, u8> {
        self.iter()
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the bytes: a map can have gigabytes.
        f.debug_struct("Map").field("address", &self.as_ptr()).field("len", &self.len()).finish()
    }
}
