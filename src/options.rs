//! [`CreateOptions`]: how to create a memory file.

/// How to create a [`MemFile`](crate::MemFile): the flags of `memfd_create(2)`, named after their
/// purpose.
///
/// ```
/// use memfile::{CreateOptions, Seal};
///
/// let file = CreateOptions::new().allow_sealing(true).create("config")?;
/// file.add_seal(Seal::Shrink)?;
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [memfd_create(2)](https://man7.org/linux/man-pages/man2/memfd_create.2.html)
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[must_use = "options do nothing until a file is created with them"]
pub struct CreateOptions {
    pub(crate) allow_sealing: bool,
    pub(crate) close_on_exec: bool,
    pub(crate) huge_tlb: Option<HugeTlb>,
    pub(crate) exec: Exec,
}

// `const` setters that take `self`, so that a set of options can be a constant.

impl CreateOptions {
    /// The defaults: no sealing, close-on-exec, ordinary pages, not executable.
    #[doc(alias = "memfd_create")]
    pub const fn new() -> Self {
        Self { allow_sealing: false, close_on_exec: true, huge_tlb: None, exec: Exec::Deny }
    }

    /// Whether seals can be added to the file. Default: no.
    ///
    /// `false` is respected under every [`Exec`] policy and every `vm.memfd_noexec`. Where the kernel
    /// implies sealing (`MFD_NOEXEC_SEAL` does), [`Seal::Seal`](crate::Seal::Seal) is added at once,
    /// which costs one more system call.
    #[doc(alias = "MFD_ALLOW_SEALING")]
    pub const fn allow_sealing(mut self, value: bool) -> Self {
        self.allow_sealing = value;
        self
    }

    /// Whether the descriptor is closed when this process executes another program. Default: yes.
    ///
    /// To give the file to one child, leave this on and pass the descriptor to that child alone: as
    /// its stdin (`SealedFile::to_stdio`), or, with the crate command-fds and without `unsafe`,
    /// under a number of your choice (`examples/listen_fds.rs`). With `false`, every child that any
    /// thread starts inherits the descriptor.
    #[doc(alias = "MFD_CLOEXEC")]
    pub const fn close_on_exec(mut self, value: bool) -> Self {
        self.close_on_exec = value;
        self
    }

    /// Allocate the file from the pool of huge pages. Default: ordinary pages.
    ///
    /// The administrator has to reserve this pool, and filling a file fails if no page of it is free.
    /// [`SealedFileOptions::huge_pages`](crate::SealedFileOptions::huge_pages) needs no setup, and uses
    /// ordinary pages where it gets no huge ones: prefer it.
    ///
    /// Such a file does not support `write(2)` (EINVAL): it is filled through a mapping, as
    /// [`SealedFile::create_with`](crate::SealedFile::create_with) does. Its length is a multiple
    /// of the page size.
    ///
    /// Every process that has the file can make it longer by whole huge pages with a private mapping,
    /// whatever its seals. The bytes stay the same, but later receivers find holes, and refuse the
    /// file unless they accept or allocate them.
    ///
    /// Available since Linux 4.14; such files can be sealed since 4.16.
    #[doc(alias = "MFD_HUGETLB")]
    pub const fn huge_tlb(mut self, size: HugeTlb) -> Self {
        self.huge_tlb = Some(size);
        self
    }

    /// Whether the file can be executed. Default: [`Exec::Deny`].
    #[doc(alias = "MFD_NOEXEC_SEAL")]
    #[doc(alias = "MFD_EXEC")]
    pub const fn exec(mut self, value: Exec) -> Self {
        self.exec = value;
        self
    }
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a memory file can be executed (`execve(2)`).
///
/// The kernel looks at the execute bits of the mode. This is a policy against accidents and not a
/// security boundary: `mmap` with `PROT_EXEC` works on every memory file.
///
/// ```
/// use memfile::{CreateOptions, Exec, Seal};
///
/// let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
/// let file = options.create("for a strict reader")?;
/// assert!(file.get_seals()?.is_empty());
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// The flags behind it are available since Linux 6.3. An older kernel refuses them with EINVAL. Then
/// the file is created without them, and made non-executable by `fchmod(2)` if the policy asks for
/// that. The refusal is remembered, so that the flags are not tried again for the next file.
///
/// # References
/// [mfd_noexec](https://docs.kernel.org/userspace-api/mfd_noexec.html)
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[doc(alias = "vm.memfd_noexec")]
pub enum Exec {
    /// Not executable, and [`Seal::Exec`](crate::Seal::Exec) keeps it so: `MFD_NOEXEC_SEAL`, mode 0666.
    ///
    /// On a kernel before 6.3: mode 0666 without the seal.
    #[doc(alias = "MFD_NOEXEC_SEAL")]
    #[default]
    Deny,

    /// Not executable, without the Exec seal: `MFD_EXEC`, then mode 0666.
    ///
    /// Use it for a receiver that compares seals with `==`, and for a file that will be
    /// [frozen](crate::SharedMap::freeze) after it was shared. Where `vm.memfd_noexec` is 2, creating
    /// the file fails with EACCES. Where it is 1 and a sandbox refuses the flag, creating the file
    /// fails too, with [`Cause::Denied`](crate::Cause::Denied).
    DenyUnsealed,

    /// Executable: `MFD_EXEC`, mode 0777.
    ///
    /// Creating the file fails where [`DenyUnsealed`](Self::DenyUnsealed) does.
    #[doc(alias = "MFD_EXEC")]
    Allow,

    /// No flag: `vm.memfd_noexec` decides. Since Linux 6.3 the kernel may log a warning about that,
    /// once.
    KernelDefault,
}

/// The size of the huge pages of a file, by the kernel's names (`MFD_HUGE_*`).
///
/// The processor and the kernel decide which sizes exist. Creating a file with another size fails with
/// ENODEV. The value of a variant is its encoding in the flags of `memfd_create`: the base-2 logarithm
/// of the size, from bit 26 up.
///
/// ```
/// use memfile::{CreateOptions, HugeTlb, MemFile};
///
/// assert_eq!(HugeTlb::Huge2MB.bytes(), Some(2 << 20));
/// match MemFile::create("table", CreateOptions::new().huge_tlb(HugeTlb::Huge2MB)) {
///     Ok(file) => file.set_len(4 << 20)?,
///     Err(error) => println!("no huge pages: {error}"),
/// }
/// # Ok::<(), memfile::Error>(())
/// ```
///
/// # References
/// [hugetlbpage](https://docs.kernel.org/admin-guide/mm/hugetlbpage.html)
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the name of a size is its documentation")]
pub enum HugeTlb {
    /// The system's default size (`Hugepagesize` in `/proc/meminfo`).
    Default = 0,
    #[doc(alias = "MFD_HUGE_64KB")]
    Huge64KB = 16 << 26,
    #[doc(alias = "MFD_HUGE_512KB")]
    Huge512KB = 19 << 26,
    #[doc(alias = "MFD_HUGE_1MB")]
    Huge1MB = 20 << 26,
    #[doc(alias = "MFD_HUGE_2MB")]
    Huge2MB = 21 << 26,
    #[doc(alias = "MFD_HUGE_8MB")]
    Huge8MB = 23 << 26,
    #[doc(alias = "MFD_HUGE_16MB")]
    Huge16MB = 24 << 26,
    #[doc(alias = "MFD_HUGE_32MB")]
    Huge32MB = 25 << 26,
    #[doc(alias = "MFD_HUGE_256MB")]
    Huge256MB = 28 << 26,
    #[doc(alias = "MFD_HUGE_512MB")]
    Huge512MB = 29 << 26,
    #[doc(alias = "MFD_HUGE_1GB")]
    Huge1GB = 30 << 26,
    #[doc(alias = "MFD_HUGE_2GB")]
    Huge2GB = 31 << 26,
    #[doc(alias = "MFD_HUGE_16GB")]
    Huge16GB = 34 << 26,
}

impl HugeTlb {
    /// The size of a page in bytes, or `None` for the system's default.
    #[must_use]
    pub const fn bytes(self) -> Option<u64> {
        match self as u32 >> 26 {
            0 => None,
            log2 => Some(1 << log2),
        }
    }
}
