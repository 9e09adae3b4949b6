//! Runs all comparisons and writes `docs/benchmarks.md` with its charts. If the arguments name
//! sections, it runs only these and prints them, and writes no file.

use compare::report::Report;
use compare::sections::{copy, create, fill, handover, read, shared};

/// Its name as an argument, and what adds it to a report.
type Section = (&'static str, fn(&mut Report));

/// In the order of the page.
const SECTIONS: [Section; 6] = [
    ("create", create::run),
    ("fill", fill::run),
    ("copy", copy::run),
    ("read", read::run),
    ("shared", shared::run),
    ("handover", handover::run),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.first().is_some_and(|argument| argument == handover::READER) {
        return handover::read();
    }
    if wanted.is_empty() {
        let mut report = Report::new();
        SECTIONS.iter().for_each(|(_, run)| run(&mut report));
        report.paragraph(include_str!("honest.md"));
        return report.write();
    }
    for name in wanted {
        let Some((_, run)) = SECTIONS.iter().find(|(section, _)| *section == name) else {
            let known = SECTIONS.map(|(section, _)| section).join(", ");
            eprintln!("there is no section {name}; there are {known}");
            std::process::exit(2);
        };
        let mut report = Report::part();
        run(&mut report);
        report.print();
    }
}
