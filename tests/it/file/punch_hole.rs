//! [`MemFile::punch_hole`]: the bytes, the memory that is freed, and every error.

use memfile::{Cause, CreateOptions, HugeTlb, MemFile, Seal, SharedMap};

use crate::support::check::{refused, too_long, unharmed};
use crate::support::huge::{self, Pool, has_small_pages, steady_policy};
use crate::support::proc_self::allocated;
use crate::support::{page, pattern};

/// A file of three pages.
fn file() -> MemFile {
    let file = MemFile::create_sealable("punched").unwrap();
    file.write_all_at(&contents(), 0).unwrap();
    file
}

fn contents() -> Vec<u8> {
    pattern(3 * page() as usize)
}

#[test]
fn bytes_are_zeroed_and_memory_is_freed() {
    let _steady = steady_policy();
    let small_pages = has_small_pages();
    let page = page();
    // Whole pages are freed. In pages that are only partly in the range, bytes are zeroed. A range
    // may extend past the end of the file.
    for (offset, len, memory) in [
        (page, page, 2 * page),
        (0, 3 * page, 0),
        (page - 1, page + 2, 2 * page),
        (100, 50, 3 * page),
        (page, 100 * page, page),
        (100 * page, 1, 3 * page),
    ] {
        let file = file();
        file.punch_hole(offset, len).unwrap();
        let mut model = contents();
        let (start, end) = ((offset as usize).min(model.len()), ((offset + len) as usize).min(model.len()));
        model[start..end].fill(0);
        assert_eq!(file.len().unwrap(), 3 * page, "{offset} {len}");
        if small_pages {
            assert_eq!(allocated(&file), memory, "{offset} {len}");
        }
        let mut bytes = vec![1; model.len()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == model, "{offset} {len}");
    }
}

/// An existing map of the file reads zeros where the hole is.
#[test]
fn below_a_map() {
    let _steady = steady_policy();
    let file = file();
    file.add_seal(Seal::Shrink).unwrap();
    let map = SharedMap::try_from(file).unwrap();
    map.as_mem_file().punch_hole(0, page()).unwrap();
    let mut bytes = [1; 2];
    map.read_exact_at(&mut bytes, page() as usize - 1).unwrap();
    assert_eq!(bytes, [0, contents()[page() as usize]]);
}

#[test]
fn huge_pages() {
    let Some(_pool) = Pool::of(1) else { return };
    let file = CreateOptions::new().huge_tlb(HugeTlb::Default).create("punched").unwrap();
    let page = huge::page() as u64;
    file.allocate(0, page).unwrap();
    assert_eq!(allocated(&file), page);
    file.punch_hole(0, page).unwrap();
    assert_eq!((file.len().unwrap(), allocated(&file)), (page, 0));
}

#[test]
fn refusals() {
    for seal in [Seal::Write, Seal::FutureWrite] {
        let file = file();
        file.add_seal(seal).unwrap();
        const SEALED: &str = "fallocate: EPERM: a seal forbids this change: put the data into a new file";
        let error = refused(file.punch_hole(0, page()), libc::EPERM, SEALED);
        assert_eq!(error.cause(), Cause::Sealed);
        let mut bytes = contents();
        bytes.fill(0);
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == contents());
    }
    let file = file();
    let read_only = file.reopen_read_only().unwrap();
    const READ_ONLY: &str = "fallocate: EBADF: the descriptor is open for reading only";
    let error = refused(read_only.punch_hole(0, page()), libc::EBADF, READ_ONLY);
    assert_eq!(error.cause(), Cause::ReadOnly);
    let error = refused(file.punch_hole(0, 0), libc::EINVAL, "fallocate: EINVAL: the length is 0");
    assert_eq!(error.cause(), Cause::InvalidInput);
    for (offset, len) in [(0, 1 << 63), (1 << 63, 1)] {
        let message = format!("fallocate: EINVAL: {}", too_long(1 << 63));
        let error = refused(file.punch_hole(offset, len), libc::EINVAL, &message);
        assert_eq!(error.cause(), Cause::OutOfBounds);
    }
    // Shrink and Grow do not forbid it, since the length stays.
    let seals = file.get_seals().unwrap() | Seal::Shrink | Seal::Grow;
    file.add_seals(seals).unwrap();
    file.punch_hole(0, page()).unwrap();
    unharmed(&file, seals);
}
