//! The main job: give data to another process so that neither side can change it any more.
//!
//! `cargo run --example handoff [PATH]`: the parent seals a copy of the file, a child gets it twice and attacks it.

use memfile::{MemFile, SealedFile, SharedMap};
use std::io::{self, BufRead, BufReader};
use std::os::{fd::AsFd, unix::net::UnixStream};
use std::process::{Command, Stdio};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match std::env::args().nth(1).as_deref() {
        Some("--child") => child(),
        path => parent(path.unwrap_or(file!())),
    }
}

fn parent(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let source = std::fs::File::open(path)?;
    let file = SealedFile::copy_of("handoff", &source)?;
    println!("memfd_create   made a file in memory, which can be sealed and not be executed");
    println!("sendfile       copied the {} bytes of {path} into it, inside the kernel", file.len());
    println!("F_ADD_SEALS    took from everybody: writing, shrinking, growing, adding seals");

    let (socket, its_socket) = UnixStream::pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--child").stdin(file.try_clone()?).stdout(Stdio::from(std::os::fd::OwnedFd::from(its_socket)));
    let mut child = command.spawn()?;
    drop(command);
    println!("fork, execve   started a child: the file is its stdin, a Unix socket its stdout");
    file.send(&socket, b"the same file")?;
    println!("sendmsg        sent it the file over the socket too. The child reports:");
    for line in BufReader::new(socket).lines() {
        println!("    {}", line?);
    }
    println!("wait           the child ended: {}", child.wait()?);
    Ok(())
}

fn child() -> Result<(), Box<dyn std::error::Error>> {
    let (_, file) = SealedFile::recv(io::stdout(), &mut [0; 64])?;
    println!("recvmsg        got a descriptor, close-on-exec");
    println!("F_GET_SEALS    it has {}, and fstat says {} bytes: proven", file.as_mem_file().get_seals()?, file.len());
    let map = file.map()?;
    println!("mmap           shared and read-only; the checksum is {:08x}", checksum(&map));
    let stdin = SealedFile::try_from(io::stdin().as_fd().try_clone_to_owned()?)?;
    println!("               and that of stdin, proven the same way, {:08x}", checksum(&stdin.map()?));

    let file = MemFile::from(file);
    println!("pwrite         {}", file.write_all_at(b"!", 0).unwrap_err());
    println!("ftruncate      {}", file.set_len(0).unwrap_err());
    let truncate = std::fs::OpenOptions::new().write(true).truncate(true).open(file.proc_path());
    println!("open O_TRUNC   {}", truncate.unwrap_err());
    println!("mmap writable  {}", SharedMap::try_from(file).unwrap_err());
    assert_eq!(checksum(&map), checksum(&stdin.map()?));
    Ok(())
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(1, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte))
}
