//! Hands a sealed file to another process, without libc: the child checks what it has received, maps it and prints it.
//! Run it with `ci/no-libc`, or with `cargo run --release --bin no-libc` in its folder.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

use memfile::{Error, SealedFile};
use no_libc::fork;
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};
use rustix::stdio::{dup2_stdin, stdout, take_stdin};

#[unsafe(no_mangle)]
fn program() -> i32 {
    match hand_over() {
        Ok(status) => status,
        Err(Failure::File(error)) => say(format_args!("{error}"), 1),
        Err(Failure::Process(errno)) => say(format_args!("errno {}", errno.raw_os_error()), 1),
    }
}

/// The errors of this program.
enum Failure {
    File(Error),
    Process(Errno),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::File(error.into())
    }
}

fn hand_over() -> Result<i32, Failure> {
    let file = SealedFile::create_with("greeting", 26, |bytes| {
        for (byte, letter) in bytes.iter_mut().zip(b'a'..) {
            *byte = letter;
        }
    })?;
    say(format_args!("parent: {} bytes, sealed with {}", file.len(), file.get_seals()?), 0);

    match fork() {
        0 => {
            dup2_stdin(&file).map_err(Failure::Process)?;
            drop(file);
            receive()
        }
        1.. => match wait(WaitOptions::empty()).map_err(Failure::Process)? {
            Some((_, status)) => {
                Ok(say(format_args!("parent: the child has ended"), status.exit_status().unwrap_or(1)))
            }
            None => Ok(1),
        },
        errno => Err(Failure::Process(Errno::from_raw_os_error(-errno))),
    }
}

/// The other process. It has only a descriptor, and need not trust the sender.
fn receive() -> Result<i32, Failure> {
    // SAFETY: Nothing else in this program uses the standard input.
    let received = unsafe { take_stdin() };
    let map = SealedFile::try_from(received)?.map()?;
    let text = core::str::from_utf8(&map).unwrap_or("something else");
    Ok(say(format_args!("child: verified and mapped {} bytes: {text}", map.len()), 0))
}

/// Prints a line, and returns `status`.
fn say(line: fmt::Arguments<'_>, status: i32) -> i32 {
    match writeln!(Stdout, "{line}") {
        Ok(()) => status,
        Err(fmt::Error) => 1,
    }
}

struct Stdout;

impl Write for Stdout {
    fn write_str(&mut self, mut text: &str) -> fmt::Result {
        while !text.is_empty() {
            // SAFETY: Nothing in this program closes the standard output.
            let written = rustix::io::write(unsafe { stdout() }, text.as_bytes()).map_err(|_| fmt::Error)?;
            text = text.get(written..).ok_or(fmt::Error)?;
        }
        Ok(())
    }
}
