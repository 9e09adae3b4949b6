//! The builders: the contents of the file, and what is left after an error or a panic.

mod draft;
mod huge;
mod share;

use std::io::{self, ErrorKind, Read};
use std::iter;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use libc::{ENOMEM, ENOSPC};
use memfile::{CreateOptions, Exec, MemFile, Seal, SealedFile, Seals};
use rustix::fs::SeekFrom;

use crate::support::check::{NO_ADDRESS_SPACE, NO_MEMORY, refused, source_beyond_limit, too_long};
use crate::support::pattern;
use crate::support::proc_self::{allocated, descriptors, descriptors_of, mappings};
use crate::support::{child, noexec, seccomp};

const MIB: usize = 1 << 20;
const SIZES: [usize; 8] = [0, 1, 4095, 4096, 4097, 2 * MIB - 1, 2 * MIB, 5 * MIB + 3];

/// Checks the bytes, the length that each call reports, the seals, that the file has no holes, and
/// that a receiver accepts it.
#[track_caller]
fn look(file: &SealedFile, bytes: &[u8]) {
    let len = bytes.len() as u64;
    assert_eq!((file.len(), file.is_empty(), file.as_mem_file().len().unwrap()), (len, len == 0, len));
    assert!(file.as_mem_file().get_seals().unwrap().contains(Seals::IMMUTABLE));
    // Before anything is read through a map, which would fill holes.
    assert!(allocated(file) >= len, "there is a hole");
    assert!(*file.map().unwrap() == *bytes);
    SealedFile::try_from(file.try_clone().unwrap().into_fd()).unwrap();
}

#[test]
fn every_way_and_size() {
    let builders = [SealedFile::options(), SealedFile::options().huge_pages(true)];
    for (builder, len) in builders.into_iter().flat_map(|builder| SIZES.map(|len| (builder, len))) {
        let bytes = pattern(len);
        let source = MemFile::create_default("fill source").unwrap();
        source.write_all_at(&bytes, 0).unwrap();
        look(&builder.from_bytes("fill", &bytes).unwrap(), &bytes);
        look(&builder.create_with("fill", len, |target| target.copy_from_slice(&bytes)).unwrap(), &bytes);
        look(&builder.from_reader("fill", &bytes[..]).unwrap(), &bytes);
        look(&builder.copy_of("fill", &source).unwrap(), &bytes);
    }
    look(&SealedFile::from_bytes("fill", b"short").unwrap(), b"short");
    look(&SealedFile::create_with("fill", 2, |target| target.fill(b'!')).unwrap(), b"!!");
    look(&SealedFile::from_reader("fill", io::repeat(7).take(300_000)).unwrap(), &[7; 300_000]);
    let source = SealedFile::from_bytes("fill source", b"source").unwrap();
    look(&SealedFile::copy_of("fill", &source).unwrap(), b"source");
}

#[test]
fn options_are_kept() {
    for (exec, seals, mode) in [
        (Exec::Deny, Seals::IMMUTABLE | Seal::Exec, 0o666),
        (Exec::DenyUnsealed, Seals::IMMUTABLE, 0o666),
        (Exec::Allow, Seals::IMMUTABLE, 0o777),
    ] {
        if noexec::is_strict() && exec != Exec::Deny {
            continue;
        }
        let builder = SealedFile::options().create_options(CreateOptions::new().allow_sealing(false).exec(exec));
        let file = builder.from_bytes("fill options", b"1").unwrap();
        let known = match file.as_mem_file().get_seals().unwrap() {
            old if !old.contains(Seal::Exec) => seals - Seal::Exec,
            _ => seals,
        };
        assert_eq!(file.as_mem_file().get_seals().unwrap(), known);
        assert_eq!(rustix::fs::fstat(file.as_fd()).unwrap().st_mode & 0o7777, mode);
        assert_eq!(file.as_mem_file().name().unwrap().as_ref(), b"fill options");
    }
}

/// The closure gets zeros of the requested length, and an empty slice for an empty file.
#[test]
fn create_with_gives_zeros() {
    for len in SIZES {
        let file = SealedFile::create_with("fill zeros", len, |target| {
            assert!(target.len() == len && target.iter().all(|&byte| byte == 0));
            assert_eq!(mappings("fill zeros").len(), usize::from(len > 0));
        });
        let file = file.unwrap();
        assert!(mappings("fill zeros").is_empty(), "the writable map is left");
        look(&file, &vec![0; len]);
    }
}

#[test]
fn a_panic_leaks_nothing() {
    let builders = [SealedFile::options(), SealedFile::options().huge_pages(true)];
    for builder in builders {
        let build = || builder.create_with("fill panic", 3 * MIB, |_| std::panic::resume_unwind(Box::new("stop")));
        let panic = catch_unwind(AssertUnwindSafe(build)).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"stop"));
        assert_eq!(descriptors_of("fill panic"), 0);
        assert!(mappings("fill panic").is_empty());
    }
}

#[test]
fn impossible_lengths() {
    let build = |len| SealedFile::create_with("fill long", len, |_| unreachable!("nothing of that length to fill"));
    for len in [usize::MAX, isize::MAX as usize + 1] {
        assert!(refused(build(len), None, &too_long(len as u64)).is_out_of_bounds());
    }
    let message = &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
    // More than the address space of any 64-bit processor: those of arm64 and ppc64 have up to 52 bits.
    for len in [i64::MAX as u64, 1 << 60, 1 << 56].into_iter().filter_map(|len| usize::try_from(len).ok()) {
        refused(build(len), ENOMEM, message);
    }
    assert_eq!(descriptors_of("fill long"), 0);
}

/// A reader that returns the results of an iterator.
struct Script<I>(I);

impl<I: Iterator<Item = io::Result<Vec<u8>>>> Read for Script<I> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.next().transpose()?.unwrap_or_default();
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

#[test]
fn readers() {
    let interrupted = || Err(ErrorKind::Interrupted.into());
    let script =
        [interrupted(), Ok(b"sh".to_vec()), interrupted(), Ok(b"o".to_vec()), Ok(b"rt".to_vec()), interrupted()];
    look(&SealedFile::from_reader("fill reader", Script(script.into_iter())).unwrap(), b"short");

    let script = [Ok(b"lost".to_vec()), Err(io::Error::other("broken"))];
    let error = SealedFile::from_reader("fill reader", Script(script.into_iter())).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Other, "broken"));
    assert_eq!(descriptors_of("fill reader"), 0);
}

/// Safe code can implement `Read` so that it reports more than it has read. The length of the
/// sealed file must still be right.
#[test]
fn a_reader_that_lies() {
    struct Liar(usize);
    impl Read for Liar {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            Ok(buf.len() + self.0)
        }
    }
    for lie in [1, 1 << 20, isize::MAX as usize] {
        let error = SealedFile::from_reader("fill liar", Liar(lie)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
    assert_eq!(descriptors_of("fill liar"), 0);
}

/// A program that is started while a file is being filled must not inherit it, even if the caller
/// asked for an inheritable file.
#[test]
fn inheritable_only_once_sealed() {
    let Some(program) = child::split(|_| empty_what_is_inherited()) else { return };
    let options = CreateOptions::new().close_on_exec(false);
    let builder = SealedFile::options().create_options(options);
    let inherits = |file: &dyn AsFd| !rustix::io::fcntl_getfd(file).unwrap().contains(rustix::io::FdFlags::CLOEXEC);
    let start = || program.run(&[], "program");
    let mut started = false;
    let reader = Read::chain(
        &b"long enough to be cut off"[..],
        Script(iter::from_fn(|| {
            started = true;
            start();
            None
        })),
    );
    let file = builder.from_reader("fill inherited", reader).unwrap();
    look(&file, b"long enough to be cut off");
    assert!(inherits(&file) && started);

    let file = builder.create_with("fill inherited", 3, |target| {
        target.copy_from_slice(b"abc");
        start();
        assert_eq!(target, b"abc");
    });
    assert!(inherits(&file.unwrap()));
    assert!(inherits(&builder.from_bytes("fill inherited", b"1").unwrap()));
    assert!(!inherits(&SealedFile::from_bytes("fill inherited", b"1").unwrap()));
}

/// The program of [`inheritable_only_once_sealed`]: empties every file of that name that it
/// inherited.
fn empty_what_is_inherited() {
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read_link(&path).is_ok_and(|link| link.as_os_str() == "/memfd:fill inherited (deleted)") {
            // Fails for a file that is already sealed, which the program may have.
            drop(std::fs::OpenOptions::new().write(true).truncate(true).open(path));
        }
    }
}

/// A lack of memory is an error, not SIGBUS: no page is touched before the kernel has allocated it.
/// A filter simulates it, because a real lack of memory would hit every process.
#[test]
fn no_memory() {
    seccomp::alone(|| {
        let before = descriptors();
        seccomp::on_bits("madvise", 2, 16, seccomp::errno(libc::EFAULT));
        look(&SealedFile::create_with("fill memory", 5000, |target| target.fill(1)).unwrap(), &[1; 5000]);
        seccomp::always("fallocate", seccomp::errno(ENOSPC));
        let message = &format!("fallocate: ENOSPC: {NO_MEMORY}");
        let result = SealedFile::create_with("fill memory", 5000, |_| unreachable!("no memory to fill"));
        refused(result, ENOSPC, message);
        assert!(mappings("fill memory").is_empty());
        assert_eq!(descriptors(), before);
    });
}

/// A source as long as the limit is copied, and a longer one is refused.
#[test]
fn limits() {
    let source = MemFile::create_default("fill limit").unwrap();
    source.write_all_at(b"seven b", 0).unwrap();
    for (limit, fits) in [(7, true), (6, false), (0, false), (u64::MAX, true)] {
        let builder = SealedFile::options().limit(limit);
        let copied = builder.copy_of("fill limit", &source).map_err(|error| error.to_string());
        let read = builder.from_reader("fill limit", &b"seven b"[..]).map_err(|error| error.to_string());
        for result in [copied, read] {
            match result {
                Ok(file) => assert!(fits && file.len() == 7, "{limit}"),
                Err(error) => assert!(!fits && error == source_beyond_limit(limit), "{error}"),
            }
        }
    }
    let endless = std::fs::File::open("/dev/zero").unwrap();
    let result = SealedFile::options().limit(1 << 20).copy_of("fill limit", endless);
    refused(result, None, &source_beyond_limit(1 << 20));
}

/// A file is copied whole. Its position neither matters nor moves, and later changes of the source
/// do not reach the copy.
#[test]
fn copies() {
    let source = MemFile::create_default("fill source").unwrap();
    source.write_all_at(b"all of it", 0).unwrap();
    rustix::fs::seek(&source, SeekFrom::Start(7)).unwrap();
    let copy = SealedFile::copy_of("fill copy", &source).unwrap();
    source.write_all_at(b"changed", 0).unwrap();
    look(&copy, b"all of it");
    assert_eq!(rustix::fs::tell(&source).unwrap(), 7);
    let cpus = std::fs::File::open("/proc/cpuinfo").unwrap();
    let copy = SealedFile::copy_of("fill proc", &cpus).unwrap();
    assert!(copy.map().unwrap().starts_with(&std::fs::read("/proc/cpuinfo").unwrap()[..9]));

    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&write, b"through a pipe").unwrap();
    drop(write);
    look(&SealedFile::copy_of("fill copy", &read).unwrap(), b"through a pipe");

    let path = std::fs::File::open("/").unwrap();
    let result = SealedFile::copy_of("fill directory", &path);
    refused(result, libc::EISDIR, "pread: EISDIR: the source is a directory");
    assert_eq!(descriptors_of("fill directory"), 0);
    assert!(copy.as_raw_fd() >= 0);
}
