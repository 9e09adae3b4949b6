//! [`Draft`]: its bytes at every length, and its state after an error.

use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use memfile::kernel::Feature;
use memfile::{Cause, CreateOptions, Draft, Error, HugeTlb, SealedFile};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::look;
use crate::support::check::{BUSY, NO_ADDRESS_SPACE, NO_MEMORY, refused, too_long};
use crate::support::forked::Forked;
use crate::support::huge::{Pool, page};
use crate::support::pattern;
use crate::support::proc_self::{descriptors_of, inheritable, mappings};
use crate::support::skip::lacks;
use crate::support::{child, seccomp};

const MIB: usize = 1 << 20;

#[track_caller]
fn nothing_is_left(name: &str) {
    assert_eq!(descriptors_of(name), 0);
    assert!(mappings(name).is_empty());
}

/// After `set_len` a draft has its earlier bytes, up to the new length, and zeros after them.
#[test]
fn bytes_at_every_length() {
    for options in [SealedFile::options(), SealedFile::options().huge_pages(true)] {
        let mut draft = options.draft("draft bytes", 5000).unwrap();
        let mut model = vec![0; 5000];
        assert!(*draft == model, "a new draft is not zero");
        draft.copy_from_slice(&pattern(5000));
        model.copy_from_slice(&pattern(5000));
        for len in [5000, 4097, 10_000, 1, 4096, 0, 3, 5 * MIB + 3, 2 * MIB, 3 * MIB] {
            draft.set_len(len).unwrap();
            model.resize(len, 0);
            assert!(*draft == model && draft.as_ref() == model && draft.as_mut() == model, "{len}");
            let debug = format!("Draft {{ address: {:?}, len: {len} }}", draft.as_ptr());
            assert_eq!(format!("{draft:?}"), debug);
            if let Some(last) = draft.last_mut() {
                *last = 7;
                model[len - 1] = 7;
            }
            assert_eq!(mappings("draft bytes").len(), usize::from(len > 0), "earlier maps are left");
        }
        let sealed = draft.seal().unwrap();
        assert!(mappings("draft bytes").is_empty(), "the writable map is left");
        look(&sealed, &model);
    }
    nothing_is_left("draft bytes");
}

/// Even pages that are never written are allocated, so that neither the writer nor a reader runs
/// out of memory when it touches them.
#[test]
fn untouched_pages_are_allocated() {
    let mut draft = SealedFile::options().draft("draft untouched", 100_000).unwrap();
    draft.set_len(300_000).unwrap();
    look(&draft.seal().unwrap(), &vec![0; 300_000]);
}

#[test]
fn empty() {
    let draft = SealedFile::options().draft("draft empty", 0).unwrap();
    assert!(draft.is_empty());
    look(&draft.seal().unwrap(), b"");
    let mut draft = SealedFile::options().draft("draft empty", 0).unwrap();
    draft.set_len(5).unwrap();
    draft.copy_from_slice(b"grown");
    look(&draft.seal().unwrap(), b"grown");
}

#[test]
fn dropping_leaves_nothing() {
    let mut draft = SealedFile::options().draft("draft dropped", 5000).unwrap();
    draft.fill(1);
    assert_eq!((descriptors_of("draft dropped"), mappings("draft dropped").len()), (1, 1));
    drop(draft);
    nothing_is_left("draft dropped");
}

/// `set_len` refuses an impossible length, and leaves the draft unchanged.
#[test]
fn impossible_lengths() {
    let mut draft = SealedFile::options().draft("draft long", 5).unwrap();
    draft.copy_from_slice(b"short");
    for len in [usize::MAX, isize::MAX as usize + 1] {
        let error = refused(draft.set_len(len), None, &too_long(len as u64));
        assert_eq!(error.cause(), Cause::OutOfBounds);
        assert_eq!(&draft[..], b"short");
    }
    look(&draft.seal().unwrap(), b"short");
}

/// A draft of a page and a part of the next one.
fn patterned(name: &str) -> Draft {
    let mut draft = SealedFile::options().draft(name, 5000).unwrap();
    draft.copy_from_slice(&pattern(5000));
    draft
}

fn limit(resource: Resource, value: u64) {
    setrlimit(resource, Rlimit { current: Some(value), maximum: getrlimit(resource).maximum }).unwrap();
}

/// If `set_len` fails because of RLIMIT_FSIZE, the draft keeps its length and bytes, and can be
/// sealed.
#[test]
fn a_length_beyond_the_file_size_limit() {
    child::alone(|| {
        let mut draft = patterned("draft limit");
        // SAFETY: No handler is installed, and this process is the child of a test.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        limit(Resource::Fsize, 6000);
        const EFBIG: &str = "ftruncate: EFBIG: the file would exceed RLIMIT_FSIZE or the largest possible size";
        for len in [6001, MIB] {
            refused(draft.set_len(len), libc::EFBIG, EFBIG);
            assert!(*draft == pattern(5000), "{len}");
        }
        draft.set_len(6000).unwrap();
        draft.set_len(5000).unwrap();
        look(&draft.seal().unwrap(), &pattern(5000));
    });
}

/// A draft that cannot become longer for lack of address space keeps its bytes, and can be sealed
/// at its old length.
#[test]
fn a_length_without_address_space() {
    child::alone(|| {
        let mut draft = patterned("draft place");
        limit(Resource::As, 1 << 30);
        let message = format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
        for len in [2 << 30, 1100 << 20] {
            refused(draft.set_len(len), libc::ENOMEM, &message);
            assert!(*draft == pattern(5000));
        }
        // The failed calls left pages beyond the bytes unallocated, so this allocates from the end
        // of the bytes on.
        draft.set_len(10_000).unwrap();
        assert!(draft[..5000] == pattern(5000) && draft[5000..] == [0; 5000]);
        draft.set_len(5000).unwrap();
        look(&draft.seal().unwrap(), &pattern(5000));
    });
}

/// A filter simulates a lack of memory, as both old and new kernels report it.
#[test]
fn a_length_without_memory() {
    seccomp::alone(|| {
        let draft = patterned("draft memory");
        // A filter lasts as long as its thread, so it gets a thread of its own.
        let thread = thread::spawn(move || {
            let mut draft = draft;
            seccomp::on_bits("madvise", 2, 16, seccomp::errno(libc::EFAULT));
            seccomp::always("fallocate", seccomp::errno(libc::ENOSPC));
            let message = format!("fallocate: ENOSPC: {NO_MEMORY}");
            for len in [5001, 10_000, 3 * MIB] {
                refused(draft.set_len(len), libc::ENOSPC, &message);
                assert!(*draft == pattern(5000), "{len}");
            }
            draft
        });
        let mut draft = thread.join().unwrap();
        assert_eq!(mappings("draft memory").len(), 1);
        draft[0] = 7;
        let mut expected = pattern(5000);
        expected[0] = 7;
        look(&draft.seal().unwrap(), &expected);
    });
}

/// `seal` allocates missing pages before it adds a seal. If that fails, the draft comes back
/// writable, and can be sealed once there is memory.
#[test]
fn no_seal_is_added_where_memory_is_missing() {
    seccomp::alone(|| {
        let draft = patterned("draft unfilled");
        let thread = thread::spawn(move || {
            let mut draft = draft;
            seccomp::on_bits("madvise", 2, 16, seccomp::errno(libc::EFAULT));
            seccomp::always("fallocate", seccomp::errno(libc::ENOSPC));
            // The new pages cannot be allocated, and the file cannot be cut back to its old length.
            seccomp::on_values("ftruncate", 1, &[5000], seccomp::errno(libc::EIO));
            let message = format!("fallocate: ENOSPC: {NO_MEMORY}");
            refused(draft.set_len(20_000), libc::ENOSPC, &message);
            for _ in 0..2 {
                let (error, again) = draft.seal().unwrap_err().into_parts();
                refused(Err::<(), _>(error), libc::ENOSPC, &message);
                draft = again;
            }
            draft
        });
        let mut draft = thread.join().unwrap();
        draft.set_len(6000).unwrap();
        assert_eq!((draft[..5000] == pattern(5000), &draft[5000..]), (true, &[0; 1000][..]));
        draft[5999] = 1;
        assert_eq!(draft.seal().unwrap().map().unwrap()[5999], 1);
    });
}

/// What the caller's closure returns, or the crate's error converted to it.
#[derive(Debug, PartialEq)]
enum Failure {
    Own(u8),
    Crate(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Crate(error)
    }
}

#[test]
fn a_closure_that_fails_leaves_nothing() {
    for options in [SealedFile::options(), SealedFile::options().huge_pages(true)] {
        let result = options.try_create_with("draft failed", 3 * MIB, |bytes| {
            bytes.fill(1);
            assert_eq!((descriptors_of("draft failed"), mappings("draft failed").len()), (1, 1));
            Err(Failure::Own(9))
        });
        assert_eq!(result.unwrap_err(), Failure::Own(9));
        nothing_is_left("draft failed");
    }
    let result = SealedFile::options().try_create_with("draft failed", usize::MAX, |_| Err(Failure::Own(9)));
    let Failure::Crate(error) = result.unwrap_err() else { panic!("nothing to fill") };
    assert_eq!(error.to_string(), too_long(usize::MAX as u64));
    // The usual error type of a closure is `std::io::Error`.
    let fill = |bytes: &mut [u8]| std::io::Read::read_exact(&mut &b"short"[..], bytes);
    let error = SealedFile::options().try_create_with("draft failed", 6, fill).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    nothing_is_left("draft failed");
    look(&SealedFile::options().try_create_with("draft filled", 5, fill).unwrap(), b"short");
}

/// A program that another thread starts before the file is sealed must not inherit it, even if the
/// caller asked for an inheritable file.
#[test]
fn inheritable_only_once_sealed() {
    let options = SealedFile::options().create_options(CreateOptions::new().close_on_exec(false));
    let mut draft = options.draft("draft inherited", 5).unwrap();
    draft.set_len(5000).unwrap();
    assert_eq!((descriptors_of("draft inherited"), inheritable("draft inherited")), (1, 0));
    let sealed = draft.seal().unwrap();
    assert_eq!(inheritable("draft inherited"), 1);
    drop(sealed);
    let _sealed = SealedFile::options().draft("draft inherited", 5).unwrap().seal().unwrap();
    assert_eq!((descriptors_of("draft inherited"), inheritable("draft inherited")), (1, 0));
}

/// A forked child's copy of the map counts as a writer, so sealing fails. The draft comes back with
/// its bytes.
#[test]
fn a_forked_child() {
    child::alone(|| {
        let options = SealedFile::options().create_options(CreateOptions::new().close_on_exec(false));
        let mut draft: Draft = options.draft("draft forked", 5000).unwrap();
        draft.copy_from_slice(&pattern(5000));
        let child = Forked::start(Duration::MAX);
        for _ in 0..2 {
            let (error, again) = draft.seal().unwrap_err().into_parts();
            assert!(refused(Err::<(), _>(error), libc::EBUSY, BUSY).is_busy());
            draft = again;
            assert!(*draft == pattern(5000), "the draft has lost its bytes");
            assert_eq!(inheritable("draft forked"), 0, "inheritable before it is sealed");
        }
        draft[0] = 9;
        draft.set_len(5001).unwrap();
        drop(child);
        let sealed = draft.seal().unwrap();
        assert_eq!(inheritable("draft forked"), 1);
        let mut expected = pattern(5000);
        expected[0] = 9;
        expected.push(0);
        look(&sealed, &expected);
    });
}

/// Cutting a draft within a huge page leaves the whole page in the file. The bytes after the cut
/// must still be zero when the draft grows again.
#[test]
fn cut_bytes_of_huge_pages_do_not_come_back() {
    let Some(_pool) = Pool::of(2) else { return };
    let options = SealedFile::options().create_options(CreateOptions::new().huge_tlb(HugeTlb::Default));
    let page = page();
    for (cut, len) in [(5000, page), (1, 2 * page), (0, page), (page + 1, 2 * page), (page, page + 5), (4096, 5000)] {
        let mut draft = options.draft("draft cut", len).unwrap();
        draft.fill(7);
        draft.set_len(cut).unwrap();
        draft.set_len(len).unwrap();
        assert!(draft[..cut].iter().all(|&byte| byte == 7), "{cut} of {len}");
        assert!(draft[cut..].iter().all(|&byte| byte == 0), "{cut} of {len}");
        draft.set_len(cut).unwrap();
        let sealed = SealedFile::try_from(draft.seal().unwrap().into_fd()).unwrap();
        let map = sealed.map().unwrap();
        assert!(map[cut..].iter().all(|&byte| byte == 0), "a receiver, {cut} of {len}");
    }
}

/// The draft clears the rest of the page through its map. If an earlier error left it without a
/// map, it is mapped again before it is cut.
#[test]
fn a_cut_clears_huge_pages_that_were_not_mapped() {
    child::alone(|| {
        let Some(_pool) = Pool::of(2) else { return };
        let options = SealedFile::options().create_options(CreateOptions::new().huge_tlb(HugeTlb::Default));
        // Nothing can be allocated under the limit, so the size is read before.
        let page = page();
        let mut draft = options.draft("draft unmapped", page).unwrap();
        draft.fill(7);
        let no_address_space = Rlimit { current: Some(0), ..getrlimit(Resource::As) };
        let before = getrlimit(Resource::As);
        setrlimit(Resource::As, no_address_space).unwrap();
        let results = [draft.set_len(2 * page), draft.set_len(5000)];
        setrlimit(Resource::As, before).unwrap();
        for result in results {
            refused(result, libc::ENOMEM, &format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}"));
        }
        assert_eq!(draft.len(), 0);
        draft.set_len(5000).unwrap();
        assert!(draft.iter().all(|&byte| byte == 7));
        let sealed = SealedFile::try_from(draft.seal().unwrap().into_fd()).unwrap();
        assert!(sealed.map().unwrap()[5000..].iter().all(|&byte| byte == 0), "a receiver");
    });
}

/// The length of the file is rounded up to a huge page, the length of the data is not.
#[test]
fn huge_pages_keep_the_length_of_the_data() {
    let Some(_pool) = Pool::of(2) else { return };
    let options = SealedFile::options().create_options(CreateOptions::new().huge_tlb(HugeTlb::Default));
    for len in [5000, page(), page() + 1] {
        let mut draft = options.draft("draft huge", 1).unwrap();
        assert_eq!(*draft, [0]);
        draft[0] = 1;
        draft.set_len(len).unwrap();
        assert_eq!((draft.len(), draft[0], draft[len - 1]), (len, 1, 0));
        draft[len - 1] = 2;
        let sealed = draft.seal().unwrap();
        assert_eq!(sealed.len(), len as u64);
        assert_eq!(sealed.as_mem_file().len().unwrap(), len.next_multiple_of(page()) as u64);
        let map = sealed.map().unwrap();
        assert_eq!((map.len(), map[0], map[len - 1]), (len, 1, 2));
    }
    nothing_is_left("draft huge");
}

/// New pages are allocated through the map, from the page in which the old length ends.
/// `fallocate`, which fails here, is only for kernels that lack MADV_POPULATE_WRITE.
#[test]
fn grows_through_the_mapping() {
    if lacks(Feature::Populate) {
        return;
    }
    seccomp::alone(|| {
        seccomp::always("fallocate", seccomp::errno(libc::EPERM));
        let mut draft = SealedFile::options().draft("draft grows", 100_000).unwrap();
        draft.fill(1);
        draft.set_len(300_000).unwrap();
        let map = draft.seal().unwrap().map().unwrap();
        assert_eq!(map.len(), 300_000);
        assert!(map[..100_000].iter().all(|&byte| byte == 1) && map[100_000..].iter().all(|&byte| byte == 0));
    });
}
