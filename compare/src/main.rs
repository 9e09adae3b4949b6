//! Runs all comparisons, and writes `docs/benchmarks.md` with its charts. If the arguments name sections,
//! it only runs and prints those, and writes no file. On standard error it lists each figure that has a
//! goal, and whether the goal was reached.

use compare::reader;
use compare::report::Report;
use compare::sections::{copy, create, fill, handover, huge, read, shared, small, stream, tried};

/// A section: its name as an argument, and the function that adds it to a report.
type Section = (&'static str, fn(&mut Report));

/// The sections, in the order of the page.
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
        eprintln!("unknown section {name}; the sections are {known}");
        std::process::exit(2);
    }
    let sections: Vec<Section> = wanted.iter().filter_map(named).collect();
    if sections.is_empty() { whole() } else { parts(&sections) }
}

fn whole() {
    let mut report = by_default(Report::new);
    SECTIONS.iter().for_each(|(_, run)| by_default(|| run(&mut report)));
    report.list_goals();
    report.write();
}

fn parts(sections: &[Section]) {
    for (_, run) in sections {
        let mut report = Report::part();
        by_default(|| run(&mut report));
        report.list_goals();
        report.print();
    }
}

/// Runs `f` under the kernel's default policy for huge pages, while no test changes it. If this process may
/// not set the policy, the report names the one that was in use.
fn by_default<T>(mut f: impl FnMut() -> T) -> T {
    let _steady = compare::steady_huge_policy();
    compare::with_huge_policy("never", &mut f).unwrap_or_else(f)
}
