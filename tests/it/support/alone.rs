//! Tests that need a process of their own: to count its descriptors, or for limits and mounts that others must not see.

use std::env;
use std::ffi::OsStr;
use std::os::fd::RawFd;
use std::process::{Command, Output};

const MARK: &str = "MEMFILE_ALONE";

/// Whether this is the process that was started for `test`. If not, starts it and waits until it has passed.
pub(crate) fn alone(test: &str) -> bool {
    if inside() {
        return true;
    }
    passed(&again(test, &[]).output().unwrap());
    false
}

/// As [`alone`], behind a command such as `unshare` or `sh -c`, which may be forbidden here: then says so and passes.
pub(crate) fn alone_behind(test: &str, prefix: &[&str]) -> bool {
    if inside() {
        return true;
    }
    let [program, arguments @ ..] = prefix else { unreachable!() };
    match Command::new(program).args(arguments).arg("true").output() {
        Ok(output) if output.status.success() => passed(&again(test, prefix).output().unwrap()),
        Ok(output) => println!("{test} not run: {prefix:?}: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("{test} not run: {program}: {error}"),
    }
    false
}

/// Whether this is a process that was started for one test.
pub(crate) fn inside() -> bool {
    env::var_os(MARK).is_some()
}

/// This program, to run one test alone.
pub(crate) fn again(test: &str, prefix: &[&str]) -> Command {
    let exe = env::current_exe().unwrap();
    let mut words = prefix.iter().map(OsStr::new).chain([exe.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test, "--test-threads=1", "--nocapture"]).env(MARK, "1");
    command
}

/// Asserts that the process ran its one test and that it passed.
pub(crate) fn passed(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", output.status);
}

/// The numbers of the open descriptors of this process, that of the search left out.
pub(crate) fn open_fds() -> Vec<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let mut numbers: Vec<RawFd> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.retain(|number| std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok());
    numbers
}
