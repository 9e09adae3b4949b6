//! Messages of the type `SCM_PIDFD`, which rustix ignores. Available since: Linux 6.5.

use core::mem::MaybeUninit;

use crate::sys::fd::{FromRawFd, OwnedFd, RawFd};

cfg_if::cfg_if! {
    if #[cfg(any(target_arch = "mips", target_arch = "mips64", target_arch = "mips32r6", target_arch = "mips64r6",
        target_arch = "sparc", target_arch = "sparc64"))] {
        const SOL_SOCKET: u32 = 0xffff;
    } else {
        const SOL_SOCKET: u32 = 1;
    }
}
const SCM_PIDFD: u32 = 4;
const WORD: usize = size_of::<usize>();

/// Closes the descriptors in such messages.
///
/// Everybody who has a descriptor of the receiving socket can set `SO_PASSPIDFD` on it. Then each message
/// brings a descriptor of the sender's process, which would stay open.
///
/// `space` was all zero before the call, so a length of 0 ends the messages.
pub(in crate::sys) fn close_pidfds(space: &[MaybeUninit<u8>]) {
    let mut rest = space;
    // `struct cmsghdr { size_t cmsg_len; int cmsg_level; int cmsg_type; }`, then the data. The
    // length counts both.
    while let Some(len) = bytes_of(rest, 0).map(usize::from_ne_bytes) {
        let level = bytes_of(rest, WORD).map(u32::from_ne_bytes);
        let kind = bytes_of(rest, WORD + 4).map(u32::from_ne_bytes);
        if (level, kind) == (Some(SOL_SOCKET), Some(SCM_PIDFD)) {
            // Negative if the kernel could not install a descriptor.
            if let Some(fd) = bytes_of(rest, WORD + 8).map(RawFd::from_ne_bytes).filter(|&fd| fd >= 0) {
                // SAFETY: The kernel has installed this descriptor for this process. Nobody else owns
                // it: the caller has forgotten what rustix may have made of the message.
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // Messages are aligned to words.
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
