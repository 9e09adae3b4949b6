//! Says why a test, or a part of one, cannot run here.

use std::fmt::Display;
use std::io::{Write, stderr};
use std::panic::Location;
use std::thread;

use memfile::kernel::{Feature, Support};

/// Prints one line that begins with `skipped: ` and names the test that this thread runs.
#[track_caller]
pub(crate) fn skip(why: impl Display) {
    let why = why.to_string();
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    match thread::current().name() {
        // The harness names the thread of a test after it, unless it runs the tests in its main
        // thread.
        Some(test) if test != "main" => print(format_args!("skipped: {test}: {why}")),
        _ => print(format_args!("skipped: {}: {why}", Location::caller())),
    }
}

/// Prints to the standard error itself: the harness hides what a passing test prints by
/// `eprintln!`.
pub(crate) fn print(line: impl Display) {
    let mut stderr = stderr();
    writeln!(stderr, "{line}").unwrap();
}

/// Whether this kernel lacks what the test is about. If so, says so.
#[track_caller]
pub(crate) fn lacks(feature: Feature) -> bool {
    match Support::probe().get(feature) {
        Ok(()) => false,
        Err(error) => {
            skip(error);
            true
        }
    }
}
