//! Files that grow while they are shared: [`SharedMap::grow`] and [`SharedView::refresh`].
//!
//! Both borrow the map exclusively, so that no integer in it is still borrowed when it moves.

use super::raw::SharedWritable;
use super::shared::{SharedMap, SharedView, explain_map, shrink};
use crate::error::{Error, Reason};
use crate::sealed::{Holes, prove};
use crate::sys;
use crate::sys::fd::AsFd;

impl SharedMap {
    /// `fallocate(fd, 0, old_len, len - old_len)`, then `mmap` — makes the map `len` bytes long, and the
    /// file too, unless it is longer already. The new part is allocated, and what was added to the file
    /// is zero.
    ///
    /// If the map already has `len` bytes or more, nothing happens: a map and its file never become
    /// shorter. To follow a file that somebody else has made longer, pass the file's
    /// [length](crate::MemFile::len), but no more than you are willing to allocate.
    ///
    /// The file must have the seal Shrink, and must not have Grow or FutureWrite, as in the example.
    ///
    /// Allocating waits while another process holds the file's lock:
    /// [which calls can wait](crate::guide::receiving).
    ///
    /// The memory moves to another address. Other maps of the file keep their length until they grow
    /// too; a view follows with [`refresh`](SharedView::refresh).
    ///
    /// # Errors
    /// The map stays as it was.
    /// - EPERM ([`Cause::Sealed`](crate::Cause::Sealed)): the file has the seal Grow, as every file
    ///   that was [shared](crate::MemFile::share) has; or it has FutureWrite or Write, which forbid
    ///   a new map; then the file may already be longer
    /// - ENOSPC, ENOMEM: no memory for it; ENOMEM of `mmap`: no address space, and the file is
    ///   already longer
    /// - EFBIG: beyond `RLIMIT_FSIZE`, with SIGXFSZ
    /// - no errno: `len` exceeds the address space, or is not a multiple of the file's huge page
    ///   size
    ///
    /// # Example
    /// ```
    /// use memfile::{MemFile, Seal, SharedMap, SharedView};
    ///
    /// let file = MemFile::create_sealable("log")?;
    /// file.set_len(4096)?;
    /// file.add_seal(Seal::Shrink)?;
    /// let mut log = SharedMap::try_from(file)?;
    /// let reader = log.reader()?;
    /// let mut view = SharedView::try_from(reader.try_clone()?)?; // in a reader's process
    ///
    /// log.grow(8192)?;
    /// log.write_all_at(b"more", 5000)?;
    /// assert!(view.refresh(&reader, memfile::Holes::Refuse)?);
    /// let mut more = [0; 4];
    /// view.read_exact_at(&mut more, 5000)?;
    /// assert_eq!(&more, b"more");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [fallocate(2)](https://man7.org/linux/man-pages/man2/fallocate.2.html)
    #[doc(alias = "ftruncate")]
    #[doc(alias = "fallocate")]
    #[doc(alias = "mremap")]
    pub fn grow(&mut self, len: u64) -> Result<(), Error> {
        let (start, old_len) = (self.map.shared().start(), self.len() as u64);
        if len <= old_len {
            return Ok(());
        }
        // Checked before the file grows, because it can never become shorter again.
        let end = match isize::try_from(len) {
            Ok(_) => start.saturating_add(len),
            Err(_) => return Err(Error::too_long(len)),
        };
        let fd = self.as_fd();
        if sys::huge_page_size(fd)?.is_some_and(|page| end & page.wrapping_sub(1) != 0) {
            return Err(Error::new(Reason::HugeLength));
        }
        // Not `ftruncate`: it would fail if somebody else has made the file longer than `end` meanwhile,
        // and would leave a longer file behind if no memory is left for it.
        sys::fallocate(fd, start.saturating_add(old_len), len.saturating_sub(old_len))?;
        let proof = prove(fd, shrink(Holes::Accept))?;
        self.map = SharedWritable::new(fd, proof, start..end).map_err(|error| explain_map(error, fd))?;
        Ok(())
    }
}

impl SharedView {
    /// Maps the file again, from the start of the view to the current end of the file. Returns
    /// whether the view has become longer; if not, it stays as it was.
    ///
    /// A view has no descriptor of its own, so that thousands of views need none. So keep the descriptor
    /// that the view was made from, and pass it here. The seal Shrink is proven again and the `holes`
    /// policy is applied, as in [`map`](Self::map), because the new part of the file may have a hole.
    ///
    /// # Errors
    /// The view stays as it was.
    /// - no errno: `file` is another file than the one that the view maps
    /// - those of [`map`](Self::map)
    #[doc(alias = "mremap")]
    pub fn refresh(&mut self, file: impl AsFd, holes: Holes) -> Result<bool, Error> {
        let now = Self::map_range(file, self.map.start().., holes)?;
        // Device and inode identify the file, because the view keeps it alive.
        if now.file != self.file {
            return Err(Error::new(Reason::OtherFile));
        }
        let is_longer = now.len() > self.len();
        if is_longer {
            *self = now;
        }
        Ok(is_longer)
    }
}
