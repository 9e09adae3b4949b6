//! Creates, writes, seals, maps and checks a file with `memfile`, as `direct` does without it. Ends with 0 if everything is right.
#![no_std]
#![no_main]

use memfile::{Error, SealedFile};
use no_libc as _;

const TEXT: &[u8] = b"Hello from a sealed file\n";

#[unsafe(no_mangle)]
fn program() -> i32 {
    match check() {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => error.raw_os_error().unwrap_or(2),
    }
}

fn check() -> Result<bool, Error> {
    let map = SealedFile::from_bytes("greeting", TEXT)?.map()?;
    Ok(&map[..] == TEXT)
}
