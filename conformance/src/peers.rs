//! What a peer can still do with a file that has all seals (8).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use memfile::{Cause, Holes, MemFile, SealedFile, Seals};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::mm::{Advice, ProtFlags};

use crate::probe::{GROW, SEAL, SHRINK, WRITE, fill, needs, page, reopen, sealable};
use crate::raw::{self, Map};
use crate::table::{EWOULDBLOCK, OK, Table, Try, same, skip};

const ALL: u64 = SEAL | SHRINK | GROW | WRITE;

pub(crate) fn rows(table: &mut Table) {
    clean_pages(table);
    leases(table);
    descriptors(table);
}

/// A sealable file of two pages that are not allocated.
fn hole() -> Try<OwnedFd> {
    let fd = sealable()?;
    rustix::fs::ftruncate(&fd, 0)?;
    rustix::fs::ftruncate(&fd, 2 * page() as u64)?;
    Ok(fd)
}

fn bytes_allocated(fd: impl AsFd) -> Try {
    Ok(rustix::fs::fstat(fd)?.st_blocks as u64 * 512)
}

/// Whether at least the length is allocated. Huge pages can make it more.
fn is_allocated(fd: impl AsFd) -> Try<bool> {
    Ok(bytes_allocated(fd)? >= 2 * page() as u64)
}

/// The peer's map, through a read-only descriptor, with which every kernel maps a write-sealed file.
fn read_only_map(fd: impl AsFd) -> Try<Map> {
    Map::shared(reopen(fd, OFlags::RDONLY)?, 2 * page(), ProtFlags::READ)
}

/// Allocates the pages by reading them, and unmaps them: `MADV_PAGEOUT` skips pages that are mapped twice.
fn read_holes(fd: impl AsFd) -> Try<()> {
    let map = read_only_map(fd)?;
    same("bytes", (map.get(0), map.get(page())), (0, 0))
}

/// Asks the kernel to drop the pages, as any process that maps the file can do. Returns how many bytes stay allocated.
fn page_out(fd: impl AsFd) -> Try {
    let map = read_only_map(&fd)?;
    // The kernel only drops pages that this map has touched.
    same("bytes", map.get(0), map.get(page()))?;
    same("allocated before", is_allocated(&fd)?, true)?;
    map.advise(Advice::LinuxPageOut)?;
    bytes_allocated(&fd)
}

/// Pages that were allocated by reading are clean, so the kernel may drop them, and `st_blocks` of a sealed file can
/// decrease. Pages that were allocated by writing or by `fallocate` are dirty and stay.
fn clean_pages(table: &mut Table) {
    table.row("8/clean-pages/read-fault-vanishes", OK, || {
        needs("MADV_PAGEOUT")?;
        let fd = hole()?;
        raw::add_seals(&fd, ALL)?;
        page_out(&fd)
    });
    table.row("8/clean-pages/MADV_POPULATE_READ-vanishes", OK, || {
        needs("MADV_PAGEOUT")?;
        needs("MADV_POPULATE_READ")?;
        let fd = hole()?;
        raw::add_seals(&fd, ALL)?;
        read_only_map(&fd)?.advise(Advice::LinuxPopulateRead)?;
        page_out(&fd)
    });
    type Allocate = fn(&OwnedFd) -> Try;
    let stay: [(&str, Allocate); 3] = [
        ("write", |fd| fill(fd)),
        ("fallocate", |fd| {
            rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, 2 * page() as u64)?;
            Ok(0)
        }),
        // The hole is read first. `fallocate` then makes the clean pages dirty.
        ("fallocate-after-reading", |fd| {
            read_holes(fd)?;
            rustix::fs::fallocate(fd, FallocateFlags::empty(), 0, 2 * page() as u64)?;
            Ok(0)
        }),
    ];
    for (name, allocate) in stay {
        table.row(format!("8/dirty-pages/{name}-stays"), OK, move || {
            needs("MADV_PAGEOUT")?;
            let fd = hole()?;
            allocate(&fd)?;
            raw::add_seals(&fd, ALL)?;
            page_out(&fd)?;
            same("allocated", is_allocated(&fd)?, true)?;
            Ok(0)
        });
    }
    table.row("8/clean-pages/crate-Holes::Refuse-and-then-they-vanish", OK, || {
        needs("MADV_PAGEOUT")?;
        let fd = hole()?;
        raw::add_seals(&fd, ALL)?;
        read_holes(&fd)?;
        page_out(SealedFile::try_from(fd)?)
    });
    type Seal = fn(OwnedFd) -> Try<SealedFile>;
    let settle: [(&str, Seal); 3] = [
        ("Holes::Allocate", |fd| {
            raw::add_seals(&fd, ALL)?;
            Ok(SealedFile::options().holes(Holes::Allocate).verify(fd)?)
        }),
        ("Holes::Populate", |fd| {
            raw::add_seals(&fd, ALL)?;
            Ok(SealedFile::options().holes(Holes::Populate).verify(fd)?)
        }),
        ("into_sealed", |fd| Ok(MemFile::from_fd(fd)?.into_sealed()?)),
    ];
    for (name, seal) in settle {
        table.row(format!("8/clean-pages/crate-{name}-makes-them-stay"), OK, move || {
            needs("MADV_PAGEOUT")?;
            let fd = hole()?;
            read_holes(&fd)?;
            let file = seal(fd)?;
            page_out(&file)?;
            same("allocated", is_allocated(&file)?, true)?;
            same("sealed", file.get_seals()?.contains(Seals::CONSTANT), true)?;
            Ok(0)
        });
    }
}

/// While the owner holds a write lease, opening the file waits for up to `fs.lease-break-time`.
fn leases(table: &mut Table) {
    /// The file, and the descriptor that holds the lease. That one is opened by path: the kernel does not count the
    /// descriptor of `memfd_create` as a writer, and then refuses the lease because there is one too many.
    fn leased() -> Try<(OwnedFd, OwnedFd)> {
        let fd = sealable()?;
        let owner = reopen(&fd, OFlags::RDONLY)?;
        match raw::set_write_lease(&owner) {
            Ok(_) => Ok((fd, owner)),
            Err(stop) => skip(format!("no lease can be taken here (F_SETLEASE: {stop})")),
        }
    }
    table.row("8/lease/open-with-O_NONBLOCK", EWOULDBLOCK, || {
        let (fd, _owner) = leased()?;
        reopen(fd, OFlags::RDONLY | OFlags::NONBLOCK).map(|_| 0)
    });
    table.row("8/lease/seals-and-fstat-do-not-wait", OK, || {
        let (fd, _owner) = leased()?;
        same("seals", raw::get_seals(&fd)? & WRITE, 0)?;
        same("allocated", is_allocated(&fd)?, true)?;
        Ok(0)
    });
    table.row("8/lease/crate-reopen_read_only", EWOULDBLOCK, || {
        let (fd, _owner) = leased()?;
        match MemFile::from_fd(fd)?.reopen_read_only() {
            Ok(_) => Ok(0),
            Err(error) => {
                same("cause", error.cause(), Cause::WouldBlock)?;
                Err(error.into())
            }
        }
    });
}

/// A new descriptor gets the lowest free number, so if stdin is closed, a new file would take its place.
fn descriptors(table: &mut Table) {
    fn without_stdin(run: impl FnOnce() -> Try) -> Try {
        raw::in_child(|| {
            raw::close(libc::STDIN_FILENO)?;
            run()
        })
    }
    table.row("8/number/memfd_create-takes-the-lowest-free", OK, || {
        without_stdin(|| {
            let fd = raw::memfd(0)?;
            Ok(fd.as_raw_fd() as u64)
        })
    });
    table.row("8/number/dup-takes-the-lowest-free", OK, || {
        let fd = sealable()?;
        without_stdin(|| Ok(rustix::io::dup(&fd)?.as_raw_fd() as u64))
    });
    type Create = fn(&MemFile) -> Try<OwnedFd>;
    let crate_calls: [(&str, Create); 4] = [
        ("create_sealable", |_| Ok(MemFile::create_sealable("number")?.into())),
        ("try_clone", |file| Ok(file.try_clone()?.into())),
        ("from_bytes", |_| Ok(SealedFile::from_bytes("number", b"bytes")?.into())),
        ("reopen_read_only", |file| {
            reopen(file, OFlags::RDONLY)?;
            Ok(file.reopen_read_only()?.into())
        }),
    ];
    for (name, create) in crate_calls {
        table.row(format!("8/number/crate-{name}-leaves-0-to-2-free"), OK, move || {
            let file = MemFile::create_sealable("number")?;
            without_stdin(|| {
                let fd = create(&file)?;
                same("above the standard streams", fd.as_raw_fd() > libc::STDERR_FILENO, true)?;
                Ok(0)
            })
        });
    }
}
