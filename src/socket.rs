//! Sending and receiving descriptors over Unix sockets.
//!
//! - For one sealed file, use [`SealedFile::send`] and [`SealedFile::recv`], which checks the file.
//! - For several files, or files that are not sealed, use [`send`] and [`recv`].
//! - For datagrams to the path of a socket, use [`send_to`].

use core::ffi::CStr;

use crate::error::{Error, Reason};
use crate::sealed::SealedFile;
use crate::sys;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};

/// What [`recv`] has received.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// The length of the payload.
    pub bytes: usize,
    /// The number of descriptors, which are in the first slots.
    pub fds: usize,
}

/// `sendmsg(socket, payload + SCM_RIGHTS, MSG_NOSIGNAL)` — sends a payload with descriptors over a
/// Unix socket of any type. Returns the number of bytes of the payload that were sent.
///
/// The receiver gets descriptors of the same open files, so it shares the positions. The sender can
/// close its own descriptors as soon as this call returns.
///
/// A stream may send less than the whole payload, as `write` may. The descriptors are then already sent,
/// with the first byte: send the rest of the payload without them. Sockets of other types send all or
/// nothing.
///
/// Over a socket of another family, Linux sends the payload and silently drops the descriptors.
///
/// # Errors
/// - no errno: more than 253 descriptors, or descriptors with an empty payload on a stream, which
///   carries them only with at least one byte. Nothing is sent
/// - EAGAIN: the socket is non-blocking, and full; or its timeout has passed (`SO_SNDTIMEO`, which a signal
///   starts anew)
/// - EPIPE, ECONNRESET, ECONNREFUSED ([`is_closed_by_peer`](Error::is_closed_by_peer)): the peer has
///   closed its socket. No signal is raised
/// - EMSGSIZE: the payload is too long for a datagram: put it into a [`SealedFile`] and send that
/// - ETOOMANYREFS: more descriptors are sent and not yet received than `RLIMIT_NOFILE` allows
/// - EINVAL: a descriptor of io_uring is among them
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

/// Like [`send`], but to the socket that is bound to `path`: for datagrams from a socket that is not
/// connected, as with `sendto(2)`. A socket for packets (`SOCK_SEQPACKET`) ignores the path, and sends to
/// its peer.
///
/// The path is a `&CStr`, because the kernel takes it with a NUL, and this needs no `std` and no copy. So
/// it cannot name an abstract socket, with one exception: the empty path names the abstract socket with
/// the empty name. For other abstract sockets, `connect` a `UnixDatagram` and use [`send`].
///
/// # Errors
/// Those of [`send`], and
/// - ENOENT, ECONNREFUSED ([`is_closed_by_peer`](Error::is_closed_by_peer)): no socket is at the path,
///   or it was closed
/// - ENAMETOOLONG: the path has more than 108 bytes; ENOTDIR, ELOOP: the path leads nowhere
/// - EACCES: no permission to write to the socket, or to search the path; EPERM: the socket at the path is
///   connected to another one
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
    // The kernel would send nothing, and report success.
    if payload.is_empty() && !fds.is_empty() && sys::is_stream(socket)? {
        return Err(Error::new(Reason::EmptyPayload));
    }
    sys::sendmsg(socket, to, payload, fds)
}

/// `recvmsg(socket, payload + SCM_RIGHTS, MSG_CMSG_CLOEXEC)` — receives a payload and at most as
/// many descriptors as `fds` has slots. The descriptors are close-on-exec.
///
/// Every slot is written: the first [`Received::fds`] slots contain the descriptors, and the others
/// `None`. The kind of the files is not checked; [`SealedFile::try_from`],
/// [`MemFile::from_fd`](crate::MemFile::from_fd) and [`SharedView`](crate::SharedView) do that.
///
/// If neither bytes nor descriptors are received, the connection has ended, unless `payload` or the
/// message is empty.
///
/// A stream does not preserve message boundaries, but one call never returns bytes that were sent after
/// those that the descriptors came with. An ordinary `read` of these bytes drops the descriptors, so
/// read a stream that carries descriptors only with this function.
///
/// # Errors
/// The message is lost, its descriptors are closed, and all slots are `None`.
/// - no errno: the message has more descriptors than slots; or control data was lost, because this
///   process can have no more descriptors (`RLIMIT_NOFILE`), a security module forbids them, or the
///   message has far too much control data; or the message is longer than `payload`, on other types
///   than a stream
/// - EAGAIN: the socket is non-blocking, and has received nothing yet; or its timeout has passed
///   (`SO_RCVTIMEO`, which a signal starts anew: use `poll`)
/// - EMFILE: a descriptor has the number of a standard stream, and no other is free
/// - ECONNRESET ([`is_closed_by_peer`](Error::is_closed_by_peer)): the peer has closed its socket
/// - ENOTSOCK, ENOTCONN, EINVAL: as for `recv(2)`
///
/// A signal does not interrupt the call. Anybody who has a descriptor of the socket can set its options
/// `SO_PASSCRED` and `SO_PASSPIDFD`; what they add to a message is dropped.
///
/// The buffer also has room for what these options add, and a sender can fill it with descriptors: a
/// message for one slot can carry about twenty more, which are all closed before this call fails.
/// [Closing can wait](crate::guide::receiving#calls-that-another-process-can-make-wait) for the sender.
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
    // Old contents must not look like received ones.
    fds.fill_with(|| None);
    let message = sys::recvmsg(socket.as_fd(), payload, fds).inspect_err(|_| fds.fill_with(|| None))?;
    // In this order, because too many descriptors can also set MSG_CTRUNC, which says less.
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
    /// The descriptor is closed, which [can wait for the
    /// sender](crate::guide::receiving#calls-that-another-process-can-make-wait). If you want to seal or
    /// copy a file that is refused, use [`socket::recv`](recv) instead.
    /// - no errno ([`is_closed_by_peer`](Error::is_closed_by_peer)): the peer has closed the connection.
    ///   Two empty packets in a row look the same
    /// - no errno: the message came without a descriptor, or with more than one
    /// - no errno ([`is_unproven`](Error::is_unproven)): the file is not proven
    /// - EINVAL ([`is_not_a_memory_file`](Error::is_not_a_memory_file)): not a memory file; EBADF: opened
    ///   with `O_PATH`
    /// - those of [`socket::recv`](recv)
    ///
    /// [`send`](Self::send) has an example.
    #[doc(alias = "SCM_RIGHTS")]
    #[doc(alias = "recvmsg")]
    pub fn recv(socket: impl AsFd, payload: &mut [u8]) -> Result<(usize, Self), Error> {
        let socket = socket.as_fd();
        let mut fds = [None];
        let bytes = recv(socket, payload, &mut fds)?.bytes;
        // Nothing at all may be the end of the connection, or a message that is not of the expected form.
        let [Some(fd)] = fds else {
            let closed = bytes == 0 && !payload.is_empty() && sys::peer_has_closed(socket)?;
            return Err(Error::new(if closed { Reason::ClosedByPeer } else { Reason::NoFd }));
        };
        Ok((bytes, Self::options().verify(fd)?))
    }
}
