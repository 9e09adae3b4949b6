//! A pool of pixels for `wl_shm` that the client cannot truncate while the compositor reads it.
//! Run it with `cargo run --example wayland_buffer`: if `WAYLAND_DISPLAY` is set, it shows a window.
//! Otherwise it is its own compositor, which also gets pools from careless clients.

#[path = "wayland_buffer/wire.rs"]
mod wire;

use core::mem;
use std::collections::HashMap;
use std::env;
use std::io::{ErrorKind, Result};
use std::os::unix::net::UnixStream;
use std::path::Path;

use memfile::{CreateOptions, Holes, MemFile, Seal, Seals, SharedMap, SharedView, socket};
use wire::{DISPLAY, Wayland};

const WIDTH: u32 = 320;
const HEIGHT: u32 = 200;
const STRIDE: u32 = WIDTH * 4;
const LEN: u32 = STRIDE * HEIGHT;
const ARGB8888: u32 = 0;

// The client chooses the numbers of its objects, in the order in which it makes them.
const REGISTRY: u32 = 2;
const GLOBALS: u32 = 3;
const COMPOSITOR: u32 = 4;
const SHM: u32 = 5;
const WM_BASE: u32 = 6;
const SURFACE: u32 = 7;
const XDG_SURFACE: u32 = 8;
const TOPLEVEL: u32 = 9;
const POOL: u32 = 10;
const BUFFER: u32 = 11;
const FRAME: u32 = 12;

fn main() -> Result<()> {
    let canvas = draw()?;
    let Some(display) = env::var_os("WAYLAND_DISPLAY") else {
        return rehearse(&canvas);
    };
    let folder = env::var_os("XDG_RUNTIME_DIR").unwrap_or_default();
    show(&canvas, Wayland::connect(&Path::new(&folder).join(display))?)
}

/// The picture of the client: the upper half is blue, the lower half orange.
///
/// The file is fully allocated, and nobody can change its size. Do not add FutureWrite or pass a
/// read-only descriptor, because libwayland maps every pool for writing.
fn draw() -> Result<SharedMap> {
    let pool = MemFile::create_sealable("wl_shm")?;
    pool.allocate(0, LEN.into())?;
    pool.add_seals(Seals::FIXED_SIZE)?;
    let canvas = SharedMap::try_from(pool)?;
    let (blue, orange) = (0xff_00_80_ff_u32, 0xff_ff_80_00_u32);
    for pixel in 0..WIDTH * HEIGHT {
        let color = if pixel < WIDTH * HEIGHT / 2 { blue } else { orange };
        canvas.write_all_at(&color.to_le_bytes(), 4 * pixel as usize)?;
    }
    Ok(canvas)
}

/// Shows a window in a real compositor until somebody closes it.
///
/// Requests and events are numbered by their place in the interface; comments give their names.
fn show(canvas: &SharedMap, mut wayland: Wayland) -> Result<()> {
    let mut globals = HashMap::new();
    let mut attached = false;

    wayland.request(DISPLAY, 1, &[REGISTRY])?; // wl_display.get_registry
    wayland.request(DISPLAY, 0, &[GLOBALS])?; // wl_display.sync
    loop {
        let event = wayland.event()?;
        match (event.object, event.opcode) {
            // wl_registry.global
            (REGISTRY, 0) => drop(globals.insert(event.text(1), event.arguments)),
            // wl_callback.done: those were all.
            (GLOBALS, 0) => {
                for (interface, id) in [("wl_compositor", COMPOSITOR), ("wl_shm", SHM), ("xdg_wm_base", WM_BASE)] {
                    let global = globals.get(interface).ok_or(ErrorKind::Unsupported)?;
                    wayland.request(REGISTRY, 0, &[global, &[id][..]].concat())?; // wl_registry.bind
                }
                wayland.request(COMPOSITOR, 0, &[SURFACE])?; // wl_compositor.create_surface
                wayland.request(WM_BASE, 2, &[XDG_SURFACE, SURFACE])?; // xdg_wm_base.get_xdg_surface
                wayland.request(XDG_SURFACE, 1, &[TOPLEVEL])?; // xdg_surface.get_toplevel
                wayland.request(SURFACE, 6, &[])?; // wl_surface.commit
            }
            // xdg_surface.configure
            (XDG_SURFACE, 0) => {
                wayland.request(XDG_SURFACE, 4, &event.arguments)?; // xdg_surface.ack_configure
                if !mem::replace(&mut attached, true) {
                    wayland.request_with(canvas.as_mem_file().as_fd(), SHM, 0, &[POOL, LEN])?; // wl_shm.create_pool
                    wayland.request(POOL, 0, &[BUFFER, 0, WIDTH, HEIGHT, STRIDE, ARGB8888])?; // create_buffer
                    wayland.request(SURFACE, 1, &[BUFFER, 0, 0])?; // wl_surface.attach
                    wayland.request(SURFACE, 2, &[0, 0, WIDTH, HEIGHT])?; // wl_surface.damage
                    wayland.request(SURFACE, 3, &[FRAME])?; // wl_surface.frame
                }
                wayland.request(SURFACE, 6, &[])?; // wl_surface.commit
            }
            // wl_callback.done: it is on the screen.
            (FRAME, 0) => println!("a window of {WIDTH} x {HEIGHT} pixels is shown"),
            // xdg_wm_base.ping
            (WM_BASE, 0) => wayland.request(WM_BASE, 3, &event.arguments)?, // xdg_wm_base.pong
            // xdg_toplevel.close
            (TOPLEVEL, 1) => return Ok(()),
            _ => {}
        }
    }
}

/// Plays both sides in one process.
fn rehearse(canvas: &SharedMap) -> Result<()> {
    let (client, compositor) = UnixStream::pair()?;
    socket::send(&client, b"create_pool", &[canvas.as_mem_file().as_fd()])?;
    let view = create_pool(&compositor, LEN)?;
    let mut pixel = [0; 4];
    view.read_exact_at(&mut pixel, (100 * STRIDE + 4 * 7) as usize)?;
    println!("a pool of {} bytes; the pixel at 7, 100 is {:08x}", view.len(), u32::from_le_bytes(pixel));
    if let Err(error) = canvas.as_mem_file().set_len(0) {
        println!("the client cannot truncate it: {error}");
    }

    // A client that has set the length but forgotten the seals.
    let careless = MemFile::create_sealable("wl_shm")?;
    careless.set_len(LEN.into())?;
    socket::send(&client, b"create_pool", &[careless.as_fd()])?;
    let view = create_pool(&compositor, LEN)?;
    println!("a careless client's pool of {} bytes now has the seals {}", view.len(), careless.get_seals()?);

    // A client whose file cannot have seals.
    let unsealable = MemFile::create("wl_shm", CreateOptions::new())?;
    unsealable.set_len(LEN.into())?;
    socket::send(&client, b"create_pool", &[unsealable.as_fd()])?;
    if let Err(error) = create_pool(&compositor, LEN) {
        println!("the compositor refuses: {error}");
    }
    Ok(())
}

/// The side of the compositor: returns a view that the client cannot truncate, or the reason for a protocol
/// error.
fn create_pool(socket: &UnixStream, len: u32) -> Result<SharedView> {
    let mut fds = [None];
    socket::recv(socket, &mut [0; 64], &mut fds)?;
    let [Some(fd)] = fds else { return Err(ErrorKind::InvalidData.into()) };
    let pool = MemFile::from_fd(fd)?;
    // In the protocol a pool can only grow. So if the client has forgotten this seal, the compositor may
    // add it. This waits while the client holds the file's lock, and so does `allocate`: if clients may
    // be hostile, do both in a thread of their own.
    if !pool.get_seals()?.contains(Seal::Shrink) {
        pool.add_seal(Seal::Shrink)?;
    }
    // A file of which only the length was set has no memory yet. Allocate it now, so that reading cannot
    // fail for lack of memory later, but only for the length that the client has announced, because the
    // file may be much longer. The client can still punch holes, which are allocated when they are read:
    // if then no memory is left, or no huge page for a file of such pages, this process gets SIGBUS or is
    // killed. A compositor that does not trust its clients copies the pixels with `MemFile::read_at`.
    pool.allocate(0, len.into())?;
    Ok(SharedView::map_range(&pool, ..u64::from(len), Holes::Accept)?)
}
