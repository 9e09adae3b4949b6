//! The main job: give data to another process so that neither side can change it any more.
//!
//! `cargo run --example handoff [PATH]`: the parent seals a copy of the file, a child gets it twice and attacks it.
#![allow(clippy::unwrap_used, reason = "what is refused is an error")]

use memfile::{MemFile, SealedFile, SharedMap};
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let path = std::env::args().nth(1);
    if path.as_deref() == Some("--child") { child() } else { parent(path.as_deref().unwrap_or(file!())) }
}

fn parent(path: &str) -> Result<(), Box<dyn core::error::Error>> {
    let file = MemFile::create_sealable("handoff")?;
    println!("memfd_create   made a file in memory, which can be sealed and not be executed");
    let copied = file.copy_from(std::fs::File::open(path)?, u64::MAX)?;
    println!("{:<14} copied {} bytes of {path} inside the kernel, after copy_file_range", copied.method, copied.len);
    let file = file.into_sealed()?;
    println!("F_ADD_SEALS    took from everybody: writing, shrinking, growing, adding seals");
    println!("F_GET_SEALS    looked whether they are there, and fstat how long the file is now");

    let (socket, its_socket) = UnixStream::pair()?;
    let (stdin, stdout) = (file.to_stdio()?, OwnedFd::from(its_socket));
    let mut child = Command::new(std::env::current_exe()?).arg("--child").stdin(stdin).stdout(stdout).spawn()?;
    println!("open           opened the file once more, read-only and at position 0, for a child's stdin");
    println!("execve         started the child; its stdout is a Unix socket");
    file.send(&socket, b"the same file")?;
    println!("sendmsg        sent it the file over the socket too. The child reports:");
    for line in BufReader::new(socket).lines() {
        println!("    {}", line?);
    }
    println!("wait           the child ended: {}", child.wait()?);
    Ok(())
}

fn child() -> Result<(), Box<dyn core::error::Error>> {
    let (_, file) = SealedFile::recv(io::stdout(), &mut [0; 64])?;
    println!("recvmsg        a descriptor, close-on-exec");
    println!("F_GET_SEALS    has Shrink and Write; fstat: {} bytes without holes. Proven", file.len());
    let map = file.map()?;
    println!("mmap           shared and read-only; the checksum is {:08x}", checksum(&map));
    let stdin = SealedFile::try_from(io::stdin().as_fd().try_clone_to_owned()?)?;
    println!("F_DUPFD        the file at stdin, proven and mapped the same way: {:08x}", checksum(&stdin.map()?));
    println!("Now it tries to change the file, and is refused each time:");
    let file = MemFile::from(file);
    println!("{}", file.write_all_at(b"!", 0).unwrap_err());
    println!("{}", file.set_len(0).unwrap_err());
    let truncated = std::fs::OpenOptions::new().write(true).truncate(true).open(file.proc_path());
    println!("open(O_WRONLY | O_TRUNC): {}", truncated.unwrap_err());
    println!("writable {}", SharedMap::try_from(file).unwrap_err());
    Ok(())
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(1, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte))
}
