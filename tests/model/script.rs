//! Runs a script on a file and on the [`Model`], and compares the two after every step.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;

use memfile::{
    CowMap, CreateOptions, Error, Exec, Holes, Map, MemFile, SealedFile, Seals, SharedMap, SharedView, socket,
};

use crate::rules::{Model, Op, Refused};

struct Handle {
    file: MemFile,
    writable: bool,
}

#[derive(Default)]
struct World {
    model: Model,
    handles: Vec<Handle>,
    shared: Vec<SharedMap>,
    views: Vec<SharedView>,
    /// Maps of sealed files, with the bytes that they showed first and must always show.
    constant: Vec<(Map, Vec<u8>)>,
    private: Vec<(CowMap, Vec<u8>)>,
}

/// Runs the script. Panics at the first step whose result differs from the model's.
pub fn run(script: &[Op]) {
    let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    let file = MemFile::create("model", options).unwrap();
    let mut world = World { handles: vec![Handle { file, writable: true }], ..World::default() };
    for (index, &op) in script.iter().enumerate() {
        world.step(op);
        world.compare(&format!("after step {index}, {op:?}"));
    }
    world.compare_maps();
}

fn refusal(error: &Error) -> Refused {
    match error.raw_os_error() {
        Some(errno) => Refused::Errno(errno),
        None => Refused::Lacks(error.seals().bits()),
    }
}

fn outcome<T, E: Into<Error>>(result: Result<T, E>) -> Result<T, Refused> {
    result.map_err(|error| refusal(&error.into()))
}

/// Few handles, so that a script does several things with each.
const HANDLES_MAX: usize = 6;

impl World {
    fn handle(&self, index: usize) -> &Handle {
        &self.handles[index % self.handles.len()]
    }

    fn open(&mut self, file: MemFile, writable: bool) {
        self.handles.push(Handle { file, writable });
        if self.handles.len() > HANDLES_MAX {
            self.handles.remove(0);
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Write { handle, offset, len, byte } => {
                let handle = self.handle(handle);
                let written = outcome(handle.file.write_at(&vec![byte; len], offset));
                match (self.model.may_write(handle.writable, offset, len), written) {
                    (Ok(None), Ok(n)) => {
                        assert!(offset + n as u64 <= self.model.len(), "{op:?} wrote {n} bytes, beyond the end");
                        self.model.write(offset, n, byte);
                    }
                    (Ok(None), refused) => assert_eq!(refused, Err(crate::rules::EPERM), "{op:?}"),
                    (Ok(Some(expected)), written) => {
                        assert_eq!(written, Ok(expected), "{op:?}");
                        self.model.write(offset, expected, byte);
                    }
                    (Err(refused), written) => assert_eq!(written, Err(refused), "{op:?}"),
                }
            }
            Op::Read { handle, offset, len } => {
                let mut bytes = vec![0; len];
                let n = self.handle(handle).file.read_at(&mut bytes, offset).unwrap();
                assert_eq!(&bytes[..n], self.model.read(offset, len), "{op:?}");
            }
            Op::SetLen { handle, len } => {
                let Handle { file, writable } = self.handle(handle);
                let (real, writable) = (outcome(file.set_len(len)), *writable);
                assert_eq!(real, self.model.set_len(writable, len), "{op:?}");
            }
            Op::Allocate { handle, offset, len } => {
                let Handle { file, writable } = self.handle(handle);
                let (real, writable) = (outcome(file.allocate(offset, len)), *writable);
                assert_eq!(real, self.model.allocate(writable, offset, len), "{op:?}");
            }
            Op::AddSeals { handle, seals } => {
                let Handle { file, writable } = self.handle(handle);
                let (real, writable) = (outcome(file.add_seals(Seals::from_bits_retain(seals))), *writable);
                assert_eq!(real, self.model.add_seals(writable, seals), "{op:?}");
            }
            Op::Clone { handle } => {
                let Handle { file, writable } = self.handle(handle);
                let (file, writable) = (file.try_clone().unwrap(), *writable);
                self.open(file, writable);
            }
            Op::Receive { handle } => {
                let Handle { file, writable } = self.handle(handle);
                let (ours, theirs) = UnixStream::pair().unwrap();
                socket::send(&ours, b"x", &[file.as_fd()]).unwrap();
                let mut fds = [None];
                let received = socket::recv(&theirs, &mut [0], &mut fds).unwrap();
                assert_eq!((received.bytes, received.fds), (1, 1));
                let [Some(fd)] = fds else { panic!("{op:?}: no descriptor") };
                let writable = *writable;
                self.open(MemFile::from_fd(fd).unwrap(), writable);
            }
            Op::ReopenReadOnly { handle } => {
                let file = self.handle(handle).file.reopen_read_only().unwrap();
                self.open(file, false);
            }
            Op::ReopenReadWrite { handle } => {
                let path = self.handle(handle).file.proc_path();
                let file = File::options().read(true).write(true).open(path).unwrap();
                self.open(MemFile::from_fd(file.into()).unwrap(), true);
            }
            Op::Close { handle } => {
                if self.handles.len() > 1 {
                    let index = handle % self.handles.len();
                    self.handles.remove(index);
                }
                // At least one handle must be writable for the script to go on.
                if self.handles.iter().all(|handle| !handle.writable) {
                    self.step(Op::ReopenReadWrite { handle: 0 });
                }
            }
            Op::ChildWrites { handle, offset, byte } => {
                let Handle { file, writable } = self.handle(handle);
                let real = in_child(|| outcome(file.write_at(&[byte], offset)).map(drop));
                let expected = self.model.may_write(*writable, offset, 1).map(drop);
                assert_eq!(real, expected, "{op:?}");
                if real.is_ok() {
                    self.model.write(offset, 1, byte);
                }
            }
            Op::ChildSeals { handle, seals } => {
                let Handle { file, writable } = self.handle(handle);
                let real = in_child(|| outcome(file.add_seals(Seals::from_bits_retain(seals))));
                let writable = *writable;
                assert_eq!(real, self.model.add_seals(writable, seals), "{op:?}");
            }
            Op::Share { handle } => {
                let Handle { file, writable } = self.handle(handle);
                let (real, writable) = (outcome(SharedMap::map(file.try_clone().unwrap(), Holes::Accept)), *writable);
                assert_eq!(real.as_ref().map(drop).map_err(|&refused| refused), self.model.share(writable), "{op:?}");
                self.shared.extend(real);
            }
            Op::View { handle } => {
                let real = outcome(SharedView::map(&self.handle(handle).file, Holes::Accept));
                assert_eq!(real.as_ref().map(drop).map_err(|&refused| refused), self.model.view(), "{op:?}");
                self.views.extend(real);
            }
            Op::Prove { handle } => {
                let file = self.handle(handle).file.try_clone().unwrap();
                let real = outcome(SealedFile::options().holes(Holes::Accept).verify(file));
                assert_eq!(real.as_ref().map(drop).map_err(|&refused| refused), self.model.prove(), "{op:?}");
                if let Ok(sealed) = real {
                    self.constant.push((sealed.map().unwrap(), self.model.bytes.clone()));
                    self.private.push((sealed.map_copy_on_write().unwrap(), self.model.bytes.clone()));
                }
            }
            Op::WriteShared { map, offset, byte } => {
                if let Some(map) = self.shared.get(map % self.shared.len().max(1)) {
                    let inside = offset < map.len();
                    assert_eq!(map.write_all_at(&[byte], offset).is_ok(), inside, "{op:?}");
                    if inside {
                        self.model.write(offset as u64, 1, byte);
                    }
                }
            }
            Op::WritePrivate { map, offset, byte } => {
                let index = map % self.private.len().max(1);
                if let Some((map, bytes)) = self.private.get_mut(index) {
                    if let (Some(target), Some(expected)) = (map.get_mut(offset), bytes.get_mut(offset)) {
                        (*target, *expected) = (byte, byte);
                    }
                }
            }
            Op::Unshare { map } => {
                if !self.shared.is_empty() {
                    let map = self.shared.remove(map % self.shared.len());
                    self.model.writers -= usize::from(!map.is_empty());
                }
            }
        }
    }

    fn compare(&self, when: &str) {
        for Handle { file, .. } in &self.handles {
            assert_eq!(file.get_seals().unwrap().bits(), self.model.seals, "seals {when}");
        }
        let file = &self.handles[0].file;
        assert_eq!(file.len().unwrap(), self.model.len(), "length {when}");
        let mut bytes = vec![0; self.model.bytes.len()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == self.model.bytes, "bytes {when}");
    }

    fn compare_maps(&self) {
        for (map, bytes) in &self.constant {
            assert!(map[..] == bytes[..], "a constant map has changed");
        }
        for (map, bytes) in &self.private {
            assert!(map[..] == bytes[..], "a private map has changed");
        }
        let views = self.views.iter().map(|view| (view.len(), copy(view.len(), |buf| view.read_exact_at(buf, 0))));
        let shared = self.shared.iter().map(|map| (map.len(), copy(map.len(), |buf| map.read_exact_at(buf, 0))));
        for (len, bytes) in views.chain(shared) {
            assert!(bytes == self.model.bytes[..len], "a shared map shows other bytes");
        }
    }
}

fn copy(len: usize, read: impl FnOnce(&mut [u8]) -> Result<(), Error>) -> Vec<u8> {
    let mut bytes = vec![0; len];
    read(&mut bytes).unwrap();
    bytes
}

/// Runs an operation in a forked child, and returns its result, which is the child's exit status.
fn in_child(operation: impl FnOnce() -> Result<(), Refused>) -> Result<(), Refused> {
    // SAFETY: The child only makes system calls, and then exits.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let status = match operation() {
            Ok(()) => 0,
            Err(Refused::Errno(errno)) => errno,
            Err(Refused::Lacks(_)) => 255,
        };
        // SAFETY: `_exit` ends the child without running exit handlers of this process.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // A fuzzer uses a timer, whose signal can interrupt the wait.
    // SAFETY: This is a child of this process.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid {
        assert_eq!(io::Error::last_os_error().kind(), ErrorKind::Interrupted);
    }
    assert!(libc::WIFEXITED(status), "a signal ended the child");
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        errno => Err(Refused::Errno(errno)),
    }
}
