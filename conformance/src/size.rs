//! Holes, the end of a file, SIGBUS past it, and limits on a file's size (1.10).

use memfile::{Holes, MemFile, Seal, SealedFile, Seals};
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use rustix::mm::{Advice, ProtFlags};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::probe::{needs, page, sealable};
use crate::raw::{self, Map};
use crate::table::{EINVAL, Expect, OK, Table, Try, one_of, same};

const SIGBUS: Expect = Expect::Signal(libc::SIGBUS);

fn hole() -> Try<MemFile> {
    let file = MemFile::create_sealable("hole")?;
    file.set_len(2 * page() as u64)?;
    Ok(file)
}

fn sealed_hole() -> Try<MemFile> {
    let file = hole()?;
    file.add_seals(Seals::IMMUTABLE)?;
    Ok(file)
}

fn blocks(file: &MemFile) -> Try {
    Ok(rustix::fs::fstat(file)?.st_blocks as u64)
}

pub(crate) fn rows(table: &mut Table) {
    holes(table);
    ends(table);
    limits(table);
}

fn holes(table: &mut Table) {
    table.row("1.10/hole/no-blocks", OK, || blocks(&hole()?));
    table.row("1.10/hole/seek-data", Expect::Errno(Errno::NXIO), || Ok(rustix::fs::seek(hole()?, SeekFrom::Data(0))?));
    table.row("1.10/hole/seek-hole", OK, || Ok(rustix::fs::seek(hole()?, SeekFrom::Hole(0))?));
    table.row("1.10/hole/pread-takes-no-memory", OK, || {
        let file = sealed_hole()?;
        let mut bytes = vec![1; page()];
        file.read_exact_at(&mut bytes, 0)?;
        same("zero", bytes.iter().all(|&byte| byte == 0), true)?;
        blocks(&file)
    });
    table.row("1.10/hole/fault-takes-memory-though-sealed", Expect::Value(1), || {
        let file = sealed_hole()?;
        let map = Map::private(&file, page(), ProtFlags::READ)?;
        same("byte", map.get(0), 0)?;
        Ok(u64::from(blocks(&file)? > 0))
    });
    table.row("1.10/hole/populate-takes-memory-though-sealed", Expect::Value(1), || {
        needs("MADV_POPULATE_READ")?;
        let file = sealed_hole()?;
        Map::private(&file, page(), ProtFlags::READ)?.advise(Advice::LinuxPopulateRead)?;
        Ok(u64::from(blocks(&file)? > 0))
    });
    table.row("1.10/hole/crate-refuses", Expect::Message("holes"), || {
        SealedFile::try_from(sealed_hole()?)?;
        Ok(0)
    });
    table.row("1.10/hole/crate-allocates", OK, || {
        let file = SealedFile::options().holes(Holes::Allocate).verify(sealed_hole()?)?;
        same("blocks", blocks(file.as_mem_file())? * 512 >= file.len(), true)?;
        Ok(0)
    });
    table.row("1.10/hole/crate-populates", OK, || {
        needs("MADV_POPULATE_READ")?;
        let file = SealedFile::options().holes(Holes::Populate).verify(sealed_hole()?)?;
        same("blocks", blocks(file.as_mem_file())? * 512 >= file.len(), true)?;
        Ok(0)
    });
    table.row("1.10/hole/crate-accepts", OK, || {
        let file = SealedFile::options().holes(Holes::Accept).verify(sealed_hole()?)?;
        same("blocks", blocks(file.as_mem_file())?, 0)?;
        same("byte", file.map()?[page()], 0)?;
        Ok(0)
    });
    table.row("1.10/hole/into_sealed-fills", OK, || {
        let file = hole()?.into_sealed()?;
        same("blocks", blocks(file.as_mem_file())? * 512 >= file.len(), true)?;
        Ok(0)
    });
}

fn ends(table: &mut Table) {
    table.row("1.10/end/map-of-nothing", EINVAL, || Map::shared(sealable()?, 0, ProtFlags::READ).map(|_| 0));
    table.row("1.10/end/map-of-empty-file", OK, || {
        Map::shared(MemFile::create_default("empty")?, page(), ProtFlags::READ).map(|_| 0)
    });
    table.row("1.10/end/crate-map-of-empty-file", OK, || Ok(SealedFile::from_bytes("empty", &[])?.map()?.len() as u64));
    table.row("1.10/end/touch-empty-file", SIGBUS, || {
        let map = Map::shared(MemFile::create_default("empty")?, page(), ProtFlags::READ)?;
        raw::in_child(|| Ok(u64::from(map.get(0))))
    });
    table.row("1.10/end/touch-past-end", SIGBUS, || {
        let map = Map::shared(sealable()?, 3 * page(), ProtFlags::READ)?;
        raw::in_child(|| Ok(u64::from(map.get(2 * page()))))
    });
    table.row("1.10/end/last-page-is-zero-after-end", OK, || {
        let file = MemFile::create_default("tail")?;
        file.write_all_at(b"A", 0)?;
        let map = Map::shared(&file, page(), ProtFlags::READ)?;
        Ok((1..page()).map(|index| u64::from(map.get(index))).sum())
    });
    table.row("1.10/end/WRITE-alone-shrinks-under-a-map", SIGBUS, || {
        let file = MemFile::create_sealable("shrinks")?;
        file.write_all_at(&vec![b'A'; page()], 0)?;
        file.add_seal(Seal::Write)?;
        let map = Map::private(&file, page(), ProtFlags::READ)?;
        file.set_len(0)?;
        raw::in_child(|| Ok(u64::from(map.get(0))))
    });
    table.row("1.10/end/WRITE-alone-changes-contents", OK, || {
        let file = MemFile::create_sealable("changes")?;
        file.write_all_at(&vec![b'A'; page()], 0)?;
        file.add_seal(Seal::Write)?;
        let map = Map::private(&file, page(), ProtFlags::READ)?;
        same("before", map.get(0), b'A')?;
        file.set_len(0)?;
        file.set_len(page() as u64)?;
        Ok(u64::from(map.get(0)))
    });
    table.row("1.10/end/WRITE-alone-is-no-proof", Expect::Message("missing the seal Shrink"), || {
        let file = MemFile::create_sealable("changes")?;
        file.add_seal(Seal::Write)?;
        SealedFile::try_from(file)?;
        Ok(0)
    });
}

/// Runs `run` with a file size limit of one page.
fn limited(run: impl FnOnce(&MemFile) -> Try) -> Try {
    raw::in_child(|| {
        let file = MemFile::create_default("limited")?;
        setrlimit(Resource::Fsize, Rlimit { current: Some(page() as u64), maximum: Some(page() as u64) })?;
        run(&file)
    })
}

fn limits(table: &mut Table) {
    type Call = fn(&MemFile) -> Try;
    let calls: [(&str, Call); 3] = [
        ("set_len", |file| Ok(file.set_len(page() as u64 + 1).map(|()| 0)?)),
        ("allocate", |file| Ok(file.allocate(0, page() as u64 + 1).map(|()| 0)?)),
        ("write_at", |file| Ok(file.write_at(b"A", page() as u64)? as u64)),
    ];
    for (name, call) in calls {
        table.row(format!("1.10/RLIMIT_FSIZE/{name}"), Expect::Errno(Errno::FBIG), move || limited(call));
        table.row(format!("1.10/RLIMIT_FSIZE/{name}-signal"), Expect::Signal(libc::SIGXFSZ), move || {
            limited(|file| {
                raw::default_signal(libc::SIGXFSZ);
                call(file)
            })
        });
    }
    table.row("1.10/RLIMIT_FSIZE/write_at-short", one_of([Expect::Value(1)]), || {
        limited(|file| Ok(file.write_at(b"AB", page() as u64 - 1)? as u64))
    });
    table.row("1.10/limit/set_len-too-long", Expect::Message("more than a file"), || {
        Ok(hole()?.set_len(1 << 63).map(|()| 0)?)
    });
    table.row("1.10/limit/allocate-too-long", Expect::Errno(Errno::FBIG), || {
        Ok(hole()?.allocate(i64::MAX as u64, 2).map(|()| 0)?)
    });
    table.row("1.10/limit/allocate-nothing", EINVAL, || Ok(hole()?.allocate(0, 0).map(|()| 0)?));
}
