//! Files of huge pages (1.8). There must be free huge pages: set `hugepages=8` on the kernel's command
//! line, or write to `/proc/sys/vm/nr_hugepages`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use memfile::{CreateOptions, Holes, HugeTlb, MemFile, SealedFile};
use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::probe::{FUTURE_WRITE, GROW, MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_HUGETLB, SHRINK, WRITE, needs, reopen};
use crate::raw::{self, Map};
use crate::table::{EBUSY, EINVAL, EPERM, Expect, OK, Stop, Table, Try, defect, one_of, same, skip};

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Locks the pool of huge pages until this program ends. The crate's tests, which change the number of pages, take the
/// same lock.
fn hold_pool() {
    static POOL: OnceLock<Option<File>> = OnceLock::new();
    POOL.get_or_init(|| {
        let pool = File::open("/proc/sys/vm/nr_hugepages").ok()?;
        rustix::fs::flock(&pool, FlockOperation::LockExclusive).ok()?;
        Some(pool)
    });
}

/// An empty file of huge pages, and the size of a page.
fn empty() -> Try<(OwnedFd, usize)> {
    hold_pool();
    let fd = raw::memfd(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB).or_else(|_| skip("no huge pages here"))?;
    let page = rustix::fs::fstat(&fd)?.st_blksize as usize;
    Ok((fd, page))
}

/// A file with one allocated huge page, and the size of a page. Two pages must be free.
fn filled() -> Try<(OwnedFd, usize)> {
    let (fd, page) = empty()?;
    rustix::fs::ftruncate(&fd, 2 * page as u64)?;
    match rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, 2 * page as u64) {
        Ok(()) => {}
        Err(Errno::NOSPC | Errno::NOMEM) => return skip("no free huge pages"),
        Err(errno) => return Err(errno.into()),
    }
    rustix::fs::fallocate(&fd, PUNCH, page as u64, page as u64)?;
    rustix::fs::ftruncate(&fd, page as u64)?;
    Ok((fd, page))
}

const PUNCH: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);

fn sealed(seals: u64) -> Try<(OwnedFd, usize)> {
    if seals & FUTURE_WRITE != 0 {
        needs("FutureWrite")?;
    }
    let (fd, page) = filled()?;
    raw::add_seals(&fd, seals)?;
    Ok((fd, page))
}

pub(crate) fn rows(table: &mut Table) {
    table.row("1.8/type", Expect::Value(0x9584_58f6), || Ok(rustix::fs::fstatfs(empty()?.0)?.f_type as u64));
    table.row("1.8/write", EINVAL, || Ok(rustix::io::pwrite(empty()?.0, b"A", 0)? as u64));
    table.row("1.8/crate-write", EINVAL, || {
        let file = CreateOptions::new().huge_tlb(HugeTlb::Default).create("huge").or_else(|_| skip("no huge pages"))?;
        match file.write_at(b"A", 0) {
            Err(error) => {
                same("message", error.to_string().contains("does not support write(2)"), true)?;
                Err(error.into())
            }
            Ok(count) => Ok(count as u64),
        }
    });
    table.row("1.8/ftruncate-unaligned", EINVAL, || Ok(rustix::fs::ftruncate(empty()?.0, 1).map(|()| 0)?));
    table.row("1.8/ftruncate-aligned", OK, || {
        let (fd, page) = empty()?;
        Ok(rustix::fs::ftruncate(fd, page as u64).map(|()| 0)?)
    });
    table.row("1.8/read-hole", OK, || {
        let (fd, page) = empty()?;
        rustix::fs::ftruncate(&fd, page as u64)?;
        let mut bytes = [1; 8];
        same("count", rustix::io::pread(&fd, &mut bytes, 0)?, 8)?;
        same("bytes", bytes, [0; 8])?;
        Ok(0)
    });
    table.row("1.8/read-data", OK, || {
        let (fd, page) = filled()?;
        Map::shared(&fd, page, RW)?.set(5, b'A');
        let mut byte = [0];
        rustix::io::pread(&fd, &mut byte, 5)?;
        same("byte", byte, *b"A")?;
        Ok(0)
    });
    table.row("1.8/map-offset-unaligned", EINVAL, || {
        let (fd, page) = filled()?;
        Map::at(&fd, page, ProtFlags::READ, MapFlags::SHARED, 4096).map(|_| 0)
    });
    table.row("1.8/munmap-part-of-a-page", EINVAL, || {
        let (fd, page) = filled()?;
        Map::shared(&fd, page, ProtFlags::READ)?.unmap_part(page / 4)
    });
    no_free_pages(table);
    seals(table);
    by_the_crate(table);
}

/// A file that is longer than all huge pages of any machine, and its length.
fn too_long() -> Try<(OwnedFd, usize)> {
    let (fd, _) = empty()?;
    let len = 1_usize << if cfg!(target_pointer_width = "64") { 44 } else { 31 };
    rustix::fs::ftruncate(&fd, len as u64)?;
    Ok((fd, len))
}

fn no_free_pages(table: &mut Table) {
    table.row("1.8/none-free/map-shared", Expect::Errno(Errno::NOMEM), || {
        let (fd, len) = too_long()?;
        Map::shared(fd, len, RW).map(|_| 0)
    });
    table.row("1.8/none-free/map-private", Expect::Errno(Errno::NOMEM), || {
        let (fd, len) = too_long()?;
        Map::private(fd, len, RW).map(|_| 0)
    });
    table.row("1.8/none-free/fallocate", Expect::Errno(Errno::NOSPC), || {
        let (fd, len) = too_long()?;
        // In a child, so that its pages are freed when it ends.
        raw::in_child(|| Ok(rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, len as u64).map(|()| 0)?))
    });
    table.row("1.8/none-free/noreserve-touched", Expect::Signal(libc::SIGBUS), || {
        let (fd, page) = empty()?;
        if part_of_a_page().is_ok() {
            return skip("huge pages are free");
        }
        rustix::fs::ftruncate(&fd, page as u64)?;
        let map = Map::new(&fd, page, ProtFlags::READ, MapFlags::SHARED | MapFlags::NORESERVE)?;
        raw::in_child(|| Ok(u64::from(map.get(0))))
    });
}

fn seals(table: &mut Table) {
    let seals = [("none", 0), ("WRITE", WRITE), ("FUTURE_WRITE", FUTURE_WRITE), ("SHRINK", SHRINK), ("GROW", GROW)];
    let expect = |sign: &str| if sign == "E" { EPERM } else { OK };
    type Operation = fn(&OwnedFd, usize) -> Try;
    #[rustfmt::skip]
    let operations: [(&str, &str, Operation); 5] = [
        //               none WRITE FUTURE SHRINK GROW
        ("map-RW",      ".   E   E   .   .", |fd, page| Map::shared(fd, page, RW).map(|_| 0)),
        ("punch",       ".   E   E   .   .", |fd, page| Ok(rustix::fs::fallocate(fd, PUNCH, 0, page as u64).map(|()| 0)?)),
        ("shrink",      ".   .   .   E   .", |fd, _| Ok(rustix::fs::ftruncate(fd, 0).map(|()| 0)?)),
        ("grow",        ".   .   .   .   E", |fd, page| Ok(rustix::fs::ftruncate(fd, 2 * page as u64).map(|()| 0)?)),
        ("fallocate",   ".   .   .   .   E", |fd, page| Ok(rustix::fs::fallocate(fd, FallocateFlags::empty(), page as u64, page as u64).map(|()| 0)?)),
    ];
    for (operation, signs, call) in operations {
        for ((name, bits), sign) in seals.into_iter().zip(signs.split_whitespace()) {
            table.row(format!("1.8/{operation}/{name}"), expect(sign), move || {
                let (fd, page) = sealed(bits)?;
                call(&fd, page)
            });
        }
    }
    table.row("1.8/busy/shared-RW", EBUSY, || {
        let (fd, page) = filled()?;
        let _map = Map::shared(&fd, page, RW)?;
        raw::add_seals(&fd, WRITE)
    });
    for (name, flags) in [("O_RDWR", OFlags::RDWR), ("O_RDONLY", OFlags::RDONLY)] {
        // The file should keep its length, but a private mapping extends it (`i_size` in `hugetlbfs_file_mmap`).
        table.row(format!("1.8/grow-by-private-map/{name}"), defect(OK, Expect::Value(1)), move || {
            let (fd, page) = sealed(0xf)?;
            let fd = reopen(&fd, flags)?;
            let _map = Map::new(&fd, 2 * page, RW, MapFlags::PRIVATE | MapFlags::NORESERVE)?;
            Ok(u64::from(rustix::fs::fstat(&fd)?.st_size as usize > page))
        });
    }
    // The page is allocated, but Linux 5.10 treats it as past the end. This is fixed in 6.1.
    for (name, flags) in [("shared", MapFlags::SHARED), ("private", MapFlags::PRIVATE | MapFlags::NORESERVE)] {
        table.row(format!("1.8/part-of-a-page/read/{name}"), defect(OK, Expect::Signal(libc::SIGBUS)), move || {
            let (fd, page) = part_of_a_page()?;
            let map = Map::new(&fd, page, ProtFlags::READ, flags)?;
            raw::in_child(|| Ok(u64::from(map.get(0))))
        });
    }
    table.row("1.8/read-only-private-map-does-not-grow", OK, || {
        let (fd, page) = sealed(0xf)?;
        let _map = Map::new(&fd, 2 * page, ProtFlags::READ, MapFlags::PRIVATE | MapFlags::NORESERVE);
        same("length", rustix::fs::fstat(&fd)?.st_size as usize, page)?;
        Ok(0)
    });
    table.row("1.8/map-shared-R-of-sealed", one_of([OK, EPERM]), || {
        let (fd, page) = sealed(0xf)?;
        Map::shared(&fd, page, ProtFlags::READ).map(|_| 0)
    });
}

/// A file that ends within its only page. `ftruncate` refuses such a length, but `fallocate` sets it.
fn part_of_a_page() -> Try<(OwnedFd, usize)> {
    let (fd, page) = empty()?;
    match rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, 5000) {
        Err(Errno::NOSPC) => skip("no free huge pages"),
        result => Ok(result.map(|()| (fd, page))?),
    }
}

fn by_the_crate(table: &mut Table) {
    fn built(len: usize) -> Try<SealedFile> {
        let options = SealedFile::options().create_options(CreateOptions::new().huge_tlb(HugeTlb::Default));
        match options.create_with("huge", len, |bytes| bytes.fill(7)) {
            Err(error) if error.is_unsupported() || error.raw_os_error() == Some(libc::ENOMEM) => {
                skip("no free huge pages")
            }
            result => Ok(result?),
        }
    }
    table.row("1.8/crate/create_with", Expect::Value(5000), || {
        let file = built(5000)?;
        same("bytes", file.map()?.iter().all(|&byte| byte == 7), true)?;
        Ok(file.len())
    });
    table.row("1.8/crate/map-unmapped-whole", OK, || {
        let file = built(5000)?;
        let map = file.map()?;
        match file.map_copy_on_write() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                return skip("one free huge page, and no other");
            }
            copy => drop((map, copy?)),
        }
        let maps = std::fs::read_to_string("/proc/self/maps").or_else(|_| skip("no /proc"))?;
        same("mappings left", maps.matches("memfd:huge").count(), 0)?;
        Ok(0)
    });
    table.row("1.8/crate/copy-on-write-keeps-the-file", OK, || {
        let file = built(5000)?;
        let mut map = match file.map_copy_on_write() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => return skip("no free huge pages"),
            result => result?,
        };
        map[0] = 1;
        same("byte", file.map()?[0], 7)?;
        Ok(0)
    });
    table.row("1.8/crate/part-of-a-page", Expect::Message("ends inside a huge page"), || {
        let (fd, _) = part_of_a_page()?;
        SealedFile::options().holes(Holes::Accept).seal(fd)?;
        Ok(0)
    });
    table.row("1.8/crate/set_len-unaligned", EINVAL, || match MemFile::from_fd(empty()?.0)?.set_len(1) {
        Err(error) => {
            same("message", error.to_string().contains("not a multiple of the file's huge page size"), true)?;
            Err(error.into())
        }
        Ok(()) => Err(Stop::Wrong("set".into())),
    });
}
