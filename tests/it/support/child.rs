//! Runs a test again in a child process, because some state belongs to a whole process:
//! descriptors, limits, namespaces, and what this crate remembers of the kernel.

use std::any::type_name;
use std::env;
use std::ffi::OsStr;
use std::process::{Command, Output};

use super::skip;

/// This variable is set in a child. Its value, the situation, tells the children of a test apart.
const SITUATION: &str = "MEMFILE_TEST_SITUATION";

/// The situation of this process, or `None` in the process that the test harness started.
pub(crate) fn situation() -> Option<String> {
    env::var(SITUATION).ok()
}

/// Runs `body` in a process without other tests, and fails if it fails there.
#[track_caller]
pub(crate) fn alone(body: impl FnOnce()) {
    // nextest already runs each test in a process of its own.
    if situation().is_some() || env::var_os("NEXTEST").is_some() {
        body();
    } else {
        Test::around(&body).run(&[], "alone");
    }
}

/// Like [`alone`], with the child started by a command such as `unshare` or `sh -c`. If the command
/// cannot run here, the test is skipped.
#[track_caller]
pub(crate) fn alone_through(wrapper: &[&str], body: impl FnOnce()) {
    if situation().is_some() {
        body();
    } else if can_run(&[wrapper, &["true"]].concat()) {
        Test::around(&body).run(wrapper, "alone");
    }
}

/// In a child, runs `body` with the situation. In the process of the test harness, returns the
/// test, which can then be run in children.
pub(crate) fn split(body: impl FnOnce(&str)) -> Option<Test> {
    let test = Test::around(&body);
    match situation() {
        Some(situation) => body(&situation),
        None => return Some(test),
    }
    None
}

/// Whether the command succeeds here. If not, prints that the test is skipped.
#[track_caller]
pub(crate) fn can_run(command: &[&str]) -> bool {
    let words = command.join(" ");
    match Command::new(command[0]).args(&command[1..]).output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => skip::skip(format_args!("{words}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => skip::skip(format_args!("{words}: {error}")),
    }
    false
}

/// A test, by the name that the harness knows it by.
#[derive(Copy, Clone)]
pub(crate) struct Test(&'static str);

impl Test {
    /// The test that contains the closure `body`: the name of a closure's type begins with the path
    /// of its function.
    pub(crate) fn around<F>(_body: &F) -> Self {
        let path = type_name::<F>();
        let (_crate, path) = path.split_once("::").unwrap();
        Self(path.split("::{{closure}}").next().unwrap())
    }

    /// The command that runs this test alone, through the command `wrapper` unless that is empty.
    pub(crate) fn command(self, wrapper: &[&str], situation: &str) -> Command {
        let this = env::current_exe().unwrap();
        let mut words = wrapper.iter().map(OsStr::new).chain([this.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["--exact", self.0, "--nocapture"]).env(SITUATION, situation);
        command
    }

    /// Runs this test alone and asserts that it passed.
    #[track_caller]
    pub(crate) fn run(self, wrapper: &[&str], situation: &str) {
        self.assert_passed(&self.command(wrapper, situation).output().unwrap());
    }

    /// Asserts that a child ran this test and that it passed. Prints what the child has skipped.
    #[track_caller]
    pub(crate) fn assert_passed(self, output: &Output) {
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} in a child: {}\n{text}", self.0, output.status);
        assert!(text.contains("1 passed"), "no test has the name {}:\n{text}", self.0);
        text.lines().filter(|line| line.starts_with("skipped: ")).for_each(skip::print);
    }
}
