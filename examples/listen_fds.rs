//! A service keeps its state across restarts in memory files that systemd holds for it (`FDSTORE=1`).
//! Run it with `cargo run --example listen_fds`: it plays systemd, and starts itself as the service three times.

use std::env;
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
        // LISTEN_PID is the id of the service, so the process that becomes the service sets it, as with systemd.
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
    let passed = |name| MemFile::find_listen_fd(name)?.ok_or(Error::other("no such name in LISTEN_FDNAMES"));
    let config = SealedFile::try_from(passed("config")?)?;
    let state = passed("state")?;
    let starts = state.len()? + 1;
    state.write_all_at(b"*", starts - 1)?;
    println!("start {starts}, {}", config.map()?.escape_ascii());
    Ok(())
}
