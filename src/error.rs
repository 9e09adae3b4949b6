//! [`Error`]: what was tried, what the kernel answered, and why.

use core::fmt;

use crate::seals::Seals;

/// Why a call failed: the operation, the errno if the kernel gave one, and the reason in plain words.
///
/// It is `Copy`, holds no allocation, and converts into `std::io::Error` by `?` (with feature `std`).
///
/// ```
/// use memfile::{MemFile, Seal};
///
/// let file = MemFile::create_default("not sealable")?;
/// let error = file.add_seal(Seal::Write).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "fcntl(F_ADD_SEALS): EPERM: the file has the seal Seal: it was created without sealing, or sealed against more seals",
/// );
/// # Ok::<(), memfile::Error>(())
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Error {
    errno: i32,
    seals: Seals,
    operation: Operation,
    reason: Reason,
}

impl Error {
    /// The kernel refused `operation`. The reason is the [usual](Reason::usual) one; a caller who knows better adds it.
    #[inline]
    pub(crate) const fn os(operation: Operation, errno: i32) -> Self {
        Self { errno, seals: Seals::empty(), operation, reason: Reason::Usual }
    }

    /// This crate refused, without or after asking the kernel.
    pub(crate) const fn new(operation: Operation, reason: Reason) -> Self {
        Self { errno: 0, seals: Seals::empty(), operation, reason }
    }

    pub(crate) const fn because(self, reason: Reason) -> Self {
        Self { reason, ..self }
    }

    pub(crate) const fn with_seals(self, seals: Seals) -> Self {
        Self { seals, ..self }
    }

    pub(crate) const fn is(self, errno: i32) -> bool {
        self.errno == errno
    }

    /// What failed: the C call as in its man page, or `verify` for this crate's own check of a file.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation.name()
    }

    /// The errno of the kernel's refusal, or `None` if this crate refused by itself.
    #[must_use]
    pub const fn raw_os_error(&self) -> Option<i32> {
        match self.errno {
            0 => None,
            errno => Some(errno),
        }
    }

    /// The seals that the error is about: those that a file lacks, or that the kernel does not know.
    #[must_use]
    pub const fn seals(&self) -> Seals {
        self.seals
    }

    /// The kernel is too old or was built without the feature, or the file has no such operation.
    /// The message says since when it exists.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        matches!(
            self.as_reason(),
            Reason::NoMemfd
                | Reason::UnknownFlag
                | Reason::UnknownHugeTlb
                | Reason::NoHugeTlb
                | Reason::HugePageSize
                | Reason::UnknownSeal
                | Reason::SealingIgnored
                | Reason::NoPopulate
                | Reason::NoProc
        )
    }

    /// A writable mapping or a page in flight stands against a seal (EBUSY). Nothing was applied; it may work later.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        matches!(self.as_reason(), Reason::Busy)
    }

    /// The descriptor is no memory file.
    #[must_use]
    pub const fn is_not_a_memory_file(&self) -> bool {
        matches!(self.as_reason(), Reason::NotAMemoryFile | Reason::PathOnly)
    }

    /// The file has no proof for what was asked: seals are missing ([`seals`](Self::seals) names them),
    /// its Write seal may be forged, or it has holes.
    #[must_use]
    pub const fn is_unproven(&self) -> bool {
        matches!(self.as_reason(), Reason::MissingSeals | Reason::ForgedWrite | Reason::Holes)
    }

    pub(crate) const fn is_about_holes(&self) -> bool {
        matches!(self.as_reason(), Reason::Holes)
    }

    /// Looked up when it is asked for, so that a program that does not ask holds no table.
    pub(crate) const fn as_reason(&self) -> Reason {
        match self.reason {
            Reason::Usual => Reason::usual(self.operation, self.errno),
            reason => reason,
        }
    }

    /// An offset, a length or an alignment does not fit the file or the address space.
    #[must_use]
    pub const fn is_out_of_bounds(&self) -> bool {
        matches!(self.as_reason(), Reason::OutOfBounds | Reason::Misaligned | Reason::TooLong)
    }

    /// The other end of the socket is closed: the stream has ended, or nobody receives (EPIPE, ECONNRESET).
    #[must_use]
    pub const fn is_closed_by_peer(&self) -> bool {
        matches!(self.as_reason(), Reason::PeerClosed)
    }

    /// The reason in plain words.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.as_reason().text()
    }
}

/// `operation: ERRNO: reason (seals)`, in one line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation.name())?;
        match (self.errno, errno::name(self.errno)) {
            (0, _) => Ok(()),
            (_, Some(name)) => write!(f, ": {name}"),
            (errno, None) => write!(f, ": errno {errno}"),
        }?;
        write!(f, ": {}", self.as_reason().text())?;
        if self.seals.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.seals)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl core::error::Error for Error {}

/// An [`Error`] together with the value that the failed call had taken.
#[derive(Debug)]
pub struct ErrorWith<T> {
    error: Error,
    value: T,
}

impl<T> ErrorWith<T> {
    pub(crate) const fn new(error: Error, value: T) -> Self {
        Self { error, value }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> ErrorWith<U> {
        ErrorWith::new(self.error, f(self.value))
    }

    /// The error.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }

    /// The value, still owned by this error.
    #[must_use]
    pub const fn get_ref(&self) -> &T {
        &self.value
    }

    /// The error alone; the value is dropped.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }

    /// The value alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Both.
    #[must_use]
    pub fn into_parts(self) -> (Error, T) {
        (self.error, self.value)
    }
}

impl<T> fmt::Display for ErrorWith<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for ErrorWith<T> {}

impl<T> From<ErrorWith<T>> for Error {
    fn from(error: ErrorWith<T>) -> Self {
        error.error
    }
}

/// The numbers that this crate compares with or names. Up to 34 they are the same on every system.
pub(crate) mod errno {
    pub(crate) const EPERM: i32 = 1;
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EINTR: i32 = 4;
    pub(crate) const EBADF: i32 = 9;
    pub(crate) const ENOMEM: i32 = 12;
    pub(crate) const EACCES: i32 = 13;
    pub(crate) const EBUSY: i32 = 16;
    pub(crate) const ENODEV: i32 = 19;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const EFBIG: i32 = 27;
    pub(crate) const ENOSPC: i32 = 28;

    pub(super) const fn name(errno: i32) -> Option<&'static str> {
        Some(match errno {
            EPERM => "EPERM",
            ENOENT => "ENOENT",
            EINTR => "EINTR",
            5 => "EIO",
            7 => "E2BIG",
            8 => "ENOEXEC",
            EBADF => "EBADF",
            11 => "EAGAIN",
            ENOMEM => "ENOMEM",
            EACCES => "EACCES",
            14 => "EFAULT",
            EBUSY => "EBUSY",
            18 => "EXDEV",
            ENODEV => "ENODEV",
            20 => "ENOTDIR",
            21 => "EISDIR",
            EINVAL => "EINVAL",
            23 => "ENFILE",
            24 => "EMFILE",
            26 => "ETXTBSY",
            EFBIG => "EFBIG",
            ENOSPC => "ENOSPC",
            29 => "ESPIPE",
            32 => "EPIPE",
            _ => return None,
        })
    }
}

/// The C call that an error names.
#[allow(dead_code, reason = "some are of one feature or system alone")]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    MemfdCreate,
    /// With `MFD_HUGETLB`.
    MemfdCreateHuge,
    /// With `MFD_EXEC`.
    MemfdCreateExec,
    GetSeals,
    AddSeals,
    Verify,
    Fstat,
    Fstatfs,
    Ftruncate,
    Fallocate,
    Fchmod,
    Pread,
    Pwrite,
    Read,
    Write,
    Lseek,
    CopyFileRange,
    Sendfile,
    Splice,
    Dup,
    Open,
    Readlink,
    GetFlags,
    SetFdFlags,
    Mmap,
    Madvise,
    Access,
    Sendmsg,
    Recvmsg,
    SocketType,
    Execve,
}

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::MemfdCreate | Self::MemfdCreateHuge | Self::MemfdCreateExec => "memfd_create",
            Self::GetSeals => "fcntl(F_GET_SEALS)",
            Self::AddSeals => "fcntl(F_ADD_SEALS)",
            Self::Verify => "verify",
            Self::Fstat => "fstat",
            Self::Fstatfs => "fstatfs",
            Self::Ftruncate => "ftruncate",
            Self::Fallocate => "fallocate",
            Self::Fchmod => "fchmod",
            Self::Pread => "pread",
            Self::Pwrite => "pwrite",
            Self::Read => "read",
            Self::Write => "write",
            Self::Lseek => "lseek",
            Self::CopyFileRange => "copy_file_range",
            Self::Sendfile => "sendfile",
            Self::Splice => "splice",
            Self::Dup => "fcntl(F_DUPFD_CLOEXEC)",
            Self::Open => "open",
            Self::Readlink => "readlink",
            Self::GetFlags => "fcntl(F_GETFL)",
            Self::SetFdFlags => "fcntl(F_SETFD)",
            Self::Mmap => "mmap",
            Self::Madvise => "madvise",
            Self::Access => "access",
            Self::Sendmsg => "sendmsg",
            Self::Recvmsg => "recvmsg",
            Self::SocketType => "getsockopt(SO_TYPE)",
            Self::Execve => "execve",
        }
    }
}

/// Why: one row, one cause. [`Error`]'s predicates group them.
#[allow(dead_code, reason = "some are of one feature or system alone")]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    /// What [`Reason::usual`] says.
    Usual,
    Kernel,
    NameTooLong,
    NameHasNul,
    NoMemfd,
    UnknownFlag,
    UnknownHugeTlb,
    NoHugeTlb,
    HugePageSize,
    NoexecPolicy,
    NotAMemoryFile,
    PathOnly,
    Sealed,
    SealedWrite,
    ReadOnly,
    Busy,
    UnknownSeal,
    SealingIgnored,
    MissingSeals,
    ForgedWrite,
    Holes,
    NoPopulate,
    NoProc,
    OutOfBounds,
    Misaligned,
    TooLong,
    WriteZero,
    EndOfFile,
    HugeWrite,
    HugeLength,
    FileSizeLimit,
    NoMemory,
    MapDenied,
    TooManyFds,
    TooManyInFlight,
    EmptyPayload,
    MessageTooLong,
    WouldBlock,
    PeerClosed,
    NoFd,
    StrayFds,
    LostFds,
    PayloadTruncated,
    NotExecutable,
    Script,
}

impl Reason {
    /// Why a call is refused, as far as the call and the errno tell.
    const fn usual(operation: Operation, errno: i32) -> Self {
        use Operation as Op;
        use errno::{EACCES, EBADF, EBUSY, EFBIG, EINVAL, ENODEV, ENOENT, ENOMEM, ENOSPC, EPERM};

        match (operation, errno) {
            // The one errno of this call above those that are the same everywhere is ENOSYS.
            (Op::MemfdCreate | Op::MemfdCreateExec, 35..) => Self::NoMemfd,
            (Op::MemfdCreateHuge, 35..) => Self::NoHugeTlb,
            (Op::MemfdCreate | Op::MemfdCreateExec, EINVAL) => Self::UnknownFlag,
            (Op::MemfdCreateExec, EACCES) => Self::NoexecPolicy,
            (Op::MemfdCreateHuge, EINVAL) => Self::UnknownHugeTlb,
            (Op::MemfdCreateHuge, ENODEV) => Self::HugePageSize,
            (Op::GetSeals, EINVAL) => Self::NotAMemoryFile,
            (Op::GetSeals | Op::AddSeals, EBADF) => Self::PathOnly,
            (Op::AddSeals, EBUSY) => Self::Busy,
            (Op::AddSeals, EINVAL) => Self::UnknownSeal,
            (Op::Ftruncate, EINVAL) => Self::HugeLength,
            (Op::Pwrite | Op::Write, EINVAL) => Self::HugeWrite,
            (Op::Fallocate | Op::Pwrite | Op::Write, EBADF) => Self::ReadOnly,
            (Op::Ftruncate | Op::Fallocate | Op::Pwrite | Op::Write, EFBIG) => Self::FileSizeLimit,
            (Op::Fallocate | Op::Pwrite | Op::Write | Op::Mmap, ENOSPC | ENOMEM) => Self::NoMemory,
            (Op::Ftruncate | Op::Fallocate | Op::Pwrite | Op::Write | Op::Mmap, EPERM) => Self::SealedWrite,
            (Op::CopyFileRange | Op::Sendfile | Op::Splice, EPERM) => Self::SealedWrite,
            (Op::Mmap, EACCES) => Self::MapDenied,
            (Op::Madvise, EINVAL) => Self::NoPopulate,
            (Op::Open | Op::Readlink, ENOENT) => Self::NoProc,
            _ => Self::Kernel,
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Usual | Self::Kernel => "refused by the kernel",
            Self::NameTooLong => "the name is longer than 249 bytes",
            Self::NameHasNul => "the name has a NUL byte",
            Self::NoMemfd => {
                "no memfd_create here: it needs Linux 3.17 and CONFIG_MEMFD_CREATE, and a sandbox may hide it"
            }
            Self::UnknownFlag => "this kernel does not know a flag of memfd_create",
            Self::UnknownHugeTlb => "this kernel does not know MFD_HUGETLB (Linux 4.14), or not with sealing (4.16)",
            Self::NoHugeTlb => "this kernel was built without hugetlbfs",
            Self::HugePageSize => "this machine has no huge pages of that size",
            Self::NoexecPolicy => "vm.memfd_noexec is 2: no executable memory files here",
            Self::NotAMemoryFile => "the descriptor is no memory file: it has no seals",
            Self::PathOnly => "the descriptor is not open, or opened with O_PATH",
            Self::Sealed => "the file has the seal Seal: it was created without sealing, or sealed against more seals",
            Self::SealedWrite => "the file is sealed against that change",
            Self::ReadOnly => "the descriptor is opened read-only",
            Self::Busy => "a mapping that can write exists, or a page is in flight; no seal was added",
            Self::UnknownSeal => "this kernel does not know all of the seals (FutureWrite: Linux 5.1, Exec: 6.3)",
            Self::SealingIgnored => "the kernel accepted the seals but the file does not have them",
            Self::MissingSeals => "the file lacks seals",
            Self::ForgedWrite => "the Write seal came with Exec, and on this kernel that leaves old mappings writable",
            Self::Holes => "the file has holes: reading them would make this process pay for them",
            Self::NoPopulate => "this kernel does not know MADV_POPULATE_READ (Linux 5.14)",
            Self::NoProc => "/proc is not mounted",
            Self::OutOfBounds => "the range does not lie within the file",
            Self::Misaligned => "the offset is not a multiple of the value's size",
            Self::TooLong => "the length does not fit the address space",
            Self::WriteZero => "the kernel wrote nothing",
            Self::EndOfFile => "the file ends before the range does",
            Self::HugeWrite => "a file of huge pages has no write(2): fill it through a mapping",
            Self::HugeLength => "the length is no multiple of the huge page size",
            Self::FileSizeLimit => "beyond RLIMIT_FSIZE or the largest file",
            Self::NoMemory => "no memory left, or for a file of huge pages none free (/proc/sys/vm/nr_hugepages)",
            Self::MapDenied => "mapping was denied: the descriptor is not open for it, or a security module forbids it",
            Self::TooManyFds => "more than 253 descriptors in one message",
            Self::TooManyInFlight => "more descriptors in flight than RLIMIT_NOFILE",
            Self::EmptyPayload => "a stream carries descriptors only with a byte of payload",
            Self::MessageTooLong => "the payload is longer than this socket's messages",
            Self::WouldBlock => "the socket is set not to block, and is not ready",
            Self::PeerClosed => "the peer has closed the connection",
            Self::NoFd => "the message has no descriptor",
            Self::StrayFds => "the message has more descriptors than expected",
            Self::LostFds => {
                "the kernel dropped descriptors: RLIMIT_NOFILE is reached, or a security module forbids them"
            }
            Self::PayloadTruncated => "the message is longer than the buffer",
            Self::NotExecutable => "the file's mode forbids execution: it was not created with Exec::Allow",
            Self::Script => "a script: its interpreter could not open it, since the descriptor is closed before",
        }
    }
}
