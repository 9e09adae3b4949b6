//! A library without `std` that makes sealed files and accepts descriptors, whatever features
//! another dependent enables.
#![no_std]

use memfile::fd::OwnedFd;
use memfile::{Error, MemFile, SealedFile, Seals};

pub fn make() -> Result<OwnedFd, Error> {
    let file = MemFile::create_sealable("from asks-nothing")?;
    file.write_all_at(b"constant", 0)?;
    Ok(file.into_sealed()?.into())
}

pub fn receive(fd: OwnedFd) -> Result<SealedFile, Error> {
    Ok(SealedFile::try_from(fd)?)
}

pub fn seals(file: &SealedFile) -> Result<Seals, Error> {
    file.get_seals()
}
