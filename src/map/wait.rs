//! Sleeping until an atomic integer changes, and waking the sleepers.

use core::time::Duration;

use super::atomic::{AtomicInteger, SharedAtomic, SharedAtomicView};
use super::field::Waitable;
use crate::error::Error;

/// Waiting, for `u32` and `i32`: available since Linux 2.6, not on FreeBSD.
impl<T: AtomicInteger + Waitable> SharedAtomic<'_, T> {
    /// `futex(addr, FUTEX_WAIT, expected, NULL)` — sleeps until [`wake_one`](Self::wake_one) or
    /// [`wake_all`](Self::wake_all) wakes it. Returns at once if the value is not `expected`.
    ///
    /// It may also return for no reason ("spuriously"), as `std::thread::park` may, for instance
    /// after a signal handler has run. So load the value again after each return, and wait again if
    /// it is not the one that you are waiting for. Load it with `Acquire`, because `wait` itself does
    /// not order memory. No wake-up is lost between the load and the sleep: the kernel compares the
    /// value only after it has registered this thread as a sleeper.
    ///
    /// Everybody who maps the file, in this process or another, can wait on this integer, and can wake
    /// the waiting threads: for the system call, a read-only map is enough. A peer that has died never
    /// wakes you, and a malicious one, even if it can only read, can take away the wake-up that a writer
    /// sends you. If you do not trust all who have the file, use [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Errors
    /// - ENOSYS, or on FreeBSD no errno: the system lacks `futex(2)`
    ///   ([`is_unsupported`](Error::is_unsupported))
    /// - EFAULT, ENOMEM: the integer lies in a hole, and no memory is left to fill it. EFAULT is also
    ///   possible, rarely, where a peer has just punched a hole: try again
    ///
    /// # Example
    /// ```
    /// use std::sync::atomic::Ordering::{Acquire, Release};
    ///
    /// let map = memfile::SharedMap::create("door", 4096)?;
    /// let door = map.atomic::<u32>(0)?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         door.store(1, Release);
    ///         door.wake_all()
    ///     });
    ///     while door.load(Acquire) == 0 {
    ///         door.wait(0)?;
    ///     }
    ///     Ok::<(), memfile::Error>(())
    /// })?;
    /// # Ok::<(), memfile::Error>(())
    /// ```
    ///
    /// # References
    /// [FUTEX_WAIT](https://man7.org/linux/man-pages/man2/FUTEX_WAIT.2const.html)
    #[doc(alias = "futex")]
    #[doc(alias = "FUTEX_WAIT")]
    pub fn wait(&self, expected: T) -> Result<(), Error> {
        // Without a timeout, `false` cannot be returned.
        self.futex().wait(expected.to_u32(), None).map(drop)
    }

    /// Like [`wait`](Self::wait), but for at most `timeout`. Returns `false` if that time has passed, and
    /// `true` if somebody woke this thread, if the value is not `expected`, or if the return is
    /// spurious.
    ///
    /// `CLOCK_MONOTONIC` measures the time; it stands still while the machine is suspended. A timeout of
    /// more than 68 years counts as 68 years.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait).
    ///
    /// # Example
    /// ```
    /// use std::time::Duration;
    ///
    /// let map = memfile::SharedMap::create("door", 4096)?;
    /// let door = map.atomic::<u32>(0)?;
    /// assert!(!door.wait_timeout(0, Duration::from_millis(1))?, "nobody came");
    /// assert!(door.wait_timeout(1, Duration::from_millis(1))?, "it is not 1");
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "futex")]
    pub fn wait_timeout(&self, expected: T, timeout: Duration) -> Result<bool, Error> {
        self.futex().wait(expected.to_u32(), Some(timeout))
    }

    /// `futex(addr, FUTEX_WAKE, 1)` — wakes one thread that waits here, in any process. Returns
    /// whether there was one.
    ///
    /// Change the value first, with `Release`, because the woken thread loads it again.
    ///
    /// # Errors
    /// - those of [`wait`](Self::wait)
    /// - EINVAL: a process that has the file, even read-only, sleeps on this integer as on a lock with
    ///   priority inheritance; those who came after it were not woken. Everything that was stored before
    ///   stands, so a program that does not trust its peers ignores this error
    ///
    /// # References
    /// [FUTEX_WAKE](https://man7.org/linux/man-pages/man2/FUTEX_WAKE.2const.html)
    #[doc(alias = "futex")]
    #[doc(alias = "FUTEX_WAKE")]
    pub fn wake_one(&self) -> Result<bool, Error> {
        self.futex().wake(1).map(|woken| woken > 0)
    }

    /// `futex(addr, FUTEX_WAKE, INT_MAX)` — wakes all threads that wait here, in any process.
    /// Returns how many there were.
    ///
    /// Change the value first, with `Release`, because the woken threads load it again.
    ///
    /// # Errors
    /// Those of [`wake_one`](Self::wake_one).
    #[doc(alias = "futex")]
    #[doc(alias = "FUTEX_WAKE")]
    pub fn wake_all(&self) -> Result<usize, Error> {
        // The kernel reads the number as an `int`.
        self.futex().wake(i32::MAX.unsigned_abs())
    }
}

/// Waiting, for `u32` and `i32`: available since Linux 2.6, not on FreeBSD.
impl<T: AtomicInteger + Waitable> SharedAtomicView<'_, T> {
    /// If the value is `expected`, sleeps until a writer wakes this thread: [`SharedAtomic::wait`].
    /// A read-only map is enough to wait.
    ///
    /// # Errors
    /// Those of [`SharedAtomic::wait`].
    ///
    /// # Example
    /// ```
    /// use memfile::{SharedMap, SharedView};
    /// use std::sync::atomic::Ordering::{Acquire, Release};
    ///
    /// let writer = SharedMap::create("progress", 4096)?;
    /// let view = SharedView::try_from(writer.reader()?)?; // in a reader's process
    /// let (progress, seen) = (writer.atomic::<u32>(0)?, view.atomic::<u32>(0)?);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| {
    ///         progress.store(100, Release);
    ///         progress.wake_all()
    ///     });
    ///     let mut now = seen.load(Acquire);
    ///     while now < 100 {
    ///         seen.wait(now)?;
    ///         now = seen.load(Acquire);
    ///     }
    ///     Ok::<(), memfile::Error>(())
    /// })?;
    /// # Ok::<(), memfile::Error>(())
    /// ```
    #[doc(alias = "futex")]
    #[doc(alias = "FUTEX_WAIT")]
    pub fn wait(&self, expected: T) -> Result<(), Error> {
        self.futex().wait(expected.to_u32(), None).map(drop)
    }

    /// Like [`wait`](Self::wait), but for at most `timeout`. Returns `false` if that time has passed:
    /// [`SharedAtomic::wait_timeout`].
    ///
    /// # Errors
    /// Those of [`SharedAtomic::wait`].
    #[doc(alias = "futex")]
    pub fn wait_timeout(&self, expected: T, timeout: Duration) -> Result<bool, Error> {
        self.futex().wait(expected.to_u32(), Some(timeout))
    }
}
