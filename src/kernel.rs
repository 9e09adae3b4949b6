//! [`KernelSupport`]: what the running kernel can do, and why not, for bug reports and for programs that have a choice.

use core::ffi::CStr;
use core::fmt;

use crate::error::Error;
use crate::file::MemFile;
use crate::options::{CreateOptions, Exec, HugeTlb};
use crate::sealed::SealedFile;
use crate::seals::Seal;
use crate::sys::fd::AsFd;
use crate::sys::{self, Access};

/// What the running kernel can do, each found out by trying it.
///
/// Nothing else in this crate needs it: calls try what is best, and fall back or say what is missing.
/// [`Display`](fmt::Display) prints a table for a bug report:
///
/// ```
/// use memfile::{Feature, KernelSupport};
///
/// let support = KernelSupport::probe();
/// println!("{support}");
/// assert!(support.get(Feature::Sealing).is_ok());
/// ```
#[derive(Clone)]
pub struct KernelSupport {
    features: [Result<(), Error>; FEATURES.len()],
    noexec: Option<NoexecPolicy>,
    exec_seal: ExecSealHole,
    huge_tlb: [bool; HUGE_TLB.len()],
    shmem_enabled: Line,
    release: Line,
}

/// A thing that a kernel can do or not.
///
/// ```
/// use memfile::{Feature, Holes, KernelSupport};
///
/// let populates = KernelSupport::probe().get(Feature::Populate).is_ok();
/// let holes = if populates { Holes::Populate } else { Holes::Refuse };
/// # let _ = holes;
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// `memfd_create`, since Linux 3.17.
    MemfdCreate,
    /// Seals that can be added and are kept, since Linux 3.17.
    Sealing,
    /// The flags `MFD_EXEC` and `MFD_NOEXEC_SEAL`, since Linux 6.3.
    ExecFlags,
    /// [`Seal::FutureWrite`], since Linux 5.1.
    FutureWrite,
    /// [`Seal::Exec`], since Linux 6.3.
    ExecSeal,
    /// A shared read-only map of a write-sealed file through a descriptor open for writing, since Linux 6.7 and in
    /// maintained older ones. Without it such maps are private, which costs nothing.
    MapSealedShared,
    /// `MADV_POPULATE_READ`, for [`Holes::Populate`](crate::Holes::Populate) and
    /// [`MapOptions::populate`](crate::MapOptions::populate), since Linux 5.14.
    Populate,
    /// `/proc/self/fd`, for [`MemFile::proc_path`] and [`MemFile::reopen_read_only`].
    ProcFd,
    /// `MFD_HUGETLB` with the system's default page size, since Linux 4.14.
    HugeTlb,
}

/// What `vm.memfd_noexec` makes of a file that is created with [`Exec::KernelDefault`]. Since Linux 6.3.
///
/// ```
/// use memfile::{KernelSupport, NoexecPolicy};
///
/// if KernelSupport::probe().noexec_policy() == Some(NoexecPolicy::NoexecAlways) {
///     eprintln!("programs cannot run from memory here");
/// }
/// ```
///
/// # References
/// [mfd_noexec](https://docs.kernel.org/userspace-api/mfd_noexec.html)
#[doc(alias = "vm.memfd_noexec")]
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoexecPolicy {
    /// 0: it is executable.
    Exec,
    /// 1: it is not executable.
    NoexecByDefault,
    /// 2: it is not executable, and asking for an executable file is EACCES.
    NoexecAlways,
}

/// Whether adding [`Seal::Exec`] can forge the seal Write on this kernel, as [`SealedFile::verify`] guards against.
///
/// ```
/// use memfile::{ExecSealHole, KernelSupport};
///
/// match KernelSupport::probe().exec_seal_hole() {
///     ExecSealHole::Closed => println!("the seal Write means what it says"),
///     ExecSealHole::Unknown(error) => println!("unknown, so they are refused: {error}"),
///     _ => println!("files with both seals, Exec and FutureWrite, are refused"),
/// }
/// ```
///
/// # References
/// [3b041514cb6e](https://git.kernel.org/torvalds/c/3b041514cb6e)
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExecSealHole {
    /// It can: files that have both Exec and FutureWrite are refused.
    Open,
    /// It cannot.
    Closed,
    /// The test could not run, for the reason given; such files are refused.
    Unknown(Error),
}

type Probe = fn() -> Result<(), Error>;

/// One row a feature: its name, since when it exists, and how it is tried.
const FEATURES: [(Feature, &str, &str, Probe); 9] = [
    (Feature::MemfdCreate, "memfd_create", "Linux 3.17", || MemFile::create("", KERNEL_DEFAULT).map(drop)),
    (Feature::Sealing, "sealing", "Linux 3.17", || sealable(Exec::KernelDefault)?.add_seal(Seal::Shrink)),
    (Feature::ExecFlags, "MFD_EXEC, MFD_NOEXEC_SEAL", "Linux 6.3", sys::try_exec_flags),
    (Feature::FutureWrite, "F_SEAL_FUTURE_WRITE", "Linux 5.1", || sealable(Exec::Deny)?.add_seal(Seal::FutureWrite)),
    (Feature::ExecSeal, "F_SEAL_EXEC", "Linux 6.3", || sealable(Exec::Deny)?.add_seal(Seal::Exec)),
    (Feature::MapSealedShared, "MAP_SHARED of a write-sealed file", "Linux 6.7", || {
        sys::try_map(one_byte()?.as_fd(), Access::SharedRead)
    }),
    (Feature::Populate, "MADV_POPULATE_READ", "Linux 5.14", || {
        // Not sealed, so that every kernel maps it.
        let file = sealable(Exec::Deny)?;
        file.set_len(1)?;
        sys::populate(file.as_fd(), 1)
    }),
    (Feature::ProcFd, "/proc/self/fd", "mounted", || sealable(Exec::Deny)?.reopen_read_only().map(drop)),
    (Feature::HugeTlb, "MFD_HUGETLB", "Linux 4.14", || {
        MemFile::create("", CreateOptions::new().allow_sealing(true).huge_tlb(HugeTlb::Default)).map(drop)
    }),
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

const KERNEL_DEFAULT: CreateOptions = CreateOptions::new().exec(Exec::KernelDefault);

fn sealable(exec: Exec) -> Result<MemFile, Error> {
    MemFile::create("", CreateOptions::new().allow_sealing(true).exec(exec))
}

fn one_byte() -> Result<SealedFile, Error> {
    SealedFile::from_bytes("", b"1")
}

impl KernelSupport {
    /// Tries everything, on files made for that: about fifty system calls.
    #[must_use = "probing costs its system calls for the answer alone"]
    pub fn probe() -> Self {
        Self {
            features: FEATURES.map(|(.., probe)| probe()),
            noexec: probe_noexec(),
            exec_seal: match sys::exec_seal_finds_writers() {
                Ok(true) => ExecSealHole::Closed,
                Ok(false) => ExecSealHole::Open,
                Err(error) => ExecSealHole::Unknown(error),
            },
            huge_tlb: HUGE_TLB
                .map(|(size, _)| MemFile::create("", CreateOptions::new().allow_sealing(true).huge_tlb(size)).is_ok()),
            shmem_enabled: Line::read(c"/sys/kernel/mm/transparent_hugepage/shmem_enabled"),
            release: Line::read(c"/proc/sys/kernel/osrelease"),
        }
    }

    /// Whether the kernel has a feature.
    ///
    /// # Errors
    /// Why not.
    pub fn get(&self, feature: Feature) -> Result<(), Error> {
        self.rows().find(|row| row.feature == feature).map_or(Ok(()), |row| row.result)
    }

    /// What `vm.memfd_noexec` makes of files here, or `None` where the kernel has no such policy or no file can be created.
    #[must_use]
    pub const fn noexec_policy(&self) -> Option<NoexecPolicy> {
        self.noexec
    }

    /// Whether the seal Write can be forged by the seal Exec here.
    #[must_use]
    pub const fn exec_seal_hole(&self) -> ExecSealHole {
        self.exec_seal
    }

    /// The sizes of huge pages that files can be created with. That does not say that any page is free.
    pub fn huge_tlb_sizes(&self) -> impl Iterator<Item = HugeTlb> {
        HUGE_TLB.iter().zip(self.huge_tlb).filter(|&(_, available)| available).map(|(&(size, _), _)| size)
    }

    /// The policy for transparent huge pages of memory files, by the kernel's word: `never`, `advise`, `always`, …
    ///
    /// `None` where the kernel was built without them, or `/sys` is not mounted.
    ///
    /// # References
    /// [transhuge](https://docs.kernel.org/admin-guide/mm/transhuge.html)
    #[must_use]
    pub fn transparent_huge_pages(&self) -> Option<&str> {
        let (_, rest) = self.shmem_enabled.as_str()?.split_once('[')?;
        Some(rest.split_once(']')?.0)
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        FEATURES.iter().zip(self.features).map(|(&(feature, name, since, _), result)| Row {
            feature,
            name,
            since,
            result,
        })
    }
}

struct Row {
    feature: Feature,
    name: &'static str,
    since: &'static str,
    result: Result<(), Error>,
}

fn probe_noexec() -> Option<NoexecPolicy> {
    sys::try_exec_flags().ok()?;
    let by_default = sealable(Exec::KernelDefault).ok()?.get_seals().ok()?;
    match sealable(Exec::Allow) {
        Err(_) => Some(NoexecPolicy::NoexecAlways),
        Ok(_) if by_default.contains(Seal::Exec) => Some(NoexecPolicy::NoexecByDefault),
        Ok(_) => Some(NoexecPolicy::Exec),
    }
}

/// For example `KernelSupport { release: Some("6.18.44"), features: {MemfdCreate: Ok(()), …}, … }`.
impl fmt::Debug for KernelSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Features<'a>(&'a KernelSupport);
        struct HugeTlbSizes<'a>(&'a KernelSupport);

        impl fmt::Debug for Features<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_map().entries(self.0.rows().map(|row| (row.feature, row.result))).finish()
            }
        }

        impl fmt::Debug for HugeTlbSizes<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.0.huge_tlb_sizes()).finish()
            }
        }

        f.debug_struct("KernelSupport")
            .field("release", &self.release.as_str())
            .field("features", &Features(self))
            .field("noexec_policy", &self.noexec)
            .field("exec_seal_hole", &self.exec_seal)
            .field("huge_tlb_sizes", &HugeTlbSizes(self))
            .field("transparent_huge_pages", &self.transparent_huge_pages())
            .finish()
    }
}

impl fmt::Display for KernelSupport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDTH: usize = 34;
        writeln!(f, "{:WIDTH$} {}", "kernel", self.release.as_str().unwrap_or("unknown"))?;
        for Row { name, since, result, .. } in self.rows() {
            match result {
                Ok(()) => writeln!(f, "{name:WIDTH$} yes ({since})")?,
                Err(error) => writeln!(f, "{name:WIDTH$} no  ({since}): {error}")?,
            }
        }
        let noexec = match self.noexec {
            Some(NoexecPolicy::Exec) => "0: executable unless asked otherwise",
            Some(NoexecPolicy::NoexecByDefault) => "1: not executable unless asked",
            Some(NoexecPolicy::NoexecAlways) => "2: never executable",
            None => "none (Linux 6.3)",
        };
        writeln!(f, "{:WIDTH$} {noexec}", "vm.memfd_noexec")?;
        write!(f, "{:WIDTH$} ", "Write seal forged by Exec")?;
        match self.exec_seal {
            ExecSealHole::Open => writeln!(f, "possible: mended in Linux 6.12.93, 6.18.35, 7.1")?,
            ExecSealHole::Closed => writeln!(f, "not possible")?,
            ExecSealHole::Unknown(error) => writeln!(f, "unknown: {error}")?,
        }
        write!(f, "{:WIDTH$}", "huge page sizes")?;
        for ((_, name), _) in HUGE_TLB.iter().zip(self.huge_tlb).filter(|&(_, available)| available) {
            write!(f, " {name}")?;
        }
        let policy = self.transparent_huge_pages().unwrap_or("unknown");
        write!(f, "\n{:WIDTH$} {policy}", "transparent huge pages")
    }
}

/// The first line of a small file of the kernel's, or nothing.
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
