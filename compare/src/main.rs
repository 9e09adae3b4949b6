//! Runs all comparisons side by side and writes `docs/benchmarks.md` with its charts.

use compare::report::Report;
use compare::sections::{copy, create, fill, growth, handover, read, shared};

fn main() {
    if std::env::args().nth(1).as_deref() == Some(handover::READER) {
        return handover::read();
    }
    let mut report = Report::new();
    for section in [create::run, fill::run, copy::run, read::run, shared::run, handover::run, growth::run] {
        section(&mut report);
    }
    report.paragraph(include_str!("honest.md"));
    report.write();
}
