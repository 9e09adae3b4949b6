//! Mappings that exist while a seal is added (1.4).

use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::mm::{MprotectFlags, ProtFlags};

use crate::probe::{FUTURE_WRITE, GROW, SHRINK, WRITE, needs, page, reopen, sealable};
use crate::raw::{self, Child, Map};
use crate::table::{EBUSY, OK, Stop, Table, Try, same};

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// Makes the mapping, and returns what has to stay alive.
type Setup = fn(&OwnedFd) -> Try<Box<dyn std::any::Any>>;

fn boxed<T: 'static>(value: T) -> Try<Box<dyn std::any::Any>> {
    Ok(Box::new(value))
}

/// What is mapped, and the result of adding each seal: `.` for success, `B` for EBUSY.
#[rustfmt::skip]
const MAPPINGS: &[(&str, &str, Setup)] = &[
    //                            WRITE FUTURE SHRINK GROW
    ("shared-RW",                 "B   .   .   .", |fd| boxed(Map::shared(fd, page(), RW)?)),
    ("shared-W",                  "B   .   .   .", |fd| boxed(Map::shared(fd, page(), ProtFlags::WRITE)?)),
    ("shared-R",                  "B   .   .   .", |fd| boxed(Map::shared(fd, page(), ProtFlags::READ)?)),
    ("shared-none",               "B   .   .   .", |fd| boxed(Map::shared(fd, page(), ProtFlags::empty())?)),
    ("shared-RW-then-R",          "B   .   .   .", mprotected),
    ("shared-RW-longer-than-file","B   .   .   .", |fd| boxed(Map::shared(fd, 8 * page(), RW)?)),
    ("shared-RW-duplicate",       "B   .   .   .", |fd| boxed(Map::shared(fd, page(), RW)?.duplicate()?)),
    ("shared-R-by-O_RDONLY",      ".   .   .   .", |fd| boxed(Map::shared(reopen(fd, OFlags::RDONLY)?, page(), ProtFlags::READ)?)),
    ("private-R",                 ".   .   .   .", |fd| boxed(Map::private(fd, page(), ProtFlags::READ)?)),
    ("private-RW",                ".   .   .   .", private_written),
    ("in-a-forked-child-alone",   "B   .   .   .", child_alone),
    ("child-gone",                ".   .   .   .", |fd| { drop(child_alone(fd)?); boxed(()) }),
    ("unmapped",                  ".   .   .   .", |fd| { drop(Map::shared(fd, page(), RW)?); boxed(()) }),
    ("descriptor-alone",          ".   .   .   .", |fd| boxed(reopen(fd, OFlags::RDWR)?)),
];

fn mprotected(fd: &OwnedFd) -> Try<Box<dyn std::any::Any>> {
    let map = Map::shared(fd, page(), RW)?;
    map.protect(MprotectFlags::READ)?;
    boxed(map)
}

fn private_written(fd: &OwnedFd) -> Try<Box<dyn std::any::Any>> {
    let map = Map::private(fd, page(), RW)?;
    map.set(0, b'B');
    boxed(map)
}

fn child_alone(fd: &OwnedFd) -> Try<Box<dyn std::any::Any>> {
    let map = Map::shared(fd, page(), RW)?;
    let child = Child::idle()?;
    drop(map);
    boxed(child)
}

pub(crate) fn rows(table: &mut Table) {
    let seals = [("WRITE", WRITE), ("FUTURE_WRITE", FUTURE_WRITE), ("SHRINK", SHRINK), ("GROW", GROW)];
    for &(name, signs, setup) in MAPPINGS {
        for ((seal, bit), sign) in seals.into_iter().zip(signs.split_whitespace()) {
            let expect = if sign == "B" { EBUSY } else { OK };
            table.row(format!("1.4/{name}/{seal}"), expect, move || {
                if bit == FUTURE_WRITE {
                    needs("FutureWrite")?;
                }
                let fd = sealable()?;
                let _alive = setup(&fd)?;
                let before = raw::get_seals(&fd)?;
                let result = raw::add_seals(&fd, bit);
                if matches!(result, Err(Stop::Errno(_))) {
                    same("seals", raw::get_seals(&fd)?, before)?;
                    same("still writable", rustix::io::pwrite(&fd, b"B", 0)?, 1)?;
                }
                result
            });
        }
    }
    table.row("1.4/map-survives-the-seal/by-O_RDONLY", OK, || {
        let fd = sealable()?;
        let map = Map::shared(reopen(&fd, OFlags::RDONLY)?, page(), ProtFlags::READ)?;
        rustix::io::pwrite(&fd, b"B", 0)?;
        raw::add_seals(&fd, WRITE)?;
        same("byte", map.get(0), b'B')?;
        Ok(0)
    });
    table.row("1.4/map-survives-the-descriptor/shared-R", OK, || {
        let fd = sealable()?;
        let map = Map::shared(&fd, page(), ProtFlags::READ)?;
        drop(fd);
        same("byte", map.get(0), b'A')?;
        Ok(0)
    });
    table.row("1.4/MAP_FIXED-refused/neighbours-intact", crate::table::EPERM, || {
        raw::in_child(|| {
            let fd = sealable()?;
            raw::add_seals(&fd, WRITE)?;
            let victim = Map::private(sealable()?, page(), ProtFlags::READ)?;
            // Whether the victim survives depends on the kernel (not on 6.1), so its drop must not unmap it.
            let result = victim.overwrite(&fd, RW);
            std::mem::forget(victim);
            result
        })
    });
}
