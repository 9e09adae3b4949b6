//! Filling a sealed file with bytes.

use std::io::Write;
use std::os::fd::OwnedFd;

use memfile::SealedFile;

use crate::bytes::pattern;
use crate::chart::{Chart, FIRST, HUGE, Line, OURS, SECOND, THIRD};
use crate::files;
use crate::race::{Clock::Cpu, Race, candidate, effort, race};
use crate::report::{Report, Wanted, size};

const SIZES: [usize; 8] = [4 << 10, 64 << 10, 256 << 10, 2 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20];

const WRITE: &str = "best write loop";
const LOOPS: [&str; 4] = ["64 KiB", "256 KiB", "1 MiB", "all at once"];
const RECIPE: &str = "map, copy, seal";
const MEMFD: &str = "memfd 0.6, memmap2";
const OLD: &str = "memfile 0.3";
const PLAIN: &str = "`from_bytes`";
const PLACE: &str = "`create_with`";
const READER: &str = "`from_reader`";
const HUGE_PAGES: &str = "`from_bytes`, huge pages";
const HUGE_PLACE: &str = "`create_with`, huge pages";
const SHARED: &str = "shared_memory";
const TMPFS: &str = "file on tmpfs";
const MEMCPY: &str = "warm memcpy";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("fill.md"));
    let races = SIZES.map(fill);
    let columns = [WRITE, OLD, TMPFS, PLAIN, READER, HUGE_PAGES];
    report.races("Fill a sealed file, compared with writing", "size", &columns, &races);
    let columns = [RECIPE, MEMFD, SHARED, PLACE, HUGE_PLACE, HUGE_PAGES];
    report.races("Fill a sealed file, compared with copying into a map", "size", &columns, &races);
    let title = "Fill a sealed file, compared with a copy in memory";
    report.multiples(title, "size", MEMCPY, &[RECIPE, PLAIN, HUGE_PAGES], &races[4..]);
    report.chart("fill", &chart(&races));
    goals(report, &races);
    let advise = || [4 << 20, 16 << 20, 64 << 20].map(with_advice);
    match crate::with_huge_policy("advise", advise) {
        Some(races) => report.races(
            "Fill a sealed file, `shmem_enabled` set to `advise`",
            "bytes",
            &[WRITE, HUGE_PAGES, HUGE_PLACE],
            &races,
        ),
        None => report.paragraph("(This process may not set `shmem_enabled` to `advise`, to measure that too.)"),
    }
}

fn goals(report: &mut Report, races: &[Race]) {
    for (bytes, loop_, recipe) in
        [(4 << 20, 3.8, 6.0), (16 << 20, 3.4, 6.0), (64 << 20, 2.7, 6.0), (256 << 20, 2.6, 4.5)]
    {
        report.goal_of("fill", races, bytes, (HUGE_PAGES, WRITE), loop_);
        report.goal_of("fill", races, bytes, (HUGE_PAGES, RECIPE), recipe);
    }
    for bytes in [4 << 20, 256 << 20] {
        report.goal_of("nothing gets slower: fill", races, bytes, (PLAIN, WRITE), 0.95);
    }
    let multiple = races.last().and_then(|race| race.speed(MEMCPY, HUGE_PAGES));
    let what = "fill of 256 MiB, huge pages, in multiples of a warm memcpy";
    report.goal(what, Wanted::AtMost(1.8), multiple);
}

fn chart<'a>(races: &[Race]) -> Chart<'a> {
    let line = |text: &'a str, style, name: &str, from: usize| {
        let speed = |race: &Race| race.bytes as f64 / race.seconds(name).expect("it took part") / f64::from(1 << 30);
        let points = races.iter().filter(|race| race.bytes >= from).map(|race| (race.bytes as f64, speed(race)));
        Line { name: text, style, points: points.collect() }
    };
    Chart {
        title: "Filling a sealed file",
        subtitle: "GiB per second of CPU time: higher is better",
        x_ticks: [4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20]
            .map(|bytes: usize| (bytes as f64, crate::bytes::size(bytes)))
            .into(),
        y_ticks: [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0].map(|value| (value, value.to_string())).into(),
        lines: vec![
            line("from_bytes,\nhuge pages", HUGE, HUGE_PAGES, 0),
            line("from_bytes", OURS, PLAIN, 0),
            line("write loop", FIRST, WRITE, 0),
            line("map, copy,\nseal", SECOND, RECIPE, 0),
            // Smaller sizes stay in the caches of the processor.
            line("memcpy,\nno file", THIRD, MEMCPY, 16 << 20),
        ],
    }
}

fn fill(len: usize) -> Race {
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
        let shared = shared_memory::ShmemConf::new().size(len).create().expect("shm_open");
        // SAFETY: The memory is new, as long as the bytes, and nothing else uses it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), shared.as_ptr(), len) };
        shared
    };
    let tmpfs = || {
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::open("/dev/shm", flags, rustix::fs::Mode::RUSR).expect("a file on tmpfs");
        files::write_all(&fd, bytes);
        fd
    };
    let plain = SealedFile::options();
    let huge = plain.huge_pages(true);
    let in_place = |options: memfile::SealedFileOptions| {
        files::unless_busy(|| options.create_with("bench", len, |target| target.copy_from_slice(bytes)))
    };
    let mut candidates = write_loops(bytes);
    candidates.extend([
        candidate(RECIPE, || files::map_and_copy(bytes)),
        candidate(MEMFD, memfd),
        candidate(OLD, old),
        candidate(SHARED, shared),
        candidate(TMPFS, tmpfs),
        candidate(PLAIN, || files::unless_busy(|| plain.from_bytes("bench", bytes))),
        candidate(READER, || files::unless_busy(|| plain.from_reader("bench", bytes))),
        candidate(PLACE, || in_place(plain)),
        candidate(HUGE_PAGES, || files::unless_busy(|| huge.from_bytes("bench", bytes))),
        candidate(HUGE_PLACE, || in_place(huge)),
        candidate(MEMCPY, move || warm.copy_from_slice(bytes)),
    ]);
    race(size(len), len, Cpu, effort(len), candidates).only_best(&LOOPS, WRITE)
}

fn write_loops(bytes: &[u8]) -> Vec<crate::race::Candidate<'_>> {
    let chunks = [64 << 10, 256 << 10, 1 << 20, usize::MAX];
    let one = |(name, chunk)| candidate(name, move || files::write_and_seal(bytes, chunk));
    LOOPS.into_iter().zip(chunks).map(one).collect()
}

fn with_advice(len: usize) -> Race {
    let bytes = pattern(len);
    let bytes = &bytes[..];
    let huge = SealedFile::options().huge_pages(true);
    let mut candidates = write_loops(bytes);
    candidates.extend([
        candidate(HUGE_PAGES, || files::unless_busy(|| huge.from_bytes("bench", bytes))),
        candidate(HUGE_PLACE, || {
            files::unless_busy(|| huge.create_with("bench", len, |target| target.copy_from_slice(bytes)))
        }),
    ]);
    race(size(len), len, Cpu, effort(len), candidates).only_best(&LOOPS, WRITE)
}
