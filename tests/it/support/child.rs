//! Runs a test once more in a process of its own, for what a whole process keeps: limits, namespaces, and what this
//! crate remembers of a kernel.

use std::env;
use std::process::Command;

use crate::skip;

const SITUATION: &str = "MEMFILE_TEST_SITUATION";

/// The name that [`run`] gave this process, or `None` in the first one.
pub(crate) fn situation() -> Option<String> {
    env::var(SITUATION).ok()
}

/// Whether this process is the child. In the first one it runs the child and says no.
#[track_caller]
pub(crate) fn is_child(test: &str) -> bool {
    situation().is_some() || {
        run(test, &[], "child");
        false
    }
}

/// The command that runs `test` alone, through the command `through`.
pub(crate) fn command(test: &str, through: &[&str], situation: &str) -> Command {
    let this = env::current_exe().unwrap();
    let mut command = match through {
        [] => Command::new(this),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(this);
            command
        }
    };
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(SITUATION, situation);
    command
}

/// Runs `test` alone, through the command `through`, and fails if it does.
#[track_caller]
pub(crate) fn run(test: &str, through: &[&str], situation: &str) {
    let output = command(test, through, situation).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test} in situation {situation:?}: {}\n{text}", output.status);
    assert!(text.contains("1 passed"), "no test has the name {test}:\n{text}");
    for line in text.lines().filter(|line| line.starts_with("skipped: ")) {
        skip::print(line);
    }
}
