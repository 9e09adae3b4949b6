//! Says why a test cannot run here.

use std::fmt::Display;
use std::io::{Write, stderr};

/// Prints past the capture of the test harness, which hides what a passing test prints.
pub(crate) fn skip(test: &str, why: impl Display) {
    let mut stderr = stderr();
    writeln!(stderr, "skipped: {test}: {why}").unwrap();
}
