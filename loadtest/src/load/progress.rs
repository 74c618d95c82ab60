//! What whoever waits sees meanwhile.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior};

use super::tally::Tally;

/// How many of the last answers the line speaks of.
const LAST: usize = 500;

/// Shows how a run goes until it is dropped. Where nobody looks (no terminal), nothing is shown.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    task: tokio::task::JoinHandle<()>,
}

impl Progress {
    /// Begins to show a run of this length.
    pub fn show(name: &str, length: Duration, tally: &Arc<Tally>) -> Self {
        let bar = ProgressBar::new(length.as_secs().max(1));
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} s  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        let (shown, tally, begun) = (bar.clone(), tally.clone(), Instant::now());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(250));
            tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tick.tick().await;
                shown.set_position(begun.elapsed().as_secs().min(length.as_secs()));
                shown.set_message(line(&tally, begun.elapsed()));
            }
        });
        Self { bar, task }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

fn line(tally: &Tally, elapsed: Duration) -> String {
    let (answers, bad, mut last) = tally.glance(LAST);
    last.sort_unstable();
    let at = |hundredths: usize| last.get(last.len() * hundredths / 100).map_or(0.0, |us| f64::from(*us) / 1e3);
    let rate = f64::from(u32::try_from(answers).unwrap_or(u32::MAX)) / elapsed.as_secs_f64().max(0.001);
    format!("{answers} answers, {rate:.0}/s, p50 {:.1} ms, p95 {:.1} ms, {bad} refused or lost", at(50), at(95))
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Done, How};
    use super::*;

    #[test]
    fn the_line_says_how_it_goes() {
        let tally = Tally::new();
        assert!(line(&tally, Duration::ZERO).starts_with("0 answers"));
        for millis in 0..100 {
            let done = Done { act: "read", group: "all", how: How::Good };
            tally.record(Duration::ZERO, Duration::from_millis(millis), &done);
        }
        let said = line(&tally, Duration::from_secs(10));
        assert_eq!(said, "100 answers, 10/s, p50 50.0 ms, p95 95.0 ms, 0 refused or lost");
    }
}
