//! Sending and receiving descriptors over Unix sockets.

mod options;
mod peers;

use core::time::Duration;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::process::Stdio;
use std::thread;

use memfile::socket::{recv, send, send_to};
use memfile::{Cause, Error, MemFile, SealedFile, Seals};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};

use rustix::fs::{Mode, OFlags};

use crate::support::check::{MISSING_BOTH, NO_DESCRIPTOR, NO_MEMORY_FILE, holes, refused};
use crate::support::proc_self::{allocated, open_descriptors};
use crate::support::skip::skip;
use crate::support::{BEYOND_A_HUGE_PAGE, child, descriptors, seccomp};

const ENOENT: i32 = 2;
const EBADF: i32 = 9;
const EAGAIN: i32 = 11;
const EINVAL: i32 = 22;
const EPIPE: i32 = 32;
const ENOTSOCK: i32 = 88;
const EMSGSIZE: i32 = 90;
const ECONNRESET: i32 = 104;
const EISCONN: i32 = 106;

fn too_many(expected: usize) -> String {
    format!(
        "the message carries more descriptors than expected ({expected}): \
         receive such messages with `socket::recv` and more slots"
    )
}

fn too_long(buffer: usize) -> String {
    format!("the message is longer than the buffer ({buffer} bytes)")
}

fn pair(kind: SockType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap()
}

fn sealed(text: &str) -> SealedFile {
    SealedFile::from_bytes("sent", text.as_bytes()).unwrap()
}

/// Receives a message. Returns the number of bytes and the number of descriptors.
#[track_caller]
fn received(socket: impl AsFd, payload: &mut [u8], fds: &mut [Option<OwnedFd>]) -> (usize, usize) {
    let received = recv(socket, payload, fds).unwrap();
    (received.bytes, received.fds)
}

/// Checks that `error` is one of the crate itself, without an errno, and has this message.
fn assert_refused(error: Error, text: &str) {
    assert_eq!((error.raw_os_error(), error.to_string().as_str()), (None, text));
}

fn is_close_on_exec(fd: impl AsFd) -> bool {
    FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD).unwrap()).contains(FdFlag::FD_CLOEXEC)
}

#[test]
fn a_sealed_file_crosses_each_type_of_socket() {
    for kind in [SockType::Stream, SockType::Datagram, SockType::SeqPacket] {
        let (ours, theirs) = pair(kind);
        assert_eq!(sealed("contents").send(&ours, b"payload").unwrap(), 7);
        let mut payload = [0; 64];
        let (len, file) = SealedFile::recv(&theirs, &mut payload).unwrap();
        assert_eq!(&payload[..len], b"payload", "{kind:?}");
        assert_eq!(&file.map().unwrap()[..], b"contents", "{kind:?}");
        assert!(is_close_on_exec(&file), "{kind:?}");
    }
}

#[test]
fn several_descriptors_keep_their_order_and_fill_the_first_slots() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let files: Vec<_> = ["a", "b", "c"].map(sealed).into();
    let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    assert_eq!(send(&ours, b"abc", &fds).unwrap(), 3);

    // A slot that was already in use is emptied.
    let mut slots = [None, None, None, None, Some(files[0].try_clone().unwrap().into_fd())];
    assert_eq!(received(&theirs, &mut [0; 8], &mut slots), (3, 3));
    assert!(slots[3..].iter().all(Option::is_none));
    let texts = slots.into_iter().flatten().map(|fd| {
        assert!(is_close_on_exec(&fd));
        SealedFile::try_from(fd).unwrap().map().unwrap()[0]
    });
    assert_eq!(texts.collect::<Vec<_>>(), b"abc");
}

#[test]
fn at_most_253_descriptors_go_in_one_message() {
    if !descriptors::may_open(300) {
        return;
    }
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let file = sealed("many times");
    let fds = vec![file.as_fd(); 254];
    assert_refused(send(&ours, b"x", &fds).unwrap_err(), "a message can carry at most 253 descriptors, not 254");
    assert_eq!(recv(&theirs, &mut [0], &mut []).unwrap_err().raw_os_error(), Some(EAGAIN), "a message was sent");

    assert_eq!(send(&ours, b"x", &fds[1..]).unwrap(), 1);
    let mut slots: Vec<Option<OwnedFd>> = (0..300).map(|_| None).collect();
    assert_eq!(received(&theirs, &mut [0], &mut slots), (1, 253));
}

#[test]
fn a_stream_needs_a_byte_of_payload_and_other_sockets_do_not() {
    let file = sealed("no payload");
    let (ours, theirs) = pair(SockType::Stream);
    let error = file.send(&ours, b"").unwrap_err();
    assert_refused(error, "a stream socket carries descriptors only with at least one byte of payload");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(send(&ours, b"", &[]).unwrap(), 0, "an empty message without descriptors was refused");
    drop(theirs);

    for kind in [SockType::Datagram, SockType::SeqPacket] {
        let (ours, theirs) = pair(kind);
        assert_eq!(file.send(&ours, b"").unwrap(), 0);
        let (len, received) = SealedFile::recv(&theirs, &mut [0; 8]).unwrap();
        assert_eq!((len, received.len()), (0, 10), "{kind:?}");
    }
}

#[test]
fn a_stream_may_take_a_part_and_the_descriptor_comes_with_the_first_byte() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let payload = vec![b'x'; 16 << 20];
    let taken = sealed("early").send(&ours, &payload).unwrap();
    assert!(taken > 0 && taken < payload.len(), "{taken}");

    let (len, file) = SealedFile::recv(&theirs, &mut [0; 1]).unwrap();
    assert_eq!((len, &file.map().unwrap()[..]), (1, &b"early"[..]));
    drop(ours);
    let mut rest = Vec::new();
    theirs.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), taken - 1);
}

#[test]
fn the_end_of_a_connection_differs_from_a_message_without_a_descriptor() {
    for kind in [SockType::Stream, SockType::SeqPacket] {
        let (ours, theirs) = pair(kind);
        send(&ours, b"no file", &[]).unwrap();
        let error = SealedFile::recv(&theirs, &mut [0; 64]).unwrap_err();
        assert_refused(error, NO_DESCRIPTOR);
        assert_eq!((error.kind(), error.is_closed_by_peer()), (ErrorKind::InvalidData, false));

        drop(ours);
        let error = SealedFile::recv(&theirs, &mut [0; 64]).unwrap_err();
        assert_refused(error, "the peer has closed the connection");
        assert_eq!((error.kind(), error.is_closed_by_peer()), (ErrorKind::UnexpectedEof, true));
        assert_eq!(io::Error::from(error).kind(), ErrorKind::UnexpectedEof);
        assert_eq!(received(&theirs, &mut [0; 64], &mut [None]), (0, 0));
    }

    // An empty datagram does not mean the end, because the socket has no connection.
    let (ours, theirs) = pair(SockType::Datagram);
    send(&ours, b"", &[]).unwrap();
    let error = SealedFile::recv(&theirs, &mut [0; 64]).unwrap_err();
    assert_refused(error, NO_DESCRIPTOR);
}

/// An empty packet looks like the end of the connection, but other packets can follow it.
#[test]
fn an_empty_packet_is_not_the_end_of_a_connection() {
    let refused = |theirs: &OwnedFd| {
        let error = SealedFile::recv(theirs, &mut [0; 64]).unwrap_err();
        assert_refused(error, NO_DESCRIPTOR);
        assert!(!error.is_closed_by_peer());
    };
    let (ours, theirs) = pair(SockType::SeqPacket);
    send(&ours, b"", &[]).unwrap();
    refused(&theirs);
    // The next packet may already be there or not.
    sealed("later").send(&ours, b"").unwrap();
    assert_eq!(SealedFile::recv(&theirs, &mut [0; 64]).unwrap().1.map().unwrap(), b"later");
    send(&ours, b"", &[]).unwrap();
    sealed("next").send(&ours, b"x").unwrap();
    refused(&theirs);
    assert_eq!(SealedFile::recv(&theirs, &mut [0; 64]).unwrap().1.map().unwrap(), b"next");

    // Packets that the peer sent before it closed the connection are still received.
    send(&ours, b"", &[]).unwrap();
    sealed("last").send(&ours, b"x").unwrap();
    drop(ours);
    refused(&theirs);
    assert_eq!(SealedFile::recv(&theirs, &mut [0; 64]).unwrap().1.map().unwrap(), b"last");
    for _ in 0..2 {
        let error = SealedFile::recv(&theirs, &mut [0; 64]).unwrap_err();
        assert_refused(error, "the peer has closed the connection");
        assert_eq!((error.cause(), error.is_closed_by_peer()), (Cause::ClosedByPeer, true));
    }
}

#[test]
fn more_descriptors_than_slots_are_closed_and_reported() {
    child::alone(|| {
        // Two descriptors fit into one slot and its padding, ten into the room for credentials,
        // and the kernel drops the rest.
        for count in [2, 3, 10, 11, 253] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let file = sealed("stray");
            send(&ours, b"x", &vec![file.as_fd(); count]).unwrap();
            let before = open_descriptors();
            let error = SealedFile::recv(&theirs, &mut [0; 8]).unwrap_err();
            assert_refused(error, &too_many(1));
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert_eq!(open_descriptors(), before, "{count}");
        }
        // A plain read, which expects no descriptors, closes them too.
        let (ours, theirs) = UnixStream::pair().unwrap();
        sealed("stray").send(&ours, b"x").unwrap();
        let before = open_descriptors();
        let error = recv(&theirs, &mut [0; 8], &mut []).unwrap_err();
        assert_refused(error, &too_many(0));
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn descriptors_beyond_rlimit_nofile_are_reported() {
    child::alone_through(&["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""], || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let file = sealed("dropped");
        // Without capabilities, descriptors in flight from this user's other processes count too.
        match send(&ours, b"x", &[file.as_fd(); 30]) {
            Err(error) if error.raw_os_error() == Some(libc::ETOOMANYREFS) => return skip(error),
            sent => assert_eq!(sent.unwrap(), 1),
        }
        let mut taken: Vec<File> = core::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        // Leaves room for three of the thirty descriptors.
        taken.truncate(taken.len() - 3);
        let before = low_descriptors();
        let mut slots: Vec<Option<OwnedFd>> = (0..30).map(|_| None).collect();
        let error = recv(&theirs, &mut [0; 8], &mut slots).unwrap_err();
        let reason = "the kernel dropped descriptors or other control data: RLIMIT_NOFILE is reached, a security module forbids them, or the message had too much of it";
        assert_refused(error, reason);
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(slots.iter().all(Option::is_none));
        assert_eq!(low_descriptors(), before);
    });
}

/// The open descriptors below 40. Finds them without a new descriptor, because none may be left.
fn low_descriptors() -> Vec<i32> {
    // SAFETY: F_GETFD only reads the flags, so it does not matter who owns the descriptor.
    #[allow(unsafe_code, reason = "asks for numbers without an owner")]
    let is_open = |&fd: &i32| fcntl(unsafe { BorrowedFd::borrow_raw(fd) }, FcntlArg::F_GETFD).is_ok();
    (0..40).filter(is_open).collect()
}

#[test]
fn a_message_longer_than_the_buffer_is_an_error_except_on_a_stream() {
    child::alone(|| {
        for kind in [SockType::Datagram, SockType::SeqPacket] {
            let (ours, theirs) = pair(kind);
            sealed("cut off").send(&ours, b"0123456789").unwrap();
            let before = open_descriptors();
            let error = SealedFile::recv(&theirs, &mut [0; 9]).unwrap_err();
            assert_refused(error, &too_long(9));
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert_eq!(open_descriptors(), before, "{kind:?}");
        }
        let (ours, theirs) = pair(SockType::Stream);
        sealed("cut off").send(&ours, b"0123456789").unwrap();
        assert_eq!(SealedFile::recv(&theirs, &mut [0; 9]).unwrap().0, 9);
        assert_eq!(received(&theirs, &mut [0; 9], &mut []), (1, 0));
    });
}

#[test]
fn a_received_file_is_verified() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let recv = || SealedFile::recv(&theirs, &mut [0; 8]).unwrap_err();

    let file = MemFile::create_sealable("unsealed").unwrap();
    file.write_all_at(b"x", 0).unwrap();
    send(&ours, b"x", &[file.as_fd()]).unwrap();
    let error = recv();
    assert_refused(error, MISSING_BOTH);
    assert_eq!((error.seals(), error.is_unproven()), (Seals::CONSTANT, true));

    file.set_len(BEYOND_A_HUGE_PAGE).unwrap();
    file.add_seals(Seals::IMMUTABLE).unwrap();
    send(&ours, b"x", &[file.as_fd()]).unwrap();
    assert_refused(recv(), &holes(BEYOND_A_HUGE_PAGE, allocated(&file)));

    send(&ours, b"x", &[File::open("/dev/null").unwrap().as_fd()]).unwrap();
    let error = recv();
    assert_eq!((error.raw_os_error(), error.is_not_a_memory_file()), (Some(EINVAL), true));
    assert_eq!(error.to_string(), NO_MEMORY_FILE);

    let path = rustix::fs::open("/", OFlags::PATH, Mode::empty()).unwrap();
    send(&ours, b"x", &[path.as_fd()]).unwrap();
    assert_eq!(recv().raw_os_error(), Some(EBADF));
}

#[test]
fn a_nonblocking_socket_returns_eagain() {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    let error = SealedFile::recv(&theirs, &mut [0; 8]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "recvmsg: EAGAIN: the descriptor is not ready: it is non-blocking, or its timeout has passed"
    );
    assert_eq!((error.raw_os_error(), error.kind()), (Some(EAGAIN), ErrorKind::WouldBlock));

    let file = sealed("again and again");
    let error = (0..100_000).find_map(|_| file.send(&ours, b"x").err()).unwrap();
    assert_eq!(
        error.to_string(),
        "sendmsg: EAGAIN: the descriptor is not ready: it is non-blocking, or its timeout has passed"
    );
    SealedFile::recv(&theirs, &mut [0; 8]).unwrap();
    file.send(&ours, b"there is room again").unwrap();
}

#[test]
fn a_closed_peer_is_an_error_and_no_signal() {
    child::alone(|| {
        // `std` ignores SIGPIPE, but other programs do not.
        // SAFETY: The default action runs no code of this program.
        #[allow(unsafe_code, reason = "installs a signal's action")]
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap();
        for kind in [SockType::Stream, SockType::SeqPacket] {
            let (ours, theirs) = pair(kind);
            drop(theirs);
            let error = sealed("nobody").send(&ours, b"x").unwrap_err();
            assert_eq!(error.to_string(), "sendmsg: EPIPE: the peer has closed the connection");
            assert_eq!((error.raw_os_error(), error.is_closed_by_peer()), (Some(EPIPE), true), "{kind:?}");
        }

        let (ours, theirs) = pair(SockType::Stream);
        sealed("never read").send(&ours, b"x").unwrap();
        drop(theirs);
        let error = SealedFile::recv(&ours, &mut [0; 8]).unwrap_err();
        assert_eq!((error.raw_os_error(), error.is_closed_by_peer()), (Some(ECONNRESET), true));
    });
}

/// Datagrams to a path, from a socket that is not connected.
#[test]
fn a_datagram_goes_to_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let c_path = |name: &str| CString::new(folder.path().join(name).into_os_string().into_vec()).unwrap();
    let path = c_path("socket");
    let journal = UnixDatagram::bind(folder.path().join("socket")).unwrap();
    let client = UnixDatagram::unbound().unwrap();
    let (one, two) = (sealed("1"), sealed("2"));
    assert_eq!(send_to(&client, &path, b"both", &[one.as_fd(), two.as_fd()]).unwrap(), 4);
    assert_eq!(send_to(&client, &path, b"", &[one.as_fd()]).unwrap(), 0);
    let (mut payload, mut fds) = ([0; 8], [None, None]);
    assert_eq!(received(&journal, &mut payload, &mut fds), (4, 2));
    assert_eq!(&SealedFile::try_from(fds[1].take().unwrap()).unwrap().map().unwrap()[..], b"2");
    assert_eq!(received(&journal, &mut payload, &mut fds), (0, 1));

    let refused = |path: &CStr| send_to(&client, path, b"", &[one.as_fd()]).unwrap_err();
    let nobody = "no socket receives there: it was closed, or none is bound to the path";
    drop(journal);
    for (path, errno) in [(&path, "ECONNREFUSED"), (&c_path("none"), "ENOENT")] {
        let error = refused(path);
        assert!(error.is_closed_by_peer());
        assert_eq!(error.to_string(), format!("sendmsg: {errno}: {nobody}"));
    }
    let error = refused(&CString::new("x".repeat(109)).unwrap());
    let text = "sendmsg: ENAMETOOLONG: the path is longer than 108 bytes, which is the most for a socket";
    assert_eq!((error.to_string().as_str(), error.cause()), (text, Cause::InvalidInput));
    assert_eq!(
        refused(&CString::new("x".repeat(108)).unwrap()).raw_os_error(),
        Some(ENOENT),
        "a path of 108 bytes was refused"
    );
    let (stream, _other) = UnixStream::pair().unwrap();
    let error = send_to(&stream, &path, b"1", &[one.as_fd()]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EISCONN));
}

/// The empty path is the abstract socket whose name is empty.
#[test]
fn a_datagram_to_the_empty_path_goes_to_an_abstract_socket() {
    let address = SocketAddr::from_abstract_name(b"").unwrap();
    let journal = loop {
        // The name may be taken, for example by another run of this test on the same machine.
        match UnixDatagram::bind_addr(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => thread::sleep(Duration::from_millis(1)),
            result => break result.unwrap(),
        }
    };
    let client = UnixDatagram::unbound().unwrap();
    let one = sealed("1");
    assert_eq!(send_to(&client, c"", b"empty", &[one.as_fd()]).unwrap(), 5);
    let (mut payload, mut fds) = ([0; 8], [None]);
    assert_eq!(received(&journal, &mut payload, &mut fds), (5, 1));
}

#[test]
fn the_kernel_refuses_long_payloads_and_other_kinds_of_file() {
    let (ours, _theirs) = UnixDatagram::pair().unwrap();
    let file = sealed("small");
    let error = file.send(&ours, &vec![0; 16 << 20]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(EMSGSIZE));
    const TOO_LONG: &str = "sendmsg: EMSGSIZE: the payload is too long for one message: \
        put it into a `SealedFile` and send that";
    assert_eq!(error.to_string(), TOO_LONG);

    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let no_socket = |call| format!("{call}: ENOTSOCK: the descriptor is not a socket");
    refused(file.send(&null, b"x"), ENOTSOCK, &no_socket("sendmsg"));
    refused(file.send(&null, b""), ENOTSOCK, &no_socket("getsockopt(SO_TYPE)"));
    refused(SealedFile::recv(&null, &mut [0; 8]), ENOTSOCK, &no_socket("recvmsg"));

    let unconnected = UnixDatagram::unbound().unwrap();
    const NOT_CONNECTED: &str = "sendmsg: ENOTCONN: the socket is not connected: connect it, or use `send_to`";
    refused(file.send(&unconnected, b"x"), libc::ENOTCONN, NOT_CONNECTED);
}

#[test]
fn a_socket_may_pass_credentials() {
    for kind in [SockType::Stream, SockType::Datagram] {
        let (ours, theirs) = pair(kind);
        setsockopt(&theirs, sockopt::PassCred, &true).unwrap();
        sealed("with credentials").send(&ours, b"x").unwrap();
        assert_eq!(SealedFile::recv(&theirs, &mut [0; 8]).unwrap().1.len(), 16);
        let file = sealed("as many as there are slots");
        send(&ours, b"x", &[file.as_fd(); 4]).unwrap();
        let mut slots = [const { None }; 4];
        assert_eq!(received(&theirs, &mut [0; 8], &mut slots), (1, 4));
    }
}

/// If the socket has a timeout, the kernel does not restart the call after the process was stopped,
/// see signal(7), so the crate has to.
#[test]
fn a_signal_does_not_interrupt_receiving() {
    let receiver = child::split(|_| {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let (len, file) = SealedFile::recv(&socket, &mut [0; 8]).unwrap();
        assert_eq!((len, file.len()), (1, 4));
    });
    let Some(test) = receiver else { return };
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = test.command(&[], "receiver");
    let child = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).spawn().unwrap();
    drop(command);
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    // All threads of the child are checked, because the test may not run in the main thread.
    let threads = |file: &str| -> Vec<String> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join(file)).ok()).collect()
    };
    let in_state = |letter| threads("stat").iter().all(|stat| stat.rsplit(')').next().unwrap().starts_with(letter));
    // Looks for the kernel function in which a thread sleeps, since an emulator hides the system
    // call. If this machine does not show the function, looks for the system call.
    let call = format!("{} ", libc::SYS_recvmsg);
    wait_until("the child receives", || {
        threads("wchan").iter().any(|wchan| wchan.contains("unix_stream"))
            || threads("syscall").iter().any(|syscall| syscall.starts_with(&call))
    });
    for _ in 0..3 {
        nix::sys::signal::kill(pid, Signal::SIGSTOP).unwrap();
        wait_until("the child is stopped", || in_state(" T"));
        nix::sys::signal::kill(pid, Signal::SIGCONT).unwrap();
        wait_until("the child continues", || in_state(" S"));
    }
    sealed("late").send(&ours, b"x").unwrap();
    test.assert_passed(&child.wait_with_output().unwrap());
}

/// Polls `condition` until it holds, and panics after about 10 seconds.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("waited too long until {what}");
}

#[test]
fn thousands_of_rounds_leave_no_descriptor() {
    child::alone(|| {
        let (ours, theirs) = pair(SockType::SeqPacket);
        let good = sealed("good");
        let bad = MemFile::create_default("bad").unwrap();
        let before = open_descriptors();
        for _ in 0..3000 {
            good.send(&ours, b"good").unwrap();
            SealedFile::recv(&theirs, &mut [0; 8]).unwrap();

            send(&ours, b"unproven", &[bad.as_fd()]).unwrap();
            assert!(SealedFile::recv(&theirs, &mut [0; 8]).unwrap_err().is_unproven());

            send(&ours, b"stray", &[good.as_fd(), bad.as_fd()]).unwrap();
            assert_refused(SealedFile::recv(&theirs, &mut [0; 8]).unwrap_err(), &too_many(1));

            send(&ours, b"control data cut off", &[good.as_fd(); 100]).unwrap();
            assert_refused(recv(&theirs, &mut [0; 64], &mut [None, None]).unwrap_err(), &too_many(2));

            send(&ours, b"payload cut off", &[good.as_fd(); 4]).unwrap();
            assert_refused(recv(&theirs, &mut [0; 4], &mut [const { None }; 4]).unwrap_err(), &too_long(4));

            send(&ours, b"", &[good.as_fd(); 3]).unwrap();
            assert_eq!(received(&theirs, &mut [0; 4], &mut [const { None }; 9]), (0, 3));
        }
        assert_eq!(open_descriptors(), before);
    });
}

/// The kernel does this, and the documentation warns of it.
#[test]
fn a_socket_of_another_family_drops_descriptors_silently() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    assert_eq!(sealed("dropped").send(&ours, b"x").unwrap(), 1);
    let error = SealedFile::recv(&theirs, &mut [0; 8]).unwrap_err();
    assert_refused(error, NO_DESCRIPTOR);
}

#[test]
fn too_many_descriptors_in_flight() {
    seccomp::alone(|| {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let file = sealed("in flight");
        seccomp::always("sendmsg", seccomp::errno(libc::ETOOMANYREFS));
        let message = "sendmsg: ETOOMANYREFS: more descriptors are in flight than RLIMIT_NOFILE allows";
        refused(file.send(&ours, b"x"), libc::ETOOMANYREFS, message);
    });
}
