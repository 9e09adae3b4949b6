//! Calls every public function of the crate without `std`. The panic handler uses the place in the source, so the program
//! contains the names of exactly those files that the compiler could not prove free of panics. See `ci/no-panic`.
//!
//! Left out are the implementations of `Debug` and `Display`: formatting in `core` can panic.
#![no_std]
#![no_main]

use core::ffi::CStr;
use core::hint::black_box;
use core::sync::atomic::Ordering;
use core::time::Duration;

use memfile::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use memfile::kernel::{Feature, Support};
use memfile::{
    AtomicInteger, CreateOptions, Draft, Error, ErrorWith, Exec, Holes, HugeTlb, Map, MapOptions, MemFile, Seal,
    SealedFile, SealedFileOptions, Seals, SharedAtomic, SharedAtomicView, SharedMap, SharedView, socket,
};

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    used(info.location());
    loop {}
}

/// Any value that the compiler knows nothing of.
fn any<T: Default>() -> T {
    black_box(T::default())
}

/// Keeps a result from being optimized away, and lets its parts be dropped.
fn used<T>(value: T) {
    black_box(value);
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let options = options();
    if let Ok(file) = create(options) {
        file_calls(&file);
        consuming_calls(file, options);
    }
    filling(options);
    seals();
    support();
    #[cfg(feature = "seeded")]
    used(any::<[u8; 4]>()[any::<usize>()]);
    loop {}
}

fn options() -> CreateOptions {
    CreateOptions::new()
        .allow_sealing(any())
        .close_on_exec(any())
        .huge_tlb(black_box(HugeTlb::Huge2MB))
        .exec(black_box(Exec::Deny))
}

fn create(options: CreateOptions) -> Result<MemFile, Error> {
    used(black_box(HugeTlb::Huge1GB).bytes());
    used(MemFile::create_default(any::<&str>()));
    used(MemFile::create_sealable(any::<&CStr>()));
    used(MemFile::create_cstr(any::<&CStr>(), options));
    used(options.create_cstr(any::<&CStr>()));
    used(options.create(any::<&str>()));
    MemFile::create(any::<&str>(), options)
}

fn file_calls(file: &MemFile) {
    let mut buffer = black_box([0_u8; 100]);
    let part = black_box(&mut buffer[..]);
    used(file.as_fd().as_raw_fd());
    used(file.try_clone());
    used((file.len(), file.is_empty()));
    used(file.set_len(any()));
    used(file.allocate(any(), any()));
    used(file.punch_hole(any(), any()));
    used(file.read_at(part, any()));
    used(file.read_exact_at(part, any()));
    used(file.write_at(part, any()));
    used(file.write_all_at(part, any()));
    used((file.get_seals(), Seals::of(black_box(file)), file.is_memfd()));
    used(file.add_seal(black_box(Seal::Write)));
    used(file.add_seals(black_box(Seal::Write)));
    used(file.add_seals(any::<Seals>()));
    used(file.copy_from(black_box(file), any()));
    used(file.proc_path().as_c_str().count_bytes());
    used(file.proc_path_of(any()).as_c_str().count_bytes());
    used(file.reopen_read_only());
    if let Ok(name) = file.name() {
        used(name.len());
    }
    used(socket::send(file, part, black_box(&[file.as_fd()])));
    used(socket::recv(file, part, black_box(&mut [None, None])));
    used(SealedFile::recv(file, part));
}

/// A file, or what an error gives back.
fn either(result: Result<SealedFile, ErrorWith<MemFile>>) -> MemFile {
    match result {
        Ok(sealed) => {
            sealed_calls(&sealed);
            sealed.into()
        }
        Err(error) => {
            error_calls(error.error());
            used(error.get_ref().as_raw_fd());
            error.into_inner()
        }
    }
}

fn from_fd(result: Result<SealedFile, ErrorWith<OwnedFd>>) -> Option<MemFile> {
    match result {
        Ok(sealed) => MemFile::from_fd(sealed.into_fd()).ok(),
        Err(error) => MemFile::try_from(error.into_fd()).ok(),
    }
}

fn consuming_calls(file: MemFile, options: CreateOptions) {
    let holes = black_box(Holes::Populate);
    let sealed = sealed_options(options);
    let file = either(file.into_sealed());
    let file = either(file.into_sealed_timeout(any::<Duration>()));
    let file = either(SealedFile::try_from(file));
    let Some(file) = from_fd(sealed.verify(file)) else { return };
    let Some(file) = from_fd(sealed.seal(file)) else { return };
    let file = match SharedMap::map(file, holes) {
        Ok(map) => {
            shared_calls(&map);
            map.into_mem_file()
        }
        Err(error) => error.into_parts().1,
    };
    let file = match file.share() {
        Ok(map) => either(map.freeze()),
        Err(error) => error.into_inner(),
    };
    if let Ok(mut view) = SharedView::map(&file, holes) {
        view_calls(&view);
        used(view.refresh(&file, holes));
    }
    used(SharedView::map_range(&file, any::<u64>()..any(), holes));
    if let Ok(mut map) = create(options).and_then(|file| Ok(SharedMap::map_range(file, any::<u64>().., holes)?)) {
        used(map.grow(any()));
    }
    used(create(options).map(SharedView::try_from));
    used(create(options).map(|file| SharedView::try_from(file.into_fd())));
    used(create(options).map(SharedMap::try_from));
    used(create(options).map(|file| file.into_raw_fd()));
    used(create(options).map(|file| SealedFile::try_from(file.into_fd())));
}

fn sealed_calls(file: &SealedFile) {
    used((file.len(), file.is_empty(), file.as_raw_fd()));
    let mut buffer = black_box([0_u8; 100]);
    used((file.read_at(&mut buffer, any()), file.read_exact_at(&mut buffer, any())));
    used((file.get_seals(), file.as_mem_file().len()));
    used(file.name().as_deref().map(<[u8]>::len));
    used(file.proc_path().as_c_str().count_bytes());
    used((file.reopen_read_only(), file.try_clone()));
    used(file.send(black_box(file), any::<&[u8]>()));
    used(socket::send_to(black_box(file), any(), any(), &[file.as_fd()]));
    if let Ok(map) = file.map() {
        used(map.first().copied());
    }
    used(file.map_range(any::<u64>()..any()).as_deref().map(<[u8]>::len));
    used(file.map_range(any::<u64>()..=any()).as_ref().map(Map::as_ref).map(<[u8]>::len));
    let options = MapOptions::new().populate(any()).huge_pages(any());
    used(file.map_with(any::<u64>().., options));
    if let Ok(mut map) = file.map_copy_on_write() {
        map.fill(any());
    }
    used(file.map_copy_on_write_with(..any::<u64>(), options));
}

fn shared_calls(map: &SharedMap) {
    used(SharedMap::create(any::<&str>(), any()));
    used(SharedMap::create_fixed_size(any::<&str>(), any()));
    used(map.as_ptr());
    let mut buffer = black_box([0_u8; 100]);
    used((map.len(), map.is_empty(), map.reader(), map.as_fd().as_raw_fd(), map.as_mem_file().len()));
    used(map.read_exact_at(&mut buffer, any()));
    used(map.write_all_at(&buffer, any()));
    atomic_calls(map.atomic::<u8>(any()));
    atomic_calls(map.atomic::<u16>(any()));
    atomic_calls(map.atomic::<u32>(any()));
    atomic_calls(map.atomic::<usize>(any()));
    atomic_calls(map.atomic::<u64>(any()));
    atomic_calls(map.atomic::<i64>(any()));
    if let Ok(atomic) = map.atomic::<u32>(any()) {
        used((atomic.wait(any()), atomic.wait_timeout(any(), any::<Duration>())));
        used((atomic.wake_one(), atomic.wake_all()));
    }
}

/// Orderings that the type allows in every place; see the pages of each call.
fn atomic_calls<T: AtomicInteger + Default>(atomic: Result<SharedAtomic<'_, T>, Error>) {
    let Ok(atomic) = atomic else { return };
    let order = black_box(Ordering::SeqCst);
    used(atomic.load(order));
    atomic.store(any(), order);
    used(atomic.swap(any(), order));
    used(atomic.compare_exchange(any(), any(), order, order));
    used(atomic.compare_exchange_weak(any(), any(), order, order));
    used((atomic.fetch_xor(any(), order), atomic.fetch_nand(any(), order)));
    used((atomic.fetch_max(any(), order), atomic.fetch_min(any(), order)));
    used((atomic.fetch_add(any(), order), atomic.fetch_sub(any(), order)));
    used((atomic.fetch_and(any(), order), atomic.fetch_or(any(), order)));
    used(atomic.fetch_update(order, order, |old| black_box(Some(old))));
}

fn view_calls(view: &SharedView) {
    fn load<T: AtomicInteger>(atomic: Result<SharedAtomicView<'_, T>, Error>) {
        used(atomic.map(|atomic| atomic.load(black_box(Ordering::SeqCst))));
    }
    let mut buffer = black_box([0_u8; 100]);
    used((view.len(), view.is_empty(), view.as_ptr()));
    used(view.read_exact_at(&mut buffer, any()));
    load(view.atomic::<u8>(any()));
    load(view.atomic::<u16>(any()));
    load(view.atomic::<u32>(any()));
    load(view.atomic::<usize>(any()));
    load(view.atomic::<u64>(any()));
    if let Ok(atomic) = view.atomic::<u32>(any()) {
        used((atomic.wait(any()), atomic.wait_timeout(any(), any::<Duration>())));
    }
}

fn sealed_options(options: CreateOptions) -> SealedFileOptions {
    SealedFile::options().create_options(options).huge_pages(any()).limit(any()).holes(black_box(Holes::Populate))
}

fn filling(options: CreateOptions) {
    let options = sealed_options(options);
    let bytes = any::<&[u8]>();
    used(options.from_bytes(any::<&str>(), bytes));
    used(options.create_with(any::<&str>(), any(), |target| target.fill(any())));
    used(options.try_create_with(any::<&str>(), any(), |target| {
        target.fill(any());
        black_box(Ok::<(), Error>(()))
    }));
    used(options.copy_of(any::<&str>(), black_box(standard_input())));
    if let Ok(draft) = options.draft(any::<&str>(), any()) {
        draft_calls(draft);
    }
    used(SealedFile::from_bytes(any::<&str>(), bytes));
    used(SealedFile::create_with(any::<&str>(), any(), |target| target.fill(any())));
    if let Ok(file) = SealedFile::copy_of(any::<&str>(), black_box(standard_input())) {
        sealed_calls(&file);
    }
}

fn standard_input() -> BorrowedFd<'static> {
    // SAFETY: Descriptor 0 stays open, or the calls fail.
    unsafe { BorrowedFd::borrow_raw(0) }
}

fn draft_calls(mut draft: Draft) {
    draft.fill(any());
    used(draft.set_len(any()));
    used((draft.as_ref().len(), draft.as_mut().first().copied()));
    match draft.seal() {
        Ok(file) => used(file),
        Err(error) => used(error.into_inner().share().map_err(ErrorWith::into_error)),
    }
}

fn support() {
    let support = Support::probe();
    used((support.get(black_box(Feature::Sealing)), support.default_exec()));
    used((support.huge_tlb_sizes().count(), support.transparent_huge_pages().map(str::len)));
}

fn seals() {
    let (a, b) = (any::<Seals>(), black_box(Seal::Grow));
    used((a | b, a & b, a ^ b, a - b, !a, b | b, a.len(), a.is_empty(), a.is_all(), a.bits()));
    used((a.contains(b), a.intersects(b), Seals::from_bits_truncate(any()), Seals::all()));
    used((a.union(b.into()), a.difference(b.into())));
    used(a.iter().collect::<Seals>());
}

fn error_calls(error: &Error) {
    used((error.cause(), error.call(), error.raw_os_error(), error.seals()));
    used(*error == black_box(*error));
    used((error.is_busy(), error.is_unsupported(), error.is_unproven(), error.is_out_of_bounds()));
    used((error.is_not_a_memory_file(), error.is_closed_by_peer()));
}
