//! The C calls that an error can name, and what their errnos usually mean.

use super::cause::Reason;
use super::errno::Errno;

/// The C call that failed.
#[allow(dead_code, reason = "some belong to one feature or system alone")]
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    MemfdCreate,
    GetSeals,
    AddSeals,
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
    SetFdFlags,
    Mmap,
    Madvise,
    Mlock,
    TimerfdCreate,
    TimerfdSettime,
    FutexWait,
    FutexWake,
    Sendmsg,
    Recvmsg,
    SocketType,
}

impl Call {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::MemfdCreate => "memfd_create",
            Self::GetSeals => "fcntl(F_GET_SEALS)",
            Self::AddSeals => "fcntl(F_ADD_SEALS)",
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
            Self::SetFdFlags => "fcntl(F_SETFD)",
            Self::Mmap => "mmap",
            Self::Madvise => "madvise",
            Self::Mlock => "mlock",
            Self::TimerfdCreate => "timerfd_create",
            Self::TimerfdSettime => "timerfd_settime",
            Self::FutexWait => "futex(FUTEX_WAIT)",
            Self::FutexWake => "futex(FUTEX_WAKE)",
            Self::Sendmsg => "sendmsg",
            Self::Recvmsg => "recvmsg",
            Self::SocketType => "getsockopt(SO_TYPE)",
        }
    }

    /// Why the kernel refuses this call, as far as the call and the errno can tell. If the arguments
    /// or the file tell more, the caller adds a better reason with
    /// [`Error::because`](super::Error::because).
    pub(super) const fn usual_reason(self, errno: Errno) -> Reason {
        match (self, errno) {
            (Self::MemfdCreate, Errno::NOSYS) => Reason::NoMemfd,
            (Self::MemfdCreate, Errno::INVAL) => Reason::UnknownFlag,
            (Self::MemfdCreate, Errno::PERM | Errno::ACCESS) => Reason::SandboxDenied,
            // Only the file systems behind memory files have seals at all.
            (Self::GetSeals, Errno::INVAL) => Reason::NotAMemoryFile,
            (Self::GetSeals | Self::AddSeals, Errno::BADF) => Reason::PathOnly,
            (Self::AddSeals, Errno::BUSY) => Reason::Busy,
            (Self::AddSeals, Errno::INVAL) => Reason::UnknownSeal,
            (Self::Ftruncate, Errno::INVAL) => Reason::HugeLength,
            // hugetlbfs does not support write(2). If an offset exceeds `i64::MAX`, the caller says so instead.
            (Self::Pwrite | Self::Write, Errno::INVAL) => Reason::HugeWrite,
            (Self::Fallocate | Self::Pwrite | Self::Write, Errno::BADF) => Reason::ReadOnly,
            (Self::Ftruncate | Self::Fallocate | Self::Pwrite | Self::Write, Errno::FBIG) => Reason::FileTooLarge,
            (
                Self::Ftruncate
                | Self::Fallocate
                | Self::Pwrite
                | Self::Write
                | Self::CopyFileRange
                | Self::Sendfile
                | Self::Splice,
                Errno::PERM,
            ) => Reason::SealedChange,
            (Self::Mmap, Errno::ACCESS | Errno::PERM) => Reason::MapDenied,
            (Self::Mmap, Errno::NOMEM) => Reason::NoAddressSpace,
            (Self::Madvise, Errno::INVAL) => Reason::NoPopulate,
            // A page fault inside the kernel that finds no memory is reported as a bad address.
            (Self::Madvise | Self::FutexWait | Self::FutexWake, Errno::FAULT) => Reason::NoMemory,
            (Self::FutexWait | Self::FutexWake, Errno::NOSYS) => Reason::NoFutex,
            (Self::FutexWake, Errno::INVAL) => Reason::ForeignSleeper,
            (Self::Mmap, Errno::OVERFLOW) => Reason::BeyondOffsets,
            (Self::Mmap | Self::Mlock, Errno::AGAIN) | (Self::Mlock, Errno::NOMEM | Errno::PERM) => {
                Reason::MemlockLimit
            }
            (_, Errno::NOMEM | Errno::NOSPC) => Reason::NoMemory,
            // `F_DUPFD_CLOEXEC` returns EINVAL if the lowest number that it may use exceeds the limit.
            (_, Errno::NFILE | Errno::MFILE) | (Self::Dup, Errno::INVAL) => Reason::NoDescriptors,
            (Self::Read | Self::Pread, Errno::ISDIR) => Reason::Directory,
            (Self::Read | Self::Pread, Errno::BADF) => Reason::WriteOnly,
            (Self::Read | Self::Sendmsg | Self::Recvmsg, Errno::AGAIN) => Reason::WouldBlock,
            (Self::Sendmsg | Self::Recvmsg, Errno::PIPE | Errno::CONNRESET) => Reason::ClosedByPeer,
            // A connected datagram socket returns ECONNREFUSED once its peer is closed.
            (Self::Sendmsg, Errno::CONNREFUSED | Errno::NOENT) => Reason::NobodyReceives,
            (Self::Sendmsg, Errno::NAMETOOLONG) => Reason::SocketPath,
            (Self::Sendmsg, Errno::MSGSIZE) => Reason::MessageTooLong,
            (Self::Sendmsg | Self::Recvmsg, Errno::NOTCONN) => Reason::NotConnected,
            (Self::Sendmsg | Self::Recvmsg | Self::SocketType, Errno::NOTSOCK) => Reason::NotASocket,
            (Self::Sendmsg, Errno::TOOMANYREFS) => Reason::TooManyInFlight,
            // Such an error is only returned for a path in /proc of a descriptor that is known to be open.
            (Self::Open | Self::Readlink, Errno::NOENT) => Reason::NoProc,
            (Self::Open, Errno::AGAIN) => Reason::Leased,
            (Self::Open, Errno::ACCESS | Errno::PERM) => Reason::OpenDenied,
            _ => Reason::Kernel,
        }
    }
}
