//! Descriptors that a parent leaves to a real child, and how the child finds them.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use command_fds::{CommandFdExt, FdMapping};
use memfile::{MemFile, SealedFile};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};

use crate::support::child;
use crate::support::proc_self::open_descriptors;

fn flags(fd: impl AsFd) -> (OFlag, FdFlag) {
    (
        OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL).unwrap()) & OFlag::O_ACCMODE,
        FdFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFD).unwrap()),
    )
}

#[test]
fn a_child_finds_files_by_name_and_by_number() {
    let Some(test) = child::split(|_| find_both()) else { return };
    let state = MemFile::create_default("inherited state").unwrap();
    state.write_all_at(b"parent", 0).unwrap();
    state.as_file().seek(SeekFrom::Start(3)).unwrap();
    let config = SealedFile::from_bytes("inherited config", b"config").unwrap();
    let mut command = test.command(&[], "child");
    let mappings = vec![
        FdMapping { parent_fd: state.try_clone().unwrap().into(), child_fd: 20 },
        FdMapping { parent_fd: config.as_mem_file().reopen_read_only().unwrap().into(), child_fd: 21 },
    ];
    test.assert_passed(&command.fd_mappings(mappings).unwrap().output().unwrap());

    let mut text = [0; 6];
    state.read_exact_at(&mut text, 0).unwrap();
    assert_eq!(&text, b"child!");
    assert_eq!(state.as_file().stream_position().unwrap(), 3, "the child has a position of its own");
    assert_eq!(flags(&state).1, FdFlag::FD_CLOEXEC, "the parent's stays close-on-exec");
}

/// The child of [`a_child_finds_files_by_name_and_by_number`].
fn find_both() {
    // Only what was passed is open, at its number.
    let open = open_descriptors();
    assert!(open.contains(&20) && open.contains(&21));

    let state = MemFile::find_inherited("inherited state").unwrap().unwrap();
    assert_eq!(flags(&state), (OFlag::O_RDWR, FdFlag::FD_CLOEXEC));
    assert_eq!(state.as_file().stream_position().unwrap(), 0);
    state.write_all_at(b"child!", 0).unwrap();

    let config = MemFile::find_inherited("inherited config").unwrap().unwrap();
    assert_eq!(flags(&config), (OFlag::O_RDONLY, FdFlag::FD_CLOEXEC), "no more access than was given");
    let config = SealedFile::try_from(config).unwrap();
    assert_eq!(&config.map().unwrap()[..], b"config");

    // By number, in safe code: opened again.
    let config = OwnedFd::from(File::open("/proc/self/fd/21").unwrap());
    assert_eq!(SealedFile::try_from(config).unwrap().len(), 6);
}

#[test]
fn the_whole_name_counts_byte_by_byte() {
    let options = memfile::CreateOptions::new();
    let file = MemFile::create_cstr(c"odd \xff/\nname", options.close_on_exec(false)).unwrap();
    // A descriptor that is close-on-exec was not inherited.
    let _hidden = MemFile::create("name", options).unwrap();
    let name = std::ffi::OsStr::new;
    let found =
        MemFile::find_inherited(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"odd \xff/\nname"));
    let found = found.unwrap().unwrap();
    assert_ne!(found.as_raw_fd(), file.as_raw_fd());
    file.write_all_at(b"same", 0).unwrap();
    assert_eq!(found.len().unwrap(), 4);
    for other in ["odd ", "name", "odd", "no such name"] {
        assert!(MemFile::find_inherited(name(other)).unwrap().is_none(), "{other}");
    }
}

/// A file of the same name that another thread closes meanwhile is no file that was inherited, and
/// no error.
#[test]
fn files_that_come_and_go() {
    child::alone(|| {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    drop(MemFile::create_default("comes and goes").unwrap());
                }
            });
            let found: Vec<_> = (0..10_000).map(|_| MemFile::find_inherited("comes and goes")).collect();
            stop.store(true, Relaxed);
            for found in found {
                assert!(found.unwrap().is_none());
            }
        });
    });
}

/// A descriptor that can do nothing is passed over.
#[test]
fn a_descriptor_of_a_path() {
    child::alone(|| {
        let file = MemFile::create_default("by path").unwrap();
        let path = rustix::fs::OFlags::PATH;
        let _by_path = rustix::fs::open(&*file.proc_path(), path, rustix::fs::Mode::empty()).unwrap();
        assert!(MemFile::find_inherited("by path").unwrap().is_none());
    });
}
