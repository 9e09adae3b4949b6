//! Running programs from memory files, and files that are refused as programs.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use command_fds::{CommandFdExt, FdMapping};
use memfile::{CreateOptions, Error, Exec, MemFile, SealedFile};
use rustix::process::{Resource, getrlimit};

use crate::support::skip::skip;
use crate::support::{child, noexec};

const ENOEXEC: i32 = 8;
const ETXTBSY: i32 = 26;

const EXECUTABLE: CreateOptions = CreateOptions::new().exec(Exec::Allow);

fn shell() -> MemFile {
    let shell = File::open("/bin/sh").unwrap();
    SealedFile::options().create_options(EXECUTABLE).copy_of("shell", shell).unwrap().into()
}

fn refusal(file: &MemFile) -> Error {
    file.to_command().unwrap_err()
}

#[test]
fn arguments_environment_streams_and_exit_status_are_those_of_a_command() {
    if noexec::leaves_no_choice() {
        return;
    }
    let file = shell();
    let mut command = file.to_command().unwrap();
    // The command keeps the file open itself.
    drop(file);
    let script = "echo \"$0 $1 $VARIABLE\"; readlink /proc/$$/exe; exit 7";
    command.args(["-c", script, "name", "argument"]).env_clear().env("VARIABLE", "value");
    command.env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    for _ in 0..2 {
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "name argument value\n/memfd:shell (deleted)\n");
        assert_eq!(output.status.code(), Some(7));
    }
}

#[test]
fn the_program_sees_its_path_or_the_name_it_is_given() {
    if noexec::leaves_no_choice() {
        return;
    }
    let file = shell();
    let arguments = ["-c", "tr '\\0' ' ' </proc/$$/cmdline"];
    let mut command = file.to_command().unwrap();
    let output = command.args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("/proc/thread-self/fd/"), "{text}");
    let output = file.to_command().unwrap().arg0("sh").args(arguments).output().unwrap();
    assert!(output.stdout.starts_with(b"sh -c "));
}

#[test]
fn the_program_does_not_inherit_its_own_descriptor() {
    if noexec::leaves_no_choice() {
        return;
    }
    child::alone(|| {
        let mut command = shell().to_command().unwrap();
        let output = command.args(["-c", "echo /proc/$$/fd/*; readlink /proc/$$/fd/*"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("/fd/0 ") && !text.contains("memfd"), "{text}");
    });
}

#[test]
fn into_parts_gives_the_command_without_its_file() {
    if noexec::leaves_no_choice() {
        return;
    }
    let (mut command, file) = shell().to_command().unwrap().into_parts();
    assert_eq!(command.args(["-c", "exit 5"]).status().unwrap().code(), Some(5));
    drop(file);
    assert_eq!(command.status().unwrap_err().kind(), ErrorKind::NotFound);
}

/// If the program's descriptor were 0, 1 or 2, the child's standard streams would replace it.
#[test]
fn closed_standard_streams_do_not_matter() {
    if noexec::leaves_no_choice() {
        return;
    }
    child::alone(|| {
        let stdout = io::stdout().as_fd().try_clone_to_owned().unwrap();
        for fd in [0, 1] {
            // SAFETY: Nobody reads or writes these streams while they are closed.
            #[allow(unsafe_code, reason = "closes the streams")]
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let file = shell();
        assert!(file.as_raw_fd() >= 3, "the file has the number of a stream");
        let result = file.to_command().unwrap().args(["-c", "echo works"]).output();
        drop(file);
        nix::unistd::dup2_stdout(&stdout).unwrap();
        assert_eq!(result.unwrap().stdout, b"works\n");
    });
}

#[test]
fn a_script_is_refused_and_runs_as_input_of_its_interpreter() {
    if noexec::leaves_no_choice() {
        return;
    }
    let script =
        SealedFile::options().create_options(EXECUTABLE).from_bytes("script", b"#!/bin/sh\necho $1\n").unwrap();
    let error = refusal(script.as_mem_file());
    assert_eq!(
        (error.raw_os_error(), error.to_string().as_str()),
        (
            None,
            "the file is a script, and its interpreter cannot open it, since the descriptor is closed by then: start the interpreter, with the script as its stdin"
        )
    );
    let mut sh = std::process::Command::new("sh");
    let output = sh.args(["-s", "hello"]).stdin(script.to_stdio().unwrap()).output().unwrap();
    assert_eq!(output.stdout, b"hello\n");
}

#[test]
fn a_file_without_execute_permission_is_refused() {
    for exec in [Exec::Deny, noexec::plain()] {
        let file = MemFile::create("data", CreateOptions::new().exec(exec)).unwrap();
        file.write_all_at(b"\x7fELF", 0).unwrap();
        let error = refusal(&file);
        assert_eq!(
            (error.raw_os_error(), error.to_string().as_str()),
            (None, "the file's mode forbids execution: create it with `Exec::Allow`")
        );
        assert_eq!(io::Error::from(error).kind(), ErrorKind::PermissionDenied);
    }
}

#[test]
fn a_file_that_is_not_a_program_fails_with_the_kernels_error() {
    if noexec::leaves_no_choice() {
        return;
    }
    let file = MemFile::create("empty", EXECUTABLE).unwrap();
    let error = refusal(&file);
    assert_eq!(error.to_string(), "the file ends after 0 bytes of the 2 bytes to read");
    file.write_all_at(b"no program", 0).unwrap();
    let command = file.to_command().unwrap();
    assert_eq!(command.get_args().len(), 0, "the command has arguments that were not requested");
    assert_eq!(file.to_command().unwrap().status().unwrap_err().raw_os_error(), Some(ENOEXEC));
}

#[test]
fn a_descriptor_opened_for_writing_by_path_makes_the_text_busy() {
    if noexec::leaves_no_choice() {
        return;
    }
    // Alone, because a child of another test would have the descriptor open from its fork to its
    // execve.
    child::alone(|| {
        let file = shell();
        let mut command = file.to_command().unwrap();
        command.args(["-c", "exit 0"]);
        assert!(command.status().unwrap().success(), "the descriptor of memfd_create does not count");

        let reopened = File::options().read(true).write(true).open(file.proc_path()).unwrap();
        match command.status() {
            Err(error) => assert_eq!(error.raw_os_error(), Some(ETXTBSY)),
            // Linux 6.11 and 6.12 do not check for this.
            Ok(status) => skip(format_args!("this kernel executes a file that is open for writing: {status}")),
        }
        drop(reopened);
        assert!(command.status().unwrap().success());
    });
}

/// Descriptors that the child gets under the first numbers do not take the place of the program.
#[test]
fn descriptors_for_the_child_do_not_replace_the_program() {
    if noexec::leaves_no_choice() {
        return;
    }
    if getrlimit(Resource::Nofile).current.is_some_and(|most| most <= 500) {
        return skip("no number from 500 on is allowed");
    }
    let mut command = shell().to_command().unwrap();
    let null = |child_fd| FdMapping { parent_fd: File::open("/dev/null").unwrap().into(), child_fd };
    command.args(["-c", "echo \"it runs\""]).fd_mappings((3..40).map(null).collect()).unwrap();
    assert_eq!(command.output().unwrap().stdout, b"it runs\n");
}

/// Where such numbers are not allowed, the program has any.
#[test]
fn a_low_limit_of_descriptors() {
    if noexec::leaves_no_choice() {
        return;
    }
    child::alone_through(&["sh", "-c", "ulimit -n 64; exec \"$0\" \"$@\""], || {
        let output = shell().to_command().unwrap().args(["-c", "echo \"it runs\""]).output().unwrap();
        assert_eq!(output.stdout, b"it runs\n");
    });
}
