//! What was measured: every answer with when it was due, how long it took, and what it was.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What was asked.
    pub act: &'static str,
    /// Which line of the plot it belongs to.
    pub group: &'static str,
    /// How it was answered.
    pub how: How,
}

/// How a request was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// As it should be.
    Good,
    /// Refused, in a way that this scenario expects: a slot that somebody else took, for one.
    Expected(&'static str),
    /// Refused.
    Refused {
        /// The status.
        status: u16,
        /// The problem's name.
        problem: String,
        /// Whether it says when to ask again.
        retry_after: bool,
    },
    /// Not answered, or with something that cannot be right.
    Lost(String),
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub struct Point {
    /// When it was due, in seconds after the beginning.
    pub due: f64,
    /// How long after that it was answered, in microseconds.
    pub micros: u32,
    /// What was asked.
    pub act: &'static str,
    /// Which line of the plot it belongs to.
    pub group: &'static str,
    /// What kind of answer it was.
    pub kind: Kind,
}

/// A kind of answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for.
    Good,
    /// A refusal that this scenario expects.
    Expected,
    /// Anything else.
    Bad,
}

impl How {
    fn kind(&self) -> Kind {
        match self {
            Self::Good => Kind::Good,
            Self::Expected(_) => Kind::Expected,
            Self::Refused { .. } | Self::Lost(_) => Kind::Bad,
        }
    }
}

/// One kind of request in figures. Latencies are in milliseconds and of good answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What was asked.
    pub act: String,
    /// How many were good.
    pub good: u64,
    /// How many were refused as this scenario expects.
    pub expected: u64,
    /// How many were neither.
    pub bad: u64,
    /// Half were answered within.
    pub p50: f64,
    /// 95 of 100 were answered within.
    pub p95: f64,
    /// 99 of 100 were answered within.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
    /// The latency at each of [`QUANTILES`].
    pub curve: Vec<f64>,
}

/// Where the percentile curve is drawn.
pub const QUANTILES: [f64; 13] =
    [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999];

/// One second of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Which.
    pub second: u32,
    /// Which line of the plot.
    pub group: String,
    /// How many good answers.
    pub good: u64,
    /// How many refusals that this scenario expects.
    pub expected: u64,
    /// How many others.
    pub bad: u64,
    /// The median latency of the good ones in milliseconds.
    pub p50: f64,
    /// What 95 of 100 did not exceed.
    pub p95: f64,
    /// The slowest.
    pub max: f64,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Tally {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    points: Vec<Point>,
    reasons: BTreeMap<(&'static str, String), u64>,
    without_retry_after: u64,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One answer more.
    pub fn record(&self, due: Duration, took: Duration, done: &Done) {
        let mut kept = self.lock();
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        let kind = done.how.kind();
        kept.points.push(Point { due: due.as_secs_f64(), micros, act: done.act, group: done.group, kind });
        let reason = match &done.how {
            How::Good => return,
            How::Expected(why) => format!("as expected: {why}"),
            How::Refused { status, problem, retry_after } => {
                kept.without_retry_after += u64::from(*status == 503 && !retry_after);
                format!("{status} {problem}")
            }
            How::Lost(why) => why.clone(),
        };
        *kept.reasons.entry((done.act, reason)).or_default() += 1;
    }

    /// Every answer.
    pub fn points(&self) -> Vec<Point> {
        self.lock().points.clone()
    }

    /// How many answers there are, how many of them are not good, and the last so many latencies in microseconds.
    pub fn glance(&self, last: usize) -> (usize, usize, Vec<u32>) {
        let kept = self.lock();
        let from = kept.points.len().saturating_sub(last);
        let bad = kept.reasons.iter().filter(|((_, why), _)| !why.starts_with("as expected")).map(|(_, n)| *n);
        let bad = usize::try_from(bad.sum::<u64>()).unwrap_or(usize::MAX);
        (kept.points.len(), bad, kept.points[from..].iter().map(|point| point.micros).collect())
    }

    /// Why answers were not simply good, with how many.
    pub fn reasons(&self) -> Vec<(String, String, u64)> {
        let kept = self.lock();
        kept.reasons.iter().map(|((act, why), count)| ((*act).to_owned(), why.clone(), *count)).collect()
    }

    /// How many answers with 503 did not say when to ask again.
    pub fn without_retry_after(&self) -> u64 {
        self.lock().without_retry_after
    }

    /// Each kind of request in figures.
    pub fn summaries(&self) -> Vec<Summary> {
        let points = self.points();
        by(&points, |point| point.act).into_iter().map(|(act, points)| summary(act, &points)).collect()
    }

    /// Each group over time.
    pub fn seconds(&self) -> Vec<Second> {
        let points = self.points();
        let mut seconds = Vec::new();
        for (group, points) in by(&points, |point| point.group) {
            let mut each: BTreeMap<u32, Vec<Point>> = BTreeMap::new();
            for point in points {
                each.entry(second_of(&point)).or_default().push(point);
            }
            for (second, here) in each {
                let figures = summary(group, &here);
                seconds.push(Second {
                    second,
                    group: group.to_owned(),
                    good: figures.good,
                    expected: figures.expected,
                    bad: figures.bad,
                    p50: figures.p50,
                    p95: figures.p95,
                    max: figures.max,
                });
            }
        }
        seconds
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a run is shorter than 136 years")]
fn second_of(point: &Point) -> u32 {
    point.due as u32
}

fn by(points: &[Point], key: impl Fn(&Point) -> &'static str) -> BTreeMap<&'static str, Vec<Point>> {
    let mut groups: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    for point in points {
        groups.entry(key(point)).or_default().push(*point);
    }
    groups
}

/// These answers in figures.
pub fn summary(name: &str, points: &[Point]) -> Summary {
    let of = |kind: Kind| points.iter().filter(move |point| point.kind == kind);
    let mut summary = Summary {
        act: name.to_owned(),
        good: of(Kind::Good).count() as u64,
        expected: of(Kind::Expected).count() as u64,
        bad: of(Kind::Bad).count() as u64,
        ..Summary::default()
    };
    // Three digits, from a microsecond to more than an hour. The bounds are right, so it is always there.
    let Ok(mut histogram) = Histogram::<u64>::new_with_bounds(1, 5_000_000_000, 3) else { return summary };
    for point in of(Kind::Good) {
        histogram.saturating_record(u64::from(point.micros));
    }
    let millis = |quantile: f64| {
        f64::from(u32::try_from(histogram.value_at_quantile(quantile)).unwrap_or(u32::MAX)) / 1e3
    };
    summary.p50 = millis(0.5);
    summary.p95 = millis(0.95);
    summary.p99 = millis(0.99);
    summary.max = millis(1.0);
    summary.curve = QUANTILES.map(millis).to_vec();
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(how: How) -> Done {
        Done { act: "read", group: "tx", how }
    }

    #[test]
    fn good_answers_make_the_latency_and_others_are_counted_with_their_reason() {
        let tally = Tally::new();
        for millis in 1..=100 {
            tally.record(Duration::from_millis(millis * 20), Duration::from_millis(millis), &done(How::Good));
        }
        let refused = How::Refused { status: 503, problem: "region-unavailable".into(), retry_after: false };
        tally.record(Duration::ZERO, Duration::from_secs(9), &done(refused));
        tally.record(Duration::ZERO, Duration::from_millis(1), &done(How::Expected("taken")));
        let [read] = &tally.summaries()[..] else { panic!("one kind") };
        assert_eq!((read.good, read.expected, read.bad), (100, 1, 1));
        assert!((94.0..96.0).contains(&read.p95) && (99.0..101.0).contains(&read.max), "{read:?}");
        assert_eq!(read.curve.len(), QUANTILES.len());
        assert_eq!(tally.without_retry_after(), 1);
        let (all, bad, last) = tally.glance(3);
        assert_eq!((all, bad, last.len()), (102, 1, 3));
        assert!(tally.reasons().contains(&("read".into(), "503 region-unavailable".into(), 1)));
        let seconds = tally.seconds();
        assert_eq!(seconds.len(), 3, "{seconds:?}");
        assert_eq!(seconds.iter().map(|second| second.good + second.expected).sum::<u64>(), 101);
    }
}
