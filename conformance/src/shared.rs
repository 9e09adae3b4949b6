//! A map that can still write under the seal FutureWrite (1.5), made directly and with the crate's `share`.

use memfile::{CreateOptions, Exec, MemFile, Seal, Seals, SharedMap, SharedView};
use rustix::fs::{FallocateFlags, OFlags};
use rustix::mm::{Advice, MprotectFlags, ProtFlags};

use crate::probe::{FUTURE_WRITE, WRITE, needs, page, reopen, sealable};
use crate::raw::{self, Child, Map};
use crate::table::{EBUSY, EPERM, OK, Table, Try, same, skip};

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A file with FutureWrite, and a writable map that was made before the seal was added.
fn shared() -> Try<(std::os::fd::OwnedFd, Map)> {
    needs("FutureWrite")?;
    let fd = sealable()?;
    let map = Map::shared(&fd, page(), RW)?;
    raw::add_seals(&fd, FUTURE_WRITE)?;
    Ok((fd, map))
}

fn file() -> Try<MemFile> {
    needs("FutureWrite")?;
    let file = match CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed).create("shared") {
        Err(error) if error.raw_os_error() == Some(13) => return skip("vm.memfd_noexec is 2"),
        result => result?,
    };
    file.set_len(2 * page() as u64)?;
    Ok(file)
}

pub(crate) fn rows(table: &mut Table) {
    table.row("1.5/old-map/writes", OK, || {
        let (fd, map) = shared()?;
        map.set(0, b'B');
        let mut byte = [0];
        rustix::io::pread(&fd, &mut byte, 0)?;
        same("byte", byte, *b"B")?;
        Ok(0)
    });
    table.row("1.5/old-map/seen-by-a-new-reader", OK, || {
        let (fd, map) = shared()?;
        let reader = Map::shared(&fd, page(), ProtFlags::READ)?;
        map.set(0, b'B');
        same("byte", reader.get(0), b'B')?;
        Ok(0)
    });
    table.row("1.5/old-map/writes-in-a-child", OK, || {
        let (_fd, map) = shared()?;
        raw::in_child(|| {
            map.set(0, b'C');
            Ok(0)
        })?;
        same("byte", map.get(0), b'C')?;
        Ok(0)
    });
    table.row("1.5/old-map/duplicate-writes", OK, || {
        let (_fd, map) = shared()?;
        map.duplicate()?.set(0, b'D');
        same("byte", map.get(0), b'D')?;
        Ok(0)
    });
    table.row("1.5/old-map/grown-writes-new-pages", OK, || {
        let (fd, map) = shared()?;
        map.remap(2 * page())?.set(2 * page() - 1, b'E');
        let mut byte = [0];
        rustix::io::pread(&fd, &mut byte, 2 * page() as u64 - 1)?;
        same("byte", byte, *b"E")?;
        Ok(0)
    });
    table.row("1.5/old-map/mprotect-back-to-RW", OK, || {
        needs("FutureWrite")?;
        let fd = sealable()?;
        let map = Map::shared(&fd, page(), ProtFlags::READ)?;
        raw::add_seals(&fd, FUTURE_WRITE)?;
        map.protect(MprotectFlags::READ | MprotectFlags::WRITE)?;
        map.set(0, b'F');
        Ok(0)
    });
    table.row("1.5/refused/write", EPERM, || Ok(rustix::io::pwrite(shared()?.0, b"B", 0)? as u64));
    table.row("1.5/refused/new-shared-RW", EPERM, || Map::shared(shared()?.0, page(), RW).map(|_| 0));
    table.row("1.5/refused/new-shared-RW-reopened", EPERM, || {
        Map::shared(reopen(shared()?.0, OFlags::RDWR)?, page(), RW).map(|_| 0)
    });
    table.row("1.5/refused/punch", EPERM, || {
        let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(rustix::fs::fallocate(shared()?.0, mode, 0, page() as u64).map(|()| 0)?)
    });
    table.row("1.5/refused/MADV_REMOVE", EPERM, || shared()?.1.advise(Advice::LinuxRemove));
    table.row("1.5/refused/WRITE-while-mapped", EBUSY, || raw::add_seals(shared()?.0, WRITE));
    table.row("1.5/allowed/WRITE-when-unmapped", OK, || {
        let (fd, map) = shared()?;
        drop(map);
        raw::add_seals(fd, WRITE)
    });
    for (name, len) in [("shrink", 1), ("grow", 5 * page() as u64)] {
        table.row(format!("1.5/allowed/{name}"), OK, move || Ok(rustix::fs::ftruncate(shared()?.0, len).map(|()| 0)?));
    }
    table.row("1.5/private/child-isolated", OK, || {
        let (fd, map) = shared()?;
        let private = Map::private(&fd, page(), RW)?;
        raw::in_child(|| {
            private.set(0, 22);
            same("own", private.get(0), 22)?;
            Ok(0)
        })?;
        same("file", map.get(0), b'A')?;
        Ok(0)
    });
    by_the_crate(table);
}

fn by_the_crate(table: &mut Table) {
    table.row("1.5/crate/share-seals", OK, || {
        let map = file()?.share()?;
        same("seals", map.as_mem_file().get_seals()?.contains(Seals::FIXED_SIZE | Seal::FutureWrite), true)?;
        Ok(0)
    });
    table.row("1.5/crate/view-sees", OK, || {
        let map = file()?.share()?;
        let view = SharedView::try_from(map.as_mem_file().try_clone()?)?;
        map.write_all_at(b"seen", 3)?;
        let mut bytes = [0; 4];
        view.read_exact_at(&mut bytes, 3)?;
        same("bytes", &bytes, b"seen")?;
        Ok(0)
    });
    table.row("1.5/crate/no-second-writer", EPERM, || {
        let map = file()?.share()?;
        let _second = SharedMap::try_from(map.as_mem_file().try_clone()?)?;
        Ok(0)
    });
    table.row("1.5/crate/freeze", OK, || {
        let map = file()?.share()?;
        map.write_all_at(b"frozen", 0)?;
        same("bytes", &map.freeze()?.map()?[..6], b"frozen")?;
        Ok(0)
    });
    table.row("1.5/crate/freeze-with-a-view", OK, || {
        let map = file()?.share()?;
        let view = match map.reader() {
            Ok(reader) => SharedView::try_from(reader)?,
            Err(_) => return skip("no /proc"),
        };
        let sealed = map.freeze()?;
        same("lengths", view.len() as u64, sealed.len())?;
        Ok(0)
    });
    table.row("1.5/crate/freeze-with-a-forked-map", EBUSY, || {
        let map = file()?.share()?;
        let _child = Child::idle()?;
        map.freeze()?;
        Ok(0)
    });
    table.row("1.5/crate/not-a-proof", crate::table::Expect::Message("missing the seal Write"), || {
        let map = file()?.share()?;
        memfile::SealedFile::try_from(map.into_mem_file())?;
        Ok(0)
    });
}
