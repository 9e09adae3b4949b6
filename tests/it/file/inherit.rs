//! Descriptors that a child process inherits, and how it finds them.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use memfile::{CreateOptions, MemFile, SealedFile};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use rustix::fs::{FileType, Mode, OFlags};

use crate::support::proc_self::open_descriptors;
use crate::support::skip::skip;
use crate::support::{child, tmpfs};

fn flags(fd: impl AsFd) -> (OFlag, FdFlag) {
    (
        OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL).unwrap()) & OFlag::O_ACCMODE,
        FdFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFD).unwrap()),
    )
}

#[test]
fn a_child_finds_files_by_name_and_by_number() {
    let Some(test) = child::split(|_| find_both()) else { return };
    let state = MemFile::create_default("inherited state").unwrap();
    state.write_all_at(b"parent", 0).unwrap();
    state.as_file().seek(SeekFrom::Start(3)).unwrap();
    let config = SealedFile::from_bytes("inherited config", b"config").unwrap();
    let mut command = test.command(&[], "child");
    let mappings = vec![
        FdMapping { parent_fd: state.try_clone().unwrap().into(), child_fd: 20 },
        FdMapping { parent_fd: config.as_mem_file().reopen_read_only().unwrap().into(), child_fd: 21 },
    ];
    test.assert_passed(&command.fd_mappings(mappings).unwrap().output().unwrap());

    let mut text = [0; 6];
    state.read_exact_at(&mut text, 0).unwrap();
    assert_eq!(&text, b"child!");
    assert_eq!(state.as_file().stream_position().unwrap(), 3, "the child has changed the position");
    assert_eq!(flags(&state).1, FdFlag::FD_CLOEXEC, "the parent's descriptor is no longer close-on-exec");
}

/// The child of [`a_child_finds_files_by_name_and_by_number`].
fn find_both() {
    // The files that were passed are open, with the numbers that the parent chose.
    let open = open_descriptors();
    assert!(open.contains(&20) && open.contains(&21));

    let state = MemFile::find_inherited("inherited state").unwrap().unwrap();
    assert_eq!(flags(&state), (OFlag::O_RDWR, FdFlag::FD_CLOEXEC));
    assert_eq!(state.as_file().stream_position().unwrap(), 0);
    state.write_all_at(b"child!", 0).unwrap();

    let config = MemFile::find_inherited("inherited config").unwrap().unwrap();
    assert_eq!(flags(&config), (OFlag::O_RDONLY, FdFlag::FD_CLOEXEC), "the child has other access than was given");
    let config = SealedFile::try_from(config).unwrap();
    assert_eq!(&config.map().unwrap()[..], b"config");

    // A number can be turned into a descriptor in safe code by reopening its path.
    let config = OwnedFd::from(File::open("/proc/self/fd/21").unwrap());
    assert_eq!(SealedFile::try_from(config).unwrap().len(), 6);
}

#[test]
fn names_are_compared_byte_by_byte() {
    let options = CreateOptions::new();
    let file = MemFile::create_cstr(c"odd \xff/\nname", options.close_on_exec(false)).unwrap();
    // A close-on-exec descriptor cannot have been inherited.
    let _hidden = MemFile::create("name", options).unwrap();
    let name = std::ffi::OsStr::new;
    let found =
        MemFile::find_inherited(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"odd \xff/\nname"));
    let found = found.unwrap().unwrap();
    assert_ne!(found.as_raw_fd(), file.as_raw_fd());
    file.write_all_at(b"same", 0).unwrap();
    assert_eq!(found.len().unwrap(), 4);
    for other in ["odd ", "name", "odd", "no such name"] {
        assert!(MemFile::find_inherited(name(other)).unwrap().is_none(), "{other}");
    }
}

/// A file of the same name that another thread closes during the search does not count as
/// inherited, and causes no error.
#[test]
fn files_that_come_and_go() {
    child::alone(|| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    drop(MemFile::create_default("comes and goes").unwrap());
                }
            });
            let found: Vec<_> = (0..10_000).map(|_| MemFile::find_inherited("comes and goes")).collect();
            stop.store(true, Relaxed);
            for found in found {
                assert!(found.unwrap().is_none());
            }
        });
    });
}

/// A descriptor opened with O_PATH cannot be read or written, so the search skips it.
#[test]
fn a_descriptor_opened_with_o_path() {
    child::alone(|| {
        let file = MemFile::create_default("by path").unwrap();
        let path = OFlags::PATH;
        let _by_path = rustix::fs::open(&*file.proc_path(), path, Mode::empty()).unwrap();
        assert!(MemFile::find_inherited("by path").unwrap().is_none());
    });
}

#[test]
fn the_access_is_that_of_the_descriptor() {
    child::alone(|| {
        let file = MemFile::create_default("access").unwrap();
        for access in [OFlags::RDONLY, OFlags::WRONLY, OFlags::RDWR] {
            // Not close-on-exec.
            let _inherited = rustix::fs::open(&*file.proc_path(), access, Mode::empty()).unwrap();
            let found = find("access").unwrap().unwrap();
            assert_eq!(rustix::fs::fcntl_getfl(&found).unwrap() & OFlags::RWMODE, access);
        }
    });
}

/// Runs `find_inherited` in another thread, so that the test fails rather than hangs if it blocks.
#[track_caller]
fn find(name: &str) -> io::Result<Option<MemFile>> {
    let (name, (sender, receiver)) = (name.to_owned(), mpsc::channel());
    thread::spawn(move || sender.send(MemFile::find_inherited(name)));
    receiver.recv_timeout(Duration::from_secs(20)).expect("find_inherited blocks, or has panicked")
}

fn inheritable(name: &str) -> MemFile {
    CreateOptions::new().close_on_exec(false).create(name).unwrap()
}

fn let_inherit(fd: impl AsFd) {
    rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).unwrap();
}

/// A file in the root directory whose path looks like a memory file's link in `/proc/self/fd`. It
/// is removed on drop.
struct Impostor {
    name: String,
    path: PathBuf,
}

impl Impostor {
    /// If this process may not create the file, prints that the test is skipped and returns `None`.
    fn create(kind: FileType) -> Option<Self> {
        // Other processes run these tests too, and one that was killed has left its file behind.
        let name = format!("impostor {}", std::process::id());
        let path = Path::new("/").join(format!("memfd:{name} (deleted)"));
        match rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::from_raw_mode(0o600), 0) {
            Ok(()) => Some(Self { name, path }),
            Err(error) => {
                skip(format_args!("{}: {error}", path.display()));
                None
            }
        }
    }

    fn open(&self, flags: OFlags) -> Option<OwnedFd> {
        match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(fd) => {
                let_inherit(&fd);
                Some(fd)
            }
            Err(error) => {
                skip(format_args!("{}: {error}", self.path.display()));
                None
            }
        }
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        // A test may have mounted another file over this one, which would keep it from being
        // removed.
        let _ = rustix::mount::unmount(&self.path, rustix::mount::UnmountFlags::DETACH);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The link of such a file reads like a memory file's, and it may be on a file system that supports
/// seals.
#[test]
fn a_file_on_disk_with_such_a_name() {
    child::alone(|| {
        let Some(file) = Impostor::create(FileType::RegularFile) else { return };
        for flags in [OFlags::RDONLY, OFlags::RDWR, OFlags::WRONLY] {
            let Some(fd) = file.open(flags) else { return };
            assert_eq!(std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap(), file.path);
            assert!(find(&file.name).unwrap().is_none(), "{flags:?}");
            // The search goes on and finds a real memory file of that name.
            let real = inheritable(&file.name);
            real.write_all_at(b"real", 0).unwrap();
            assert_eq!(find(&file.name).unwrap().unwrap().len().unwrap(), 4);
        }
    });
}

/// Such a file on tmpfs supports seals too, and only its mount tells it from a memory file.
#[test]
fn a_file_on_tmpfs_with_such_a_name() {
    child::alone_through(&["unshare", "--mount"], || {
        let Some(place) = Impostor::create(FileType::RegularFile) else { return };
        let Some(folder) = tmpfs::folder() else { return };
        let file = tempfile::NamedTempFile::new_in(folder).unwrap();
        if let Err(error) = rustix::mount::mount_bind(file.path(), &place.path) {
            return skip(format_args!("mount: {error}"));
        }
        let fd = place.open(OFlags::RDONLY).unwrap();
        assert_eq!(std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap(), place.path);
        assert!(MemFile::from_fd(fd.try_clone().unwrap()).is_ok());
        assert!(find(&place.name).unwrap().is_none());
    });
}

#[test]
fn a_fifo_with_such_a_name() {
    child::alone(|| {
        let Some(fifo) = Impostor::create(FileType::Fifo) else { return };
        let Some(both) = fifo.open(OFlags::RDWR) else { return };
        let read = fifo.open(OFlags::RDONLY | OFlags::NONBLOCK).unwrap();
        let write = fifo.open(OFlags::WRONLY).unwrap();
        drop(both);
        // Reopening one end of a FIFO blocks or fails once the other end is closed.
        drop(write);
        assert!(find(&fifo.name).unwrap().is_none());
        let write = fifo.open(OFlags::WRONLY).unwrap();
        drop(read);
        assert!(find(&fifo.name).unwrap().is_none());
        drop(write);
    });
}

/// A lease on a file neither blocks the search nor hides another file of the same name.
#[test]
fn a_file_with_a_lease() {
    child::alone(|| {
        // The kernel sends SIGIO to the owner of the lease, which would end this process.
        // SAFETY: No handler is installed, and this process is the child of a test.
        unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
        let (leased, free) = (inheritable("with a lease"), inheritable("with a lease"));
        free.write_all_at(b"free", 0).unwrap();
        let read_only = leased.reopen_read_only().unwrap();
        drop(leased);
        let_inherit(&read_only);
        // SAFETY: No pointers are involved.
        if unsafe { libc::fcntl(read_only.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) } != 0 {
            return skip(format_args!("no lease: {}", io::Error::last_os_error()));
        }
        // The file with the lease must have the lower number, so that it is tried first.
        let swapped = rustix::io::fcntl_dupfd_cloexec(&free, 40).unwrap();
        let_inherit(&swapped);
        drop(free);
        let found = find("with a lease").unwrap().unwrap();
        assert_eq!(found.len().unwrap(), 4);
        drop(swapped);
        let error = find("with a lease").unwrap_err();
        assert_eq!((error.raw_os_error(), error.kind()), (Some(libc::EWOULDBLOCK), ErrorKind::WouldBlock));
        // That a file which was not inherited cannot be opened does not matter.
        rustix::io::fcntl_setfd(&read_only, rustix::io::FdFlags::CLOEXEC).unwrap();
        assert!(find("with a lease").unwrap().is_none());
    });
}

/// Once the main thread has ended, `/proc/self/fd` is empty, although other threads still run.
#[test]
fn after_the_first_thread_has_ended() {
    let child = child::split(|_| {
        let file = inheritable("first thread");
        file.write_all_at(b"found", 0).unwrap();
        // The harness may or may not run this test in the main thread. In a forked child, the
        // calling thread always becomes the main one.
        // SAFETY: The child only starts a thread and ends this one.
        match unsafe { libc::fork() } {
            0 => {
                thread::spawn(find_without_the_first);
                // SAFETY: This ends the calling thread alone, and no other thread uses its stack.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
                unreachable!("the thread has ended");
            }
            pid => {
                assert!(pid > 0);
                let mut status = 0;
                // SAFETY: `status` outlives the call.
                assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
                let status = std::process::ExitStatus::from_raw(status);
                assert_eq!(status.code(), Some(0), "{status}");
            }
        }
    });
    let Some(test) = child else { return };
    let mut child = test.command(&[], "fork").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success() && output.contains("1 passed"), "{output}{errors}");
}

/// Ends the process, with status 0 if the file is found.
fn find_without_the_first() {
    let thread_has_ended = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        stat.rsplit(')').next().unwrap().starts_with(" Z")
    };
    while !thread_has_ended() {
        thread::sleep(Duration::from_millis(1));
    }
    let code = match MemFile::find_inherited("first thread") {
        Ok(Some(file)) if file.len() == Ok(5) && file.as_raw_fd() >= 3 => 0,
        Ok(Some(_)) => 10,
        Ok(None) => 11,
        Err(_) => 12,
    };
    // SAFETY: `_exit` ends the process without running exit handlers inherited from the parent.
    unsafe { libc::_exit(code) }
}
