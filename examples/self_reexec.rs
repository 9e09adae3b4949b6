//! A program that runs from a sealed copy of itself, so that nobody can change it while it runs (CVE-2019-5736).
//! Run it with `cargo run --example self_reexec`.

use std::fs::{File, read_link};
use std::io::Result;
use std::os::unix::process::CommandExt;

use memfile::{CreateOptions, Exec, MemFile, SealedFile, Seals};

const NAME: &str = "self";

fn main() -> Result<()> {
    ensure_sealed()?;
    println!("running from {}", read_link("/proc/self/exe")?.display());
    println!("arguments: {:?}", std::env::args().collect::<Vec<_>>());
    let own = MemFile::from_fd(File::open("/proc/self/exe")?.into())?;
    println!("its seals: {}", own.get_seals()? & Seals::IMMUTABLE);
    println!("its name: {:?}", own.name()?);
    Ok(())
}

/// Returns only in the sealed copy. It is the same process with the same arguments, after one more `execve`.
fn ensure_sealed() -> Result<()> {
    let exe = File::open("/proc/self/exe")?;
    // A program on a disk has no seals, and one on tmpfs has others.
    if SealedFile::try_from(std::os::fd::OwnedFd::from(exe.try_clone()?)).is_ok() {
        return Ok(());
    }
    let options = CreateOptions::new().exec(Exec::Allow);
    let copy = SealedFile::options().create_options(options).copy_of(NAME, &exe)?;
    let mut arguments = std::env::args_os();
    let mut command = copy.to_command()?;
    Err(command.arg0(arguments.next().unwrap_or_default()).args(arguments).exec())
}
