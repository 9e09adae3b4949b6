//! The expected result of a fault: an error with the errno and the name of the system call, unless
//! a row of the table says otherwise.

use super::calls::Refusal;
use crate::support::supervisor::{COLLAPSE, Fault};

/// The result, if it is not that error.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The call succeeds by a fallback.
    Works,
    /// The fallback exists only for some of the system calls of that name.
    WorksOrErrno,
    /// An error of the crate itself, without an errno.
    Reason(&'static str),
    /// The errno of an earlier system call: the one with the fault should only have explained it.
    Earlier(i32, &'static str),
}

use Outcome::{Earlier, Reason, Works, WorksOrErrno};

/// Any errno.
const ANY: &[i32] = &[];

/// To which faults a row applies.
#[derive(Copy, Clone, PartialEq)]
enum When {
    Always,
    /// Only if the system call fails once, because the fallback makes it again.
    Once,
    /// Only if it fails once, as the system call of this number, counted from 0.
    At(usize),
    /// Only if the first to fail is the system call of this number, which may fail from then on.
    From(usize),
    /// Only if a system call of that name has succeeded before.
    Later,
}

/// The start of the call's name, the system call, its errnos, to which faults the row applies, and
/// the result. The first row that matches counts.
const EXCEPTIONS: &[(&str, &str, &[i32], When, Outcome)] = &[
    // `Support` reports every error and never fails.
    ("probe", "", ANY, When::Always, Works),
    // If the kernel cannot be tested for the fix, the file is refused.
    ("verify of an Exec seal", "memfd_create", ANY, When::Always, Reason(FORGED)),
    ("verify of an Exec seal", "ftruncate", ANY, When::Always, Reason(FORGED)),
    ("verify of an Exec seal", "mmap", ANY, When::Always, Reason(FORGED)),
    ("verify of an Exec seal", "fcntl(F_ADD_SEALS)", ANY, When::Always, Reason(FORGED)),
    // The new file already has the seal that should be added.
    ("create KernelDefault", "fcntl(F_ADD_SEALS)", ANY, When::Always, Works),
    // If the kernel refused the flag, the crate reads the seals before it adds any.
    ("create DenyUnsealed", "fcntl(F_GET_SEALS)", ANY, When::From(1), WorksOrErrno),
    ("create Allow", "fcntl(F_GET_SEALS)", ANY, When::From(1), WorksOrErrno),
    // On an old kernel every new file already has it, too.
    ("create", "fcntl(F_ADD_SEALS)", ANY, When::Always, WorksOrErrno),
    ("create", "fcntl(F_GET_SEALS)", ANY, When::Always, Earlier(libc::EPERM, "fcntl(F_ADD_SEALS)")),
    ("seal of a sealed one", "fcntl(F_ADD_SEALS)", &[libc::EPERM], When::Always, Works),
    // This call only asks why the seals were refused. If it fails, the crate goes on without the reason.
    ("seal of a sealed one", "fcntl(F_GET_SEALS)", ANY, When::At(1), Works),
    // The file stays busy.
    (BUSY, "fcntl(F_ADD_SEALS)", &[libc::EINTR], When::Always, STILL_BUSY),
    (BUSY, "fcntl(F_GET_SEALS)", ANY, When::Always, STILL_BUSY),
    (BUSY, "timerfd_gettime", ANY, When::Always, STILL_BUSY),
    // If the kernel refuses a shared mapping, the crate makes a private one.
    ("map_copy_on_write", "mmap", &[libc::EPERM], When::Once, Earlier(libc::EPERM, "mmap")),
    ("map", "mmap", &[libc::EPERM], When::At(0), Works),
    // Without address space for huge pages, the bytes are written with `pwrite`.
    ("huge from_bytes", "mmap", ANY, When::Always, Works),
    ("huge copy_of", "mmap", ANY, When::Always, Works),
    ("huge from_reader", "mmap", ANY, When::Always, Works),
    ("huge map_with", "fstat", ANY, When::Always, Works),
    ("huge map_with", "mmap", &[libc::EPERM], When::Once, WorksOrErrno),
    // Advice is only an optimization. If the caller asked for populated memory, errors count,
    // except those of a kernel that lacks the advice (EINVAL) or a sandbox that forbids it (EPERM).
    ("", "madvise(MADV_HUGEPAGE)", ANY, When::Always, Works),
    ("map_with", "madvise", &[libc::EINVAL, libc::EPERM], When::Always, Works),
    ("fill in place", "madvise", ANY, When::Always, Works),
    ("draft", "madvise", ANY, When::Always, Works),
    // A lack of huge pages is never an error. If their size cannot be read, no aligned address is
    // free, or the kernel makes none, the file gets ordinary pages.
    ("huge", "open", ANY, When::Always, Works),
    ("huge", "read", ANY, When::Always, Works),
    ("huge", "mmap(PROT_NONE)", ANY, When::Always, Works),
    ("huge", "madvise", ANY, When::Always, Works),
    ("huge", COLLAPSE, ANY, When::Always, Works),
    // If the source cannot be read into huge pages, it is copied as if without them. But the first
    // `pread` asks whether it has a position.
    ("huge copy_of", "pread", ANY, When::Always, WorksOrErrno),
    ("huge copy_of", "copy_file_range", ANY, When::Always, Works),
    ("huge copy_of", "sendfile", ANY, When::Always, Works),
    ("huge copy_of", "splice", ANY, When::Always, Works),
    // The crate tries the next way of copying.
    ("copy_", "copy_file_range", ANY, When::Always, Works),
    ("copy_", "sendfile", ANY, When::Always, Works),
    ("copy_", "splice", ANY, When::Always, Works),
    // Then the descriptor gets a lower number, by a second call.
    ("to_command", "fcntl(F_DUPFD_CLOEXEC)", &[libc::EINVAL, libc::EMFILE], When::Once, WorksOrErrno),
    // A view reopens the file so as not to count as a writer, but can do without.
    ("SharedView", "fcntl(F_GETFL)", ANY, When::Always, Works),
    ("SharedView", "open", ANY, When::Always, Works),
    // The second time, these prove the file that was reopened.
    ("SharedView", "fcntl(F_GET_SEALS)", ANY, When::Later, Works),
    ("SharedView", "fstat", ANY, When::Later, Works),
    ("SharedView", "fstatfs", ANY, When::Later, Works),
    // Uses `std`, which has fallbacks of its own. A descriptor whose link cannot be read is
    // skipped.
    ("find_inherited", "", ANY, When::Always, WorksOrErrno),
    // On 32-bit systems two calls return a 64-bit length, and rustix tries the other one.
    #[cfg(target_pointer_width = "32")]
    ("", "fstat", ANY, When::Always, WorksOrErrno),
    // musl has a fallback of its own, and ignores the result of its second call.
    #[cfg(all(target_env = "musl", feature = "use-libc"))]
    ("", "fcntl(F_DUPFD_CLOEXEC)", &[libc::EINVAL], When::Always, WorksOrErrno),
    #[cfg(all(target_env = "musl", feature = "use-libc"))]
    ("", "fcntl", ANY, When::Always, WorksOrErrno),
    #[cfg(all(target_env = "musl", feature = "use-libc"))]
    ("", "fcntl(F_SETFD)", ANY, When::Always, WorksOrErrno),
];

const BUSY: &str = "into_sealed_timeout of a busy one";
const STILL_BUSY: Outcome = Earlier(libc::EBUSY, "fcntl(F_ADD_SEALS)");
const FORGED: &str = "the seal Write came with Exec";

/// The system calls that a signal can interrupt, and that the crate then repeats.
const RETRIED: &[&str] = &[
    "fcntl(F_ADD_SEALS)",
    "ftruncate",
    "fallocate",
    "pread",
    "pwrite",
    "read",
    "write",
    "open",
    "madvise",
    "copy_file_range",
    "sendfile",
    "splice",
    "sendmsg",
    "recvmsg",
];

/// Whether `result` is the expected result of the fault.
pub(super) fn admits(call: &str, made: &[&str], fault: Fault, result: &Result<(), Refusal>) -> bool {
    let (before, operation) = (&made[..fault.at], made[fault.at]);
    let exception = EXCEPTIONS.iter().find(|(prefix, failed, errnos, when, _)| {
        call.starts_with(prefix)
            && (failed.is_empty() || *failed == operation)
            && (errnos.is_empty() || errnos.contains(&fault.errno))
            && match when {
                When::Always => true,
                When::Once => !fault.again,
                When::At(place) => !fault.again && fault.at == *place,
                When::From(place) => fault.at == *place,
                When::Later => before.contains(&operation),
            }
    });
    let refused = |errno, name: &str| match result {
        Err(refusal) => refusal.errno == Some(errno) && refusal.operation.is_none_or(|operation| operation == name),
        Ok(()) => false,
    };
    match exception {
        Some((.., Works)) => result.is_ok(),
        Some((.., WorksOrErrno)) => result.is_ok() || refused(fault.errno, operation),
        Some((.., Reason(text))) => {
            matches!(result, Err(Refusal { errno: None, message, .. }) if message.starts_with(text))
        }
        Some((.., Earlier(errno, name))) => refused(*errno, name),
        None if fault.errno == libc::EINTR && RETRIED.contains(&operation) => result.is_ok(),
        None => refused(fault.errno, operation),
    }
}
