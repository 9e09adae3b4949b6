//! How sharing begins and ends: [`MemFile::share`], [`SharedMap::create`] and [`SharedMap::freeze`] for
//! one writer and many readers, available since Linux 5.1, which introduced FutureWrite;
//! [`SharedMap::create_fixed_size`] for many writers.

use super::raw::Exclusive;
use super::shared::SharedMap;
use crate::error::{Error, ErrorWith};
use crate::file::{FileName, MemFile};
use crate::options::{CreateOptions, Exec};
use crate::seal::{Seal, Seals};
use crate::sealed::SealedFile;

impl MemFile {
    /// Fixes the length (Shrink, Grow), maps the file for writing, then forbids everybody else to write
    /// to it (FutureWrite).
    ///
    /// From then on only this map, and mappings that existed before, can change the file. Give readers
    /// a descriptor from [`reader`](SharedMap::reader), of which they make a
    /// [`SharedView`](crate::SharedView). Set the length before you call this, because it becomes
    /// final. Holes are allocated first. Adding seals waits while another process holds the file's
    /// lock.
    ///
    /// If the file is to be [frozen](SharedMap::freeze) later, create it with [`SharedMap::create`] or
    /// with [`Exec::DenyUnsealed`]. If it has the Exec seal, `freeze` and all receivers refuse it on a
    /// kernel [whose Exec seal can forge Write](crate::guide::design#what-a-sealedfile-proves), or if
    /// that cannot be tested (`vm.memfd_noexec` is 2).
    ///
    /// # Errors
    /// The error returns the file, which may already have Shrink and Grow.
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
        // The length is sealed first, so that the map has the length that the file keeps.
        if let Err(error) = self.add_seals(Seals::FIXED_SIZE) {
            return Err(ErrorWith::new(error, self));
        }
        let map = SharedMap::try_from(self)?;
        // After mapping, because FutureWrite forbids new writable mappings to this process too.
        match map.as_mem_file().add_seal(Seal::FutureWrite) {
            Ok(()) => Ok(map),
            Err(error) => Err(ErrorWith::new(error, map.into_mem_file())),
        }
    }
}

impl SharedMap {
    /// Creates a file of `len` zero bytes for one writer, and [shares](MemFile::share) it. The file has
    /// [`Exec::DenyUnsealed`], so that it can be [frozen](Self::freeze) on every kernel.
    ///
    /// # Errors
    /// Those of [`MemFile::create`] and [`MemFile::share`]. EACCES: `vm.memfd_noexec` is 2; then share a
    /// file created with [`Exec::Deny`], and make a sealed copy instead of freezing it.
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

    /// Makes one from a file that only this process has had, and keeps its mapping.
    pub(crate) fn of(map: Exclusive) -> Result<Self, ErrorWith<Exclusive>> {
        match map.fresh().share() {
            Ok(()) => {
                let (map, fresh) = map.into_shared();
                Ok(Self { map, file: fresh.into_file() })
            }
            Err(error) => Err(ErrorWith::new(error, map)),
        }
    }

    /// Creates a file of `len` zero bytes that everybody who receives it can write to, but nobody can
    /// resize. It has the seals [`Seals::FIXED_SIZE`] and is fully allocated.
    ///
    /// Use it for peers that map the file for writing: other writers, or a Wayland compositor with
    /// libwayland, which maps for writing although it only reads. If the file came from
    /// [`create`](Self::create), their `mmap` would fail with EPERM because of the seal FutureWrite;
    /// with a read-only descriptor it would fail with EACCES. So pass them the descriptor from `as_fd`,
    /// not the one from [`reader`](Self::reader).
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
        // This also allocates the file, so that nobody's access to it can fail for lack of memory.
        Ok(Self::try_from(file)?)
    }

    /// A read-only descriptor of the file, for a reader: [`MemFile::reopen_read_only`].
    ///
    /// # Errors
    /// As for [`MemFile::reopen_read_only`].
    pub fn reader(&self) -> Result<MemFile, Error> {
        self.as_mem_file().reopen_read_only()
    }

    /// Ends sharing: unmaps the file and makes it immutable with [`MemFile::into_sealed`]. Views that
    /// exist stay valid. The call waits while another process holds the file's lock.
    ///
    /// # Errors
    /// The error returns the file, and you can try [`into_sealed`](MemFile::into_sealed) again. The file
    /// cannot be mapped for writing any more, because FutureWrite forbids that to this process too.
    /// - EBUSY: a forked child still has the map, or a page is in use elsewhere. To wait for them,
    ///   call `map.into_mem_file().into_sealed_timeout(timeout)` instead
    /// - no errno ([`is_unproven`](Error::is_unproven)): the file has the Exec seal, and the kernel
    ///   can forge Write by it or cannot be tested; the file is already sealed then
    /// - EPERM: a reader has opened the file again for writing, and added the seal Seal
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
