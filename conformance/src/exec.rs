//! Executing memory files, and the seal Exec (1.6).

use std::os::fd::{AsFd, OwnedFd};

use memfile::{CreateOptions, MemFile, Seal};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{MprotectFlags, ProtFlags};

use crate::probe::{EXEC, MFD_ALLOW_SEALING, MFD_EXEC, MFD_HUGETLB, MFD_NOEXEC_SEAL, executable, needs, page, reopen};
use crate::raw::{self, Map};
use crate::table::{EACCES, EBUSY, EPERM, Expect, OK, Table, Try, defect, one_of, same, skip};

fn chmod(fd: impl AsFd, mode: u32) -> Try {
    rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))?;
    Ok(0)
}

/// A file with this mode, to which Exec was then added.
fn sealed(mode: u32) -> Try<OwnedFd> {
    needs("Exec")?;
    let fd = executable()?;
    chmod(&fd, mode)?;
    raw::add_seals(&fd, EXEC)?;
    Ok(fd)
}

pub(crate) fn rows(table: &mut Table) {
    for mode in [0o644, 0o600, 0o666, 0o000] {
        table.row(format!("1.6/plain/{mode:o}/seals"), Expect::Value(EXEC), move || raw::get_seals(sealed(mode)?));
        table.row(format!("1.6/plain/{mode:o}/write"), Expect::Value(1), move || {
            Ok(rustix::io::pwrite(sealed(mode)?, b"B", 0)? as u64)
        });
    }
    for mode in [0o777, 0o700, 0o100, 0o010, 0o001] {
        table.row(format!("1.6/executable/{mode:o}/seals"), Expect::Value(0x3e), move || raw::get_seals(sealed(mode)?));
        table.row(format!("1.6/executable/{mode:o}/write"), EPERM, move || {
            Ok(rustix::io::pwrite(sealed(mode)?, b"B", 0)? as u64)
        });
    }
    for mode in [0o777, 0o670, 0o605, 0o700, 0o100] {
        table.row(format!("1.6/chmod/0644-to-{mode:o}"), EPERM, move || chmod(sealed(0o644)?, mode));
    }
    for mode in [0o600, 0o666, 0o4644, 0] {
        table.row(format!("1.6/chmod/0644-to-{mode:o}"), OK, move || chmod(sealed(0o644)?, mode));
    }
    for mode in [0o711, 0o600] {
        table.row(format!("1.6/chmod/0700-to-{mode:o}"), EPERM, move || chmod(sealed(0o700)?, mode));
    }
    table.row("1.6/chmod/without-sealing", OK, || {
        needs("MFD_EXEC")?;
        chmod(raw::memfd(MFD_EXEC)?, 0o644)
    });
    table.row("1.6/chmod/crate-deny", EPERM, || {
        needs("MFD_NOEXEC_SEAL")?;
        chmod(MemFile::create_sealable("deny")?, 0o777)
    });
    table.row("1.6/chmod/hugetlb", defect(EPERM, OK), || {
        needs("MFD_NOEXEC_SEAL")?;
        let fd = raw::memfd(MFD_HUGETLB | MFD_NOEXEC_SEAL).or_else(|_| skip("no huge pages here"))?;
        chmod(fd, 0o777)
    });
    // Vulnerable kernels add the seal. The section `attack` shows whether this kernel is one.
    table.row("1.6/writer-mapped/add", one_of([EBUSY, Expect::Value(0x3e)]), || {
        needs("Exec")?;
        let fd = executable()?;
        let _map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
        raw::add_seals(&fd, EXEC)?;
        raw::get_seals(&fd)
    });
    table.row("1.6/writer-mapped/plain-mode", Expect::Value(EXEC), || {
        needs("Exec")?;
        let fd = executable()?;
        chmod(&fd, 0o600)?;
        let _map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
        raw::add_seals(&fd, EXEC)?;
        raw::get_seals(&fd)
    });
    execution(table);
    table.row("1.6/PROT_EXEC/noexec-file-runs", Expect::Value(42), || {
        let file = MemFile::create_sealable("code")?;
        file.write_all_at(RETURN_42, 0)?;
        let map = match Map::shared(&file, page(), ProtFlags::READ) {
            Ok(map) if !RETURN_42.is_empty() => map,
            _ => return skip("no code for this processor"),
        };
        map.protect(MprotectFlags::READ | MprotectFlags::EXEC)?;
        raw::in_child(|| Ok(raw::call(&map)))
    });
}

#[cfg(target_arch = "x86_64")]
const RETURN_42: &[u8] = b"\xb8\x2a\0\0\0\xc3";
#[cfg(target_arch = "aarch64")]
const RETURN_42: &[u8] = b"\x40\x05\x80\x52\xc0\x03\x5f\xd6";
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const RETURN_42: &[u8] = b"";

/// The files are not programs. So after all permission checks have passed, the kernel returns ENOEXEC, and nothing
/// runs.
fn execution(table: &mut Table) {
    fn broken(flags: u32) -> Try<OwnedFd> {
        needs("MFD_EXEC")?;
        let fd = raw::memfd(flags | MFD_ALLOW_SEALING)?;
        rustix::io::pwrite(&fd, &[1; 512], 0)?;
        Ok(fd)
    }
    let enoexec = || Expect::Errno(Errno::NOEXEC);
    table.row("1.6/execveat/MFD_EXEC", enoexec(), || raw::execute(broken(MFD_EXEC)?));
    table.row("1.6/execveat/sealed", enoexec(), || {
        let fd = broken(MFD_EXEC)?;
        raw::add_seals(&fd, 0xf)?;
        raw::execute(fd)
    });
    table.row("1.6/execveat/writer-mapped", enoexec(), || {
        let fd = broken(MFD_EXEC)?;
        let _map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
        raw::execute(fd)
    });
    table.row("1.6/execveat/by-O_RDONLY", enoexec(), || raw::execute(reopen(broken(MFD_EXEC)?, OFlags::RDONLY)?));
    table.row("1.6/execveat/O_RDWR-reopened-lives", Expect::Errno(Errno::TXTBSY), || {
        let fd = broken(MFD_EXEC)?;
        let _writer = reopen(&fd, OFlags::RDWR)?;
        raw::execute(fd)
    });
    table.row("1.6/execveat/NOEXEC_SEAL", EACCES, || {
        needs("MFD_NOEXEC_SEAL")?;
        raw::execute(broken(MFD_NOEXEC_SEAL)?)
    });
    table.row("1.6/execveat/crate-deny", EACCES, || {
        let file = CreateOptions::new().create("deny")?;
        file.write_all_at(&[1; 512], 0)?;
        raw::execute(file)
    });
    table.row("1.6/crate-seal/plain", OK, || {
        needs("MFD_EXEC")?;
        let file = CreateOptions::new().allow_sealing(true).exec(memfile::Exec::DenyUnsealed).create("seal")?;
        file.add_seal(Seal::Exec)?;
        same("seals", u64::from(file.get_seals()?.bits()), EXEC)?;
        Ok(0)
    });
}
