//! Gives files to one child only, under descriptor numbers that both sides know (with the crate command-fds) or by name.
//! Run it with `cargo run --example inherit`.
#![allow(unsafe_code, reason = "the child must promise that nobody else owns the numbers")]

use std::io::{Error, Result};
use std::process::Command;

use command_fds::inherited::{init_inherited_fds, take_fd_ownership};
use command_fds::{CommandFdExt, FdMapping};
use memfile::{MemFile, SealedFile};

const CONFIG: i32 = 10;

fn main() -> Result<()> {
    if std::env::args().nth(1).as_deref() == Some("--child") { child() } else { parent() }
}

fn parent() -> Result<()> {
    let config = SealedFile::from_bytes("config", b"verbose")?;
    let log = MemFile::create_default("log")?;
    let mut command = Command::new(std::env::current_exe()?);
    let mappings = vec![
        FdMapping { parent_fd: config.into(), child_fd: CONFIG },
        FdMapping { parent_fd: log.try_clone()?.into(), child_fd: CONFIG + 1 },
    ];
    let status = command.arg("--child").fd_mappings(mappings).map_err(Error::other)?.status()?;
    let mut line = vec![0; usize::try_from(log.len()?).unwrap_or(0)];
    log.read_exact_at(&mut line, 0)?;
    println!("{status}, and it logged: {}", line.escape_ascii());
    Ok(())
}

fn child() -> Result<()> {
    let log = MemFile::find_inherited("log")?.ok_or(Error::other("no log"))?;
    log.write_all_at(b"found by name", 0)?;
    println!("by name: {:?}", log.name()?);
    println!("no file has another name: {:?}", MemFile::find_inherited("else")?);
    drop(log);

    // SAFETY: Nothing in this process has opened or owned a descriptor yet, so all open ones come from the parent.
    unsafe { init_inherited_fds() }.map_err(Error::other)?;
    let config = SealedFile::try_from(take_fd_ownership(CONFIG).map_err(Error::other)?)?;
    println!("by number: {:?}", config.map()?.escape_ascii().to_string());
    Ok(())
}
