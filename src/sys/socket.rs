//! `sendmsg(2)` and `recvmsg(2)` with descriptors (`SCM_RIGHTS`). Available since: Linux 2.2, with `MSG_CMSG_CLOEXEC` since
//! 2.6.23.

use core::mem::MaybeUninit;

use rustix::cmsg_space;
use rustix::io::{Errno, IoSlice, IoSliceMut, retry_on_intr};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketType,
};

use super::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
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
    let mut space = ControlSpace([MaybeUninit::new(0); control_space(FDS_MAX)]);
    // With little more room than asked for, a sender cannot fill this process's table of descriptors.
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
        if let RecvAncillaryMessage::ScmRights(received) = message {
            for fd in received {
                count += 1;
                if let Some(slot) = slots.next() {
                    match above_stdio(fd, true) {
                        Ok(fd) => *slot = Some(fd),
                        Err(error) => result = Err(error),
                    }
                }
            }
        }
    }
    drop(control);
    close_pidfds(space);
    result?;
    Ok(Message {
        bytes: received.bytes,
        fds: count,
        payload_truncated: received.flags.contains(ReturnFlags::TRUNC),
        control_truncated: received.flags.contains(ReturnFlags::CTRUNC),
    })
}

/// Aligned as the kernel's `struct cmsghdr`, so that the first message begins at the start.
#[repr(align(8))]
struct ControlSpace([MaybeUninit<u8>; control_space(FDS_MAX)]);

/// Closes the descriptors in messages of the type `SCM_PIDFD` (Linux 6.5), which rustix passes over.
///
/// Whoever has a descriptor of the receiving socket can set `SO_PASSPIDFD` on it. Then each message brings a descriptor of
/// the sender's process, and would leave one more open.
///
/// `space` was all zero before the call, so a length of 0 ends the messages.
fn close_pidfds(space: &[MaybeUninit<u8>]) {
    const SOL_SOCKET: u32 = 1;
    const SCM_PIDFD: u32 = 4;
    const WORD: usize = size_of::<usize>();

    let mut rest = space;
    // `struct cmsghdr { size_t cmsg_len; int cmsg_level; int cmsg_type; }`, then the data. The length counts both.
    while let Some(len) = bytes_of(rest, 0).map(usize::from_ne_bytes) {
        let level = bytes_of(rest, WORD).map(u32::from_ne_bytes);
        let kind = bytes_of(rest, WORD + 4).map(u32::from_ne_bytes);
        if (level, kind) == (Some(SOL_SOCKET), Some(SCM_PIDFD)) {
            if let Some(fd) = bytes_of(rest, WORD + 8).map(RawFd::from_ne_bytes).filter(|&fd| fd >= 0) {
                // SAFETY: The kernel has installed this descriptor for this process, and nobody else has read the message.
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        let next = len.saturating_add(WORD - 1) & !(WORD - 1);
        match rest.get(next..) {
            Some(after) if next > 0 => rest = after,
            _ => break,
        }
    }
}

/// The bytes at `offset`, which the kernel or we have initialized.
fn bytes_of<const N: usize>(space: &[MaybeUninit<u8>], offset: usize) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (target, byte) in bytes.iter_mut().zip(space.get(offset..offset.checked_add(N)?)?) {
        // SAFETY: All of the space was initialized to zero, and the kernel has only written to it.
        *target = unsafe { byte.assume_init() };
    }
    Some(bytes)
}

/// `getsockopt(SO_TYPE)` — whether each message has a stream of bytes before and after it.
pub(crate) fn is_stream(socket: BorrowedFd<'_>) -> Result<bool, Error> {
    Ok(socket_type(socket)? == SocketType::STREAM)
}

/// Whether a message without bytes means that the peer has closed: not for datagrams, always for a stream, and for packets,
/// which can be empty, if the next one seems to be empty too.
///
/// For packets it looks ahead, by `recv(MSG_PEEK | MSG_DONTWAIT)`: the end lasts, and an empty packet is followed by nothing
/// yet (EAGAIN) or by another packet.
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
