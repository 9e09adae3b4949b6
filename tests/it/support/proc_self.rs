//! What `/proc/self` says about descriptors and mappings.

use std::fs;
use std::os::fd::RawFd;

/// The numbers of the open descriptors, in order. Only where a test is
/// [alone](super::child::alone): other tests open and close theirs meanwhile.
pub(crate) fn open_descriptors() -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut numbers: Vec<RawFd> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    // The directory that was read has been closed by now.
    numbers.retain(|number| fs::read_link(format!("/proc/self/fd/{number}")).is_ok());
    numbers
}

/// How many descriptors are open, under the same condition.
pub(crate) fn descriptors() -> usize {
    // One of them is the directory that is being read.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// The lines of `maps` that map the memory file of this name. Each test uses a name of its own, so
/// that others do not matter.
pub(crate) fn mappings(name: &str) -> Vec<String> {
    let file = format!("/memfd:{name} (deleted)");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.ends_with(&file)).map(String::from).collect()
}

/// The number of descriptors of the memory file of this name.
pub(crate) fn descriptors_of(name: &str) -> usize {
    let file = format!("/memfd:{name} (deleted)");
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter(|entry| {
            let link = entry.as_ref().ok().and_then(|entry| fs::read_link(entry.path()).ok());
            link.is_some_and(|link| link.as_os_str() == file.as_str())
        })
        .count()
}

/// A number of `smaps`, in KiB, over all mappings of the memory file of this name.
pub(crate) fn smaps(name: &str, field: &str) -> u64 {
    let file = format!("/memfd:{name} (deleted)");
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut is_it = false;
    let mut sum = 0;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some(first) if first.ends_with(':') => {
                if is_it && first.trim_end_matches(':') == field {
                    sum += words.next().unwrap().parse::<u64>().unwrap();
                }
            }
            _ => is_it = line.ends_with(&file),
        }
    }
    sum
}
