//! Says why a test cannot run here.

use std::fmt::Display;
use std::fs::File;
use std::io::{Write, stderr};

use memfile::{Feature, KernelSupport};

pub(crate) fn skip(test: &str, why: impl Display) {
    print(format_args!("skipped: {test}: {why}"));
}

/// Prints past the capture of the test harness, which hides what a passing test prints.
pub(crate) fn print(line: impl Display) {
    let mut stderr = stderr();
    writeln!(stderr, "{line}").unwrap();
}

/// Whether this kernel lacks what the test is about; then says so.
pub(crate) fn lacks(test: &str, feature: Feature) -> bool {
    match KernelSupport::probe().get(feature) {
        Ok(()) => false,
        Err(error) => {
            skip(test, error);
            true
        }
    }
}

/// Whether it is a file of tmpfs, which answers as a memory file does.
pub(crate) fn on_tmpfs(file: &File) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    #[allow(clippy::unnecessary_cast, reason = "the type of the field differs")]
    let kind = rustix::fs::fstatfs(file).unwrap().f_type as i64;
    kind == TMPFS_MAGIC
}
