//! Transparent huge pages on demand: `madvise(MADV_COLLAPSE)` of memory files (7), under each policy
//! that this process may set.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use memfile::{MapOptions, SealedFile};
use rustix::fs::{FlockOperation, OFlags};
use rustix::mm::ProtFlags;

use crate::probe::{MFD_ALLOW_SEALING, MFD_CLOEXEC, WRITE, needs, reopen};
use crate::raw::{self, Map};
use crate::table::{EINVAL, Expect, OK, Table, Try, one_of, same, skip};

const RW: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);
const FOLDER: &str = "/sys/kernel/mm/transparent_hugepage";
const FEATURE: &str = "MADV_COLLAPSE of memory files";

/// The kernel's policy for transparent huge pages of memory files. It is restored on drop.
struct Policy {
    file: File,
    before: String,
}

impl Policy {
    fn set(value: &str) -> Try<Self> {
        let path = format!("{FOLDER}/shmem_enabled");
        let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else {
            return skip(format!("{path} cannot be written"));
        };
        // The crate's tests take the same lock.
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        let words = std::fs::read_to_string(&path)?;
        let before = words.split(['[', ']']).nth(1).unwrap_or_default().to_owned();
        let policy = Self { file, before };
        match policy.file.write_all_at(value.as_bytes(), 0) {
            Ok(()) => Ok(policy),
            Err(_) => skip(format!("no policy {value} here")),
        }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        let _ = self.file.write_all_at(self.before.as_bytes(), 0);
    }
}

/// The size of a huge page.
fn size() -> Try<usize> {
    let Ok(text) = std::fs::read_to_string(format!("{FOLDER}/hpage_pmd_size")) else {
        return skip("no transparent huge pages");
    };
    match text.trim().parse() {
        Ok(size) if size <= 32 << 20 => Ok(size),
        _ => skip(format!("huge pages of {} bytes", text.trim())),
    }
}

/// A file as long as two huge pages, without any pages.
fn empty() -> Try<(OwnedFd, usize)> {
    let size = size()?;
    let fd = raw::memfd(MFD_CLOEXEC | MFD_ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, 2 * size as u64)?;
    Ok((fd, size))
}

/// The same, with a byte written to each huge page, but not through a map.
fn written() -> Try<(OwnedFd, usize)> {
    let (fd, size) = empty()?;
    for page in 0..2 {
        rustix::io::pwrite(&fd, b"A", page * size as u64)?;
    }
    Ok((fd, size))
}

/// The same, with a byte written to each huge page through the map.
fn touched() -> Try<(OwnedFd, usize, Map)> {
    let (fd, size) = empty()?;
    let map = Map::hinted(&fd, 2 * size, RW, size, 0)?;
    for index in [0, size] {
        map.set(index, b'A');
    }
    Ok((fd, size, map))
}

fn memory(fd: &OwnedFd) -> Try<u64> {
    Ok(rustix::fs::fstat(fd)?.st_blocks as u64 * 512)
}

/// How many bytes of memory files this process maps with huge pages.
fn mapped_by_huge_pages() -> Try<u64> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").or_else(|_| skip("no /proc"))?;
    let numbers = smaps.lines().filter_map(|line| line.strip_prefix("ShmemPmdMapped:"));
    Ok(numbers.filter_map(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok()).sum::<u64>() * 1024)
}

/// Collapses a file whose pages were touched, and checks the result.
fn collapse_touched() -> Try {
    let (fd, size, map) = touched()?;
    map.collapse(2 * size)?;
    same("memory", memory(&fd)?, 2 * size as u64)?;
    same("huge pages", mapped_by_huge_pages()?, 2 * size as u64)?;
    for index in [0, size] {
        same("byte", (map.get(index), map.get(index + 1)), (b'A', 0))?;
    }
    drop(map);
    raw::add_seals(&fd, 0xf)
}

/// Succeeds if the kernel can collapse pages of memory files.
pub(crate) fn collapses() -> Try {
    let (_fd, size, map) = touched()?;
    map.collapse(size)
}

/// Collapses a file of which no page is in the map yet.
fn collapse_written() -> Try {
    let (fd, size) = written()?;
    let map = Map::hinted(&fd, 2 * size, RW, size, 0)?;
    let result = map.collapse(2 * size);
    same("bytes", (map.get(0), map.get(size)), (b'A', b'A'))?;
    same("a huge page", mapped_by_huge_pages()? >= size as u64, true)?;
    result
}

fn collapse_sealed() -> Try {
    let size = size()?;
    let fd = raw::memfd(MFD_CLOEXEC | MFD_ALLOW_SEALING)?;
    rustix::io::pwrite(&fd, &vec![b'A'; 2 * size], 0)?;
    raw::add_seals(&fd, WRITE)?;
    let map = Map::hinted(reopen(&fd, OFlags::RDONLY)?, 2 * size, ProtFlags::READ, size, 0)?;
    same("bytes", (map.get(0), map.get(size)), (b'A', b'A'))?;
    map.collapse(2 * size)?;
    same("huge pages", mapped_by_huge_pages()?, 2 * size as u64)?;
    same("last byte", map.get(2 * size - 1), b'A')?;
    Ok(0)
}

/// The name of a way to collapse, its expected result, and the attempt.
type Way = (&'static str, Expect, fn() -> Try);

pub(crate) fn rows(table: &mut Table) {
    let empty_range = || {
        let (fd, size) = empty()?;
        Map::hinted(&fd, 2 * size, RW, size, 0)?.collapse(2 * size)
    };
    let ways: [Way; 3] = [
        ("empty-range", EINVAL, empty_range),
        ("one-byte-touched", OK, collapse_touched),
        ("write-sealed-by-a-read-only-map", OK, collapse_sealed),
    ];
    for (policy, (way, expect, run)) in
        ["never", "advise", "deny"].into_iter().flat_map(|p| ways.clone().map(|w| (p, w)))
    {
        let expect = if policy == "deny" { EINVAL } else { expect };
        table.row(format!("7/{policy}/{way}"), expect, move || {
            needs(FEATURE)?;
            let _policy = Policy::set(policy)?;
            run()
        });
    }
    // Some kernels report a failure although they have collapsed all (6.12) or the first huge page (6.1).
    table.row("7/never/no-page-in-the-map", one_of([OK, EINVAL]), || {
        needs(FEATURE)?;
        let _policy = Policy::set("never")?;
        collapse_written()
    });
    table.row("7/never/not-aligned", EINVAL, || {
        needs(FEATURE)?;
        let _policy = Policy::set("never")?;
        let (fd, size) = written()?;
        let map = Map::hinted(&fd, 2 * size, RW, size, size / 2)?;
        if map.address() % size == 0 {
            return skip("the hint was not taken");
        }
        map.collapse(2 * size)
    });
    table.row("7/less-than-a-page-does-nothing", OK, || {
        needs(FEATURE)?;
        let _policy = Policy::set("never")?;
        let (fd, size, map) = touched()?;
        let before = memory(&fd)?;
        let result = map.collapse(size / 2)?;
        same("memory", memory(&fd)?, before)?;
        Ok(result)
    });
    table.row("7/without-it", EINVAL, || {
        if needs(FEATURE).is_ok() {
            return skip("this kernel collapses");
        }
        collapses()
    });
    by_the_crate(table);
}

/// Files of the crate have huge pages if the kernel can make them, and always the right bytes.
fn by_the_crate(table: &mut Table) {
    let options = SealedFile::options().huge_pages(true);
    for policy in ["never", "advise", "deny"] {
        type Way = Box<dyn Fn(&[u8]) -> Try<SealedFile>>;
        let ways: [(&str, Way); 4] = [
            ("from_bytes", Box::new(move |bytes| Ok(options.from_bytes("huge", bytes)?))),
            ("create_with", {
                Box::new(move |bytes| Ok(options.create_with("huge", bytes.len(), |all| all.copy_from_slice(bytes))?))
            }),
            ("copy_of", Box::new(move |bytes| Ok(options.copy_of("huge", SealedFile::from_bytes("source", bytes)?)?))),
            ("map_with", Box::new(|bytes| Ok(SealedFile::from_bytes("ordinary", bytes)?))),
        ];
        for (way, make) in ways {
            table.row(format!("7/crate/{policy}/{way}"), OK, move || {
                let _policy = Policy::set(policy)?;
                let collapses = collapses().is_ok();
                same("deny", policy == "deny" && collapses, false)?;
                let size = size()?;
                let mut bytes = (0..251).collect::<Vec<u8>>().repeat(2 * size / 251 + 20);
                bytes.truncate(2 * size + 4097);
                let file = make(&bytes)?;
                same("memory", file.as_mem_file().len()? <= memory(&reopen(&file, OFlags::RDONLY)?)?, true)?;
                // Before Linux 6.7 a map through a writable descriptor is private, and has no huge pages.
                let file = file.reopen_read_only()?;
                let map = file.map_with(.., MapOptions::new().huge_pages(true).populate(true))?;
                same("bytes", *map == *bytes, true)?;
                if collapses {
                    same("huge pages", mapped_by_huge_pages()?, 2 * size as u64)?;
                }
                Ok(0)
            });
        }
    }
}
