//! A library that uses `memfile` with every feature, and passes descriptors as types of `std`.

use std::io::{Result, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use memfile::{MemFile, SealedFile};

pub fn make() -> Result<OwnedFd> {
    let mut file = MemFile::create_sealable("from asks-all")?;
    file.write_all(b"constant")?;
    Ok(file.into_sealed()?.into())
}

pub fn borrow(file: &SealedFile) -> BorrowedFd<'_> {
    file.as_fd()
}
