//! When requests are due.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::tally::{Done, How, Tally};

/// How the rate goes over a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// The same all the time.
    Level,
    /// A day of a clinic: a busy morning, a quieter noon, a busy afternoon, a quiet night.
    Day,
}

/// Requests due at random, independent of one another (a Poisson process), the same for the same seed.
#[derive(Debug)]
pub struct Pace {
    rng: ChaCha8Rng,
    rate: f64,
    shape: Shape,
    length: Duration,
    now: f64,
}

/// More requests under way than this are not sent: the client would measure itself.
const UNDER_WAY_MAX: usize = 8_000;

impl Shape {
    /// The rate at a point of the run between 0 and 1, as a part of the highest rate.
    fn at(self, progress: f64) -> f64 {
        match self {
            Self::Level => 1.0,
            Self::Day => {
                let peak = |at: f64, width: f64| (-((progress - at) / width).powi(2)).exp();
                0.15 + 0.85 * peak(0.35, 0.12).max(0.8 * peak(0.65, 0.12))
            }
        }
    }
}

impl Pace {
    /// So many requests a second at most, for so long.
    pub fn new(seed: u64, rate: f64, shape: Shape, length: Duration) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed ^ 0x7061_6365), rate, shape, length, now: 0.0 }
    }
}

/// When the next request is due, after the beginning.
impl Iterator for Pace {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let length = self.length.as_secs_f64();
        loop {
            // Intervals of a Poisson process are exponential. `1 - x` is never 0.
            let draw: f64 = self.rng.random();
            self.now += -(1.0 - draw).ln() / self.rate;
            if self.now >= length {
                return None;
            }
            // Thinning: of what is due at the highest rate, as many as the shape wants here.
            if self.rng.random::<f64>() < self.shape.at(self.now / length) {
                return Some(Duration::from_secs_f64(self.now));
            }
        }
    }
}

/// Starts what is due when it is due, and waits at the end until everything was answered.
pub async fn send<F, D>(pace: Pace, tally: &Arc<Tally>, mut start: impl FnMut(Duration) -> F)
where
    F: Future<Output = D> + Send + 'static,
    D: Into<Done>,
{
    let begun = Instant::now();
    let mut under_way = JoinSet::new();
    for due in pace {
        tokio::time::sleep_until(begun + due).await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() >= UNDER_WAY_MAX {
            let how = How::Lost(format!("not sent: {UNDER_WAY_MAX} requests were under way"));
            tally.record(due, begun.elapsed().saturating_sub(due), &Done { act: "none", group: "all", how });
            continue;
        }
        let (request, tally) = (start(due), tally.clone());
        under_way.spawn(async move {
            let done = request.await.into();
            tally.record(due, begun.elapsed().saturating_sub(due), &done);
        });
    }
    while under_way.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_as_asked_and_a_seed_repeats_it() {
        let pace = || Pace::new(7, 500.0, Shape::Level, Duration::from_secs(20));
        let due: Vec<Duration> = pace().collect();
        assert!((9_500..10_500).contains(&due.len()), "{}", due.len());
        assert!(due.is_sorted() && due.last().is_some_and(|last| *last < Duration::from_secs(20)));
        assert_eq!(due, pace().collect::<Vec<_>>());
        assert_ne!(due, Pace::new(8, 500.0, Shape::Level, Duration::from_secs(20)).collect::<Vec<_>>());
    }

    #[test]
    fn a_day_is_busiest_in_the_morning_and_quiet_at_night() {
        let due: Vec<Duration> = Pace::new(7, 500.0, Shape::Day, Duration::from_secs(20)).collect();
        let between = |from: u64, to: u64| {
            due.iter().filter(|d| (Duration::from_secs(from)..Duration::from_secs(to)).contains(*d)).count()
        };
        let (night, morning, afternoon) = (between(0, 2), between(6, 8), between(12, 14));
        assert!(morning > afternoon && afternoon > night * 2, "{night} {morning} {afternoon}");
    }

    #[tokio::test]
    async fn a_slow_answer_is_measured_from_when_its_request_was_due() {
        const STANDSTILL: Duration = Duration::from_millis(300);
        let tally = Arc::new(Tally::new());
        let pace = || Pace::new(1, 200.0, Shape::Level, STANDSTILL);
        // A server that stands still: whoever was due meanwhile waits for the rest of it.
        let ready = Instant::now() + STANDSTILL;
        send(pace(), &tally, |_| async move {
            tokio::time::sleep_until(ready).await;
            Done { act: "read", group: "all", how: How::Good }
        })
        .await;
        let points = tally.points();
        assert_eq!(points.len(), pace().count());
        let first = points.iter().min_by(|a, b| a.due.total_cmp(&b.due)).expect("a point");
        assert!(first.micros > 250_000, "{first:?}");
        let waited: f64 = points.iter().map(|point| f64::from(point.micros)).sum::<f64>() / 1e6;
        // Some sixty requests that wait 150 ms on average. A closed loop would have waited 300 ms in all.
        assert!(waited > 5.0, "{waited}");
    }
}
