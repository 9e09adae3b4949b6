//! A forked child, which has all mappings of this process and does nothing with them.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// The child. It ends when this is dropped, or by itself.
pub(crate) struct Forked {
    /// The child waits until this end is closed.
    pipe: Option<OwnedFd>,
    child: libc::pid_t,
}

impl Forked {
    /// Forks. The child ends by itself after `lifetime`.
    ///
    /// Only in a process without other tests, whose files the child would have too.
    pub(crate) fn start(lifetime: Duration) -> Self {
        let (read, write) = rustix::pipe::pipe().unwrap();
        // SAFETY: The child makes system calls alone.
        match unsafe { libc::fork() } {
            0 => {
                drop(write);
                let mut poll = libc::pollfd { fd: read.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: The structure is alive. The child holds its mappings until the pipe or
                // the time ends.
                unsafe { libc::poll(&raw mut poll, 1, lifetime.as_millis().try_into().unwrap_or(-1)) };
                // SAFETY: It ends the child without a word to the parent's library.
                unsafe { libc::_exit(0) }
            }
            child => {
                assert!(child > 0);
                Self { pipe: Some(write), child }
            }
        }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // SAFETY: A child of this process, which nobody else waits for.
        unsafe { libc::waitpid(self.child, std::ptr::null_mut(), 0) };
    }
}
