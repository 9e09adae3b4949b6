//! [`MemFile::punch_hole`]: the bytes, the memory, and every refusal.

use memfile::{Cause, CreateOptions, HugeTlb, MemFile, Seal, SharedMap};

use crate::support::check::{refused, too_long, unharmed};
use crate::support::huge::{Pool, page, steady_policy};
use crate::support::pattern;
use crate::support::proc_self::allocated;

const PAGE: u64 = 4096;
const LEN: usize = 3 * PAGE as usize;

fn file() -> MemFile {
    let file = MemFile::create_sealable("punched").unwrap();
    file.write_all_at(&pattern(LEN), 0).unwrap();
    file
}

#[test]
fn bytes_are_zero_and_memory_is_given_back() {
    let _steady = steady_policy();
    // Whole pages go; of others the bytes alone. Beyond the end there is nothing.
    for (offset, len, memory) in [
        (PAGE, PAGE, 2 * PAGE),
        (0, 3 * PAGE, 0),
        (PAGE - 1, PAGE + 2, 2 * PAGE),
        (100, 50, 3 * PAGE),
        (PAGE, 100 * PAGE, PAGE),
        (100 * PAGE, 1, 3 * PAGE),
    ] {
        let file = file();
        assert_eq!(allocated(&file), 3 * PAGE);
        file.punch_hole(offset, len).unwrap();
        let mut model = pattern(LEN);
        let (start, end) = ((offset as usize).min(LEN), ((offset + len) as usize).min(LEN));
        model[start..end].fill(0);
        assert_eq!((file.len().unwrap(), allocated(&file)), (LEN as u64, memory), "{offset} {len}");
        let mut bytes = vec![1; LEN];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes == model, "{offset} {len}");
    }
}

/// The map of a shared file shows it.
#[test]
fn below_a_map() {
    let _steady = steady_policy();
    let file = file();
    file.add_seal(Seal::Shrink).unwrap();
    let map = SharedMap::try_from(file).unwrap();
    map.as_mem_file().punch_hole(0, PAGE).unwrap();
    let mut bytes = [1; 2];
    map.read_exact_at(&mut bytes, PAGE as usize - 1).unwrap();
    assert_eq!(bytes, [0, pattern(LEN)[PAGE as usize]]);
}

#[test]
fn huge_pages() {
    let Some(_pool) = Pool::of(1) else { return };
    let file = CreateOptions::new().huge_tlb(HugeTlb::Default).create("punched").unwrap();
    file.allocate(0, page() as u64).unwrap();
    assert_eq!(allocated(&file), page() as u64);
    file.punch_hole(0, page() as u64).unwrap();
    assert_eq!((file.len().unwrap(), allocated(&file)), (page() as u64, 0));
}

#[test]
fn refusals() {
    for seal in [Seal::Write, Seal::FutureWrite] {
        let file = file();
        file.add_seal(seal).unwrap();
        const SEALED: &str = "fallocate: EPERM: the file is sealed against this change";
        let error = refused(file.punch_hole(0, PAGE), libc::EPERM, SEALED);
        assert_eq!(error.cause(), Cause::Sealed);
        assert_eq!(allocated(&file), 3 * PAGE);
    }
    let file = file();
    let read_only = file.reopen_read_only().unwrap();
    const READ_ONLY: &str = "fallocate: EBADF: the descriptor is open for reading only";
    let error = refused(read_only.punch_hole(0, PAGE), libc::EBADF, READ_ONLY);
    assert_eq!(error.cause(), Cause::ReadOnly);
    let error = refused(file.punch_hole(0, 0), libc::EINVAL, "fallocate: EINVAL: the length is 0");
    assert_eq!(error.cause(), Cause::InvalidInput);
    for (offset, len) in [(0, 1 << 63), (1 << 63, 1)] {
        let message = format!("fallocate: EINVAL: {}", too_long(1 << 63));
        let error = refused(file.punch_hole(offset, len), libc::EINVAL, &message);
        assert_eq!(error.cause(), Cause::OutOfBounds);
    }
    // Seals of the length do not matter.
    let seals = file.get_seals().unwrap() | Seal::Shrink | Seal::Grow;
    file.add_seals(seals).unwrap();
    file.punch_hole(0, PAGE).unwrap();
    unharmed(&file, seals);
}
