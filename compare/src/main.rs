//! Runs all comparisons and writes `docs/benchmarks.md` with its charts. If the arguments name
//! sections, it runs only these and prints them, and writes no file. What was asked of the figures, and
//! what was reached, goes to standard error.

use compare::reader;
use compare::report::Report;
use compare::sections::{copy, create, fill, handover, huge, read, shared, small, stream, tried};

/// Its name as an argument, and what adds it to a report.
type Section = (&'static str, fn(&mut Report));

/// In the order of the page.
const SECTIONS: [Section; 10] = [
    ("create", create::run),
    ("fill", fill::run),
    ("copy", copy::run),
    ("handover", handover::run),
    ("small", small::run),
    ("read", read::run),
    ("huge", huge::run),
    ("shared", shared::run),
    ("stream", stream::run),
    ("tried", tried::run),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.first().is_some_and(|argument| argument == reader::ARGUMENT) {
        return reader::read();
    }
    if let Some((stream::ARGUMENT, arguments)) = wanted.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return stream::answer(arguments);
    }
    let named = |name: &String| SECTIONS.into_iter().find(|(section, _)| section == name);
    if let Some(name) = wanted.iter().find(|name| named(name).is_none()) {
        let known = SECTIONS.map(|(section, _)| section).join(", ");
        eprintln!("there is no section {name}; there are {known}");
        std::process::exit(2);
    }
    let sections: Vec<Section> = wanted.iter().filter_map(named).collect();
    let measure = || if sections.is_empty() { whole() } else { parts(&sections) };
    // The default of the kernel. If it is set to something else and this process may not change it, the
    // report says so.
    compare::with_huge_policy("never", measure).unwrap_or_else(measure);
}

fn whole() {
    let mut report = Report::new();
    SECTIONS.iter().for_each(|(_, run)| run(&mut report));
    report.list_goals();
    report.write();
}

fn parts(sections: &[Section]) {
    for (_, run) in sections {
        let mut report = Report::part();
        run(&mut report);
        report.list_goals();
        report.print();
    }
}
