//! Makes a system call of a thread fail: a seccomp filter passes the thread's calls to a supervisor
//! in another thread, which lets them continue or makes them return an errno.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::multiple_unsafe_ops_per_block,
    reason = "the kernel's structures hold the registers of a call as they are"
)]

use core::mem::zeroed;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Mutex;
use std::{io, thread};

use super::huge::MADV_COLLAPSE;
use super::{child, seccomp, syscalls};

/// The name of the call that makes huge pages.
pub(crate) const COLLAPSE: &str = "madvise(MADV_COLLAPSE)";

/// Which call should fail, and how.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Fault {
    /// Counted from 0 among the calls of [`syscalls`] that the thread makes.
    pub(crate) at: usize,
    /// 0 lets the call seem to succeed.
    pub(crate) errno: i32,
    /// If set, every later call of the same name fails too.
    pub(crate) again: bool,
    /// Calls of this name never fail.
    pub(crate) spared: Option<&'static str>,
}

impl Fault {
    /// None of the calls fails.
    pub(crate) const NONE: Self = Self::once(usize::MAX, 0);

    pub(crate) const fn once(at: usize, errno: i32) -> Self {
        Self { at, errno, again: false, spared: None }
    }
}

/// Runs `body` in a process of its own. If this kernel cannot pass system calls to a supervisor,
/// the test is skipped.
#[track_caller]
pub(crate) fn alone(body: impl FnOnce()) {
    if seccomp::is_allowed(libc::SECCOMP_RET_USER_NOTIF) {
        child::alone(body);
    }
}

/// Runs `action` in a thread of its own. Returns its result, or its panic, and the names of its
/// calls.
pub(crate) fn watch<T: Send>(
    fault: Fault,
    action: impl FnOnce() -> T + Send,
) -> (thread::Result<T>, Vec<&'static str>) {
    let (armed, slot) = (&AtomicBool::new(false), &Mutex::new(None));
    // Once the filter is there, this thread must not allocate: musl has one lock for all allocations,
    // and the other thread may hold it while its `mmap` waits for an answer.
    let mut calls = Vec::with_capacity(1000);
    thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let listener = listener();
            *slot.lock().unwrap() = Some(listener);
            armed.store(true, Ordering::SeqCst);
            let result = action();
            armed.store(false, Ordering::SeqCst);
            result
        });
        let listener = loop {
            match slot.lock().unwrap().take() {
                Some(listener) => break listener,
                None => assert!(!worker.is_finished(), "no filter was installed"),
            }
            thread::yield_now();
        };
        supervise(&listener, fault, armed, &mut calls);
        (worker.join(), calls)
    })
}

/// Installs a filter for this thread, and returns the descriptor for its supervisor.
fn listener() -> OwnedFd {
    const fn instruction(code: u32, jump_if: u8, jump_else: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt: jump_if, jf: jump_else, k }
    }
    // Loads the number of the call. Each known number jumps to the last instruction.
    let mut program = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    // `futex` is left out, because the channel needs it before the supervisor has the descriptor.
    // Its errors are tested in `shared::wait`.
    let calls: Vec<_> = syscalls::all().filter(|&(_, name)| name != "futex").collect();
    for (index, (number, _)) in calls.iter().enumerate() {
        let to_the_end = u8::try_from(calls.len() - index).unwrap();
        program.push(instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_the_end, 0, *number as u32));
    }
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    program.push(instruction(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_USER_NOTIF));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };

    // SAFETY: No pointers are involved.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: The program outlives the call, which copies it.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            ptr::from_ref(&program),
        )
    };
    assert!(fd >= 0, "a seccomp listener: {}", io::Error::last_os_error());
    // SAFETY: The kernel has just made the descriptor, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Answers the calls of the thread until it ends. Adds the names of those made while `armed` is set.
fn supervise(listener: &OwnedFd, fault: Fault, armed: &AtomicBool, calls: &mut Vec<&'static str>) {
    const RECV: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
    const SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;

    loop {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: There is one structure, and it outlives the call.
        unsafe { libc::poll(&raw mut poll, 1, -1) };
        if poll.revents & libc::POLLIN == 0 {
            return;
        }
        // SAFETY: All zeros is a valid value, and the kernel requires it.
        let mut call: libc::seccomp_notif = unsafe { zeroed() };
        // SAFETY: The structure has the size that the request encodes.
        if unsafe { libc::ioctl(listener.as_raw_fd(), RECV, &raw mut call) } != 0 {
            continue;
        }
        // SAFETY: All zeros is a valid answer.
        let mut answer: libc::seccomp_notif_resp = unsafe { zeroed() };
        answer.id = call.id;
        answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        if armed.load(Ordering::SeqCst) && !is_not_ours(&call.data) {
            let name = name(&call.data);
            let again = fault.again && calls.get(fault.at) == Some(&name);
            if fault.spared != Some(name) && (calls.len() == fault.at || again) {
                answer.flags = 0;
                answer.error = -fault.errno;
            }
            calls.push(name);
        }
        // SAFETY: As above.
        unsafe { libc::ioctl(listener.as_raw_fd(), SEND, &raw mut answer) };
    }
}

/// Whether the call was not made by the crate: the allocator maps memory, and with debug assertions
/// `std` calls `F_GETFD` before it closes a descriptor.
fn is_not_ours(call: &libc::seccomp_data) -> bool {
    match plain_name(call) {
        "mmap" => call.args[3] as i32 & libc::MAP_ANONYMOUS != 0 && !is_reserved(call),
        "fcntl" => call.args[1] as i32 == libc::F_GETFD,
        // musl's allocator returns memory to the kernel with these.
        "madvise" => matches!(call.args[2] as i32, libc::MADV_FREE | libc::MADV_DONTNEED),
        _ => false,
    }
}

/// Whether the crate maps address space without memory, to find a free address.
fn is_reserved(call: &libc::seccomp_data) -> bool {
    call.args[2] as i32 == libc::PROT_NONE && call.args[3] as i32 & libc::MAP_NORESERVE != 0
}

fn plain_name(call: &libc::seccomp_data) -> &'static str {
    syscalls::all().find(|&(number, _)| number == i64::from(call.nr)).unwrap().1
}

fn name(call: &libc::seccomp_data) -> &'static str {
    match (plain_name(call), call.args[0] as i32, call.args[1] as i32) {
        ("fcntl", _, libc::F_GET_SEALS) => "fcntl(F_GET_SEALS)",
        ("fcntl", _, libc::F_ADD_SEALS) => "fcntl(F_ADD_SEALS)",
        ("fcntl", _, libc::F_DUPFD_CLOEXEC) => "fcntl(F_DUPFD_CLOEXEC)",
        ("fcntl", _, libc::F_GETFL) => "fcntl(F_GETFL)",
        ("fcntl", _, libc::F_SETFD) => "fcntl(F_SETFD)",
        // The numbers of `linux/net.h`.
        ("socketcall", 15, _) => "getsockopt(SO_TYPE)",
        ("socketcall", 16, _) => "sendmsg",
        ("socketcall", 17, _) => "recvmsg",
        ("madvise", ..) if call.args[2] as i32 == libc::MADV_HUGEPAGE => "madvise(MADV_HUGEPAGE)",
        ("madvise", ..) if call.args[2] as i32 == MADV_COLLAPSE => COLLAPSE,
        ("mmap", ..) if is_reserved(call) => "mmap(PROT_NONE)",
        (name, ..) => name,
    }
}
