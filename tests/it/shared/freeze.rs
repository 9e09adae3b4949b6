//! One writer, many readers, and the end of writing: `share` and `freeze`.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use libc::{EBUSY, EINVAL, ENOSPC, EPERM};
use memfile::{CreateOptions, Exec, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::pipe::SpliceFlags;

use crate::support::check::{BUSY, SEALED_FUTURE_WRITE, SEALED_WRITE, UNSEALABLE, refused};
use crate::support::forked::Forked;
use crate::support::peer::{Channel, Peer};
use crate::support::proc_self::{descriptors_of, mappings};
use crate::support::{noexec, seccomp};

const LEN: u64 = 10_000;
const SHARED: Seals = Seals::from_bits_retain(Seals::FIXED_SIZE.bits() | Seal::FutureWrite as u32);

fn file(name: &str) -> MemFile {
    let options = CreateOptions::new().allow_sealing(true).exec(Exec::DenyUnsealed);
    let file = options.create(name).unwrap();
    file.set_len(LEN).unwrap();
    file
}

#[test]
fn seals_at_each_step() {
    if noexec::leaves_no_choice() {
        return;
    }
    let file = file("freeze steps");
    assert_eq!(file.get_seals().unwrap(), Seals::empty());
    let writer = file.share().unwrap();
    assert_eq!(writer.as_mem_file().get_seals().unwrap(), SHARED);
    assert_eq!(writer.len() as u64, LEN);
    let blocks = rustix::fs::fstat(writer.as_fd()).unwrap().st_blocks;
    assert!(u64::try_from(blocks).unwrap() * 512 >= LEN, "the holes were not filled");
    let sealed = writer.freeze().unwrap();
    assert_eq!(sealed.as_mem_file().get_seals().unwrap(), SHARED | Seals::IMMUTABLE);
    assert_eq!(sealed.len(), LEN);
    assert!(mappings("freeze steps").is_empty());
    SealedFile::try_from(sealed.into_fd()).unwrap();
}

/// While the writer shares the file, no one else can write to it, resize it, or map it for writing,
/// even through a writable descriptor.
#[test]
fn others_cannot_write() {
    if noexec::leaves_no_choice() {
        return;
    }
    let writer = file("freeze others").share().unwrap();
    let other = writer.as_mem_file().try_clone().unwrap();
    let sealed = "a seal forbids this change: put the data into a new file";
    refused(other.write_all_at(b"!", 0), EPERM, &format!("pwrite: EPERM: {sealed}"));
    refused(other.set_len(LEN - 1), EPERM, &format!("ftruncate: EPERM: {sealed}"));
    refused(other.set_len(LEN + 1), EPERM, &format!("ftruncate: EPERM: {sealed}"));
    refused(SharedMap::try_from(other), EPERM, SEALED_FUTURE_WRITE);
    let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    assert_eq!(rustix::fs::fallocate(writer.as_fd(), punch, 0, 4096), Err(Errno::PERM));
    writer.write_all_at(b"the writer can", 0).unwrap();
}

/// Views stay valid after the freeze, whatever descriptor they were made from.
#[test]
fn views_stay() {
    if noexec::leaves_no_choice() {
        return;
    }
    let writer = file("freeze views").share().unwrap();
    let views = [
        SharedView::try_from(writer.reader().unwrap()).unwrap(),
        SharedView::try_from(writer.as_mem_file().try_clone().unwrap()).unwrap(),
        SharedView::try_from(OwnedFd::from(writer.as_mem_file().try_clone().unwrap())).unwrap(),
    ];
    writer.write_all_at(b"last words", 4090).unwrap();
    let sealed = writer.freeze().unwrap();
    let check = || {
        for view in &views {
            let mut bytes = [0; 10];
            view.read_exact_at(&mut bytes, 4090).unwrap();
            assert_eq!(&bytes, b"last words");
        }
    };
    check();
    assert_eq!(&sealed.map().unwrap()[4090..4100], b"last words");
    drop(sealed);
    check();
    drop(views);
    assert_eq!(descriptors_of("freeze views") + mappings("freeze views").len(), 0);
}

#[test]
fn what_cannot_be_shared() {
    if noexec::leaves_no_choice() {
        return;
    }
    let error = MemFile::create_default("freeze cannot").unwrap().share().unwrap_err();
    assert_eq!((error.to_string().as_str(), error.error().raw_os_error()), (UNSEALABLE, Some(EPERM)));
    let error = file("freeze cannot").reopen_read_only().unwrap().share().unwrap_err();
    let message = "fcntl(F_ADD_SEALS): EPERM: the descriptor is open for reading only";
    assert_eq!((error.to_string().as_str(), error.error().raw_os_error()), (message, Some(EPERM)));
    for (seal, message) in [(Seal::Write, SEALED_WRITE), (Seal::FutureWrite, SEALED_FUTURE_WRITE)] {
        let file = file("freeze cannot");
        file.add_seal(seal).unwrap();
        let error = file.share().unwrap_err();
        assert_eq!((error.to_string().as_str(), error.error().raw_os_error()), (message, Some(EPERM)));
        assert_eq!(error.into_inner().get_seals().unwrap(), Seals::FIXED_SIZE | seal, "the length is not sealed");
    }
    assert!(mappings("freeze cannot").is_empty());
}

/// If `share` fails, on a kernel before 5.1 or for lack of memory, the file comes back unmapped.
#[test]
fn share_gives_the_file_back() {
    if noexec::leaves_no_choice() {
        return;
    }
    seccomp::alone(|| {
        let (old, short) = (file("freeze back"), file("freeze back"));
        let future = Seal::FutureWrite as u32;
        let thread = std::thread::spawn(move || {
            seccomp::on_seals(future, seccomp::errno(EINVAL));
            let (error, file) = old.share().unwrap_err().into_parts();
            let message = "fcntl(F_ADD_SEALS): EINVAL: this kernel lacks one of these seals: \
                           FutureWrite is available since Linux 5.1, Exec since 6.3";
            assert_eq!(error.seals(), Seals::from(Seal::FutureWrite));
            assert_eq!((error.to_string().as_str(), error.raw_os_error()), (message, Some(EINVAL)));
            assert!(error.is_unsupported());
            assert_eq!(file.get_seals().unwrap(), Seals::FIXED_SIZE);
            assert!(mappings("freeze back").is_empty());
        });
        thread.join().unwrap();
        seccomp::always("fallocate", seccomp::errno(ENOSPC));
        let (error, file) = short.share().unwrap_err().into_parts();
        assert_eq!(error.raw_os_error(), Some(ENOSPC));
        assert_eq!(file.get_seals().unwrap(), Seals::FIXED_SIZE);
        assert!(mappings("freeze back").is_empty());
    });
}

/// Freezes, checks that this fails with EBUSY, and returns the file, which must have the same
/// descriptor and the same seals as before.
#[track_caller]
fn is_busy(writer: SharedMap) -> MemFile {
    let before = writer.as_mem_file().get_seals().unwrap();
    let number = writer.as_mem_file().as_raw_fd();
    let (error, file) = writer.freeze().unwrap_err().into_parts();
    assert_eq!((error.to_string().as_str(), error.raw_os_error()), (BUSY, Some(EBUSY)));
    assert!(error.is_busy());
    assert_eq!((file.get_seals().unwrap(), file.as_raw_fd()), (before, number));
    file
}

/// A page of the file that is in a pipe could still be changed, so freezing fails.
#[test]
fn a_page_in_a_pipe() {
    if noexec::leaves_no_choice() {
        return;
    }
    let writer = file("freeze pipe").share().unwrap();
    writer.write_all_at(b"in flight", 0).unwrap();
    let (read, write) = rustix::pipe::pipe().unwrap();
    let n = rustix::pipe::splice(writer.as_fd(), Some(&mut 0), &write, None, 4096, SpliceFlags::empty()).unwrap();
    assert_eq!(n, 4096);
    let file = is_busy(writer);
    let start = Instant::now();
    let (error, file) = file.into_sealed_timeout(Duration::from_secs(1)).unwrap_err().into_parts();
    assert_eq!((error.to_string().as_str(), error.raw_os_error()), (BUSY, Some(EBUSY)));
    // The kernel waits 160 ms in each attempt. If only the pauses counted, the call would take 34 seconds.
    let seconds = start.elapsed().as_secs();
    assert!((1..20).contains(&seconds), "{seconds} seconds");
    drop((read, write));
    let sealed = file.into_sealed_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(&sealed.map().unwrap()[..9], b"in flight");
}

/// Another writable mapping, here one of this process, makes freezing fail.
#[test]
fn a_mapping_elsewhere() {
    if noexec::leaves_no_choice() {
        return;
    }
    let shared = file("freeze mapping");
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: The kernel chooses the address.
    let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, access, MapFlags::SHARED, &shared, 0) }.unwrap();
    let file = is_busy(shared.share().unwrap());
    assert!(!file.get_seals().unwrap().contains(Seal::Write));
    // SAFETY: The mapping belongs to this test.
    unsafe { rustix::mm::munmap(base, 4096) }.unwrap();
    file.into_sealed().unwrap();
}

/// A forked child also has the writer's map, until it ends.
#[test]
fn a_forked_child() {
    if noexec::leaves_no_choice() {
        return;
    }
    let Some(peer) = Peer::start(|channel| {
        build_and_fork(channel);
    }) else {
        return;
    };
    peer.channel().expect(b'o');
    peer.finish();
}

/// The process of [`a_forked_child`]: forks while it shares a file.
fn build_and_fork(channel: &Channel) {
    let writer = file("freeze fork").share().unwrap();
    writer.write_all_at(b"forked", 0).unwrap();
    let child = Forked::start(Duration::MAX);
    let busy = is_busy(writer);
    let start = Instant::now();
    let error = busy.into_sealed_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(20), "it gave up before the timeout");
    assert_eq!(error.error().raw_os_error(), Some(EBUSY));
    drop(child);
    let sealed = error.into_inner().into_sealed().unwrap();
    assert_eq!(&sealed.map().unwrap()[..6], b"forked");

    // If the child ends in time, the call waits for that and succeeds.
    let writer = file("freeze fork").share().unwrap();
    let _child = Forked::start(Duration::from_millis(300));
    let sealed = writer.into_mem_file().into_sealed_timeout(Duration::from_secs(60)).unwrap();
    assert!(sealed.as_mem_file().get_seals().unwrap().contains(Seals::IMMUTABLE));
    channel.send(b'o', &[]);
}

/// A shared map through a writable descriptor would count as a writer, so a view reopens the file.
#[test]
fn a_view_does_not_count_as_a_writer() {
    if noexec::leaves_no_choice() {
        return;
    }
    let file = file("freeze view");
    file.add_seals(Seals::FIXED_SIZE).unwrap();
    let view = SharedView::map(&file, memfile::Holes::Accept).unwrap();
    file.write_all_at(b"sealed below a view", 0).unwrap();
    let sealed = file.into_sealed().unwrap();
    let mut bytes = [0; 6];
    view.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!((&bytes, &sealed.map().unwrap()[..6]), (b"sealed", &b"sealed"[..]));
}

/// A file that several peers can map for writing, but none can resize.
#[test]
fn a_fixed_size_for_many_writers() {
    if noexec::leaves_no_choice() {
        return;
    }
    let map = SharedMap::create_fixed_size("fixed", LEN).unwrap();
    let seals = map.as_mem_file().get_seals().unwrap();
    assert!(seals.contains(Seals::FIXED_SIZE));
    assert!(!seals.intersects(Seals::from(Seal::FutureWrite) | Seal::Write | Seal::Seal));
    assert_eq!(map.len() as u64, LEN);
    let blocks = rustix::fs::fstat(map.as_fd()).unwrap().st_blocks;
    assert!(u64::try_from(blocks).unwrap() * 512 >= LEN, "it is not allocated");

    // Maps it as libwayland maps a pool, and then as another writer does with this crate.
    let readable = map.as_mem_file().reopen_read_only().unwrap();
    let exclusive = SharedMap::create("fixed", LEN).unwrap();
    let access = ProtFlags::READ | ProtFlags::WRITE;
    for (fd, expected) in
        [(map.as_fd(), Ok(())), (readable.as_fd(), Err(Errno::ACCESS)), (exclusive.as_fd(), Err(Errno::PERM))]
    {
        // SAFETY: The kernel chooses the address.
        let base = unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, access, MapFlags::SHARED, fd, 0) };
        assert_eq!(base.map(drop), expected);
        if let Ok(base) = base {
            // SAFETY: Nothing uses the mapping.
            unsafe { rustix::mm::munmap(base, 4096) }.unwrap();
        }
    }
    let other = SharedMap::try_from(map.as_mem_file().try_clone().unwrap()).unwrap();
    other.write_all_at(b"other", 5).unwrap();
    let mut bytes = [0; 5];
    map.read_exact_at(&mut bytes, 5).unwrap();
    assert_eq!(&bytes, b"other");
    let sealed = "ftruncate: EPERM: a seal forbids this change: put the data into a new file";
    refused(map.as_mem_file().set_len(LEN + 1), EPERM, sealed);
    refused(map.as_mem_file().set_len(LEN - 1), EPERM, sealed);
    refused(SharedMap::create_fixed_size("a\0b", LEN), None, "the name contains a NUL byte");
}
