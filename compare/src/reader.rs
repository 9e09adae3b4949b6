//! A reader in a process of its own, for the hand-over: the child, and how the parent reaches it.

use std::env;
use std::fs;
use std::io::{IoSlice, IoSliceMut, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use memfile::{MapOptions, SealedFile};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::files;

/// The argument that makes this program a reader.
pub const ARGUMENT: &str = "--reader";

/// How the bytes arrive, and what the reader does with them. It answers their sum, except to [`How::Pss`].
#[derive(Copy, Clone, PartialEq, Eq)]
#[repr(u8)]
pub enum How {
    Pipe = b'p',
    Socket = b's',
    /// A sealed file, to map.
    Map = b'm',
    /// A sealed file, to map with huge pages.
    MapHuge = b'h',
    /// A sealed file, to read into a new buffer.
    Read = b'r',
    /// A sealed file, to map and to keep.
    Keep = b'k',
    /// No bytes: answer the proportional set size.
    Pss = b'?',
}

/// A child process, and how to reach it.
pub struct Reader {
    child: Child,
    socket: UnixStream,
    pipe: PipeWriter,
}

impl Reader {
    pub fn start() -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let (output, input) = std::io::pipe().expect("a pipe");
        let child = Command::new(env::current_exe().expect("this program"))
            .arg(ARGUMENT)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(output)))
            .spawn()
            .expect("a child");
        Self { child, socket: ours, pipe: input }
    }

    pub fn socket(&mut self) -> &mut UnixStream {
        &mut self.socket
    }

    pub fn pipe(&mut self) -> &mut PipeWriter {
        &mut self.pipe
    }

    /// Announces what is sent next, and its length.
    pub fn announce(&mut self, how: How, len: usize) {
        let mut message = [how as u8; 9];
        message[1..].copy_from_slice(&(len as u64).to_ne_bytes());
        self.socket.write_all(&message).expect("the reader listens");
    }

    /// Sends the descriptor.
    pub fn send(&mut self, sealed: &SealedFile) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [sealed.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        sendmsg(&self.socket, &[IoSlice::new(b"f")], &mut control, SendFlags::empty()).expect("sendmsg");
    }

    /// The answer: the sum, or the proportional set size.
    pub fn answer(&mut self) -> u64 {
        let mut answer = [0; 8];
        self.socket.read_exact(&mut answer).expect("an answer");
        u64::from_ne_bytes(answer)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.child.wait();
    }
}

/// The child. Its standard input is a socket, on which it gets its orders and answers. Its standard output is a pipe, from which
/// it reads.
pub fn read() {
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut pipe = fs::File::from(std::io::stdout().as_fd().try_clone_to_owned().expect("a descriptor"));
    let mut buffer = Vec::new();
    let mut kept = None;
    let mut message = [0; 9];
    while socket.read_exact(&mut message).is_ok() {
        let len = u64::from_ne_bytes(message[1..].try_into().expect("8 bytes")) as usize;
        let is = |how: How| message[0] == how as u8;
        let answer = if is(How::Pipe) || is(How::Socket) {
            // The buffer only grows, so that it is warm the next time.
            let used = len.max(buffer.len());
            buffer.resize(used, 0);
            let source: &mut dyn Read = if is(How::Pipe) { &mut pipe } else { &mut socket };
            source.read_exact(&mut buffer[..len]).expect("the bytes");
            files::sum(&buffer[..len])
        } else if is(How::Read) {
            files::sum(&proven(&socket).to_vec().expect("memory"))
        } else if is(How::Map) {
            files::sum(&proven(&socket).map().expect("mmap"))
        } else if is(How::MapHuge) {
            let options = MapOptions::new().huge_pages(true);
            files::sum(&proven(&socket).map_with(.., options).expect("mmap"))
        } else if is(How::Keep) {
            // The buffer of the other ways must not be counted.
            buffer = Vec::new();
            files::sum(kept.insert(proven(&socket).map().expect("mmap")))
        } else {
            pss()
        };
        socket.write_all(&answer.to_ne_bytes()).expect("the other side listens");
    }
}

fn proven(socket: &UnixStream) -> SealedFile {
    SealedFile::try_from(receive(socket)).map_err(|error| error.into_error()).expect("a proof")
}

fn receive(socket: &UnixStream) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC).expect("recvmsg");
    let fds = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fds.expect("a descriptor")
}

/// The memory of this process, in which each shared page is divided by the number of processes that share it.
fn pss() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("smaps_rollup");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a line for Pss");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}
