//! [`MapOptions::lock`]: which pages are locked, and RLIMIT_MEMLOCK.

use memfile::{Cause, Error, MapOptions, SealedFile};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::check::refused;
use crate::support::huge::steady_policy;
use crate::support::proc_self::{mappings, smaps};
use crate::support::skip::skip;
use crate::support::{child, page, pattern};

const LOCK: MapOptions = MapOptions::new().lock(true);

/// The amount of memory that this process has locked, in KiB.
fn locked() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Whether this process may lock a few pages. If not, prints that the test is skipped.
fn may_lock() -> bool {
    let limit = getrlimit(Resource::Memlock).current;
    let may = rustix::process::geteuid().is_root() || limit.is_none_or(|limit| limit >= 256 * page());
    if !may {
        skip(format_args!("RLIMIT_MEMLOCK is {limit:?}"));
    }
    may
}

/// Only the pages of the range are locked, although the mapping begins before it.
#[test]
fn the_pages_of_the_range() {
    child::alone(|| {
        if !may_lock() {
            return;
        }
        let _steady = steady_policy();
        let page = page();
        let len = 24 * page + 1000;
        let bytes = pattern(len as usize);
        let file = SealedFile::from_bytes("lock range", &bytes).unwrap();
        let before = locked();
        for (range, pages) in [
            (page + 900..page + 1900, 1),
            (page - 1..page + 1, 2),
            (17 * page + 300..17 * page + 301, 1),
            (16 * page..16 * page + 1, 1),
            (16 * page - 1..16 * page + 1, 2),
            (len - 1..len, 1),
            (0..len, 25),
            (7..7, 0),
        ] {
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            let map = file.map_with(range.clone(), LOCK).unwrap();
            assert_eq!(*map, bytes[start..end]);
            assert_eq!(locked() - before, pages * page / 1024, "{range:?}");
            assert_eq!(smaps("lock range", "Rss"), pages * page / 1024, "{range:?}: other pages are present");
            drop(map);
            assert_eq!(locked(), before, "{range:?}");

            let copy = file.map_copy_on_write_with(range.clone(), LOCK.populate(false)).unwrap();
            assert_eq!(*copy, bytes[start..end]);
            assert_eq!(locked() - before, pages * page / 1024, "{range:?}, copy");
            drop(copy);
        }
        assert_eq!((locked(), mappings("lock range").len()), (before, 0));
    });
}

/// Locking copies all pages of a copy-on-write map at once, so that a write needs no more memory.
#[test]
fn a_copy_on_write_map_is_copied_in_full() {
    child::alone(|| {
        if !may_lock() {
            return;
        }
        let _steady = steady_policy();
        let file = SealedFile::from_bytes("lock copy", &pattern(100_000)).unwrap();
        let mut copy = file.map_copy_on_write_with(.., LOCK).unwrap();
        let pages = 100_000_u64.next_multiple_of(page()) / 1024;
        assert_eq!(smaps("lock copy", "Anonymous"), pages);
        assert_eq!(smaps("lock copy", "Locked"), pages);
        copy.fill(9);
        assert_eq!(smaps("lock copy", "Anonymous"), pages);
        assert_eq!(*file.map().unwrap(), pattern(100_000));
    });
}

/// If locking fails, nothing stays mapped or locked.
#[test]
fn beyond_the_limit() {
    const LIMIT: &str = "no more memory may be locked: RLIMIT_MEMLOCK is reached (ulimit -l), or no memory is left";

    child::alone(|| {
        // Read before, because on old kernels rustix reads it from /proc/self/auxv, which is closed to a
        // process that has changed its user.
        let page = page();
        let file = SealedFile::from_bytes("lock limit", &pattern(100_000)).unwrap();
        // Becomes an ordinary user, because the limit does not apply to root.
        // SAFETY: No pointers are involved, and this process is the child of a test.
        if rustix::process::geteuid().is_root() && unsafe { libc::setresuid(65_534, 65_534, 65_534) } != 0 {
            return skip(format_args!("setresuid: {}", std::io::Error::last_os_error()));
        }
        let limit = |value| {
            setrlimit(Resource::Memlock, Rlimit { current: Some(value), maximum: getrlimit(Resource::Memlock).maximum })
        };
        let check = |errno: &str, number| {
            let message = format!("mlock: {errno}: {LIMIT}");
            let check = |error: Error| assert_eq!(error.cause(), Cause::OutOfMemory);
            check(refused(file.map_with(.., LOCK), number, &message));
            check(refused(file.map_copy_on_write_with(.., LOCK), number, &message));
            assert_eq!((locked(), mappings("lock limit").len()), (0, 0));
        };
        if getrlimit(Resource::Memlock).maximum.is_some_and(|maximum| maximum < page) {
            skip("the hard limit of RLIMIT_MEMLOCK is less than a page");
        } else {
            limit(page).unwrap();
            assert_eq!(*file.map_with(5000..5001, LOCK).unwrap(), pattern(5001)[5000..]);
            check("ENOMEM", libc::ENOMEM);
        }
        limit(0).unwrap();
        check("EPERM", libc::EPERM);
        // Without the option the limit does not matter.
        assert_eq!(*file.map().unwrap(), pattern(100_000));
    });
}
