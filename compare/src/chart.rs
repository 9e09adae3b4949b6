//! Line charts as SVG: two logarithmic axes, and the name of each line at its end.
//!
//! A page shows them at any width, down to that of a phone. So the letters are large, and lines differ in
//! more than their colours.

use std::fmt::Write;

pub struct Chart<'a> {
    pub title: &'a str,
    /// What the lines show, in which unit, and which direction is better.
    pub subtitle: &'a str,
    /// Values of the axes that have a grid line and a label.
    pub x_ticks: Vec<(f64, String)>,
    pub y_ticks: Vec<(f64, String)>,
    pub lines: Vec<Line<'a>>,
}

pub struct Line<'a> {
    /// One line of text or two.
    pub name: &'a str,
    pub style: Style,
    pub points: Vec<(f64, f64)>,
}

/// The colours are those of Okabe and Ito, which people with any colour vision can tell apart.
#[derive(Copy, Clone)]
pub struct Style {
    color: &'static str,
    width: f64,
    dash: &'static str,
    weight: u32,
}

/// `memfile` with huge pages, and without.
pub const HUGE: Style = Style { color: "#0072B2", width: 6.0, dash: "none", weight: 700 };
pub const OURS: Style = Style { color: "#D55E00", width: 6.0, dash: "none", weight: 700 };
/// The lines that they are compared with.
pub const FIRST: Style = Style { color: "#009E73", width: 3.0, dash: "14 5", weight: 400 };
pub const SECOND: Style = Style { color: "#A0527F", width: 3.0, dash: "3 5", weight: 400 };
pub const THIRD: Style = Style { color: "#000000", width: 2.0, dash: "none", weight: 400 };

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 548.0;
const FONT: f64 = 21.0;
/// The edges of the plot.
const LEFT: f64 = 96.0;
const RIGHT: f64 = 520.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 500.0;

impl Chart<'_> {
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Axis::over(points().map(|point| point.0), (LEFT, RIGHT), 0.0);
        let y = Axis::over(points().map(|point| point.1), (BOTTOM, TOP), 0.04);
        let mut svg = Svg::new(self.title, self.subtitle);
        for (value, label) in self.x_ticks.iter().filter(|(value, _)| x.has(*value)) {
            svg.line((x.at(*value), TOP), (x.at(*value), BOTTOM), "#D9D9D9", 1.0);
            svg.text((x.at(*value), BOTTOM + 30.0), "middle", 400, FONT, label);
        }
        for (value, label) in self.y_ticks.iter().filter(|(value, _)| y.has(*value)) {
            svg.line((LEFT, y.at(*value)), (RIGHT, y.at(*value)), "#D9D9D9", 1.0);
            svg.text((LEFT - 10.0, y.at(*value) + FONT * 0.35), "end", 400, FONT, label);
        }
        // The lines of `memfile` come last, so that they are on top.
        let mut lines: Vec<&Line<'_>> = self.lines.iter().filter(|line| !line.points.is_empty()).collect();
        lines.sort_by(|a, b| a.style.width.total_cmp(&b.style.width));
        for line in &lines {
            let points: Vec<_> = line.points.iter().map(|point| (x.at(point.0), y.at(point.1))).collect();
            svg.polyline(&points, &line.style);
        }
        for (line, label) in labels(&lines, &y) {
            let end = line.points.last().map_or((RIGHT, label), |point| (x.at(point.0), y.at(point.1)));
            svg.line(end, (RIGHT + 22.0, label), line.style.color, 2.0);
            let rows = line.name.lines().count() as f64;
            for (i, row) in line.name.lines().enumerate() {
                let row_y = label + (i as f64 - (rows - 1.0) / 2.0) * FONT * 1.1 + FONT * 0.35;
                svg.text((RIGHT + 28.0, row_y), "start", line.style.weight, FONT, row);
            }
        }
        svg.finish()
    }
}

/// The labels in the order of the ends of their lines, moved apart where they would overlap.
fn labels<'a>(lines: &[&'a Line<'a>], y: &Axis) -> Vec<(&'a Line<'a>, f64)> {
    let mut labels: Vec<_> =
        lines.iter().filter_map(|line| Some((*line, y.at(line.points.last()?.1)))).collect::<Vec<_>>();
    labels.sort_by(|a, b| a.1.total_cmp(&b.1));
    let height = |line: &Line<'_>| line.name.lines().count() as f64 * FONT * 1.1 + 7.0;
    for i in 1..labels.len() {
        let apart = (height(labels[i - 1].0) + height(labels[i].0)) / 2.0;
        labels[i].1 = labels[i].1.max(labels[i - 1].1 + apart);
    }
    let mut lowest = BOTTOM;
    for (line, at) in labels.iter_mut().rev() {
        *at = at.min(lowest - height(line) / 2.0);
        lowest = *at - height(line) / 2.0;
    }
    labels
}

/// A logarithmic axis, which maps values to places.
struct Axis {
    values: (f64, f64),
    places: (f64, f64),
}

impl Axis {
    /// With room beyond the lowest and the highest value, as a share of the whole.
    fn over(values: impl Iterator<Item = f64>, places: (f64, f64), room: f64) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let room = (high / low).powf(room);
        Self { values: (low / room, high * room), places }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value / self.values.0).ln() / (self.values.1 / self.values.0).ln();
        self.places.0 + share * (self.places.1 - self.places.0)
    }

    fn has(&self, value: f64) -> bool {
        (self.values.0 * 0.999..=self.values.1 * 1.001).contains(&value)
    }
}

struct Svg(String);

impl Svg {
    fn new(title: &str, subtitle: &str) -> Self {
        let mut svg = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             font-family=\"system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif\">\n\
             <title>{title}: {subtitle}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#FFFFFF\"/>\n"
        ));
        svg.text((18.0, 36.0), "start", 700, 26.0, title);
        svg.text((18.0, 68.0), "start", 400, FONT, subtitle);
        svg
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, weight: u32, size: f64, text: &str) {
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\" \
             font-size=\"{size}\" fill=\"#1A1A1A\">{text}</text>"
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), color: &str, width: f64) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{color}\" \
             stroke-width=\"{width}\"/>"
        ));
    }

    fn polyline(&mut self, points: &[(f64, f64)], style: &Style) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let Style { color, width, dash, .. } = style;
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" \
             stroke-dasharray=\"{dash}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
            points.join(" ")
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{element}").expect("a string");
    }

    fn finish(self) -> String {
        self.0 + "</svg>\n"
    }
}
