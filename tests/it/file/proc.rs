//! Paths in `/proc`: their text and types, reopening, names, and `Debug`.

use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;

use memfile::{CreateOptions, Exec, Holes, MemFile, Seal, SharedView};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::support::check::refused;
use crate::support::skip::skip;
use crate::support::{child, noexec, tmpfs};

fn holding(text: &str) -> MemFile {
    let mut file = MemFile::create_sealable("proc").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[test]
fn one_path_in_every_form() {
    let file = holding("x");
    let path = file.proc_path();
    let text = format!("/proc/self/fd/{}", file.as_raw_fd());
    assert_eq!(path.to_string(), text);
    assert_eq!(format!("{path:?}"), format!("{text:?}"));
    assert_eq!(path.as_c_str().to_str().unwrap(), text);
    assert_eq!(path.to_bytes_with_nul(), CString::new(text.clone()).unwrap().as_bytes_with_nul());
    assert_eq!(AsRef::<CStr>::as_ref(&path), path.as_c_str());
    assert_eq!(AsRef::<Path>::as_ref(&path), Path::new(&text));
    assert_eq!(AsRef::<OsStr>::as_ref(&path), OsStr::new(&text));
}

#[test]
fn it_opens_the_file_at_the_start() {
    let file = holding("from the start");
    assert_eq!(fs::read_to_string(file.proc_path()).unwrap(), "from the start");
    File::options().append(true).open(file.proc_path()).unwrap().write_all(b" on").unwrap();
    assert_eq!(fs::read_to_string(file.proc_path()).unwrap(), "from the start on");
}

#[test]
fn a_child_reads_by_the_parents_pid() {
    let file = holding("for a child");
    let path = file.proc_path_of(std::process::id());
    assert_eq!(path.to_string(), format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    let output = Command::new("cat").arg(path).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "for a child");
}

#[test]
fn the_longest_path_fits() {
    let file = holding("x");
    assert_eq!(file.proc_path_of(u32::MAX).to_string(), format!("/proc/4294967295/fd/{}", file.as_raw_fd()));
    // SAFETY: Only the digits of the number are used, in a path.
    let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(i32::MAX) };
    // SAFETY: As above, and `ManuallyDrop` never closes it.
    let never_open = std::mem::ManuallyDrop::new(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd.as_raw_fd()) });
    let never_open: &MemFile = &never_open;
    assert_eq!(never_open.proc_path_of(u32::MAX).to_string(), "/proc/4294967295/fd/2147483647");
}

#[test]
fn a_reopened_file_has_its_own_position_and_cannot_write() {
    let mut file = holding("shared bytes");
    let mut reopened = file.reopen_read_only().unwrap();
    assert_eq!(rustix::io::fcntl_getfd(&reopened).unwrap(), rustix::io::FdFlags::CLOEXEC);

    let mut text = String::new();
    reopened.read_to_string(&mut text).unwrap();
    assert_eq!(text, "shared bytes");
    assert_eq!(reopened.seek(SeekFrom::Start(3)).unwrap(), 3);
    assert_eq!(file.stream_position().unwrap(), 12);

    file.write_all_at(b"S", 0).unwrap();
    let mut byte = [0];
    reopened.read_exact_at(&mut byte, 0).unwrap();
    assert_eq!(&byte, b"S", "the same file");
    assert_eq!(reopened.write(b"x").unwrap_err().raw_os_error(), Some(libc::EBADF));
    let message = "pwrite: EBADF: the descriptor is open for reading only";
    refused(reopened.write_at(b"x", 0), libc::EBADF, message);
}

#[test]
fn names() {
    let longest = [b'n'; 249];
    let not_utf8: Vec<u8> = (1..=249).collect();
    let like_a_link = b"/memfd:x (deleted)";
    for name in [&longest, &not_utf8[..], like_a_link, b" (deleted)", b""] {
        let c_name = CString::new(name).unwrap();
        let file = MemFile::create_cstr(&c_name, CreateOptions::new()).unwrap();
        assert_eq!(&*file.name().unwrap(), name);
        assert_eq!(file.name().unwrap().as_ref(), name);
    }
    let file = MemFile::create_cstr(c"caf\xe9\n", CreateOptions::new()).unwrap();
    let name = file.name().unwrap();
    assert_eq!(format!("{name:?}"), r#""caf\xe9\n""#);
    assert_eq!(name.to_string(), "caf\u{fffd}\n");
    assert_eq!(name, file.try_clone().unwrap().name().unwrap());
    let other = MemFile::create_default("café").unwrap().name().unwrap();
    assert_eq!(other.to_string(), "café");
    assert_ne!(name, other);
}

#[test]
fn a_file_on_tmpfs_has_no_name() {
    let Some(file) = tmpfs::file() else { return };
    let file = MemFile::from_fd(file.into()).unwrap();
    let error = refused(file.name(), None, "the file was not created by memfd_create");
    assert!(error.is_not_a_memory_file());
}

#[test]
fn debug_tells_what_the_kernel_knows() {
    if noexec::leaves_no_choice() {
        return;
    }
    let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    let file = options.create_cstr(c"caf\xe9").unwrap();
    file.set_len(4096).unwrap();
    let fd = file.as_raw_fd();
    let expected = |seals| format!(r#"MemFile {{ fd: {fd}, name: "caf\xe9", len: 4096, seals: {seals} }}"#);
    assert_eq!(format!("{file:?}"), expected("none"));
    file.add_seals(Seal::Write | Seal::Shrink).unwrap();
    assert_eq!(format!("{file:?}"), expected("Shrink | Write"));
}

/// A thread may have its own descriptor table, while `/proc/self` shows the main thread's.
#[test]
fn a_thread_with_descriptors_of_its_own() {
    let other = holding("another file");
    other.add_seal(Seal::Shrink).unwrap();
    let number = other.as_raw_fd();
    let thread = std::thread::spawn(move || {
        // SAFETY: Nothing below uses a descriptor of another thread.
        unsafe { unshare_unsafe(UnshareFlags::FILES) }?;
        // SAFETY: Nothing in this thread owns the number: `other` owns it in the other table.
        let mut place = unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) };
        let mine = MemFile::create_sealable("mine").unwrap();
        rustix::io::dup2(&mine, &mut place).unwrap();
        let mine = MemFile::from_fd(place).unwrap();
        mine.write_all_at(b"mine", 0).unwrap();
        mine.add_seal(Seal::Shrink).unwrap();

        assert_eq!(&*mine.name().unwrap(), b"mine");
        let mut text = [0; 4];
        mine.reopen_read_only().unwrap().read_exact_at(&mut text, 0).unwrap();
        assert_eq!(&text, b"mine");
        text.fill(0);
        SharedView::map(&mine, Holes::Refuse).unwrap().read_exact_at(&mut text, 0).unwrap();
        assert_eq!(&text, b"mine");
        Ok::<_, rustix::io::Errno>(())
    });
    if let Err(errno) = thread.join().unwrap() {
        skip(format_args!("unshare(CLONE_FILES): {errno}"));
    }
    drop(other);
}

/// Changes the root of this process to an empty directory, so that it can open no file at all.
fn without_files() -> rustix::io::Result<()> {
    let empty = tempfile::tempdir().unwrap();
    // SAFETY: A mount namespace of its own changes neither descriptors nor memory.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    rustix::process::chroot(empty.path())
}

#[test]
fn without_proc() {
    child::alone(|| {
        let options = CreateOptions::new().allow_sealing(true).exec(noexec::plain());
        let file = MemFile::create("limit", options).unwrap();
        let can_freeze = !noexec::is_strict();
        if let Err(errno) = without_files() {
            return skip(format_args!("unshare(CLONE_NEWNS) or chroot: {errno}"));
        }
        refused(file.reopen_read_only(), libc::ENOENT, "open: ENOENT: /proc is not mounted, so the file has no path");
        refused(file.name(), libc::ENOENT, "readlink: ENOENT: /proc is not mounted, so the file has no path");
        assert!(!format!("{file:?}").contains("name"));
        // Everything else works without /proc.
        file.write_all_at(b"bare", 0).unwrap();
        let map = file.share().unwrap();
        let view = SharedView::try_from(map.as_mem_file().try_clone().unwrap()).unwrap();
        assert_eq!(view.len(), 4);
        drop(view);
        if can_freeze {
            let sealed = map.freeze().unwrap();
            assert_eq!(&sealed.map().unwrap()[..], b"bare");
            assert!(sealed.as_mem_file().is_memfd().unwrap());
        }
    });
}
