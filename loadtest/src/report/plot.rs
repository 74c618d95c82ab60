//! Lines on two axes, as SVG.

use std::fmt::Write as _;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it shows.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
}

/// How an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// In equal steps.
    Linear,
    /// In powers of ten. What is not positive has no place on it.
    Log,
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it counts.
    pub label: String,
    /// How.
    pub scale: Scale,
    /// Where the marks are, and what they say; found from the lines when there are none.
    pub ticks: Option<Vec<(f64, String)>>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 52.0;
/// Told apart by people with any kind of colour vision (Okabe and Ito, 2008).
const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444"];

impl Axis {
    /// An axis whose marks fit the lines.
    pub fn fitting(label: &str, scale: Scale) -> Self {
        Self { label: label.to_owned(), scale, ticks: None }
    }

    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.log10(),
        }
    }
}

/// An axis with its ends, from a value to a part of its length.
struct Ruler<'a> {
    axis: &'a Axis,
    from: f64,
    to: f64,
    ticks: Vec<(f64, String)>,
}

impl<'a> Ruler<'a> {
    fn new(axis: &'a Axis, values: impl Iterator<Item = f64>) -> Self {
        let placed = values.map(|value| axis.place(value)).filter(|place| place.is_finite());
        let given = axis.ticks.iter().flatten().map(|(at, _)| axis.place(*at));
        let (mut from, mut to) =
            placed.chain(given).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| (a.min(p), b.max(p)));
        if from > to {
            (from, to) = (0.0, 1.0);
        }
        match axis.scale {
            Scale::Log => (from, to) = (from.floor(), to.ceil()),
            Scale::Linear => from = from.min(0.0),
        }
        if to - from < 1e-9 {
            to = from + 1.0;
        }
        let ticks = axis.ticks.clone().unwrap_or_else(|| match axis.scale {
            Scale::Log => powers(from, to),
            Scale::Linear => steps(from, to),
        });
        Self { axis, from, to, ticks }
    }

    fn part(&self, value: f64) -> f64 {
        (self.axis.place(value) - self.from) / (self.to - self.from)
    }
}

/// Every power of ten between two exponents.
fn powers(from: f64, to: f64) -> Vec<(f64, String)> {
    let mut at = from;
    let mut ticks = Vec::new();
    while at <= to + 1e-9 {
        let value = 10_f64.powf(at);
        ticks.push((value, said(value)));
        at += 1.0;
    }
    ticks
}

/// Some five marks at round numbers.
fn steps(from: f64, to: f64) -> Vec<(f64, String)> {
    let rough = (to - from) / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let mut at = (from / step).ceil() * step;
    let mut ticks = Vec::new();
    while at <= to + step * 1e-6 {
        ticks.push((at, said(at)));
        at += step;
    }
    ticks
}

/// A number on an axis.
fn said(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

/// What may stand between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The plot.
pub fn svg(title: &str, x: &Axis, y: &Axis, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let across = Ruler::new(x, points().map(|point| point.0));
    let up = Ruler::new(y, points().map(|point| point.1));
    let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    let at_x = |value: f64| LEFT + across.part(value) * wide;
    let at_y = |value: f64| TOP + (1.0 - up.part(value)) * high;

    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    for (value, text) in &across.ticks {
        let (at, end) = (at_x(*value), TOP + high);
        let _ = writeln!(out, "<path d=\"M{at:.1} {TOP}V{end}\" stroke=\"#ddd\"/>");
        let _ = writeln!(out, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{text}</text>", end + 17.0);
    }
    for (value, text) in &up.ticks {
        let (at, end) = (at_y(*value), LEFT + wide);
        let _ = writeln!(out, "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>");
        let _ =
            writeln!(out, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>", LEFT - 6.0, at + 4.0);
    }
    let (middle, foot) = (LEFT + wide / 2.0, HEIGHT - 12.0);
    let _ =
        writeln!(out, "<text x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">{}</text>", escaped(&x.label));
    let side = TOP + high / 2.0;
    let _ = writeln!(
        out,
        "<text x=\"16\" y=\"{side}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {side})\">{}</text>",
        escaped(&y.label)
    );
    let mut row = TOP + 6.0;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        // Where a value has no place on the axes, the line is broken.
        let parts = line.points.split(|(x, y)| !across.part(*x).is_finite() || !up.part(*y).is_finite());
        for part in parts.filter(|part| !part.is_empty()) {
            let path: Vec<String> =
                part.iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y))).collect();
            // One point alone is a line of no length, which round ends show as a dot.
            let _ = writeln!(
                out,
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\" \
                 stroke-linecap=\"round\"/>",
                path.join(" ")
            );
        }
        let legend = WIDTH - RIGHT + 14.0;
        let _ = writeln!(out, "<path d=\"M{legend} {row}h18\" stroke=\"{colour}\" stroke-width=\"3\"/>");
        let _ =
            writeln!(out, "<text x=\"{}\" y=\"{}\">{}</text>", legend + 24.0, row + 4.0, escaped(&line.name));
        row += 19.0;
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_numbers() {
        let labels = |ticks: Vec<(f64, String)>| ticks.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(labels(steps(0.0, 30.0)), ["0", "10", "20", "30"]);
        assert_eq!(labels(steps(0.0, 3.2e8)), ["0", "100 M", "200 M", "300 M"]);
        assert_eq!(labels(powers(-1.0, 2.0)), ["0.1", "1", "10", "100"]);
    }

    #[test]
    fn lines_lie_between_the_axes_and_names_are_escaped() {
        let line = Line { name: "a < b".into(), points: vec![(0.0, 1.0), (5.0, 100.0), (10.0, 0.0)] };
        let (x, y) = (Axis::fitting("s", Scale::Linear), Axis::fitting("ms", Scale::Log));
        let text = svg("t & u", &x, &y, &[line]);
        assert!(text.contains("a &lt; b") && text.contains("t &amp; u"));
        // Zero has no place on a logarithmic axis.
        assert!(text.contains("points=\"70.0,368.0 365.0,36.0\""), "{text}");
        let gap =
            Line { name: "g".into(), points: vec![(0.0, 1.0), (1.0, 2.0), (2.0, 0.0), (3.0, 2.0), (4.0, 1.0)] };
        assert_eq!(svg("gap", &x, &y, &[gap]).matches("<polyline").count(), 2);
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn a_plot_without_a_point_is_still_one() {
        let (x, y) = (Axis::fitting("s", Scale::Linear), Axis::fitting("ms", Scale::Log));
        let text = svg("nothing", &x, &y, &[]);
        assert!(text.ends_with("</svg>\n") && !text.contains("NaN"));
    }
}
