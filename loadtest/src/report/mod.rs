//! A run as Markdown with two plots.

pub mod plot;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::load::run::Outcome;
use crate::load::tally::{QUANTILES, Second};
use crate::tell::tell;
use plot::{Axis, Line, Scale};

/// Writes a run's report, plots and figures into this folder, and gives the report.
pub fn write(outcome: &Outcome, folder: &Path) -> Result<String> {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    let text = markdown(outcome);
    put("result.json", &serde_json::to_string_pretty(outcome)?)?;
    put("latency.svg", &over_time(&outcome.timeline))?;
    put("percentiles.svg", &percentiles(outcome))?;
    put("report.md", &text)?;
    Ok(text)
}

/// Writes the reports of these runs again, from their figures, and prints them. False when a promise was broken.
pub fn again(folders: &[PathBuf]) -> Result<bool> {
    let mut held = true;
    for folder in folders {
        let path = folder.join("result.json");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let outcome: Outcome = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        tell(&write(&outcome, folder)?);
        held &= outcome.held();
    }
    Ok(held)
}

fn markdown(outcome: &Outcome) -> String {
    let mut out = format!("# {}: {}\n\n", outcome.scenario, outcome.about);
    let word = if outcome.held() { "All promises held." } else { "**A promise was broken.**" };
    let _ = writeln!(out, "{word}\n");
    let _ = writeln!(
        out,
        "{}\n\nAt most {:.0} requests a second for {} s (seed {}), {} people in every state before it began. Requests \
         were sent when they were due; latency counts from then.\n",
        outcome.machine, outcome.rate, outcome.seconds, outcome.seed, outcome.people
    );
    out.push_str("| promise | bound | found | |\n| --- | --- | --- | --- |\n");
    for promise in &outcome.promises {
        let word = if promise.held { "held" } else { "**broken**" };
        let _ = writeln!(out, "| {} | {} | {} | {word} |", promise.what, promise.bound, promise.found);
    }
    let _ = writeln!(
        out,
        "\n{} records were read again; the history has {} operations.\n",
        outcome.read_again, outcome.operations
    );
    out.push_str("| request | good | refused as expected | other | p50 ms | p95 ms | p99 ms | slowest ms |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for s in &outcome.summaries {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} |",
            s.act, s.good, s.expected, s.bad, s.p50, s.p95, s.p99, s.max
        );
    }
    if !outcome.reasons.is_empty() {
        out.push_str("\n| request | answer | how many |\n| --- | --- | --- |\n");
        for (act, why, count) in &outcome.reasons {
            let _ = writeln!(out, "| {act} | {why} | {count} |");
        }
    }
    if !outcome.details.is_empty() {
        out.push_str("\n## What is wrong\n\n");
        for detail in &outcome.details {
            let _ = writeln!(out, "- `{detail}`");
        }
    }
    out.push_str("\n![Latency over time](latency.svg)\n\n![Percentiles](percentiles.svg)\n");
    out
}

/// The median and the 95th percentile of every group, second by second.
fn over_time(timeline: &[Second]) -> String {
    let mut groups: Vec<&str> = timeline.iter().map(|second| second.group.as_str()).collect();
    groups.dedup();
    let line = |group: &str, name: &str, figure: fn(&Second) -> f64| Line {
        name: format!("{group}, {name}"),
        // A second without a good answer has no latency: 0 has no place on the axis, and there the line is broken.
        points: timeline
            .iter()
            .filter(|second| second.group == group)
            .map(|second| (f64::from(second.second), if second.good > 0 { figure(second) } else { 0.0 }))
            .collect(),
    };
    let lines: Vec<Line> = groups
        .iter()
        .flat_map(|group| [line(group, "p50", |s| s.p50), line(group, "p95", |s| s.p95)])
        .collect();
    let (x, y) = (Axis::fitting("seconds", Scale::Linear), Axis::fitting("latency, ms", Scale::Log));
    plot::svg("Latency over time", &x, &y, &lines)
}

/// The latency at every percentile, with room for the last ones.
fn percentiles(outcome: &Outcome) -> String {
    // At 99 % one of 100 is slower, at 99.9 % one of 1,000: equal steps to the right.
    let nines = |quantile: f64| -(1.0 - quantile).log10();
    let ticks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999];
    let ticks = ticks.map(|quantile| (nines(quantile), format!("{} %", quantile * 100.0)));
    let lines: Vec<Line> = outcome
        .summaries
        .iter()
        .filter(|summary| summary.good > 0)
        .map(|summary| Line {
            name: summary.act.clone(),
            points: QUANTILES
                .iter()
                .map(|quantile| nines(*quantile))
                .zip(summary.curve.iter().copied())
                .collect(),
        })
        .collect();
    let x = Axis { label: "of all answers".to_owned(), scale: Scale::Linear, ticks: Some(ticks.to_vec()) };
    plot::svg("Percentiles of the latency", &x, &Axis::fitting("latency, ms", Scale::Log), &lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tally::Summary;
    use crate::load::verdict::Promise;

    fn outcome(held: bool) -> Outcome {
        let summary = Summary {
            act: "read".into(),
            good: 9,
            curve: QUANTILES.map(|q| 1.0 + q * 10.0).to_vec(),
            ..Summary::default()
        };
        let second = |second| Second {
            second,
            group: "read".into(),
            good: 3,
            expected: 0,
            bad: 0,
            p50: 2.0,
            p95: 9.0,
            max: 12.0,
        };
        Outcome {
            scenario: "read_chart".into(),
            about: "charts".into(),
            machine: "a machine".into(),
            seed: 1,
            rate: 3.0,
            seconds: 3,
            people: 2,
            summaries: vec![summary],
            timeline: (0..3).map(second).collect(),
            reasons: vec![("read".into(), "503 overloaded".into(), 2)],
            promises: vec![Promise::must("it works", held, "so")],
            details: if held { Vec::new() } else { vec!["lost: p".into()] },
            read_again: 4,
            operations: 0,
        }
    }

    #[test]
    fn a_report_is_written_and_can_be_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = write(&outcome(true), folder.path()).expect("writes");
        assert!(
            text.contains("All promises held.") && text.contains("| read | 503 overloaded | 2 |"),
            "{text}"
        );
        for plot in ["latency.svg", "percentiles.svg"] {
            let svg = fs::read_to_string(folder.path().join(plot)).expect(plot);
            assert!(svg.starts_with("<svg") && svg.contains("<polyline"), "{svg}");
        }
        assert!(again(&[folder.path().to_owned()]).expect("reads"));
    }

    #[test]
    fn a_broken_promise_is_not_overlooked() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = write(&outcome(false), folder.path()).expect("writes");
        assert!(text.contains("**A promise was broken.**") && text.contains("- `lost: p`"), "{text}");
        assert!(!again(&[folder.path().to_owned()]).expect("reads"));
    }
}
