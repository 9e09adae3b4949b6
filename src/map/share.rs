//! How sharing begins and ends. For one writer and many readers: [`MemFile::share`] and
//! [`SharedMap::freeze`], since Linux 5.1, which introduced FutureWrite. For many writers:
//! [`SharedMap::create_fixed_size`].

use super::raw::Exclusive;
use super::shared::SharedMap;
use crate::error::{Error, ErrorWith};
use crate::file::{FileName, MemFile};
use crate::options::{CreateOptions, Exec};
use crate::seal::{Seal, Seals};
use crate::sealed::SealedFile;

impl MemFile {
    /// Maps the file for writing, then takes writing from everybody else: adds FutureWrite, Shrink
    /// and Grow.
    ///
    /// From then on this map, and mappings that existed before, are the only way to change the
    /// file. Readers get a descriptor ([`reader`](SharedMap::reader), or this one) and make a
    /// [`SharedView`](crate::SharedView) of it. The file must have its length; holes are allocated
    /// first. Adding seals waits while another process holds the file's lock.
    ///
    /// A file that is to be [frozen](SharedMap::freeze) later should be created by
    /// [`SharedMap::create`] or with
    /// [`Exec::DenyUnsealed`]: with the Exec seal, `freeze` and all receivers refuse it on a kernel whose Exec seal can forge
    /// Write, or where that cannot be tested (`vm.memfd_noexec` is 2).
    ///
    /// # Errors
    /// The file comes back with the error; it may have Shrink and Grow by then.
    /// - EPERM: created without sealing, opened read-only, or sealed with Seal, Write or
    ///   FutureWrite
    /// - EINVAL: a kernel before 5.1, or FreeBSD ([`is_unsupported`](Error::is_unsupported))
    /// - ENOSPC, ENOMEM: no memory for the file
    ///
    /// # Example
    /// ```
    /// use memfile::{CreateOptions, Exec, MemFile};
    ///
    /// let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    /// let file = MemFile::create("log", options)?;
    /// file.set_len(4096)?;
    /// let writer = file.share()?;
    /// writer.write_all_at(b"through the map", 0)?;
    /// assert!(writer.as_mem_file().write_at(b"by write(2)", 0).is_err());
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [F_SEAL_FUTURE_WRITE](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html)
    #[doc(alias = "F_SEAL_FUTURE_WRITE")]
    pub fn share(self) -> Result<SharedMap, ErrorWith<Self>> {
        // Shrink comes first, so that the map is of the length that the file keeps.
        if let Err(error) = self.add_seals(Seals::FIXED_SIZE) {
            return Err(ErrorWith::new(error, self));
        }
        let map = SharedMap::try_from(self)?;
        match map.as_mem_file().add_seal(Seal::FutureWrite) {
            Ok(()) => Ok(map),
            Err(error) => Err(ErrorWith::new(error, map.into_mem_file())),
        }
    }
}

impl SharedMap {
    /// Creates a file of `len` zero bytes and [shares](MemFile::share) it: for one writer, with
    /// [`Exec::DenyUnsealed`], so that it can be [frozen](Self::freeze) on every kernel.
    ///
    /// # Errors
    /// Those of [`MemFile::create`] and [`MemFile::share`]. EACCES: `vm.memfd_noexec` is 2; then
    /// share a file of [`Exec::Deny`], and make a copy instead of freezing it.
    ///
    /// # Example
    /// ```
    /// use memfile::{SharedMap, SharedView};
    ///
    /// let writer = SharedMap::create("progress", 4096)?;
    /// let view = SharedView::try_from(writer.reader()?)?;
    /// writer.write_all_at(b"50 %", 0)?;
    /// let mut text = [0; 4];
    /// view.read_exact_at(&mut text, 0)?;
    /// assert_eq!(&text, b"50 %");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "shm_open")]
    #[doc(alias = "memfd_create")]
    pub fn create(name: impl FileName, len: u64) -> Result<Self, Error> {
        let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
        let file = MemFile::create(name, options)?;
        file.set_len(len)?;
        Ok(file.share()?)
    }

    /// Makes one from a file that only this process had, and keeps its mapping.
    pub(crate) fn of(map: Exclusive) -> Result<Self, ErrorWith<Exclusive>> {
        match map.fresh().share() {
            Ok(()) => {
                let (map, fresh) = map.into_shared();
                Ok(Self { map, file: fresh.into_file() })
            }
            Err(error) => Err(ErrorWith::new(error, map)),
        }
    }

    /// Creates a file of `len` zero bytes that everybody who receives it can write, but nobody can
    /// resize. It has the seals [`Seals::FIXED_SIZE`] and is fully allocated.
    ///
    /// Use it for peers that map the file for writing: other writers, or a Wayland compositor with
    /// libwayland, although it only reads. Their `mmap` fails with EPERM for a file from
    /// [`create`](Self::create), which has the seal FutureWrite, and with EACCES for a read-only
    /// descriptor. So pass them the descriptor from `as_fd`, not the one from
    /// [`reader`](Self::reader).
    ///
    /// # Errors
    /// Those of [`MemFile::create_sealable`] and [`map`](Self::map). ENOSPC, ENOMEM: no memory for
    /// the file.
    ///
    /// # Example
    /// ```
    /// use memfile::SharedMap;
    ///
    /// let pool = SharedMap::create_fixed_size("wl_shm pool", 640 * 480 * 4)?;
    /// // In the peer's process, with a descriptor that it was sent.
    /// let peer = SharedMap::try_from(pool.as_mem_file().try_clone()?)?;
    /// pool.write_all_at(b"a pixel.", 0)?;
    /// let mut pixel = [0; 8];
    /// peer.read_exact_at(&mut pixel, 0)?;
    /// assert_eq!(&pixel, b"a pixel.");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "shm_open")]
    #[doc(alias = "memfd_create")]
    #[doc(alias = "wl_shm")]
    pub fn create_fixed_size(name: impl FileName, len: u64) -> Result<Self, Error> {
        let file = MemFile::create_sealable(name)?;
        file.set_len(len)?;
        file.add_seals(Seals::FIXED_SIZE)?;
        Ok(Self::try_from(file)?)
    }

    /// Another descriptor of the file for a reader, read-only: [`MemFile::reopen_read_only`].
    ///
    /// # Errors
    /// As for [`MemFile::reopen_read_only`].
    pub fn reader(&self) -> Result<MemFile, Error> {
        self.as_mem_file().reopen_read_only()
    }

    /// Unmaps the writer and makes the file immutable: [`MemFile::into_sealed`]. Views that exist
    /// stay valid. It waits while another process holds the file's lock.
    ///
    /// # Errors
    /// The file comes back with the error, and [`into_sealed`](MemFile::into_sealed) can be tried
    /// again. It cannot be mapped for writing any more: the kernel refuses that since FutureWrite,
    /// to this process too.
    /// - EBUSY: a forked child still has the map, or a page is in use elsewhere. To wait for them,
    ///   call `map.into_mem_file().into_sealed_timeout(timeout)` instead
    /// - no errno ([`is_unproven`](Error::is_unproven)): the file has the Exec seal, and the kernel
    ///   can forge Write by it or cannot be tested; the file is sealed by then
    /// - those of [`MemFile::into_sealed`]
    ///
    /// # Example
    /// ```
    /// use memfile::SharedMap;
    ///
    /// let writer = SharedMap::create("log", 4096)?;
    /// writer.write_all_at(b"final", 0)?;
    /// let sealed = writer.freeze()?;
    /// assert_eq!(&sealed.map()?[..5], b"final");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn freeze(self) -> Result<SealedFile, ErrorWith<MemFile>> {
        self.into_mem_file().into_sealed()
    }
}
