//! Hands a memory file to a crate that wants a `std::fs::File`, here memmap2.
//! Its `map` is unsafe because files change; that this one cannot is what a `SealedFile` proves.
#![allow(unsafe_code, reason = "memmap2 asks the caller for the proof")]

use std::io::{Read, Result, Write};

use memfile::{MemFile, SealedFile};
use memmap2::Mmap;

fn main() -> Result<()> {
    let sealed = SealedFile::from_bytes("table", b"one\ntwo\nthree\n")?;
    // SAFETY: The seals Write and Shrink, which `sealed` proves, keep every byte of the file as it is, for ever.
    let map = unsafe { Mmap::map(sealed.as_mem_file().as_file()) }?;
    println!("memmap2 sees {} lines", map.split(|&byte| byte == b'\n').count() - 1);

    // What takes a `File` or an `impl Read` needs nothing unsafe.
    let mut file = MemFile::create_default("scratch")?;
    writeln!(file, "written through std::io::Write")?;
    let mut text = String::new();
    std::fs::File::open(file.proc_path())?.read_to_string(&mut text)?;
    print!("{text}");
    println!("std::fs::File says {} bytes", file.into_file().metadata()?.len());
    Ok(())
}
