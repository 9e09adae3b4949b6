//! Calls that a peer could make wait: those that promise not to, do not.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use memfile::{Cause, Error, Holes, MemFile, Seal, SealedFile, Seals, SharedView};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use crate::support::check::{MISSING_BOTH, refused};
use crate::support::child;
use crate::support::peer::{Channel, Peer};
use crate::support::skip::skip;

/// Takes a lease on the file, so that whoever opens it waits for up to 45 seconds.
fn lease(file: &MemFile) -> Option<File> {
    // The kernel tells the owner by a signal, which would end this process.
    // SAFETY: No handler is installed, and this process is the child of a test.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    let read_only = File::open(file.proc_path()).unwrap();
    // SAFETY: No pointers are involved.
    match unsafe { libc::fcntl(read_only.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) } {
        0 => Some(read_only),
        _ => {
            skip(format_args!("no lease: {}", std::io::Error::last_os_error()));
            None
        }
    }
}

#[test]
fn a_lease_makes_nobody_wait() {
    const LEASED: &str = "open: EAGAIN: the owner of the file holds a lease on it, so opening it again would wait";

    child::alone(|| {
        let start = Instant::now();
        let sealed = SealedFile::from_bytes("leased", b"leased").unwrap();
        let Some(_lease) = lease(sealed.as_mem_file()) else { return };
        for error in [
            refused(sealed.reopen_read_only(), libc::EWOULDBLOCK, LEASED),
            refused(sealed.as_mem_file().reopen_read_only(), libc::EWOULDBLOCK, LEASED),
            refused(sealed.to_stdio(), libc::EWOULDBLOCK, LEASED),
        ] {
            assert_eq!((error.cause(), error.kind()), (Cause::WouldBlock, std::io::ErrorKind::WouldBlock));
        }
        assert_eq!(sealed.map().unwrap(), b"leased");
        SealedFile::try_from(sealed.into_fd()).unwrap();

        let shared = MemFile::create_sealable("leased").unwrap();
        shared.write_all_at(b"shared", 0).unwrap();
        shared.add_seal(Seal::Shrink).unwrap();
        let _lease = lease(&shared).unwrap();
        // The descriptor as it is will do.
        let view = SharedView::map(&shared, Holes::Refuse).unwrap();
        let mut bytes = [0; 6];
        view.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"shared");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    });
}

/// `struct uffdio_api`, `uffdio_register` and `uffdio_zeropage` of `linux/userfaultfd.h`.
const API: libc::Ioctl = 0xc018_aa3f_u32 as libc::Ioctl;
const REGISTER: libc::Ioctl = 0xc020_aa00_u32 as libc::Ioctl;
const ZERO_PAGE: libc::Ioctl = 0xc020_aa04_u32 as libc::Ioctl;

const PAGE: usize = 4096;

/// A page of memory whose first access waits until it is let go.
struct Trap {
    fd: OwnedFd,
    page: usize,
}

impl Trap {
    fn new() -> Result<Self, std::io::Error> {
        // SAFETY: No pointers are involved.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: The kernel has just made it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd.try_into().unwrap()) };
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: The kernel chooses the address.
        let page = unsafe { mmap_anonymous(std::ptr::null_mut(), PAGE, access, MapFlags::PRIVATE) }.unwrap() as usize;
        let trap = Self { fd, page };
        trap.call(API, [0xaa, 0, 0, 0]);
        // The mode is that of pages that are missing.
        trap.call(REGISTER, [page as u64, PAGE as u64, 1, 0]);
        Ok(trap)
    }

    fn call(&self, request: libc::Ioctl, mut argument: [u64; 4]) {
        // SAFETY: The structures have three or four numbers, and live long enough.
        let answer = unsafe { libc::ioctl(self.fd.as_raw_fd(), request, &raw mut argument) };
        assert_eq!(answer, 0, "{request:x}: {}", std::io::Error::last_os_error());
    }

    /// Waits until somebody waits for the page.
    fn is_sprung(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: One structure that lives here.
        unsafe { libc::poll(&raw mut poll, 1, 2000) == 1 }
    }

    fn let_go(&self) {
        self.call(ZERO_PAGE, [self.page as u64, PAGE as u64, 0, 0]);
    }
}

/// The other process: holds the lock of its own file by a write from memory that never comes.
fn hold_locks(channel: &Channel) {
    for seals in [Seals::empty(), Seals::IMMUTABLE] {
        let trap = match Trap::new() {
            Ok(trap) => trap,
            Err(error) => {
                skip(format_args!("userfaultfd: {error}"));
                return channel.send(b'n', &[]);
            }
        };
        let file = MemFile::create_sealable("locked").unwrap();
        file.write_all_at(&[7; PAGE], 0).unwrap();
        file.add_seals(seals).unwrap();
        let (fd, page) = (file.as_raw_fd(), trap.page);
        // SAFETY: The page is mapped.
        let writer = thread::spawn(move || unsafe { libc::pwrite(fd, page as *const _, PAGE, 0) });
        if !trap.is_sprung() {
            // Since Linux 6.16 the seals are looked at before the bytes.
            channel.send(b'n', &[]);
            continue;
        }
        channel.send(b'f', &[file.as_fd()]);
        channel.expect(b'l');
        trap.let_go();
        writer.join().unwrap();
        channel.send(b'd', &[]);
    }
}

/// Runs `call` in a thread, and waits for it, but not for ever.
#[track_caller]
fn in_time<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(Duration::from_secs(20)).expect("it waits for the peer")
}

#[test]
fn the_lock_of_a_file_makes_no_receiver_wait() {
    let Some(peer) = Peer::start(|channel| {
        hold_locks(channel);
    }) else {
        return;
    };
    for seals in [Seals::empty(), Seals::IMMUTABLE] {
        let (answer, mut fds) = peer.channel().receive().unwrap();
        if answer == b'n' {
            skip(format_args!("the lock of a file with the seals {seals} cannot be held here"));
            continue;
        }
        let fd = fds.pop().unwrap();
        let clone = || fd.try_clone().unwrap();

        // So that the rest shows something: adding seals waits.
        let (sender, receiver) = mpsc::channel();
        let sealing = clone();
        let waiting = thread::spawn(move || {
            let result = MemFile::from_fd(sealing).unwrap().add_seals(Seals::empty());
            sender.send(result).unwrap();
        });
        assert!(receiver.recv_timeout(Duration::from_millis(300)).is_err(), "the lock is not held");

        let verified = clone();
        let result: Result<SealedFile, Error> =
            in_time(|| SealedFile::try_from(verified).map_err(memfile::ErrorWith::into_error));
        if seals.is_empty() {
            refused(result, None, MISSING_BOTH);
        } else {
            assert_eq!(result.unwrap().len(), PAGE as u64);
        }
        let source = clone();
        let copy = in_time(move || SealedFile::copy_of("copy", source)).unwrap();
        assert!(copy.map().unwrap().iter().all(|&byte| byte == 7));
        let source = clone();
        let limited = in_time(move || SealedFile::options().limit(10).copy_of("copy", source));
        assert_eq!(limited.unwrap_err().cause(), Cause::LimitExceeded);

        peer.channel().send(b'l', &[]);
        peer.channel().expect(b'd');
        waiting.join().unwrap();
    }
    peer.finish();
}
