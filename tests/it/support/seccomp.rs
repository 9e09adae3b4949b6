//! Simulates other kernels and sandboxes with a filter of this thread's system calls. A filter
//! lasts as long as the thread.

use super::{child, skip, syscalls};

/// Runs `body`, which installs filters, in a process of its own. If filters are not available,
/// the test is skipped.
#[track_caller]
pub(crate) fn alone(body: impl FnOnce()) {
    if is_available() {
        child::alone(body);
    }
}

/// Whether filters can be made here. If not, prints that the test is skipped.
#[track_caller]
pub(crate) fn is_available() -> bool {
    if !filter::AVAILABLE {
        skip::skip("seccompiler makes no filters for this processor");
    }
    filter::AVAILABLE && is_allowed(libc::SECCOMP_RET_ERRNO)
}

/// Whether the kernel's filters support this action. If not, prints that the test is skipped.
#[track_caller]
pub(crate) fn is_allowed(action: u32) -> bool {
    // SAFETY: The kernel reads `action`, which outlives the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, std::ptr::from_ref(&action)) };
    if answer != 0 {
        skip::skip(format_args!("no filter of system calls: {}", std::io::Error::last_os_error()));
    }
    answer == 0
}

/// What a filter does with a call.
pub(crate) enum Action {
    /// The call fails with this errno without being made; with 0 it only seems to succeed.
    Errno(i32),
    KillProcess,
}

pub(crate) fn errno(number: i32) -> Action {
    Action::Errno(number)
}

/// The bits `mask` of an argument have this value.
struct Condition {
    argument: u8,
    mask: u32,
    value: u32,
}

/// From now on the system call of this [name](super::syscalls) gets `action`. If two filters set an
/// errno, the later one takes precedence.
pub(crate) fn always(syscall: &str, action: Action) {
    install(syscall, vec![], action);
}

/// From now on `syscall` gets `action` if its argument number `argument` has one of the `bits`.
pub(crate) fn on_bits(syscall: &str, argument: u8, bits: u32, action: Action) {
    install(syscall, single(bits).map(|bit| vec![Condition { argument, mask: bit, value: bit }]).collect(), action);
}

/// From now on `syscall` gets `action` if its argument number `argument` has one of the `values`.
pub(crate) fn on_values(syscall: &str, argument: u8, values: &[u32], action: Action) {
    let rule = |&value| vec![Condition { argument, mask: u32::MAX, value }];
    install(syscall, values.iter().map(rule).collect(), action);
}

/// From now on `fcntl` with `command` gets `action` on one of these descriptors.
pub(crate) fn on_fcntl_of(descriptors: &[u32], command: i32, action: Action) {
    let rule = |&value| vec![Condition { argument: 0, mask: u32::MAX, value }, is_command(command)];
    install("fcntl", descriptors.iter().map(rule).collect(), action);
}

/// From now on `fcntl` with `command` gets `action`.
pub(crate) fn on_fcntl(command: i32, action: Action) {
    install("fcntl", vec![vec![is_command(command)]], action);
}

/// From now on adding one of these seals gets `action`. The command must be compared too, because
/// for commands without an argument, glibc passes whatever the register contains.
pub(crate) fn on_seals(seals: u32, action: Action) {
    let rule = |bit| vec![is_command(libc::F_ADD_SEALS), Condition { argument: 2, mask: bit, value: bit }];
    install("fcntl", single(seals).map(rule).collect(), action);
}

fn is_command(command: i32) -> Condition {
    Condition { argument: 1, mask: u32::MAX, value: command.try_into().unwrap() }
}

fn single(bits: u32) -> impl Iterator<Item = u32> {
    (0..u32::BITS).map(|shift| 1 << shift).filter(move |bit| bits & bit != 0)
}

/// The filter applies if all conditions of any rule hold, or if there are no rules.
fn install(syscall: &str, rules: Vec<Vec<Condition>>, action: Action) {
    let numbers: Vec<_> = syscalls::all().filter(|&(_, name)| name == syscall).map(|(number, _)| number).collect();
    assert!(!numbers.is_empty(), "there is no system call {syscall}");
    filter::apply(&numbers, rules, action);
}

#[cfg(target_endian = "little")]
mod filter {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq, SeccompCondition, SeccompFilter,
        SeccompRule,
    };

    use super::{Action, Condition};

    pub(super) const AVAILABLE: bool =
        cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"));

    pub(super) fn apply(numbers: &[i64], rules: Vec<Vec<Condition>>, action: Action) {
        let condition = |Condition { argument, mask, value }| {
            SeccompCondition::new(argument, Dword, MaskedEq(mask.into()), value.into()).unwrap()
        };
        let rule = |rule: Vec<_>| SeccompRule::new(rule.into_iter().map(condition).collect()).unwrap();
        let rules: Vec<_> = rules.into_iter().map(rule).collect();
        let rules = numbers.iter().map(|&number| (number, rules.clone())).collect();
        let action = match action {
            Action::Errno(number) => SeccompAction::Errno(number.try_into().unwrap()),
            Action::KillProcess => SeccompAction::KillProcess,
        };
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let program: BpfProgram =
            SeccompFilter::new(rules, SeccompAction::Allow, action, arch).unwrap().try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
    }
}

#[cfg(target_endian = "big")]
mod filter {
    use super::{Action, Condition};

    pub(super) const AVAILABLE: bool = false;

    pub(super) fn apply(_: &[i64], _: Vec<Vec<Condition>>, _: Action) {
        unreachable!("seccompiler does not compile for big-endian processors");
    }
}
