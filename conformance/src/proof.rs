//! Which sets of seals `SealedFile` accepts as a proof, and what others can do to a map of it (3).

use std::io::{Seek, SeekFrom, Write};

use memfile::{MemFile, SealedFile, Seals};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::probe::{EXEC, FUTURE_WRITE, SHRINK, WRITE, needs, page, reopen, sealable};
use crate::raw;
use crate::table::{EBUSY, EPERM, Expect, OK, Table, Try, same, skip};

pub(crate) fn rows(table: &mut Table) {
    for bits in 0..0x20_u64 {
        let constant = bits & WRITE != 0 && bits & SHRINK != 0;
        let expect = if constant { OK } else { Expect::Message("missing the seal") };
        table.row(format!("3/proof/seals-{bits:#04x}"), expect, move || {
            if bits & FUTURE_WRITE != 0 {
                needs("FutureWrite")?;
            }
            let fd = sealable()?;
            raw::add_seals(&fd, bits)?;
            let there = raw::get_seals(&fd)?;
            if constant && there & EXEC != 0 && there & FUTURE_WRITE != 0 {
                return skip("vm.memfd_noexec is 2: the file has the seal Exec too, which the rows S1 are about");
            }
            match SealedFile::try_from(fd) {
                Ok(file) => {
                    same("bytes", file.map()?.iter().all(|&byte| byte == b'A'), true)?;
                    Ok(0)
                }
                Err(error) => {
                    same("missing", u64::from(error.error().seals().bits()), (WRITE | SHRINK) & !bits)?;
                    same("given back", raw::get_seals(error.get_ref())?, there)?;
                    Err(error.into())
                }
            }
        });
    }
    table.row("3/proof/by-O_RDONLY", OK, || {
        let fd = sealable()?;
        raw::add_seals(&fd, WRITE | SHRINK)?;
        let file = SealedFile::try_from(reopen(&fd, OFlags::RDONLY)?)?;
        same("byte", file.map()?[0], b'A')?;
        Ok(0)
    });
    table.row("3/proof/tail-grows-length-stays", OK, || {
        let fd = sealable()?;
        raw::add_seals(&fd, WRITE | SHRINK)?;
        let peer = reopen(&fd, OFlags::RDWR)?;
        let file = SealedFile::try_from(fd)?;
        rustix::fs::ftruncate(&peer, 9 * page() as u64)?;
        same("length", file.len(), 2 * page() as u64)?;
        same("map", file.map()?.len(), 2 * page())?;
        Ok(0)
    });
    table.row("3/seal/adds-what-is-missing", OK, || {
        let file = SealedFile::options().seal(sealable()?)?;
        same("seals", file.get_seals()?.contains(Seals::IMMUTABLE), true)?;
        Ok(0)
    });
    table.row("3/seal/read-only-descriptor", EPERM, || {
        SealedFile::options().seal(reopen(sealable()?, OFlags::RDONLY)?)?;
        Ok(0)
    });
    table.row("3/seal/writer-mapped", EBUSY, || {
        let fd = sealable()?;
        let _map = raw::Map::shared(&fd, page(), rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE)?;
        SealedFile::options().seal(fd)?;
        Ok(0)
    });
    table.row("3/fill/from_bytes", OK, || {
        same("bytes", &SealedFile::from_bytes("fill", b"bytes")?.map()?[..], b"bytes")?;
        Ok(0)
    });
    table.row("3/fill/create_with", OK, || {
        let file = SealedFile::create_with("fill", 3 * page() + 1, |bytes| bytes.fill(9))?;
        same("bytes", file.map()?.iter().all(|&byte| byte == 9), true)?;
        Ok(0)
    });
    table.row("3/fill/copy_of", OK, || {
        let source = MemFile::create_default("source")?;
        source.write_all_at(b"copy", 0)?;
        same("bytes", &SealedFile::copy_of("fill", &source)?.map()?[..], b"copy")?;
        Ok(0)
    });
    table.row("3/map/range", OK, || {
        let file = SealedFile::create_with("range", 40 * page(), |bytes| {
            bytes.iter_mut().zip(0_u32..).for_each(|(b, i)| *b = i as u8)
        })?;
        let map = file.map_range(33 * page() as u64 + 3..33 * page() as u64 + 7)?;
        same("bytes", &map[..], &[3, 4, 5, 6])?;
        Ok(0)
    });
    others(table);
}

/// What a debugger, another process or a page fault handler may do to the map of a sealed file.
fn others(table: &mut Table) {
    fn map() -> Try<memfile::Map> {
        let fd = sealable()?;
        raw::add_seals(&fd, WRITE | SHRINK)?;
        let file = SealedFile::try_from(reopen(&fd, OFlags::RDONLY)?)?;
        Ok(file.map()?)
    }
    table.row("3/others/proc-mem-write", Expect::Errno(Errno::IO), || {
        let map = map()?;
        let Ok(mut memory) = std::fs::File::options().write(true).open("/proc/self/mem") else {
            return skip("no /proc/self/mem");
        };
        memory.seek(SeekFrom::Start(map.as_ptr() as u64))?;
        let result = memory.write(b"B");
        same("byte", map[0], b'A')?;
        Ok(result? as u64)
    });
    table.row("3/others/process_vm_writev", Expect::Errno(Errno::FAULT), || {
        let map = map()?;
        let byte = *b"B";
        let (from, to) = ([byte.as_ptr() as usize, 1], [map.as_ptr() as usize, 1]);
        let result = raw::process_vm_writev(&from, &to);
        same("byte", map[0], b'A')?;
        result
    });
    table.row("3/others/userfaultfd", EPERM, || {
        let map = map()?;
        raw::register_userfaultfd(map.as_ptr() as usize, 2 * page())
    });
}
