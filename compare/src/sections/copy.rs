//! Copying a file to a sealed file.

use std::fs::File;
use std::io::Seek;
use std::os::fd::OwnedFd;

use memfile::SealedFile;

use crate::bytes::pattern;
use crate::chart::{Chart, FIRST, HUGE, Line, OURS, SECOND};
use crate::files;
use crate::race::{Clock::Cpu, Race, candidate, effort, race};
use crate::report::{Report, size};

const SENDFILE: &str = "`sendfile`";
const IO_COPY: &str = "`io::copy` to `File`";
const OLD: &str = "`io::copy` to memfile 0.3";
const PLAIN: &str = "`copy_of`";
const HUGE_PAGES: &str = "`copy_of`, huge pages";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("copy.md"));
    let sizes = [64 << 10, 256 << 10, 2 << 20, 4 << 20, 16 << 20, 64 << 20, 256 << 20];
    let columns = [SENDFILE, IO_COPY, OLD, PLAIN, HUGE_PAGES];
    let races = sizes.map(|len| copy(&files::on_disk(len), len));
    report.races("Copy a file in the page cache", "size", &columns, &races);
    for (bytes, least) in [(4 << 20, 3.2), (16 << 20, 2.8), (256 << 20, 2.8)] {
        report.goal_of("copy", &races, bytes, (HUGE_PAGES, SENDFILE), least);
    }
    report.goal_of("nothing gets slower: copy", &races, 256 << 20, (PLAIN, SENDFILE), 0.95);
    report.chart("copy", &chart(&races));
    let races = [64 << 10, 4 << 20, 64 << 20].map(|len| copy(&in_memory(len), len));
    report.races("Copy a memory file", "size", &columns, &races);
}

fn in_memory(len: usize) -> File {
    files::unless_busy(|| SealedFile::from_bytes("source", &pattern(len))).into_fd().into()
}

fn chart<'a>(races: &[Race]) -> Chart<'a> {
    let line = |text: &'a str, style, name: &str| {
        let speed = |race: &Race| race.bytes as f64 / race.seconds(name).expect("it took part") / f64::from(1 << 30);
        Line { name: text, style, points: races.iter().map(|race| (race.bytes as f64, speed(race))).collect() }
    };
    Chart {
        title: "Copying a file to a sealed file",
        subtitle: "GiB per second of CPU time: higher is better",
        x_ticks: [64 << 10, 1 << 20, 16 << 20, 256 << 20]
            .map(|bytes: usize| (bytes as f64, crate::bytes::size(bytes)))
            .into(),
        y_ticks: [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0].map(|value| (value, value.to_string())).into(),
        lines: vec![
            line("copy_of,\nhuge pages", HUGE, HUGE_PAGES),
            line("copy_of", OURS, PLAIN),
            line("sendfile", FIRST, SENDFILE),
            line("io::copy,\nmemfile 0.3", SECOND, OLD),
        ],
    }
}

fn copy(source: &File, len: usize) -> Race {
    let rewound = || {
        let mut source = source;
        source.rewind().expect("lseek");
        source
    };
    let sendfile = || -> OwnedFd {
        let fd = files::create();
        files::send(source, &fd);
        files::seal(&fd);
        fd
    };
    let old = || {
        let mut file = memfile03::MemFile::create_sealable("bench").expect("memfd_create");
        std::io::copy(&mut rewound(), &mut file).expect("a copy");
        files::seal(&file);
        file
    };
    let into_file = || {
        let mut file = File::from(files::create());
        std::io::copy(&mut rewound(), &mut file).expect("a copy");
        files::seal(&file);
        file
    };
    let huge = SealedFile::options().huge_pages(true);
    let candidates = vec![
        candidate(SENDFILE, sendfile),
        candidate(IO_COPY, into_file),
        candidate(OLD, old),
        candidate(PLAIN, || files::unless_busy(|| SealedFile::copy_of("bench", rewound()))),
        candidate(HUGE_PAGES, || files::unless_busy(|| huge.copy_of("bench", rewound()))),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}
