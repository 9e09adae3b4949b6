//! References to pages without any mapping, which can prevent the seal WRITE (1.9).

use std::os::fd::{AsRawFd, OwnedFd};

use memfile::MemFile;
use rustix::io::Errno;
use rustix::mm::ProtFlags;
use rustix::pipe::SpliceFlags;

use crate::probe::{FUTURE_WRITE, SHRINK, WRITE, needs, page, sealable};
use crate::raw::{self, Map};
use crate::table::{EBUSY, Expect, OK, Table, Try, same, skip};

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A pipe that holds a page of the file.
fn spliced(fd: &OwnedFd) -> Try<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    rustix::pipe::splice(fd, Some(&mut 0), &writer, None, page(), SpliceFlags::empty())?;
    Ok((reader, writer))
}

/// A pipe that holds a page from a mapping, which is then unmapped.
fn vmspliced(fd: &OwnedFd, protection: ProtFlags, flags: u32) -> Try<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    let map = Map::shared(fd, page(), protection)?;
    map.get(0);
    map.vmsplice(&writer, flags)?;
    Ok((reader, writer))
}

pub(crate) fn rows(table: &mut Table) {
    type Hold = fn(&OwnedFd) -> Try<(OwnedFd, OwnedFd)>;
    let holders: [(&str, Hold); 4] = [
        ("splice", spliced),
        ("vmsplice-RW", |fd| vmspliced(fd, RW, 0)),
        ("vmsplice-R", |fd| vmspliced(fd, ProtFlags::READ, 0)),
        ("vmsplice-gift", |fd| vmspliced(fd, RW, libc::SPLICE_F_GIFT)),
    ];
    for (name, hold) in holders {
        table.row(format!("1.9/{name}/WRITE"), EBUSY, move || {
            let fd = sealable()?;
            let _pipe = hold(&fd)?;
            let before = raw::get_seals(&fd)?;
            let result = raw::add_seals(&fd, WRITE);
            same("seals", raw::get_seals(&fd)?, before)?;
            same("still writable", rustix::io::pwrite(&fd, b"B", 0)?, 1)?;
            result
        });
        table.row(format!("1.9/{name}/FUTURE_WRITE"), OK, move || {
            needs("FutureWrite")?;
            let fd = sealable()?;
            let _pipe = hold(&fd)?;
            raw::add_seals(&fd, FUTURE_WRITE)
        });
        table.row(format!("1.9/{name}/SHRINK"), OK, move || {
            let fd = sealable()?;
            let _pipe = hold(&fd)?;
            raw::add_seals(&fd, SHRINK)
        });
        table.row(format!("1.9/{name}/WRITE-when-closed"), OK, move || {
            let fd = sealable()?;
            drop(hold(&fd)?);
            raw::add_seals(&fd, WRITE)
        });
    }
    table.row("1.9/splice/WRITE-when-drained", OK, || {
        let fd = sealable()?;
        let (reader, _writer) = spliced(&fd)?;
        rustix::io::read(&reader, &mut vec![0; page()])?;
        raw::add_seals(&fd, WRITE)
    });
    table.row("1.9/splice/by-O_RDONLY", EBUSY, || {
        let fd = sealable()?;
        let reader = crate::probe::reopen(&fd, rustix::fs::OFlags::RDONLY)?;
        let _pipe = spliced(&reader)?;
        raw::add_seals(&fd, WRITE)
    });
    table.row("1.9/splice/crate-says-busy", EBUSY, || {
        let file = MemFile::from_fd(sealable()?)?;
        let clone = file.try_clone()?.into_fd();
        let _pipe = spliced(&clone)?;
        match file.into_sealed() {
            Err(error) => {
                same("predicate", error.error().is_busy(), true)?;
                same("given back", error.get_ref().len()?, 2 * page() as u64)?;
                Err(error.into())
            }
            Ok(_) => Ok(0),
        }
    });
    io_uring(table);
    udmabuf(table);
}

/// An io_uring instance with the mapping's page as a registered buffer.
fn registered(map: &Map) -> Try<OwnedFd> {
    let mut parameters = [0_u64; 15];
    let parameters = parameters.as_mut_ptr() as usize;
    let Ok(ring) = raw::syscall(libc::SYS_io_uring_setup, [1, parameters, 0, 0, 0]) else {
        return skip("no io_uring here");
    };
    let ring = raw::owned(ring);
    let buffer = [map.address(), page()];
    raw::syscall(
        libc::SYS_io_uring_register,
        [ring.as_raw_fd() as usize, 0 /* IORING_REGISTER_BUFFERS */, buffer.as_ptr() as usize, 1, 0],
    )?;
    Ok(ring)
}

fn io_uring(table: &mut Table) {
    for (name, seal, expect) in [("WRITE", WRITE, EBUSY), ("FUTURE_WRITE", FUTURE_WRITE, OK)] {
        table.row(format!("1.9/io_uring/{name}"), expect, move || {
            if seal == FUTURE_WRITE {
                needs("FutureWrite")?;
            }
            let fd = sealable()?;
            let map = Map::shared(&fd, page(), RW)?;
            let _ring = registered(&map)?;
            drop(map);
            raw::add_seals(&fd, seal)
        });
    }
    table.row("1.9/io_uring/WRITE-when-unregistered", OK, || {
        let fd = sealable()?;
        let map = Map::shared(&fd, page(), RW)?;
        let ring = registered(&map)?;
        drop(map);
        raw::syscall(libc::SYS_io_uring_register, [ring.as_raw_fd() as usize, 1, 0, 0, 0])?;
        raw::add_seals(&fd, WRITE)
    });
    for (name, shared) in [("shared", true), ("private", false)] {
        table.row(format!("1.9/io_uring/sealed-{name}-R-map"), Expect::Errno(Errno::FAULT), move || {
            let fd = sealable()?;
            raw::add_seals(&fd, WRITE)?;
            let map = match shared {
                true => Map::shared(crate::probe::reopen(&fd, rustix::fs::OFlags::RDONLY)?, page(), ProtFlags::READ)?,
                false => Map::private(&fd, page(), ProtFlags::READ)?,
            };
            registered(&map).map(|_| 0)
        });
    }
}

/// `UDMABUF_CREATE` of the file's first page.
fn dma_buffer(fd: &OwnedFd) -> Try<OwnedFd> {
    let Ok(device) = std::fs::File::options().read(true).write(true).open("/dev/udmabuf") else {
        return skip("no /dev/udmabuf");
    };
    // struct udmabuf_create: memfd and flags, offset, size. The ioctl is _IOW('u', 0x42, struct udmabuf_create).
    let request = [(fd.as_raw_fd() as u32).to_ne_bytes(), 1_u32.to_ne_bytes()].concat();
    let request = [request, 0_u64.to_ne_bytes().to_vec(), (page() as u64).to_ne_bytes().to_vec()].concat();
    raw::syscall(libc::SYS_ioctl, [device.as_raw_fd() as usize, 0x4018_7542, request.as_ptr() as usize, 0, 0])
        .map(raw::owned)
}

fn udmabuf(table: &mut Table) {
    let einval = || Expect::Errno(Errno::INVAL);
    table.row("1.9/udmabuf/without-SHRINK", einval(), || dma_buffer(&sealable()?).map(|_| 0));
    table.row("1.9/udmabuf/with-WRITE", einval(), || {
        let fd = sealable()?;
        raw::add_seals(&fd, SHRINK | WRITE)?;
        dma_buffer(&fd).map(|_| 0)
    });
    table.row("1.9/udmabuf/WRITE-while-it-lives", EBUSY, || {
        let fd = sealable()?;
        raw::add_seals(&fd, SHRINK)?;
        let _buffer = dma_buffer(&fd)?;
        raw::add_seals(&fd, WRITE)
    });
    table.row("1.9/udmabuf/WRITE-when-closed", OK, || {
        let fd = sealable()?;
        raw::add_seals(&fd, SHRINK)?;
        drop(dma_buffer(&fd)?);
        raw::add_seals(&fd, WRITE)
    });
}
