//! The limits of a process: number of descriptors, file size, address space and memory. Each limit
//! is tested once, for every call that can reach it.

use std::fs;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use memfile::{Error, Holes, MapOptions, MemFile, SealedFile};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::check::{NO_ADDRESS_SPACE, holes, refused};
use crate::support::huge::{POLICY, Setting, transparent_page};
use crate::support::proc_self::{allocated, descriptors, smaps};
use crate::support::skip::skip;
use crate::support::{child, seccomp};

const PAGE: u64 = 4096;

fn limit(resource: Resource, value: u64) {
    setrlimit(resource, Rlimit { current: Some(value), maximum: getrlimit(resource).maximum }).unwrap();
}

fn set_signal(signal: i32, action: libc::sighandler_t) {
    // SAFETY: No handler is installed, and this process is the child of a test.
    assert_ne!(unsafe { libc::signal(signal, action) }, libc::SIG_ERR);
}

/// Makes a sealed file from bytes in memory, in each way that makes different system calls.
fn every_builder(len: usize) -> [Result<SealedFile, Error>; 3] {
    let bytes = vec![1; len];
    [
        SealedFile::from_bytes("limit", &bytes),
        SealedFile::options().huge_pages(true).from_bytes("limit", &bytes),
        SealedFile::create_with("limit", len, |target| target.copy_from_slice(&bytes)),
    ]
}

#[test]
fn beyond_the_file_size_limit_is_an_error_if_the_signal_is_ignored() {
    child::alone(|| {
        let file = MemFile::create_default("limit").unwrap();
        set_signal(libc::SIGXFSZ, libc::SIG_IGN);
        limit(Resource::Fsize, PAGE);
        let message = |call| format!("{call}: EFBIG: the file would exceed RLIMIT_FSIZE or the largest possible size");
        refused(file.set_len(PAGE + 1), libc::EFBIG, &message("ftruncate"));
        refused(file.allocate(0, PAGE + 1), libc::EFBIG, &message("fallocate"));
        for offset in [PAGE, i64::MAX as u64 - 1] {
            refused(file.write_at(b"A", offset), libc::EFBIG, &message("pwrite"));
        }
        assert_eq!(file.len().unwrap(), 0);
        file.set_len(PAGE).unwrap();

        let before = descriptors();
        let [bytes, huge, build] = every_builder(2 << 20);
        refused(bytes, libc::EFBIG, &message("pwrite"));
        // A file that is shorter than a huge page is written, like one without huge pages.
        let by_map = transparent_page().is_ok_and(|size| size <= 2 << 20);
        refused(huge, libc::EFBIG, &message(if by_map { "ftruncate" } else { "pwrite" }));
        refused(build, libc::EFBIG, &message("ftruncate"));
        let error = SealedFile::from_reader("limit", io::repeat(1)).unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().raw_os_error(), Some(libc::EFBIG));
        assert_eq!(descriptors(), before);
        let longest = vec![1; PAGE as usize];
        assert!(*SealedFile::from_bytes("limit", &longest).unwrap().map().unwrap() == longest);
    });
}

/// `copy_from` consumes from the source only what it could write, as the source's position shows.
/// `copy_of`, which copies the whole source, does not move the position at all.
#[test]
fn a_copy_beyond_the_file_size_limit_loses_nothing() {
    seccomp::alone(|| {
        const EFBIG: &str = "write: EFBIG: the file would exceed RLIMIT_FSIZE or the largest possible size";
        let mut bytes = vec![1; 3 * PAGE as usize];
        bytes[PAGE as usize..].fill(2);
        let source = MemFile::create_default("limit source").unwrap();
        source.write_all_at(&bytes, 0).unwrap();
        let on_disk = tempfile::tempfile().unwrap();
        on_disk.write_all_at(&bytes, 0).unwrap();
        set_signal(libc::SIGXFSZ, libc::SIG_IGN);
        limit(Resource::Fsize, PAGE + 5);
        let check = || {
            for mut source in [source.as_file(), &on_disk] {
                source.seek(SeekFrom::Start(3)).unwrap();
                refused(SealedFile::copy_of("limit copy", source), libc::EFBIG, EFBIG);
                assert_eq!(source.stream_position().unwrap(), 3);

                let target = MemFile::create_default("limit copy").unwrap();
                refused(target.copy_from(source, u64::MAX), libc::EFBIG, EFBIG);
                let copied = target.as_file().stream_position().unwrap();
                assert_eq!(source.stream_position().unwrap(), 3 + copied);
                assert!(copied <= PAGE + 5 && target.len().unwrap() == copied, "{copied}");
                let mut written = vec![0; copied as usize];
                target.read_exact_at(&mut written, 0).unwrap();
                assert!(written == bytes[3..][..copied as usize]);
            }
        };
        check();
        // Without these calls, the crate copies by reading and writing.
        for call in ["copy_file_range", "sendfile", "splice"] {
            seccomp::always(call, seccomp::errno(libc::ENOSYS));
        }
        check();
    });
}

/// SIGXFSZ ends a process that does not ignore it, as documented.
#[test]
fn beyond_the_file_size_limit_the_signal_ends_the_process() {
    let victim = child::split(|_| {
        set_signal(libc::SIGXFSZ, libc::SIG_DFL);
        limit(Resource::Core, 0);
        let file = MemFile::create_default("limit").unwrap();
        limit(Resource::Fsize, PAGE);
        let result = file.set_len(PAGE + 1);
        panic!("SIGXFSZ was not sent: {result:?}");
    });
    let Some(test) = victim else { return };
    let output = test.command(&[], "victim").output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGXFSZ), "{output:?}");
}

#[test]
fn without_descriptors_left() {
    child::alone(|| {
        let file = MemFile::create_sealable("limit").unwrap();
        // The file got the lowest number that was free, so no number below the limit is free now.
        limit(Resource::Nofile, u64::from(file.as_raw_fd().unsigned_abs()) + 1);
        let message =
            |call| format!("{call}: EMFILE: no descriptor is left: RLIMIT_NOFILE or the system's limit is reached");
        refused(MemFile::create_default("one more"), libc::EMFILE, &message("memfd_create"));
        refused(file.try_clone(), libc::EMFILE, &message("fcntl(F_DUPFD_CLOEXEC)"));
        refused(file.reopen_read_only(), libc::EMFILE, &message("open"));
        for result in every_builder(2 << 20) {
            refused(result, libc::EMFILE, &message("memfd_create"));
        }
        let error = SealedFile::from_reader("limit", io::empty()).unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().raw_os_error(), Some(libc::EMFILE));
        // Calls that need no new descriptor still work.
        file.write_all_at(b"still", 0).unwrap();
        assert_eq!(&file.into_sealed().unwrap().map().unwrap()[..], b"still");
    });
}

#[test]
fn without_address_space_left() {
    const LEN: u64 = 1 << 30;
    child::alone(|| {
        let file = MemFile::create_sealable("limit").unwrap();
        file.set_len(LEN).unwrap();
        file.add_seals(memfile::Seals::IMMUTABLE).unwrap();
        let sealed = SealedFile::options().holes(Holes::Accept).verify(file).unwrap();
        limit(Resource::As, LEN / 2);
        let before = descriptors();
        let message = &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
        refused(sealed.map(), libc::ENOMEM, message);
        refused(sealed.map_copy_on_write(), libc::ENOMEM, message);
        let build = SealedFile::create_with("limit", LEN as usize, |_| unreachable!("no memory to fill"));
        refused(build, libc::ENOMEM, message);
        assert_eq!(descriptors(), before);
        assert_eq!(sealed.map_range(LEN - 5..).unwrap().len(), 5);
    });
}

/// If memory is limited by a control group, a receiver that reads a large hole is killed.
/// `Holes::Refuse` protects it.
#[test]
fn a_hole_is_refused_where_memory_is_limited() {
    const LEN: u64 = 256 << 20;
    let receiver = child::split(|situation| {
        let file = MemFile::create_sealable("limit").unwrap();
        file.set_len(LEN).unwrap();
        file.add_seals(memfile::Seals::IMMUTABLE).unwrap();
        let error = SealedFile::try_from(file).unwrap_err();
        assert_eq!(error.to_string(), holes(LEN, 0));
        let mut byte = [1];
        error.get_ref().read_exact_at(&mut byte, LEN / 2).unwrap();
        assert_eq!(byte, [0]);
        if situation == "accepts" {
            let file = SealedFile::options().holes(Holes::Accept).verify(error.into_inner()).unwrap();
            let sum: u64 = file.map().unwrap().iter().map(|&byte| u64::from(byte)).sum();
            panic!("read {sum} beyond the limit");
        }
    });
    let Some(test) = receiver else { return };
    let Some(group) = memory_group(LEN / 4) else { return skip("no memory control group can be made") };
    // `exec` keeps the pid, so the test stays in the group.
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.display());
    let enter = ["sh", "-c", &enter, "sh"];
    test.run(&enter, "refuses");
    let killed = test.command(&enter, "accepts").output().unwrap();
    assert_eq!(killed.status.signal(), Some(libc::SIGKILL), "{killed:?}");
    fs::remove_dir(group).unwrap();
}

/// If a huge page exceeds the limit of a control group, the process is not killed: the file gets or
/// keeps ordinary pages. Only if these exceed the limit too is it killed, as without huge pages.
#[test]
fn a_huge_page_that_does_not_fit_where_memory_is_limited() {
    const LEN: usize = 32 << 20;
    const ROOM: u64 = 1 << 20;
    let options = |huge| SealedFile::options().huge_pages(huge);
    let make = |huge| options(huge).create_with("limit huge", LEN, |target| target.fill(7)).unwrap();
    let check = |file: &SealedFile| {
        assert!(file.to_vec().unwrap() == vec![7; LEN]);
        assert!(allocated(file) >= LEN as u64);
    };
    let member = child::split(|situation| {
        let (kind, group) = situation.split_once(' ').unwrap();
        // Leaves `room` for the file, and a little more for the rest of the process.
        let limit = |room: u64| set_memory_limit(Path::new(group), room + ROOM);
        match kind {
            "fits" => {
                // The bytes are compared after the limit was raised, because that takes memory too.
                let file = {
                    limit(LEN as u64);
                    make(true)
                };
                set_memory_limit(Path::new(group), 1 << 30);
                check(&file);
            }
            "mapped" => {
                let file = make(false);
                limit(0);
                let map = file.map_with(.., MapOptions::new().huge_pages(true)).unwrap();
                assert!(map.iter().all(|&byte| byte == 7));
                // A huge page would need memory in addition to the pages that it replaces.
                assert_eq!(smaps("limit huge", "ShmemPmdMapped"), 0);
                set_memory_limit(Path::new(group), 1 << 30);
                check(&file);
            }
            kind => {
                limit(LEN as u64 / 2);
                panic!("made {:?} beyond the limit", make(kind == "beyond-huge"));
            }
        }
    });
    let Some(test) = member else { return };
    let Some(policy) = Setting::take(POLICY) else { return };
    policy.set("never").unwrap();
    let Some(group) = memory_group(1 << 30) else { return skip("no memory control group can be made") };
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.display());
    let enter = ["sh", "-c", &enter, "sh"];
    for kind in ["fits", "mapped"] {
        test.run(&enter, &format!("{kind} {}", group.display()));
    }
    for kind in ["beyond", "beyond-huge"] {
        let killed = test.command(&enter, &format!("{kind} {}", group.display())).output().unwrap();
        assert_eq!(killed.status.signal(), Some(libc::SIGKILL), "{kind}: {killed:?}");
    }
    fs::remove_dir(group).unwrap();
}

/// Limits the memory of a group to what it uses now and cannot free, plus `room` bytes.
fn set_memory_limit(group: &Path, room: u64) {
    let (used, cache, limit) = if group.join("memory.max").exists() {
        ("memory.current", "file", "memory.max")
    } else {
        ("memory.usage_in_bytes", "cache", "memory.limit_in_bytes")
    };
    let used: u64 = fs::read_to_string(group.join(used)).unwrap().trim().parse().unwrap();
    let statistics = fs::read_to_string(group.join("memory.stat")).unwrap();
    let number = |name| -> u64 {
        let words = statistics.lines().filter_map(|line| line.split_once(' '));
        words.filter(|words| words.0 == name).map(|words| words.1.parse::<u64>().unwrap()).sum()
    };
    // The kernel can free what was read from a disk, such as this program.
    let used = (used + number("shmem")).saturating_sub(number(cache));
    fs::write(group.join(limit), (used + room).to_string()).unwrap();
}

/// A new control group, of version 2 or 1, that limits the memory of its processes. `None` if this
/// process cannot create one.
fn memory_group(limit: u64) -> Option<PathBuf> {
    for (root, file) in [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")] {
        let group = Path::new(root).join(format!("memfile-{}-{limit}", std::process::id()));
        if fs::create_dir(&group).is_err() {
            continue;
        }
        if group.join(file).exists() && fs::write(group.join(file), limit.to_string()).is_ok() {
            return Some(group);
        }
        let _ = fs::remove_dir(group);
    }
    None
}
