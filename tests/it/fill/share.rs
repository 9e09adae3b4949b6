//! [`Draft::share`]: the draft's map becomes the writer's, without a new mapping.

use std::thread;

use libc::{EINVAL, ENOMEM, ENOSPC, EPERM};
use memfile::{CreateOptions, Draft, Exec, HugeTlb, Seal, SealedFile, SealedFileOptions, Seals, SharedView};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::look;
use crate::support::check::{NO_ADDRESS_SPACE, NO_MEMORY, refused};
use crate::support::huge::{Pool, affordable_page, collapses, page};
use crate::support::proc_self::{allocated, descriptors_of, inheritable, mappings, smaps};
use crate::support::{child, noexec, pattern, seccomp};

const NAME: &str = "draft share";
const SHARED: Seals = Seals::from_bits_retain(Seals::FIXED_SIZE.bits() | Seal::FutureWrite as u32);

/// Without the seal Exec, the file can be frozen on every kernel.
fn options() -> SealedFileOptions {
    SealedFile::options().create_options(CreateOptions::new().exec(Exec::DenyUnsealed))
}

fn draft(bytes: &[u8]) -> Draft {
    let mut draft = options().draft(NAME, bytes.len()).unwrap();
    draft.copy_from_slice(bytes);
    draft
}

/// A reader sees the draft's bytes and later writes, and the file can be frozen. There is never
/// more than one map to write through.
#[test]
fn from_draft_to_frozen() {
    child::alone(|| {
        if noexec::leaves_no_choice() {
            return;
        }
        for len in [0, 1, 4096, 10_000] {
            let mut bytes = pattern(len);
            let draft = draft(&bytes);
            let address = draft.as_ptr();
            let writer = draft.share().unwrap();
            assert_eq!((writer.len(), mappings(NAME).len()), (len, usize::from(len > 0)));
            assert!(len == 0 || mappings(NAME)[0].starts_with(&format!("{:x}-", address.addr())), "the map has moved");
            assert_eq!(writer.as_mem_file().get_seals().unwrap(), SHARED);

            let view = SharedView::try_from(writer.reader().unwrap()).unwrap();
            let mut read = vec![0xff; len];
            view.read_exact_at(&mut read, 0).unwrap();
            assert!(read == bytes, "{len}");
            if let Some(last) = bytes.last_mut() {
                *last = 0xfe;
                writer.write_all_at(&[0xfe], len - 1).unwrap();
                view.read_exact_at(&mut read, 0).unwrap();
                assert!(read == bytes, "{len}");
            }
            let other = writer.as_mem_file().try_clone().unwrap();
            let message = "pwrite: EPERM: a seal forbids this change: put the data into a new file";
            refused(other.write_all_at(b"!", 0), EPERM, message);
            drop((view, other));
            look(&writer.freeze().unwrap(), &bytes);
        }
        assert_eq!(descriptors_of(NAME), 0);
        assert!(mappings(NAME).is_empty());
    });
}

#[test]
fn transparent_huge_pages_stay() {
    if noexec::leaves_no_choice() {
        return;
    }
    // Alone, because the smaps of a busy process is long.
    child::alone(|| {
        let Some(page) = affordable_page() else { return };
        let bytes = pattern(2 * page + 5000);
        let mut draft = options().huge_pages(true).draft(NAME, bytes.len()).unwrap();
        draft.copy_from_slice(&bytes);
        let writer = draft.share().unwrap();
        if collapses() {
            assert_eq!(smaps(NAME, "ShmemPmdMapped") as usize * 1024, 2 * page);
        }
        assert_eq!(mappings(NAME).len(), 1);
        look(&writer.freeze().unwrap(), &bytes);
    });
}

/// The length of the file is rounded up to a huge page, the length of the draft is not.
#[test]
fn hugetlb_pages() {
    child::alone(|| {
        if noexec::leaves_no_choice() {
            return;
        }
        let Some(_pool) = Pool::of(2) else { return };
        let options =
            options().create_options(CreateOptions::new().exec(Exec::DenyUnsealed).huge_tlb(HugeTlb::Default));
        for len in [5000, page() + 5] {
            let mut draft = options.draft(NAME, len).unwrap();
            draft.copy_from_slice(&pattern(len));
            let writer = draft.share().unwrap();
            assert_eq!((writer.len(), mappings(NAME).len()), (len, 1));
            let view = SharedView::try_from(writer.reader().unwrap()).unwrap();
            let mut read = vec![0; len];
            view.read_exact_at(&mut read, 0).unwrap();
            assert!(read == pattern(len));
            drop(view);
            let map = writer.freeze().unwrap().map().unwrap();
            assert_eq!(map.len(), len.next_multiple_of(page()));
            assert!(map[..len] == pattern(len) && map[len..].iter().all(|&byte| byte == 0));
        }
        assert!(mappings(NAME).is_empty());
    });
}

/// A program that is started while the draft is being filled must not inherit it, even if the
/// caller asked for an inheritable file.
#[test]
fn inheritable_only_once_shared() {
    child::alone(|| {
        if noexec::leaves_no_choice() {
            return;
        }
        for inherited in [false, true] {
            let options = CreateOptions::new().exec(Exec::DenyUnsealed).close_on_exec(!inherited);
            let draft = SealedFile::options().create_options(options).draft(NAME, 5).unwrap();
            assert_eq!((descriptors_of(NAME), inheritable(NAME)), (1, 0));
            let _writer = draft.share().unwrap();
            assert_eq!((descriptors_of(NAME), inheritable(NAME)), (1, usize::from(inherited)));
        }
    });
}

/// If sharing fails, the draft comes back unchanged: it can be written, made longer, and sealed.
#[test]
fn a_kernel_that_cannot_share() {
    if noexec::leaves_no_choice() {
        return;
    }
    let future_write = Seal::FutureWrite as u32;
    let pretended = "the kernel accepted the seals, \
        but the file is missing the seals Shrink, Grow and FutureWrite: a sandbox may pretend to add them";
    let old = "fcntl(F_ADD_SEALS): EINVAL: \
        this kernel lacks one of these seals: FutureWrite is available since Linux 5.1, Exec since 6.3";
    for (answer, errno, message) in [(EINVAL, Some(EINVAL), old), (0, None, pretended)] {
        seccomp::alone(|| {
            let back = thread::spawn(move || {
                let draft = draft(&pattern(5000));
                seccomp::on_seals(future_write, seccomp::errno(answer));
                let (error, draft) = draft.share().unwrap_err().into_parts();
                assert!(refused(Err::<(), _>(error), errno, message).is_unsupported());
                draft
            });
            let mut draft = back.join().unwrap();
            assert_eq!((draft.len(), mappings(NAME).len()), (5000, 1));
            draft[0] = 9;
            draft.set_len(6000).unwrap();
            let mut expected = pattern(5000);
            expected[0] = 9;
            expected.resize(6000, 0);
            look(&draft.seal().unwrap(), &expected);
        });
    }
}

/// Like [`Draft::seal`], `share` allocates missing pages before it adds a seal, so that no reader
/// gets a file with holes.
#[test]
fn no_seal_is_added_where_memory_is_missing() {
    if noexec::leaves_no_choice() {
        return;
    }
    seccomp::alone(|| {
        let draft = draft(&pattern(5000));
        let thread = thread::spawn(move || {
            let mut draft = draft;
            seccomp::on_bits("madvise", 2, 16, seccomp::errno(libc::EFAULT));
            seccomp::always("fallocate", seccomp::errno(ENOSPC));
            // The new pages cannot be allocated, and the file cannot be cut back to its old length.
            seccomp::on_values("ftruncate", 1, &[5000], seccomp::errno(libc::EIO));
            let message = format!("fallocate: ENOSPC: {NO_MEMORY}");
            refused(draft.set_len(20_000), ENOSPC, &message);
            let (error, draft) = draft.share().unwrap_err().into_parts();
            refused(Err::<(), _>(error), ENOSPC, &message);
            draft
        });
        let mut draft = thread.join().unwrap();
        draft.set_len(6000).unwrap();
        let writer = draft.share().unwrap();
        assert!(allocated(writer.as_mem_file()) >= 6000);
        assert_eq!(writer.len(), 6000);
    });
}

/// If an earlier error left the draft without a map, `share` maps it first: once the file has the
/// seal FutureWrite, it could never be mapped for writing again.
#[test]
fn a_draft_without_a_map_gets_one() {
    if noexec::leaves_no_choice() {
        return;
    }
    child::alone(|| {
        let mut draft = draft(&pattern(5000));
        let limit = getrlimit(Resource::As);
        setrlimit(Resource::As, Rlimit { current: Some(1), ..limit }).unwrap();
        let resized = draft.set_len(5001);
        let shared = draft.share();
        setrlimit(Resource::As, limit).unwrap();

        let message = format!("mmap: ENOMEM: {NO_ADDRESS_SPACE}");
        refused(resized, ENOMEM, &message);
        let (error, draft) = shared.unwrap_err().into_parts();
        refused(Err::<(), _>(error), ENOMEM, &message);
        assert!(draft.is_empty() && mappings(NAME).is_empty());

        let writer = draft.share().unwrap();
        assert_eq!((writer.len(), mappings(NAME).len()), (5000, 1));
        let mut read = vec![0; 5000];
        writer.read_exact_at(&mut read, 0).unwrap();
        assert!(read == pattern(5000));
    });
}
