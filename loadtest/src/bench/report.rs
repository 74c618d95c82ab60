//! What a benchmark says, as Markdown.

use std::fmt::Write as _;

use super::Options;
use super::series::{Series, Spread};

/// What a benchmark found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    title: String,
    parts: Vec<Part>,
    goals: Vec<Goal>,
}

/// What stands below a title, in the order in which it was said.
#[derive(Debug, Clone)]
enum Part {
    Note(String),
    Table(Table),
}

/// A table whose first column names its rows.
#[derive(Debug, Clone)]
pub struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A figure that was promised.
#[derive(Debug, Clone)]
pub struct Goal {
    /// What was promised.
    pub what: String,
    /// What was measured.
    pub found: Option<Spread>,
    /// What it may be.
    pub bound: Bound,
}

/// On which side of a number the median must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
}

impl Goal {
    /// The median is at most `bound`.
    pub fn at_most(what: impl Into<String>, found: Option<Spread>, bound: f64) -> Self {
        Self { what: what.into(), found, bound: Bound::AtMost(bound) }
    }

    /// The median is at least `bound`.
    pub fn at_least(what: impl Into<String>, found: Option<Spread>, bound: f64) -> Self {
        Self { what: what.into(), found, bound: Bound::AtLeast(bound) }
    }

    /// Whether it holds. What was not measured does not.
    pub fn held(&self) -> bool {
        self.found.is_some_and(|found| match self.bound {
            Bound::AtMost(bound) => found.median <= bound,
            Bound::AtLeast(bound) => found.median >= bound,
        })
    }
}

impl Table {
    /// A table with these heads.
    pub fn new(heads: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { heads: heads.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// One row more.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Everybody of a series with these figures.
    pub fn of(series: &Series, figures: &[&str]) -> Self {
        let mut table = Self::new(std::iter::once("").chain(figures.iter().copied()));
        for name in series.names() {
            let cells = figures.iter().map(|figure| spread(series.spread(name, figure)));
            table.row(std::iter::once(name.to_owned()).chain(cells));
        }
        table
    }

    fn write(&self, out: &mut String) {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        out.push_str(&line(&self.heads));
        out.push_str(&line(&vec!["---".to_owned(); self.heads.len()]));
        for row in &self.rows {
            out.push_str(&line(row));
        }
        out.push('\n');
    }
}

impl Report {
    /// A report on this.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// A sentence that the reader needs: what was measured how, and what it does not show.
    pub fn note(&mut self, text: impl Into<String>) {
        self.parts.push(Part::Note(text.into()));
    }

    /// A table.
    pub fn table(&mut self, table: Table) {
        self.parts.push(Part::Table(table));
    }

    /// A promise and what was measured.
    pub fn goal(&mut self, goal: Goal) {
        self.goals.push(goal);
    }

    /// Whether all goals were reached.
    pub fn held(&self) -> bool {
        self.goals.iter().all(Goal::held)
    }

    /// The report as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = format!("## {}\n\n", self.title);
        for part in &self.parts {
            match part {
                Part::Note(note) => {
                    let _ = writeln!(out, "{note}\n");
                }
                Part::Table(table) => table.write(&mut out),
            }
        }
        if !self.goals.is_empty() {
            let mut table = Table::new(["goal", "bound", "measured", ""]);
            for goal in &self.goals {
                let bound = match goal.bound {
                    Bound::AtMost(bound) => format!("at most {}", figure(bound)),
                    Bound::AtLeast(bound) => format!("at least {}", figure(bound)),
                };
                let word = if goal.held() { "reached" } else { "missed" };
                table.row([goal.what.clone(), bound, spread(goal.found), word.to_owned()]);
            }
            table.write(&mut out);
        }
        out
    }
}

/// A figure with as many digits as it deserves.
pub fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100_000.0 => format!("{:.0} k", value / 1_000.0),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.2e}"),
    }
}

/// The median and from where to where the rounds went.
pub fn spread(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "-".to_owned(),
        |s| {
            if s.min.to_bits() == s.max.to_bits() {
                figure(s.median)
            } else {
                format!("{} [{}..{}]", figure(s.median), figure(s.min), figure(s.max))
            }
        },
    )
}

/// What was measured on, and how.
pub fn heading(options: &Options) -> String {
    let plan = &options.plan;
    let mut out = "# Benchmarks\n\n".to_owned();
    let _ = writeln!(out, "{}\n", machine());
    let _ = writeln!(
        out,
        "{} alternating rounds of {} ms with {} ms of rest, scheduling class {}; median [smallest..largest] of the \
         rounds; a ratio is the median of the ratios within each round.\n",
        plan.rounds,
        plan.turn.as_millis(),
        plan.pause.as_millis(),
        options.class.name()
    );
    if options.short {
        out.push_str("**A short run: it shows that the benchmarks run. Its figures say nothing.**\n\n");
    }
    if cfg!(debug_assertions) {
        out.push_str("**A debug build. Its figures say nothing.**\n\n");
    }
    out
}

/// The machine in one line.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key));
        line.and_then(|line| Some(line.split_once([':', '='])?.1.trim().trim_matches('"').to_owned()))
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let cpu = after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = after(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .unwrap_or(0.0);
    let system = after(&read("/etc/os-release"), "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned());
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "{cores} cores of {cpu}, {:.0} GiB, {system}, kernel {}, load {} at the start.",
        memory / 1024.0 / 1024.0,
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("?")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_of(figures: &[f64]) -> Option<Spread> {
        Spread::of(figures.to_vec())
    }

    #[test]
    fn a_goal_is_reached_or_missed_by_its_median_and_missed_when_nothing_was_measured() {
        let found = spread_of(&[1.0, 2.0, 9.0]);
        assert!(Goal::at_most("x", found, 2.0).held());
        assert!(!Goal::at_most("x", found, 1.9).held());
        assert!(Goal::at_least("x", found, 2.0).held());
        assert!(!Goal::at_least("x", found, 2.1).held());
        assert!(!Goal::at_least("x", None, 0.0).held());
    }

    #[test]
    fn a_report_is_a_heading_tables_and_verdicts() {
        let mut report = Report::new("Router");
        report.note("As it is.");
        let mut table = Table::new(["", "a"]);
        table.row(["ours", "1"]);
        report.table(table);
        report.goal(Goal::at_most("CPU", spread_of(&[0.7, 0.8]), 0.8));
        let text = report.markdown();
        assert!(text.contains("| ours | 1 |\n"), "{text}");
        assert!(text.contains("| CPU | at most 0.80 | 0.75 [0.70..0.80] | reached |"), "{text}");
        assert!(report.held());
    }

    #[test]
    fn the_machine_is_described() {
        assert!(machine().contains("cores of"), "{}", machine());
    }
}
