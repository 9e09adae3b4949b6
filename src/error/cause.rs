//! What an [`Error`](crate::Error) can be about: the calls, the reasons, and which call is refused for which reason.

/// The numbers that this crate compares with or names. Up to 34 they are the same on every system, but 11.
pub(crate) mod errno {
    pub(crate) const EPERM: i32 = 1;
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EINTR: i32 = 4;
    pub(crate) const EBADF: i32 = 9;
    pub(crate) const ENOMEM: i32 = 12;
    pub(crate) const EACCES: i32 = 13;
    pub(crate) const EFAULT: i32 = 14;
    pub(crate) const EBUSY: i32 = 16;
    pub(crate) const ENODEV: i32 = 19;
    pub(crate) const EISDIR: i32 = 21;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ENFILE: i32 = 23;
    pub(crate) const EMFILE: i32 = 24;
    pub(crate) const EFBIG: i32 = 27;
    pub(crate) const ENOSPC: i32 = 28;

    pub(crate) const fn name(errno: i32) -> Option<&'static str> {
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
            EFAULT => "EFAULT",
            EBUSY => "EBUSY",
            18 => "EXDEV",
            ENODEV => "ENODEV",
            20 => "ENOTDIR",
            EISDIR => "EISDIR",
            EINVAL => "EINVAL",
            ENFILE => "ENFILE",
            EMFILE => "EMFILE",
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
    pub(crate) const fn name(self) -> &'static str {
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
    UntestedWrite,
    Holes,
    NoPopulate,
    NoProc,
    OutOfBounds,
    Misaligned,
    TooLong,
    WriteZero,
    BeyondLimit,
    EndOfFile,
    HugeWrite,
    HugeLength,
    HugePart,
    FileSizeLimit,
    NoMemory,
    NoDescriptors,
    NoLength,
    Directory,
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
    pub(crate) const fn usual(operation: Operation, errno: i32) -> Self {
        use Operation as Op;
        use errno::{
            EACCES, EBADF, EBUSY, EFAULT, EFBIG, EINVAL, EISDIR, EMFILE, ENFILE, ENODEV, ENOENT, ENOMEM, ENOSPC, EPERM,
        };

        match (operation, errno) {
            // The one errno of this call above those that are the same everywhere is ENOSYS.
            (Op::MemfdCreate | Op::MemfdCreateExec, 35..) => Self::NoMemfd,
            (Op::MemfdCreateHuge, 35..) => Self::NoHugeTlb,
            (Op::MemfdCreate | Op::MemfdCreateExec, EINVAL) => Self::UnknownFlag,
            (Op::MemfdCreateExec | Op::MemfdCreateHuge, EACCES) => Self::NoexecPolicy,
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
            (Op::Madvise, ENOMEM | EFAULT)
            | (Op::MemfdCreate | Op::MemfdCreateHuge | Op::MemfdCreateExec | Op::Ftruncate | Op::Dup, ENOMEM) => {
                Self::NoMemory
            }
            (Op::MemfdCreate | Op::MemfdCreateHuge | Op::MemfdCreateExec | Op::Dup | Op::Open, ENFILE | EMFILE) => {
                Self::NoDescriptors
            }
            (Op::Read | Op::Pread, EISDIR) => Self::Directory,
            (Op::Pread, EINVAL) => Self::TooLong,
            (Op::Open | Op::Readlink, ENOENT) => Self::NoProc,
            _ => Self::Kernel,
        }
    }

    pub(crate) const fn text(self) -> &'static str {
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
            Self::NotAMemoryFile => "the descriptor is no memory file: pipes, sockets and files on disk have no seals",
            Self::PathOnly => "the descriptor is not open, or opened with O_PATH",
            Self::Sealed => "the file has the seal Seal: it was created without sealing, or sealed against more seals",
            Self::SealedWrite => "the file is sealed against that change",
            Self::ReadOnly => "the descriptor is opened read-only",
            Self::Busy => "a mapping that can write exists, or a page is in flight; no seal was added",
            Self::UnknownSeal => "this kernel does not know all of the seals (FutureWrite: Linux 5.1, Exec: 6.3)",
            Self::SealingIgnored => "the kernel accepted the seals but the file does not have them",
            Self::MissingSeals => "the file lacks seals",
            Self::ForgedWrite => "the Write seal came with Exec, and on this kernel that leaves old mappings writable",
            Self::UntestedWrite => {
                "the Write seal came with Exec, and it cannot be tested whether this kernel looked for old mappings"
            }
            Self::Holes => "the file has holes: reading them would make this process pay for them",
            Self::NoPopulate => "this kernel does not know MADV_POPULATE_READ (Linux 5.14)",
            Self::NoProc => "/proc is not mounted",
            Self::OutOfBounds => "the range does not lie within the file",
            Self::Misaligned => "the offset is not a multiple of the value's size",
            Self::TooLong => "the length does not fit the address space",
            Self::WriteZero => "the kernel wrote nothing",
            Self::BeyondLimit => "the source is longer than the limit",
            Self::EndOfFile => "the file ends before the range does",
            Self::HugeWrite => "a file of huge pages has no write(2): fill it through a mapping",
            Self::HugeLength => "the length is no multiple of the huge page size",
            Self::HugePart => "the file ends within a huge page, which some kernels let nobody read",
            Self::FileSizeLimit => "beyond RLIMIT_FSIZE or the largest file",
            Self::NoMemory => "no memory left, or for a file of huge pages none free (/proc/sys/vm/nr_hugepages)",
            Self::NoDescriptors => "out of descriptors: RLIMIT_NOFILE, or the system's limit",
            Self::NoLength => "the length is 0",
            Self::Directory => "the source is a directory",
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
