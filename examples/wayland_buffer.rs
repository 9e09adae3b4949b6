//! A pool of pixels for `wl_shm` that the client cannot truncate while the compositor reads it.
//! Run it with `cargo run --example wayland_buffer`.

use std::io::{ErrorKind, Result};
use std::os::unix::net::UnixStream;

use memfile::{MemFile, Seals, SharedMap, SharedView, socket};

const WIDTH: usize = 320;
const HEIGHT: usize = 200;
const PIXEL: usize = 4;

fn main() -> Result<()> {
    let (client, compositor) = UnixStream::pair()?;

    // The client: memory for every pixel, then no change of size, by anybody.
    let pool = MemFile::create_sealable("wl_shm")?;
    pool.allocate(0, (WIDTH * HEIGHT * PIXEL) as u64)?;
    pool.add_seals(Seals::FIXED_SIZE)?;
    socket::send(&client, b"create_pool", &[pool.as_fd()])?;
    let canvas = SharedMap::try_from(pool)?;
    for x in 0..WIDTH {
        canvas.write_all_at(&0xff_00_80_ff_u32.to_le_bytes(), (100 * WIDTH + x) * PIXEL)?;
    }

    let view = create_pool(&compositor)?;
    let mut pixel = [0; PIXEL];
    view.read_exact_at(&mut pixel, (100 * WIDTH + 7) * PIXEL)?;
    println!("a pool of {} bytes; the pixel at 7, 100 is {:08x}", view.len(), u32::from_le_bytes(pixel));
    if let Err(error) = canvas.as_mem_file().set_len(0) {
        println!("the client cannot truncate it: {error}");
    }

    // Another client, which forgets the seals.
    let careless = MemFile::create_sealable("wl_shm")?;
    careless.set_len(4096)?;
    socket::send(&client, b"create_pool", &[careless.as_fd()])?;
    if let Err(error) = create_pool(&compositor) {
        println!("the compositor refuses: {error}");
    }
    Ok(())
}

/// The compositor's side: a view that stays readable whatever the client does, or the reason for a protocol error.
fn create_pool(socket: &UnixStream) -> Result<SharedView> {
    let mut fds = [None];
    socket::recv(socket, &mut [0; 64], &mut fds)?;
    let [Some(fd)] = fds else { return Err(ErrorKind::InvalidData.into()) };
    Ok(SharedView::try_from(fd)?)
}
