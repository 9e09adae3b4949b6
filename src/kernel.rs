//! What the running kernel supports, for bug reports and for programs that have a choice.

use core::ffi::CStr;
use core::fmt;

use crate::error::{Errno, Error, Reason};
use crate::file::MemFile;
use crate::fill;
use crate::options::{CreateOptions, Exec, HugeTlb};
use crate::seal::Seal;
use crate::sealed::SealedFile;
use crate::sys::fd::AsFd;
use crate::sys::{self, Access};

/// What the running kernel supports. Every feature is tried, not derived from the version.
///
/// Nothing else in this crate needs this: each call tries the newest interface first, falls back to
/// an older one, or returns an error naming what it needs. [`Display`](fmt::Display) prints a table
/// for a bug report:
///
/// ```
/// use memfile::kernel::{Feature, Support};
///
/// let support = Support::probe();
/// println!("{support}");
/// assert!(support.get(Feature::Sealing).is_ok());
/// ```
#[derive(Clone)]
pub struct Support {
    // An error for each row, so that a report says why a feature is missing.
    features: [Result<(), Error>; ROWS.len()],
    default_exec: Exec,
    huge_tlb: [bool; HUGE_TLB.len()],
    shmem_enabled: Line,
    release: Line,
}

/// Something that a kernel supports or lacks.
///
/// ```
/// use memfile::Holes;
/// use memfile::kernel::{Feature, Support};
///
/// let populates = Support::probe().get(Feature::Populate).is_ok();
/// let holes = if populates { Holes::Populate } else { Holes::Refuse };
/// # let _ = holes;
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// `memfd_create`, since Linux 3.17.
    MemfdCreate,
    /// Seals that can be added and stay, since Linux 3.17.
    Sealing,
    /// The flags `MFD_EXEC` and `MFD_NOEXEC_SEAL`, since Linux 6.3.
    ExecFlags,
    /// Files that can be executed ([`Exec::Allow`]). Forbidden if `vm.memfd_noexec` is 2.
    Executable,
    /// [`Seal::FutureWrite`], since Linux 5.1.
    FutureWrite,
    /// [`Seal::Exec`], since Linux 6.3.
    ExecSeal,
    /// A Write seal that the Exec seal cannot forge: before Linux 6.3, and since 6.12.93, 6.18.35,
    /// 7.0.13 and 7.1.
    ///
    /// Without this, or if it cannot be tested (`vm.memfd_noexec` is 2), files that have Exec and
    /// FutureWrite are refused.
    HonestWriteSeal,
    /// A shared read-only map of a write-sealed file through a descriptor open for writing, since
    /// Linux 6.7 and in maintained older versions. Without this, such maps are private, which costs
    /// nothing.
    MapSealedShared,
    /// `MADV_POPULATE_READ`, for [`Holes::Populate`](crate::Holes::Populate) and
    /// [`MapOptions::populate`](crate::MapOptions::populate), since Linux 5.14.
    Populate,
    /// `MADV_COLLAPSE` of memory files, since Linux 6.1. With it,
    /// [`SealedFileOptions::huge_pages`](crate::SealedFileOptions::huge_pages) works under every
    /// [policy](crate::guide::kernels#huge-pages-on-demand) but `deny`. The probe allocates a huge page
    /// and frees it.
    Collapse,
    /// `/proc/self/fd`, for [`MemFile::proc_path`] and [`MemFile::reopen_read_only`].
    ProcFd,
    /// `MFD_HUGETLB` with the system's default page size, since Linux 4.14.
    HugeTlb,
}

/// One row for each [`Feature`], in the same order.
struct Row {
    feature: Feature,
    name: &'static str,
    since: &'static str,
    probe: fn() -> Result<(), Error>,
}

// In the order in which `Display` prints them: what everything else needs comes first.
const ROWS: [Row; 12] = [
    Row {
        feature: Feature::MemfdCreate,
        name: "memfd_create",
        since: "Linux 3.17",
        probe: || MemFile::create("", CreateOptions::new().exec(Exec::KernelDefault)).map(drop),
    },
    Row {
        feature: Feature::Sealing,
        name: "sealing",
        since: "Linux 3.17",
        // Shrink, because every system with seals has it.
        probe: || keeps(Exec::KernelDefault, Seal::Shrink),
    },
    Row {
        feature: Feature::ExecFlags,
        name: "MFD_EXEC, MFD_NOEXEC_SEAL",
        since: "Linux 6.3",
        probe: sys::try_exec_flags,
    },
    Row {
        feature: Feature::Executable,
        name: "executable files",
        since: "vm.memfd_noexec < 2",
        probe: || sealable(Exec::Allow).map(drop),
    },
    Row {
        feature: Feature::FutureWrite,
        name: "F_SEAL_FUTURE_WRITE",
        since: "Linux 5.1",
        probe: || keeps(Exec::Deny, Seal::FutureWrite),
    },
    Row {
        feature: Feature::ExecSeal,
        name: "F_SEAL_EXEC",
        since: "Linux 6.3",
        probe: || keeps(Exec::Deny, Seal::Exec),
    },
    Row {
        feature: Feature::HonestWriteSeal,
        name: "F_SEAL_WRITE not forged by Exec",
        since: "fixed in 6.12.93, 6.18.35, 7.0.13, 7.1",
        probe: honest_write_seal,
    },
    Row {
        feature: Feature::MapSealedShared,
        name: "MAP_SHARED of a write-sealed file",
        since: "Linux 6.7",
        probe: || sys::try_map(SealedFile::from_bytes("", b"1")?.as_fd(), Access::SharedRead),
    },
    Row {
        feature: Feature::Populate,
        name: "MADV_POPULATE_READ",
        since: "Linux 5.14",
        probe: || {
            // Not sealed, because some kernels refuse to map a sealed file shared.
            let file = sealable(Exec::Deny)?;
            file.set_len(1)?;
            sys::populate(file.as_fd(), 1)
        },
    },
    Row {
        feature: Feature::Collapse,
        name: "MADV_COLLAPSE of memory files",
        since: "Linux 6.1",
        probe: || if fill::collapses()? { Ok(()) } else { Err(Error::new(Reason::NoCollapse)) },
    },
    Row {
        feature: Feature::ProcFd,
        name: "/proc/self/fd",
        since: "mounted",
        probe: || sealable(Exec::Deny)?.reopen_read_only().map(drop),
    },
    Row {
        feature: Feature::HugeTlb,
        name: "MFD_HUGETLB",
        since: "Linux 4.14",
        probe: || {
            let options = CreateOptions::new().allow_sealing(true).huge_tlb(HugeTlb::Default);
            MemFile::create("", options).map(drop)
        },
    },
];

const HUGE_TLB: [(HugeTlb, &str); 12] = [
    (HugeTlb::Huge64KB, "64 KiB"),
    (HugeTlb::Huge512KB, "512 KiB"),
    (HugeTlb::Huge1MB, "1 MiB"),
    (HugeTlb::Huge2MB, "2 MiB"),
    (HugeTlb::Huge8MB, "8 MiB"),
    (HugeTlb::Huge16MB, "16 MiB"),
    (HugeTlb::Huge32MB, "32 MiB"),
    (HugeTlb::Huge256MB, "256 MiB"),
    (HugeTlb::Huge512MB, "512 MiB"),
    (HugeTlb::Huge1GB, "1 GiB"),
    (HugeTlb::Huge2GB, "2 GiB"),
    (HugeTlb::Huge16GB, "16 GiB"),
];

fn sealable(exec: Exec) -> Result<MemFile, Error> {
    MemFile::create("", CreateOptions::new().allow_sealing(true).exec(exec))
}

/// Adds a seal and reads it back, because a sandbox can pretend to add it.
fn keeps(exec: Exec, seal: Seal) -> Result<(), Error> {
    let file = sealable(exec)?;
    file.add_seal(seal)?;
    if file.get_seals()?.contains(seal) {
        return Ok(());
    }
    Err(Error::new(Reason::SealingIgnored).with_seals(seal.into()))
}

/// Whether Exec cannot forge Write. That also holds for a kernel that lacks Exec.
fn honest_write_seal() -> Result<(), Error> {
    match sys::exec_seal_finds_writers() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(Reason::ForgedWrite)),
        // The test needs an executable file, which policy can forbid; this needs none.
        Err(_) if keeps(Exec::Deny, Seal::Exec).is_err_and(|error| error.is(Errno::INVAL)) => Ok(()),
        Err(_) => Err(Error::new(Reason::UntestedWrite)),
    }
}

/// Looks at the mode that the kernel gives to a file without exec flags.
fn default_exec() -> Exec {
    const EXECUTE_BITS: u32 = 0o111;

    let mode = sealable(Exec::KernelDefault).and_then(|file| sys::fstat(file.as_fd()));
    if mode.is_ok_and(|stat| stat.mode & EXECUTE_BITS != 0) { Exec::Allow } else { Exec::Deny }
}

impl Support {
    /// Tries every feature, on files that it makes and drops: about fifty system calls.
    #[must_use = "probing makes about fifty system calls and does nothing but return this"]
    pub fn probe() -> Self {
        Self {
            features: ROWS.map(|row| (row.probe)()),
            default_exec: default_exec(),
            huge_tlb: HUGE_TLB
                .map(|(size, _)| MemFile::create("", CreateOptions::new().allow_sealing(true).huge_tlb(size)).is_ok()),
            shmem_enabled: Line::read(c"/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
            release: Line::read(c"/proc/sys/kernel/osrelease"),
        }
    }

    /// Whether the kernel supports a feature.
    ///
    /// # Errors
    /// The reason why it does not.
    pub fn get(&self, feature: Feature) -> Result<(), Error> {
        // Every feature has a row; if one were forgotten, it would count as missing.
        let result = ROWS.iter().zip(self.features).find(|(row, _)| row.feature == feature);
        result.map_or(Err(Error::new(Reason::Kernel)), |(_, result)| result)
    }

    /// What [`Exec::KernelDefault`] means on this system: [`Exec::Allow`], or [`Exec::Deny`] if
    /// `vm.memfd_noexec` is 1 or 2.
    ///
    /// # References
    /// [mfd_noexec](https://docs.kernel.org/userspace-api/mfd_noexec.html)
    #[doc(alias = "vm.memfd_noexec")]
    #[must_use]
    pub const fn default_exec(&self) -> Exec {
        self.default_exec
    }

    /// The sizes of huge pages with which files can be created. A page of that size need not be free.
    pub fn huge_tlb_sizes(&self) -> impl Iterator<Item = HugeTlb> {
        HUGE_TLB.iter().zip(self.huge_tlb).filter(|&(_, available)| available).map(|(&(size, _), _)| size)
    }

    /// The [policy](crate::guide::kernels#huge-pages-on-demand) for transparent huge pages of memory
    /// files, as the kernel names it, for example `never`.
    ///
    /// Returns `None` if the kernel was built without them, or if `/sys` is not mounted.
    ///
    /// # References
    /// [transhuge](https://docs.kernel.org/admin-guide/mm/transhuge.html)
    #[must_use]
    pub fn transparent_huge_pages(&self) -> Option<&str> {
        // The kernel lists all policies, with the current one in brackets: `always [never] deny`.
        let (_, rest) = self.shmem_enabled.as_str()?.split_once('[')?;
        Some(rest.split_once(']')?.0)
    }
}

/// For example `Support { release: Some("6.18.44"), features: {MemfdCreate: Ok(()), …}, … }`.
impl fmt::Debug for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `debug_map` and `debug_list` need a value to be nested in `debug_struct`.
        struct Features<'a>(&'a Support);
        struct HugeTlbSizes<'a>(&'a Support);

        impl fmt::Debug for Features<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map().entries(ROWS.iter().map(|row| row.feature).zip(self.0.features)).finish()
            }
        }

        impl fmt::Debug for HugeTlbSizes<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.0.huge_tlb_sizes()).finish()
            }
        }

        f.debug_struct("Support")
            .field("release", &self.release.as_str())
            .field("features", &Features(self))
            .field("default_exec", &self.default_exec)
            .field("huge_tlb_sizes", &HugeTlbSizes(self))
            .field("transparent_huge_pages", &self.transparent_huge_pages())
            .finish()
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDTH: usize = 34;
        writeln!(f, "{:WIDTH$} {}", "kernel", self.release.as_str().unwrap_or("unknown"))?;
        for (Row { name, since, .. }, result) in ROWS.iter().zip(self.features) {
            match result {
                Ok(()) => writeln!(f, "{name:WIDTH$} yes ({since})")?,
                Err(error) => writeln!(f, "{name:WIDTH$} no  ({since}): {error}")?,
            }
        }
        let default = if self.default_exec == Exec::Allow { "executable" } else { "not executable" };
        writeln!(f, "{:WIDTH$} {default}", "without exec flags")?;
        write!(f, "{:WIDTH$}", "huge page sizes")?;
        for ((_, name), _) in HUGE_TLB.iter().zip(self.huge_tlb).filter(|&(_, available)| available) {
            write!(f, " {name}")?;
        }
        let policy = self.transparent_huge_pages().unwrap_or("unknown");
        write!(f, "\n{:WIDTH$} {policy}", "transparent huge pages")
    }
}

/// The first line of a small file in `/proc` or `/sys`, or nothing. Without std no path can be read into a
/// `String`.
#[derive(Clone)]
struct Line {
    bytes: [u8; 80],
    len: usize,
}

impl Line {
    fn read(path: &CStr) -> Self {
        let mut line = Self { bytes: [0; 80], len: 0 };
        if let Ok(fd) = sys::open_read_only(path) {
            let read = sys::read(fd.as_fd(), &mut line.bytes).unwrap_or(0);
            line.len = line.bytes.iter().take(read).position(|&byte| byte == b'\n').unwrap_or(read);
        }
        line
    }

    fn as_str(&self) -> Option<&str> {
        core::str::from_utf8(self.bytes.get(..self.len)?).ok().filter(|line| !line.is_empty())
    }
}
