//! A hostile peer does all it can to change the bytes of a file, or to crash the process that reads
//! them.

use std::fs::OpenOptions;
use std::io::{Write, stderr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

use memfile::{Error, Holes, Map, MapOptions, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView};
use rustix::fs::{FallocateFlags, Mode, OFlags, SealFlags};
use rustix::io::Result;
use rustix::mm::{Advice, MapFlags, MprotectFlags, MremapFlags, ProtFlags};
use rustix::pipe::SpliceFlags;

use super::forged;
use crate::support::noexec;
use crate::support::peer::{Channel, Peer};
use crate::support::skip::skip;

const LEN: usize = 3 * 65_536 + 100;
const TIME: Duration = Duration::from_secs(3);

/// The FNV-1a hash.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[derive(Default)]
struct Rounds {
    proven: u64,
    unproven: u64,
    busy: u64,
    bytes: u64,
}

/// A file that the peer receives before it is sealed. The peer may add seals too, at any time.
/// Whether the file can be proven depends on which seals it adds.
fn victim(round: u64) -> MemFile {
    let options = memfile::CreateOptions::new().allow_sealing(true);
    let exec = noexec::policies().cycle().nth(round as usize).unwrap();
    let file = options.exec(exec).create("hostile").unwrap();
    file.write_all_at(&[0x41; LEN], 0).unwrap();
    file
}

#[test]
fn nothing_changes() {
    let Some(peer) = Peer::start(|channel| {
        attack(channel);
    }) else {
        return;
    };
    let mut rounds = Rounds::default();
    let start = Instant::now();
    let mut round = 0;
    // 12 rounds use each exec policy and each way of receiving.
    let is_enough = |round: u64, proven: u64| match start.elapsed() {
        // A slow machine needs longer until a file is proven in spite of the peer.
        elapsed if elapsed < 10 * TIME => elapsed >= TIME && round >= 12 && proven > 0,
        _ => true,
    };
    while !is_enough(round, rounds.proven) {
        round += 1;
        let file = victim(round);
        let read_only = file.reopen_read_only().unwrap();
        peer.channel().send(b'f', &[file.as_fd(), read_only.as_fd()]);
        // The peer has made its mappings and begins to attack.
        peer.channel().expect(b'm');
        for holes in [Holes::Refuse, Holes::Allocate, Holes::Populate, Holes::Accept].repeat(2) {
            let fd = OwnedFd::from(file.try_clone().unwrap());
            // In turns as a receiver that only verifies, and as one that seals. Each does so with every
            // exec policy, of which there are four.
            let result = if round / 4 % 2 == 0 {
                SealedFile::options().holes(holes).verify(fd)
            } else {
                SealedFile::options().holes(holes).seal(fd)
            };
            match result {
                Ok(sealed) => {
                    rounds.proven += 1;
                    rounds.bytes += look_twice(&sealed);
                }
                Err(error) if error.error().is_busy() => rounds.busy += 1,
                Err(error) => {
                    assert!(a_peer_can_cause(error.error()), "{}", error.error());
                    rounds.unproven += 1;
                }
            }
        }
        shared(&file, &read_only);
        peer.channel().send(b's', &[]);
        peer.channel().expect(b'd');
        // The peer has dropped the file. It never adds Seal, so the file can still be sealed.
        match SealedFile::options().holes(Holes::Allocate).seal(file) {
            Ok(sealed) => rounds.bytes += look_twice(&sealed),
            Err(error) => assert_eq!(Some(error.to_string().as_str()), forged::objection()),
        }
    }
    assert!(!peer.channel().is_over(), "the peer has ended early");
    // Written directly to stderr, because the harness captures `eprintln!`.
    writeln!(
        stderr(),
        "hostile: {round} files, {} proofs, {} refused, {} busy, {} bytes read twice",
        rounds.proven,
        rounds.unproven,
        rounds.busy,
        rounds.bytes
    )
    .unwrap();
    assert!(rounds.bytes > 0);
    if rounds.proven == 0 {
        skip(format_args!("while the peer attacked, none of {round} files was proven"));
    }
}

/// Maps the file in all ways, and reads each byte twice.
fn look_twice(sealed: &SealedFile) -> u64 {
    let len = sealed.len();
    let whole = sealed.map_with(.., MapOptions::new().populate(true).huge_pages(true)).unwrap();
    let part = sealed.map_range(len / 3..).unwrap();
    let copy = sealed.map_copy_on_write().unwrap();
    let first: Vec<u8> = whole.to_vec();
    let before = sum(&whole);
    std::thread::yield_now();
    let check = |map: &Map, bytes: &[u8]| assert!(**map == *bytes, "the bytes have changed");
    check(&whole, &first);
    check(&part, &first[len as usize / 3..]);
    assert!(*copy == first);
    assert_eq!(sum(&whole), before, "the bytes have changed");
    len
}

/// Errors that a peer can cause: the file is not proven, or the peer sealed it.
fn a_peer_can_cause(error: &Error) -> bool {
    error.is_unproven() || error.raw_os_error() == Some(libc::EPERM)
}

/// A shared map, whose bytes the peer may change: all that matters is that it is readable to its end.
fn shared(file: &MemFile, read_only: &MemFile) {
    if !file.get_seals().unwrap().contains(Seal::Shrink) {
        return;
    }
    let mut bytes = vec![0; LEN];
    if let Ok(view) = SharedView::map(read_only, Holes::Accept) {
        let len = view.len().min(LEN);
        view.read_exact_at(&mut bytes[..len], view.len() - len).unwrap();
        if len > 0 {
            let _ = view.atomic::<u8>(len - 1).unwrap().load(std::sync::atomic::Ordering::Acquire);
        }
    }
    if let Ok(map) = SharedMap::map(file.try_clone().unwrap(), Holes::Accept) {
        let len = map.len().min(LEN);
        map.write_all_at(&bytes[..len], 0).unwrap();
        if len > 0 {
            map.atomic::<u8>(len - 1).unwrap().fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        }
    }
}

/// The peer: receives a file, maps it in every way that it can, and attacks it until told to stop.
fn attack(channel: &Channel) {
    let mut round = 0_u32;
    while let Some((b'f', fds)) = channel.receive() {
        round += 1;
        let [writer, reader] = <[OwnedFd; 2]>::try_from(fds).unwrap();
        let again = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
            .map_or_else(|_| writer.try_clone().unwrap(), OwnedFd::from);
        let mut maps = Mappings::default();
        for (fd, access) in [
            (writer.as_fd(), ProtFlags::READ | ProtFlags::WRITE),
            (writer.as_fd(), ProtFlags::READ),
            (reader.as_fd(), ProtFlags::READ),
            (again.as_fd(), ProtFlags::empty()),
        ] {
            // The kernel may refuse some of these, depending on the seals.
            let _ = maps.add(fd, access, MapFlags::SHARED);
        }
        maps.add(writer.as_fd(), ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).unwrap();
        channel.send(b'm', &[]);
        let mut step = round;
        while !channel.is_over() {
            step = step.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            strike(step >> 8, writer.as_fd(), again.as_fd(), &mut maps);
        }
        drop((maps, again, reader, writer));
        channel.send(b'd', &[]);
    }
}

/// Makes one attack, chosen by `step`. It may fail: what matters is what the other process sees.
#[allow(clippy::let_underscore_must_use, reason = "an attack may fail")]
fn strike(step: u32, writer: BorrowedFd<'_>, again: BorrowedFd<'_>, maps: &mut Mappings) {
    let dark = step >> 5;
    let amount = u64::from(dark) % (2 * LEN as u64);
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let seal = |fd: BorrowedFd<'_>, bits| rustix::fs::fcntl_add_seals(fd, SealFlags::from_bits_retain(bits));
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    let _ = match step % 16 {
        0 => rustix::fs::ftruncate(writer, amount),
        1 => rustix::fs::ftruncate(again, LEN as u64),
        2 => rustix::io::pwrite(writer, &[step.to_le_bytes()[0]; 512], amount).map(drop),
        3 => rustix::fs::fallocate(again, punch, amount & !4095, 65_536),
        4 => rustix::fs::fallocate(writer, FallocateFlags::KEEP_SIZE, amount, 4096),
        5 => rustix::fs::fallocate(writer, FallocateFlags::ZERO_RANGE, amount, 4096),
        6 => seal(writer, 1 << (1 + dark % 5)),
        7 => seal(again, if dark % 8 == 0 { dark >> 3 & 0x3e } else { 0 }),
        8 => rustix::fs::fchmod(writer, Mode::from_raw_mode(0o600 | (dark & 0o177))),
        9 => rustix::fs::open(path, OFlags::WRONLY | OFlags::TRUNC, Mode::empty()).map(drop),
        10 => maps.protect(),
        11 => maps.copy(),
        12 => maps.remove(),
        13 if dark % 8 == 0 => maps.clear(),
        14 => maps.add(again, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
        _ => maps.write(writer, step.to_le_bytes()[0]),
    };
}

/// The addresses and lengths of the peer's mappings.
#[derive(Default)]
struct Mappings(Vec<(*mut libc::c_void, usize)>);

impl Mappings {
    /// Whether there is room for one more.
    fn has_room(&self) -> bool {
        self.0.len() <= 16
    }

    fn add(&mut self, fd: BorrowedFd<'_>, access: ProtFlags, flags: MapFlags) -> Result<()> {
        if self.has_room() {
            // SAFETY: The kernel chooses the address.
            self.0.push((unsafe { rustix::mm::mmap(ptr::null_mut(), LEN, access, flags, fd, 0) }?, LEN));
        }
        Ok(())
    }

    /// Writes through each mapping with `read(2)`, so that a page that cannot be written causes
    /// EFAULT instead of a signal. Also puts a page into a pipe, which can prevent the Write seal.
    fn write(&self, file: BorrowedFd<'_>, byte: u8) -> Result<()> {
        let (read, write) = rustix::pipe::pipe()?;
        for &(base, len) in &self.0 {
            for offset in [0, 4096, len / 2, len - 1] {
                rustix::io::write(&write, &[byte])?;
                // SAFETY: The address lies in a mapping that nothing refers to, and the kernel
                // checks the access.
                let address = unsafe { base.byte_add(offset) };
                // SAFETY: As before.
                if unsafe { libc::read(read.as_raw_fd(), address, 1) } < 1 {
                    rustix::io::read(&read, &mut [0])?;
                }
            }
        }
        rustix::pipe::splice(file, Some(&mut 0), &write, None, 4096, SpliceFlags::NONBLOCK).map(drop)
    }

    fn protect(&self) -> Result<()> {
        self.0.iter().try_for_each(|&(base, len)| {
            // SAFETY: The mapping belongs to this process, and nothing refers to it.
            unsafe { rustix::mm::mprotect(base, len, MprotectFlags::READ | MprotectFlags::WRITE) }
        })
    }

    /// Makes more mappings of the same pages: `mremap` with length 0 duplicates a shared mapping.
    fn copy(&mut self) -> Result<()> {
        for (base, len) in self.0.clone() {
            if self.has_room() {
                // SAFETY: As before.
                self.0.push((unsafe { rustix::mm::mremap(base, 0, len, MremapFlags::MAYMOVE) }?, len));
            }
        }
        Ok(())
    }

    fn remove(&self) -> Result<()> {
        self.0.iter().try_for_each(|&(base, len)| {
            // SAFETY: As before.
            unsafe { rustix::mm::madvise(base, len.min(65_536), Advice::LinuxRemove) }
        })
    }

    fn clear(&mut self) -> Result<()> {
        self.0.drain(..).try_for_each(|(base, len)| {
            // SAFETY: As before, and it is no longer in the list.
            unsafe { rustix::mm::munmap(base, len) }
        })
    }
}

impl Drop for Mappings {
    fn drop(&mut self) {
        self.clear().unwrap();
    }
}

/// If the file is sealed before it is sent, the peer's attacks come too late, and it is always
/// proven.
#[test]
fn sealed_before_it_is_sent() {
    let Some(peer) = Peer::start(|channel| {
        attack(channel);
    }) else {
        return;
    };
    let file = victim(1);
    file.add_seals(Seals::IMMUTABLE).unwrap();
    peer.channel().send(b'f', &[file.as_fd(), file.reopen_read_only().unwrap().as_fd()]);
    peer.channel().expect(b'm');
    let sealed = SealedFile::try_from(file).unwrap();
    for _ in 0..200 {
        look_twice(&sealed);
    }
    let map = sealed.map().unwrap();
    assert!(map.len() == LEN && map.iter().all(|&byte| byte == 0x41));
}
