//! `futex(2)`, shared between processes. Available since: Linux 2.6.

use core::sync::atomic::AtomicU32;
use core::time::Duration;

use rustix::io::{Errno, retry_on_intr};
use rustix::thread::futex::{self, Flags};

use crate::error::{Call, Error};
use crate::sys::unix::{failed, timespec};

/// Without `FUTEX_PRIVATE_FLAG`, so that the kernel identifies the futex by file and offset, and finds
/// sleepers in other processes.
const SHARED: Flags = Flags::empty();

/// `FUTEX_WAIT`. Returns false if the time has passed. A signal ends the wait too, so returning
/// says nothing about the value.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> Result<bool, Error> {
    let timeout = timeout.map(timespec);
    // Not repeated after a signal, because the timeout would start again.
    match futex::wait(word, SHARED, expected, timeout.as_ref()) {
        // EAGAIN: the value was not `expected`.
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => Ok(true),
        Err(Errno::TIMEDOUT) => Ok(false),
        Err(errno) => Err(failed(Call::FutexWait)(errno)),
    }
}

/// `FUTEX_WAKE`. Returns how many were woken.
pub(crate) fn futex_wake(word: &AtomicU32, most: u32) -> Result<usize, Error> {
    retry_on_intr(|| futex::wake(word, SHARED, most)).map_err(failed(Call::FutexWake))
}
