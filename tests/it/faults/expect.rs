//! What has to come of a fault: the errno under the call's name, unless a row of the table says
//! otherwise.

use super::calls::Refusal;
use crate::support::supervisor::{COLLAPSE, Fault};

/// What else than the errno can come of it.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// There is a way around.
    Works,
    /// A way around that not every call of that name has.
    WorksOrErrno,
    /// The crate's own refusal, without an errno.
    Reason(&'static str),
    /// The errno of an earlier call, which the failed one was to explain.
    Earlier(i32, &'static str),
}

use Outcome::{Earlier, Reason, Works, WorksOrErrno};

/// All errnos.
const ANY: &[i32] = &[];

/// Where the fault comes.
#[derive(Copy, Clone, PartialEq)]
enum When {
    Always,
    /// Only if the call fails once: the way around makes the same call again.
    Once,
    /// Only at this place of the call's system calls.
    At(usize),
}

/// The start of the call's name, the system call, its errnos, and what comes of it. The first row
/// that fits decides.
const EXCEPTIONS: &[(&str, &str, &[i32], When, Outcome)] = &[
    // The report has a place for every answer.
    ("probe", "", ANY, When::Always, Works),
    // The kernel cannot be tested for the fix, so the file is refused.
    ("verify of an Exec seal", "memfd_create", ANY, When::Always, Reason(FORGED)),
    ("verify of an Exec seal", "ftruncate", ANY, When::Always, Reason(FORGED)),
    ("verify of an Exec seal", "mmap", ANY, When::Always, Reason(FORGED)),
    ("verify of an Exec seal", "fcntl(F_ADD_SEALS)", ANY, When::Always, Reason(FORGED)),
    // The file was born with the seal that was to be added.
    ("create KernelDefault", "fcntl(F_ADD_SEALS)", ANY, When::Always, Works),
    // Where the flag was refused, the seals are asked for before anything is added.
    ("create DenyUnsealed", "fcntl(F_GET_SEALS)", ANY, When::At(1), WorksOrErrno),
    ("create Allow", "fcntl(F_GET_SEALS)", ANY, When::At(1), WorksOrErrno),
    // As are all on an old kernel.
    ("create", "fcntl(F_ADD_SEALS)", ANY, When::Always, WorksOrErrno),
    ("create", "fcntl(F_GET_SEALS)", ANY, When::Always, Earlier(libc::EPERM, "fcntl(F_ADD_SEALS)")),
    ("seal of a sealed one", "fcntl(F_ADD_SEALS)", &[libc::EPERM], When::Always, Works),
    // To find out why the seals were refused; the kernel's own answer stands without it.
    ("seal of a sealed one", "fcntl(F_GET_SEALS)", ANY, When::At(1), Works),
    // A private mapping where a shared one is refused.
    ("map_copy_on_write", "mmap", &[libc::EPERM], When::Once, Earlier(libc::EPERM, "mmap")),
    ("map", "mmap", &[libc::EPERM], When::At(0), Works),
    // No address space for huge pages: the bytes are written.
    ("huge from_bytes", "mmap", ANY, When::Always, Works),
    ("huge copy_of", "mmap", ANY, When::Always, Works),
    ("huge from_reader", "mmap", ANY, When::Always, Works),
    ("huge map_with", "fstat", ANY, When::Always, Works),
    ("huge map_with", "mmap", &[libc::EPERM], When::Once, WorksOrErrno),
    // Holes filled by `fallocate` where they cannot be mapped.
    ("verify Populate", "mmap", &[libc::EPERM], When::Always, Works),
    // Advice need not be taken. Where memory was asked for, only a kernel that lacks the advice, or a
    // sandbox that forbids it, is not an error.
    ("", "madvise(MADV_HUGEPAGE)", ANY, When::Always, Works),
    ("map_with", "madvise", &[libc::EINVAL, libc::EPERM], When::Always, Works),
    ("fill in place", "madvise", ANY, When::Always, Works),
    ("draft", "madvise", ANY, When::Always, Works),
    // No huge page is worth an error: where its size, its place or the page itself cannot be had, the
    // file gets ordinary ones.
    ("huge", "open", ANY, When::Always, Works),
    ("huge", "read", ANY, When::Always, Works),
    ("huge", "mmap(PROT_NONE)", ANY, When::Always, Works),
    ("huge", "madvise", ANY, When::Always, Works),
    ("huge", COLLAPSE, ANY, When::Always, Works),
    // What cannot be read into huge pages is copied as without them.
    ("huge copy_of", "pread", ANY, When::Always, Works),
    ("huge copy_of", "copy_file_range", ANY, When::Always, Works),
    ("huge copy_of", "sendfile", ANY, When::Always, Works),
    ("huge copy_of", "splice", ANY, When::Always, Works),
    // The next way of copying.
    ("copy_", "copy_file_range", ANY, When::Always, Works),
    ("copy_", "sendfile", ANY, When::Always, Works),
    ("copy_", "splice", ANY, When::Always, Works),
    // A second descriptor spares kernels a writer, but is not needed.
    ("SharedView", "fcntl(F_GETFL)", ANY, When::Always, Works),
    ("SharedView", "open", ANY, When::Always, Works),
    // Through `std`, which has its own ways around. A descriptor whose link cannot be read is not
    // the one.
    ("find_inherited", "", ANY, When::Always, WorksOrErrno),
    // 32-bit systems have two calls that tell a 64-bit length, and rustix tries the other one.
    #[cfg(target_pointer_width = "32")]
    ("", "fstat", ANY, When::Always, WorksOrErrno),
    // musl has a way around of its own, and makes a second call without looking what comes of it.
    #[cfg(all(target_env = "musl", feature = "use-libc"))]
    ("", "fcntl(F_DUPFD_CLOEXEC)", &[libc::EINVAL], When::Always, WorksOrErrno),
    #[cfg(all(target_env = "musl", feature = "use-libc"))]
    ("", "fcntl", ANY, When::Always, WorksOrErrno),
    #[cfg(all(target_env = "musl", feature = "use-libc"))]
    ("", "fcntl(F_SETFD)", ANY, When::Always, WorksOrErrno),
];

const FORGED: &str = "the seal Write came with Exec";

/// The calls that a signal can interrupt, and that are made again then.
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

/// Whether `result` is what has to come of it.
pub(super) fn admits(call: &str, operation: &str, fault: Fault, result: &Result<(), Refusal>) -> bool {
    let exception = EXCEPTIONS.iter().find(|(prefix, failed, errnos, when, _)| {
        call.starts_with(prefix)
            && (failed.is_empty() || *failed == operation)
            && (errnos.is_empty() || errnos.contains(&fault.errno))
            && match when {
                When::Always => true,
                When::Once => !fault.again,
                When::At(place) => !fault.again && fault.at == *place,
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
