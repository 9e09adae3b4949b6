//! Loads the weights of a model (a safetensors file) once, and lets workers share the memory as `&[f32]`, in huge pages.
//! Run it with `cargo run --example weights [FILE TENSOR]`; without arguments it makes a small model.

use std::fs::File;
use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;

use memfile::{MapOptions, SealedFile};
use zerocopy::{FromBytes, IntoBytes};

const WORKERS: usize = 4;
const NUMBERS: usize = 8 << 20;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--worker", tensor] => worker(tensor),
        [file, tensor] => share(&File::open(file)?, tensor),
        _ => share(&model()?, "embedding"),
    }
}

/// Copies the file once. From then on nobody can change the weights, so they need not be checked again.
fn share(model: &File, tensor: &str) -> Result<()> {
    let weights = SealedFile::options().huge_pages(true).copy_of("weights", model)?;
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(std::env::current_exe()?);
        let child = command.args(["--worker", tensor]).stdin(OwnedFd::from(theirs)).spawn()?;
        weights.send(&ours, b"w")?;
        workers.push((child, BufReader::new(ours)));
    }
    println!("a file of {} KiB for {WORKERS} workers", weights.len() / 1024);

    // Every worker has read the map before any of them measures, and none ends before all have measured.
    let mut line = String::new();
    for (_, socket) in &mut workers {
        socket.read_line(&mut line)?;
    }
    for (_, socket) in &mut workers {
        socket.get_mut().write_all(b"!")?;
        socket.read_line(&mut line)?;
    }
    print!("{line}");
    for (mut child, socket) in workers {
        drop(socket);
        child.wait()?;
    }
    Ok(())
}

fn worker(tensor: &str) -> Result<()> {
    let mut parent = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let (_, weights) = SealedFile::recv(&parent, &mut [0])?;
    let map = weights.map_with(.., MapOptions::new().huge_pages(true))?;
    let bytes = find(&map, tensor).ok_or(Error::other("no such tensor"))?;
    // The map begins at a page, and the tensor at a multiple of 8, so it is aligned. The numbers are little-endian, as in most
    // processors.
    let numbers = <[f32]>::ref_from_bytes(bytes).map_err(|error| Error::other(error.to_string()))?;
    let sum: f64 = numbers.iter().map(|&number| f64::from(number)).sum();
    writeln!(parent, "{} numbers, their sum is {sum}", numbers.len())?;

    parent.read_exact(&mut [0])?;
    writeln!(parent, "{}", memory()?)?;
    parent.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The memory of this process. Pss divides each shared page among the processes that share it.
fn memory() -> Result<String> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup")?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    Ok(format!("Rss {}, Pss {}, by huge pages {}", field("Rss:"), field("Pss:"), field("ShmemPmdMapped:")))
}

/// The bytes of a tensor. The first eight bytes are the length of a header in JSON: `"name":{"dtype":"F32","shape":[2,3],
/// "data_offsets":[0,24]}`, where the offsets count from the end of the header. The crate safetensors also borrows from a map, and
/// knows the whole format.
fn find<'map>(file: &'map [u8], name: &str) -> Option<&'map [u8]> {
    let (len, rest) = file.split_first_chunk()?;
    let (header, data) = rest.split_at_checked(u64::from_le_bytes(*len).try_into().ok()?)?;
    let (_, entry) = core::str::from_utf8(header).ok()?.split_once(&format!("\"{name}\":{{"))?;
    let (_, offsets) = entry.split_once('}')?.0.split_once("\"data_offsets\":[")?;
    let (start, end) = offsets.split_once(']')?.0.split_once(',')?;
    data.get(start.trim().parse().ok()?..end.trim().parse().ok()?)
}

/// Makes a file on the disk with one tensor of 32 MiB.
fn model() -> Result<File> {
    let numbers: Vec<f32> = (0..16_u8).cycle().take(NUMBERS).map(f32::from).collect();
    let entry = format!(r#"{{"embedding":{{"dtype":"F32","shape":[{NUMBERS}],"data_offsets":[0,{}]}}}}"#, NUMBERS * 4);
    let header = format!("{entry:width$}", width = entry.len().next_multiple_of(8));
    let mut file = tempfile::tempfile()?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    file.write_all(numbers.as_bytes())?;
    Ok(file)
}
