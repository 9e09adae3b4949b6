//! Gives data to another process so that neither side can change it. The other process tries, and is refused.
//! Run it with `cargo run --example handoff [PATH]`; PATH is the file that is handed over.
#![allow(clippy::unwrap_used, reason = "every refused attempt must be an error")]

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
    println!("memfd_create   creates a file in memory that can be sealed and cannot be executed");
    let copied = file.copy_from(std::fs::File::open(path)?, u64::MAX)?;
    println!("sendfile       copies {copied} bytes of {path} inside the kernel, unless copy_file_range can do it");
    let file = file.into_sealed()?;
    println!("F_ADD_SEALS    forbids everybody to write, to shrink or grow the file, and to add seals");
    println!("F_GET_SEALS    reads the seals back; fstat takes the length, and fallocate fills holes");

    let (socket, its_socket) = UnixStream::pair()?;
    let (stdin, stdout) = (file.to_stdio()?, OwnedFd::from(its_socket));
    println!("open           opens the file again, read-only and at position 0, for the child's stdin");
    println!("F_GET_SEALS    checks what was opened; fstat takes its length");
    let mut child = Command::new(std::env::current_exe()?).arg("--child").stdin(stdin).stdout(stdout).spawn()?;
    println!("execve         starts the child, whose stdout is a Unix socket");
    file.send(&socket, b"the same file")?;
    println!("sendmsg        sends it the same file over the socket. The child reports:");
    for line in BufReader::new(socket).lines() {
        println!("    {}", line?);
    }
    println!("wait4          the child ended: {}", child.wait()?);
    Ok(())
}

fn child() -> Result<(), Box<dyn core::error::Error>> {
    let (_, file) = SealedFile::recv(io::stdout(), &mut [0; 64])?;
    println!("recvmsg        receives a descriptor, close-on-exec");
    println!("F_GET_SEALS    shows Shrink and Write; fstat shows {} bytes, all allocated: proven", file.len());
    let map = file.map()?;
    println!("mmap           maps it, shared and read-only; the checksum is {:08x}", checksum(&map));
    let stdin = SealedFile::try_from(io::stdin().as_fd().try_clone_to_owned()?)?;
    println!("F_DUPFD        clones stdin, which is proven and mapped the same way: {:08x}", checksum(&stdin.map()?));
    println!("Now it tries to change the file, and every attempt is refused:");
    let file = MemFile::from(file);
    println!("{}", file.write_all_at(b"!", 0).unwrap_err());
    println!("{}", file.set_len(0).unwrap_err());
    let truncated = std::fs::OpenOptions::new().write(true).truncate(true).open(file.proc_path());
    println!("open(O_WRONLY | O_TRUNC): {}", truncated.unwrap_err());
    println!("writable, {}", SharedMap::try_from(file).unwrap_err());
    Ok(())
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(1, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte))
}
