//! The integration tests: against the running kernel, real child processes and real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]
#![allow(clippy::std_instead_of_core, reason = "the tests need std anyway")]
#![allow(clippy::cast_possible_truncation, reason = "the numbers in tests are small")]
#![allow(unsafe_code, reason = "tests make the mappings and descriptors that the crate must cope with")]

mod add_seals;
mod alone;
mod check;
mod child;
mod copy;
mod create;
mod error;
mod exec;
mod exec_policy;
mod faults;
mod file;
mod fill;
mod forged;
mod freeze;
mod from_fd;
mod holes;
mod hostile;
mod huge;
mod inherit;
mod is_memfd;
mod kinds;
mod limits;
mod map;
mod old_kernel;
mod peer;
mod proc_path;
mod proc_self;
mod seals;
mod seccomp;
mod seed;
mod shared;
mod skip;
mod socket;
mod stdio;
mod support;
mod syscalls;
mod words;
