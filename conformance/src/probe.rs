//! Finds out what this kernel can do, by trying. This is printed first, and rows that need a feature ask for it.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::mm::ProtFlags;

use crate::raw::{self, Map};
use crate::table::{Stop, Try, skip};

pub(crate) const MFD_CLOEXEC: u32 = 1;
pub(crate) const MFD_ALLOW_SEALING: u32 = 2;
pub(crate) const MFD_HUGETLB: u32 = 4;
pub(crate) const MFD_NOEXEC_SEAL: u32 = 8;
pub(crate) const MFD_EXEC: u32 = 0x10;

pub(crate) const SEAL: u64 = 0x1;
pub(crate) const SHRINK: u64 = 0x2;
pub(crate) const GROW: u64 = 0x4;
pub(crate) const WRITE: u64 = 0x8;
pub(crate) const FUTURE_WRITE: u64 = 0x10;
pub(crate) const EXEC: u64 = 0x20;

/// The page size, which is not the same on all machines.
pub(crate) fn page() -> usize {
    rustix::param::page_size()
}

/// A sealable file of two pages full of `A`, executable and without seals. If `vm.memfd_noexec` is 2, there is no such
/// file: it has the seal Exec, so rows compare its seals with those that it had before.
pub(crate) fn sealable() -> Try<OwnedFd> {
    let fd = plain(MFD_CLOEXEC | MFD_ALLOW_SEALING)?;
    fill(&fd)?;
    Ok(fd)
}

/// A file whose only seal is Seal. Skips the row if there can be no such file.
pub(crate) fn unsealable() -> Try<OwnedFd> {
    let fd = plain(MFD_CLOEXEC)?;
    match raw::get_seals(&fd)? {
        EXEC => skip(NO_CHOICE),
        _ => Ok(fd),
    }
}

/// Creates a file with `flags`. Adds MFD_EXEC only if the file would get the seal Exec otherwise.
fn plain(flags: u32) -> Try<OwnedFd> {
    let fd = raw::memfd(flags)?;
    match raw::get_seals(&fd)? & EXEC {
        0 => Ok(fd),
        _ => raw::memfd(flags | MFD_EXEC).or(Ok(fd)),
    }
}

const NO_CHOICE: &str = "vm.memfd_noexec is 2: every file has the seal Exec, and none can be executed";

/// Skips the row if creation failed because the kernel forbids executable memory files.
pub(crate) fn unless_forbidden<T>(result: Try<T>) -> Try<T> {
    match (result, raw::memfd(MFD_EXEC)) {
        (Err(Stop::Errno(Errno::ACCESS)), Err(Stop::Errno(Errno::ACCESS))) => skip(NO_CHOICE),
        (result, _) => result,
    }
}

pub(crate) fn fill(fd: impl AsFd) -> Try {
    Ok(rustix::io::pwrite(fd, &vec![b'A'; 2 * page()], 0)? as u64)
}

pub(crate) fn proc_path(fd: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

pub(crate) fn reopen(fd: impl AsFd, flags: rustix::fs::OFlags) -> Try<OwnedFd> {
    if std::fs::symlink_metadata("/proc/self/fd").is_err() {
        return skip("no /proc");
    }
    Ok(rustix::fs::open(proc_path(&fd), flags | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())?)
}

type Probe = fn() -> Try;

/// The name of each feature, the first version of Linux that has it, and a call that tests for it.
const PROBES: [(&str, &str, Probe); 9] = [
    ("FutureWrite", "5.1", || raw::add_seals(sealable()?, FUTURE_WRITE)),
    ("MFD_NOEXEC_SEAL", "6.3", || raw::memfd(MFD_NOEXEC_SEAL).map(|_| 0)),
    ("MFD_EXEC", "6.3", || raw::memfd(MFD_EXEC).map(|_| 0)),
    ("Exec", "6.3", || raw::add_seals(sealable()?, EXEC)),
    ("shared map of a write-sealed file", "6.7", || {
        let fd = sealable()?;
        raw::add_seals(&fd, WRITE)?;
        Map::shared(&fd, page(), ProtFlags::READ).map(|_| 0)
    }),
    ("MADV_POPULATE_READ", "5.14", || {
        Map::shared(sealable()?, page(), ProtFlags::READ)?.advise(rustix::mm::Advice::LinuxPopulateRead)
    }),
    ("MADV_COLLAPSE of memory files", "6.1", crate::collapse::collapses),
    ("MADV_PAGEOUT", "5.4", || {
        Map::shared(sealable()?, page(), ProtFlags::READ)?.advise(rustix::mm::Advice::LinuxPageOut)
    }),
    ("Exec looks for writers", "7.1 and stable", || {
        let fd = executable()?;
        let _map = Map::shared(&fd, page(), ProtFlags::READ | ProtFlags::WRITE)?;
        match raw::add_seals(&fd, EXEC) {
            Err(Stop::Errno(Errno::BUSY)) => Ok(0),
            Ok(_) => Err(Stop::Wrong("the Write seal is there and the map still writes".into())),
            result => result,
        }
    }),
];

/// A sealable file with the mode 0777.
pub(crate) fn executable() -> Try<OwnedFd> {
    let fd = unless_forbidden(raw::memfd(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC))?;
    fill(&fd)?;
    Ok(fd)
}

/// Skips the row unless the kernel has the feature.
pub(crate) fn needs(feature: &str) -> Try<()> {
    match PROBES.iter().find(|(name, ..)| *name == feature) {
        Some((_, _, probe)) if probe().is_ok() => Ok(()),
        _ => skip(format!("no {feature} here")),
    }
}

/// Skips the row unless files are executable by default: `vm.memfd_noexec` is 0 or does not exist.
pub(crate) fn needs_executable_default() -> Try<()> {
    match rustix::fs::fstat(raw::memfd(0)?)?.st_mode & 0o111 {
        0 => skip("vm.memfd_noexec is not 0"),
        _ => Ok(()),
    }
}

pub(crate) fn print() {
    let system = rustix::system::uname();
    let (release, machine) = (system.release().to_string_lossy(), system.machine().to_string_lossy());
    println!("kernel {release} {machine}, pages of {} KiB", page() / 1024);
    for (name, since, probe) in PROBES {
        let answer = if probe().is_ok() { "yes" } else { "no" };
        println!("can {name}: {answer} (since {since})");
    }
}
