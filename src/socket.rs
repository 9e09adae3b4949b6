//! Descriptors over Unix sockets.
//!
//! - One sealed file: [`SealedFile::send`] and [`SealedFile::recv`], which checks what it receives.
//! - Several files, or files that are not sealed: [`send`] and [`recv`]. Datagrams to a path:
//!   [`send_to`].

use core::ffi::CStr;

use crate::error::{Error, Reason};
use crate::sealed::SealedFile;
use crate::sys;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};

/// What [`recv`] received.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The length of the payload.
    pub bytes: usize,
    /// How many descriptors came; they are in the first slots.
    pub fds: usize,
}

/// `sendmsg(socket, payload + SCM_RIGHTS, MSG_NOSIGNAL)` — sends a payload with descriptors over a
/// Unix socket of any type. Returns how much of the payload was taken.
///
/// The receiver gets descriptors of the same open files, so the positions are shared. The sender
/// can close its own as soon as this returns.
///
/// A stream may take less than the whole payload, as with `write`. The descriptors are then on
/// their way with the first byte: send the rest without them. The other types send all or nothing.
///
/// Over a socket of another family, Linux sends the payload and silently drops the descriptors.
///
/// # Errors
/// - no errno: more than 253 descriptors; or some with an empty payload on a stream, which carries
///   them only with a byte. Nothing is sent
/// - EAGAIN: the socket is set not to block, and is full
/// - EPIPE, ECONNRESET, ECONNREFUSED: the peer is gone ([`is_closed_by_peer`](Error::is_closed_by_peer)); no
///   signal is raised
/// - EMSGSIZE: too long for a datagram: put it into a [`SealedFile`] and send that
/// - ETOOMANYREFS: more descriptors in flight than `RLIMIT_NOFILE`
/// - ENOTSOCK, ENOTCONN, EDESTADDRREQ: as for `send(2)`
///
/// # Example
/// ```
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixStream;
///
/// use memfile::{MemFile, SealedFile, socket};
///
/// let (ours, theirs) = UnixStream::pair()?;
/// let log = MemFile::create_default("log")?;
/// let table = SealedFile::from_bytes("table", b"1 2 3")?;
/// socket::send(&ours, b"log and table", &[log.as_fd(), table.as_fd()])?;
///
/// let (mut payload, mut fds) = ([0; 64], [None, None]);
/// let received = socket::recv(&theirs, &mut payload, &mut fds)?;
/// assert_eq!((&payload[..received.bytes], received.fds), (&b"log and table"[..], 2));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// [sendmsg(2)](https://man7.org/linux/man-pages/man2/send.2.html),
/// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html),
/// [cmsg(3)](https://man7.org/linux/man-pages/man3/cmsg.3.html)
#[doc(alias = "SCM_RIGHTS")]
#[doc(alias = "sendmsg")]
pub fn send(socket: impl AsFd, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Error> {
    send_msg(socket.as_fd(), None, payload, fds)
}

/// As [`send`], but to the socket that is bound to `path`: for datagrams from a socket that is not
/// connected, as with `sendto(2)`. A socket for packets (`SOCK_SEQPACKET`) ignores the path, and
/// sends to where it is connected to.
///
/// # Errors
/// Those of [`send`], and
/// - ENOENT, ECONNREFUSED: there is no socket at the path, or nobody receives from it
///   ([`is_closed_by_peer`](Error::is_closed_by_peer))
/// - ENAMETOOLONG: the path has more than 108 bytes; ENOTDIR, ELOOP: the path leads nowhere
/// - EACCES: no permission to write to the socket, or to search the path
/// - EPROTOTYPE: the socket at the path has another type; EISCONN, EOPNOTSUPP: `socket` is a stream
///
/// # Example
/// ```no_run
/// use std::os::fd::AsFd;
/// use std::os::unix::net::UnixDatagram;
///
/// use memfile::{CreateOptions, Exec, SealedFile, socket};
///
/// let message = b"MESSAGE=far too long for a datagram\n";
/// let options = CreateOptions::new().exec(Exec::DenyUnsealed); // what an old journal expects
/// let file = SealedFile::options().create_options(options).from_bytes("journal", message)?;
/// let client = UnixDatagram::unbound()?;
/// socket::send_to(&client, c"/run/systemd/journal/socket", b"", &[file.as_fd()])?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// [sendmsg(2)](https://man7.org/linux/man-pages/man2/send.2.html),
/// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)
#[doc(alias = "sendto")]
pub fn send_to(socket: impl AsFd, path: &CStr, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Error> {
    send_msg(socket.as_fd(), Some(path), payload, fds)
}

fn send_msg(socket: BorrowedFd<'_>, to: Option<&CStr>, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Error> {
    if fds.len() > sys::FDS_MAX {
        return Err(Error::new(Reason::TooManyFds).with_number(fds.len() as u64));
    }
    if payload.is_empty() && !fds.is_empty() && sys::is_stream(socket)? {
        return Err(Error::new(Reason::EmptyPayload));
    }
    sys::sendmsg(socket, to, payload, fds)
}

/// `recvmsg(socket, payload + SCM_RIGHTS, MSG_CMSG_CLOEXEC)` — receives a payload and at most as
/// many descriptors as there are slots, close-on-exec.
///
/// Every slot is written: the first [`Received::fds`] hold the descriptors, the others `None`. What
/// kind of files they are is not checked; [`SealedFile::try_from`],
/// [`MemFile::from_fd`](crate::MemFile::from_fd) and [`SharedView`](crate::SharedView) do that.
///
/// Receiving nothing, neither bytes nor descriptors, is the end of a connection, unless the buffer
/// is empty or the message was.
///
/// On a stream the bytes have no bounds, but never reach beyond those that were sent with the
/// descriptors. An ordinary `read` of these bytes drops the descriptors, so a stream that carries
/// some is read by this function alone.
///
/// # Errors
/// What came with the message is closed and lost, and all slots are `None`.
/// - no errno: more descriptors than slots; control data was lost, because this process can have no
///   more descriptors (`RLIMIT_NOFILE`), a security module forbids them, or there was far too much
///   of it; a message longer than `payload`, on other types than a stream
/// - EAGAIN: the socket is set not to block, and has nothing yet
/// - ECONNRESET: the peer is gone ([`is_closed_by_peer`](Error::is_closed_by_peer))
/// - ENOTSOCK, ENOTCONN, EINVAL: as for `recv(2)`
///
/// A signal does not interrupt the call. The socket may have `SO_PASSCRED` and `SO_PASSPIDFD`,
/// which anybody who has a descriptor of it can set; what they add to a message is dropped here.
///
/// The kernel rounds the room for descriptors up: a message for one slot can bring some twenty more, which
/// are all closed again before this call fails.
///
/// # Example
/// ```
/// use std::os::unix::net::UnixStream;
///
/// use memfile::{SealedFile, socket};
///
/// let (ours, theirs) = UnixStream::pair()?;
/// SealedFile::from_bytes("table", b"1 2 3")?.send(&ours, b"a table")?;
///
/// let (mut payload, mut fds) = ([0; 64], [None, None]);
/// let received = socket::recv(&theirs, &mut payload, &mut fds)?;
/// assert_eq!((received.bytes, received.fds), (7, 1));
/// for fd in fds.into_iter().flatten() {
///     assert_eq!(SealedFile::try_from(fd)?.len(), 5);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # References
/// [recvmsg(2)](https://man7.org/linux/man-pages/man2/recv.2.html),
/// [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html),
/// [cmsg(3)](https://man7.org/linux/man-pages/man3/cmsg.3.html)
#[doc(alias = "SCM_RIGHTS")]
#[doc(alias = "recvmsg")]
pub fn recv(socket: impl AsFd, payload: &mut [u8], fds: &mut [Option<OwnedFd>]) -> Result<Received, Error> {
    fds.fill_with(|| None);
    let message = sys::recvmsg(socket.as_fd(), payload, fds).inspect_err(|_| fds.fill_with(|| None))?;
    let reason = if message.fds > fds.len() {
        Some(Reason::StrayFds)
    } else if message.control_truncated {
        Some(Reason::LostFds)
    } else if message.payload_truncated {
        Some(Reason::PayloadTruncated)
    } else {
        None
    };
    let Some(reason) = reason else {
        return Ok(Received { bytes: message.bytes, fds: message.fds });
    };
    let expected = if reason == Reason::PayloadTruncated { payload.len() } else { fds.len() };
    fds.fill_with(|| None);
    Err(Error::new(reason).with_number(expected as u64))
}

impl SealedFile {
    /// Sends a payload with this file: [`socket::send`](send).
    ///
    /// # Errors
    /// As for [`socket::send`](send). On a stream the payload must not be empty.
    ///
    /// # Example
    /// ```
    /// use std::os::unix::net::UnixStream;
    ///
    /// use memfile::SealedFile;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// SealedFile::from_bytes("table", b"1 2 3")?.send(&ours, b"a table")?;
    ///
    /// let mut payload = [0; 64];
    /// let (len, table) = SealedFile::recv(&theirs, &mut payload)?;
    /// assert_eq!(&payload[..len], b"a table");
    /// assert_eq!(&table.map()?[..], b"1 2 3");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "SCM_RIGHTS")]
    #[doc(alias = "sendmsg")]
    pub fn send(&self, socket: impl AsFd, payload: &[u8]) -> Result<usize, Error> {
        send(socket, payload, &[self.as_fd()])
    }

    /// Receives a payload with one file, and checks the file: [`socket::recv`](recv), then
    /// [`SealedFileOptions::verify`](crate::SealedFileOptions::verify). Returns the length of the
    /// payload, and the file.
    ///
    /// # Errors
    /// The descriptor is closed. If you want it nevertheless, to seal or to copy it, use
    /// [`socket::recv`](recv).
    /// - no errno: the peer has closed the connection
    ///   ([`is_closed_by_peer`](Error::is_closed_by_peer)), for which an empty packet is taken if
    ///   another empty one follows it; the message came without a descriptor, or with more than
    ///   one; the file is not proven ([`is_unproven`](Error::is_unproven))
    /// - EINVAL: not a memory file ([`is_not_a_memory_file`](Error::is_not_a_memory_file)); EBADF:
    ///   opened with `O_PATH`
    /// - those of [`socket::recv`](recv)
    ///
    /// An example is at [`send`](Self::send).
    #[doc(alias = "SCM_RIGHTS")]
    #[doc(alias = "recvmsg")]
    pub fn recv(socket: impl AsFd, payload: &mut [u8]) -> Result<(usize, Self), Error> {
        let socket = socket.as_fd();
        let mut fds = [None];
        let bytes = recv(socket, payload, &mut fds)?.bytes;
        let [Some(fd)] = fds else {
            let closed = bytes == 0 && !payload.is_empty() && sys::peer_has_closed(socket)?;
            return Err(Error::new(if closed { Reason::ClosedByPeer } else { Reason::NoFd }));
        };
        Ok((bytes, Self::options().verify(fd)?))
    }
}
