//! Every call of `memfile`, the same with direct calls of rustix, and those of other crates, each measured separately.

use std::fs::File;
use std::hint::black_box;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::atomic::Ordering::Relaxed;

use memfile::{CreateOptions, Holes, MapOptions, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat};
use rustix::io::retry_on_intr;
use rustix::mm::{MapFlags, ProtFlags};

/// Counts what a call costs. `who` is one of [`SUBJECTS`].
pub trait Meter {
    fn measure<T>(&mut self, call: &'static str, who: &'static str, f: impl FnOnce() -> T) -> T;
}

pub const MEMFILE: &str = "memfile";
pub const DIRECT: &str = "rustix";
pub const MEMFD: &str = "memfd 0.6";
pub const MEMFILE_03: &str = "memfile 0.3";
pub const MEMMAP2: &str = "memmap2";
pub const SUBJECTS: [&str; 5] = [MEMFILE, DIRECT, MEMFD, MEMFILE_03, MEMMAP2];

const NAME: &str = "a name of usual length";
const LEN: usize = 64;
/// Two huge pages on most machines.
const HUGE: usize = 4 << 20;
const SEALABLE: MemfdFlags = MemfdFlags::CLOEXEC.union(MemfdFlags::ALLOW_SEALING).union(MemfdFlags::NOEXEC_SEAL);
const PUNCH_HOLE: FallocateFlags = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::KEEP_SIZE);
const IMMUTABLE: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Makes each call once.
pub fn all(meter: &mut impl Meter) {
    create(meter);
    length(meter);
    bytes(meter);
    seals(meter);
    descriptors(meter);
    proofs(meter);
    maps(meter);
    fill(meter);
    shared(meter);
}

fn create(meter: &mut impl Meter) {
    let name = black_box(NAME);
    drop(meter.measure("create_sealable", MEMFILE, || MemFile::create_sealable(name)));
    drop(meter.measure("create_sealable", DIRECT, || rustix::fs::memfd_create(name, SEALABLE)));
    drop(meter.measure("create_sealable", MEMFD, || memfd::MemfdOptions::new().allow_sealing(true).create(name)));
    drop(meter.measure("create_sealable", MEMFILE_03, || memfile03::MemFile::create_sealable(name)));

    drop(meter.measure("create_default", MEMFILE, || MemFile::create_default(name)));
    drop(meter.measure("create_default", DIRECT, || {
        let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL)?;
        fcntl_add_seals(&fd, SealFlags::SEAL).map(|()| fd)
    }));

    let name = black_box(c"a name of usual length");
    drop(
        meter.measure("create_cstr", MEMFILE, || MemFile::create_cstr(name, CreateOptions::new().allow_sealing(true))),
    );
    drop(meter.measure("create_cstr", DIRECT, || rustix::fs::memfd_create(name, SEALABLE)));
    drop(meter.measure("create_cstr", MEMFILE_03, || {
        memfile03::MemFile::create_cstr(name, memfile03::CreateOptions::new().allow_sealing(true))
    }));
}

fn length(meter: &mut impl Meter) {
    let (file, old) = (sealable(), old_sealable());
    let len = black_box(100_u64);
    meter.measure("set_len", MEMFILE, || file.set_len(len)).expect("ftruncate");
    meter.measure("set_len", DIRECT, || rustix::fs::ftruncate(&file, len)).expect("ftruncate");
    meter.measure("set_len", MEMFILE_03, || old.set_len(len)).expect("ftruncate");
    meter.measure("len", MEMFILE, || file.len()).expect("fstat");
    meter.measure("len", DIRECT, || fstat(&file).map(|stat| stat.st_size)).expect("fstat");
    meter.measure("len", MEMFILE_03, || old.metadata().map(|metadata| metadata.len())).expect("fstat");
    meter.measure("allocate", MEMFILE, || file.allocate(0, len)).expect("fallocate");
    meter
        .measure("allocate", DIRECT, || rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len))
        .expect("fallocate");
    meter.measure("punch_hole", MEMFILE, || file.punch_hole(0, len)).expect("fallocate");
    meter.measure("punch_hole", DIRECT, || rustix::fs::fallocate(&file, PUNCH_HOLE, 0, len)).expect("fallocate");
}

fn bytes(meter: &mut impl Meter) {
    let (file, old) = (sealable(), old_sealable());
    let mut buffer = black_box([7; LEN]);
    meter.measure("write_at", MEMFILE, || file.write_at(&buffer, 0)).expect("pwrite");
    meter.measure("write_at", DIRECT, || rustix::io::pwrite(&file, &buffer, 0)).expect("pwrite");
    meter.measure("write_at", MEMFILE_03, || old.write_at(&buffer, 0)).expect("pwrite");
    meter.measure("write_all_at", MEMFILE, || file.write_all_at(&buffer, 0)).expect("pwrite");
    meter.measure("write_all_at", DIRECT, || direct_write_all(&file, &buffer)).expect("pwrite");
    meter.measure("write_all_at", MEMFILE_03, || old.write_all_at(&buffer, 0)).expect("pwrite");
    meter.measure("read_at", MEMFILE, || file.read_at(&mut buffer, 0)).expect("pread");
    meter.measure("read_at", DIRECT, || rustix::io::pread(&file, &mut buffer, 0)).expect("pread");
    meter.measure("read_at", MEMFILE_03, || old.read_at(&mut buffer, 0)).expect("pread");
    meter.measure("read_exact_at", MEMFILE, || file.read_exact_at(&mut buffer, 0)).expect("pread");
    meter.measure("read_exact_at", DIRECT, || direct_read_exact(&file, &mut buffer)).expect("pread");
    meter.measure("read_exact_at", MEMFILE_03, || old.read_exact_at(&mut buffer, 0)).expect("pread");
}

fn direct_write_all(fd: impl AsFd, bytes: &[u8]) -> rustix::io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match retry_on_intr(|| rustix::io::pwrite(&fd, &bytes[done..], done as u64))? {
            0 => return Err(rustix::io::Errno::IO),
            n => done += n,
        }
    }
    Ok(())
}

fn direct_read_exact(fd: impl AsFd, buffer: &mut [u8]) -> rustix::io::Result<()> {
    let mut done = 0;
    while done < buffer.len() {
        match retry_on_intr(|| rustix::io::pread(&fd, &mut buffer[done..], done as u64))? {
            0 => return Err(rustix::io::Errno::IO),
            n => done += n,
        }
    }
    Ok(())
}

fn seals(meter: &mut impl Meter) {
    let file = sealable();
    let old = old_sealable();
    let memfd = memfd::MemfdOptions::new().allow_sealing(true).create("memfd").expect("memfd_create");
    meter.measure("get_seals", MEMFILE, || file.get_seals()).expect("F_GET_SEALS");
    meter.measure("get_seals", DIRECT, || fcntl_get_seals(&file)).expect("F_GET_SEALS");
    meter.measure("get_seals", MEMFD, || memfd.seals()).expect("F_GET_SEALS");
    meter.measure("get_seals", MEMFILE_03, || old.get_seals()).expect("F_GET_SEALS");
    meter.measure("Seals::of", MEMFILE, || Seals::of(&file)).expect("F_GET_SEALS");
    meter.measure("Seals::of", DIRECT, || fcntl_get_seals(&file)).expect("F_GET_SEALS");
    meter.measure("add_seal", MEMFILE, || file.add_seal(Seal::Shrink)).expect("F_ADD_SEALS");
    meter.measure("add_seal", DIRECT, || fcntl_add_seals(&file, SealFlags::SHRINK)).expect("F_ADD_SEALS");
    meter.measure("add_seal", MEMFD, || memfd.add_seal(memfd::FileSeal::SealShrink)).expect("F_ADD_SEALS");
    meter.measure("add_seal", MEMFILE_03, || old.add_seal(memfile03::Seal::Shrink)).expect("F_ADD_SEALS");
    let direct = sealable();
    meter.measure("add_seals", MEMFILE, || file.add_seals(Seals::IMMUTABLE)).expect("F_ADD_SEALS");
    meter.measure("add_seals", DIRECT, || fcntl_add_seals(&direct, IMMUTABLE)).expect("F_ADD_SEALS");
    let seals =
        [memfd::FileSeal::SealSeal, memfd::FileSeal::SealShrink, memfd::FileSeal::SealGrow, memfd::FileSeal::SealWrite];
    meter.measure("add_seals", MEMFD, || memfd.add_seals(&seals)).expect("F_ADD_SEALS");
    let seals = memfile03::Seal::Seal | memfile03::Seal::Shrink | memfile03::Seal::Grow | memfile03::Seal::Write;
    meter.measure("add_seals", MEMFILE_03, || old.add_seals(seals)).expect("F_ADD_SEALS");
}

fn descriptors(meter: &mut impl Meter) {
    let (file, old) = (sealable(), old_sealable());
    drop(meter.measure("try_clone", MEMFILE, || file.try_clone()));
    drop(meter.measure("try_clone", DIRECT, || rustix::io::fcntl_dupfd_cloexec(&file, 0)));
    drop(meter.measure("try_clone", MEMFILE_03, || old.try_clone()));
    let fd = file.into_fd();
    let file = meter.measure("MemFile::from_fd", MEMFILE, || MemFile::from_fd(fd)).expect("F_GET_SEALS");
    meter.measure("MemFile::from_fd", DIRECT, || fcntl_get_seals(&file)).expect("F_GET_SEALS");
    let fd = old.into_fd();
    drop(meter.measure("MemFile::from_fd", MEMFILE_03, || memfile03::MemFile::from_fd(fd)));
    let memfd = memfd::MemfdOptions::new().create("memfd").expect("memfd_create").into_file();
    drop(meter.measure("MemFile::from_fd", MEMFD, || memfd::Memfd::try_from_file(memfd)));
    drop(meter.measure("reopen_read_only", MEMFILE, || file.reopen_read_only()));
    drop(meter.measure("reopen_read_only", DIRECT, || {
        let path = file.proc_path();
        rustix::fs::open(path.as_c_str(), OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
    }));
}

fn proofs(meter: &mut impl Meter) {
    let file = filled();
    let sealed = meter.measure("into_sealed", MEMFILE, || file.into_sealed()).expect("a proof");
    let file = filled();
    let file = meter.measure("into_sealed", DIRECT, || direct_seal(file.into_fd())).expect("a proof");
    drop(file);
    let fd = sealed.into_fd();
    let sealed = meter.measure("SealedFile::try_from", MEMFILE, || SealedFile::try_from(fd)).expect("a proof");
    let fd = sealed.into_fd();
    drop(meter.measure("SealedFile::try_from", DIRECT, || direct_proof(fd)).expect("a proof"));
    let sealed = SealedFile::from_bytes(NAME, b"bytes").expect("a sealed file");
    let fd = sealed.try_clone().expect("a descriptor").into_fd();
    let options = SealedFile::options().holes(Holes::Allocate);
    drop(meter.measure("verify(Allocate)", MEMFILE, || options.verify(fd)));
    let fd = sealed.try_clone().expect("a descriptor").into_fd();
    let options = SealedFile::options().holes(Holes::Populate);
    drop(meter.measure("verify(Populate)", MEMFILE, || options.verify(fd)));
    // Through a read-only descriptor, which `fallocate` refuses.
    let fd = sealed.reopen_read_only().expect("/proc").into_fd();
    drop(meter.measure("verify(Populate)/O_RDONLY", MEMFILE, || options.verify(fd)));
    let fd = filled().into_fd();
    drop(meter.measure("seal(Refuse)", MEMFILE, || SealedFile::options().seal(fd)));
    drop(meter.measure("SealedFile::reopen_read_only", MEMFILE, || sealed.reopen_read_only()));
}

/// The same system calls as in `into_sealed`, checked only for success.
fn direct_seal(fd: OwnedFd) -> rustix::io::Result<(OwnedFd, u64)> {
    fcntl_add_seals(&fd, IMMUTABLE)?;
    let (fd, len) = direct_proof(fd)?;
    rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, len)?;
    Ok((fd, len))
}

fn direct_proof(fd: OwnedFd) -> rustix::io::Result<(OwnedFd, u64)> {
    fcntl_get_seals(&fd)?;
    let stat = fstat(&fd)?;
    Ok((fd, stat.st_size.cast_unsigned()))
}

fn maps(meter: &mut impl Meter) {
    let sealed = SealedFile::from_bytes(NAME, &[7; LEN]).expect("a sealed file");
    let file = File::from(sealed.try_clone().expect("a descriptor").into_fd());
    let map = meter.measure("map", MEMFILE, || sealed.map()).expect("mmap");
    let direct = meter.measure("map", DIRECT, || direct_map(&sealed, LEN, ProtFlags::READ)).expect("mmap");
    // SAFETY: The file is sealed.
    let peer = meter.measure("map", MEMMAP2, || unsafe { memmap2::Mmap::map(&file) }).expect("mmap");
    meter.measure("Map::deref", MEMFILE, || black_box(&map).first().copied());
    meter.measure("Map::deref", MEMMAP2, || black_box(&peer).first().copied());
    meter.measure("drop(Map)", MEMFILE, || drop(map));
    // SAFETY: The mapping was made here, and nothing refers to it.
    meter.measure("drop(Map)", DIRECT, || unsafe { rustix::mm::munmap(direct, LEN) }).expect("munmap");
    meter.measure("drop(Map)", MEMMAP2, || drop(peer));

    let range = black_box(10..20);
    drop(meter.measure("map_range", MEMFILE, || sealed.map_range(range.clone())));
    meter.measure("map_range", DIRECT, || direct_range(&sealed, LEN as u64, range)).expect("mmap");
    let mut options = memmap2::MmapOptions::new();
    options.offset(black_box(10)).len(black_box(10));
    // SAFETY: The file is sealed.
    drop(meter.measure("map_range", MEMMAP2, || unsafe { options.map(&file) }));

    let populate = MapOptions::new().populate(true);
    drop(meter.measure("map_with(populate)", MEMFILE, || sealed.map_with(.., populate)));
    drop(meter.measure("map_copy_on_write", MEMFILE, || sealed.map_copy_on_write()));
    meter.measure("map_copy_on_write", DIRECT, || direct_private(&sealed, LEN)).expect("mmap");
    // SAFETY: The file is sealed.
    drop(meter.measure("map_copy_on_write", MEMMAP2, || unsafe { memmap2::MmapOptions::new().map_copy(&file) }));
}

fn direct_map(fd: impl AsFd, len: usize, protection: ProtFlags) -> rustix::io::Result<*mut core::ffi::c_void> {
    // SAFETY: The kernel picks free address space.
    unsafe { rustix::mm::mmap(ptr::null_mut(), len, protection, MapFlags::SHARED, fd, 0) }
}

/// Returns the mapping, and where the range begins in it, because an offset must be a multiple of the page size.
fn direct_range(fd: impl AsFd, len: u64, range: Range<u64>) -> rustix::io::Result<(*mut core::ffi::c_void, usize)> {
    if range.end > len || range.start >= range.end {
        return Err(rustix::io::Errno::INVAL);
    }
    let lead = range.start % (64 * 1024);
    let (offset, mapped) = (range.start - lead, (range.end - range.start + lead) as usize);
    // SAFETY: The kernel picks free address space.
    let base = unsafe { rustix::mm::mmap(ptr::null_mut(), mapped, ProtFlags::READ, MapFlags::SHARED, fd, offset) }?;
    Ok((base, lead as usize))
}

fn direct_private(fd: impl AsFd, len: usize) -> rustix::io::Result<*mut core::ffi::c_void> {
    // SAFETY: The kernel picks free address space.
    unsafe { rustix::mm::mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE, fd, 0) }
}

fn fill(meter: &mut impl Meter) {
    let bytes = black_box([7; LEN]);
    let name = black_box(NAME);
    drop(meter.measure("SealedFile::from_bytes", MEMFILE, || SealedFile::from_bytes(name, &bytes)));
    drop(meter.measure("SealedFile::from_bytes", DIRECT, || {
        let fd = rustix::fs::memfd_create(name, SEALABLE)?;
        direct_write_all(&fd, &bytes)?;
        fcntl_add_seals(&fd, IMMUTABLE)?;
        direct_proof(fd)
    }));
    drop(meter.measure("SealedFile::create_with", MEMFILE, || {
        SealedFile::create_with(name, LEN, |target| target.copy_from_slice(&bytes))
    }));
    let draft = meter.measure("draft", MEMFILE, || SealedFile::options().draft(name, LEN)).expect("a draft");
    drop(meter.measure("Draft::seal", MEMFILE, || draft.seal()));
    let draft = SealedFile::options().draft(name, LEN).expect("a draft");
    drop(meter.measure("Draft::share", MEMFILE, || draft.share()));
    let huge = SealedFile::options().huge_pages(true);
    let draft = meter.measure("draft(huge_pages)", MEMFILE, || huge.draft(name, HUGE)).expect("a draft");
    let sealed = draft.seal().map_err(|error| error.into_error()).expect("a sealed file");
    let options = MapOptions::new().huge_pages(true);
    drop(meter.measure("map_with(huge_pages)", MEMFILE, || sealed.map_with(.., options)));
    let source = filled();
    drop(meter.measure("SealedFile::copy_of", MEMFILE, || SealedFile::copy_of(name, &source)));
}

fn shared(meter: &mut impl Meter) {
    let file = fixed();
    let map = meter.measure("SharedMap::try_from", MEMFILE, || SharedMap::try_from(file)).expect("a map");
    let buffer = black_box([7; LEN]);
    let mut target = black_box([0; LEN]);
    meter.measure("SharedMap::write_all_at", MEMFILE, || map.write_all_at(&buffer, 0)).expect("within bounds");
    meter.measure("SharedMap::read_exact_at", MEMFILE, || map.read_exact_at(&mut target, 0)).expect("within bounds");
    let word = meter.measure("SharedMap::atomic", MEMFILE, || map.atomic::<u32>(8)).expect("within bounds");
    meter.measure("SharedAtomic::load", MEMFILE, || word.load(Relaxed));
    meter.measure("SharedAtomic::store", MEMFILE, || word.store(1, Relaxed));
    meter.measure("SharedAtomic::wait", MEMFILE, || word.wait(0)).expect("another value");
    meter.measure("SharedAtomic::wake_all", MEMFILE, || word.wake_all()).expect("nobody waits");
    let file = map.into_mem_file();
    let reader = file.reopen_read_only().expect("/proc");
    drop(meter.measure("SharedView::try_from", MEMFILE, || SharedView::try_from(reader)));
    let file = sealable();
    file.set_len(LEN as u64).expect("ftruncate");
    file.add_seal(Seal::Shrink).expect("F_ADD_SEALS");
    let reader = file.reopen_read_only().expect("/proc");
    let mut map = SharedMap::map(file, Holes::Accept).map_err(|error| error.into_error()).expect("a map");
    let mut view = SharedView::map(&reader, Holes::Accept).expect("a view");
    meter.measure("SharedMap::grow", MEMFILE, || map.grow(2 * LEN as u64)).expect("memory");
    meter.measure("SharedView::refresh", MEMFILE, || view.refresh(&reader, Holes::Accept)).expect("a longer view");
    let file = sized();
    let map = meter.measure("share", MEMFILE, || file.share()).map_err(|error| error.into_error()).expect("a map");
    drop(meter.measure("SharedMap::freeze", MEMFILE, || map.freeze()));
}

fn sealable() -> MemFile {
    MemFile::create_sealable(NAME).expect("memfd_create")
}

fn old_sealable() -> memfile03::MemFile {
    memfile03::MemFile::create_sealable(NAME).expect("memfd_create")
}

fn filled() -> MemFile {
    let file = sealable();
    file.write_all_at(&[7; LEN], 0).expect("pwrite");
    file
}

fn sized() -> MemFile {
    let options = CreateOptions::new().allow_sealing(true).exec(memfile::Exec::DenyUnsealed);
    let file = options.create(NAME).expect("memfd_create");
    file.set_len(LEN as u64).expect("ftruncate");
    file
}

fn fixed() -> MemFile {
    let file = sized();
    file.add_seals(Seals::FIXED_SIZE).expect("F_ADD_SEALS");
    file
}
