//! Maps of a range of a file: what they show, and how integers in them are aligned.

use std::ops::Bound;
use std::sync::atomic::Ordering::Relaxed;

use libc::EPERM;
use memfile::{Holes, MemFile, Seal, SharedMap, SharedView};

use super::{file, map};
use crate::support::check::{SEALED_FUTURE_WRITE, range, refused};
use crate::support::pattern;
use crate::support::proc_self::mappings;

/// Twice the alignment of mapping offsets, with an end within a page and within a word.
const LEN: usize = 2 * 64 * 1024 + 4096 + 5;

fn filled(name: &str) -> MemFile {
    let file = file(name, LEN as u64);
    SharedMap::try_from(file.try_clone().unwrap()).unwrap().write_all_at(&pattern(LEN), 0).unwrap();
    file
}

/// Offsets count from the start of the range, and nothing outside it is read or written.
#[test]
fn shows_the_range() {
    let file = filled("part range");
    let mut model = pattern(LEN);
    for (start, end) in [(0, 1), (1, 1), (3, 20), (4095, 4097), (65_535, 65_537), (65_537, LEN - 1), (LEN - 1, LEN)] {
        let part = SharedMap::map_range(file.try_clone().unwrap(), start as u64..end as u64, Holes::Refuse).unwrap();
        let view = SharedView::map_range(&file, start as u64..end as u64, Holes::Refuse).unwrap();
        let len = end - start;
        assert_eq!((part.len(), view.len()), (len, len));
        let (mut bytes, mut seen) = (vec![0; len], vec![0; len]);
        part.read_exact_at(&mut bytes, 0).unwrap();
        view.read_exact_at(&mut seen, 0).unwrap();
        assert!(bytes == model[start..end] && seen == model[start..end], "{start}..{end}");
        refused(part.read_exact_at(&mut [0], len), None, &range(len as u64, len as u64 + 1, len as u64));
        refused(part.write_all_at(&[0], len), None, &range(len as u64, len as u64 + 1, len as u64));
        refused(view.read_exact_at(&mut [0], len), None, &range(len as u64, len as u64 + 1, len as u64));
        refused(part.atomic::<u8>(len), None, &range(len as u64, len as u64 + 1, len as u64));
        for byte in &mut model[start..end] {
            *byte ^= 0xff;
        }
        part.write_all_at(&model[start..end], 0).unwrap();
        let mut whole = vec![0; LEN];
        file.read_exact_at(&mut whole, 0).unwrap();
        assert!(whole == model, "{start}..{end}: other bytes were written");
    }
    let end = LEN as u64;
    let rest = SharedView::map_range(&file, (Bound::Excluded(9), Bound::Unbounded), Holes::Refuse).unwrap();
    assert_eq!(rest.len(), LEN - 10);
    for (start, stop) in [(end, end + 1), (end + 1, end + 1), (7, 6), (0, u64::MAX)] {
        #[allow(clippy::reversed_empty_ranges, reason = "it must be refused")]
        let asked = start..stop;
        refused(SharedView::map_range(&file, asked.clone(), Holes::Refuse), None, &range(start, stop, end));
        let error = SharedMap::map_range(file.try_clone().unwrap(), asked, Holes::Refuse).unwrap_err();
        assert!(error.error().is_out_of_bounds());
        assert_eq!(error.into_inner().len().unwrap(), end, "the error returned another file");
    }
    drop(rest);
    assert!(mappings("part range").is_empty());
}

/// Integers are aligned relative to the start of the file, so that maps of different ranges agree
/// on them.
#[test]
fn integers_are_aligned_in_the_file() {
    let whole = map("part integers", LEN as u64);
    for start in (0_usize..20).chain([4095, 65_532, 65_537]) {
        let part =
            SharedMap::map_range(whole.as_mem_file().try_clone().unwrap(), start as u64.., Holes::Refuse).unwrap();
        let view = SharedView::map_range(&whole, start as u64.., Holes::Refuse).unwrap();
        for offset in 0..20 {
            let value = (100 * start + offset) as u32;
            let place = start + offset;
            if place % 4 != 0 {
                let message = format!("the offset {place} is not a multiple of the value's size (4 bytes)");
                refused(part.atomic::<u32>(offset), None, &message);
                refused(view.atomic::<u32>(offset), None, &message);
                continue;
            }
            whole.atomic::<u32>(place).unwrap().store(value, Relaxed);
            assert_eq!(part.atomic::<u32>(offset).unwrap().load(Relaxed), value);
            assert_eq!(view.atomic::<u32>(offset).unwrap().load(Relaxed), value);
            part.atomic::<u32>(offset).unwrap().fetch_add(1, Relaxed);
            assert_eq!(whole.atomic::<u32>(place).unwrap().load(Relaxed), value + 1);
            // A wake through one map ends a wait through another.
            assert!(view.atomic::<u32>(offset).unwrap().wait_timeout(value, core::time::Duration::MAX).unwrap());
        }
        let wide = start.next_multiple_of(size_of::<usize>()) - start;
        part.atomic::<usize>(wide).unwrap().store(usize::MAX - start, Relaxed);
        assert_eq!(whole.atomic::<usize>(start + wide).unwrap().load(Relaxed), usize::MAX - start);
    }
    // The range contains one byte of a word at its start, and one of another word at its end.
    let part = SharedMap::map_range(whole.as_mem_file().try_clone().unwrap(), 7..9, Holes::Refuse).unwrap();
    whole.write_all_at(&[5; 16], 0).unwrap();
    part.atomic::<u8>(0).unwrap().store(1, Relaxed);
    part.atomic::<u8>(1).unwrap().store(2, Relaxed);
    let mut bytes = [0; 16];
    whole.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, [5, 5, 5, 5, 5, 5, 5, 1, 2, 5, 5, 5, 5, 5, 5, 5]);
    refused(part.atomic::<u16>(1), None, &range(1, 3, 2));
}

/// A map of a range requires the same seals as a map of the whole file.
#[test]
fn asks_for_the_same_seals() {
    let file = file("part seals", 100);
    refused(
        SharedView::map_range(&file, 5..6, Holes::Refuse),
        None,
        "the file has holes (of its 100 bytes, 0 bytes are allocated): \
         choose the policy `Holes::Allocate`, or copy the file with `copy_of`",
    );
    file.add_seal(Seal::FutureWrite).unwrap();
    let error = SharedMap::map_range(file, 5..6, Holes::Accept).unwrap_err();
    refused(Err::<(), _>(error.into_error()), EPERM, SEALED_FUTURE_WRITE);
}
