//! Handing bytes to readers in other processes, by a sealed file, a pipe and a socket.

use std::cell::RefCell;
use std::io::Write;

use memfile::SealedFile;

use crate::bytes::pattern;
use crate::chart::{Chart, FIRST, HUGE, Line, OURS, SECOND, THIRD};
use crate::files;
use crate::race::{Clock::Wall, Race, ahead_from, candidate, effort, race};
use crate::reader::{How, Reader};
use crate::report::{Report, Wanted, none, size};

const SMALL: [usize; 5] = [64, 1 << 10, 4 << 10, 16 << 10, 64 << 10];
const LARGE: [usize; 5] = [256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];
const LARGEST: usize = 256 << 20;

const SOCKET: &str = "socket";
const PIPE: &str = "pipe";
const MAPPED: &str = "sealed file";
const HUGE_PAGES: &str = "sealed file, huge pages";
const READ: &str = "sealed file, read";
const KEPT: &str = "sealed file, filled earlier";
const MEMCPY: &str = "warm memcpy";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("handover.md"));
    let mut one = [Reader::start()];
    let small = SMALL.map(|len| hand_over(&mut one, len));
    let large: Vec<_> = LARGE.into_iter().chain([LARGEST]).map(|len| hand_over(&mut one, len)).collect();
    drop(one);
    report.races("Hand-over of few bytes to one reader", "size", &[SOCKET, PIPE, READ, MAPPED, KEPT], &small);
    let columns = [SOCKET, PIPE, MAPPED, HUGE_PAGES, KEPT];
    report.races("Hand-over to one reader", "size", &columns, &large);
    let title = "Hand-over to one reader, compared with a copy in memory";
    report.multiples(title, "size", MEMCPY, &[SOCKET, MAPPED, HUGE_PAGES], &large[2..]);
    let all: Vec<Race> = small.into_iter().chain(large).collect();
    report.chart("handover-1", &chart("Hand-over to one reader", &all));
    goals(report, &all);

    let mut eight: Vec<Reader> = (0..8).map(|_| Reader::start()).collect();
    let races: Vec<Race> = SMALL[1..].iter().chain(&LARGE).map(|len| hand_over(&mut eight, *len)).collect();
    let columns = [SOCKET, PIPE, READ, MAPPED, HUGE_PAGES, KEPT];
    report.races("Hand-over to eight readers", "size", &columns, &races);
    report.chart("handover-8", &chart("Hand-over to eight readers", &races));
    memory(report, &mut eight);
    crossings(report, &[("one reader", &all), ("eight readers", &races)]);
    report.something_else_is_faster(
        "**One reader that reads the bytes once.** A file needs fresh memory from the kernel for every byte, whereas a \
         pipe or a socket uses the same few pages again and again. The table \"The size from which\" says where the \
         sealed file overtakes them. It overtakes them earlier if it was filled before, or if its bytes are made in \
         place.",
    );
    report.something_else_is_faster(
        "**Small messages.** Below the sizes in that table, a pipe or a socket is faster than any file. A sealed file of \
         any length costs about a dozen system calls, those of both sides together.",
    );
}

fn goals(report: &mut Report, races: &[Race]) {
    report.goal_of("hand-over to one reader", races, 16 << 20, (HUGE_PAGES, SOCKET), 1.0);
    let multiple = races.last().and_then(|race| race.speed(MEMCPY, HUGE_PAGES));
    let what = "hand-over of 256 MiB to one reader, huge pages, in multiples of a warm memcpy";
    report.goal(what, Wanted::AtMost(1.8), multiple);
}

/// The sizes at which the lines of the charts cross.
fn crossings(report: &mut Report, races: &[(&str, &[Race])]) {
    let rivals = [(MAPPED, PIPE), (MAPPED, SOCKET), (HUGE_PAGES, PIPE), (HUGE_PAGES, SOCKET)];
    let row = |(readers, races): &(&str, &[Race])| {
        let cell = |(ours, rival)| ahead_from(races, ours, rival).map_or_else(none, size);
        [(*readers).to_owned()].into_iter().chain(rivals.map(cell)).collect()
    };
    report.table(
        "**The size from which a sealed file is at least as fast as a pipe or a socket.** Lower is better; – means at no \
         size measured.",
        &["readers", "4 KiB pages, pipe", "4 KiB pages, socket", "huge pages, pipe", "huge pages, socket"],
        &races.iter().map(row).collect::<Vec<_>>(),
    );
}

fn chart<'a>(title: &'a str, races: &[Race]) -> Chart<'a> {
    let line = |name: &'a str, style, of: &dyn Fn(&Race) -> Option<f64>| {
        let points = races.iter().filter_map(|race| Some((race.bytes as f64, of(race)? * 1e6)));
        Line { name, style, points: points.collect() }
    };
    // A program would read few bytes, and map more.
    let ours = |race: &Race| race.seconds(if race.bytes <= 64 << 10 { READ } else { MAPPED });
    Chart {
        title,
        subtitle: "time until all bytes are summed: lower is better",
        x_ticks: [64, 4 << 10, 256 << 10, 16 << 20]
            .map(|bytes: usize| (bytes as f64, crate::bytes::size(bytes)))
            .into(),
        y_ticks: [("10 µs", 1e1), ("100 µs", 1e2), ("1 ms", 1e3), ("10 ms", 1e4), ("100 ms", 1e5)]
            .map(|(label, value)| (value, label.to_owned()))
            .into(),
        lines: vec![
            line("sealed file,\nhuge pages", HUGE, &|race| race.seconds(HUGE_PAGES)),
            line("sealed file", OURS, &ours),
            line("pipe", FIRST, &|race| race.seconds(PIPE)),
            line("socket", SECOND, &|race| race.seconds(SOCKET)),
            // Smaller sizes stay in the caches of the processor.
            line("memcpy,\nno hand-over", THIRD, &|race| race.seconds(MEMCPY).filter(|_| race.bytes >= 16 << 20)),
        ],
    }
}

/// A run ends when all readers have summed the bytes.
fn hand_over(readers: &mut [Reader], len: usize) -> Race {
    let bytes = pattern(len);
    let expected = files::sum(&bytes);
    let readers = RefCell::new(readers);
    // Gives the bytes to each reader, and then waits for all answers.
    let all = |how: How, give: &dyn Fn(&mut Reader)| {
        let mut readers = readers.borrow_mut();
        for reader in readers.iter_mut() {
            reader.announce(how, len);
            give(reader);
        }
        readers.iter_mut().for_each(|reader| assert_eq!(reader.answer(), expected));
    };
    let make = || files::unless_busy(|| SealedFile::from_bytes("bench", &bytes));
    let huge = SealedFile::options().huge_pages(true);
    let huge = || files::unless_busy(|| huge.from_bytes("bench", &bytes));
    let send = |how: How, sealed: &SealedFile| all(how, &|reader| reader.send(sealed));
    let kept = make();
    let mut warm = vec![1; len];
    let mut candidates = vec![
        candidate(SOCKET, || all(How::Socket, &|reader| reader.socket().write_all(&bytes).expect("write"))),
        candidate(PIPE, || all(How::Pipe, &|reader| reader.pipe().write_all(&bytes).expect("write"))),
        candidate(MAPPED, || send(How::Map, &make())),
        candidate(KEPT, || send(How::Map, &kept)),
        candidate(MEMCPY, || warm.copy_from_slice(&bytes)),
    ];
    if SMALL.contains(&len) {
        candidates.push(candidate(READ, || send(How::Read, &make())));
    }
    if len >= 2 << 20 {
        candidates.push(candidate(HUGE_PAGES, || send(How::MapHuge, &huge())));
    }
    let mut effort = effort(len * 4);
    effort.rounds = effort.rounds.min(11);
    race(size(len), len, Wall, effort, candidates)
}

/// The memory of eight readers of 64 MiB: the sum of their proportional set sizes.
fn memory(report: &mut Report, readers: &mut [Reader]) {
    const LEN: usize = 64 << 20;
    let bytes = pattern(LEN);
    let mut total = |how: How, give: &mut dyn FnMut(&mut Reader)| {
        for reader in readers.iter_mut() {
            reader.announce(how, LEN);
            give(reader);
        }
        readers.iter_mut().for_each(|reader| _ = reader.answer());
        readers.iter_mut().for_each(|reader| reader.announce(How::Pss, 0));
        readers.iter_mut().map(Reader::answer).sum::<u64>()
    };
    let pipe = total(How::Pipe, &mut |reader| reader.pipe().write_all(&bytes).expect("write"));
    let sealed = files::unless_busy(|| SealedFile::from_bytes("bench", &bytes));
    let file = total(How::Keep, &mut |reader| reader.send(&sealed));
    let cell = |bytes: u64| size(usize::try_from(bytes).expect("it fits into memory"));
    report.table(
        "**Memory of eight readers of 64 MiB.** The sum of their proportional set sizes (Pss) while they hold the \
         bytes, lower is better.",
        &["readers", "sealed file", "pipe or socket"],
        &[vec!["all eight".to_owned(), cell(file), cell(pipe)]],
    );
}
