//! Tests with exactly the features that were requested. Tests of `memfile` itself also get those
//! that its development dependencies enable.

use memfile::{CreateOptions, MemFile, Seal, SealedFile, Seals};

#[test]
fn a_file_is_made_sealed_passed_on_verified_and_mapped() {
    let file = asks_nothing::receive(asks_nothing::make().unwrap()).unwrap();
    assert!(asks_nothing::seals(&file).unwrap().contains(Seals::IMMUTABLE));
    assert_eq!(&file.map().unwrap()[..], b"constant");
}

#[test]
fn errors_are_the_same_with_every_feature() {
    let file = MemFile::create("not sealable", CreateOptions::new()).unwrap();
    let error = file.add_seal(Seal::Write).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(1));
    assert_eq!(
        error.to_string(),
        "fcntl(F_ADD_SEALS): EPERM: the file has the seal Seal: it was created without sealing (`create_sealable` permits it), or closed to further seals"
    );
    let error = SealedFile::try_from(file.into_fd()).unwrap_err().into_error();
    assert_eq!(error.raw_os_error(), None);
    assert_eq!(error.seals(), Seals::CONSTANT);
    assert_eq!(
        error.to_string(),
        "the file is missing the seals Shrink and Write, and has the seal Seal, so no more can be added: copy it with `copy_of`"
    );
}
