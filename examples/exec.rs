//! Runs a program from memory, which is in no file system, and shows which files are refused.
//! Run it with `cargo run --example exec`.

use std::fs::File;
use std::io::{Result, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use memfile::{CreateOptions, Exec, SealedFile};

fn main() -> Result<()> {
    let executable = SealedFile::options().create_options(CreateOptions::new().exec(Exec::Allow));

    let program = executable.copy_of("sh", File::open("/bin/sh")?)?;
    let mut command = program.to_command()?;
    let script = "echo \"$0 with $GREETING from $(readlink /proc/$$/exe)\"; read line; echo \"read $line\"; exit 3";
    let mut child = command
        .arg0("sh")
        .args(["-c", script, "my-shell"])
        .env("GREETING", "greetings")
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(b"a line\n")?;
    }
    println!("ended with {}", child.wait()?);

    let script = executable.from_bytes("script", b"#!/bin/sh\necho \"from a script: $1\"\n")?;
    if let Err(error) = script.to_command() {
        println!("{error}");
    }
    Command::new("sh").args(["-s", "one"]).stdin(script.to_stdio()?).status()?;

    let data = SealedFile::from_bytes("data", b"\x7fELF")?;
    if let Err(error) = data.to_command() {
        println!("{error}");
    }
    Ok(())
}
