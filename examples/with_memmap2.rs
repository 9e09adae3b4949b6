//! Passes memory files to code that wants a `std::fs::File` or a path, here memmap2 and the standard library.
//! Run it with `cargo run --example with_memmap2`.

use std::io::{Error, Read, Result, Write};

use memfile::{MemFile, SealedFile};
use memmap2::Mmap;

fn main() -> Result<()> {
    let sealed = SealedFile::from_bytes("table", b"one\ntwo\nthree\n")?;
    // memmap2 checks the seals Write and Shrink itself, so this needs no `unsafe`.
    let map = Mmap::map_if_safe(sealed.as_mem_file().as_file()).map_err(Error::other)?;
    println!("memmap2 sees {} lines", map.split(|&byte| byte == b'\n').count() - 1);

    // For a function that takes a `File` or an `impl Read`.
    let mut file = MemFile::create_default("scratch")?;
    writeln!(file, "written through std::io::Write")?;
    let mut text = String::new();
    std::fs::File::open(file.proc_path())?.read_to_string(&mut text)?;
    print!("{text}");
    println!("std::fs::File says {} bytes", file.into_file().metadata()?.len());
    Ok(())
}
