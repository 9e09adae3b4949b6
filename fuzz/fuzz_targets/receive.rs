//! A peer sends what the fuzzer chooses: any number of descriptors of all kinds in any message,
//! including files with any seals, lengths and holes. Receiving must leak no descriptor and accept
//! only constant files.
#![no_main]

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use libfuzzer_sys::fuzz_target;
use memfile::{CreateOptions, Exec, Holes, MemFile, SealedFile, Seals, SharedView, socket};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// A descriptor of some kind.
fn descriptor(kind: u8, seals: u8, len: u8) -> OwnedFd {
    let options = CreateOptions::new().allow_sealing(true);
    let file = match kind % 8 {
        0 => return File::open("/dev/null").unwrap().into(),
        1 => return UnixStream::pair().unwrap().0.into(),
        2 => options.exec(Exec::Allow).create("fuzz").unwrap(),
        3 => options.exec(Exec::DenyUnsealed).create("fuzz").unwrap(),
        _ => options.create("fuzz").unwrap(),
    };
    let len = u64::from(len) * 100;
    match kind / 8 % 3 {
        0 => file.write_all_at(&vec![kind; len as usize], 0).unwrap(),
        1 => file.set_len(len).unwrap(),
        _ => file.allocate(len, 1).unwrap(),
    }
    let _ = file.add_seals(Seals::from_bits_retain(u32::from(seals) & 0x3f));
    match kind / 32 {
        0 => file.reopen_read_only().unwrap().into_fd(),
        _ => file.into_fd(),
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fuzz_target!(|data: &[u8]| {
    let before = descriptors();
    exchange(data);
    assert_eq!(descriptors(), before, "descriptors leaked");
});

fn exchange(data: &[u8]) {
    let [kind, slots, room, rest @ ..] = data else { return };
    let kinds = [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET];
    let kind = kinds[usize::from(kind % 3)];
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
    let mut steps = rest.chunks_exact(3);
    while let Some(&[count, payload, _]) = steps.next() {
        let sent: Vec<OwnedFd> =
            steps.by_ref().take(usize::from(count % 5)).map(|step| descriptor(step[0], step[1], step[2])).collect();
        let borrowed: Vec<_> = sent.iter().map(AsFd::as_fd).collect();
        let _ = socket::send(&ours, &vec![b'x'; usize::from(payload)], &borrowed);
    }
    drop(ours);
    let mut buffer = vec![0; usize::from(room % 64) + 1];
    for _ in 0..64 {
        if slots % 2 == 0 {
            match SealedFile::recv(&theirs, &mut buffer) {
                Ok((_, file)) => check(file),
                Err(error) if error.is_closed_by_peer() || error.raw_os_error() == Some(libc::EAGAIN) => return,
                Err(_) => {}
            }
            continue;
        }
        let mut fds: Vec<Option<OwnedFd>> = (0..slots % 8).map(|_| None).collect();
        match socket::recv(&theirs, &mut buffer, &mut fds) {
            Ok(received) if received.bytes == 0 && received.fds == 0 => return,
            Ok(received) => assert_eq!(received.fds, fds.iter().flatten().count()),
            Err(error) => {
                assert!(fds.iter().all(Option::is_none), "received descriptors despite the error");
                if error.raw_os_error().is_some() {
                    return;
                }
            }
        }
        for (fd, holes) in
            fds.into_iter().flatten().zip([Holes::Refuse, Holes::Allocate, Holes::Populate].into_iter().cycle())
        {
            let _ = SharedView::map(&fd, holes).map(|view| view.read_exact_at(&mut [0; 8], 0));
            match SealedFile::options().holes(holes).verify(fd) {
                Ok(file) => check(file),
                Err(error) => drop(MemFile::from_fd(error.into_fd())),
            }
        }
    }
}

/// Checks that an accepted file has the seals, and that writing to it fails.
fn check(file: SealedFile) {
    let (map, before) = (file.map().unwrap(), file.map().unwrap().to_vec());
    assert!(file.get_seals().unwrap().contains(Seals::CONSTANT));
    assert!(file.as_mem_file().write_at(b"!", 0).is_err() || file.is_empty());
    assert!(file.as_mem_file().set_len(0).is_err() || file.is_empty());
    assert_eq!(map[..], before[..]);
}
