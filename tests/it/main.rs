//! The integration tests, which use the running kernel, child processes and files.
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

mod error;
mod faults;
mod file;
mod fill;
mod kernel;
mod limits;
mod map;
mod sealed;
mod seals;
mod seed;
mod shared;
mod socket;
mod support;
