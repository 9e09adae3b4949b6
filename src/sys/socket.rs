//! `sendmsg(2)` and `recvmsg(2)` with descriptors (`SCM_RIGHTS`). Available since: Linux 2.2, with `MSG_CMSG_CLOEXEC` since
//! 2.6.23.

use core::mem::MaybeUninit;

use rustix::cmsg_space;
use rustix::io::{IoSlice, IoSliceMut, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketType,
};

use super::fd::{BorrowedFd, OwnedFd};
use super::unix::{above_stdio, failed};
use crate::error::{Call, Error, Reason};

/// The most descriptors that the kernel takes in one message: `SCM_MAX_FD`.
pub(crate) const FDS_MAX: usize = 253;

/// Room for `fds` descriptors, and for the sender's credentials, which a socket with `SO_PASSCRED` puts before them: three
/// numbers as long as descriptors, by a name that rustix has on every system.
const fn control_space(fds: usize) -> usize {
    cmsg_space!(ScmRights(fds), ScmRights(3))
}

/// What came with one call of [`recvmsg`].
pub(crate) struct Message {
    pub(crate) bytes: usize,
    /// How many descriptors were received, those included that had no slot and were closed.
    pub(crate) fds: usize,
    /// `MSG_TRUNC`: the message was longer than the buffer.
    pub(crate) payload_truncated: bool,
    /// `MSG_CTRUNC`: the kernel dropped descriptors or other control data.
    pub(crate) control_truncated: bool,
}

/// Sends the payload with at most [`FDS_MAX`] descriptors. Never raises SIGPIPE.
pub(crate) fn sendmsg(socket: BorrowedFd<'_>, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Error> {
    let mut space = [MaybeUninit::uninit(); control_space(FDS_MAX)];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // An empty list would make a control message without contents.
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Error::new(Reason::TooManyFds).with_values(fds.len() as u64, 0));
    }
    retry_on_intr(|| rustix::net::sendmsg(socket, &[IoSlice::new(payload)], &mut control, SendFlags::NOSIGNAL))
        .map_err(failed(Call::Sendmsg))
}

/// Receives a payload, and descriptors into `fds` from its start on, close-on-exec. Those without a slot are closed.
pub(crate) fn recvmsg(
    socket: BorrowedFd<'_>,
    payload: &mut [u8],
    fds: &mut [Option<OwnedFd>],
) -> Result<Message, Error> {
    let mut space = [MaybeUninit::uninit(); control_space(FDS_MAX)];
    // With no more room than asked for, a sender cannot fill this process's table of descriptors.
    let space = space.get_mut(..control_space(fds.len().min(FDS_MAX))).unwrap_or_default();
    let mut control = RecvAncillaryBuffer::new(space);
    let received = retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(payload)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(failed(Call::Recvmsg))?;

    let mut slots = fds.iter_mut();
    let mut count = 0;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            for fd in received {
                count += 1;
                if let Some(slot) = slots.next() {
                    *slot = Some(above_stdio(fd, true)?);
                }
            }
        }
    }
    Ok(Message {
        bytes: received.bytes,
        fds: count,
        payload_truncated: received.flags.contains(ReturnFlags::TRUNC),
        control_truncated: received.flags.contains(ReturnFlags::CTRUNC),
    })
}

/// `getsockopt(SO_TYPE)` — whether each message has a stream of bytes before and after it.
pub(crate) fn is_stream(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(socket_type(socket)? == SocketType::STREAM)
}

/// `getsockopt(SO_TYPE)` — whether receiving nothing means that the peer has closed.
pub(crate) fn is_connection(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(socket_type(socket)? != SocketType::DGRAM)
}

fn socket_type(socket: BorrowedFd<'_>) -> Result<SocketType, Error> {
    rustix::net::sockopt::socket_type(socket).map_err(failed(Call::SocketType))
}
