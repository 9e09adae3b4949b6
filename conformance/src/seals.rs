//! Reading and adding seals (1.2).

use std::os::fd::{AsFd, OwnedFd};

use memfile::{Cause, MemFile, Seal, Seals};
use rustix::fs::OFlags;
use rustix::mm::ProtFlags;

use crate::probe::{EXEC, FUTURE_WRITE, GROW, SEAL, SHRINK, WRITE, needs, page, reopen, sealable, unsealable};
use crate::raw::{self, Map};
use crate::table::{EBADF, EBUSY, EINVAL, EPERM, Expect, OK, Table, Try, one_of, same, skip};

const NAMED: [(&str, u64); 6] = [
    ("SEAL", SEAL),
    ("SHRINK", SHRINK),
    ("GROW", GROW),
    ("WRITE", WRITE),
    ("FUTURE_WRITE", FUTURE_WRITE),
    ("EXEC", EXEC),
];

fn needs_seal(seal: u64) -> Try<()> {
    match seal {
        FUTURE_WRITE => needs("FutureWrite"),
        EXEC => needs("Exec"),
        _ => Ok(()),
    }
}

/// Adds seals, and returns those that the file then has, without those that a new file already had.
fn added(fd: impl AsFd, seals: u64) -> Try {
    let born = raw::get_seals(&fd)? & !seals;
    raw::add_seals(&fd, seals)?;
    Ok(raw::get_seals(&fd)? & !born)
}

fn sealed_shut() -> Try<OwnedFd> {
    let fd = sealable()?;
    raw::add_seals(&fd, SEAL | SHRINK)?;
    Ok(fd)
}

pub(crate) fn rows(table: &mut Table) {
    table.row("1.2/add/nothing", OK, || added(sealable()?, 0));
    for (name, seal) in NAMED {
        // On an executable file Exec implies other seals, for W^X (1.6).
        let there = if seal == EXEC { one_of([Expect::Value(0x3e), Expect::Value(EXEC)]) } else { Expect::Value(seal) };
        table.row(format!("1.2/add/{name}"), there.clone(), move || {
            needs_seal(seal)?;
            added(sealable()?, seal)
        });
        if seal != SEAL {
            table.row(format!("1.2/add-again/{name}"), there, move || {
                needs_seal(seal)?;
                let fd = sealable()?;
                raw::add_seals(&fd, seal)?;
                added(&fd, seal)
            });
        }
        table.row(format!("1.2/crate-add/{name}"), OK, move || {
            needs_seal(seal)?;
            let file = MemFile::create_sealable("seals")?;
            file.add_seals(Seals::from_bits_retain(seal as u32))?;
            same("there", file.get_seals()?.contains(Seals::from_bits_retain(seal as u32)), true)?;
            Ok(0)
        });
        table.row(format!("1.2/after-SEAL/{name}"), EPERM, move || {
            needs_seal(seal)?;
            raw::add_seals(sealed_shut()?, seal)
        });
        table.row(format!("1.2/not-sealable/{name}"), EPERM, move || {
            needs_seal(seal)?;
            raw::add_seals(unsealable()?, seal)
        });
        table.row(format!("1.2/crate-not-sealable/{name}"), EPERM, move || {
            needs_seal(seal)?;
            let error = match MemFile::create_default("seals")?.add_seals(Seals::from_bits_retain(seal as u32)) {
                Err(error) => error,
                Ok(()) => return Ok(0),
            };
            same("cause", error.cause(), Cause::Sealed)?;
            Err(error.into())
        });
    }
    table.row("1.2/add/all-at-once", Expect::Value(0xf), || added(sealable()?, SEAL | SHRINK | GROW | WRITE));
    table.row("1.2/add/one-by-one", Expect::Value(0xf), || {
        let fd = sealable()?;
        [WRITE, GROW, SHRINK, SEAL].into_iter().try_fold(0, |all, seal| Ok(all | added(&fd, seal)?))
    });
    table.row("1.2/crate-add/IMMUTABLE", OK, || {
        let file = MemFile::create_sealable("seals")?;
        file.add_seals(Seals::IMMUTABLE)?;
        same("there", file.get_seals()?.contains(Seals::IMMUTABLE), true)?;
        Ok(0)
    });
    table.row("1.2/after-SEAL/nothing", EPERM, || raw::add_seals(sealed_shut()?, 0));
    table.row("1.2/after-SEAL/unknown", EINVAL, || raw::add_seals(sealed_shut()?, 0x40));
    table.row("1.2/after-SEAL/get", Expect::Value(SEAL | SHRINK), || {
        let fd = sealable()?;
        let shut = added(&fd, SEAL | SHRINK)?;
        let _ = raw::add_seals(&fd, GROW);
        same("seals", raw::get_seals(&fd)? & GROW, 0)?;
        Ok(shut)
    });
    table.row("1.2/not-sealable/nothing", EPERM, || raw::add_seals(unsealable()?, 0));
    unknown(table);
    descriptors(table);
    other_files(table);
    table.row("1.2/inode/one-set-of-seals", OK, one_set);
    busy(table);
}

fn unknown(table: &mut Table) {
    for bit in 6..32 {
        table.row(format!("1.2/unknown/bit-{bit}"), EINVAL, move || raw::add_seals(sealable()?, 1 << bit));
    }
    table.row("1.2/unknown/with-known", EINVAL, || {
        let fd = sealable()?;
        let before = raw::get_seals(&fd)?;
        let result = raw::add_seals(&fd, SHRINK | 0x40);
        same("seals", raw::get_seals(&fd)?, before)?;
        result
    });
    table.row("1.2/unknown/high-word", one_of([EINVAL, Expect::Value(SHRINK)]), || {
        if cfg!(target_pointer_width = "32") {
            return skip("registers have 32 bits");
        }
        added(sealable()?, 1 << 32 | SHRINK)
    });
    table.row("1.2/unknown/crate-names-it", EINVAL, || {
        let seals = Seals::from_bits_retain(0x40) | Seal::Shrink;
        match MemFile::create_sealable("seals")?.add_seals(seals) {
            Err(error) => {
                same("seals", error.seals().bits(), 0x40)?;
                same("unsupported", error.is_unsupported(), true)?;
                Err(error.into())
            }
            Ok(()) => Ok(0),
        }
    });
}

/// Rows for descriptors that were opened in different ways.
fn descriptors(table: &mut Table) {
    let ways = [
        ("O_RDONLY", OFlags::RDONLY, OK, EPERM, EPERM),
        ("O_WRONLY", OFlags::WRONLY, OK, OK, EINVAL),
        ("O_RDWR", OFlags::RDWR, OK, OK, EINVAL),
        ("O_APPEND", OFlags::RDWR.union(OFlags::APPEND), OK, OK, EINVAL),
        ("O_PATH", OFlags::PATH, EBADF, EBADF, EBADF),
    ];
    for (name, flags, get, add, add_unknown) in ways {
        table.row(format!("1.2/{name}/get"), get, move || {
            let fd = sealable()?;
            same("seals", raw::get_seals(reopen(&fd, flags)?)?, raw::get_seals(&fd)?)?;
            Ok(0)
        });
        table.row(format!("1.2/{name}/add"), add, move || raw::add_seals(reopen(sealable()?, flags)?, SHRINK));
        table.row(format!("1.2/{name}/add-unknown"), add_unknown, move || {
            raw::add_seals(reopen(sealable()?, flags)?, 0x40)
        });
    }
    table.row("1.2/O_RDONLY/crate-says-so", EPERM, || {
        let error = match MemFile::create_sealable("seals")?.reopen_read_only() {
            Ok(reader) => reader.add_seal(Seal::Shrink).err(),
            Err(_) => return skip("no /proc"),
        };
        match error {
            Some(error) => {
                same("cause", error.cause(), Cause::ReadOnly)?;
                Err(error.into())
            }
            None => Ok(0),
        }
    });
}

/// Files that are not memory files support no seals, except files on tmpfs.
fn other_files(table: &mut Table) {
    type Open = fn() -> Try<OwnedFd>;
    let others: [(&str, Open); 4] = [
        ("pipe", || Ok(rustix::pipe::pipe()?.0)),
        ("null", || Ok(std::fs::File::open("/dev/null")?.into())),
        ("socket", || Ok(std::os::unix::net::UnixStream::pair()?.0.into())),
        ("proc", || match std::fs::File::open("/proc/self/status") {
            Ok(file) => Ok(file.into()),
            Err(_) => skip("no /proc"),
        }),
    ];
    for (name, open) in others {
        table.row(format!("1.2/other/{name}-get"), EINVAL, move || {
            let error = match MemFile::from_fd(open()?) {
                Ok(_) => return Ok(0),
                Err(error) => error,
            };
            same("predicate", error.error().is_not_a_memory_file(), true)?;
            Err(error.into())
        });
    }
    // The write end of a pipe, because the kernel first checks for a writable descriptor (EPERM).
    table.row("1.2/other/pipe-add", EINVAL, || raw::add_seals(rustix::pipe::pipe()?.1, SHRINK));
    table.row("1.2/other/socket-add", EINVAL, || raw::add_seals(std::os::unix::net::UnixStream::pair()?.0, SHRINK));
    let shm_file = || -> Try<OwnedFd> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = ["/dev/shm", "/tmp", "/run", "/"]
            .into_iter()
            .filter_map(|path| rustix::fs::open(path, flags, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).ok())
            .find(|file| rustix::fs::fstatfs(file).is_ok_and(|system| system.f_type as u64 == 0x0102_1994));
        file.map_or_else(|| skip("no tmpfs is mounted that can be written"), Ok)
    };
    table.row("1.2/tmpfs-file/get", Expect::Value(SEAL), move || raw::get_seals(shm_file()?));
    table.row("1.2/tmpfs-file/add", EPERM, move || raw::add_seals(shm_file()?, SHRINK));
    table.row("1.2/tmpfs-file/crate-is_memfd", Expect::Value(0), move || {
        reopen(sealable()?, OFlags::RDONLY)?;
        Ok(u64::from(MemFile::from_fd(shm_file()?)?.is_memfd()?))
    });
    table.row("1.2/tmpfs-file/crate-proof", Expect::Message("missing the seals Shrink and Write"), move || {
        memfile::SealedFile::try_from(shm_file()?)?;
        Ok(0)
    });
    table.row("1.2/other/memfd_secret", EINVAL, || {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
        {
            let Ok(fd) = raw::syscall(libc::SYS_memfd_secret, [0; 5]) else {
                return skip("no memfd_secret here");
            };
            raw::get_seals(raw::owned(fd))
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
        skip("no memfd_secret here")
    });
}

/// Seals belong to the file: a seal that is added through one descriptor is seen through all.
fn one_set() -> Try {
    let file = MemFile::create_sealable("inode")?;
    let clone = file.try_clone()?;
    let opened = reopen(&file, OFlags::RDWR)?;
    file.add_seal(Seal::Grow)?;
    same("clone", clone.get_seals()?.contains(Seal::Grow), true)?;
    same("opened", raw::get_seals(&opened)? & GROW, GROW)?;
    raw::add_seals(&opened, SHRINK)?;
    same("file", file.get_seals()?.contains(Seals::FIXED_SIZE), true)?;
    raw::in_child(|| raw::add_seals(&clone, WRITE))?;
    same("by a child", file.get_seals()?.contains(Seal::Write), true)?;
    Ok(0)
}

/// If a set of seals is refused, none of it is added.
fn busy(table: &mut Table) {
    for seals in [WRITE, WRITE | SHRINK, WRITE | GROW, WRITE | SEAL, WRITE | SHRINK | GROW | SEAL] {
        table.row(format!("1.2/busy/{seals:#x}"), EBUSY, move || {
            let fd = sealable()?;
            let map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
            let before = raw::get_seals(&fd)?;
            let result = raw::add_seals(&fd, seals);
            same("seals", raw::get_seals(&fd)?, before)?;
            rustix::io::pwrite(&fd, b"B", 0)?;
            map.set(1, b'C');
            Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
            result
        });
        table.row(format!("1.2/busy-then-free/{seals:#x}"), Expect::Value(seals), move || {
            let fd = sealable()?;
            let map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
            let _ = raw::add_seals(&fd, seals);
            drop(map);
            added(&fd, seals)
        });
    }
}
