//! The tests of memfile 0.3.2 that concern files, for both crates.

use std::io::{ErrorKind, Read, Seek, Write};
use std::os::fd::AsRawFd;

use super::memfile_under_test::{MemFile, Seal, Seals};

/// All seals that memfile 0.3.2 knows.
const FIVE: Seals = Seals::from_bits_truncate(0x1f);

/// A sealable file of twelve bytes.
fn twelve() -> MemFile {
    let file = MemFile::create_sealable("foo").unwrap();
    file.set_len(12).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 12);
    file
}

#[test]
fn create_write_seek_read() {
    let mut file = MemFile::create_default("foo").unwrap();
    file.write_all(b"Hello world!").unwrap();
    let mut buffer = [0; 12];
    assert_eq!(file.seek(std::io::SeekFrom::Start(0)).unwrap(), 0);
    file.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"Hello world!");
}

#[test]
fn from_fd() {
    let original = MemFile::create_default("foo").unwrap();
    let number = original.as_raw_fd();
    let moved = MemFile::from_fd(original.into_fd()).ok().unwrap();
    assert_eq!(moved.as_raw_fd(), number);

    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let number = reader.as_raw_fd();
    let error = MemFile::from_fd(reader).err().unwrap();
    assert_eq!(error.error().kind(), ErrorKind::InvalidInput);
    assert_eq!(error.fd().as_raw_fd(), number);
}

#[test]
fn try_clone() {
    let original = MemFile::create_default("foo").unwrap();
    let clone = original.try_clone().unwrap();
    assert_ne!(original.as_fd().as_raw_fd(), clone.as_fd().as_raw_fd());
}

#[test]
fn set_len_and_metadata() {
    drop(twelve());
}

#[test]
fn seal_seal() {
    let file = MemFile::create_sealable("foo").unwrap();
    file.add_seal(Seal::Seal).unwrap();
    assert_eq!(file.add_seal(Seal::Grow).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn seal_shrink() {
    let file = twelve();
    file.add_seal(Seal::Shrink).unwrap();
    assert_eq!(file.set_len(6).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(file.metadata().unwrap().len(), 12);
    file.set_len(18).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 18);
}

#[test]
fn seal_grow() {
    let file = twelve();
    file.add_seal(Seal::Grow).unwrap();
    assert_eq!(file.set_len(18).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(file.metadata().unwrap().len(), 12);
    file.set_len(6).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 6);
}

#[test]
fn seal_write_and_future_write() {
    for seal in [Seal::Write, Seal::FutureWrite] {
        let mut file = MemFile::create_sealable("foo").unwrap();
        file.add_seal(seal).unwrap();
        assert_eq!(file.write_all(b"Hello world!").unwrap_err().kind(), ErrorKind::PermissionDenied, "{seal:?}");
    }
}

#[test]
fn clones_share_metadata_and_seals() {
    let original = MemFile::create_sealable("foo").unwrap();
    let mut clone = original.try_clone().unwrap();
    original.set_len(12).unwrap();
    assert_eq!(clone.metadata().unwrap().len(), 12);
    original.add_seals(FIVE).unwrap();
    assert_eq!(clone.write_all(b"Hello world!").unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn sets_of_seals() {
    for (seal, place) in [Seal::Seal, Seal::Shrink, Seal::Grow, Seal::Write, Seal::FutureWrite].into_iter().zip(0..) {
        assert!(!Seals::empty().contains(seal) && Seals::all().contains(seal));
        assert_eq!(FIVE.into_iter().nth(place), Some(seal));
    }
    assert!(Seals::empty().is_empty() && !Seals::empty().is_all() && Seals::empty().contains(Seals::empty()));
    assert!(!Seals::all().is_empty() && Seals::all().is_all() && !Seals::empty().contains(Seals::all()));
    let three = Seal::Seal | Seal::Shrink | Seal::Write;
    assert_eq!(three.len(), 3);
    assert!(three.contains(Seal::Shrink) && !three.contains(Seal::Grow));
    assert_eq!(Seals::all() & three, three);
    assert_eq!(FIVE ^ three, Seal::Grow | Seal::FutureWrite);
}

#[test]
fn debug_of_sets() {
    assert_eq!(format!("{:?}", Seals::empty()), "Seals { }");
    assert_eq!(format!("{:?}", Seals::from(Seal::Seal)), "Seals { Seal }");
    assert_eq!(format!("{FIVE:?}"), "Seals { Seal | Shrink | Grow | Write | FutureWrite }");
}
