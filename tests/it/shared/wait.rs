//! Waiting until an integer changes, within a process and between two.

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicUsize};
use std::thread;
use std::time::{Duration, Instant};

use libc::{EFAULT, ENOMEM, ENOSYS, EPERM};
use memfile::{MemFile, SharedMap, SharedView};

use super::{map, view};
use crate::support::check::{NO_MEMORY, refused};
use crate::support::peer::Peer;
use crate::support::{child, rounds, seccomp};

/// Only elapses if a wake-up is lost.
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(5);

/// A wait compares only the four bytes of the integer, not the rest of its word, on processors of
/// either byte order. It works through a read-only map.
#[test]
fn compares_the_integer_alone() {
    let map = map("wait place", 4096 + 4);
    let view = view(&map);
    for offset in (0..32).step_by(4).chain([4092, 4096]) {
        let value = 7 + offset as u32;
        map.atomic::<u32>(offset).unwrap().store(value, Relaxed);
    }
    for offset in (0..32).step_by(4).chain([4092, 4096]) {
        let value = 7 + offset as u32;
        let (atomic, seen) = (map.atomic::<u32>(offset).unwrap(), view.atomic::<u32>(offset).unwrap());
        for other in [0, value + 4, value.wrapping_sub(4), u32::MAX] {
            assert!(atomic.wait_timeout(other, LONG).unwrap());
            assert!(seen.wait_timeout(other, LONG).unwrap());
            atomic.wait(other).unwrap();
            seen.wait(other).unwrap();
        }
        assert!(!atomic.wait_timeout(value, SHORT).unwrap());
        assert!(!seen.wait_timeout(value, SHORT).unwrap());
        assert!(!atomic.wait_timeout(value, Duration::ZERO).unwrap());
        assert!(!atomic.wake_one().unwrap(), "woke a thread, but none waits");
        assert_eq!(atomic.wake_all().unwrap(), 0);
    }
    // Sign extension of a negative integer to 64 bits must not matter.
    let (signed, seen) = (map.atomic::<i32>(12).unwrap(), view.atomic::<i32>(12).unwrap());
    signed.store(-5, Relaxed);
    signed.wait(5).unwrap();
    seen.wait(5).unwrap();
    assert!(!signed.wait_timeout(-5, SHORT).unwrap());
    assert!(!seen.wait_timeout(-5, SHORT).unwrap());
}

/// Starts `count` threads that call `sleep`, and calls `then` when all of them are asleep.
fn with_sleepers(count: usize, sleep: impl Fn() + Sync, then: impl FnOnce()) {
    let ids: Vec<_> = (0..count).map(|_| AtomicI32::new(0)).collect();
    thread::scope(|scope| {
        for id in &ids {
            scope.spawn(|| {
                // SAFETY: It has no precondition.
                id.store(unsafe { libc::gettid() }, Release);
                sleep();
            });
        }
        for id in &ids {
            // Once a thread has stored its id, it only sleeps in `sleep`.
            while id.load(Acquire) == 0 || !is_asleep(id.load(Acquire)) {
                thread::yield_now();
            }
        }
        then();
    });
}

fn is_asleep(thread: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
}

#[test]
fn wakes_are_counted() {
    const SLEEPERS: usize = 5;
    let map = map("wait count", 64);
    let view = view(&map);
    let (atomic, seen) = (map.atomic::<u32>(4).unwrap(), view.atomic::<u32>(4).unwrap());
    let returned = AtomicUsize::new(0);
    let sleep = || {
        assert!(seen.wait_timeout(0, LONG).unwrap(), "the thread was not woken");
        returned.fetch_add(1, AcqRel);
    };
    with_sleepers(SLEEPERS, sleep, || {
        assert_eq!(map.atomic::<u32>(0).unwrap().wake_all().unwrap(), 0, "woken by the other half of the word");
        assert!(atomic.wake_one().unwrap());
        while returned.load(Acquire) < 1 {
            thread::yield_now();
        }
        assert_eq!(atomic.wake_all().unwrap(), SLEEPERS - 1);
        assert!(!atomic.wake_one().unwrap());
    });
    // `Duration::MAX` is not too long for the kernel.
    with_sleepers(
        1,
        || assert!(atomic.wait_timeout(0, Duration::MAX).unwrap()),
        || assert!(atomic.wake_one().unwrap()),
    );
}

/// C code that calls `futex` with the same address wakes a wait of this crate.
#[test]
fn with_the_system_call_itself() {
    let map = map("wait call", 64);
    for offset in [4, 8] {
        let atomic = map.atomic::<u32>(offset).unwrap();
        with_sleepers(
            1,
            || assert!(atomic.wait_timeout(0, LONG).unwrap(), "the thread was not woken"),
            || {
                let place = map.as_ptr().wrapping_add(offset);
                // SAFETY: The place lies within the map.
                let woken = unsafe { libc::syscall(libc::SYS_futex, place, libc::FUTEX_WAKE, 9, 0) };
                assert_eq!(woken, 1);
            },
        );
    }
}

/// A signal handler ends the wait, unless it was installed with `SA_RESTART`.
#[test]
fn a_signal_ends_the_sleep() {
    extern "C" fn nothing(_: libc::c_int) {}

    child::alone(|| {
        // SAFETY: All zeros are a valid value: no flags and an empty mask.
        let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: The handler does nothing.
        assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) }, 0);
        let map = map("wait signal", 64);
        let atomic = map.atomic::<u32>(0).unwrap();
        let process = std::process::id();
        let waits: [&(dyn Fn() + Sync); 2] =
            [&|| atomic.wait(0).unwrap(), &|| assert!(atomic.wait_timeout(0, LONG).unwrap())];
        for wait in waits {
            let id = AtomicI32::new(0);
            let sleep = || {
                // SAFETY: It has no precondition.
                id.store(unsafe { libc::gettid() }, Release);
                wait();
            };
            with_sleepers(1, sleep, || {
                // SAFETY: The thread lives until this scope ends.
                let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, id.load(Acquire), libc::SIGUSR1) };
                assert_eq!(sent, 0);
            });
        }
    });
}

#[test]
fn what_the_kernel_refuses() {
    let none = "this system has no futex: it was built without CONFIG_FUTEX, or a sandbox hides it";
    let rows = [(ENOSYS, "ENOSYS", none), (EFAULT, "EFAULT", NO_MEMORY), (ENOMEM, "ENOMEM", NO_MEMORY)];
    for (errno, name, message) in rows.into_iter().chain([(EPERM, "EPERM", "the kernel refused the call")]) {
        seccomp::alone(|| {
            let map = map("wait refused", 64);
            let view = view(&map);
            thread::spawn(move || {
                seccomp::on_values("futex", 1, &[0, 1], seccomp::errno(errno));
                let (atomic, seen) = (map.atomic::<u32>(0).unwrap(), view.atomic::<u32>(0).unwrap());
                let wait = &format!("futex(FUTEX_WAIT): {name}: {message}");
                refused(atomic.wait(1), errno, wait);
                refused(atomic.wait_timeout(1, LONG), errno, wait);
                refused(seen.wait(1), errno, wait);
                refused(seen.wait_timeout(1, LONG), errno, wait);
                let wake = &format!("futex(FUTEX_WAKE): {name}: {message}");
                refused(atomic.wake_one(), errno, wake);
                let error = refused(atomic.wake_all(), errno, wake);
                assert_eq!(error.is_unsupported(), errno == ENOSYS);
            })
            .join()
            .unwrap();
        });
    }
}

/// A reader in another process, with a read-only descriptor, sleeps until the writer wakes it, and
/// uses no processor time meanwhile.
#[test]
fn a_sleeping_reader_uses_no_processor_time() {
    const ASLEEP: Duration = Duration::from_millis(500);

    let Some(peer) = Peer::start(|channel| {
        let view = SharedView::try_from(channel.expect(b'v').pop().unwrap()).unwrap();
        let seen = view.atomic::<u32>(20).unwrap();
        channel.send(b'r', &[]);
        let (start, used, mut sleeps) = (Instant::now(), processor_time(), 0);
        while seen.load(Acquire) == 0 {
            seen.wait(0).unwrap();
            sleeps += 1;
        }
        let (used, passed) = (processor_time() - used, start.elapsed());
        assert!(used < ASLEEP / 4, "{used:?} of processor time in {passed:?}, {sleeps} sleeps");
        let mut bytes = [0; 5];
        view.read_exact_at(&mut bytes, 40).unwrap();
        assert_eq!(&bytes, b"fresh");
    }) else {
        return;
    };
    let file = MemFile::create_sealable("wait cpu").unwrap();
    file.set_len(64).unwrap();
    let writer = file.share().unwrap();
    peer.channel().send(b'v', &[writer.reader().unwrap().as_fd()]);
    peer.channel().expect(b'r');
    thread::sleep(ASLEEP);
    writer.write_all_at(b"fresh", 40).unwrap();
    let flag = writer.atomic::<u32>(20).unwrap();
    flag.store(1, Release);
    flag.wake_all().unwrap();
    peer.finish();
}

fn processor_time() -> Duration {
    let mut usage = MaybeUninit::zeroed();
    // SAFETY: The kernel fills the structure.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) }, 0);
    // SAFETY: The call succeeded, so the structure is initialized.
    let usage: libc::rusage = unsafe { usage.assume_init() };
    [usage.ru_utime, usage.ru_stime]
        .map(|time| Duration::new(time.tv_sec.try_into().unwrap(), u32::try_from(time.tv_usec).unwrap() * 1000))
        .iter()
        .sum()
}

/// Two processes take turns, and each sleeps until the other has had its turn. If a wake-up were
/// lost, a wait would time out. After the peer has ended, a wait must time out.
#[test]
fn no_wake_up_is_lost() {
    fn turns(map: &SharedMap, mine: u32, rounds: u32) {
        let turn = map.atomic::<u32>(12).unwrap();
        for round in 0..rounds {
            let now = 2 * round + mine;
            loop {
                let seen = turn.load(Acquire);
                if seen == now {
                    break;
                }
                assert!(turn.wait_timeout(seen, LONG).unwrap(), "a wake-up was lost in round {round}");
            }
            turn.store(now + 1, Release);
            turn.wake_one().unwrap();
        }
    }

    let rounds = rounds(100_000);
    let Some(peer) = Peer::start(|channel| {
        let map = SharedMap::try_from(MemFile::from_fd(channel.expect(b'm').pop().unwrap()).unwrap()).unwrap();
        turns(&map, 1, rounds);
    }) else {
        return;
    };
    let map = map("wait turns", 64);
    peer.channel().send(b'm', &[map.as_fd()]);
    turns(&map, 0, rounds);
    peer.finish();
    let turn = map.atomic::<u32>(12).unwrap();
    assert_eq!(turn.load(Acquire), 2 * rounds);
    assert!(!turn.wait_timeout(2 * rounds, SHORT).unwrap(), "woken after the peer has ended");
}

/// A process that can only read the file can make a wake-up fail: it sleeps in a way that the kernel
/// does not let `FUTEX_WAKE` end.
#[test]
fn a_reader_can_prevent_wake_ups() {
    let map = map("wait prevented", 64);
    let view = view(&map);
    let atomic = map.atomic::<u32>(0).unwrap();
    let message = "futex(FUTEX_WAKE): EINVAL: a process that has the file sleeps here as on a lock with \
        priority inheritance, so some sleepers may not have been woken";
    let target = AtomicI32::new(0);
    let sleep = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let end = libc::timespec { tv_sec: now.tv_sec + 2, tv_nsec: 0 };
        let place = view.as_ptr();
        // SAFETY: The time and the places outlive the call.
        unsafe {
            libc::syscall(libc::SYS_futex, place, libc::FUTEX_WAIT_REQUEUE_PI, 0, &raw const end, target.as_ptr())
        };
    };
    with_sleepers(1, sleep, || {
        refused(atomic.wake_all(), libc::EINVAL, message);
        refused(atomic.wake_one(), libc::EINVAL, message);
    });
}
