//! A peer can hold a file's inode lock, or the lock of its position, or take a lease. Calls that are
//! documented not to wait for these must not do so.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use memfile::{Cause, Error, ErrorWith, Holes, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::param::page_size;

use crate::support::check::refused;
use crate::support::child;
use crate::support::peer::{Channel, Peer};
use crate::support::skip::skip;

/// Takes a lease on the file. An open that waits for it takes up to 45 seconds.
fn lease(file: &MemFile) -> Option<File> {
    // The kernel sends SIGIO to the owner of the lease, which would end this process.
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
fn no_call_waits_for_a_lease() {
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
        // The file cannot be reopened, so the view uses the descriptor itself.
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

/// A page of memory, registered with userfaultfd: the first access waits until `let_go` is called.
struct Trap {
    fd: OwnedFd,
    page: usize,
}

impl Trap {
    /// If the kernel sets no trap, prints that the test is skipped, and tells the other process.
    #[track_caller]
    fn set(channel: &Channel) -> Option<Self> {
        let trap = Self::new();
        if let Err(error) = &trap {
            skip(format_args!("userfaultfd: {error}"));
            channel.send(b'n', &[]);
        }
        trap.ok()
    }

    fn new() -> Result<Self, std::io::Error> {
        // SAFETY: No pointers are involved.
        let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | libc::O_NONBLOCK) };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: The kernel has just made the descriptor, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd.try_into().unwrap()) };
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: The kernel chooses the address.
        let page =
            unsafe { mmap_anonymous(std::ptr::null_mut(), page_size(), access, MapFlags::PRIVATE) }.unwrap() as usize;
        let trap = Self { fd, page };
        trap.call(API, [0xaa, 0, 0, 0]);
        // UFFDIO_REGISTER_MODE_MISSING.
        trap.call(REGISTER, [page as u64, page_size() as u64, 1, 0]);
        Ok(trap)
    }

    fn call(&self, request: libc::Ioctl, mut argument: [u64; 4]) {
        // SAFETY: The structures consist of three or four numbers, and outlive the call.
        let answer = unsafe { libc::ioctl(self.fd.as_raw_fd(), request, &raw mut argument) };
        assert_eq!(answer, 0, "{request:x}: {}", std::io::Error::last_os_error());
    }

    /// Waits up to 2 seconds for an access to the page. Returns whether there was one.
    fn is_sprung(&self) -> bool {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: There is one structure, and it outlives the call.
        unsafe { libc::poll(&raw mut poll, 1, 2000) == 1 }
    }

    fn let_go(&self) {
        self.call(ZERO_PAGE, [self.page as u64, page_size() as u64, 0, 0]);
    }
}

/// The seals of the files whose locks are held, one after the other.
const LOCKED: [Seals; 3] = [Seals::empty(), Seals::from_bits_retain(Seal::Shrink as u32), Seals::IMMUTABLE];

/// The other process: locks a file of its own by a write whose source page is trapped.
fn hold_locks(channel: &Channel) {
    for seals in LOCKED {
        let Some(trap) = Trap::set(channel) else { continue };
        let file = MemFile::create_sealable("locked").unwrap();
        file.write_all_at(&vec![7; page_size()], 0).unwrap();
        file.add_seals(seals).unwrap();
        let (fd, page) = (file.as_raw_fd(), trap.page);
        // SAFETY: The page is mapped.
        let writer = thread::spawn(move || unsafe { libc::pwrite(fd, page as *const _, page_size(), 0) });
        if !trap.is_sprung() {
            // Linux 6.16 and later check the seals first, and fail before they read the page.
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

/// Runs `call` in a thread, so that the test fails rather than hangs if it waits for the peer.
#[track_caller]
fn in_time<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(call()));
    receiver.recv_timeout(Duration::from_secs(20)).expect("the call waits for the peer, or has panicked")
}

/// The name of a call, and the call.
type Call = (&'static str, fn(MemFile) -> Result<(), Error>);

/// Calls that wait for the lock of any file, as documented.
const WAIT: [Call; 6] = [
    ("add_seals", |file| file.add_seals(Seals::empty())),
    ("into_sealed", |file| Ok(file.into_sealed().map(drop)?)),
    // The timeout only applies to EBUSY.
    ("into_sealed_timeout", |file| Ok(file.into_sealed_timeout(Duration::ZERO).map(drop)?)),
    ("seal", |file| SealedFile::options().seal(file).map(drop).map_err(ErrorWith::into_error)),
    ("allocate", |file| file.allocate(0, 1)),
    ("set_len", |file| file.set_len(page_size() as u64)),
];

/// Calls that wait, unless the file has the seal Write: then they fail at once.
const WAIT_TO_WRITE: [Call; 4] = [
    ("share", |file| Ok(file.share().map(drop)?)),
    ("punch_hole", |file| file.punch_hole(0, 1)),
    ("write_at", |file| file.write_at(b"7", 0).map(drop)),
    ("copy_from", |file| file.copy_from(SealedFile::from_bytes("source", b"7")?, 1).map(drop)),
];

/// Calls that wait, for files with the seal Shrink, and for files that cannot change.
const WAIT_TO_SHARE: [Call; 2] = [
    ("SharedMap", |file| Ok(SharedMap::try_from(file).map(drop)?)),
    ("SharedView", |file| SharedView::map(&file, Holes::Allocate).map(drop)),
];
const WAIT_TO_VERIFY: [Call; 2] = [
    ("verify Allocate", |file| verify(file, Holes::Allocate)),
    ("verify Populate", |file| verify(file, Holes::Populate)),
];

/// Calls on any file that do not wait.
const GO_ON: [Call; 8] = [
    ("from_fd", |file| MemFile::from_fd(file.into_fd()).map(drop).map_err(ErrorWith::into_error)),
    ("get_seals", |file| file.get_seals().map(drop)),
    ("len", |file| file.len().map(drop)),
    ("read_at", |file| file.read_exact_at(&mut [0; 10], 0)),
    ("name", |file| file.name().map(drop)),
    ("is_memfd", |file| file.is_memfd().map(drop)),
    ("try_clone", |file| file.try_clone().map(drop)),
    ("reopen_read_only", |file| file.reopen_read_only().map(drop)),
];

/// Calls that do not wait, for files with the seal Shrink.
const SHARE_AT_ONCE: [Call; 2] = [
    ("SharedMap Refuse", |file| Ok(SharedMap::map(file, Holes::Refuse).map(drop)?)),
    ("SharedView Refuse", |file| SharedView::map(&file, Holes::Refuse).map(drop)),
];

/// Calls that do not wait, for files that cannot change.
const VERIFY_AT_ONCE: [Call; 4] = [
    ("verify Refuse", |file| verify(file, Holes::Refuse)),
    ("verify Accept", |file| verify(file, Holes::Accept)),
    ("map", |file| SealedFile::try_from(file)?.map().map(drop)),
    ("SealedFile::reopen_read_only", |file| SealedFile::try_from(file)?.reopen_read_only().map(drop)),
];

fn verify(file: MemFile, holes: Holes) -> Result<(), Error> {
    SealedFile::options().holes(holes).verify(file).map(drop).map_err(ErrorWith::into_error)
}

#[test]
fn which_calls_wait_for_the_inode_lock() {
    let Some(peer) = Peer::start(|channel| {
        hold_locks(channel);
    }) else {
        return;
    };
    for seals in LOCKED {
        let (answer, mut fds) = peer.channel().receive().unwrap();
        if answer == b'n' {
            skip(format_args!("the lock of a file with the seals {seals} cannot be held here"));
            continue;
        }
        let fd = fds.pop().unwrap();
        // SAFETY: The descriptor is a new one, which nobody else has.
        let file = || unsafe { MemFile::from_raw_fd(fd.try_clone().unwrap().into_raw_fd()) };

        let mut wait = WAIT.to_vec();
        let mut go_on = GO_ON.to_vec();
        if seals.contains(Seal::Write) {
            wait.extend(WAIT_TO_VERIFY);
            go_on.extend(VERIFY_AT_ONCE);
        } else {
            wait.extend(WAIT_TO_WRITE);
        }
        if seals == Seals::from(Seal::Shrink) {
            wait.extend(WAIT_TO_SHARE);
            go_on.extend(SHARE_AT_ONCE);
        }
        let (sender, receiver) = mpsc::channel();
        let waiting: Vec<_> = wait
            .into_iter()
            .map(|(name, call)| {
                let (file, sender) = (file(), sender.clone());
                thread::spawn(move || {
                    let result = call(file);
                    sender.send((name, result)).unwrap();
                })
            })
            .collect();
        let first = receiver.recv_timeout(Duration::from_millis(300));
        assert!(first.is_err(), "{seals}: the call does not wait: {first:?}");

        for (name, call) in go_on {
            let file = file();
            in_time(move || call(file)).unwrap_or_else(|error| panic!("{seals}: {name}: {error}"));
        }
        if !seals.contains(Seal::Write) {
            let received = file().into_fd();
            let result = in_time(|| SealedFile::try_from(received).map_err(ErrorWith::into_error));
            assert_eq!(result.unwrap_err().cause(), Cause::MissingSeals);
        }
        let source = file();
        let copy = in_time(move || SealedFile::copy_of("copy", source)).unwrap();
        assert!(copy.map().unwrap().iter().all(|&byte| byte == 7));
        let source = file();
        let limited = in_time(move || SealedFile::options().limit(10).copy_of("copy", source));
        assert_eq!(limited.unwrap_err().cause(), Cause::LimitExceeded);
        assert!(receiver.try_recv().is_err(), "{seals}: the lock was released too early");

        peer.channel().send(b'l', &[]);
        peer.channel().expect(b'd');
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    }
    peer.finish();
}

/// The other process: holds the lock of the position of a file, by a read into a trapped page. The kernel
/// takes that lock only for a file that was opened by a path.
fn hold_position(channel: &Channel) {
    let Some(trap) = Trap::set(channel) else { return };
    let file = MemFile::create_default("position").unwrap();
    file.write_all_at(&vec![7; page_size()], 0).unwrap();
    let reopened = file.reopen_read_only().unwrap();
    let (fd, page) = (reopened.as_raw_fd(), trap.page);
    // SAFETY: The page is mapped.
    let reader = thread::spawn(move || unsafe { libc::read(fd, page as *mut _, page_size()) });
    assert!(trap.is_sprung());
    channel.send(b'f', &[reopened.as_fd()]);
    channel.expect(b'l');
    trap.let_go();
    reader.join().unwrap();
}

/// Calls that use the position wait; copies and reads at an offset do not.
#[test]
fn which_calls_wait_for_the_position() {
    let Some(peer) = Peer::start(|channel| {
        hold_position(channel);
    }) else {
        return;
    };
    let (answer, mut fds) = peer.channel().receive().unwrap();
    if answer == b'n' {
        return skip("the position of a file cannot be held here");
    }
    let fd = fds.pop().unwrap();
    // SAFETY: The descriptor is a new one, which nobody else has.
    let file = || unsafe { MemFile::from_raw_fd(fd.try_clone().unwrap().into_raw_fd()) };

    let wait: [fn(MemFile); 2] = [
        |mut file| assert_eq!(file.read(&mut [0]).unwrap(), 0),
        |mut file| assert_eq!(file.stream_position().unwrap(), page_size() as u64),
    ];
    let waiting = wait.map(|call| {
        let file = file();
        thread::spawn(move || call(file))
    });
    for options in [SealedFile::options(), SealedFile::options().huge_pages(true)] {
        let source = file();
        let copy = in_time(move || options.copy_of("copy", source)).unwrap();
        assert!(copy.map().unwrap().iter().all(|&byte| byte == 7));
        let source = file();
        let limited = in_time(move || options.limit(10).copy_of("copy", source));
        assert_eq!(limited.unwrap_err().cause(), Cause::LimitExceeded);
    }
    for (name, call) in GO_ON {
        let file = file();
        in_time(move || call(file)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(waiting.iter().all(|thread| !thread.is_finished()));

    peer.channel().send(b'l', &[]);
    waiting.into_iter().for_each(|thread| thread.join().unwrap());
    peer.finish();
}
