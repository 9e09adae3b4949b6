//! The integration tests: against the running kernel, real child processes and real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]
#![allow(clippy::std_instead_of_core, reason = "the tests need std anyway")]
#![allow(unsafe_code, reason = "tests make the mappings and descriptors that the crate must cope with")]

mod add_seals;
mod check;
mod child;
mod copy;
mod create;
mod error;
mod exec_policy;
mod file;
mod from_fd;
mod is_memfd;
mod old_kernel;
mod proc_path;
mod seals;
mod seccomp;
mod seed;
mod skip;
