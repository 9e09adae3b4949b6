//! Reports why a test, or a part of one, cannot run here.

use std::fmt::Display;
use std::io::{Write, stderr};
use std::panic::Location;
use std::thread;

use memfile::kernel::{Feature, Support};

/// Prints one line that begins with `skipped: `, with the name of the test that this thread runs.
#[track_caller]
pub(crate) fn skip(why: impl Display) {
    let why = why.to_string();
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    match thread::current().name() {
        // The harness runs a test in a thread with the name of the test, or in the main thread.
        Some(test) if test != "main" => print(format_args!("skipped: {test}: {why}")),
        _ => print(format_args!("skipped: {}: {why}", Location::caller())),
    }
}

/// Writes to stderr directly, because the harness hides what a passing test prints with
/// `eprintln!`.
pub(crate) fn print(line: impl Display) {
    let mut stderr = stderr();
    writeln!(stderr, "{line}").unwrap();
}

/// Whether this kernel lacks the feature. If so, prints that the test is skipped.
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
