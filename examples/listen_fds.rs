//! A service whose state survives restarts in memory files that systemd keeps (`FDSTORE=1`).
//! Run it with `cargo run --example listen_fds`: it plays systemd, and starts itself as the service three times.

use std::env;
use std::fs::OpenOptions;
use std::io::{Error, Result};
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use memfile::{MemFile, SealedFile};

fn main() -> Result<()> {
    if env::var_os("LISTEN_FDS").is_some() { service() } else { manager() }
}

fn manager() -> Result<()> {
    let config = SealedFile::from_bytes("config", b"limit=5")?;
    let state = MemFile::create_default("state")?;
    for _ in 0..3 {
        // As systemd does, the process that becomes the service sets its own id.
        let mut command = Command::new("sh");
        command.args(["-c", "LISTEN_PID=$$ exec \"$0\""]).arg(env::current_exe()?);
        command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "config:state");
        let mappings = vec![
            FdMapping { parent_fd: config.try_clone()?.into(), child_fd: 3 },
            FdMapping { parent_fd: state.try_clone()?.into(), child_fd: 4 },
        ];
        command.fd_mappings(mappings).map_err(Error::other)?.status()?;
    }
    Ok(())
}

fn service() -> Result<()> {
    let config = SealedFile::try_from(listen_fd("config")?)?;
    let state = listen_fd("state")?;
    let starts = state.len()? + 1;
    state.write_all_at(b"*", starts - 1)?;
    println!("start {starts}, {}", config.map()?.escape_ascii());
    Ok(())
}

/// Opens the file that was passed under this name once more: only unsafe code can take over a descriptor by its number.
fn listen_fd(name: &str) -> Result<MemFile> {
    const FIRST: usize = 3;
    let var = |key| env::var(key).map_err(Error::other);
    if var("LISTEN_PID")? != std::process::id().to_string() {
        return Err(Error::other("LISTEN_FDS is meant for another process"));
    }
    let names = var("LISTEN_FDNAMES")?;
    let index =
        names.split(':').position(|entry| entry == name).ok_or(Error::other("no such name in LISTEN_FDNAMES"))?;
    let file = OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", FIRST + index))?;
    Ok(MemFile::from_fd(file.into())?)
}
