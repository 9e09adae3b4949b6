//! Small files, and the size from which on a map is faster than reading.

use memfile::SealedFile;

use crate::bytes::pattern;
use crate::files;
use crate::race::{Clock::Cpu, Race, ahead_from, candidate, effort, race};
use crate::report::{Report, size};

const MAP: &str = "map";
const BUFFER: &str = "read to a warm buffer";
const VEC: &str = "`to_vec`";

pub fn run(report: &mut Report) {
    report.paragraph(include_str!("small.md"));
    let sizes = [64, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20];
    let races = sizes.map(sum);
    report.races("Sum the bytes of a sealed file once", "size", &[MAP, BUFFER, VEC], &races);
    let from = |name| match ahead_from(&races, MAP, name) {
        Some(bytes) => format!("from {} on", size(bytes)),
        None => "at no size measured".to_owned(),
    };
    report.something_else_is_faster(&format!(
        "**Few bytes that are read once.** `mmap`, the page faults and `munmap` cost more than copying a few \
         bytes. A map is at least as fast as reading into a warm buffer {}, and as `to_vec` {}. \
         If a map is read more than once, it pays off earlier.",
        from(BUFFER),
        from(VEC),
    ));
}

fn sum(len: usize) -> Race {
    let sealed = files::unless_busy(|| SealedFile::from_bytes("bench", &pattern(len)));
    let mut buffer = vec![1; len];
    let candidates = vec![
        candidate(MAP, || files::sum(&sealed.map().expect("mmap"))),
        candidate(BUFFER, || {
            sealed.read_exact_at(&mut buffer, 0).expect("pread");
            files::sum(&buffer)
        }),
        candidate(VEC, || files::sum(&sealed.to_vec().expect("memory"))),
    ];
    race(size(len), len, Cpu, effort(len), candidates)
}
