//! The calls that every system has. Available since: Linux 3.17, FreeBSD 13.0.

use core::ffi::{CStr, c_void};
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use core::time::Duration;

use rustix::fs::{CWD, FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, SeekFrom};
use rustix::io::{Errno, FdFlags, retry_on_intr};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::path::Arg;
use rustix::thread::{NanosleepRelativeResult, Timespec};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_gettime, timerfd_settime,
};

use super::NORESERVE;
use super::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use crate::error::{Call, Error};
use crate::seal::Seals;

/// Makes the error of a failed call from its errno.
pub(super) fn failed(call: Call) -> impl Fn(Errno) -> Error {
    move |errno| Error::os(call, errno)
}

/// Copies a string to the stack, and appends a NUL.
///
/// # Errors
/// The string contains a NUL, or is longer than 255 bytes.
#[inline]
pub(crate) fn with_c_str<T>(text: &str, f: impl FnOnce(&CStr) -> T) -> Result<T, Errno> {
    text.into_with_c_str(|text| Ok(f(text)))
}

#[inline]
pub(crate) fn get_seals(fd: BorrowedFd<'_>) -> Result<Seals, Error> {
    match rustix::fs::fcntl_get_seals(fd) {
        Ok(seals) => Ok(Seals::from_bits_retain(seals.bits())),
        Err(errno) => Err(failed(Call::GetSeals)(errno)),
    }
}

#[inline]
pub(crate) fn add_seals(fd: BorrowedFd<'_>, seals: Seals) -> Result<(), Error> {
    retry_on_intr(|| rustix::fs::fcntl_add_seals(fd, SealFlags::from_bits_retain(seals.bits())))
        .map_err(failed(Call::AddSeals))
}

/// The fields of `struct stat` that this crate uses.
#[allow(dead_code, reason = "some are used by one feature alone")]
#[derive(Copy, Clone)]
pub(crate) struct Stat {
    pub(crate) len: u64,
    /// How many bytes of memory the file has, without holes.
    pub(crate) allocated: u64,
    /// `st_blksize`: a power of two, of which lengths and offsets of mappings must be a multiple if the
    /// file has huge pages.
    pub(crate) granule: usize,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// `st_mode`: type and permission bits.
    pub(crate) mode: u32,
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the kernel gives no negative value, and the fields' types differ from one target to the next"
)]
#[inline]
pub(crate) fn fstat(fd: BorrowedFd<'_>) -> Result<Stat, Error> {
    let stat = rustix::fs::fstat(fd).map_err(failed(Call::Fstat))?;
    let granule = stat.st_blksize as usize;
    Ok(Stat {
        len: stat.st_size as u64,
        allocated: super::allocated(stat.st_size as u64, stat.st_blocks as u64),
        granule: if granule.is_power_of_two() { granule } else { 1 },
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        mode: stat.st_mode as u32,
    })
}

#[inline]
pub(crate) fn ftruncate(fd: BorrowedFd<'_>, len: u64) -> Result<(), Error> {
    retry_on_intr(|| rustix::fs::ftruncate(fd, len)).map_err(failed(Call::Ftruncate))
}

/// `fallocate`, in smaller pieces after a signal: some kernels undo the whole call then, and a process that
/// gets signals often would never finish.
pub(crate) fn fallocate(fd: BorrowedFd<'_>, mut offset: u64, len: u64) -> Result<(), Error> {
    const SMALLEST: u64 = 1 << 20;
    let (mut rest, mut piece) = (len, len);
    loop {
        match rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, piece) {
            Ok(()) if piece >= rest => return Ok(()),
            Ok(()) => {
                offset = offset.saturating_add(piece);
                rest = rest.saturating_sub(piece);
                piece = piece.min(rest);
            }
            Err(Errno::INTR) => piece = (piece / 2).max(SMALLEST).min(rest),
            Err(errno) => return Err(failed(Call::Fallocate)(errno)),
        }
    }
}

#[inline]
pub(crate) fn pread(fd: BorrowedFd<'_>, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::pread(fd, &mut *buf, offset)).map_err(failed(Call::Pread))
}

/// Like [`pread`], but appends to a vector, without making it reallocate.
#[cfg(feature = "std")]
pub(crate) fn pread_to_vec(fd: BorrowedFd<'_>, bytes: &mut std::vec::Vec<u8>, offset: u64) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::pread(fd, rustix::buffer::spare_capacity(bytes), offset)).map_err(failed(Call::Pread))
}

#[inline]
pub(crate) fn pwrite(fd: BorrowedFd<'_>, buf: &[u8], offset: u64) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::pwrite(fd, buf, offset)).map_err(failed(Call::Pwrite))
}

/// Whether the descriptor is open for reading only. If `F_GETFL` fails, it counts as writable.
pub(crate) fn is_read_only(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_getfl(fd).is_ok_and(|flags| flags & OFlags::RWMODE == OFlags::RDONLY)
}

/// `fcntl(F_GET_SEALS)` of a number: whether it is an open descriptor of a file that has seals. It waits for
/// nobody, whatever the descriptor is.
#[cfg(feature = "std")]
pub(crate) fn has_seals(number: RawFd) -> bool {
    // SAFETY: The call changes nothing, whosever descriptor it is, and fails if there is none.
    number >= 0 && get_seals(unsafe { BorrowedFd::borrow_raw(number) }).is_ok()
}

/// The first number that is not one of the standard streams.
///
/// Safe code can replace those with `dup2`, and the streams of a child get the same numbers. So no
/// descriptor of this crate has one of them, although the kernel returns the lowest free number, and a
/// process may start with a closed stdin.
const FIRST_FD: RawFd = 3;

/// A second descriptor of the same open file, close-on-exec.
#[inline]
pub(crate) fn dup(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    rustix::io::fcntl_dupfd_cloexec(fd, FIRST_FD).map_err(failed(Call::Dup))
}

#[inline]
pub(crate) fn is_above_stdio(fd: BorrowedFd<'_>) -> bool {
    fd.as_raw_fd() >= FIRST_FD
}

/// Like [`dup`], but with a number that is hardly ever given to a descriptor on purpose, if such numbers
/// are allowed.
#[cfg(feature = "std")]
pub(crate) fn dup_high(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    const HIGH: RawFd = 500;
    // EINVAL: `RLIMIT_NOFILE` is lower; EMFILE: no higher number is free.
    match rustix::io::fcntl_dupfd_cloexec(fd, HIGH) {
        Err(Errno::INVAL | Errno::MFILE) => dup(fd),
        result => result.map_err(failed(Call::Dup)),
    }
}

/// Gives a descriptor another number if it has that of a standard stream. If another thread replaces the
/// stream meanwhile, the result is that other file: only for files that are examined afterwards.
#[inline]
pub(super) fn above_stdio(fd: OwnedFd) -> Result<OwnedFd, Error> {
    #[cold]
    fn move_up(fd: OwnedFd) -> Result<OwnedFd, Error> {
        dup(fd.as_fd())
    }
    if is_above_stdio(fd.as_fd()) { Ok(fd) } else { move_up(fd) }
}

/// Makes a new memory file. If its number is that of a standard stream, makes another one: a file that is
/// moved may be another thread's, which has replaced the stream meanwhile.
#[inline(never)]
pub(super) fn memfd_create(name: &CStr, flags: MemfdFlags) -> Result<OwnedFd, Errno> {
    #[cold]
    fn create_another(_below: OwnedFd, name: &CStr, flags: MemfdFlags) -> Result<OwnedFd, Errno> {
        // While the file below is open, the next one gets another number.
        memfd_create(name, flags)
    }
    let fd = rustix::fs::memfd_create(name, flags)?;
    if is_above_stdio(fd.as_fd()) { Ok(fd) } else { create_another(fd, name, flags) }
}

/// Keeps the descriptor open across `execve`.
pub(crate) fn let_inherit(fd: BorrowedFd<'_>) -> Result<(), Error> {
    rustix::io::fcntl_setfd(fd, FdFlags::empty()).map_err(failed(Call::SetFdFlags))
}

/// Whether a mapping can be written, and who sees what is written through it.
#[derive(Copy, Clone)]
pub(crate) enum Access {
    /// Read-only, of a file that is sealed against writing.
    ConstantRead,
    SharedRead,
    SharedWrite,
    PrivateWrite,
}

/// Maps `len` bytes from `offset`, a multiple of the page size, at `hint` if that is free, otherwise
/// at an address of the kernel's choice.
///
/// On some kernels before 6.7 and on 6.12.0 to 6.12.8, a shared read-only mapping counts as potentially
/// writable, and fails with EPERM if the file is write-sealed. Then the file is mapped privately: the
/// bytes are just as constant, and the pages are the same. Only the holes of a file of huge pages differ,
/// for which each private mapping takes pages of its own.
///
/// This function is safe, because it changes no existing mapping, and returns only a pointer.
#[inline]
pub(crate) fn mmap(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: usize,
    access: Access,
    hint: Option<NonNull<u8>>,
) -> Result<NonNull<u8>, Error> {
    let hint = hint.map_or(ptr::null_mut(), |address| address.as_ptr().cast::<c_void>());
    // If one way fails with EPERM, the next one is tried. NORESERVE, because a private mapping of a file of
    // huge pages would otherwise reserve its pages again.
    let (protection, ways): (_, &[MapFlags]) = match access {
        Access::ConstantRead => (ProtFlags::READ, &[MapFlags::SHARED, MapFlags::PRIVATE.union(NORESERVE)]),
        Access::SharedRead => (ProtFlags::READ, &[MapFlags::SHARED]),
        Access::SharedWrite => (ProtFlags::READ.union(ProtFlags::WRITE), &[MapFlags::SHARED]),
        Access::PrivateWrite => (ProtFlags::READ.union(ProtFlags::WRITE), &[MapFlags::PRIVATE]),
    };
    let mut result = Err(Errno::PERM);
    for &flags in ways {
        // SAFETY: Without MAP_FIXED the kernel picks free address space, so nothing that exists is
        // unmapped or changed.
        result = unsafe { rustix::mm::mmap(hint, len, protection, flags, fd, offset) };
        if result != Err(Errno::PERM) {
            break;
        }
    }
    let address = result.map_err(failed(Call::Mmap))?;
    // The kernel places nothing at 0 unless it is asked to.
    NonNull::new(address.cast()).ok_or(Error::os(Call::Mmap, Errno::NOMEM))
}

/// A free address that is a multiple of `align`, a power of two, with room for `len` bytes: a hint
/// for [`mmap`]. Another thread may get the place first.
#[inline(never)]
pub(crate) fn free_address(len: usize, align: usize) -> Option<NonNull<u8>> {
    let room = len.checked_add(align)?;
    // SAFETY: As for `mmap`; nobody can touch the pages.
    let base =
        unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), room, ProtFlags::empty(), MapFlags::PRIVATE | NORESERVE) };
    let base = NonNull::new(base.ok()?.cast::<u8>())?;
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, room) };
    let address = base.addr().get().checked_next_multiple_of(align)?;
    Some(base.with_addr(address.try_into().ok()?))
}

/// # Safety
/// `base` and `len` are those of one call of [`mmap`], and nothing uses the memory any more.
#[inline]
pub(crate) unsafe fn munmap(base: NonNull<u8>, len: usize) {
    // This can fail with ENOMEM, if the kernel has merged neighbouring mappings of one file, and splitting
    // them exceeds `vm.max_map_count`. Then the memory stays mapped, which harms nobody.
    // SAFETY: By this function's contract the range is a mapping of ours that nobody uses.
    let _ = unsafe { rustix::mm::munmap(base.as_ptr().cast::<c_void>(), len) };
}

/// Sleeps for the whole time, even if a signal interrupts it.
pub(crate) fn nanosleep(duration: Duration) {
    let mut request = timespec(duration);
    while let NanosleepRelativeResult::Interrupted(remaining) = rustix::thread::nanosleep(&request) {
        request = remaining;
    }
}

/// A timer of the kernel, since `core` has no clock, and that of rustix, which reads the vDSO, can panic.
/// Available since: Linux 2.6.25, FreeBSD 14.0.
pub(crate) struct Timer(OwnedFd);

impl Timer {
    /// `timerfd_create`, `timerfd_settime`.
    pub(crate) fn start(timeout: Duration) -> Result<Self, Error> {
        const NEVER_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)
            .map_err(failed(Call::TimerfdCreate))
            .and_then(above_stdio)?;
        let time = Itimerspec { it_interval: NEVER_AGAIN, it_value: timespec(timeout) };
        timerfd_settime(&fd, TimerfdTimerFlags::empty(), &time).map_err(failed(Call::TimerfdSettime))?;
        Ok(Self(fd))
    }

    /// `timerfd_gettime`: whether any time is left.
    pub(crate) fn is_running(&self) -> bool {
        timerfd_gettime(&self.0).is_ok_and(|Itimerspec { it_value: left, .. }| left.tv_sec != 0 || left.tv_nsec != 0)
    }
}

/// At most `i32::MAX` seconds (68 years), because kernels before 5.1 support no longer time on 32-bit
/// machines.
pub(super) fn timespec(duration: Duration) -> Timespec {
    let seconds = duration.as_secs().try_into().unwrap_or(i32::MAX);
    Timespec { tv_sec: seconds.into(), tv_nsec: duration.subsec_nanos().into() }
}

/// Makes the pages of a mapping present, and keeps them in memory until it is unmapped.
pub(crate) fn mlock(base: NonNull<u8>, len: usize) -> Result<(), Error> {
    // SAFETY: Locking changes neither contents nor mappings; a range that is not mapped fails with
    // ENOMEM.
    retry_on_intr(|| unsafe { rustix::mm::mlock(base.as_ptr().cast::<c_void>(), len) }).map_err(failed(Call::Mlock))
}

/// Maps the first page of a file and unmaps it again, to see whether the kernel permits that.
pub(crate) fn try_map(fd: BorrowedFd<'_>, access: Access) -> Result<(), Error> {
    let base = mmap(fd, 0, 1, access, None)?;
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, 1) };
    Ok(())
}

/// Fills the holes in the first `len` bytes of a file by reading them: `mmap`, `madvise`, `munmap`.
pub(crate) fn populate(fd: BorrowedFd<'_>, len: usize) -> Result<(), Error> {
    let base = mmap(fd, 0, len, Access::SharedRead, None)?;
    let result = super::madvise_populate_read(base, len);
    // SAFETY: The mapping was made here and nobody else knows of it.
    unsafe { munmap(base, len) };
    result
}

/// Opens a file for reading, close-on-exec. If somebody has a lease on the file, this fails with
/// EWOULDBLOCK; without `O_NONBLOCK` it would wait for up to `fs.lease-break-time`.
pub(crate) fn open_read_only(path: &CStr) -> Result<OwnedFd, Error> {
    retry_on_intr(|| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()))
        .map_err(failed(Call::Open))
        .and_then(above_stdio)
}

/// The flag as `/proc/self/fdinfo` shows it. Its value differs between processors.
#[cfg(feature = "std")]
pub(crate) const O_CLOEXEC: u32 = OFlags::CLOEXEC.bits();

/// The flag as `std::fs::OpenOptions` takes it.
#[cfg(feature = "std")]
#[allow(clippy::cast_possible_wrap, reason = "it is a small number")]
pub(crate) const O_NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// The target of a symbolic link, truncated to the length of the buffer.
pub(crate) fn readlink<'a>(path: &CStr, buf: &'a mut [MaybeUninit<u8>]) -> Result<&'a [u8], Error> {
    match rustix::fs::readlinkat_raw(CWD, path, buf) {
        Ok((target, _)) => Ok(target),
        Err(errno) => Err(failed(Call::Readlink)(errno)),
    }
}

pub(crate) fn read(fd: BorrowedFd<'_>, buf: &mut [u8]) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::read(fd, &mut *buf)).map_err(failed(Call::Read))
}

pub(crate) fn write(fd: BorrowedFd<'_>, buf: &[u8]) -> Result<usize, Error> {
    retry_on_intr(|| rustix::io::write(fd, buf)).map_err(failed(Call::Write))
}

/// `lseek` to an offset.
pub(crate) fn seek(fd: BorrowedFd<'_>, offset: u64) -> Result<(), Error> {
    rustix::fs::seek(fd, SeekFrom::Start(offset)).map(drop).map_err(failed(Call::Lseek))
}

/// `lseek` towards the start.
pub(crate) fn seek_back(fd: BorrowedFd<'_>, len: usize) -> Result<(), Error> {
    let offset = i64::try_from(len).map_or(i64::MIN, |len| -len);
    rustix::fs::seek(fd, SeekFrom::Current(offset)).map(drop).map_err(failed(Call::Lseek))
}

/// Whether the file has a position: whether `pread` of no bytes succeeds. A pipe, a socket or a terminal
/// has none.
///
/// Not `lseek`, which waits while another process that has the same open file reads from it, for as long
/// as that takes.
pub(crate) fn has_position(fd: BorrowedFd<'_>) -> Result<bool, Error> {
    match pread(fd, &mut [], 0) {
        Ok(_) => Ok(true),
        Err(error) if error.is(Errno::SPIPE) => Ok(false),
        Err(error) => Err(error),
    }
}
