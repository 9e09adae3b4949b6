//! Growing a file while it is shared, and maps that follow its length.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use libc::{EFBIG, ENOMEM, ENOSPC, EPERM};
use memfile::{Cause, CreateOptions, Holes, HugeTlb, MemFile, Seal, SharedMap, SharedView};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::check::{MISSING_SHRINK, NO_ADDRESS_SPACE, NO_MEMORY, SEALED_FUTURE_WRITE, refused, too_long};
use crate::support::peer::Peer;
use crate::support::proc_self::{allocated, mappings};
use crate::support::{BEYOND_A_HUGE_PAGE, child, huge, page, seccomp};

/// A map of a file that can grow but not shrink.
fn growing(name: &str, len: u64) -> SharedMap {
    let file = MemFile::create_sealable(name).unwrap();
    file.set_len(len).unwrap();
    file.add_seal(Seal::Shrink).unwrap();
    SharedMap::try_from(file).unwrap()
}

#[test]
fn grows_and_never_shrinks() {
    let mut map = growing("grow", 0);
    for len in [1, 100, 5000, 5001, 300_000] {
        map.grow(len).unwrap();
        assert_eq!((map.len() as u64, map.as_mem_file().len().unwrap()), (len, len));
        assert!(allocated(&map) >= len, "the new part is not allocated");
        let mut last = [9];
        map.read_exact_at(&mut last, len as usize - 1).unwrap();
        assert_eq!(last, [0]);
        map.write_all_at(&[7], len as usize - 1).unwrap();
        assert_eq!(mappings("grow").len(), 1, "the old map is gone");
    }
    let address = map.as_ptr();
    for len in [300_000, 299_999, 0] {
        map.grow(len).unwrap();
        assert_eq!((map.len(), map.as_mem_file().len().unwrap(), map.as_ptr()), (300_000, 300_000, address));
    }
    for place in [0, 99, 4999, 5000, 299_999] {
        assert_eq!(map.atomic::<u8>(place).unwrap().load(Relaxed), 7, "what was written is gone");
    }
    // If the file is already longer, only the map grows, to the requested length.
    map.as_mem_file().set_len(BEYOND_A_HUGE_PAGE).unwrap();
    map.grow(350_000).unwrap();
    assert_eq!((map.len(), map.as_mem_file().len().unwrap()), (350_000, BEYOND_A_HUGE_PAGE));
    assert!((350_000..BEYOND_A_HUGE_PAGE).contains(&allocated(&map)), "the rest of the file is not a hole");
    map.grow(map.as_mem_file().len().unwrap()).unwrap();
    assert_eq!(map.len() as u64, BEYOND_A_HUGE_PAGE);
}

/// Lengths of a map of a part count from the start of that part.
#[test]
fn a_part_grows() {
    let file = growing("grow part", 100).into_mem_file();
    let whole = SharedMap::try_from(file.try_clone().unwrap()).unwrap();
    let mut part = SharedMap::map_range(file.try_clone().unwrap(), 90..95, Holes::Refuse).unwrap();
    let mut view = SharedView::map_range(&file, 90..95, Holes::Refuse).unwrap();
    assert!(view.refresh(&file, Holes::Refuse).unwrap(), "the view has not grown");
    assert_eq!(view.len(), 10);
    part.grow(9).unwrap();
    assert_eq!((part.len(), file.len().unwrap()), (9, 100), "the file has grown, although the part lies within it");
    part.grow(5000).unwrap();
    assert_eq!((part.len(), file.len().unwrap()), (5000, 5090));
    whole.write_all_at(b"start", 90).unwrap();
    part.write_all_at(b"end", 4997).unwrap();
    assert!(view.refresh(&file, Holes::Refuse).unwrap());
    for (offset, expected) in [(0, &b"start"[..]), (4997, b"end")] {
        let mut bytes = vec![0; expected.len()];
        view.read_exact_at(&mut bytes, offset).unwrap();
        assert_eq!(bytes, expected);
    }
}

/// If growing fails, the map stays as it was, and the file keeps its length if possible.
#[test]
fn what_cannot_grow() {
    const SEALED: &str = "fallocate: EPERM: a seal forbids this change: put the data into a new file";
    let mut fixed = growing("grow sealed", 100);
    fixed.as_mem_file().add_seal(Seal::Grow).unwrap();
    assert_eq!(refused(fixed.grow(101), EPERM, SEALED).cause(), Cause::Sealed);
    fixed.grow(100).unwrap();
    let file = MemFile::create_sealable("grow sealed").unwrap();
    file.set_len(100).unwrap();
    let mut shared = file.share().unwrap();
    refused(shared.grow(101), EPERM, SEALED);

    let mut future = growing("grow sealed", 100);
    future.as_mem_file().add_seal(Seal::FutureWrite).unwrap();
    refused(future.grow(5000), EPERM, SEALED_FUTURE_WRITE);
    assert_eq!(
        (future.len(), future.as_mem_file().len().unwrap()),
        (100, 5000),
        "not as documented: only the file grows"
    );
    future.write_all_at(b"!", 99).unwrap();

    let mut long = growing("grow sealed", 100);
    for len in [u64::MAX, isize::MAX as u64 + 1] {
        refused(long.grow(len), None, &too_long(len));
    }
    assert_eq!((long.len(), long.as_mem_file().len().unwrap()), (100, 100));
}

#[test]
fn without_memory() {
    seccomp::alone(|| {
        let mut short = growing("grow short", 100);
        let mut unmapped = growing("grow unmapped", 100);
        std::thread::spawn(move || {
            seccomp::always("fallocate", seccomp::errno(ENOSPC));
            refused(short.grow(5000), ENOSPC, &format!("fallocate: ENOSPC: {NO_MEMORY}"));
            assert_eq!((short.len(), short.as_mem_file().len().unwrap()), (100, 100));
        })
        .join()
        .unwrap();
        let limit = getrlimit(Resource::As);
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let present = statm.split(' ').next().unwrap().parse::<u64>().unwrap() * page();
        setrlimit(Resource::As, Rlimit { current: Some(present + (16 << 20)), ..limit }).unwrap();
        refused(unmapped.grow(64 << 20), ENOMEM, &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}"));
        setrlimit(Resource::As, limit).unwrap();
        unmapped.write_all_at(b"!", 99).unwrap();
        assert_eq!(unmapped.len(), 100);
    });
}

#[test]
fn beyond_the_file_size_limit() {
    child::alone(|| {
        // SAFETY: No handler is installed.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let limit = getrlimit(Resource::Fsize);
        setrlimit(Resource::Fsize, Rlimit { current: Some(10_000), ..limit }).unwrap();
        let mut map = growing("grow limit", 100);
        let message = "fallocate: EFBIG: the file would exceed RLIMIT_FSIZE or the largest possible size";
        refused(map.grow(10_001), EFBIG, message);
        map.grow(10_000).unwrap();
        setrlimit(Resource::Fsize, limit).unwrap();
    });
}

/// A file of huge pages grows by whole pages: an unaligned length could not be corrected later.
#[test]
fn huge_pages() {
    let Some(_pool) = huge::Pool::of(3) else { return };
    let page = huge::page() as u64;
    let file = CreateOptions::new().allow_sealing(true).huge_tlb(HugeTlb::Default).create("grow huge").unwrap();
    file.set_len(page).unwrap();
    file.add_seal(Seal::Shrink).unwrap();
    let mut map = SharedMap::try_from(file).unwrap();
    let mut view = SharedView::map(&map, Holes::Refuse).unwrap();
    let message = "the length is not a multiple of the file's huge page size";
    refused(map.grow(page + 4096), None, message);
    assert_eq!((map.len() as u64, map.as_mem_file().len().unwrap()), (page, page));
    map.grow(2 * page).unwrap();
    map.atomic::<u32>(2 * page as usize - 4).unwrap().store(1, Relaxed);
    assert!(view.refresh(&map, Holes::Refuse).unwrap());
    assert_eq!(view.atomic::<u32>(2 * page as usize - 4).unwrap().load(Relaxed), 1);
    // `wait` and `wake` work in huge pages, too.
    assert!(!view.atomic::<u32>(4).unwrap().wait_timeout(0, std::time::Duration::from_millis(1)).unwrap());
    assert_eq!(map.atomic::<u32>(4).unwrap().wake_all().unwrap(), 0);
}

/// A view follows the length of its file when `refresh` is called with a descriptor of that file.
#[test]
fn a_view_follows() {
    let mut map = growing("grow view", 100);
    let reader = map.reader().unwrap();
    let mut view = SharedView::map(&reader, Holes::Refuse).unwrap();
    let address = view.as_ptr();
    assert!(!view.refresh(&reader, Holes::Refuse).unwrap(), "the view has changed");
    assert_eq!(view.as_ptr(), address);
    map.grow(5000).unwrap();
    map.write_all_at(b"new", 4990).unwrap();
    assert_eq!(view.len(), 100);
    assert!(view.refresh(&reader, Holes::Refuse).unwrap());
    assert_eq!(view.len(), 5000);
    let mut bytes = [0; 3];
    view.read_exact_at(&mut bytes, 4990).unwrap();
    assert_eq!(&bytes, b"new");

    // Setting only the length leaves a hole.
    map.as_mem_file().set_len(BEYOND_A_HUGE_PAGE).unwrap();
    let error = view.refresh(&reader, Holes::Refuse).unwrap_err();
    assert_eq!((error.cause(), view.len()), (Cause::Holes, 5000));
    assert!(view.refresh(map.as_mem_file(), Holes::Allocate).unwrap(), "the view has not grown");
    assert_eq!(view.len() as u64, BEYOND_A_HUGE_PAGE);

    let other = growing("grow view", 2 * BEYOND_A_HUGE_PAGE);
    refused(
        view.refresh(&other, Holes::Refuse),
        None,
        "the descriptor belongs to another file than the one that is mapped",
    );
    let unsealed = MemFile::create_sealable("grow view").unwrap();
    refused(view.refresh(&unsealed, Holes::Refuse), None, MISSING_SHRINK);
    view.read_exact_at(&mut bytes, 4990).unwrap();
    assert_eq!(&bytes, b"new", "the view has changed");
}

/// A writer in another process grows the file, and announces the new length in an integer in it.
#[test]
fn a_reader_in_another_process_follows() {
    const ROUNDS: u32 = 50;
    let Some(peer) = Peer::start(|channel| {
        let file = MemFile::from_fd(channel.expect(b'v').pop().unwrap()).unwrap();
        let mut view = SharedView::map(&file, Holes::Refuse).unwrap();
        let mut pages = 1;
        while pages < ROUNDS {
            let said = view.atomic::<u32>(0).unwrap();
            let now = said.load(Acquire);
            if now == pages {
                said.wait(now).unwrap();
                continue;
            }
            // The file may be longer than the writer has announced yet.
            view.refresh(&file, Holes::Refuse).unwrap();
            assert!(view.len() >= now as usize * 4096);
            pages = now;
            let last = view.atomic::<u32>(pages as usize * 4096 - 4).unwrap();
            assert_eq!(last.load(Relaxed), pages);
        }
    }) else {
        return;
    };
    let mut map = growing("grow peer", 4096);
    map.atomic::<u32>(0).unwrap().store(1, Release);
    peer.channel().send(b'v', &[std::os::fd::AsFd::as_fd(&map.reader().unwrap())]);
    for pages in 2..=ROUNDS {
        map.grow(u64::from(pages) * 4096).unwrap();
        map.atomic::<u32>(pages as usize * 4096 - 4).unwrap().store(pages, Relaxed);
        let said = map.atomic::<u32>(0).unwrap();
        said.store(pages, Release);
        said.wake_all().unwrap();
    }
    peer.finish();
}
