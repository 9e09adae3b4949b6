//! Transparent huge pages: every way to fill a file gives the same bytes as with ordinary pages,
//! whatever the kernel's policy is and whichever call fails.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::iter;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use memfile::kernel::{Feature, Support};
use memfile::{Cause, Error, MemFile, SealedFile, SealedFileOptions};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Script, look};
use crate::support::check::{NO_ADDRESS_SPACE, refused, source_beyond_limit};
use crate::support::huge::{
    MADV_COLLAPSE, POLICY, Setting, affordable_page, by_huge_pages, collapses, under_each_policy,
};
use crate::support::proc_self::{descriptors_of, mappings};
use crate::support::supervisor::{self, COLLAPSE, Fault, watch};
use crate::support::{child, pattern, seccomp, skip};

const NAME: &str = "fill huge";

fn options() -> SealedFileOptions {
    SealedFile::options().huge_pages(true)
}

/// From now on MADV_COLLAPSE fails with this errno in this thread, or pretends to succeed if it is 0.
fn refuse_collapses(errno: i32) {
    seccomp::on_values("madvise", 2, &[MADV_COLLAPSE.unsigned_abs()], seccomp::errno(errno));
}

#[track_caller]
fn nothing_is_left() {
    assert_eq!(descriptors_of(NAME), 0);
    assert!(mappings(NAME).is_empty());
}

/// The name of a way to make a file, and a function that makes one of the given bytes.
type Way = (&'static str, fn(&[u8]) -> SealedFile);

const WAYS: [Way; 9] = [
    ("from_bytes", |bytes| options().from_bytes(NAME, bytes).unwrap()),
    ("create_with", |bytes| {
        let fill = |target: &mut [u8]| {
            assert!(*target == *vec![0; bytes.len()]);
            target.copy_from_slice(bytes);
        };
        options().create_with(NAME, bytes.len(), fill).unwrap()
    }),
    ("draft that grows", |bytes| {
        let mut draft = options().draft(NAME, bytes.len() / 3).unwrap();
        draft.copy_from_slice(&bytes[..bytes.len() / 3]);
        draft.set_len(bytes.len()).unwrap();
        draft[bytes.len() / 3..].copy_from_slice(&bytes[bytes.len() / 3..]);
        draft.seal().unwrap()
    }),
    ("draft that is cut", |bytes| {
        let mut draft = options().draft(NAME, bytes.len() + bytes.len() / 2).unwrap();
        draft.fill(7);
        draft.set_len(bytes.len() / 2).unwrap();
        draft.set_len(bytes.len()).unwrap();
        let zeros = vec![0; bytes.len() - bytes.len() / 2];
        assert!(draft[bytes.len() / 2..] == zeros, "bytes that were cut off came back");
        draft.copy_from_slice(bytes);
        draft.seal().unwrap()
    }),
    ("copy_of a file", |bytes| options().copy_of(NAME, source(bytes)).unwrap()),
    ("copy_of a pipe", |bytes| {
        let (read, write) = rustix::pipe::pipe().unwrap();
        through(File::from(write), bytes, || options().copy_of(NAME, read).unwrap())
    }),
    ("copy_of a socket", |bytes| {
        let (read, write) = UnixStream::pair().unwrap();
        through(OwnedFd::from(write).into(), bytes, || options().copy_of(NAME, read).unwrap())
    }),
    ("from_reader", |bytes| options().from_reader(NAME, bytes).unwrap()),
    ("from_reader in pieces", |bytes| {
        // Pieces of an odd length, so that reads end within pages, with an interrupt before each.
        let pieces = bytes.chunks(100_003).map(|piece| Ok(piece.to_vec()));
        let interrupted = iter::repeat_with(|| Err(ErrorKind::Interrupted.into()));
        let reader = Pieces { script: pieces.zip(interrupted).flat_map(|(a, b)| [b, a]).collect(), rest: Vec::new() };
        options().from_reader(NAME, reader).unwrap()
    }),
];

fn way(name: &str) -> fn(&[u8]) -> SealedFile {
    WAYS.iter().find(|way| way.0 == name).unwrap().1
}

fn source(bytes: &[u8]) -> MemFile {
    let source = MemFile::create_default("fill huge source").unwrap();
    source.write_all_at(bytes, 0).unwrap();
    source
}

/// Writes the bytes to `end` in another thread while `read` runs, and returns its result.
fn through<T>(mut end: File, bytes: &[u8], read: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        scope.spawn(move || end.write_all(bytes).unwrap());
        read()
    })
}

/// A reader that returns the next result of its script, or a part of it if the buffer is shorter.
struct Pieces {
    script: std::collections::VecDeque<io::Result<Vec<u8>>>,
    rest: Vec<u8>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.script.pop_front().transpose()?.unwrap_or_default();
        }
        let n = self.rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.rest[..n]);
        // Writes more than it reports. These bytes must not get into the file.
        buffer[n..].iter_mut().take(5000).for_each(|byte| *byte = 0xff);
        self.rest.drain(..n);
        Ok(n)
    }
}

/// Sizes around one, two and three huge pages, and only two sizes if these are larger than 4 MiB.
fn sizes(page: usize) -> Vec<usize> {
    if page > 4 << 20 {
        return vec![page - 1, 2 * page + 4097];
    }
    vec![page - 1, page, page + 1, 2 * page - 1, 2 * page, 2 * page + 4097, 3 * page]
}

#[test]
fn every_way_and_size_under_every_policy() {
    child::alone(|| {
        under_each_policy(|policy, page| {
            let collapses = collapses();
            assert!(policy != "deny" || !collapses);
            let bytes = pattern(3 * page);
            for (len, (name, make)) in sizes(page).into_iter().flat_map(|len| WAYS.map(|way| (len, way))) {
                let whole = len - len % page;
                let expected = match policy {
                    // Huge pages are only made by MADV_COLLAPSE, or not at all.
                    "never" if collapses => whole..=whole,
                    "never" | "deny" => 0..=0,
                    // Under the other policies the end of the file can get one, too.
                    _ if collapses => whole..=whole + page,
                    _ => 0..=whole + page,
                };
                // The kernel may lack contiguous memory at the moment, or a page may be in use, but
                // hardly five times in a row.
                let mut found = (0..5).map(|_| {
                    let file = make(&bytes[..len]);
                    look(&file, &bytes[..len]);
                    by_huge_pages(&file, NAME)
                });
                assert!(
                    found.any(|found| expected.contains(&found)),
                    "{policy}: {name}, {len} bytes: not {expected:?}"
                );
            }
            nothing_is_left();
        });
    });
}

/// Where MADV_COLLAPSE is missing, as before Linux 6.1, the policy `advise` still gives huge pages to
/// a file that asks for them, and to no other.
#[test]
fn advice_is_given_before_the_first_page() {
    seccomp::alone(|| {
        let Some(page) = affordable_page() else { return };
        let Some(policy) = Setting::take(POLICY) else { return };
        if let Err(error) = policy.set("advise") {
            return skip::skip(format_args!("the policy advise: {error}"));
        }
        if !collapses() {
            // Some kernels without it do not map sealed files with huge pages.
            return skip::skip("this kernel lacks MADV_COLLAPSE itself");
        }
        refuse_collapses(libc::EINVAL);
        // Five attempts, because the kernel may lack contiguous memory at the moment.
        let found = |options: SealedFileOptions| {
            let file = || options.create_with(NAME, 2 * page, |bytes| bytes.fill(7)).unwrap();
            (0..5).map(|_| by_huge_pages(file(), NAME)).max()
        };
        assert_eq!((found(options()), found(SealedFile::options())), (Some(2 * page), Some(0)));
    });
}

/// If the kernel made a huge page for the end of a file, its bytes past the end are zero, even for
/// a caller who maps the whole page.
#[test]
fn nothing_remains_past_the_end() {
    child::alone(|| {
        under_each_policy(|policy, page| {
            let len = page + 5000;
            for (name, make) in WAYS {
                let file = MemFile::from_fd(make(&pattern(len)).into_fd()).unwrap().reopen_read_only().unwrap();
                // SAFETY: The file is sealed, and its last page is mapped as a whole.
                let map = unsafe { memmap2::MmapOptions::new().len(page + 8192).map(&file) }.unwrap();
                assert!(map[len..].iter().all(|&byte| byte == 0), "{policy}: {name}");
            }
        });
    });
}

/// A source that is longer than its reported size, and one that grows during the copy, are copied
/// up to their end.
#[test]
fn sources_whose_length_is_not_known() {
    child::alone(|| {
        let Some(page) = affordable_page() else { return };
        let proc = File::open("/proc/filesystems").unwrap();
        look(&options().copy_of(NAME, &proc).unwrap(), &std::fs::read("/proc/filesystems").unwrap());

        let bytes = pattern(2 * page + 5000);
        let source = source(&bytes[..page + 1]);
        let copy = thread::scope(|scope| {
            scope.spawn(|| {
                for (i, piece) in bytes[page + 1..].chunks(4096).enumerate() {
                    source.write_all_at(piece, (page + 1 + i * 4096) as u64).unwrap();
                }
            });
            options().copy_of(NAME, &source).unwrap()
        });
        assert!(copy.len() > page as u64);
        look(&copy, &bytes[..copy.len() as usize]);
        // Once the source has stopped growing, the copy is complete.
        look(&options().copy_of(NAME, &source).unwrap(), &bytes);

        // A non-blocking source without data.
        let (read, _write) = UnixStream::pair().unwrap();
        read.set_nonblocking(true).unwrap();
        let error = options().copy_of(NAME, &read).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
        drop(copy);
        nothing_is_left();
    });
}

/// A source as long as the limit is copied, and one that is a byte longer is refused.
#[test]
fn limits() {
    child::alone(|| {
        let Some(page) = affordable_page() else { return };
        for limit in [page - 1, page, page + 1, 2 * page, 2 * page + 1] {
            let bytes = pattern(limit + 1);
            for len in [limit, limit + 1] {
                let bytes = &bytes[..len];
                let builder = options().limit(limit as u64);
                let (read, write) = rustix::pipe::pipe().unwrap();
                let write = File::from(write);
                let piped = thread::scope(|scope| {
                    // Ignores EPIPE: the reader is closed as soon as the source exceeds the limit.
                    scope.spawn(move || drop((&write).write_all(bytes)));
                    builder.copy_of(NAME, read)
                });
                let read = builder.from_reader(NAME, bytes).map_err(|error| error.downcast::<Error>().unwrap());
                for result in [builder.copy_of(NAME, source(bytes)), piped, read] {
                    if len == limit {
                        look(&result.unwrap(), bytes);
                    } else {
                        let error = refused(result, None, &source_beyond_limit(limit as u64));
                        assert_eq!(error.cause(), Cause::LimitExceeded);
                    }
                }
            }
        }
        nothing_is_left();
    });
}

/// If the limit is a multiple of the size of a huge page, the file has huge pages up to the limit.
#[test]
fn the_last_page_before_the_limit() {
    child::alone(|| {
        under_each_policy(|policy, page| {
            if !collapses() {
                return;
            }
            let len = 2 * page;
            let make = || options().limit(len as u64).from_reader(NAME, &pattern(len)[..]).unwrap();
            // Five attempts, because the kernel may lack contiguous memory at the moment.
            assert_eq!((0..5).map(|_| by_huge_pages(make(), NAME)).find(|&found| found == len), Some(len), "{policy}");
        });
    });
}

/// Readers that lie, fail or panic once the file has its first huge pages.
#[test]
fn readers_that_go_wrong() {
    child::alone(|| {
        let Some(page) = affordable_page() else { return };
        let first = || io::repeat(7).take(2 * page as u64 + 5000);
        struct Liar(usize);
        impl Read for Liar {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                Ok(buf.len() + self.0)
            }
        }
        for lie in [1, 1 << 20, isize::MAX as usize] {
            let error = options().from_reader(NAME, first().chain(Liar(lie))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            nothing_is_left();
        }
        let broken = Script(iter::once(Err(io::Error::other("broken"))));
        let error = options().from_reader(NAME, first().chain(broken)).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Other, "broken"));
        nothing_is_left();

        let panics = Script(iter::from_fn(|| std::panic::resume_unwind(Box::new("stop"))));
        let read = || options().from_reader(NAME, first().chain(panics));
        let panic = catch_unwind(AssertUnwindSafe(read)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"stop"));
        nothing_is_left();
    });
}

/// Makes a file while the call number `at`, a collapse, fails with `errno`. Returns the file and
/// all calls that were made. If the kernel itself refuses a huge page for lack of contiguous
/// memory, the fault hits a different call, and the file is made again.
fn with_fault(way: fn(&[u8]) -> SealedFile, bytes: &[u8], at: usize, errno: i32) -> (SealedFile, Vec<&'static str>) {
    for _ in 0..5 {
        let (result, made) = watch(Fault::once(at, errno), || way(bytes));
        if at == usize::MAX || made.get(at) == Some(&COLLAPSE) {
            return (result.unwrap(), made);
        }
    }
    panic!("call {at} is never a collapse");
}

fn places(made: &[&str], name: &str) -> Vec<usize> {
    made.iter().enumerate().filter(|&(_, made)| *made == name).map(|(place, _)| place).collect()
}

/// Once the kernel has refused a huge page, the crate asks for no more in this file, and the rest
/// gets ordinary pages. It also notices a sandbox that only pretends to collapse (errno 0).
#[test]
fn a_refused_collapse_is_the_last_one() {
    supervisor::alone(|| {
        let Some(page) = affordable_page() else { return };
        // Under most other policies the kernel makes huge pages without a collapse.
        let Some(policy) = Setting::take(POLICY) else { return };
        policy.set("never").unwrap();
        if !collapses() {
            return skip::skip("this kernel lacks MADV_COLLAPSE");
        }
        // More than a single call collapses.
        let huge = 6 * page;
        let bytes = pattern(huge + 5000);
        for name in ["from_bytes", "create_with", "copy_of a file", "from_reader"] {
            let way = way(name);
            let (file, made) = with_fault(way, &bytes, usize::MAX, 0);
            assert_eq!(by_huge_pages(&file, NAME), huge);
            drop(file);
            let collapses = places(&made, COLLAPSE);
            assert!(collapses.len() > 1, "{made:?}");
            let mut pages = 0;
            for (before, at) in collapses.into_iter().enumerate() {
                for errno in [0, libc::EINVAL, libc::ENOMEM, libc::EAGAIN, libc::EBUSY, libc::EPERM, libc::ENOSYS] {
                    let (file, made) = with_fault(way, &bytes, at, errno);
                    look(&file, &bytes);
                    assert_eq!(places(&made, COLLAPSE).len(), before + 1, "{errno}: {made:?}");
                    assert_eq!(by_huge_pages(&file, NAME), pages * page, "{errno} at the collapse {before}");
                }
                // One other `madvise` call was made for each huge page before this collapse.
                pages = places(&made[..at], "madvise").len();
            }
        }
        // Not even a draft that grows asks again, whether the collapse failed or was only pretended.
        let way = way("draft that grows");
        let (_, made) = with_fault(way, &bytes, usize::MAX, 0);
        let first = places(&made, COLLAPSE)[0];
        for errno in [0, libc::EINVAL] {
            let (_, made) = with_fault(way, &bytes, first, errno);
            assert_eq!(places(&made, COLLAPSE), [first], "{errno}");
        }
        nothing_is_left();
    });
}

/// The name of what is missing, and a function that installs a filter to refuse it.
type Refusal = (&'static str, fn());

/// On kernels and in sandboxes that lack some of the calls, the crate falls back to others.
#[test]
fn every_call_can_be_missing() {
    let refusals: [Refusal; 7] = [
        ("MADV_POPULATE_WRITE", || seccomp::on_values("madvise", 2, &[23], seccomp::errno(libc::EINVAL))),
        ("MADV_HUGEPAGE", || seccomp::on_values("madvise", 2, &[14], seccomp::errno(libc::EINVAL))),
        ("all advice", || seccomp::always("madvise", seccomp::errno(libc::EINVAL))),
        ("all advice, by a sandbox", || seccomp::always("madvise", seccomp::errno(libc::EPERM))),
        // There is no room for an aligned map, so the file is mapped at any address.
        ("the place", || {
            seccomp::on_bits("mmap", 3, libc::MAP_NORESERVE.unsigned_abs(), seccomp::errno(libc::ENOMEM));
        }),
        ("the size", || seccomp::always("open", seccomp::errno(libc::EACCES))),
        ("a collapse that is pretended", || {
            refuse_collapses(0);
        }),
    ];
    seccomp::alone(|| {
        let Some(page) = affordable_page() else { return };
        let bytes = &pattern(2 * page + 5000);
        for (missing, refuse) in refusals {
            // A filter stays with its thread.
            thread::scope(|scope| {
                let ways = scope.spawn(move || {
                    refuse();
                    WAYS.map(|(name, make)| (name, make(bytes)))
                });
                for (name, file) in ways.join().unwrap() {
                    assert_eq!((name, file.len()), (name, bytes.len() as u64));
                    assert!(*file.map().unwrap() == **bytes, "{missing} is missing: {name}");
                    look(&file, bytes);
                }
            });
        }
        nothing_is_left();
    });
}

/// `Support` reports that the kernel lacks MADV_COLLAPSE.
#[test]
fn a_missing_collapse_is_reported() {
    seccomp::alone(|| {
        let reported = |errno| {
            refuse_collapses(errno);
            let error = Support::probe().get(Feature::Collapse).unwrap_err();
            assert_eq!((error.call(), error.raw_os_error(), error.is_unsupported()), (None, None, true), "{errno}");
        };
        under_each_policy(|policy, _| {
            reported(libc::EINVAL);
            // A success that makes no huge page. If the policy makes them anyway, nobody can tell.
            if policy == "never" {
                reported(0);
            }
        });
    });
}

/// Huge pages are only a hint, but a lack of memory is an error, as for any other file.
#[test]
fn no_memory() {
    seccomp::alone(|| {
        let Some(page) = affordable_page() else { return };
        seccomp::on_values("madvise", 2, &[23, MADV_COLLAPSE.unsigned_abs()], seccomp::errno(libc::ENOMEM));
        seccomp::always("fallocate", seccomp::errno(libc::ENOSPC));
        seccomp::always("pwrite", seccomp::errno(libc::ENOSPC));
        for way in [
            |len| options().create_with(NAME, len, |_| unreachable!("no memory to fill")).map(drop),
            |len| options().from_bytes(NAME, &vec![1; len]).map(drop),
        ] {
            let error = way(page).unwrap_err();
            assert_eq!((error.raw_os_error(), error.cause()), (Some(libc::ENOSPC), Cause::OutOfMemory));
            nothing_is_left();
        }
    });
}

/// If a draft cannot be allocated up to its new end, it is cut back and loses its new huge pages.
/// They are made again when it grows the next time.
#[test]
fn a_draft_that_could_not_grow() {
    seccomp::alone(|| {
        let Some(page) = affordable_page() else { return };
        if !collapses() {
            return;
        }
        let draft = options().draft(NAME, 5000).unwrap();
        let thread = thread::spawn(move || {
            let mut draft = draft;
            // Only the part after the huge pages fails.
            seccomp::on_values("madvise", 1, &[6000], seccomp::errno(libc::EFAULT));
            seccomp::always("fallocate", seccomp::errno(libc::ENOSPC));
            assert_eq!(draft.set_len(2 * page + 6000).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
            assert_eq!(*draft, [0; 5000]);
            draft
        });
        let mut draft = thread.join().unwrap();
        draft.set_len(2 * page + 6000).unwrap();
        assert_eq!(by_huge_pages(draft.seal().unwrap(), NAME), 2 * page);
    });
}

/// Without address space for a map, the bytes are written with `pwrite` instead. A draft needs the
/// map.
#[test]
fn no_address_space() {
    child::alone(|| {
        let Some(page) = affordable_page() else { return };
        let bytes = pattern(4 * page + 5000);
        let source = source(&bytes);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let used = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.strip_suffix("kB")).unwrap();
        let current = Some(used.trim().parse::<u64>().unwrap() * 1024 + page as u64);
        let limit = getrlimit(Resource::As);
        setrlimit(Resource::As, Rlimit { current, ..limit }).unwrap();
        let results = [
            options().from_bytes(NAME, &bytes).map_err(io::Error::from),
            options().copy_of(NAME, &source).map_err(io::Error::from),
            options().from_reader(NAME, &bytes[..]),
        ];
        let draft = options().draft(NAME, bytes.len());
        setrlimit(Resource::As, limit).unwrap();

        refused(draft, libc::ENOMEM, &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}"));
        for file in results {
            look(&file.unwrap(), &bytes);
        }
        nothing_is_left();
    });
}

/// The receiver of a file sees it fully allocated, as its sender does.
#[test]
fn a_received_file_is_allocated() {
    let Some(page) = affordable_page() else { return };
    let file = options().from_bytes(NAME, &pattern(page + 1)).unwrap();
    let received = SealedFile::try_from(file.as_fd().try_clone_to_owned().unwrap()).unwrap();
    look(&received, &pattern(page + 1));
}
