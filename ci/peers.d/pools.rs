//! Finds out which files a compositor accepts as pools of pixels. Each kind of file has a connection of
//! its own, because a refusal ends the connection.

#[path = "../../examples/wayland_buffer/wire.rs"]
mod wire;

use std::error::Error;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::{env, io};

use memfile::{MemFile, SealedFile, Seals, SharedMap};
use wire::{DISPLAY, Wayland};

const LEN: u32 = 4096;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::var_os("XDG_RUNTIME_DIR").ok_or("no XDG_RUNTIME_DIR")?;
    let display = env::var_os("WAYLAND_DISPLAY").ok_or("no WAYLAND_DISPLAY")?;
    let path = Path::new(&folder).join(display);

    let file = |seals: Seals| {
        let file = MemFile::create_sealable("pool")?;
        file.set_len(LEN.into())?;
        file.add_seals(seals)?;
        Ok::<_, memfile::Error>(file)
    };
    let fixed = file(Seals::FIXED_SIZE)?;
    let kinds = [
        ("no seals", file(Seals::empty())?.into_fd()),
        ("read-only", fixed.reopen_read_only()?.into_fd()),
        ("FIXED_SIZE", fixed.into_fd()),
        ("SharedMap::create", SharedMap::create("pool", LEN.into())?.into_mem_file().into_fd()),
        ("SealedFile", SealedFile::from_bytes("pool", &[0; LEN as usize])?.into_fd()),
    ];
    for (kind, fd) in kinds {
        match create_pool(&path, fd.as_fd()) {
            Ok(()) => println!("{kind}: accepted"),
            Err(error) => println!("{kind}: {error}"),
        }
    }
    Ok(())
}

fn create_pool(path: &Path, fd: BorrowedFd<'_>) -> io::Result<()> {
    let [registry, globals, shm, pool, done]: [u32; 5] = [2, 3, 4, 5, 6];
    let mut wayland = Wayland::connect(path)?;
    wayland.request(DISPLAY, 1, &[registry])?; // wl_display.get_registry
    wayland.request(DISPLAY, 0, &[globals])?; // wl_display.sync
    loop {
        let event = wayland.event()?;
        if event.object == registry && event.text(1) == "wl_shm" {
            wayland.request(registry, 0, &[&event.arguments[..], &[shm]].concat())?; // wl_registry.bind
            wayland.request_with(fd, shm, 0, &[pool, LEN])?; // wl_shm.create_pool
            // A refusal closes the connection, but its reason can still be read.
            wayland.request(DISPLAY, 0, &[done]).or_else(ignore_closed)?; // wl_display.sync
        } else if event.object == done {
            return Ok(());
        }
    }
}

fn ignore_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}
