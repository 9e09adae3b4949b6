//! Which operations each seal forbids, as a matrix (1.3).

use std::io::{IoSlice, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;

use memfile::{MemFile, Seals};
use rustix::fs::{FallocateFlags, Mode, OFlags, SeekFrom as At, Timespec, Timestamps, XattrFlags};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use rustix::pipe::SpliceFlags;

use crate::probe::{FUTURE_WRITE, GROW, SHRINK, WRITE, page, reopen};
use crate::raw::Map;
use crate::table::{EACCES, EBADF, EINVAL, EPERM, Expect, OK, Stop, Table, Try, one_of, same, skip};

/// The seals of the columns.
const COLUMNS: [(&str, u64); 6] =
    [("none", 0), ("WRITE", WRITE), ("FUTURE_WRITE", FUTURE_WRITE), ("SHRINK", SHRINK), ("GROW", GROW), ("ALL", 0xf)];

/// The meanings of the signs in the matrix. `None` for `-`: the operation is impossible.
fn expect(sign: &str) -> Option<Expect> {
    Some(match sign {
        "." => OK,
        "E" => EPERM,
        "A" => EACCES,
        "I" => EINVAL,
        "B" => EBADF,
        "O" => Expect::Errno(Errno::OPNOTSUPP),
        // Kernels differ: a read-only shared map of a write-sealed file through a writable descriptor.
        "m" => one_of([OK, EPERM]),
        // Kernels differ: they may write what fits before the end.
        "g" => one_of([EPERM, Expect::AtMost(page() as u64)]),
        // Before 6.7, MADV_REMOVE needs a writable map. Since then, one that could be made writable is enough.
        "r" => one_of([OK, EACCES]),
        // tmpfs supports user extended attributes since 6.6.
        "x" => one_of([OK, Expect::Errno(Errno::OPNOTSUPP)]),
        _ => return None,
    })
}

/// A file of two pages full of `A`, and the seals to be added.
struct Case {
    file: MemFile,
    seals: u64,
}

impl Case {
    fn new(seals: u64) -> Try<Self> {
        let file = MemFile::create_sealable("matrix")?;
        file.write_all_at(&vec![b'A'; 2 * page()], 0)?;
        Ok(Self { file, seals })
    }

    fn len() -> u64 {
        2 * page() as u64
    }

    /// Adds the seals, and returns the file.
    fn sealed(&self) -> Try<&MemFile> {
        match self.file.add_seals(Seals::from_bits_retain(self.seals as u32)) {
            Ok(()) => Ok(&self.file),
            Err(error) if error.is_unsupported() => skip("no such seal here"),
            Err(error) => Err(error.into()),
        }
    }

    fn reopened(&self, flags: OFlags) -> Try<OwnedFd> {
        reopen(self.sealed()?, flags)
    }

    /// A read-only shared map of the sealed file through its writable descriptor.
    fn shared_read(&self) -> Try<Map> {
        match Map::shared(self.sealed()?, page(), ProtFlags::READ) {
            Err(Stop::Errno(Errno::PERM)) => skip("no shared map of a write-sealed file here"),
            result => result,
        }
    }

    /// Checks that the length and every byte are unchanged.
    fn unchanged(&self) -> Try<()> {
        same("length", self.file.len()?, Self::len())?;
        let mut bytes = vec![0; 2 * page()];
        self.file.read_exact_at(&mut bytes, 0)?;
        same("bytes", bytes.iter().all(|&byte| byte == b'A'), true)
    }
}

type Operation = fn(&Case) -> Try;

/// The name of each operation, its expected result in each column, and the operation.
#[rustfmt::skip]
const MATRIX: &[(&str, &str, Operation)] = &[
    //                              none WRITE FUTURE SHRINK GROW ALL
    ("read",                        ".   .   .   .   .   .", read),
    ("pread",                       ".   .   .   .   .   .", pread),
    ("readv",                       ".   .   .   .   .   .", readv),
    ("sendfile-out",                ".   .   .   .   .   .", sendfile_out),
    ("splice-out",                  ".   .   .   .   .   .", splice_out),
    ("copy_file_range-out",         ".   .   .   .   .   .", copy_file_range_out),
    ("write",                       ".   E   E   .   .   E", write),
    ("pwrite",                      ".   E   E   .   .   E", pwrite),
    ("writev",                      ".   E   E   .   .   E", writev),
    ("pwritev2",                    ".   E   E   .   .   E", pwritev2),
    ("write-by-O_WRONLY",           ".   E   E   .   .   E", write_by_write_only),
    ("write-of-nothing",            ".   .   .   .   .   .", write_of_nothing),
    ("pwrite-past-end",             ".   E   E   .   E   E", pwrite_past_end),
    ("write-append",                ".   E   E   .   E   E", write_append),
    ("pwrite-across-end",           ".   E   E   .   g   E", pwrite_across_end),
    ("pwrite-within-last-page",     ".   E   E   .   g   E", pwrite_within_last_page),
    ("sendfile-into",               ".   E   E   .   .   E", |case| sendfile_into(case, 0)),
    ("sendfile-into-end",           ".   E   E   .   E   E", |case| sendfile_into(case, Case::len())),
    ("splice-into",                 ".   E   E   .   .   E", |case| splice_into(case, 0)),
    ("splice-into-end",             ".   E   E   .   E   E", |case| splice_into(case, Case::len())),
    ("copy_file_range-into",        ".   E   E   .   .   E", |case| copy_file_range_into(case, 0)),
    ("copy_file_range-into-end",    ".   E   E   .   E   E", |case| copy_file_range_into(case, Case::len())),
    ("copy_from-into",              ".   E   E   .   .   E", copy_from),
    ("set_len-same",                ".   .   .   .   .   .", |case| set_len(case, Case::len())),
    ("set_len-smaller",             ".   .   .   E   .   E", |case| set_len(case, 5)),
    ("set_len-zero",                ".   .   .   E   .   E", |case| set_len(case, 0)),
    ("set_len-larger",              ".   .   .   .   E   E", |case| set_len(case, Case::len() + 1)),
    ("open-O_TRUNC-O_RDWR",         ".   .   .   E   .   E", |case| truncate_by_open(case, OFlags::RDWR)),
    ("open-O_TRUNC-O_RDONLY",       ".   .   .   E   .   E", |case| truncate_by_open(case, OFlags::RDONLY)),
    ("open-O_TRUNC-empty",          ".   .   .   .   .   .", truncate_empty),
    ("open-O_RDONLY",               ".   .   .   .   .   .", |case| case.reopened(OFlags::RDONLY).map(|_| 0)),
    ("open-O_RDWR",                 ".   .   .   .   .   .", |case| case.reopened(OFlags::RDWR).map(|_| 0)),
    ("open-O_WRONLY",               ".   .   .   .   .   .", |case| case.reopened(OFlags::WRONLY).map(|_| 0)),
    ("open-O_APPEND",               ".   .   .   .   .   .", |case| case.reopened(OFlags::WRONLY | OFlags::APPEND).map(|_| 0)),
    ("allocate-within",             ".   .   .   .   .   .", |case| allocate(case, Case::len())),
    ("allocate-past-end",           ".   .   .   .   E   E", |case| allocate(case, Case::len() + 1)),
    ("allocate-fills-holes",        ".   .   .   .   .   .", allocate_holes),
    ("fallocate-KEEP-within",       ".   .   .   .   .   .", |case| fallocate(case, FallocateFlags::KEEP_SIZE, 0)),
    ("fallocate-KEEP-past-end",     ".   .   .   .   E   E", |case| fallocate(case, FallocateFlags::KEEP_SIZE, Case::len())),
    ("punch-hole",                  ".   E   E   .   .   E", |case| fallocate(case, PUNCH, 0)),
    ("punch-hole-past-end",         ".   E   E   .   .   E", |case| fallocate(case, PUNCH, Case::len())),
    ("punch-hole-without-KEEP",     "O   O   O   O   O   O", |case| fallocate(case, FallocateFlags::PUNCH_HOLE, 0)),
    ("zero-range",                  "O   O   O   O   O   O", |case| fallocate(case, FallocateFlags::ZERO_RANGE, 0)),
    ("collapse-range",              "O   O   O   O   O   O", |case| fallocate(case, FallocateFlags::COLLAPSE_RANGE, 0)),
    ("insert-range",                "O   O   O   O   O   O", |case| fallocate(case, FallocateFlags::INSERT_RANGE, 0)),
    ("map-shared-R",                ".   m   .   .   .   m", |case| map(case, ProtFlags::READ, MapFlags::SHARED)),
    ("map-shared-RW",               ".   E   E   .   .   E", |case| map(case, RW, MapFlags::SHARED)),
    ("map-shared-W",                ".   E   E   .   .   E", |case| map(case, ProtFlags::WRITE, MapFlags::SHARED)),
    ("map-shared-validate-RW",      ".   E   E   .   .   E", |case| map(case, RW, MapFlags::SHARED_VALIDATE)),
    ("map-shared-none",             ".   m   .   .   .   m", |case| map(case, ProtFlags::empty(), MapFlags::SHARED)),
    ("map-shared-R-by-O_RDONLY",    ".   .   .   .   .   .", |case| map_read_only(case, ProtFlags::READ)),
    ("map-shared-RW-by-O_RDONLY",   "A   A   A   A   A   A", |case| map_read_only(case, RW)),
    ("map-private-R",               ".   .   .   .   .   .", |case| map(case, ProtFlags::READ, MapFlags::PRIVATE)),
    ("map-private-RW",              ".   .   .   .   .   .", map_private_write),
    ("map-private-RX",              ".   .   .   .   .   .", |case| map(case, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE)),
    ("mprotect-RW-of-shared-R",     ".   A   A   .   .   A", |case| case.shared_read()?.protect(MprotectFlags::READ | MprotectFlags::WRITE)),
    ("mprotect-RW-by-O_RDONLY",     "A   A   A   A   A   A", mprotect_read_only),
    ("mprotect-RW-of-private-R",    ".   .   .   .   .   .", mprotect_private),
    ("mprotect-RX-of-shared-R",     ".   .   .   .   .   .", |case| case.shared_read()?.protect(MprotectFlags::READ | MprotectFlags::EXEC)),
    ("mremap-grow-shared-R",        ".   .   .   .   .   .", |case| case.shared_read()?.remap(2 * page()).map(|_| 0)),
    ("mremap-shrink-shared-R",      ".   .   .   .   .   .", mremap_shrink),
    ("mremap-duplicate-shared-R",   ".   .   .   .   .   .", |case| case.shared_read()?.duplicate().map(|_| 0)),
    ("mprotect-RW-of-duplicate",    ".   A   A   .   .   A", |case| case.shared_read()?.duplicate()?.protect(MprotectFlags::READ | MprotectFlags::WRITE)),
    ("MADV_REMOVE-shared-R",        "r   A   A   r   r   A", |case| case.shared_read()?.advise(Advice::LinuxRemove)),
    ("MADV_REMOVE-old-shared-RW",   ".   -   E   .   .   -", remove_by_old_map),
    ("MADV_DONTNEED-shared-R",      ".   .   .   .   .   .", dontneed),
    ("MADV_FREE-shared-R",          "I   I   I   I   I   I", |case| case.shared_read()?.advise(Advice::LinuxFree)),
    ("MADV_POPULATE_READ",          ".   .   .   .   .   .", |case| populate(case, Advice::LinuxPopulateRead)),
    ("MADV_POPULATE_WRITE-of-R",    "I   I   I   I   I   I", |case| populate(case, Advice::LinuxPopulateWrite)),
    ("ftruncate-by-O_RDONLY",       "I   I   I   I   I   I", |case| Ok(rustix::fs::ftruncate(case.reopened(OFlags::RDONLY)?, 1).map(|()| 0)?)),
    ("fallocate-by-O_RDONLY",       "B   B   B   B   B   B", |case| Ok(rustix::fs::fallocate(case.reopened(OFlags::RDONLY)?, FallocateFlags::empty(), 0, 1).map(|()| 0)?)),
    ("pwrite-by-O_RDONLY",          "B   B   B   B   B   B", |case| Ok(rustix::io::pwrite(case.reopened(OFlags::RDONLY)?, b"B", 0)? as u64)),
    ("fchmod",                      ".   .   .   .   .   .", |case| Ok(rustix::fs::fchmod(case.sealed()?, Mode::from_raw_mode(0o600)).map(|()| 0)?)),
    ("fchown",                      ".   .   .   .   .   .", |case| Ok(rustix::fs::fchown(case.sealed()?, None, None).map(|()| 0)?)),
    ("futimens",                    ".   .   .   .   .   .", futimens),
    ("fsetxattr",                   "x   x   x   x   x   x", |case| Ok(rustix::fs::fsetxattr(case.sealed()?, "user.a", b"1", XattrFlags::empty()).map(|()| 0)?)),
    ("fsync",                       ".   .   .   .   .   .", |case| Ok(rustix::fs::fsync(case.sealed()?).map(|()| 0)?)),
    ("seek-data",                   ".   .   .   .   .   .", |case| Ok(rustix::fs::seek(case.sealed()?, At::Data(0))?)),
];

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);
const PUNCH: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

pub(crate) fn rows(table: &mut Table) {
    for &(name, signs, operation) in MATRIX {
        for ((column, seals), sign) in COLUMNS.into_iter().zip(signs.split_whitespace()) {
            let Some(expect) = expect(sign) else { continue };
            table.row(format!("1.3/{name}/{column}"), expect, move || {
                let case = Case::new(seals)?;
                let result = operation(&case);
                // An operation that was refused must not have changed anything.
                if matches!(result, Err(Stop::Errno(_))) {
                    case.unchanged()?;
                }
                result
            });
        }
    }
}

fn read(case: &Case) -> Try {
    let mut bytes = vec![0; 2 * page() + 1];
    case.file.as_file().seek(SeekFrom::Start(0))?;
    same("count", case.sealed()?.read(&mut bytes)?, 2 * page())?;
    same("bytes", bytes[..2 * page()].iter().all(|&byte| byte == b'A'), true)?;
    Ok(0)
}

fn pread(case: &Case) -> Try {
    let mut bytes = [0; 10];
    same("at the end", case.sealed()?.read_at(&mut bytes, Case::len() - 4)?, 4)?;
    same("past the end", case.file.read_at(&mut bytes, Case::len())?, 0)?;
    Ok(0)
}

fn readv(case: &Case) -> Try {
    let (mut a, mut b) = ([0; 3], [0; 3]);
    case.file.as_file().seek(SeekFrom::Start(0))?;
    let mut parts = [std::io::IoSliceMut::new(&mut a), std::io::IoSliceMut::new(&mut b)];
    same("count", case.sealed()?.read_vectored(&mut parts)?, 6)?;
    same("bytes", [a, b], [[b'A'; 3]; 2])?;
    Ok(0)
}

fn sendfile_out(case: &Case) -> Try {
    let (_reader, writer) = rustix::pipe::pipe()?;
    same("count", rustix::fs::sendfile(writer, case.sealed()?, Some(&mut 0), 100)?, 100)?;
    Ok(0)
}

fn splice_out(case: &Case) -> Try {
    let (_reader, writer) = rustix::pipe::pipe()?;
    let count = rustix::pipe::splice(case.sealed()?, Some(&mut 0), writer, None, 100, SpliceFlags::empty())?;
    same("count", count, 100)?;
    Ok(0)
}

fn copy_file_range_out(case: &Case) -> Try {
    let target = MemFile::create_default("target")?;
    let count = rustix::fs::copy_file_range(case.sealed()?, Some(&mut 0), &target, Some(&mut 0), 100)?;
    same("count", count, 100)?;
    Ok(0)
}

/// Checks that ten bytes have changed.
fn changed(case: &Case, offset: u64) -> Try {
    let mut bytes = [0; 10];
    case.file.read_exact_at(&mut bytes, offset)?;
    same("bytes", bytes, [b'B'; 10])?;
    Ok(0)
}

const TEN: [u8; 10] = [b'B'; 10];

fn write(case: &Case) -> Try {
    case.file.as_file().seek(SeekFrom::Start(7))?;
    case.sealed()?.write_all(&TEN)?;
    changed(case, 7)
}

fn pwrite(case: &Case) -> Try {
    case.sealed()?.write_all_at(&TEN, 7)?;
    changed(case, 7)
}

fn writev(case: &Case) -> Try {
    case.file.as_file().seek(SeekFrom::Start(7))?;
    let parts = [IoSlice::new(&TEN[..4]), IoSlice::new(&TEN[4..])];
    same("count", case.sealed()?.write_vectored(&parts)?, 10)?;
    changed(case, 7)
}

fn pwritev2(case: &Case) -> Try {
    let count = rustix::io::pwritev2(case.sealed()?, &[IoSlice::new(&TEN)], 7, ReadWriteFlags::empty())?;
    same("count", count, 10)?;
    changed(case, 7)
}

fn write_by_write_only(case: &Case) -> Try {
    same("count", rustix::io::pwrite(case.reopened(OFlags::WRONLY)?, &TEN, 7)?, 10)?;
    changed(case, 7)
}

fn write_of_nothing(case: &Case) -> Try {
    Ok(case.sealed()?.write_at(&[], 0)? as u64)
}

fn pwrite_past_end(case: &Case) -> Try {
    case.sealed()?.write_all_at(&TEN, Case::len())?;
    changed(case, Case::len())
}

fn write_append(case: &Case) -> Try {
    same("count", rustix::io::write(case.reopened(OFlags::WRONLY | OFlags::APPEND)?, &TEN)?, 10)?;
    changed(case, Case::len())
}

/// Writes the last page of the file and one past its end. Under Grow, the value of the row is how many bytes were
/// written.
fn pwrite_across_end(case: &Case) -> Try {
    let count = case.sealed()?.write_at(&vec![b'B'; 2 * page()], page() as u64)?;
    grown_or_short(case, count, 2 * page())
}

/// Writes the last five bytes of the file and five past its end.
fn pwrite_within_last_page(case: &Case) -> Try {
    let count = case.sealed()?.write_at(&TEN, Case::len() - 5)?;
    grown_or_short(case, count, 10)
}

fn grown_or_short(case: &Case, count: usize, asked: usize) -> Try {
    if case.seals & GROW == 0 {
        same("count", count, asked)?;
        return Ok(0);
    }
    same("length", case.file.len()?, Case::len())?;
    Ok(count as u64)
}

fn source() -> Try<MemFile> {
    let file = MemFile::create_default("source")?;
    file.write_all_at(&TEN, 0)?;
    Ok(file)
}

fn sendfile_into(case: &Case, offset: u64) -> Try {
    case.file.as_file().seek(SeekFrom::Start(offset))?;
    same("count", rustix::fs::sendfile(case.sealed()?, source()?, Some(&mut 0), 10)?, 10)?;
    changed(case, offset)
}

fn splice_into(case: &Case, offset: u64) -> Try {
    let (reader, writer) = rustix::pipe::pipe()?;
    rustix::io::write(&writer, &TEN)?;
    let count =
        rustix::pipe::splice(reader, None, case.sealed()?, Some(&mut offset.clone()), 10, SpliceFlags::empty())?;
    same("count", count, 10)?;
    changed(case, offset)
}

fn copy_file_range_into(case: &Case, offset: u64) -> Try {
    let count = rustix::fs::copy_file_range(source()?, Some(&mut 0), case.sealed()?, Some(&mut offset.clone()), 10)?;
    same("count", count, 10)?;
    changed(case, offset)
}

fn copy_from(case: &Case) -> Try {
    case.file.as_file().seek(SeekFrom::Start(0))?;
    same("count", case.sealed()?.copy_from(source()?, u64::MAX)?, 10)?;
    changed(case, 0)
}

fn set_len(case: &Case, len: u64) -> Try {
    case.sealed()?.set_len(len)?;
    same("length", case.file.len()?, len)?;
    Ok(0)
}

fn truncate_by_open(case: &Case, flags: OFlags) -> Try {
    case.reopened(flags | OFlags::TRUNC)?;
    Ok(case.file.len()?)
}

fn truncate_empty(case: &Case) -> Try {
    case.file.set_len(0)?;
    case.reopened(OFlags::RDWR | OFlags::TRUNC).map(|_| 0)
}

fn allocate(case: &Case, len: u64) -> Try {
    case.sealed()?.allocate(0, len)?;
    same("length", case.file.len()?, len)?;
    Ok(0)
}

/// Holes can be filled under any seals.
fn allocate_holes(case: &Case) -> Try {
    case.file.set_len(0)?;
    case.file.set_len(Case::len())?;
    same("blocks before", rustix::fs::fstat(&case.file)?.st_blocks as u64, 0)?;
    case.sealed()?.allocate(0, Case::len())?;
    same("blocks", rustix::fs::fstat(&case.file)?.st_blocks as u64 * 512 >= Case::len(), true)?;
    Ok(0)
}

fn fallocate(case: &Case, mode: FallocateFlags, offset: u64) -> Try {
    rustix::fs::fallocate(case.sealed()?, mode, offset, page() as u64)?;
    same("length", case.file.len()?, Case::len())?;
    Ok(0)
}

fn map(case: &Case, protection: ProtFlags, flags: MapFlags) -> Try {
    let map = Map::new(case.sealed()?, page(), protection, flags)?;
    if protection.contains(ProtFlags::READ) {
        same("byte", map.get(0), b'A')?;
    }
    Ok(0)
}

fn map_read_only(case: &Case, protection: ProtFlags) -> Try {
    Map::shared(case.reopened(OFlags::RDONLY)?, page(), protection).map(|_| 0)
}

fn map_private_write(case: &Case) -> Try {
    let map = Map::private(case.sealed()?, page(), RW)?;
    map.set(0, b'B');
    same("own", map.get(0), b'B')?;
    case.unchanged()?;
    Ok(0)
}

fn mprotect_read_only(case: &Case) -> Try {
    Map::shared(case.reopened(OFlags::RDONLY)?, page(), ProtFlags::READ)?
        .protect(MprotectFlags::READ | MprotectFlags::WRITE)
}

fn mprotect_private(case: &Case) -> Try {
    let map = Map::private(case.sealed()?, page(), ProtFlags::READ)?;
    map.protect(MprotectFlags::READ | MprotectFlags::WRITE)?;
    map.set(0, b'B');
    case.unchanged()?;
    Ok(0)
}

fn mremap_shrink(case: &Case) -> Try {
    let map = case.shared_read()?.remap(2 * page())?.remap(page())?;
    same("byte", map.get(page() - 1), b'A')?;
    Ok(0)
}

fn remove_by_old_map(case: &Case) -> Try {
    let map = Map::shared(&case.file, page(), RW)?;
    case.sealed()?;
    map.advise(Advice::LinuxRemove)?;
    same("byte", map.get(0), 0)?;
    Ok(0)
}

fn dontneed(case: &Case) -> Try {
    let map = case.shared_read()?;
    map.advise(Advice::LinuxDontNeed)?;
    same("byte", map.get(0), b'A')?;
    Ok(0)
}

fn populate(case: &Case, advice: Advice) -> Try {
    crate::probe::needs("MADV_POPULATE_READ")?;
    case.shared_read()?.advise(advice)
}

fn futimens(case: &Case) -> Try {
    let time = Timespec { tv_sec: 1, tv_nsec: 0 };
    rustix::fs::futimens(case.sealed()?, &Timestamps { last_access: time, last_modification: time })?;
    same("mtime", rustix::fs::fstat(&case.file)?.st_mtime as u64, 1)?;
    Ok(0)
}
