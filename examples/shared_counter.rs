//! One process counts, and others watch without a lock or a system call. None of them can write.
//! Run it with `cargo run --example shared_counter`.

use core::sync::atomic::Ordering;
use std::io::{Result, stdin};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use memfile::{MemFile, SharedMap, SharedView};

const READERS: usize = 3;
const END: usize = 1_000_000;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("--reader") { reader() } else { writer() }
}

fn writer() -> Result<()> {
    let map = SharedMap::create("counter", 4096)?;

    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut command = Command::new(std::env::current_exe()?);
        readers.push(command.arg("--reader").stdin(map.reader()?).stdout(Stdio::piped()).spawn()?);
    }
    let counter = map.atomic::<usize>(0)?;
    for _ in 0..END {
        counter.fetch_add(1, Ordering::Release);
    }
    for reader in readers {
        print!("{}", String::from_utf8_lossy(&reader.wait_with_output()?.stdout));
    }
    Ok(())
}

fn reader() -> Result<()> {
    let file = MemFile::from_fd(stdin().as_fd().try_clone_to_owned()?)?;
    let view = SharedView::try_from(file.try_clone()?)?;
    let counter = view.atomic::<usize>(0)?;
    let mut last = 0;
    while last < END {
        let now = counter.load(Ordering::Acquire);
        assert!(now >= last, "it never goes back");
        last = now;
    }
    println!("a reader saw {last}");
    if let Err(error) = SharedMap::try_from(file) {
        println!("a reader cannot write: {error}");
    }
    Ok(())
}
