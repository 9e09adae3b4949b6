//! The report: Markdown with tables and charts, in `docs/`, and a list of goals for its figures.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::chart::Chart;
use crate::race::{Clock, Race};

#[derive(Default)]
pub struct Report {
    text: String,
    faster: String,
    goals: Vec<Goal>,
    charts: bool,
}

/// A figure that the report is expected to show.
struct Goal {
    what: String,
    wanted: Wanted,
    reached: Option<f64>,
}

#[derive(Copy, Clone)]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Report {
    /// A part of the page, to be printed. It leaves charts out, because drawing one overwrites its file.
    pub fn part() -> Self {
        Self::default()
    }

    /// The whole page, which begins with the machine on which it was measured.
    pub fn new() -> Self {
        let mut report = Self { charts: true, ..Self::default() };
        report.paragraph(include_str!("intro.md"));
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
        let huge = fs::read_to_string(crate::HUGE_POLICY).unwrap_or_default();
        report.paragraph(&format!(
            "Measured on {} ({cores} cores, {}), Linux {}, with `shmem_enabled` set to `{}`.",
            output("date", &["-u", "+%Y-%m-%d"]),
            model.trim_start_matches(['\t', ' ', ':']),
            output("uname", &["-r"]).split('-').next().unwrap_or_default(),
            huge.split(['[', ']']).nth(1).unwrap_or("unknown"),
        ));
        report
    }

    pub fn paragraph(&mut self, text: &str) {
        writeln!(self.text, "{}\n", text.trim()).expect("a string");
    }

    /// A table and its caption, which says what the columns are.
    pub fn table(&mut self, caption: &str, head: &[&str], rows: &[Vec<String>]) {
        self.paragraph(&wrap(caption, ""));
        let mut line = |cells: &[String]| writeln!(self.text, "| {} |", cells.join(" | ")).expect("a string");
        line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut rule = vec!["---".to_owned()];
        rule.resize(head.len(), "---:".to_owned());
        line(&rule);
        rows.iter().for_each(|row| line(row));
        self.text.push('\n');
    }

    /// A row for each race: the time of the first candidate, then how many times as fast the others are.
    pub fn races(&mut self, title: &str, what: &str, candidates: &[&str], races: &[Race]) {
        let (Some((baseline, others)), Some(race)) = (candidates.split_first(), races.first()) else { return };
        let clock = match race.clock {
            Clock::Cpu => "CPU time",
            Clock::Wall => "wall-clock time",
        };
        let caption = format!(
            "**{title}.** Column \"{baseline}\": {clock}, lower is better. Other columns: how many times as \
             fast, higher is better; below 1.00× is slower."
        );
        let row = |race: &Race| {
            let first = race.seconds(baseline).map_or_else(none, time);
            let speed = |name: &&str| race.speed(name, baseline).map_or_else(none, times);
            [race.label.clone(), first].into_iter().chain(others.iter().map(speed)).collect()
        };
        let head: Vec<&str> = [what].into_iter().chain(candidates.iter().copied()).collect();
        self.table(&caption, &head, &races.iter().map(row).collect::<Vec<_>>());
    }

    /// A row for each race: the time of each candidate, divided by that of `baseline`.
    pub fn multiples(&mut self, title: &str, what: &str, baseline: &str, candidates: &[&str], races: &[Race]) {
        let caption = format!("**{title}.** How many times as long as a {baseline} it takes, lower is better.");
        let row = |race: &Race| {
            // The inverse of a speed, so that this ratio is also taken within a round.
            let multiple = |name: &&str| race.speed(baseline, name).map_or_else(none, times);
            [race.label.clone()].into_iter().chain(candidates.iter().map(multiple)).collect()
        };
        let head: Vec<&str> = [what].into_iter().chain(candidates.iter().copied()).collect();
        self.table(&caption, &head, &races.iter().map(row).collect::<Vec<_>>());
    }

    pub fn chart(&mut self, name: &str, chart: &Chart) {
        if !self.charts {
            return;
        }
        fs::write(Path::new("docs").join(format!("{name}.svg")), chart.svg()).expect("the chart is written");
        self.paragraph(&format!("![{}: {}]({name}.svg)", chart.title, chart.subtitle));
    }

    /// An item of the last section of the page: where something else is faster.
    pub fn something_else_is_faster(&mut self, text: &str) {
        writeln!(self.faster, "- {}", wrap(text, "  ")).expect("a string");
    }

    /// Records the goal of a figure. The goals are not part of the page: see [`Report::list_goals`].
    pub fn goal(&mut self, what: &str, wanted: Wanted, reached: Option<f64>) {
        self.goals.push(Goal { what: what.to_owned(), wanted, reached });
    }

    /// Records how many times as fast as another a candidate should be at one size.
    pub fn goal_of(&mut self, what: &str, races: &[Race], bytes: usize, (name, baseline): (&str, &str), least: f64) {
        let race = races.iter().find(|race| race.bytes == bytes);
        let label = race.map_or("", |race| &race.label);
        let reached = race.and_then(|race| race.speed(name, baseline));
        self.goal(&format!("{what}, {label}: {name} against {baseline}"), Wanted::AtLeast(least), reached);
    }

    /// Lists each goal on standard error, and whether it was reached.
    pub fn list_goals(&self) {
        for Goal { what, wanted, reached } in &self.goals {
            let (sign, value, ok) = match *wanted {
                Wanted::AtLeast(least) => ('≥', least, reached.is_some_and(|reached| reached >= least)),
                Wanted::AtMost(most) => ('≤', most, reached.is_some_and(|reached| reached <= most)),
            };
            let reached = reached.map_or_else(none, |reached| format!("{reached:.2}"));
            let verdict = if ok { "reached" } else { "MISSED" };
            eprintln!("{verdict:<8} asked {sign} {value:<5} reached {reached:<7} {what}");
        }
    }

    pub fn print(self) {
        println!("{}{}", self.text, self.faster);
    }

    /// Adds the last section and writes the page.
    pub fn write(mut self) {
        self.paragraph(include_str!("honest.md"));
        let text = self.text + &self.faster + include_str!("honest_rest.md");
        fs::write("docs/benchmarks.md", text).expect("docs/benchmarks.md is written");
    }
}

/// The content of a cell that has no figure.
pub fn none() -> String {
    "–".to_owned()
}

// A non-breaking space, `\u{a0}`, keeps a number and its unit in one line. `×` needs none: no line breaks before it.

pub fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0}\u{a0}ns", s * 1e9),
        s if s < 1e-5 => format!("{:.2}\u{a0}µs", s * 1e6),
        s if s < 1e-4 => format!("{:.1}\u{a0}µs", s * 1e6),
        s if s < 1e-3 => format!("{:.0}\u{a0}µs", s * 1e6),
        s if s < 1e-2 => format!("{:.2}\u{a0}ms", s * 1e3),
        s if s < 0.1 => format!("{:.1}\u{a0}ms", s * 1e3),
        s => format!("{:.0}\u{a0}ms", s * 1e3),
    }
}

pub fn times(speed: f64) -> String {
    match speed {
        s if s < 9.995 => format!("{s:.2}×"),
        s if s < 99.95 => format!("{s:.1}×"),
        s => format!("{s:.0}×"),
    }
}

/// Like [`bytes::size`](crate::bytes::size), for a cell or a sentence.
pub fn size(bytes: usize) -> String {
    crate::bytes::size(bytes).replace(' ', "\u{a0}")
}

/// Breaks lines before column 100, as in the other pages, but not at a non-breaking space.
fn wrap(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= 98 {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("{indent}{word}"));
        }
    }
    lines.join("\n")
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
