//! RLIMIT_NOFILE of this process.

use rustix::process::{Resource, getrlimit};

use super::skip;

/// Whether this process may open `count` descriptors. If not, prints that the test is skipped.
#[track_caller]
pub(crate) fn may_open(count: u64) -> bool {
    let Some(limit) = getrlimit(Resource::Nofile).current.filter(|&limit| limit < count) else { return true };
    skip::skip(format_args!("RLIMIT_NOFILE is {limit}, and {count} descriptors are needed"));
    false
}
