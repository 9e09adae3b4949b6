//! A forked child that has copies of all mappings of this process and does nothing.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// The child. It ends on drop, or after its lifetime.
pub(crate) struct Forked {
    /// The child ends when this end is closed.
    pipe: Option<OwnedFd>,
    child: libc::pid_t,
}

impl Forked {
    /// Forks. The child ends by itself after `lifetime`.
    ///
    /// Call this only in a process without other tests, because the child has their files too.
    pub(crate) fn start(lifetime: Duration) -> Self {
        let (read, write) = rustix::pipe::pipe().unwrap();
        // SAFETY: The child only makes system calls.
        match unsafe { libc::fork() } {
            0 => {
                drop(write);
                let mut poll = libc::pollfd { fd: read.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                // SAFETY: The structure outlives the call.
                unsafe { libc::poll(&raw mut poll, 1, lifetime.as_millis().try_into().unwrap_or(-1)) };
                // SAFETY: `_exit` ends the child without running exit handlers of the parent.
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
        // SAFETY: This is a child of this process, and nothing else waits for it.
        unsafe { libc::waitpid(self.child, std::ptr::null_mut(), 0) };
    }
}
