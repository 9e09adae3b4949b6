//! Other kernels and sandboxes, played by a filter of this thread's system calls. Only for a [child](crate::child).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use crate::syscalls;

/// The call fails with `number`; 0 lets it seem to succeed.
pub(crate) fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.try_into().unwrap())
}

/// From now on the system call of this [name](crate::syscalls) gets `action`. A later filter with another errno wins over an earlier one.
pub(crate) fn always(syscall: &str, action: SeccompAction) {
    install(syscall, vec![], action);
}

/// From now on `syscall` gets `action` if its argument number `argument` has one of the `bits`.
pub(crate) fn on_bits(syscall: &str, argument: u8, bits: u32, action: SeccompAction) {
    let single = (0..u32::BITS).map(|shift| 1 << shift).filter(|bit| bits & bit != 0);
    let rules = single.map(|bit| rule(argument, SeccompCmpOp::MaskedEq(bit.into()), bit)).collect();
    install(syscall, rules, action);
}

/// From now on `fcntl` with `command` gets `action`.
pub(crate) fn on_fcntl(command: i32, action: SeccompAction) {
    install("fcntl", vec![rule(1, SeccompCmpOp::Eq, u32::try_from(command).unwrap())], action);
}

/// From now on adding one of these seals gets `action`. The command is compared too: what glibc passes as the argument of another
/// one is what the register held.
pub(crate) fn on_seals(seals: u32, action: SeccompAction) {
    let single = (0..u32::BITS).map(|shift| 1 << shift).filter(|bit| seals & bit != 0);
    let command = u32::try_from(libc::F_ADD_SEALS).unwrap();
    let rules = single.map(|bit| {
        let conditions =
            vec![condition(1, SeccompCmpOp::Eq, command), condition(2, SeccompCmpOp::MaskedEq(bit.into()), bit)];
        SeccompRule::new(conditions).unwrap()
    });
    install("fcntl", rules.collect(), action);
}

fn rule(argument: u8, operator: SeccompCmpOp, value: u32) -> SeccompRule {
    SeccompRule::new(vec![condition(argument, operator, value)]).unwrap()
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u32) -> SeccompCondition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into()).unwrap()
}

fn install(syscall: &str, rules: Vec<SeccompRule>, action: SeccompAction) {
    let numbers = syscalls::all().filter(|&(_, name)| name == syscall);
    let rules: BTreeMap<_, _> = numbers.map(|(number, _)| (number, rules.clone())).collect();
    assert!(!rules.is_empty(), "no system call is called {syscall}");
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let program: BpfProgram =
        SeccompFilter::new(rules, SeccompAction::Allow, action, arch).unwrap().try_into().unwrap();
    apply_filter(&program).unwrap();
}
