//! Files as the standard streams of child processes.

use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};

use memfile::{Cause, MemFile, SealedFile};

use crate::support::child;

const ENOENT: i32 = 2;

fn cat(stdin: impl Into<Stdio>) -> String {
    let output = Command::new("cat").stdin(stdin).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_child_reads_a_sealed_file_from_the_start_with_its_own_position() {
    let file = SealedFile::from_bytes("input", b"0123456789").unwrap();
    file.as_mem_file().as_file().seek(SeekFrom::Start(4)).unwrap();
    assert_eq!(cat(file.to_stdio().unwrap()), "0123456789");
    assert_eq!(cat(file.to_stdio().unwrap()), "0123456789", "the second child does not read from the start");
    assert_eq!(file.as_mem_file().as_file().stream_position().unwrap(), 4);
}

#[test]
fn a_child_cannot_write_through_the_descriptor_that_it_gets() {
    let file = SealedFile::from_bytes("input", b"data").unwrap();
    let script = "echo x >&0 || echo refused; grep flags: /proc/self/fdinfo/0";
    let output = Command::new("sh").args(["-c", script]).stdin(file.to_stdio().unwrap()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("refused\nflags:"), "{text}");
    assert!(text.trim_end().ends_with('0'), "O_RDONLY is 0: {text}");
}

#[test]
fn a_child_reads_a_memory_file_from_the_position_that_they_share() {
    let mut file = MemFile::create_default("stdin").unwrap();
    file.write_all(b"for the child").unwrap();
    assert_eq!(cat(file.try_clone().unwrap()), "", "the child does not read from the shared position");
    file.rewind().unwrap();
    assert_eq!(cat(file), "for the child");
}

#[test]
fn a_memory_file_is_the_same_open_file_and_takes_a_childs_output() {
    let mut file = MemFile::create_default("output").unwrap();
    file.write_all(b"parent, ").unwrap();
    let status = Command::new("printf").arg("child").stdout(file.try_clone().unwrap()).status().unwrap();
    assert!(status.success());
    assert_eq!(file.stream_position().unwrap(), 13, "the position is not shared");
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "parent, child");
}

#[test]
fn calls_that_need_proc_fail_without_it() {
    let prefix = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\""];
    child::alone_through(&prefix, || {
        let file = SealedFile::from_bytes("input", b"0123456789").unwrap();
        let error = file.to_stdio().unwrap_err();
        assert_eq!(
            (error.raw_os_error(), error.to_string().as_str()),
            (Some(ENOENT), "open: ENOENT: /proc is not mounted, so the file has no path")
        );

        assert_eq!(MemFile::find_inherited("x").unwrap_err().raw_os_error(), Some(ENOENT));
        let options = memfile::CreateOptions::new().exec(memfile::Exec::Allow);
        let shell = std::fs::File::open("/bin/sh").unwrap();
        let program = match SealedFile::options().create_options(options).copy_of("sh", shell) {
            // vm.memfd_noexec is 2, which cannot be read without /proc.
            Err(error) if error.cause() == Cause::Denied => return,
            program => program.unwrap(),
        };
        assert_eq!(program.as_mem_file().to_command().unwrap().status().unwrap_err().raw_os_error(), Some(ENOENT));
    });
}
