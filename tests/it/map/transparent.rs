//! Maps with transparent huge pages, of files that were built with them and of others.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use memfile::kernel::Feature;
use memfile::{Cause, Holes, MapOptions, MemFile, SealedFile};

use crate::support::huge::{
    Aligned, MADV_COLLAPSE, POLICY, SIZE_IN_SYS, Setting, affordable_page, collapses, under_each_policy,
};
use crate::support::peer::{Channel, Peer};
use crate::support::proc_self::{allocated, mappings, smaps};
use crate::support::{child, pattern, seccomp, skip};

const NAME: &str = "transparent";
const HUGE: MapOptions = MapOptions::new().huge_pages(true);

/// The bytes are the same under every policy. A kernel that has MADV_COLLAPSE uses huge pages under
/// every policy but `deny`.
#[test]
fn transparent() {
    // Alone, because the smaps of a busy process is long.
    child::alone(|| under_each_policy(the_same_bytes));
}

fn the_same_bytes(value: &str, page: usize) {
    let shared = !skip::lacks(Feature::MapSealedShared);
    let collapses = collapses();
    for len in [1, page - 1, page, 2 * page + page / 2 + 3] {
        let bytes = pattern(len);
        let huge = SealedFile::options().huge_pages(true);
        let options = MapOptions::new().huge_pages(true).populate(true);
        let files = [
            huge.from_bytes(NAME, &bytes).unwrap(),
            huge.create_with(NAME, len, |target| target.copy_from_slice(&bytes)).unwrap(),
            SealedFile::from_bytes(NAME, &bytes).unwrap(),
        ];
        for (i, file) in files.iter().enumerate() {
            assert_eq!((file.len(), file.as_mem_file().len().unwrap()), (len as u64, len as u64));
            let without = if collapses { 0 } else { mapped_without_the_crate(file) };
            let map = file.map_with(.., options).unwrap();
            assert!(*map == bytes, "{value}, {len}, {i}");
            let by_huge_pages = smaps(NAME, "ShmemPmdMapped") as usize * 1024;
            let whole = len - len % page;
            match value {
                // A private map has ordinary pages only.
                "never" if collapses && shared => assert_eq!(by_huge_pages, whole, "{len}, {i}"),
                "advise" | "within_size" | "always" | "force" if collapses && shared => {
                    assert!(by_huge_pages >= whole, "{value}, {len}, {i}");
                }
                "advise" if shared && len > 2 * page => {
                    assert_eq!(by_huge_pages, without, "{len}, {i}");
                }
                "never" | "deny" => assert_eq!(by_huge_pages, 0, "{len}, {i}"),
                _ => {}
            }
            drop(map);
            // Under the policy `always`, `st_blksize` is 2 MiB even for a short file. A receiver
            // must not take that for the size of hugetlbfs pages.
            let received = SealedFile::try_from(OwnedFd::from(file.try_clone().unwrap())).unwrap();
            for start in [0, 1, len as u64 / 2, len as u64 - 1] {
                let part = received.map_with(start.., options).unwrap();
                assert!(*part == bytes[start as usize..], "{value}, {len}, {i}, {start}");
            }
            assert!(mappings(NAME).is_empty());
        }
    }
}

/// How many bytes the kernel maps with huge pages if it chooses the address and is advised to.
fn mapped_without_the_crate(file: &SealedFile) -> usize {
    // SAFETY: The file is sealed.
    let map = unsafe { memmap2::Mmap::map(&file.reopen_read_only().unwrap()) }.unwrap();
    // Fails on a kernel without huge pages for memory files, which then maps none.
    let _ = map.advise(memmap2::Advice::HugePage);
    map.iter().step_by(4096).for_each(|byte| _ = std::hint::black_box(*byte));
    smaps(NAME, "ShmemPmdMapped") as usize * 1024
}

/// Any range of a file that was built of ordinary pages can be mapped, with every other option.
#[test]
fn ranges() {
    let Some(page) = affordable_page() else { return };
    let len = 2 * page + 5000;
    let bytes = pattern(len);
    let places = [0, 1, 4097, page - 1, page, page + 1, 2 * page - 5, 2 * page, 2 * page + 1, len - 1, len];
    for options in [HUGE, HUGE.populate(true), HUGE.lock(true), HUGE.populate(true).lock(true)] {
        let sender = SealedFile::from_bytes("transparent ranges", &bytes).unwrap();
        let through = [sender.try_clone().unwrap(), sender.reopen_read_only().unwrap()];
        for (received, start) in through.iter().flat_map(|file| places.map(|start| (file, start))) {
            for end in places.into_iter().filter(|&end| end >= start) {
                let range = start as u64..end as u64;
                let map = match received.map_with(range.clone(), options) {
                    // More than RLIMIT_MEMLOCK allows.
                    Err(error) if error.cause() == Cause::OutOfMemory => continue,
                    result => result.unwrap(),
                };
                assert!(*map == bytes[start..end], "{range:?}, {options:?}");
                let mut copy = received.map_copy_on_write_with(range.clone(), HUGE).unwrap();
                assert!(*copy == bytes[start..end], "{range:?}");
                if let [first, ..] = &mut *copy {
                    *first ^= 1;
                    assert_eq!(map[0], bytes[start], "a write to the copy has changed the file");
                }
            }
        }
    }
    assert!(mappings("transparent ranges").is_empty());
}

/// Changes in a copy-on-write map appear neither in the file nor in later maps.
#[test]
fn copies_on_write() {
    let Some(page) = affordable_page() else { return };
    let bytes = pattern(2 * page + 5000);
    for builder in [SealedFile::options(), SealedFile::options().huge_pages(true)] {
        let file = builder.from_bytes(NAME, &bytes).unwrap();
        let map = file.map_with(.., HUGE).unwrap();
        let mut copies = [1, 2].map(|_| file.map_copy_on_write_with(.., HUGE).unwrap());
        for (copy, byte) in copies.iter_mut().zip([0xf1, 0xf2]) {
            assert!(**copy == bytes);
            copy[page - 10..page + 10].fill(byte);
            copy[2 * page..].fill(byte);
        }
        for (copy, byte) in copies.iter().zip([0xf1, 0xf2]) {
            let mut expected = bytes.clone();
            expected[page - 10..page + 10].fill(byte);
            expected[2 * page..].fill(byte);
            assert!(**copy == expected);
        }
        assert!(*map == bytes && *file.map_with(.., HUGE).unwrap() == bytes);
    }
}

/// Holes that were accepted read as zeros, and so does a hole within a huge page.
#[test]
fn holes() {
    let Some(page) = affordable_page() else { return };
    let file = || MemFile::create_sealable(NAME).unwrap();
    let empty = file();
    empty.set_len(2 * page as u64 + 5000).unwrap();
    let half = file();
    half.set_len(3 * page as u64 + 5000).unwrap();
    half.write_all_at(&pattern(page), page as u64 / 2).unwrap();
    for (file, data) in [(empty, 0..0), (half, page / 2..page / 2 + page)] {
        let sealed = SealedFile::options().holes(Holes::Accept).seal(file).unwrap();
        let mut expected = vec![0; sealed.len() as usize];
        expected[data.clone()].copy_from_slice(&pattern(data.len()));
        for options in [HUGE, HUGE.populate(true)] {
            assert!(*sealed.map_with(.., options).unwrap() == expected, "{data:?}, {options:?}");
            assert!(*sealed.map_copy_on_write_with(.., options).unwrap() == expected, "{data:?}, {options:?}");
        }
    }
}

/// The sender chooses the length of a file, so mapping it must not allocate memory for its holes.
/// Only reading them does.
#[test]
fn holes_take_no_memory() {
    child::alone(|| {
        let Some(page) = affordable_page() else { return };
        // Under the other policies, the first byte of a huge page allocates it whole.
        let Some(policy) = Setting::take(POLICY) else { return };
        policy.set("never").unwrap();
        let file = MemFile::create_sealable(NAME).unwrap();
        file.set_len(8 * page as u64).unwrap();
        file.write_all_at(b"all there is", 0).unwrap();
        let sealed = SealedFile::options().holes(Holes::Accept).seal(file).unwrap();
        let before = allocated(&sealed);
        let maps = (sealed.map_with(.., HUGE).unwrap(), sealed.map_copy_on_write_with(.., HUGE).unwrap());
        assert_eq!(allocated(&sealed), before);
        assert!(maps.0.starts_with(b"all there is") && maps.1[8 * page - 1] == 0);
    });
}

/// Huge pages stay dirty, whichever process collapsed them, so another process that maps the file
/// cannot make the kernel drop them.
#[test]
fn a_peer_cannot_drop_the_pages() {
    let peer = Peer::start(|channel| {
        let page = affordable_page().unwrap();
        while let Some((b'f', fds)) = channel.receive() {
            let map = Aligned::map(&fds[0], page);
            map.touch(page);
            // The kernel may refuse this for a page that is in use.
            let _ = map.advise(2 * page, libc::MADV_PAGEOUT);
            channel.send(b'd', &[]);
        }
    });
    let (Some(peer), Some(page)) = (peer, affordable_page()) else { return };
    let bytes = pattern(2 * page);
    let made = SealedFile::options().huge_pages(true).from_bytes(NAME, &bytes).unwrap();
    let collapsed = SealedFile::from_bytes(NAME, &bytes).unwrap();
    drop(collapsed.map_with(.., HUGE).unwrap());
    let drafted = SealedFile::options().huge_pages(true).create_with(NAME, 2 * page, |_| ()).unwrap();
    for (file, bytes) in [(made, &bytes), (collapsed, &bytes), (drafted, &vec![0; 2 * page])] {
        peer.channel().send(b'f', &[file.reopen_read_only().unwrap().as_fd()]);
        peer.channel().expect(b'd');
        assert_eq!(allocated(&file), 2 * page as u64);
        assert!(*file.map().unwrap() == *bytes);
    }
}

/// While another process collapses pages of the file, it holds references to them. At worst,
/// sealing fails with EBUSY, and `into_sealed_timeout` succeeds.
#[test]
fn sealed_while_a_peer_collapses() {
    fn collapse(channel: &Channel) {
        let page = affordable_page().unwrap();
        while let Some((b'f', fds)) = channel.receive() {
            let map = Aligned::map(&fds[0], page);
            channel.send(b's', &[]);
            for _ in 0..20 {
                // May fail, because the other process seals the file meanwhile.
                let _ = map.advise(2 * page, MADV_COLLAPSE);
            }
            channel.send(b'd', &[]);
        }
    }
    let peer = Peer::start(|channel| {
        collapse(channel);
    });
    let (Some(peer), Some(page)) = (peer, affordable_page()) else { return };
    let bytes = pattern(2 * page);
    for _ in 0..10 {
        let file = MemFile::create_sealable(NAME).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        peer.channel().send(b'f', &[file.reopen_read_only().unwrap().as_fd()]);
        peer.channel().expect(b's');
        let sealed = file.into_sealed().or_else(|error| {
            assert_eq!((error.error().raw_os_error(), error.error().is_busy()), (Some(libc::EBUSY), true));
            error.into_inner().into_sealed_timeout(Duration::from_secs(60))
        });
        let sealed = sealed.unwrap();
        peer.channel().expect(b'd');
        assert!(*sealed.map().unwrap() == bytes);
    }
}

/// The crate reads the size of a huge page from `/sys`. Here it is a size that no processor has.
#[test]
fn the_size_comes_from_sys() {
    const SIZE: usize = 1 << 30;
    child::alone_through(&["unshare", "--mount"], || {
        let sparse = |len: usize| {
            let file = MemFile::create_sealable(NAME).unwrap();
            file.set_len(len as u64).unwrap();
            SealedFile::options().holes(Holes::Accept).seal(file).unwrap()
        };
        let said = tempfile::NamedTempFile::new().unwrap();
        if let Err(error) = rustix::mount::mount_bind(said.path(), SIZE_IN_SYS) {
            return skip::skip(format_args!("mount: {error}"));
        }
        std::fs::write(said.path(), format!("{SIZE}\n")).unwrap();
        let long = sparse(SIZE + 5);
        let maps = (long.map_with(.., HUGE).unwrap(), long.map_with(.., HUGE).unwrap());
        assert_eq!((maps.0.as_ptr().addr() % SIZE, maps.1.as_ptr().addr() % SIZE), (0, 0));
        drop(maps);
        // The size is read once and remembered.
        std::fs::write(said.path(), "65536").unwrap();
        assert_eq!(long.map_with(.., HUGE).unwrap().as_ptr().addr() % SIZE, 0);
    });
}

/// A file that is shorter than any huge page is mapped without reading their size from `/sys`.
#[test]
fn short_files_do_not_read_sys() {
    seccomp::alone(|| {
        let short = SealedFile::from_bytes(NAME, b"short").unwrap();
        seccomp::always("open", seccomp::Action::KillProcess);
        assert_eq!(*short.map_with(.., HUGE).unwrap(), *b"short");
    });
}
