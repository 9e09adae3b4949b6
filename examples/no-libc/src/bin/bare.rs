//! The least that direct system calls can do: create, write, seal, map and check, without regard to other kernels, to
//! interruptions, or to what may go wrong. The other sizes are compared with this one.
#![no_std]
#![no_main]

use no_libc as _;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
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
    let file = rustix::fs::memfd_create(c"greeting", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::io::pwrite(&file, TEXT, 0)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    // SAFETY: The kernel picks free address space.
    let map =
        unsafe { rustix::mm::mmap(core::ptr::null_mut(), TEXT.len(), ProtFlags::READ, MapFlags::SHARED, &file, 0)? };
    // SAFETY: The file is that long, and nobody can change or shorten it.
    let bytes = unsafe { core::slice::from_raw_parts(map.cast::<u8>(), TEXT.len()) };
    Ok(bytes == TEXT)
}
