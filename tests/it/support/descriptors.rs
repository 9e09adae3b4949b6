//! The limit of descriptors of this process.

use rustix::process::{Resource, getrlimit};

use super::skip;

/// Whether this process may have so many descriptors. If not, says so.
#[track_caller]
pub(crate) fn may_be(count: u64) -> bool {
    let Some(limit) = getrlimit(Resource::Nofile).current.filter(|&limit| limit < count) else { return true };
    skip::skip(format_args!("RLIMIT_NOFILE is {limit}, and {count} descriptors are needed"));
    false
}
