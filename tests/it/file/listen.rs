//! Files passed by a service manager such as systemd.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use memfile::{Cause, Error, MemFile, SealedFile};

use crate::support::{child, seccomp};

/// Sets LISTEN_PID as a service manager does: `exec` keeps the pid of the shell.
const MANAGER: &[&str] = &["sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""];

fn pass(command: &mut Command, files: Vec<FdMapping>) -> &mut Command {
    command.env("LISTEN_FDS", files.len().to_string()).fd_mappings(files).unwrap()
}

#[test]
fn a_service_finds_its_files_by_their_names() {
    let Some(test) = child::split(|_| service()) else { return };
    let state = MemFile::create_default("state").unwrap();
    state.write_all_at(b"parent", 0).unwrap();
    state.as_file().seek(SeekFrom::Start(3)).unwrap();
    let config = SealedFile::from_bytes("another name", b"config").unwrap();
    let files = vec![
        FdMapping { parent_fd: File::open("/dev/null").unwrap().into(), child_fd: 3 },
        FdMapping { parent_fd: state.try_clone().unwrap().into(), child_fd: 4 },
        FdMapping { parent_fd: config.reopen_read_only().unwrap().into(), child_fd: 5 },
        FdMapping { parent_fd: config.try_clone().unwrap().into(), child_fd: 6 },
    ];
    let mut command = test.command(MANAGER, "service");
    command.env("LISTEN_FDNAMES", "null:state:config:config:beyond");
    test.assert_passed(&pass(&mut command, files).output().unwrap());

    let mut text = [0; 6];
    state.read_exact_at(&mut text, 0).unwrap();
    assert_eq!(&text, b"child!");
    assert_eq!(state.as_file().stream_position().unwrap(), 3, "the service has changed the position");
}

/// The child of [`a_service_finds_its_files_by_their_names`].
fn service() {
    let state = MemFile::find_listen_fd("state").unwrap().unwrap();
    assert_eq!(state.as_file().stream_position().unwrap(), 0);
    state.write_all_at(b"child!", 0).unwrap();
    // Two files have this name: the first one is found, and it is read-only.
    let config = MemFile::find_listen_fd("config").unwrap().unwrap();
    assert_eq!(config.write_at(b"1", 0).unwrap_err().cause(), Cause::ReadOnly);
    assert_eq!(&SealedFile::try_from(config).unwrap().map().unwrap()[..], b"config");

    for absent in ["beyond", "another name", ""] {
        assert!(MemFile::find_listen_fd(absent).unwrap().is_none(), "{absent}");
    }
    let error = MemFile::find_listen_fd("null").unwrap_err();
    assert_eq!(error.downcast::<Error>().unwrap().cause(), Cause::NotAMemoryFile);
}

#[test]
fn variables_for_another_process_are_ignored() {
    let Some(test) = child::split(|_| assert!(MemFile::find_listen_fd("state").unwrap().is_none())) else { return };
    let state = || FdMapping { parent_fd: MemFile::create_default("state").unwrap().into(), child_fd: 3 };
    for (variable, value) in [("LISTEN_PID", "1"), ("LISTEN_PID", "?"), ("LISTEN_FDS", "0"), ("LISTEN_FDS", "-1")] {
        let wrapper = if variable == "LISTEN_PID" { &[] } else { MANAGER };
        let mut command = test.command(wrapper, "service");
        pass(&mut command, vec![state()]).env("LISTEN_FDNAMES", "state").env(variable, value);
        test.assert_passed(&command.output().unwrap());
    }
    let mut command = test.command(MANAGER, "service");
    test.assert_passed(&pass(&mut command, vec![state()]).output().unwrap());
}

#[test]
fn a_descriptor_that_is_gone_is_an_error() {
    let Some(test) = child::split(|_| {
        assert_eq!(MemFile::find_listen_fd("state").unwrap_err().kind(), ErrorKind::NotFound);
    }) else {
        return;
    };
    let mut command = test.command(MANAGER, "service");
    command.envs([("LISTEN_FDS", "1000"), ("LISTEN_FDNAMES", &(":".repeat(999) + "state"))]);
    test.assert_passed(&command.output().unwrap());
}

/// The variables name a number that was not passed, and which a draft of this process has got.
/// Taking it for an inherited file would allow safe code to change the draft's bytes.
#[test]
fn a_draft_with_that_number_is_not_taken() {
    let Some(test) = child::split(|_| {
        let mut drafts: Vec<_> = (0..40).map(|_| SealedFile::options().draft("state", 1).unwrap()).collect();
        match MemFile::find_listen_fd("state") {
            Ok(file) => {
                file.unwrap().write_all_at(&[9], 0).unwrap();
                panic!("this draft was written through another file: {:?}", drafts.iter().find(|draft| draft[0] == 9));
            }
            Err(error) => assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, None)),
        }
        drafts.iter_mut().for_each(|draft| draft[0] = 1);
    }) else {
        return;
    };
    let mut command = test.command(MANAGER, "service");
    command.envs([("LISTEN_FDS", "31"), ("LISTEN_FDNAMES", &(":".repeat(30) + "state"))]);
    test.assert_passed(&command.output().unwrap());
}

/// Nothing is opened before it is known that it has seals: a file of FUSE might never let itself be
/// opened.
#[test]
fn another_kind_of_file_is_not_opened() {
    let Some(test) = child::split(|_| {
        seccomp::on_bits("open", 2, libc::O_NONBLOCK.unsigned_abs(), seccomp::Action::KillProcess);
        let error = MemFile::find_listen_fd("version").unwrap_err();
        assert_eq!(error.downcast::<Error>().unwrap().cause(), Cause::NotAMemoryFile);
    }) else {
        return;
    };
    let version = FdMapping { parent_fd: File::open("/proc/version").unwrap().into(), child_fd: 3 };
    let mut command = test.command(MANAGER, "service");
    command.env("LISTEN_FDNAMES", "version");
    test.assert_passed(&pass(&mut command, vec![version]).output().unwrap());
}
