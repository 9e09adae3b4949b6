//! Descriptors and mappings of this process, according to `/proc/self`.

use std::fs;
use std::os::fd::{AsFd, RawFd};

use super::child::situation;

/// Most tests need `/proc`, so without it none is run. The C library calls this function before
/// `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static ASSERT_PROC_IS_MOUNTED: extern "C" fn() = assert_proc_is_mounted;

extern "C" fn assert_proc_is_mounted() {
    const MESSAGE: &str = "the tests need /proc\n";
    // SAFETY: The path ends with a zero byte.
    let is_there = unsafe { libc::access(c"/proc/self/fd".as_ptr(), libc::F_OK) } == 0;
    // The child of a test may lack /proc on purpose.
    if is_there || situation().is_some() {
        return;
    }
    // SAFETY: The message is static.
    unsafe { libc::write(libc::STDERR_FILENO, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
    // SAFETY: The program has not started yet, so there is nothing to clean up.
    unsafe { libc::_exit(1) }
}

/// The numbers of the open descriptors, in order. Call this only if the test is
/// [alone](super::child::alone), because other tests open and close descriptors meanwhile.
pub(crate) fn open_descriptors() -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut numbers: Vec<RawFd> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    // Removes the descriptor of the directory itself, which is closed by now.
    numbers.retain(|number| fs::read_link(format!("/proc/self/fd/{number}")).is_ok());
    numbers
}

/// The number of open descriptors. Call this only if the test is [alone](super::child::alone).
pub(crate) fn descriptors() -> usize {
    // Does not count the descriptor of the directory itself.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// The lines of `/proc/self/maps` for the memory file of this name. Each test uses names of its
/// own, so that tests do not see each other's files.
pub(crate) fn mappings(name: &str) -> Vec<String> {
    let file = format!("/memfd:{name} (deleted)");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.ends_with(&file)).map(String::from).collect()
}

/// The number of descriptors of the memory file of this name.
pub(crate) fn descriptors_of(name: &str) -> usize {
    numbers_of(name).len()
}

/// The descriptors of the memory file of this name.
fn numbers_of(name: &str) -> Vec<RawFd> {
    let file = format!("/memfd:{name} (deleted)");
    let number = |entry: fs::DirEntry| {
        let link = fs::read_link(entry.path()).ok()?;
        (link.as_os_str() == file.as_str()).then(|| entry.file_name().to_str()?.parse().ok())?
    };
    fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| number(entry.ok()?)).collect()
}

/// How many descriptors of the memory file of this name a child would inherit.
pub(crate) fn inheritable(name: &str) -> usize {
    let is_close_on_exec = |number: &RawFd| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
        u32::from_str_radix(flags.trim(), 8).unwrap() & rustix::fs::OFlags::CLOEXEC.bits() != 0
    };
    numbers_of(name).into_iter().filter(|number| !is_close_on_exec(number)).count()
}

/// The number of bytes that are allocated for a file.
pub(crate) fn allocated(file: impl AsFd) -> u64 {
    u64::try_from(rustix::fs::fstat(file).unwrap().st_blocks).unwrap() * 512
}

/// The sum of a field of `/proc/self/smaps`, in KiB, over all mappings of the memory file of this
/// name.
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
