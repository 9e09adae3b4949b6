//! Limits and surroundings of a whole process: file size, descriptors, address space, memory, no `/proc`.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use memfile::{CreateOptions, Exec, Holes, MemFile, SealedFile, SharedView};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::check::refused;
use crate::child;
use crate::skip::skip;

const PAGE: u64 = 4096;

fn limit(resource: Resource, value: u64) {
    setrlimit(resource, Rlimit { current: Some(value), maximum: getrlimit(resource).maximum }).unwrap();
}

fn set_signal(signal: i32, action: libc::sighandler_t) {
    // SAFETY: No handler is installed, and this process is the child of a test.
    assert_ne!(unsafe { libc::signal(signal, action) }, libc::SIG_ERR);
}

#[test]
fn beyond_the_file_size_limit_is_an_error_if_the_signal_is_ignored() {
    if !child::is_child("limits::beyond_the_file_size_limit_is_an_error_if_the_signal_is_ignored") {
        return;
    }
    let file = MemFile::create_default("limit").unwrap();
    set_signal(libc::SIGXFSZ, libc::SIG_IGN);
    limit(Resource::Fsize, PAGE);
    let message = |call| format!("{call}: EFBIG: beyond RLIMIT_FSIZE or the largest file");
    refused(file.set_len(PAGE + 1), libc::EFBIG, &message("ftruncate"));
    refused(file.allocate(0, PAGE + 1), libc::EFBIG, &message("fallocate"));
    refused(file.write_at(b"A", PAGE), libc::EFBIG, &message("pwrite"));
    refused(SealedFile::from_bytes("limit", &[1; 5000]), libc::EFBIG, &message("pwrite"));
    refused(SealedFile::build("limit", 5000, |_| {}), libc::EFBIG, &message("ftruncate"));
    assert_eq!(file.len().unwrap(), 0);
    file.set_len(PAGE).unwrap();
}

/// As the documentation says: who does not ignore SIGXFSZ is ended by it.
#[test]
fn beyond_the_file_size_limit_the_signal_ends_the_process() {
    const TEST: &str = "limits::beyond_the_file_size_limit_the_signal_ends_the_process";
    if child::situation().is_some() {
        set_signal(libc::SIGXFSZ, libc::SIG_DFL);
        limit(Resource::Core, 0);
        let file = MemFile::create_default("limit").unwrap();
        limit(Resource::Fsize, PAGE);
        let _ = file.set_len(PAGE + 1);
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--test-threads=1"])
        .env("MEMFILE_TEST_SITUATION", "child")
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGXFSZ));
}

#[test]
fn without_descriptors_left() {
    if !child::is_child("limits::without_descriptors_left") {
        return;
    }
    let file = MemFile::create_sealable("limit").unwrap();
    // Its number was the lowest that was free.
    limit(Resource::Nofile, u64::from(file.as_raw_fd().unsigned_abs()) + 1);
    refused(
        MemFile::create_default("one more"),
        libc::EMFILE,
        "memfd_create: EMFILE: out of descriptors: RLIMIT_NOFILE, or the system's limit",
    );
    refused(
        file.try_clone(),
        libc::EMFILE,
        "fcntl(F_DUPFD_CLOEXEC): EMFILE: out of descriptors: RLIMIT_NOFILE, or the system's limit",
    );
    refused(
        file.reopen_read_only(),
        libc::EMFILE,
        "open: EMFILE: out of descriptors: RLIMIT_NOFILE, or the system's limit",
    );
    // What needs no descriptor goes on.
    file.write_all_at(b"still", 0).unwrap();
    assert_eq!(&file.into_sealed().unwrap().map().unwrap()[..], b"still");
}

#[test]
fn without_address_space_left() {
    if !child::is_child("limits::without_address_space_left") {
        return;
    }
    const LEN: u64 = 1 << 30;
    let file = MemFile::create_sealable("limit").unwrap();
    file.set_len(LEN).unwrap();
    file.add_seals(memfile::Seals::IMMUTABLE).unwrap();
    let sealed = SealedFile::verify(file, Holes::Accept).unwrap();
    limit(Resource::As, LEN / 2);
    let message = "mmap: ENOMEM: no memory left, or for a file of huge pages none free (/proc/sys/vm/nr_hugepages)";
    refused(sealed.map(), libc::ENOMEM, message);
    refused(sealed.map_copy_on_write(), libc::ENOMEM, message);
    refused(SealedFile::build("limit", LEN as usize, |_| {}), libc::ENOMEM, message);
    assert_eq!(sealed.map_range(LEN - 5..).unwrap().len(), 5);
}

/// Leaves every file system behind, for this process alone.
fn without_files() -> Result<(), rustix::io::Errno> {
    let empty = tempfile::tempdir().unwrap();
    // SAFETY: The process is the child of a test, which shares no descriptors or memory by file system.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    rustix::process::chroot(empty.path())
}

#[test]
fn without_proc() {
    const TEST: &str = "limits::without_proc";
    if !rustix::process::geteuid().is_root() {
        skip(TEST, "only root can leave all file systems");
        return;
    }
    if !child::is_child(TEST) {
        return;
    }
    let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    let file = MemFile::create("limit", options).unwrap();
    without_files().unwrap();
    refused(file.reopen_read_only(), libc::ENOENT, "open: ENOENT: /proc is not mounted");
    refused(file.name(), libc::ENOENT, "readlink: ENOENT: /proc is not mounted");
    assert!(!format!("{file:?}").contains("name"));
    // All the rest goes without.
    file.write_all_at(b"bare", 0).unwrap();
    let map = file.share().unwrap();
    let view = SharedView::try_from(map.as_mem_file().try_clone().unwrap()).unwrap();
    assert_eq!(view.len(), 4);
    drop(view);
    let sealed = map.freeze().unwrap();
    assert_eq!(&sealed.map().unwrap()[..], b"bare");
    assert!(sealed.as_mem_file().is_memfd().unwrap());
}

/// Holes in a memory control group: filling them is the end of the process, which `Holes::Refuse` spares a receiver.
#[test]
fn a_hole_is_refused_where_memory_is_limited() {
    const TEST: &str = "limits::a_hole_is_refused_where_memory_is_limited";
    const LEN: u64 = 256 << 20;
    if let Some(situation) = child::situation() {
        let file = MemFile::create_sealable("limit").unwrap();
        file.set_len(LEN).unwrap();
        file.add_seals(memfile::Seals::IMMUTABLE).unwrap();
        let error = SealedFile::try_from(file).unwrap_err();
        assert_eq!(error.to_string(), "verify: the file has holes: reading them would make this process pay for them");
        let mut byte = [1];
        error.get_ref().read_exact_at(&mut byte, LEN / 2).unwrap();
        assert_eq!(byte, [0]);
        if situation == "accepts" {
            let file = SealedFile::verify(error.into_inner(), Holes::Accept).unwrap();
            let sum: u64 = file.map().unwrap().iter().map(|&byte| u64::from(byte)).sum();
            panic!("read {sum} beyond the limit");
        }
        return;
    }
    let Some(group) = memory_group(LEN / 4) else { return skip(TEST, "no memory control group can be made") };
    // `exec` keeps the process, and with it the group.
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.display());
    child::run(TEST, &["sh", "-c", &enter, "sh"], "refuses");
    let killed = child::command(TEST, &["sh", "-c", &enter, "sh"], "accepts").output().unwrap();
    assert_eq!(killed.status.signal(), Some(libc::SIGKILL), "{killed:?}");
    fs::remove_dir(group).unwrap();
}

/// A new control group whose processes get so many bytes, by version 2 or 1, if one of them is there.
fn memory_group(limit: u64) -> Option<PathBuf> {
    for (root, file) in [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")] {
        let group = Path::new(root).join(format!("memfile-{}", std::process::id()));
        if fs::create_dir(&group).is_err() {
            continue;
        }
        if group.join(file).exists() && fs::write(group.join(file), limit.to_string()).is_ok() {
            return Some(group);
        }
        let _ = fs::remove_dir(group);
    }
    None
}
