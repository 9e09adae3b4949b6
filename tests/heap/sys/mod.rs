//! The functions of `src/sys`, implemented with the simulated kernel.

#![allow(unsafe_code, reason = "the mappings are memory of the heap")]

#[path = "../../../src/sys/copy/words.rs"]
mod copy;
#[path = "../../../src/sys/fd.rs"]
pub mod fd;
mod kernel;

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;
use core::time::Duration;

use self::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use crate::error::{Call, Errno, Error};
use crate::options::{CreateOptions, Exec};
use crate::seal::{Seal, Seals};
use kernel::{File, PAGE, lock};

pub(crate) use copy::{copy_from_shared, copy_to_shared};
pub(crate) use copy_file_range as sendfile;
pub(crate) use copy_file_range as splice;
pub(crate) use rustix::path::DecInt;

pub(crate) const O_CLOEXEC: u32 = 0o2_000_000;
pub(crate) const O_NONBLOCK: i32 = 0o4000;

#[derive(Copy, Clone)]
pub(crate) struct Stat {
    pub(crate) len: u64,
    pub(crate) allocated: u64,
    pub(crate) granule: usize,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) mode: u32,
}

#[derive(Copy, Clone)]
pub(crate) enum Access {
    ConstantRead,
    SharedRead,
    SharedWrite,
    PrivateWrite,
}

fn failed(call: Call) -> impl Fn(Errno) -> Error {
    move |errno| Error::os(call, errno)
}

pub(crate) fn create(name: &CStr, options: &CreateOptions) -> Result<OwnedFd, Error> {
    if options.huge_tlb.is_some() {
        return Err(Error::os(Call::MemfdCreate, Errno::NOSYS));
    }
    let mut seals = if options.allow_sealing { Seals::empty() } else { Seal::Seal.into() };
    let mut mode = 0o777;
    if matches!(options.exec, Exec::Deny | Exec::DenyUnsealed) {
        mode = 0o666;
    }
    if options.exec == Exec::Deny {
        seals |= Seal::Exec;
    }
    Ok(lock().create(File::new(name.to_bytes(), seals, mode)))
}

pub(crate) fn create_like(_: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    create(c"", &CreateOptions::new().allow_sealing(true))
}

pub(crate) fn get_seals(fd: BorrowedFd<'_>) -> Result<Seals, Error> {
    lock().file(fd).map(|file| file.seals).map_err(failed(Call::GetSeals))
}

pub(crate) fn add_seals(fd: BorrowedFd<'_>, seals: Seals) -> Result<(), Error> {
    let mut kernel = lock();
    let read_only = kernel.open(fd).is_ok_and(|open| open.read_only);
    let writers = kernel.has_writers(fd);
    kernel
        .file(fd)
        .and_then(|file| {
            if read_only || file.seals.contains(Seal::Seal) {
                return Err(Errno::PERM);
            }
            if writers && seals.contains(Seal::Write) {
                return Err(Errno::BUSY);
            }
            file.seals |= seals;
            Ok(())
        })
        .map_err(failed(Call::AddSeals))
}

pub(crate) fn fstat(fd: BorrowedFd<'_>) -> Result<Stat, Error> {
    let mut kernel = lock();
    let inode = kernel.open(fd).map_err(failed(Call::Fstat))?.inode as u64;
    let file = kernel.file(fd).map_err(failed(Call::Fstat))?;
    let (len, allocated) = (file.len as u64, (file.present.len() * PAGE) as u64);
    Ok(Stat { len, allocated, granule: PAGE, device: 1, inode, mode: file.mode })
}

pub(crate) fn ftruncate(fd: BorrowedFd<'_>, len: u64) -> Result<(), Error> {
    let mut kernel = lock();
    kernel.set_len(fd, len).map_err(failed(Call::Ftruncate))
}

pub(crate) fn fallocate(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Error> {
    let mut kernel = lock();
    kernel.allocate(fd, offset, len).map_err(failed(Call::Fallocate))
}

pub(crate) fn punch_hole(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Error> {
    let mut kernel = lock();
    kernel.file(fd).and_then(|file| file.punch(offset, len)).map_err(failed(Call::Fallocate))
}

pub(crate) fn pread(fd: BorrowedFd<'_>, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
    lock().file(fd).map(|file| file.read(buf, offset)).map_err(failed(Call::Pread))
}

pub(crate) fn pread_to_vec(fd: BorrowedFd<'_>, bytes: &mut Vec<u8>, offset: u64) -> Result<usize, Error> {
    let mut room = vec![0; bytes.capacity() - bytes.len()];
    let n = pread(fd, &mut room, offset)?;
    bytes.extend_from_slice(&room[..n]);
    Ok(n)
}

pub(crate) fn pwrite(fd: BorrowedFd<'_>, buf: &[u8], offset: u64) -> Result<usize, Error> {
    lock().write(fd, buf, offset).map_err(failed(Call::Pwrite))
}

pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Error> {
    let mut kernel = lock();
    let at = kernel.open(fd).map_err(failed(Call::Read))?.position;
    let n = kernel.file(fd).map_err(failed(Call::Read))?.read(buf, at);
    kernel.seek(fd, at + n as u64).map(|()| n).map_err(failed(Call::Read))
}

pub(crate) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize, Error> {
    let mut kernel = lock();
    let at = kernel.open(fd).map_err(failed(Call::Write))?.position;
    let n = kernel.write(fd, buf, at).map_err(failed(Call::Write))?;
    kernel.seek(fd, at + n as u64).map(|()| n).map_err(failed(Call::Write))
}

pub(crate) fn seek(fd: BorrowedFd<'_>, offset: u64) -> Result<(), Error> {
    lock().seek(fd, offset).map_err(failed(Call::Lseek))
}

pub(crate) fn seek_back(fd: BorrowedFd<'_>, len: usize) -> Result<(), Error> {
    let mut kernel = lock();
    let at = kernel.open(fd).map_err(failed(Call::Lseek))?.position;
    kernel.seek(fd, at - len as u64).map_err(failed(Call::Lseek))
}

pub(crate) fn has_position(fd: BorrowedFd<'_>) -> Result<bool, Error> {
    lock().open(fd).map(|_| true).map_err(failed(Call::Lseek))
}

/// This and the other two calls that copy in the kernel fail, so `file/copy.rs` falls back to
/// reading and writing.
pub(crate) fn copy_file_range(
    from: BorrowedFd<'_>,
    at: Option<&mut u64>,
    to: BorrowedFd<'_>,
    len: usize,
) -> Result<usize, Error> {
    let _ = (from, at, to, len);
    Err(Error::os(Call::CopyFileRange, Errno::NOSYS))
}

pub(crate) fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    lock().open(fd).is_ok_and(|open| open.read_only)
}

pub(crate) fn dup(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    lock().dup(fd).map_err(failed(Call::Dup))
}

pub(crate) fn dup_high(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    dup(fd)
}

pub(crate) fn has_seals(_: RawFd) -> bool {
    false
}

pub(crate) fn is_above_stdio(fd: BorrowedFd<'_>) -> bool {
    fd.as_raw_fd() > 2
}

pub(crate) fn let_inherit(_: BorrowedFd<'_>) -> Result<(), Error> {
    Ok(())
}

/// The number at the end of a path such as `/proc/self/fd/5`.
fn number(path: &CStr) -> Option<i32> {
    let (folder, number) = path.to_str().ok()?.rsplit_once('/')?;
    if folder.starts_with("/proc/") { number.parse().ok() } else { None }
}

pub(crate) fn open_read_only(path: &CStr) -> Result<OwnedFd, Error> {
    let number = number(path).ok_or(Error::os(Call::Open, Errno::NOENT))?;
    lock().reopen(number).map_err(failed(Call::Open))
}

pub(crate) fn readlink<'a>(path: &CStr, buf: &'a mut [MaybeUninit<u8>]) -> Result<&'a [u8], Error> {
    let number = number(path).ok_or(Error::os(Call::Readlink, Errno::NOENT))?;
    let kernel = lock();
    let name = kernel.name(number).map_err(failed(Call::Readlink))?;
    let link = [b"/memfd:", name, b" (deleted)"].concat();
    for (target, byte) in buf.iter_mut().zip(&link) {
        target.write(*byte);
    }
    // SAFETY: These bytes have just been written.
    Ok(unsafe { core::slice::from_raw_parts(buf.as_ptr().cast(), link.len().min(buf.len())) })
}

pub(crate) fn with_c_str<T>(text: &str, f: impl FnOnce(&CStr) -> T) -> Result<T, Errno> {
    rustix::path::Arg::into_with_c_str(text, |text| Ok(f(text)))
}

pub(crate) fn mmap(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: usize,
    access: Access,
    _hint: Option<NonNull<u8>>,
) -> Result<NonNull<u8>, Error> {
    lock().map(fd, offset, len, access).map_err(failed(Call::Mmap))
}

/// # Safety
/// `base` and `len` are those of one call of [`mmap`], and nothing uses the memory any more.
pub(crate) unsafe fn munmap(base: NonNull<u8>, len: usize) {
    lock().unmap(base, len);
}

pub(crate) fn free_address(_: usize, _: usize) -> Option<NonNull<u8>> {
    None
}

pub(crate) fn try_map(fd: BorrowedFd<'_>, access: Access) -> Result<(), Error> {
    let base = mmap(fd, 0, 1, access, None)?;
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, 1) };
    Ok(())
}

pub(crate) fn populate(fd: BorrowedFd<'_>, len: usize) -> Result<(), Error> {
    let base = mmap(fd, 0, len, Access::SharedRead, None)?;
    let result = madvise_populate_read(base, len);
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, len) };
    result
}

pub(crate) fn madvise_populate_read(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    lock().touch(base, len).map_err(failed(Call::Madvise))
}

pub(crate) fn madvise_populate_write(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    madvise_populate_read(base, len)
}

pub(crate) fn mlock(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    lock().touch(base, len).map_err(failed(Call::Mlock))
}

pub(crate) fn madvise_hugepage(_: NonNull<u8>, _: usize) -> Result<(), Error> {
    Ok(())
}

pub(crate) fn madvise_collapse(_: NonNull<u8>, _: usize) -> bool {
    false
}

pub(crate) fn transparent_huge_page_size(_: usize) -> usize {
    1
}

pub(crate) fn huge_page_size(_: BorrowedFd<'_>) -> Result<Option<u64>, Error> {
    Ok(None)
}

pub(crate) fn try_exec_flags() -> Result<(), Error> {
    Ok(())
}

pub(crate) fn exec_seal_finds_writers() -> Result<bool, Error> {
    Ok(true)
}

pub(crate) fn nanosleep(duration: Duration) {
    std::thread::sleep(duration);
}

pub(crate) struct Timer(std::time::Instant);

impl Timer {
    #[expect(clippy::unnecessary_wraps, reason = "the kernel's can fail")]
    pub(crate) fn start(timeout: Duration) -> Result<Self, Error> {
        Ok(Self(std::time::Instant::now() + timeout))
    }

    pub(crate) fn is_running(&self) -> bool {
        std::time::Instant::now() < self.0
    }
}

pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> Result<bool, Error> {
    kernel::futex_wait(NonNull::from(word).cast(), expected, timeout).map_err(failed(Call::FutexWait))
}

pub(crate) fn futex_wake(word: &AtomicU32, most: u32) -> Result<usize, Error> {
    kernel::futex_wake(NonNull::from(word).cast(), most).map_err(failed(Call::FutexWake))
}
