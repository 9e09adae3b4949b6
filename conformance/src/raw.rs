//! Calls without a safe wrapper: mappings, forked children, and arguments that are wrong on purpose.

#![allow(unsafe_code, reason = "system calls with raw arguments")]

use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};

use crate::table::{Stop, Try};

/// The number that a system call returned, or its errno.
fn answer(result: libc::c_long) -> Try {
    match result {
        -1 => Err(std::io::Error::last_os_error().into()),
        value => Ok(value.unsigned_abs()),
    }
}

/// The descriptor that a system call returned.
pub(crate) fn owned(fd: u64) -> OwnedFd {
    // SAFETY: The callers pass a descriptor that the kernel has just made.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// `memfd_create` with any pointer and any flags.
pub(crate) fn memfd_create(name: *const libc::c_char, flags: u32) -> Try<OwnedFd> {
    // SAFETY: The kernel checks the pointer.
    answer(unsafe { libc::syscall(libc::SYS_memfd_create, name, flags) }).map(owned)
}

/// `memfd_create` with these flags.
pub(crate) fn memfd(flags: u32) -> Try<OwnedFd> {
    memfd_create(c"conformance".as_ptr(), flags)
}

/// `fcntl(fd, F_ADD_SEALS, seals)` with an argument of 64 bits.
pub(crate) fn add_seals(fd: impl AsFd, seals: u64) -> Try {
    // SAFETY: No memory is involved.
    answer(unsafe { libc::syscall(SYS_FCNTL, fd.as_fd().as_raw_fd(), libc::F_ADD_SEALS, seals) })
}

/// `fcntl(fd, F_GET_SEALS)`.
pub(crate) fn get_seals(fd: impl AsFd) -> Try {
    // SAFETY: No memory is involved.
    answer(unsafe { libc::syscall(SYS_FCNTL, fd.as_fd().as_raw_fd(), libc::F_GET_SEALS) })
}

/// `fcntl(fd, F_SETLEASE, F_WRLCK)`.
pub(crate) fn set_write_lease(fd: impl AsFd) -> Try {
    syscall(SYS_FCNTL, [fd.as_fd().as_raw_fd() as usize, libc::F_SETLEASE as usize, libc::F_WRLCK as usize, 0, 0])
}

/// `close(fd)`. Call this only in a child, because the number may be that of a standard stream.
pub(crate) fn close(fd: i32) -> Try {
    syscall(libc::SYS_close, [fd as usize, 0, 0, 0, 0])
}

#[cfg(target_pointer_width = "64")]
const SYS_FCNTL: libc::c_long = libc::SYS_fcntl;
#[cfg(target_pointer_width = "32")]
const SYS_FCNTL: libc::c_long = libc::SYS_fcntl64;

/// Any system call. The arguments are numbers, or pointers to structures that outlive the call.
pub(crate) fn syscall(number: libc::c_long, arguments: [usize; 5]) -> Try {
    let [a, b, c, d, e] = arguments;
    // SAFETY: The callers pass numbers, and pointers to live structures of the size that the call takes.
    answer(unsafe { libc::syscall(number, a, b, c, d, e) })
}

/// A mapping, unmapped when dropped.
pub(crate) struct Map {
    base: *mut libc::c_void,
    len: usize,
}

impl Map {
    pub(crate) fn new(fd: impl AsFd, len: usize, protection: ProtFlags, flags: MapFlags) -> Try<Self> {
        Self::at(fd, len, protection, flags, 0)
    }

    pub(crate) fn at(fd: impl AsFd, len: usize, protection: ProtFlags, flags: MapFlags, offset: u64) -> Try<Self> {
        // SAFETY: With a null address, the kernel chooses unused address space.
        let base = unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, flags, fd, offset) }?;
        Ok(Self { base, len })
    }

    pub(crate) fn shared(fd: impl AsFd, len: usize, protection: ProtFlags) -> Try<Self> {
        Self::new(fd, len, protection, MapFlags::SHARED)
    }

    pub(crate) fn private(fd: impl AsFd, len: usize, protection: ProtFlags) -> Try<Self> {
        Self::new(fd, len, protection, MapFlags::PRIVATE)
    }

    /// A shared mapping from the start of the file. A larger mapping, which is removed again, finds free space, and
    /// the hint is `shift` bytes after a multiple of `align` there. The kernel may choose another address.
    pub(crate) fn hinted(fd: impl AsFd, len: usize, protection: ProtFlags, align: usize, shift: usize) -> Try<Self> {
        // SAFETY: With a null address, the kernel chooses unused address space.
        let space = unsafe {
            rustix::mm::mmap_anonymous(ptr::null_mut(), len + 2 * align, ProtFlags::empty(), MapFlags::PRIVATE)
        }?;
        // SAFETY: This is the mapping from above.
        unsafe { rustix::mm::munmap(space, len + 2 * align) }?;
        let hint = space.map_addr(|address| address.next_multiple_of(align) + shift);
        // SAFETY: Without MAP_FIXED no existing mapping is replaced.
        let base = unsafe { rustix::mm::mmap(hint, len, protection, MapFlags::SHARED, fd, 0) }?;
        Ok(Self { base, len })
    }

    /// `MADV_COLLAPSE` of the first `len` bytes. rustix has no constant for it.
    pub(crate) fn collapse(&self, len: usize) -> Try {
        assert!(len <= self.len);
        syscall(libc::SYS_madvise, [self.base as usize, len, 25, 0, 0])
    }

    pub(crate) fn address(&self) -> usize {
        self.base as usize
    }

    pub(crate) fn protect(&self, flags: MprotectFlags) -> Try {
        // SAFETY: The range is this mapping, and nobody holds references into it.
        unsafe { rustix::mm::mprotect(self.base, self.len, flags) }?;
        Ok(0)
    }

    pub(crate) fn advise(&self, advice: Advice) -> Try {
        // SAFETY: The range is this mapping, and nobody holds references into it.
        unsafe { rustix::mm::madvise(self.base, self.len, advice) }?;
        Ok(0)
    }

    /// `mremap` to another length; the old mapping is gone.
    pub(crate) fn remap(self, len: usize) -> Try<Self> {
        // SAFETY: The range is this mapping, and nobody holds references into it.
        let base = unsafe { rustix::mm::mremap(self.base, self.len, len, MremapFlags::MAYMOVE) }?;
        std::mem::forget(self);
        Ok(Self { base, len })
    }

    /// `mremap` with an old length of 0: a second mapping of the same pages.
    pub(crate) fn duplicate(&self) -> Try<Self> {
        // SAFETY: As for `remap`; the old mapping stays.
        let base = unsafe { rustix::mm::mremap(self.base, 0, self.len, MremapFlags::MAYMOVE) }?;
        Ok(Self { base, len: self.len })
    }

    /// `mmap` with `MAP_FIXED` over this mapping. Do not rely on this mapping afterwards.
    pub(crate) fn overwrite(&self, fd: impl AsFd, protection: ProtFlags) -> Try {
        // SAFETY: The range is this mapping, and nobody holds references into it.
        unsafe { rustix::mm::mmap(self.base, self.len, protection, MapFlags::SHARED | MapFlags::FIXED, fd, 0) }?;
        Ok(0)
    }

    /// `munmap` of the first `len` bytes. The rest is unmapped on drop.
    pub(crate) fn unmap_part(&self, len: usize) -> Try {
        // SAFETY: Part of this mapping, and nobody holds references into it.
        unsafe { rustix::mm::munmap(self.base, len) }?;
        Ok(0)
    }

    /// Reads a byte, which may raise SIGBUS.
    pub(crate) fn get(&self, index: usize) -> u8 {
        assert!(index < self.len);
        // SAFETY: Within the mapping. A fault is what the rows look for, in a child.
        unsafe { self.base.cast::<u8>().add(index).read_volatile() }
    }

    pub(crate) fn set(&self, index: usize, byte: u8) {
        assert!(index < self.len);
        // SAFETY: Within the mapping. A fault is what the rows look for, in a child.
        unsafe { self.base.cast::<u8>().add(index).write_volatile(byte) }
    }

    /// Moves references to the pages into a pipe.
    pub(crate) fn vmsplice(&self, pipe: impl AsFd, flags: u32) -> Try {
        let pages = libc::iovec { iov_base: self.base, iov_len: self.len };
        let pages = ptr::from_ref(&pages) as usize;
        syscall(libc::SYS_vmsplice, [pipe.as_fd().as_raw_fd() as usize, pages, 1, flags as usize, 0])
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: The range is this mapping, and nobody holds references into it.
        let _ = unsafe { rustix::mm::munmap(self.base, self.len) };
    }
}

/// A forked child that is killed on drop.
pub(crate) struct Child {
    pid: libc::pid_t,
}

impl Child {
    /// Forks a copy of this process, with its descriptors and mappings, that does nothing.
    pub(crate) fn idle() -> Try<Self> {
        // SAFETY: This program has one thread.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error().into()),
            0 => loop {
                // SAFETY: No pointers are involved.
                unsafe { libc::pause() };
            },
            pid => Ok(Self { pid }),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: This is a child of this process that was not waited for yet.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: As above.
        unsafe { libc::waitpid(self.pid, &mut status, 0) };
    }
}

/// Runs a row in a child, so that a signal ends only the child, and limits and namespaces apply only to it.
pub(crate) fn in_child(run: impl FnOnce() -> Try) -> Try {
    let (reader, writer) = rustix::pipe::pipe()?;
    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    // SAFETY: This program has one thread.
    let pid = match unsafe { libc::fork() } {
        -1 => return Err(std::io::Error::last_os_error().into()),
        0 => {
            let text = match run() {
                Ok(value) => format!("v{value}"),
                Err(Stop::Errno(errno)) => format!("e{}", errno.raw_os_error()),
                Err(Stop::Signal(signal)) => format!("g{signal}"),
                Err(Stop::Skip(why)) => format!("s{why}"),
                Err(Stop::Wrong(what)) => format!("w{what}"),
                Err(Stop::Message(message)) => format!("m{message}"),
            };
            let _ = writer.write_all(text.as_bytes());
            // SAFETY: `_exit` does not flush what the parent has buffered, so it is not printed twice.
            unsafe { libc::_exit(0) }
        }
        pid => pid,
    };
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    let mut status = 0;
    // SAFETY: This is a child of this process that was not waited for yet.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    if libc::WIFSIGNALED(status) {
        return Err(Stop::Signal(libc::WTERMSIG(status)));
    }
    let (kind, rest) = text.split_at_checked(1).unwrap_or_default();
    match (kind, rest.parse::<u64>()) {
        ("v", Ok(value)) => Ok(value),
        ("e", Ok(errno)) => Err(Stop::Errno(Errno::from_raw_os_error(errno as i32))),
        ("g", Ok(signal)) => Err(Stop::Signal(signal as i32)),
        ("s", _) => Err(Stop::Skip(rest.into())),
        ("m", _) => Err(Stop::Message(rest.into())),
        _ => Err(Stop::Wrong(text)),
    }
}

/// Executes a memory file in a child. Returns its exit status, or the errno of `execveat`.
pub(crate) fn execute(fd: impl AsFd) -> Try {
    let fd: BorrowedFd<'_> = fd.as_fd();
    in_child(|| {
        let arguments: [*const libc::c_char; 2] = [c"conformance".as_ptr(), ptr::null()];
        let environment: [*const libc::c_char; 1] = [ptr::null()];
        let empty: &CStr = c"";
        // SAFETY: All pointers are to live, terminated arrays.
        let result = unsafe {
            libc::syscall(
                libc::SYS_execveat,
                fd.as_raw_fd(),
                empty.as_ptr(),
                arguments.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        answer(result)
    })
}

/// Calls machine code at the start of a mapping.
pub(crate) fn call(map: &Map) -> u64 {
    // SAFETY: The caller wrote a function there that returns a number, and mapped it executable.
    let function = unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn() -> u64>(map.base) };
    function()
}

/// Ignores SIGXFSZ and SIGPIPE, so that calls return an errno instead, and SIGIO, which would end the process.
pub(crate) fn ignore_signals() {
    for signal in [libc::SIGXFSZ, libc::SIGPIPE, libc::SIGIO] {
        // SAFETY: No handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Restores the default action of the signal, which ends the process.
pub(crate) fn default_signal(signal: i32) {
    // SAFETY: No handler is installed.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Sets the umask. Call this only in a child, because it applies to the whole process.
pub(crate) fn set_umask(mask: u32) {
    // SAFETY: No memory is involved.
    unsafe { libc::umask(mask as libc::mode_t) };
}

/// Changes to an unprivileged user. Call this only in a child.
pub(crate) fn become_nobody() -> Try {
    syscall(libc::SYS_setresgid, [65534, 65534, 65534, 0, 0])?;
    syscall(libc::SYS_setresuid, [65534, 65534, 65534, 0, 0])
}

/// `unshare(2)`.
pub(crate) fn unshare(flags: i32) -> Try {
    syscall(libc::SYS_unshare, [flags as usize, 0, 0, 0, 0])
}

/// Writes to this process's own memory, as a debugger would.
pub(crate) fn process_vm_writev(from: &[usize; 2], to: &[usize; 2]) -> Try {
    let pid = std::process::id() as usize;
    // SAFETY: The kernel checks both ranges, and should refuse to write to the target.
    answer(unsafe {
        libc::syscall(libc::SYS_process_vm_writev, pid, from.as_ptr(), 1_usize, to.as_ptr(), 1_usize, 0_usize)
    })
}

/// Registers a range for faults of missing pages.
pub(crate) fn register_userfaultfd(start: usize, len: usize) -> Try {
    const UFFDIO_API: usize = 0xc018_aa3f;
    const UFFDIO_REGISTER: usize = 0xc020_aa00;
    const UFFD_USER_MODE_ONLY: usize = 1;

    let Ok(fd) = syscall(libc::SYS_userfaultfd, [UFFD_USER_MODE_ONLY, 0, 0, 0, 0]) else {
        return crate::table::skip("no userfaultfd here");
    };
    let fd = owned(fd);
    // struct uffdio_api: api, features, ioctls. struct uffdio_register: start, len, mode (missing), ioctls.
    let (mut api, mut register) = ([0xaa_u64, 0, 0], [start as u64, len as u64, 1, 0]);
    syscall(libc::SYS_ioctl, [fd.as_raw_fd() as usize, UFFDIO_API, api.as_mut_ptr() as usize, 0, 0])?;
    syscall(libc::SYS_ioctl, [fd.as_raw_fd() as usize, UFFDIO_REGISTER, register.as_mut_ptr() as usize, 0, 0])
}
