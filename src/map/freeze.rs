//! One writer, many readers: [`MemFile::share`] and [`SharedMap::freeze`]. Since Linux 5.1, for FutureWrite.

use core::time::Duration;

use super::shared::SharedMap;
use crate::error::{Error, ErrorWith};
use crate::file::MemFile;
use crate::sealed::SealedFile;
use crate::seals::{Seal, Seals};

/// What [`MemFile::share`] adds.
const SHARED: Seals = Seals::from_bits_retain(Seals::FIXED_SIZE.bits() | Seal::FutureWrite as u32);

impl MemFile {
    /// Maps the file for writing, then takes writing from everybody else: adds FutureWrite, Shrink and Grow.
    ///
    /// From then on this map, and mappings that existed before, are the only way to change the file. Readers get a
    /// descriptor ([`reader`](SharedMap::reader), or this one) and make a [`SharedView`](crate::SharedView) of it. The file
    /// must have its length; holes get memory first.
    ///
    /// A file that is to be [frozen](SharedMap::freeze) later should be created with
    /// [`Exec::DenyUnsealed`](crate::Exec::DenyUnsealed): with the Exec seal, receivers on a kernel with the hole described
    /// at [`SealedFile::verify`] refuse it.
    ///
    /// # Errors
    /// The file comes back with the error; it may have Shrink and Grow by then.
    /// - EPERM: created without sealing, or sealed with Seal, Write or FutureWrite; EACCES: opened read-only
    /// - EINVAL: a kernel before 5.1
    /// - ENOSPC, ENOMEM: no memory for the file
    #[doc(alias = "F_SEAL_FUTURE_WRITE")]
    pub fn share(self) -> Result<SharedMap, ErrorWith<Self>> {
        // Shrink comes first, so that the map is of the length that the file keeps.
        if let Err(error) = self.add_seals(Seals::FIXED_SIZE) {
            return Err(ErrorWith::new(error, self));
        }
        let map = SharedMap::try_from(self)?;
        match map.as_mem_file().add_seals(SHARED) {
            Ok(()) => Ok(map),
            Err(error) => Err(ErrorWith::new(error, map.into_mem_file())),
        }
    }
}

impl SharedMap {
    /// Another descriptor of the file for a reader, read-only: [`MemFile::reopen_read_only`].
    ///
    /// # Errors
    /// As for [`MemFile::reopen_read_only`].
    pub fn reader(&self) -> Result<MemFile, Error> {
        self.as_mem_file().reopen_read_only()
    }

    /// Unmaps the writer and makes the file immutable: [`MemFile::into_sealed`]. Views that exist stay valid.
    ///
    /// ```
    /// # use memfile::{CreateOptions, Exec, MemFile, SharedView};
    /// # let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    /// # let file = MemFile::create("log", options)?;
    /// # file.set_len(4096)?;
    /// let writer = file.share()?;
    /// let view = SharedView::try_from(writer.reader()?)?;
    /// writer.write_all_at(b"final", 0)?;
    /// let sealed = writer.freeze()?;
    /// assert_eq!(&sealed.map()?[..5], b"final");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # Errors
    /// The file comes back with the error, and [`into_sealed`](MemFile::into_sealed) can be tried again. It cannot be
    /// mapped for writing any more: the kernel refuses that since FutureWrite, to this process too.
    /// - EBUSY: a forked child still has the map, or a page is in use elsewhere
    /// - those of [`MemFile::into_sealed`]
    pub fn freeze(self) -> Result<SealedFile, ErrorWith<MemFile>> {
        self.into_mem_file().into_sealed()
    }

    /// As [`freeze`](Self::freeze), but waits where that is EBUSY: [`MemFile::into_sealed_within`].
    ///
    /// # Errors
    /// As for [`freeze`](Self::freeze).
    pub fn freeze_within(self, patience: Duration) -> Result<SealedFile, ErrorWith<MemFile>> {
        self.into_mem_file().into_sealed_within(patience)
    }
}
