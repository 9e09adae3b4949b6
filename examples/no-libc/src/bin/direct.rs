//! Does what `through_memfile` does, with direct system calls that handle the same cases: an old kernel that refuses the exec flag,
//! calls that are interrupted or incomplete, a kernel that ignores seals or refuses the shared mapping. It does not ask for the
//! length after sealing, and its errors are plain errnos.
#![no_std]
#![no_main]

use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicBool, Ordering};

use no_libc as _;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags};

const TEXT: &[u8] = b"Hello from a sealed file\n";

#[unsafe(no_mangle)]
fn program() -> i32 {
    match check() {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(errno) => errno.raw_os_error(),
    }
}

fn check() -> Result<bool, Errno> {
    let file = create()?;
    write_all(file.as_fd(), TEXT)?;
    seal(file.as_fd())?;
    let map = match map(file.as_fd(), MapFlags::SHARED) {
        Err(Errno::PERM) => map(file.as_fd(), MapFlags::PRIVATE)?,
        result => result?,
    };
    drop(file);
    // SAFETY: The file is that long, and nobody can change or shorten it.
    let result = unsafe { slice::from_raw_parts(map, TEXT.len()) } == TEXT;
    // SAFETY: The mapping is not used any more.
    let _ = unsafe { rustix::mm::munmap(map.cast_mut().cast(), TEXT.len()) };
    Ok(result)
}

fn create() -> Result<OwnedFd, Errno> {
    /// Set once this kernel has refused the exec flag.
    static REFUSED: AtomicBool = AtomicBool::new(false);

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    if !REFUSED.load(Ordering::Relaxed) {
        match rustix::fs::memfd_create(c"greeting", flags | MemfdFlags::NOEXEC_SEAL) {
            Err(Errno::INVAL) => {}
            result => return result,
        }
    }
    let file = rustix::fs::memfd_create(c"greeting", flags)?;
    REFUSED.store(true, Ordering::Relaxed);
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o666))?;
    Ok(file)
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    let mut offset = 0;
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))? {
            0 => return Err(Errno::IO),
            n => {
                bytes = bytes.get(n..).unwrap_or_default();
                offset += n as u64;
            }
        }
    }
    Ok(())
}

fn seal(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    retry_on_intr(|| rustix::fs::fcntl_add_seals(file, seals))?;
    match rustix::fs::fcntl_get_seals(file)?.contains(seals) {
        true => Ok(()),
        false => Err(Errno::NOSYS),
    }
}

fn map(file: BorrowedFd<'_>, sharing: MapFlags) -> Result<*const u8, Errno> {
    // SAFETY: The kernel picks free address space.
    unsafe { rustix::mm::mmap(ptr::null_mut(), TEXT.len(), ProtFlags::READ, sharing, file, 0) }
        .map(|map| map.cast_const().cast())
}
