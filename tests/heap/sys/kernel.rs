//! A simulated kernel that has only memory files, and only the behaviour on which the crate relies.
//!
//! The memory of a file is one allocation of whole pages, and its shared mappings are pointers into
//! it. When the last one is unmapped, the bytes move to another allocation, so that Miri reports
//! any use of a pointer into a former mapping. Bytes after the last page are not allocated.
//!
//! Descriptors are real ones, of sockets, so that they have distinct numbers and can be closed.
//! Only `sys` knows which file they stand for, so methods that use `std` directly do not work.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use core::time::Duration;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Access;
use super::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use crate::error::Errno;
use crate::seal::{Seal, Seals};

pub(super) const PAGE: usize = 4096;

/// How much a file can grow while it is mapped, and the maximum length of a file.
const ROOM: usize = 16 * PAGE;
const LONGEST: u64 = 1 << 24;

type Result<T> = core::result::Result<T, Errno>;

pub(super) struct Kernel {
    files: Vec<File>,
    open: Vec<Open>,
    descriptors: BTreeMap<RawFd, usize>,
    mappings: Vec<Mapping>,
    sleepers: Vec<Sleeper>,
}

#[derive(Copy, Clone)]
pub(super) struct Open {
    pub(super) inode: usize,
    pub(super) read_only: bool,
    pub(super) position: u64,
}

pub(super) struct File {
    name: Vec<u8>,
    pub(super) seals: Seals,
    pub(super) mode: u32,
    pub(super) len: usize,
    /// The pages that are not holes.
    pub(super) present: BTreeSet<usize>,
    memory: Memory,
}

struct Mapping {
    inode: usize,
    /// The offset in the file.
    offset: usize,
    base: NonNull<u8>,
    len: usize,
    /// Whether it is shared and writable.
    writes: bool,
    /// The memory of a private mapping.
    own: Option<Memory>,
}

struct Sleeper {
    inode: usize,
    offset: usize,
    id: u64,
}

// SAFETY: The pointers point to memory that the kernel owns.
unsafe impl Send for Kernel {}

// `lock` ignores poisoning, so that other tests go on if one panics while it has the lock.
static KERNEL: Mutex<Kernel> = Mutex::new(Kernel {
    files: Vec::new(),
    open: Vec::new(),
    descriptors: BTreeMap::new(),
    mappings: Vec::new(),
    sleepers: Vec::new(),
});
static WOKEN: Condvar = Condvar::new();

pub(super) fn lock() -> MutexGuard<'static, Kernel> {
    KERNEL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory of whole pages, initially zero.
struct Memory {
    base: NonNull<u8>,
    len: usize,
}

impl Memory {
    fn new(len: usize) -> Self {
        let len = len.next_multiple_of(PAGE).max(PAGE);
        // SAFETY: The length is not 0.
        let base = unsafe { alloc_zeroed(Self::layout(len)) };
        Self { base: NonNull::new(base).unwrap(), len }
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, PAGE).unwrap()
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.len);
        // SAFETY: The offset lies within the allocation, or at its end.
        unsafe { self.base.add(offset) }
    }

    /// Does not use atomic words, which are slow under Miri. That is sound, because no test reads
    /// or writes a file with a call while another thread writes to it through a map.
    fn read(&self, buf: &mut [u8], offset: usize) {
        assert!(offset + buf.len() <= self.len);
        // SAFETY: The range lies within the allocation, to which there is no `&mut`.
        unsafe { self.at(offset).copy_to_nonoverlapping(NonNull::from(&mut *buf).cast(), buf.len()) }
    }

    fn write(&self, buf: &[u8], offset: usize) {
        assert!(offset + buf.len() <= self.len);
        // SAFETY: As for `read`, and there are no other references either.
        unsafe { self.at(offset).copy_from_nonoverlapping(NonNull::from(buf).cast(), buf.len()) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: The memory was allocated with this layout.
        unsafe { dealloc(self.base.as_ptr(), Self::layout(self.len)) }
    }
}

impl File {
    pub(super) fn new(name: &[u8], seals: Seals, mode: u32) -> Self {
        Self { name: name.into(), seals, mode, len: 0, present: BTreeSet::new(), memory: Memory::new(0) }
    }

    /// Moves the bytes to another allocation. Called only while no mapping refers to them.
    fn relocate(&mut self, len: usize) {
        let grows = self.seals.contains(Seal::Shrink) && !self.seals.contains(Seal::Grow);
        let memory = Memory::new(len + if grows { ROOM } else { 0 });
        let mut bytes = vec![0; self.len.min(len)];
        self.memory.read(&mut bytes, 0);
        memory.write(&bytes, 0);
        self.memory = memory;
    }

    fn touch(&mut self, offset: usize, len: usize) {
        self.present.extend(offset / PAGE..(offset + len).div_ceil(PAGE));
    }

    pub(super) fn punch(&mut self, offset: u64, len: u64) -> Result<()> {
        if len == 0 {
            return Err(Errno::INVAL);
        }
        if self.seals.intersects(Seal::Write | Seal::FutureWrite) {
            return Err(Errno::PERM);
        }
        let start = (offset as usize).min(self.len);
        let end = offset.saturating_add(len).min(self.len as u64) as usize;
        self.memory.write(&vec![0; end - start], start);
        self.present.retain(|page| !(start.div_ceil(PAGE)..end / PAGE).contains(page));
        Ok(())
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let start = offset.min(self.len as u64) as usize;
        let n = buf.len().min(self.len - start);
        self.memory.read(&mut buf[..n], start);
        n
    }
}

impl Kernel {
    pub(super) fn create(&mut self, file: File) -> OwnedFd {
        self.files.push(file);
        self.install(Open { inode: self.files.len() - 1, read_only: false, position: 0 })
    }

    fn install(&mut self, open: Open) -> OwnedFd {
        self.open.push(open);
        self.name_it(self.open.len() - 1)
    }

    fn name_it(&mut self, open: usize) -> OwnedFd {
        let (socket, _) = UnixStream::pair().unwrap();
        self.descriptors.insert(socket.as_raw_fd(), open);
        socket.into()
    }

    pub(super) fn dup(&mut self, fd: BorrowedFd<'_>) -> Result<OwnedFd> {
        let open = *self.descriptors.get(&fd.as_raw_fd()).ok_or(Errno::BADF)?;
        Ok(self.name_it(open))
    }

    fn open_of(&self, fd: RawFd) -> Result<&Open> {
        self.descriptors.get(&fd).map(|&open| &self.open[open]).ok_or(Errno::BADF)
    }

    pub(super) fn reopen(&mut self, fd: RawFd) -> Result<OwnedFd> {
        let Open { inode, .. } = *self.open_of(fd).map_err(|_| Errno::NOENT)?;
        Ok(self.install(Open { inode, read_only: true, position: 0 }))
    }

    pub(super) fn name(&self, fd: RawFd) -> Result<&[u8]> {
        let open = self.open_of(fd).map_err(|_| Errno::NOENT)?;
        Ok(&self.files[open.inode].name)
    }

    pub(super) fn open(&self, fd: BorrowedFd<'_>) -> Result<Open> {
        self.open_of(fd.as_raw_fd()).copied()
    }

    pub(super) fn seek(&mut self, fd: BorrowedFd<'_>, position: u64) -> Result<()> {
        let open = *self.descriptors.get(&fd.as_raw_fd()).ok_or(Errno::BADF)?;
        self.open[open].position = position;
        Ok(())
    }

    pub(super) fn file(&mut self, fd: BorrowedFd<'_>) -> Result<&mut File> {
        let inode = self.open(fd)?.inode;
        Ok(&mut self.files[inode])
    }

    fn shared_of(&self, inode: usize) -> impl Iterator<Item = &Mapping> {
        self.mappings.iter().filter(move |mapping| mapping.inode == inode && mapping.own.is_none())
    }

    pub(super) fn has_writers(&self, fd: BorrowedFd<'_>) -> bool {
        self.open(fd).is_ok_and(|open| self.shared_of(open.inode).any(|mapping| mapping.writes))
    }

    /// The file, or `error` if the descriptor is read-only.
    fn writable(&mut self, fd: BorrowedFd<'_>, error: Errno) -> Result<&mut File> {
        if self.open(fd)?.read_only { Err(error) } else { self.file(fd) }
    }

    pub(super) fn set_len(&mut self, fd: BorrowedFd<'_>, len: u64) -> Result<()> {
        let inode = self.open(fd)?.inode;
        let is_mapped = self.shared_of(inode).next().is_some();
        let file = self.writable(fd, Errno::INVAL)?;
        if len > LONGEST {
            return Err(Errno::FBIG);
        }
        let len = len as usize;
        let seal = if len < file.len { Seal::Shrink } else { Seal::Grow };
        if len != file.len && file.seals.contains(seal) {
            return Err(Errno::PERM);
        }
        assert!(!is_mapped || len >= file.len, "a mapping would end beyond the file");
        if len < file.len {
            file.memory.write(&vec![0; file.len - len], len);
            file.present.split_off(&len.div_ceil(PAGE));
        }
        if !is_mapped {
            file.relocate(len);
        }
        assert!(len <= file.memory.len, "a mapped file has no room for {len} bytes");
        file.len = len;
        Ok(())
    }

    pub(super) fn allocate(&mut self, fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<()> {
        let old = self.writable(fd, Errno::BADF)?.len;
        let end = offset.saturating_add(len);
        if len == 0 {
            return Err(Errno::INVAL);
        }
        if end > old as u64 {
            self.set_len(fd, end)?;
        }
        self.file(fd)?.touch(offset as usize, len as usize);
        Ok(())
    }

    pub(super) fn write(&mut self, fd: BorrowedFd<'_>, buf: &[u8], offset: u64) -> Result<usize> {
        let file = self.writable(fd, Errno::BADF)?;
        let end = offset.saturating_add(buf.len() as u64);
        if file.seals.intersects(Seal::Write | Seal::FutureWrite) {
            return Err(Errno::PERM);
        }
        if end > file.len as u64 {
            self.set_len(fd, end)?;
        }
        let file = self.file(fd)?;
        file.memory.write(buf, offset as usize);
        file.touch(offset as usize, buf.len());
        Ok(buf.len())
    }

    pub(super) fn map(&mut self, fd: BorrowedFd<'_>, offset: u64, len: usize, access: Access) -> Result<NonNull<u8>> {
        let Open { inode, read_only, .. } = self.open(fd)?;
        let (offset, writes) = (offset as usize, matches!(access, Access::SharedWrite));
        let is_mapped = self.shared_of(inode).next().is_some();
        let file = &mut self.files[inode];
        if writes && read_only {
            return Err(Errno::ACCESS);
        }
        if writes && file.seals.intersects(Seal::Write | Seal::FutureWrite) {
            return Err(Errno::PERM);
        }
        if matches!(access, Access::ConstantRead | Access::PrivateWrite) {
            assert!(file.seals.contains(Seals::CONSTANT), "mapped as constant without the seals");
        }
        assert!(len > 0 && offset % PAGE == 0);
        assert!(offset + len <= file.len.next_multiple_of(PAGE), "a mapping beyond the end of the file");
        let own = matches!(access, Access::PrivateWrite).then(|| {
            let memory = Memory::new(len);
            let mut bytes = vec![0; len.min(file.len - offset)];
            file.memory.read(&mut bytes, offset);
            memory.write(&bytes, 0);
            memory
        });
        if own.is_none() && !is_mapped {
            file.relocate(file.len);
        }
        let base = own.as_ref().map_or_else(|| file.memory.at(offset), |memory| memory.base);
        self.mappings.push(Mapping { inode, offset, base, len, writes, own });
        Ok(base)
    }

    /// If there are several mappings of the same bytes, removes a writable one first.
    pub(super) fn unmap(&mut self, base: NonNull<u8>, len: usize) {
        let same = |mapping: &&Mapping| mapping.base == base && mapping.len == len;
        let writes = self.mappings.iter().filter(same).any(|mapping| mapping.writes);
        let place = self.mappings.iter().position(|mapping| same(&mapping) && mapping.writes == writes);
        let mapping = self.mappings.swap_remove(place.unwrap_or_else(|| panic!("no such mapping")));
        if mapping.own.is_none() && self.shared_of(mapping.inode).next().is_none() {
            let file = &mut self.files[mapping.inode];
            file.relocate(file.len);
        }
    }

    /// The file that is mapped at `address`, and the offset in it.
    fn place(&self, address: NonNull<u8>, len: usize) -> Option<(usize, usize)> {
        self.mappings.iter().find_map(|mapping| {
            let at = address.addr().get().checked_sub(mapping.base.addr().get())?;
            (at < mapping.len && at + len <= mapping.len.next_multiple_of(PAGE))
                .then_some((mapping.inode, mapping.offset + at))
        })
    }

    pub(super) fn touch(&mut self, base: NonNull<u8>, len: usize) -> Result<()> {
        let (inode, offset) = self.place(base, len).ok_or(Errno::NOMEM)?;
        self.files[inode].touch(offset, len);
        Ok(())
    }

    /// Loads four bytes by loading the whole word that contains them, because Miri forbids atomic
    /// accesses of different sizes to the same memory.
    fn load(&self, inode: usize, offset: usize) -> u32 {
        const WORD: usize = size_of::<usize>();
        let word = self.files[inode].memory.at(offset & !(WORD - 1)).cast::<AtomicUsize>();
        // SAFETY: The word is aligned, and lies within the allocation.
        let bytes = unsafe { word.as_ref() }.load(SeqCst).to_ne_bytes();
        let first = offset % WORD;
        u32::from_ne_bytes(bytes[first..first + 4].try_into().unwrap())
    }
}

pub(super) fn futex_wait(word: NonNull<u8>, expected: u32, timeout: Option<Duration>) -> Result<bool> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let start = Instant::now();
    let mut kernel = lock();
    let (inode, offset) = kernel.place(word, 4).ok_or(Errno::FAULT)?;
    if kernel.load(inode, offset) != expected {
        return Ok(true);
    }
    let id = NEXT.fetch_add(1, SeqCst) as u64;
    kernel.sleepers.push(Sleeper { inode, offset, id });
    loop {
        if !kernel.sleepers.iter().any(|sleeper| sleeper.id == id) {
            return Ok(true);
        }
        let rest = timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(start.elapsed()));
        if rest.is_zero() {
            kernel.sleepers.retain(|sleeper| sleeper.id != id);
            return Ok(false);
        }
        (kernel, _) =
            WOKEN.wait_timeout(kernel, rest.min(Duration::from_secs(3600))).unwrap_or_else(PoisonError::into_inner);
    }
}

pub(super) fn futex_wake(word: NonNull<u8>, most: u32) -> Result<usize> {
    let mut kernel = lock();
    let place = kernel.place(word, 4).ok_or(Errno::FAULT)?;
    let mut woken = 0;
    kernel.sleepers.retain(|sleeper| {
        let wakes = woken < most as usize && (sleeper.inode, sleeper.offset) == place;
        woken += usize::from(wakes);
        !wakes
    });
    WOKEN.notify_all();
    Ok(woken)
}
