//! `sendmsg(2)` and `recvmsg(2)` with descriptors (`SCM_RIGHTS`). Available since: Linux 2.2, with
//! `MSG_CMSG_CLOEXEC` since 2.6.23.

use core::ffi::CStr;
use core::mem::{self, MaybeUninit};

use rustix::cmsg_space;
use rustix::io::{Errno, IoSlice, IoSliceMut, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketType,
};

use super::fd::{BorrowedFd, OwnedFd};
use super::unix::{above_stdio, failed};
use crate::error::{Call, Error, Reason};

/// The most descriptors that the kernel accepts in one message: `SCM_MAX_FD`.
const FDS_MAX: usize = 253;

/// Room for `fds` descriptors, and for what options of the socket add: the sender's credentials
/// (`SO_PASSCRED`, as long as three descriptors), a descriptor of its process (`SO_PASSPIDFD`), and a time
/// (`SO_TIMESTAMP`, as long as four descriptors). All are counted as descriptors, because rustix has that
/// name on every system.
const fn control_space(fds: usize) -> usize {
    cmsg_space!(ScmRights(fds), ScmRights(3), ScmRights(1), ScmRights(4))
}

/// What one call of [`recvmsg`] has received.
pub(crate) struct Message {
    pub(crate) bytes: usize,
    /// The number of descriptors that were received, including those that had no slot and were closed.
    pub(crate) fds: usize,
    /// `MSG_TRUNC`: the message was longer than the buffer.
    pub(crate) payload_truncated: bool,
    /// `MSG_CTRUNC`: the kernel dropped descriptors or other control data.
    pub(crate) control_truncated: bool,
}

/// Sends the payload with at most [`FDS_MAX`] descriptors to a path, or else to the peer of the socket.
/// Never raises SIGPIPE.
pub(crate) fn sendmsg(
    socket: BorrowedFd<'_>,
    to: Option<&CStr>,
    payload: &[u8],
    fds: &[BorrowedFd<'_>],
) -> Result<usize, Error> {
    let mut space = [MaybeUninit::uninit(); control_space(FDS_MAX)];
    let mut control = SendAncillaryBuffer::new(&mut space);
    // An empty list would become a control message without contents. The space is rounded up, so that it
    // may have room for one more than the kernel permits.
    if fds.len() > FDS_MAX || !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Error::new(Reason::TooManyFds).with_number(fds.len() as u64));
    }
    let payload = &[IoSlice::new(payload)];
    let sent = match to {
        None => retry_on_intr(|| rustix::net::sendmsg(socket, payload, &mut control, SendFlags::NOSIGNAL)),
        Some(path) => SocketAddrUnix::new(path).and_then(|address| {
            retry_on_intr(|| rustix::net::sendmsg_addr(socket, &address, payload, &mut control, SendFlags::NOSIGNAL))
        }),
    };
    sent.map_err(failed(Call::Sendmsg))
}

/// Receives a payload and descriptors, which fill the slots of `fds` from the start and are close-on-exec.
/// Descriptors without a slot are closed.
pub(crate) fn recvmsg(
    socket: BorrowedFd<'_>,
    payload: &mut [u8],
    fds: &mut [Option<OwnedFd>],
) -> Result<Message, Error> {
    let mut space = ControlSpace([MaybeUninit::new(0); control_space(FDS_MAX)]);
    // Little more room than the caller has slots, so that a sender cannot fill this process's table of
    // descriptors.
    let space = space.0.get_mut(..control_space(fds.len().min(FDS_MAX))).unwrap_or_default();
    let mut control = RecvAncillaryBuffer::new(space);
    let received = retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(payload)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })
    .map_err(failed(Call::Recvmsg))?;

    let mut slots = fds.iter_mut();
    let mut count = 0;
    let mut result = Ok(());
    for message in control.drain() {
        let received = match message {
            RecvAncillaryMessage::ScmRights(received) => received,
            other => {
                // A later version of rustix may own the descriptor in it, and would close it a second
                // time after `close_pidfds`.
                mem::forget(other);
                continue;
            }
        };
        for fd in received {
            count += 1;
            if let Some(slot) = slots.next() {
                match above_stdio(fd) {
                    Ok(fd) => *slot = Some(fd),
                    Err(error) => result = Err(error),
                }
            }
        }
    }
    drop(control);
    super::close_pidfds(space);
    result?;
    Ok(Message {
        bytes: received.bytes,
        fds: count,
        payload_truncated: received.flags.contains(ReturnFlags::TRUNC),
        control_truncated: received.flags.contains(ReturnFlags::CTRUNC),
    })
}

/// Aligned like the kernel's `struct cmsghdr`, so that the first message begins at the start.
#[repr(align(8))]
struct ControlSpace([MaybeUninit<u8>; control_space(FDS_MAX)]);

/// `getsockopt(SO_TYPE)` — whether the socket is a stream, which does not preserve message boundaries.
pub(crate) fn is_stream(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(socket_type(socket)? == SocketType::STREAM)
}

/// Whether receiving no bytes means that the peer has closed the connection: always for a stream, never
/// for datagrams, and for packets, which can be empty, if the next one seems to be empty too.
///
/// For packets, `recv(MSG_PEEK | MSG_DONTWAIT)` looks ahead: at the end it returns 0 again, whereas an
/// empty packet is followed by nothing yet (EAGAIN) or by another packet.
pub(crate) fn peer_has_closed(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    match socket_type(socket)? {
        SocketType::DGRAM => Ok(false),
        SocketType::SEQPACKET => {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            let next = retry_on_intr(|| rustix::net::recv(socket, &mut [0_u8; 1], flags));
            Ok(!matches!(next, Ok((1.., _)) | Err(Errno::AGAIN)))
        }
        _ => Ok(true),
    }
}

fn socket_type(socket: BorrowedFd<'_>) -> Result<SocketType, Error> {
    rustix::net::sockopt::socket_type(socket).map_err(failed(Call::SocketType))
}
