//! Integration tests: one binary, a module for each mechanism, run against the real kernel.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod alone;
mod exec;
mod inherit;
mod stdio;

#[cfg(feature = "net")]
mod socket;
