//! Huge pages made with direct system calls, in ways that `memfile` does not use. All of them call
//! `madvise(MADV_COLLAPSE)`, which only the policy `deny` forbids, on a map that is aligned to huge pages.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::null_mut;

use rustix::fs::ftruncate;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

use crate::files;

/// The size of a huge page where base pages have 4 KiB.
pub const HUGE_PAGE: usize = 2 << 20;

/// `MADV_COLLAPSE`, which neither rustix nor all versions of libc have.
const COLLAPSE: libc::c_int = 25;

/// A writable map of a new file, at an address that is a multiple of [`HUGE_PAGE`].
struct Aligned {
    start: *mut u8,
    len: usize,
}

impl Aligned {
    /// The kernel does not align maps of memory files while its policy is `never`. So a map that is too long
    /// finds a place, at which the real map is then made.
    fn map(fd: impl AsFd, len: usize) -> io::Result<Self> {
        ftruncate(&fd, len as u64)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: The kernel chooses the place.
        let place = unsafe { mmap_anonymous(null_mut(), len + HUGE_PAGE, ProtFlags::empty(), flags) }?;
        // SAFETY: This is the whole map from above, and nothing refers to it.
        unsafe { munmap(place, len + HUGE_PAGE) }?;
        let hint = place.map_addr(|address| address.next_multiple_of(HUGE_PAGE));
        // SAFETY: Without MAP_FIXED the address is a hint, and no other map is replaced.
        let start = unsafe { mmap(hint, len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, fd, 0) }?;
        Ok(Self { start: start.cast(), len })
    }

    /// The part of the file from `offset`, at most `len` bytes long, and whether the kernel has given it
    /// huge pages. A collapse needs a page in each range, so the first byte of each is written before.
    fn collapsed(&mut self, offset: usize, len: usize) -> (&mut [u8], io::Result<()>) {
        let len = len.min(self.len - offset);
        // SAFETY: The range lies within the map, which nobody else uses, and which lives as long as `self` is borrowed.
        let range = unsafe { std::slice::from_raw_parts_mut(self.start.add(offset), len) };
        range.iter_mut().step_by(HUGE_PAGE).for_each(|byte| *byte = 0);
        // SAFETY: The range is part of one map, and the call changes no byte.
        let done = match unsafe { libc::madvise(range.as_mut_ptr().cast(), len, COLLAPSE) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        };
        (range, done)
    }

    /// Like [`Self::collapsed`], for a kernel that [can do it](works). If memory is short for a moment, the
    /// range gets ordinary pages, and the figures must be measured again.
    fn filled_next(&mut self, offset: usize, len: usize) -> &mut [u8] {
        let (range, done) = self.collapsed(offset, len);
        if let Err(error) = done {
            eprintln!("not collapsed: {error}");
        }
        range
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: The map is this value's own, and no slice of it is left.
        unsafe { munmap(self.start.cast(), self.len) }.expect("munmap");
    }
}

/// Whether this kernel has the call, and huge pages for memory files.
pub fn works() -> bool {
    let map = Aligned::map(files::create(), HUGE_PAGE);
    map.is_ok_and(|mut map| map.collapsed(0, HUGE_PAGE).1.is_ok())
}

/// A sealed file that `fill` has filled, piece by piece: each is collapsed and given to `fill` with its offset.
fn sealed(len: usize, step: usize, mut fill: impl FnMut(&mut [u8], usize)) -> OwnedFd {
    let fd = files::create();
    let mut map = Aligned::map(&fd, len).expect("a map");
    for offset in (0..len).step_by(step) {
        fill(map.filled_next(offset, step), offset);
    }
    drop(map);
    files::seal(&fd);
    fd
}

/// Copies `bytes` through the map, piece by piece, after each piece of the file was collapsed.
pub fn fill(bytes: &[u8], step: usize) -> OwnedFd {
    sealed(bytes.len(), step, |piece, offset| piece.copy_from_slice(&bytes[offset..offset + piece.len()]))
}

/// Writes `bytes` with `pwrite` into pages that have just been collapsed.
pub fn fill_by_write(bytes: &[u8]) -> OwnedFd {
    let fd = files::create();
    let file = File::from(fd.try_clone().expect("a descriptor"));
    let mut map = Aligned::map(&fd, bytes.len()).expect("a map");
    for (i, piece) in bytes.chunks(HUGE_PAGE).enumerate() {
        map.filled_next(i * HUGE_PAGE, HUGE_PAGE);
        file.write_all_at(piece, (i * HUGE_PAGE) as u64).expect("pwrite");
    }
    drop(map);
    files::seal(&fd);
    fd
}

/// Reads `source` into the map, piece by piece, after each piece of the file was collapsed.
pub fn copy(source: &File, len: usize, step: usize) -> OwnedFd {
    sealed(len, step, |piece, offset| source.read_exact_at(piece, offset as u64).expect("pread"))
}

/// Collapses the whole file, and lets `sendfile` fill it.
pub fn copy_by_sendfile(source: &File, len: usize) -> OwnedFd {
    let fd = files::create();
    let mut map = Aligned::map(&fd, len).expect("a map");
    map.filled_next(0, len);
    drop(map);
    files::send(source, &fd);
    files::seal(&fd);
    fd
}
