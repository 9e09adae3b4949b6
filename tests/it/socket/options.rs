//! Options of the receiving socket can add control data to a message, and anyone who has a
//! descriptor of the socket can set them. The additions must neither leak descriptors nor displace
//! others.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use memfile::SealedFile;
use memfile::socket::{recv, send};
use nix::sys::socket::SockType;

use super::{assert_refused, pair, received, sealed, too_long, too_many};
use crate::support::proc_self::open_descriptors;
use crate::support::skip::skip;
use crate::support::{child, descriptors};

/// Sets an option through another descriptor of the same socket, as a peer that has one can do.
fn set(socket: &OwnedFd, option: i32) -> std::io::Result<()> {
    let clone = socket.try_clone().unwrap();
    let on: libc::c_int = 1;
    let len = size_of_val(&on).try_into().unwrap();
    // SAFETY: `on` outlives the call.
    match unsafe { libc::setsockopt(clone.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const on).cast(), len) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Makes the kernel add a pidfd of the sender to each message. Returns whether it can. If not,
/// prints that the test is skipped.
fn pass_pidfd(socket: &OwnedFd) -> bool {
    match set(socket, libc::SO_PASSPIDFD) {
        Ok(()) => true,
        Err(error) => {
            skip(format_args!("SO_PASSPIDFD (since Linux 6.5): {error}"));
            false
        }
    }
}

const KINDS: [SockType; 3] = [SockType::Stream, SockType::Datagram, SockType::SeqPacket];

#[test]
fn a_descriptor_of_the_senders_process_is_closed() {
    child::alone(|| {
        for kind in KINDS {
            let (ours, theirs) = pair(kind);
            if !pass_pidfd(&theirs) {
                return;
            }
            let file = sealed("with a process");
            let before = open_descriptors();
            for _ in 0..100 {
                file.send(&ours, b"x").unwrap();
                assert_eq!(SealedFile::recv(&theirs, &mut [0; 8]).unwrap().1.len(), 14);

                send(&ours, b"x", &[file.as_fd(); 2]).unwrap();
                assert_eq!(received(&theirs, &mut [0; 8], &mut [None, None]), (1, 2));

                // The pidfd is also closed if the message is refused or carries no descriptor.
                send(&ours, b"x", &[file.as_fd(); 2]).unwrap();
                assert_refused(SealedFile::recv(&theirs, &mut [0; 8]).unwrap_err(), &too_many(1));
                send(&ours, b"x", &[]).unwrap();
                assert_eq!(received(&theirs, &mut [0; 8], &mut []), (1, 0));
                if kind != SockType::Stream {
                    file.send(&ours, b"0123456789").unwrap();
                    assert_refused(recv(&theirs, &mut [0; 4], &mut [None]).unwrap_err(), &too_long(4));
                }
            }
            assert_eq!(open_descriptors(), before, "{kind:?}");
        }
    });
}

#[test]
fn all_options_together_displace_no_descriptor() {
    if !descriptors::may_open(300) {
        return;
    }
    child::alone(|| {
        for kind in KINDS {
            let (ours, theirs) = pair(kind);
            if !pass_pidfd(&theirs) {
                return;
            }
            set(&theirs, libc::SO_PASSCRED).unwrap();
            set(&theirs, libc::SO_TIMESTAMP).unwrap();
            let file = sealed("in company");
            let before = open_descriptors();
            for _ in 0..10 {
                file.send(&ours, b"x").unwrap();
                assert_eq!(SealedFile::recv(&theirs, &mut [0; 8]).unwrap().1.len(), 10, "{kind:?}");
                for count in [1, 2, 5, 253] {
                    send(&ours, b"x", &vec![file.as_fd(); count]).unwrap();
                    let mut slots: Vec<Option<OwnedFd>> = (0..count).map(|_| None).collect();
                    assert_eq!(received(&theirs, &mut [0; 8], &mut slots), (1, count), "{kind:?}");
                }
            }
            assert_eq!(open_descriptors(), before, "{kind:?}");
        }
    });
}
