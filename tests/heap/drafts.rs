//! [`Draft`]: a slice of a file that grows and shrinks, and is then sealed or shared.

use core::sync::atomic::Ordering::Relaxed;

use memfile::{Draft, SealedFile, SharedView};

use super::pattern;

fn draft(len: usize) -> Draft {
    SealedFile::options().draft("draft", len).unwrap()
}

#[test]
fn every_length() {
    let mut draft = draft(5000);
    let mut model = pattern(5000);
    draft.copy_from_slice(&model);
    for len in [5000, 4097, 10_000, 1, 4096, 0, 3, 9000, 8192] {
        draft.set_len(len).unwrap();
        model.resize(len, 0);
        assert!(*draft == model && draft.as_mut() == model, "{len}");
        if let (Some(byte), Some(last)) = (draft.last_mut(), model.last_mut()) {
            (*byte, *last) = (7, 7);
        }
    }
    let sealed = draft.seal().unwrap();
    assert!(*sealed.map().unwrap() == model[..]);
}

/// After an error, the draft has its bytes, and is mapped again.
#[test]
fn impossible_lengths() {
    let mut draft = draft(5);
    draft.copy_from_slice(b"short");
    for len in [usize::MAX, isize::MAX as usize + 1, 1 << 28] {
        let _ = draft.set_len(len).unwrap_err();
        assert_eq!(&draft[..], b"short");
        draft[0] = b's';
    }
    assert!(*draft.seal().unwrap().map().unwrap() == *b"short");
}

/// When a draft becomes a shared map, its mapping stays, and is then accessed by atomic words.
#[test]
fn shared() {
    let mut draft = draft(5000);
    draft.copy_from_slice(&pattern(5000));
    let map = draft.share().unwrap();
    let view = SharedView::try_from(map.reader().unwrap()).unwrap();
    map.atomic::<u32>(4).unwrap().store(u32::from_ne_bytes(*b"word"), Relaxed);
    map.write_all_at(b"bytes", 4995).unwrap();
    let mut expected = pattern(5000);
    expected[4..8].copy_from_slice(b"word");
    expected[4995..].copy_from_slice(b"bytes");
    let mut bytes = vec![0; 5000];
    view.read_exact_at(&mut bytes, 0).unwrap();
    assert!(bytes == expected);
    drop(view);
    assert!(*map.freeze().unwrap().map().unwrap() == expected[..]);
}

#[test]
fn dropped() {
    let mut unused = draft(5000);
    unused.fill(1);
    let empty = draft(0);
    assert!(empty.seal().unwrap().is_empty());
    let result = SealedFile::options().try_create_with("failed", 5000, |bytes| {
        bytes.fill(1);
        Err(std::io::Error::other("failed"))
    });
    assert_eq!(result.unwrap_err().to_string(), "failed");
}
