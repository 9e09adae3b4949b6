//! A second process for a test: the test itself, run as a child, with a socket between the two that
//! carries descriptors.

use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};

use super::child::{Test, situation};

const PEER: &str = "peer";

/// The other process. It is killed on drop.
pub(crate) struct Peer {
    child: Child,
    channel: Channel,
}

/// One end of the connection. Each message consists of one byte and any descriptors.
pub(crate) struct Channel(UnixStream);

impl Peer {
    /// Starts a child that runs `role`. In the child, this function runs `role` and returns `None`.
    ///
    /// The child runs the whole test again, so a test must call this first.
    pub(crate) fn start(role: impl FnOnce(&Channel)) -> Option<Self> {
        if situation().as_deref() == Some(PEER) {
            let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
            role(&Channel(stdin.into()));
            return None;
        }
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Test::around(&role).command(&[], PEER);
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).spawn().unwrap();
        Some(Self { child, channel: Channel(ours) })
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Waits until the process ends, and checks that its role passed.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the peer: {status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Channel {
    pub(crate) fn send(&self, byte: u8, fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds)));
        let sent = rustix::net::sendmsg(&self.0, &[IoSlice::new(&[byte])], &mut control, SendFlags::NOSIGNAL).unwrap();
        assert_eq!(sent, 1);
    }

    /// Waits for a message, checks its byte, and returns its descriptors.
    #[track_caller]
    pub(crate) fn expect(&self, byte: u8) -> Vec<OwnedFd> {
        let (got, fds) = self.receive().expect("the other process has ended");
        assert_eq!(char::from(got), char::from(byte));
        fds
    }

    /// Waits for a message. `None` if the other process has ended.
    pub(crate) fn receive(&self) -> Option<(u8, Vec<OwnedFd>)> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut data = [IoSliceMut::new(&mut byte)];
        let message = rustix::net::recvmsg(&self.0, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        let fds = control
            .drain()
            .flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
                _ => Vec::new(),
            })
            .collect();
        (message.bytes == 1).then(|| (byte[0], fds))
    }

    /// Whether the other process has sent a message, or has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let result = (&self.0).read(&mut [0]);
        self.0.set_nonblocking(false).unwrap();
        !matches!(result, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}
