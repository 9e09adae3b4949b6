//! The forged Write seal: a file has the seal Write, but the sender can still write through an old map.
//!
//! From Linux 6.3 until the fix 3b041514cb6e, adding Exec to an executable file also sets Write, without checking for
//! writable maps. A receiver that only checks the seals then reads bytes that can change.

use std::os::fd::OwnedFd;

use memfile::{Seal, SealedFile, Seals};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mm::ProtFlags;

use crate::probe::{EXEC, executable, needs, page};
use crate::raw::{self, Map};
use crate::table::{EBUSY, Expect, OK, Stop, Table, Try, one_of, same, skip};

/// The sender's part: makes a file to send and keeps a writable map of it. `None` if this kernel is fixed.
fn forge() -> Try<Option<(OwnedFd, Map)>> {
    needs("Exec")?;
    let fd = executable()?;
    let map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
    match raw::add_seals(&fd, EXEC) {
        Ok(_) => Ok(Some((fd, map))),
        Err(Stop::Errno(Errno::BUSY)) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// A file with a forged seal, and its map. A fixed kernel makes no such file, so the row is skipped there.
fn forged() -> Try<(OwnedFd, Map)> {
    match forge()? {
        Some(forged) => Ok(forged),
        None => skip("fixed: adding Exec finds the writer (EBUSY)"),
    }
}

pub(crate) fn rows(table: &mut Table) {
    // The value is 1 if the kernel is vulnerable.
    table.row("S1/kernel/Exec-with-a-writer", one_of([EBUSY, Expect::Value(1)]), || match forge()? {
        None => Err(Stop::Errno(Errno::BUSY)),
        Some(_) => Ok(1),
    });
    table.row("S1/open/a-plain-check-passes-and-the-bytes-change", OK, || {
        let (fd, map) = forged()?;
        let seals = Seals::from_bits_retain(raw::get_seals(&fd)? as u32);
        same("a plain check", seals.contains(Seal::Write | Seal::Shrink), true)?;
        let reader = Map::private(&fd, page(), ProtFlags::READ)?;
        same("before", reader.get(0), b'A')?;
        map.set(0, b'!');
        same("after", reader.get(0), b'!')?;
        Ok(0)
    });
    table.row("S1/open/SealedFile-refuses", Expect::Message("can leave writable mappings"), || {
        let (fd, _map) = forged()?;
        SealedFile::try_from(fd)?;
        Ok(0)
    });
    // The mode proves nothing, because the sender can clear the execute bits, here before adding the seal.
    table.row(
        "S1/open/SealedFile-refuses-without-the-writer-too",
        Expect::Message("can leave writable mappings"),
        || {
            let (fd, map) = forged()?;
            drop(map);
            SealedFile::try_from(fd)?;
            Ok(0)
        },
    );
    table.row("S1/fixed/an-honest-file-with-Exec-is-taken", OK, || {
        if forge()?.is_some() {
            return skip("open: this kernel cannot tell an honest file");
        }
        let fd = executable()?;
        raw::add_seals(&fd, EXEC)?;
        SealedFile::try_from(fd)?;
        Ok(0)
    });
    table.row("S1/any/Exec-of-a-plain-file-with-explicit-Write-is-taken", OK, || {
        needs("Exec")?;
        let fd = executable()?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o600))?;
        raw::add_seals(&fd, EXEC | 0xf)?;
        SealedFile::try_from(fd)?;
        Ok(0)
    });
    table.row("S1/any/explicit-Write-finds-the-writer", EBUSY, || {
        needs("Exec")?;
        let fd = executable()?;
        let _map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
        raw::add_seals(&fd, EXEC | 0xf)
    });
}
