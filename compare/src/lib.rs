//! Compares `memfile` with other crates and with direct system calls. `ci/benchmarks` runs everything.
//!
//! The comparisons measure whole tasks: creating and sealing, filling, copying, reading, handing over.
//! `benches/` measures what a single call of `memfile` costs.

use std::fs::File;

use rustix::fs::FlockOperation;

pub mod bytes;
pub mod calls;
pub mod chart;
pub mod collapse;
pub mod files;
pub mod race;
pub mod reader;
pub mod report;
pub mod sections;

/// What the kernel says about transparent huge pages for memory files.
pub const HUGE_POLICY: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

/// Locks the policy until it is dropped, so that no test of `memfile` changes it, and this process may.
/// Waits for tests that are running.
pub fn steady_huge_policy() -> Option<File> {
    let file = File::open(HUGE_POLICY).ok()?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive).ok()?;
    Some(file)
}

/// Runs `f` under the policy `policy`, if this process may set it, and restores the previous one.
pub fn with_huge_policy<T>(policy: &str, f: impl FnOnce() -> T) -> Option<T> {
    struct PutBack(String);
    impl Drop for PutBack {
        fn drop(&mut self) {
            std::fs::write(HUGE_POLICY, &self.0).expect("the policy is put back");
        }
    }
    let before = std::fs::read_to_string(HUGE_POLICY).ok()?;
    let before = PutBack(before.split(['[', ']']).nth(1)?.to_owned());
    if before.0 != policy && std::fs::write(HUGE_POLICY, policy).is_err() {
        return None;
    }
    let result = f();
    drop(before);
    Some(result)
}
