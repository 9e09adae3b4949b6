//! Filling: bytes to a sealed file.

use std::io::Write;
use std::os::fd::OwnedFd;

use memfile::SealedFile;

use crate::bytes::{pattern, size};
use crate::files;
use crate::race::{Clock::Cpu, Result, candidate, effort, race};
use crate::report::{Line, Report};

const SIZES: [usize; 10] = [0, 256, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];
const LARGEST: usize = 256 << 20;

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("fill.md"));
    let sizes = SIZES.into_iter().chain([LARGEST]);
    let races: Vec<_> = sizes.map(|len| (len, fill(len))).collect();
    report.races("fill", &named(&races));
    let huge: Option<Vec<_>> = crate::with_huge_policy("advise", || {
        [1 << 20, 2 << 20, 4 << 20, 16 << 20, 64 << 20, LARGEST].map(|len| (len, huge(len))).into()
    });
    report.chart("fill", "Filling a sealed file", ("bytes", "GiB/s"), &lines(&races, huge.as_deref()));
    report.paragraph(include_str!("fill_huge.md"));
    match huge {
        Some(huge) => report.races("fill, policy `advise`", &named(&huge)),
        None => report.paragraph("(This process may not change the policy.)"),
    }
    if let Some(never) =
        crate::with_huge_policy("never", || [2 << 20, 16 << 20, 64 << 20].map(|len| (len, huge_never(len))))
    {
        report.races("fill, policy `never`", &named(&never));
    }
}

fn named(races: &[(usize, Vec<Result>)]) -> Vec<(String, Vec<Result>)> {
    races.iter().map(|(len, results)| (size(*len), results.clone())).collect()
}

fn lines(races: &[(usize, Vec<Result>)], huge: Option<&[(usize, Vec<Result>)]>) -> Vec<Line> {
    let line = |races: &[(usize, Vec<Result>)], name: &'static str| {
        let speed = |(len, results): &(usize, Vec<Result>)| {
            let result = results.iter().find(|result| result.name == name)?;
            (*len >= 4096).then(|| (*len as f64, *len as f64 / result.seconds / f64::from(1 << 30)))
        };
        (name, races.iter().filter_map(speed).collect())
    };
    let mut lines: Vec<Line> =
        ["from_bytes", "create_with", "map, copy, seal", "shared_memory", "file on tmpfs", "warm memcpy"]
            .map(|name| line(races, name))
            .into();
    lines.extend(huge.map(|huge| line(huge, "from_bytes, huge")));
    lines
}

fn fill(len: usize) -> Vec<Result> {
    let bytes = pattern(len);
    let bytes = &bytes[..];
    let mut warm = vec![1; len];
    let memfd = || -> OwnedFd {
        let file = memfd::MemfdOptions::new().allow_sealing(true).create("bench").expect("memfd_create").into_file();
        files::copy_by_map(&file, bytes);
        files::seal(&file);
        file.into()
    };
    let old = || {
        let mut file = memfile03::MemFile::create_sealable("bench").expect("memfd_create");
        file.write_all(bytes).expect("write");
        files::seal(&file);
        file
    };
    let shared = || {
        let shared = shared_memory::ShmemConf::new().size(len.max(1)).create().expect("shm_open");
        // SAFETY: The memory is new, as long as the bytes, and nobody else has it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), shared.as_ptr(), len) };
        shared
    };
    let tmpfs = || {
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::open("/dev/shm", flags, rustix::fs::Mode::RUSR).expect("a file on tmpfs");
        files::write_all(&fd, bytes);
        fd
    };
    let candidates = vec![
        candidate("map, copy, seal", || files::map_and_copy(bytes)),
        candidate("from_bytes", || SealedFile::from_bytes("bench", bytes).expect("a sealed file")),
        candidate("create_with", || {
            SealedFile::create_with("bench", len, |target| target.copy_from_slice(bytes)).expect("a sealed file")
        }),
        candidate("from_reader", || SealedFile::from_reader("bench", bytes).expect("a sealed file")),
        candidate("write 64 KiB", || files::write_and_seal(bytes, 64 << 10)),
        candidate("write 1 MiB", || files::write_and_seal(bytes, 1 << 20)),
        candidate("memfd 0.6, memmap2", memfd),
        candidate("memfile 0.3, write", old),
        candidate("shared_memory", shared),
        candidate("file on tmpfs", tmpfs),
        candidate("warm memcpy", move || warm.copy_from_slice(bytes)),
    ];
    let (rounds, repeat) = effort(len);
    race(Cpu, rounds, repeat, candidates)
}

fn huge(len: usize) -> Vec<Result> {
    let bytes = pattern(len);
    let bytes = &bytes[..];
    let mut warm = vec![1; len];
    let options = SealedFile::options().huge_pages(true);
    let candidates = vec![
        candidate("write 64 KiB", || files::write_and_seal(bytes, 64 << 10)),
        candidate("from_bytes, huge", || options.from_bytes("bench", bytes).expect("a sealed file")),
        candidate("create_with, huge", || {
            options.create_with("bench", len, |target| target.copy_from_slice(bytes)).expect("a sealed file")
        }),
        candidate("warm memcpy", move || warm.copy_from_slice(bytes)),
    ];
    let (rounds, repeat) = effort(len);
    race(Cpu, rounds, repeat, candidates)
}

fn huge_never(len: usize) -> Vec<Result> {
    let bytes = pattern(len);
    let bytes = &bytes[..];
    let options = SealedFile::options().huge_pages(true);
    let candidates = vec![
        candidate("write 64 KiB", || files::write_and_seal(bytes, 64 << 10)),
        candidate("from_bytes, huge", || options.from_bytes("bench", bytes).expect("a sealed file")),
        candidate("from_bytes", || SealedFile::from_bytes("bench", bytes).expect("a sealed file")),
    ];
    let (rounds, repeat) = effort(len);
    race(Cpu, rounds, repeat, candidates)
}
