//! What `/proc` says about an open file: its [`Path`] and its [`Name`].

use core::ffi::CStr;
use core::fmt::{self, Write as _};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Deref;

use super::{MemFile, name};
use crate::error::{Error, Reason};
use crate::seal::{Seal, Seals};
use crate::sys;
use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `/proc/`, a process id or `thread-self`, `/fd/`, a descriptor, NUL.
const PATH_MAX: usize = 32;

/// The path of an open file: `/proc/self/fd/N`, or `/proc/PID/fd/N` for another process.
///
/// Use it for functions that take a path and not a descriptor. The path borrows the descriptor, so it
/// cannot outlive it, and making one does not allocate. It can be used as a `&CStr` in every build, and
/// as a `&Path` with feature `std`:
///
/// ```
/// use memfile::MemFile;
///
/// let file = MemFile::create_default("settings")?;
/// file.write_all_at(b"verbose = true", 0)?;
/// assert_eq!(std::fs::read_to_string(file.proc_path())?, "verbose = true");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Opening the path makes a new open file with its own position, at 0. That needs `/proc`, and it waits
/// if the owner of the file holds a lease on it. `/proc/self` shows the descriptors of the first thread,
/// so the path leads nowhere if that thread has ended and others still run.
///
/// # References
/// [proc_pid_fd(5)](https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html)
#[derive(Copy, Clone)]
pub struct Path<'fd> {
    bytes: [u8; PATH_MAX],
    fd: PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> Path<'fd> {
    pub(super) fn new(fd: BorrowedFd<'fd>) -> Self {
        Self::join(b"self", fd)
    }

    /// The path for the calling thread, which may have a table of descriptors of its own
    /// (`unshare(CLONE_FILES)`). `/proc/self` shows the table of the first thread, which may have
    /// another file under this number, or none.
    pub(crate) fn of_thread(fd: BorrowedFd<'fd>) -> Self {
        Self::join(b"thread-self", fd)
    }

    fn join(process: &[u8], fd: BorrowedFd<'fd>) -> Self {
        // Not `write!`, which would add the code for formatting to a small program.
        let number = sys::DecInt::from_fd(fd);
        let path: [&[u8]; 4] = [b"/proc/", process, b"/fd/", number.as_bytes()];
        let mut bytes = [0; PATH_MAX];
        for (target, &byte) in bytes.iter_mut().zip(path.into_iter().flatten()) {
            *target = byte;
        }
        Self { bytes, fd: PhantomData }
    }

    /// The path as a C string.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        // Never the default: the buffer has room for a NUL after the longest path.
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl Deref for Path<'_> {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        self.as_c_str()
    }
}

impl AsRef<CStr> for Path<'_> {
    fn as_ref(&self) -> &CStr {
        self.as_c_str()
    }
}

#[cfg(feature = "std")]
impl AsRef<std::ffi::OsStr> for Path<'_> {
    fn as_ref(&self) -> &std::ffi::OsStr {
        std::os::unix::ffi::OsStrExt::from_bytes(self.as_c_str().to_bytes())
    }
}

#[cfg(feature = "std")]
impl AsRef<std::path::Path> for Path<'_> {
    fn as_ref(&self) -> &std::path::Path {
        std::path::Path::new(AsRef::<std::ffi::OsStr>::as_ref(self))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_c_str().to_bytes().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_c_str().fmt(f)
    }
}

/// The longest link of a memory file: `/memfd:`, the name, ` (deleted)`.
const LINK_MAX: usize = 7 + name::MAX + 10;

/// The name that a memory file was created with: what [`MemFile::name`] returns, as bytes.
///
/// `Display` shows it as text, with U+FFFD for each part that is not UTF-8. `Debug` also escapes control
/// characters, which a name from a stranger may contain.
///
/// ```
/// use memfile::{CreateOptions, MemFile};
///
/// let name = MemFile::create(c"caf\xe9", CreateOptions::new())?.name()?;
/// assert_eq!(&*name, b"caf\xe9");
/// assert_eq!(name.to_string(), "caf\u{fffd}");
/// # Ok::<(), memfile::Error>(())
/// ```
#[derive(Clone)]
pub struct Name {
    link: [u8; LINK_MAX],
    len: usize,
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.link.get(..self.len).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

/// The name as text, with U+FFFD for each part that is not UTF-8.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// The name in quotes, with everything escaped that is not printable ASCII.
impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

impl MemFile {
    /// The path of this file for this process: `/proc/self/fd/N`. [`Path`] has an example.
    #[must_use]
    pub fn proc_path(&self) -> Path<'_> {
        Path::new(self.as_fd())
    }

    /// The path of this file for other processes, if process `pid` has it open under the same number:
    /// `/proc/PID/fd/N`. They need the right to inspect that process.
    ///
    /// With the id of this process, it is a path to give to a child:
    ///
    /// ```
    /// use std::process::{self, Command};
    ///
    /// let file = memfile::MemFile::create_default("words")?;
    /// file.write_all_at(b"pear\napple\n", 0)?;
    /// let sorted = Command::new("sort").arg(file.proc_path_of(process::id())).output()?;
    /// assert_eq!(sorted.stdout, b"apple\npear\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn proc_path_of(&self, pid: u32) -> Path<'_> {
        Path::join(sys::DecInt::new(pid).as_bytes(), self.as_fd())
    }

    /// `open("/proc/thread-self/fd/N", O_RDONLY | O_CLOEXEC | O_NONBLOCK)` — opens the same file again,
    /// read-only, with its own position at 0.
    ///
    /// Use it to hand the file out: the receiver moves its own position and cannot write through this
    /// descriptor. Only seals are a security boundary: whoever has a descriptor, of whatever user, can
    /// open the file again for writing, unless its mode forbids that. A new file has the mode 0666 or
    /// 0777, whatever the umask is.
    ///
    /// # Errors
    /// - ENOENT: `/proc` is not mounted
    /// - EACCES: the file's mode forbids reading
    /// - EWOULDBLOCK: the owner holds a lease on the file (`F_SETLEASE`); this call does not wait for
    ///   it. The flag `O_NONBLOCK` stays set, and has no effect on reading a file
    /// - EMFILE, ENFILE: out of descriptors
    ///
    /// # Example
    /// ```
    /// let file = memfile::MemFile::create_default("log")?;
    /// let reader = file.reopen_read_only()?;
    /// file.write_all_at(b"first", 0)?;
    /// assert_eq!(reader.len()?, 5);
    /// assert!(reader.write_at(b"F", 0).is_err());
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [open(2)](https://man7.org/linux/man-pages/man2/open.2.html)
    pub fn reopen_read_only(&self) -> Result<Self, Error> {
        Self::reopen_fd(self.as_fd()).map(Self::from_owned)
    }

    pub(crate) fn reopen_fd(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
        sys::open_read_only(&Path::of_thread(fd))
    }

    /// `readlink("/proc/thread-self/fd/N")` — the name that the file was created with.
    ///
    /// # Errors
    /// - ENOENT: `/proc` is not mounted
    /// - no errno: the link does not look like that of a file made by `memfd_create`. It can also belong
    ///   to a deleted file of another kind: [`is_memfd`](Self::is_memfd) knows
    ///
    /// # Example
    /// ```
    /// let name = memfile::MemFile::create_default("settings")?.name()?;
    /// assert_eq!(&*name, b"settings");
    /// assert_eq!(name.to_string(), "settings");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [readlink(2)](https://man7.org/linux/man-pages/man2/readlink.2.html)
    #[doc(alias = "readlink")]
    pub fn name(&self) -> Result<Name, Error> {
        let mut buffer = [MaybeUninit::uninit(); LINK_MAX];
        let link = sys::readlink(&Path::of_thread(self.as_fd()), &mut buffer)?;
        // The kernel appends " (deleted)" because no directory has the file.
        let name = link
            .strip_prefix(b"/memfd:")
            .and_then(|name| name.strip_suffix(b" (deleted)"))
            .ok_or(Error::new(Reason::NotByMemfd))?;
        // Initialized, unlike the buffer, of which the kernel has written only a part.
        let mut copy = [0; LINK_MAX];
        for (target, &byte) in copy.iter_mut().zip(name) {
            *target = byte;
        }
        Ok(Name { link: copy, len: name.len() })
    }

    /// Whether the file was made by `memfd_create`, and not by opening a file of tmpfs or hugetlbfs.
    ///
    /// Such an opened file has seals too, always exactly Seal. If this file has any other set of seals,
    /// one call is enough. If it has just Seal, this compares it with a new memory file:
    /// all memory files are on one mount, which no path leads to, and their names in `/proc` begin with
    /// `/memfd:`.
    ///
    /// # Errors
    /// - those of [`create`](Self::create) and [`name`](Self::name), if the file has exactly the
    ///   seal Seal
    ///
    /// # Example
    /// ```
    /// assert!(memfile::MemFile::create_default("settings")?.is_memfd()?);
    /// # Ok::<(), memfile::Error>(())
    /// ```
    pub fn is_memfd(&self) -> Result<bool, Error> {
        if self.get_seals()? != Seals::from(Seal::Seal) {
            return Ok(true);
        }
        let other = sys::create_like(self.as_fd())?;
        if sys::fstat(self.as_fd())?.device != sys::fstat(other.as_fd())?.device {
            return Ok(false);
        }
        // System V shared memory is on the same mount, but has another name.
        match self.name() {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_a_memory_file() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// For example `MemFile { fd: 5, name: "config", len: 4096, seals: Shrink | Write }`. Each field
/// after the first takes a system call, and is left out if the call fails.
impl fmt::Debug for MemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("MemFile");
        debug.field("fd", &self.as_raw_fd());
        if let Ok(name) = self.name() {
            debug.field("name", &name);
        }
        if let Ok(len) = self.len() {
            debug.field("len", &len);
        }
        if let Ok(seals) = self.get_seals() {
            debug.field("seals", &format_args!("{seals}"));
        }
        debug.finish()
    }
}
