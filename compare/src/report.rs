//! The report: Markdown with tables and charts, below `docs/`.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use plotters::prelude::*;

use crate::bytes::size;
use crate::race::Result;

/// A line of a chart: its name and points.
pub type Line = (&'static str, Vec<(f64, f64)>);

#[derive(Default)]
pub struct Report {
    text: String,
    charts: bool,
}

impl Report {
    /// A part of the page, to be printed. It leaves charts out, because drawing one overwrites its file.
    pub fn part() -> Self {
        Self::default()
    }

    /// The whole page, beginning with the machine that it was measured on.
    pub fn new() -> Self {
        let mut report = Self { charts: true, ..Self::default() };
        report.paragraph(include_str!("intro.md"));
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
        let huge = fs::read_to_string(crate::HUGE_POLICY).unwrap_or_default();
        report.paragraph(&format!(
            "Measured on {} ({cores} cores, {}), Linux {}, shmem_enabled `{}`.",
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

    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let mut line = |cells: &[String]| writeln!(self.text, "| {} |", cells.join(" | ")).expect("a string");
        line(&head.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut rule = vec!["---".to_owned()];
        rule.resize(head.len(), "---:".to_owned());
        line(&rule);
        rows.iter().for_each(|row| line(row));
        self.text.push('\n');
    }

    /// A column per candidate of the races, a row per race: the time of the first candidate, the speed of the others.
    pub fn races(&mut self, what: &str, races: &[(String, Vec<Result>)]) {
        let Some((_, first)) = races.first() else { return };
        let head: Vec<&str> = [what].into_iter().chain(first.iter().map(|result| result.name)).collect();
        let row = |(what, results): &(String, Vec<Result>)| {
            let cell = |(i, result): (usize, &Result)| match i {
                0 => time(result.seconds),
                _ => format!("{:.2} x", result.speed),
            };
            [what.clone()].into_iter().chain(results.iter().enumerate().map(cell)).collect()
        };
        self.table(&head, &races.iter().map(row).collect::<Vec<_>>());
    }

    /// A chart with logarithmic axes.
    pub fn chart(&mut self, name: &str, title: &str, (x, y): (&str, &str), lines: &[Line]) {
        if !self.charts {
            return;
        }
        let path = Path::new("docs").join(format!("{name}.svg"));
        draw(&path, title, (x, y), lines).expect("the chart is written");
        self.paragraph(&format!("![{title}]({name}.svg)"));
    }

    pub fn print(self) {
        println!("{}", self.text.trim_end());
    }

    pub fn write(self) {
        fs::write("docs/benchmarks.md", self.text.trim_end().to_owned() + "\n").expect("docs/benchmarks.md is written");
    }
}

fn draw(
    path: &Path,
    title: &str,
    (x, y): (&str, &str),
    lines: &[Line],
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        points().map(of).fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((left, right), (low, high)) = (range(|point| point.0), range(|point| point.1));
    let root = SVGBackend::new(path, (900, 480)).into_drawing_area();
    root.fill(&WHITE)?;
    let (plot, legend) = root.split_horizontally(680);
    let mut chart = ChartBuilder::on(&plot)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d((left..right).log_scale().base(2.0), (low / 1.3..high * 1.3).log_scale())?;
    let bytes = |value: &f64| size(*value as usize);
    let plain = |value: &f64| if *value < 0.1 { format!("{value:.3}") } else { format!("{value}") };
    chart.configure_mesh().x_desc(x).y_desc(y).x_label_formatter(&bytes).y_label_formatter(&plain).draw()?;
    for (i, (name, points)) in lines.iter().enumerate() {
        let color = Palette99::pick(i).to_rgba();
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?;
        let y = 56 + 20 * i32::try_from(i)?;
        legend.draw(&PathElement::new([(4, y), (26, y)], color.stroke_width(2)))?;
        legend.draw(&Text::new(*name, (34, y - 6), ("sans-serif", 13)))?;
    }
    root.present()?;
    Ok(())
}

pub fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-4 => format!("{:.2} µs", s * 1e6),
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 0.1 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.0} ms", s * 1e3),
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
