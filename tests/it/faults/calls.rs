//! Every public call that makes system calls, and a function that prepares its arguments.

use core::ffi::CStr;
use core::time::Duration;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use memfile::kernel::{Feature, Support};
use memfile::{
    CreateOptions, Draft, Error, Exec, Holes, MapOptions, MemFile, Seal, SealedFile, Seals, SharedMap, SharedView,
    socket,
};

use crate::support::skip::lacks;
use crate::support::{huge, noexec};

/// The error of a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) errno: Option<i32>,
    /// `None` for an error of the crate itself, and for one of `std`, which names no call.
    pub(super) operation: Option<&'static str>,
    pub(super) message: String,
}

impl<E: Into<Refused>> From<E> for Refusal {
    fn from(error: E) -> Self {
        match error.into() {
            Refused::Crate(error) => {
                Self { errno: error.raw_os_error(), operation: error.call(), message: error.to_string() }
            }
            Refused::Io(error) => Self { errno: error.raw_os_error(), operation: None, message: error.to_string() },
        }
    }
}

pub(super) enum Refused {
    Crate(Error),
    Io(io::Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Crate(error)
    }
}

impl<T> From<memfile::ErrorWith<T>> for Refused {
    fn from(error: memfile::ErrorWith<T>) -> Self {
        Self::Crate(error.into_error())
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        error.downcast().map_or_else(Self::Io, Self::Crate)
    }
}

/// The part of a call in which a fault is injected. Its arguments were prepared before.
pub(super) type Action = Box<dyn FnOnce() -> Result<(), Refusal> + Send>;

/// The name of a call, and a function that prepares it.
pub(super) type Call = (&'static str, Box<dyn Fn() -> Action>);

fn call<P, T, E>(
    name: &'static str,
    prepare: impl Fn() -> P + 'static,
    action: impl Fn(P) -> Result<T, E> + Copy + Send + 'static,
) -> Call
where
    P: Send + 'static,
    Refusal: From<E>,
{
    let prepare = move || {
        let prepared = prepare();
        Box::new(move || action(prepared).map(drop).map_err(Refusal::from)) as Action
    };
    (name, Box::new(prepare))
}

const LEN: u64 = 10_000;

/// A sealable file without holes.
fn file() -> MemFile {
    let file = MemFile::create("fault", CreateOptions::new().allow_sealing(true).exec(noexec::plain())).unwrap();
    file.write_all_at(&[b'A'; LEN as usize], 0).unwrap();
    file
}

/// A sealable file that is one hole.
fn hole() -> MemFile {
    let file = MemFile::create_sealable("fault").unwrap();
    file.set_len(LEN).unwrap();
    file
}

/// A file that is mapped for writing.
fn busy() -> (MemFile, memmap2::MmapRaw) {
    let file = file();
    let map = memmap2::MmapRaw::map_raw(&file).unwrap();
    (file, map)
}

fn sealed() -> SealedFile {
    file().into_sealed().unwrap()
}

fn sealed_fd(file: MemFile) -> OwnedFd {
    file.add_seals(Seals::IMMUTABLE).unwrap();
    file.into_fd()
}

/// An executable file with the seal Exec, so that its Write seal may be forged.
fn suspicious() -> OwnedFd {
    let options = CreateOptions::new().allow_sealing(true).exec(Exec::Allow);
    let file = MemFile::create("fault", options).unwrap();
    file.add_seal(Seal::Exec).unwrap();
    file.into_fd()
}

fn disk_file() -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&[b'D'; LEN as usize]).unwrap();
    file.rewind().unwrap();
    file
}

fn create(exec: Exec) -> Result<MemFile, Error> {
    MemFile::create("fault", CreateOptions::new().exec(exec))
}

fn received() -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    sealed().send(&ours, b"x").unwrap();
    theirs
}

pub(super) fn all() -> Vec<Call> {
    let nothing = || ();
    // `expect` has an exception for "create KernelDefault", because the new file already has the
    // seal Seal. If the kernel implies sealing, the file lacks it, and another name avoids the
    // exception.
    let kernel_default = if noexec::implies_sealing() { "create by default" } else { "create KernelDefault" };
    let mut calls = vec![
        call("create Deny", nothing, |()| create(Exec::Deny)),
        call("create DenyUnsealed", nothing, |()| create(Exec::DenyUnsealed)),
        call("create Allow", nothing, |()| create(Exec::Allow)),
        call(kernel_default, nothing, |()| create(Exec::KernelDefault)),
        call("create_sealable", nothing, |()| MemFile::create_sealable("fault")),
        call("create_cstr", nothing, |()| MemFile::create_cstr(c"fault" as &CStr, CreateOptions::new())),
        call("from_fd", || file().into_fd(), MemFile::from_fd),
        call("try_clone", file, |file| file.try_clone()),
        call("len", file, |file| file.len()),
        call("is_empty", file, |file| file.is_empty()),
        call("set_len", file, |file| file.set_len(5)),
        call("allocate", hole, |file| file.allocate(0, LEN)),
        call("punch_hole", file, |file| file.punch_hole(0, 4096)),
        call("read_at", file, |file| file.read_at(&mut [0; 9], 0)),
        call("read_exact_at", file, |file| file.read_exact_at(&mut [0; 9], 0)),
        call("write_at", file, |file| file.write_at(b"B", 0)),
        call("write_all_at", file, |file| file.write_all_at(b"B", 0)),
        call("get_seals", file, |file| file.get_seals()),
        call("Seals::of", file, Seals::of),
        call("add_seal", file, |file| file.add_seal(Seal::Grow)),
        call("into_sealed", file, MemFile::into_sealed),
        call("into_sealed of a hole", hole, MemFile::into_sealed),
        call("into_sealed_timeout", file, |file| file.into_sealed_timeout(Duration::from_millis(1))),
        call("into_sealed_timeout of a busy one", busy, |(file, _map)| file.into_sealed_timeout(Duration::ZERO)),
        call("verify", || sealed_fd(file()), |fd| SealedFile::options().verify(fd)),
        call("verify Allocate", || sealed_fd(hole()), |fd| SealedFile::options().holes(Holes::Allocate).verify(fd)),
        call("verify Accept", || sealed_fd(hole()), |fd| SealedFile::options().holes(Holes::Accept).verify(fd)),
        call("seal", file, |file| SealedFile::options().seal(file)),
        call("seal of a sealed one", || sealed_fd(file()), |fd| SealedFile::options().seal(fd)),
        call("seal Allocate", hole, |file| SealedFile::options().holes(Holes::Allocate).seal(file)),
        call("SealedFile::try_clone", sealed, |file| file.try_clone()),
        call("from_bytes", nothing, |()| SealedFile::from_bytes("fault", b"bytes")),
        call("fill in place", nothing, |()| SealedFile::create_with("fault", 5000, |bytes| bytes.fill(1))),
        call("draft", nothing, |()| SealedFile::options().draft("fault", 5000)),
        call("draft set_len", draft, |mut draft| draft.set_len(9000)),
        call("draft seal", draft, Draft::seal),
        call("draft seal, inheritable", inheritable, Draft::seal),
        call("draft share", draft, Draft::share),
        call("copy_of", disk_file, |source| SealedFile::copy_of("fault", source)),
        call("from_reader", nothing, |()| SealedFile::from_reader("fault", &b"reader"[..])),
        call("copy_from a file of memory", || (file(), file()), |(a, b)| a.copy_from(b, u64::MAX)),
        call("copy_from a file of a disk", || (file(), disk_file()), |(a, b)| a.copy_from(b, LEN)),
        call("copy_from a socket", || (file(), received()), |(a, b)| a.copy_from(b, 1)),
        call("map", sealed, |file| file.map()),
        call("map_range", sealed, |file| file.map_range(9000..9001)),
        call("map_with", sealed, |file| file.map_with(.., MapOptions::new().populate(true))),
        call("to_vec", sealed, |file| file.to_vec()),
        call("map_copy_on_write", sealed, |file| file.map_copy_on_write()),
        call("share", file, MemFile::share),
        call("reader", || file().share().unwrap(), |map| map.reader()),
        call("freeze", || file().share().unwrap(), SharedMap::freeze),
        call("SharedMap::try_from", || shrink_sealed(file()), SharedMap::try_from),
        call(
            "SharedMap::map_range",
            || shrink_sealed(file()),
            |file| SharedMap::map_range(file, 5000.., Holes::Refuse),
        ),
        call("grow", growing, |mut map| map.grow(LEN + 1)),
        call("SharedView::refresh", followed, |(map, mut view)| view.refresh(map, Holes::Refuse)),
        call("SharedView::try_from", || shrink_sealed(file()), SharedView::try_from),
        call("reopen_read_only", file, |file| file.reopen_read_only()),
        call("SealedFile::reopen_read_only", sealed, |file| file.reopen_read_only()),
        call("name", file, |file| file.name()),
        call("is_memfd", file, |file| file.is_memfd()),
        call("is_memfd of a file without sealing", || create(noexec::plain()).unwrap(), |file| file.is_memfd()),
        call("to_stdio", sealed, |file| file.to_stdio()),
        call("to_command", program, |file| file.to_command()),
        call("find_inherited", file, |_file| MemFile::find_inherited("fault")),
        call("probe", nothing, |()| Ok::<_, Error>(Support::probe())),
        call("send", || (UnixStream::pair().unwrap(), sealed()), |((ours, _theirs), file)| file.send(ours, b"x")),
        call("recv", received, |socket| SealedFile::recv(socket, &mut [0; 8])),
        call("socket::recv", received, |socket| socket::recv(socket, &mut [0; 8], &mut [None])),
    ];
    calls.extend(with_huge_pages());
    if !lacks(Feature::ExecSeal) {
        calls.push(call("verify of an Exec seal", suspicious, |fd| SealedFile::options().verify(fd)));
    }
    if !lacks(Feature::Populate) {
        calls.push(call(
            "verify Populate",
            || sealed_fd(hole()),
            |fd| SealedFile::options().holes(Holes::Populate).verify(fd),
        ));
    }
    if noexec::is_strict() {
        // The kernel forbids these, so they fail without a fault.
        let refused = ["create DenyUnsealed", "create Allow", "freeze", "to_command", "verify of an Exec seal"];
        calls.retain(|(name, _)| !refused.contains(name));
    }
    calls
}

/// The calls that make huge pages, on files of a little more than one.
fn with_huge_pages() -> Vec<Call> {
    let Some(page) = huge::affordable_page() else { return Vec::new() };
    let len = page + 5000;
    let bytes = move || vec![1; len];
    let options = || SealedFile::options().huge_pages(true);
    let file = move || SealedFile::from_bytes("fault", &bytes()).unwrap();
    vec![
        call("huge from_bytes", bytes, move |bytes| options().from_bytes("fault", &bytes)),
        call("huge create_with", || (), move |()| options().create_with("fault", len, |bytes| bytes.fill(1))),
        call("huge draft", || (), move |()| options().draft("fault", len)),
        call("huge draft set_len", move || options().draft("fault", 5).unwrap(), move |mut draft| draft.set_len(len)),
        call("huge draft share", move || options().draft("fault", len).unwrap(), Draft::share),
        call("huge copy_of a file", file, move |source| options().copy_of("fault", source)),
        call("huge from_reader", bytes, move |bytes| options().from_reader("fault", &bytes[..])),
        call("huge map_with", file, |file| file.map_with(.., MapOptions::new().huge_pages(true))),
    ]
}

fn inheritable() -> Draft {
    let options = CreateOptions::new().close_on_exec(false);
    SealedFile::options().create_options(options).draft("fault", 5000).unwrap()
}

fn draft() -> Draft {
    SealedFile::options().draft("fault", 5000).unwrap()
}

fn shrink_sealed(file: MemFile) -> MemFile {
    file.add_seal(Seal::Shrink).unwrap();
    file
}

fn growing() -> SharedMap {
    SharedMap::try_from(shrink_sealed(file())).unwrap()
}

/// A view, and the map of its file, which has grown since.
fn followed() -> (SharedMap, SharedView) {
    let mut map = growing();
    let view = SharedView::map(&map, Holes::Refuse).unwrap();
    map.grow(2 * LEN).unwrap();
    (map, view)
}

fn program() -> MemFile {
    let file = MemFile::create("fault", CreateOptions::new().exec(Exec::Allow)).unwrap();
    file.write_all_at(b"\x7fELF", 0).unwrap();
    file
}
