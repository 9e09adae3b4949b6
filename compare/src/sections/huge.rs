//! What huge pages change for readers of a file and for closing it, and what it costs a receiver to make
//! them afterwards.

use std::hint::black_box;

use memfile::{Map, MapOptions, SealedFile};

use crate::bytes::pattern;
use crate::files;
use crate::race::{Candidate, Clock::Cpu, Effort, Race, candidate, effort, prepared, race};
use crate::report::{Report, Wanted, none, size, time};

const LARGE: usize = 256 << 20;
const SMALL_PAGES: &str = "4 KiB pages";
const FILLED: &str = "filled with huge pages";
const HUGE_PAGES: &str = "filled and mapped with them";
const WRITE: &str = "`from_bytes`";
const COLLAPSE: &str = "`map_with` huge pages";
const MAP: &str = "map";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("huge.md"));
    let mut races: Vec<Race> = [2 << 20, 16 << 20, LARGE].map(sum).into();
    report.goal_of("first read", &races, LARGE, (HUGE_PAGES, SMALL_PAGES), 2.2);
    races.push(random());
    races.extend([2 << 20, 16 << 20, LARGE].map(close));
    let title = "A file that was filled with huge pages, compared with one of 4 KiB pages";
    report.races(title, "work", &[SMALL_PAGES, FILLED, HUGE_PAGES], &races);

    report.paragraph(include_str!("huge_received.md"));
    let races = [4 << 20, 16 << 20, 64 << 20, LARGE].map(received);
    let share = |race: &Race| race.speed(WRITE, COLLAPSE);
    let row = |race: &Race| {
        let seconds = |name| race.seconds(name).map_or_else(none, time);
        let share = share(race).map_or_else(none, |share| format!("{share:.2}"));
        vec![race.label.clone(), seconds(WRITE), seconds(COLLAPSE), share, collapsed(race.bytes)]
    };
    report.table(
        "**Collapsing a received file.** CPU time to write the file and to map it with huge pages, and the second \
         as a share of the first: lower is better. Last column: how much of the map then has huge pages.",
        &["size", WRITE, COLLAPSE, "share of writing", "in huge pages"],
        &races.each_ref().map(row),
    );
    report.goal(
        "collapsing a received file of 256 MiB, as a share of writing it",
        Wanted::AtMost(0.7),
        share(&races[3]),
    );
    let mut races: Vec<Race> = [1, 2, 4, 8].map(pays_by_maps).into();
    races.extend([1, 4, 16].map(pays_by_reads));
    let title = "When collapsing a received file of 256 MiB pays: work, with the time to map and to collapse";
    report.races(title, "work", &[MAP, COLLAPSE], &races);
}

fn file(bytes: &[u8], huge_pages: bool) -> SealedFile {
    files::unless_busy(|| SealedFile::options().huge_pages(huge_pages).from_bytes("bench", bytes))
}

fn sum(len: usize) -> Race {
    let bytes = pattern(len);
    let (small, huge) = (file(&bytes, false), file(&bytes, true));
    let candidates = ways(&small, &huge, |map| files::sum(map));
    race(format!("map and sum {}", size(len)), len, Cpu, effort(len), candidates)
}

/// Each run maps the file again, as a new reader would.
fn ways<'a>(small: &'a SealedFile, huge: &'a SealedFile, read: impl Fn(&Map) -> u64 + Copy + 'a) -> Vec<Candidate<'a>> {
    let options = MapOptions::new().huge_pages(true);
    vec![
        candidate(SMALL_PAGES, move || read(&small.map().expect("mmap"))),
        candidate(FILLED, move || read(&huge.map().expect("mmap"))),
        candidate(HUGE_PAGES, move || read(&huge.map_with(.., options).expect("mmap"))),
    ]
}

fn random() -> Race {
    let bytes = pattern(LARGE);
    let (small, huge) = (file(&bytes, false), file(&bytes, true));
    let candidates = ways(&small, &huge, |map| random_reads(map, 100_000));
    let label = format!("100,000 random reads in {}", size(LARGE));
    race(label, LARGE, Cpu, Effort { rounds: 9, repeat: 1 }, candidates)
}

fn random_reads(map: &Map, count: usize) -> u64 {
    let mut state = 1_u64;
    let mut sum = 0_u64;
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sum += u64::from(map[(state >> 33) as usize % map.len()]);
    }
    black_box(sum)
}

/// Closes the last descriptor of a file that is not mapped.
fn close(len: usize) -> Race {
    let bytes = pattern(len);
    let candidates =
        vec![prepared(SMALL_PAGES, || file(&bytes, false), drop), prepared(FILLED, || file(&bytes, true), drop)];
    race(format!("last close of {}", size(len)), len, Cpu, effort(len), candidates)
}

fn received(len: usize) -> Race {
    let bytes = pattern(len);
    let options = MapOptions::new().huge_pages(true);
    let candidates = vec![
        candidate(WRITE, || file(&bytes, false)),
        prepared(COLLAPSE, || file(&bytes, false), |file| (file.map_with(.., options).expect("mmap"), file)),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}

/// The share of a map with huge pages that really has them, as the kernel counts it.
fn collapsed(len: usize) -> String {
    let file = file(&pattern(len), false);
    let map = file.map_with(.., MapOptions::new().huge_pages(true)).expect("mmap");
    black_box(files::sum(&map));
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let kib = rollup.lines().find_map(|line| line.strip_prefix("ShmemPmdMapped:")?.trim().strip_suffix(" kB"));
    match kib.and_then(|kib| kib.parse::<usize>().ok()) {
        Some(kib) => format!("{} %", (kib << 10) * 100 / len).replace(' ', "\u{a0}"),
        None => none(),
    }
}

/// A number of readers, each with a map of its own.
fn pays_by_maps(maps: usize) -> Race {
    let label = match maps {
        1 => "1 map, summed once".to_owned(),
        _ => format!("{maps} maps, each summed once"),
    };
    pays(label, move |file, options| {
        (0..maps).map(|_| files::sum(&file.map_with(.., options).expect("mmap"))).fold(0, u64::wrapping_add)
    })
}

fn pays_by_reads(millions: usize) -> Race {
    let label = format!("1 map, {millions},000,000 random reads");
    pays(label, move |file, options| random_reads(&file.map_with(.., options).expect("mmap"), millions * 1_000_000))
}

fn pays(label: String, work: impl Fn(&SealedFile, MapOptions) -> u64 + Copy) -> Race {
    let bytes = pattern(LARGE);
    let way =
        |name, options: MapOptions| prepared(name, || file(&bytes, false), move |file| (work(&file, options), file));
    let candidates = vec![way(MAP, MapOptions::new()), way(COLLAPSE, MapOptions::new().huge_pages(true))];
    race(label, LARGE, Cpu, Effort { rounds: 5, repeat: 1 }, candidates)
}
