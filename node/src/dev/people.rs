//! Loads synthetic people through the same HTTPS API that every caller uses.
//!
//! Each registration has an idempotency key that follows from seed, state and place in the row, and the marker in
//! the home folder says how far the row was loaded: a second `up` loads nobody twice.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::civil::Date;
use loadtest_people::people;
use residency_policy::{Jurisdiction, Purpose, wire};
use serde::{Deserialize, Serialize};

use super::banner::count;
use super::keep::{self, Readers};
use super::layout::Home;
use super::visit::{Answer, Visitor};
use crate::tell;

/// Requests under way at the same time.
const AT_ONCE: usize = 16;
const WITHIN: Duration = Duration::from_secs(30);
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_millis(250);

/// How far the people of this home were loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loaded {
    /// What they grew from.
    pub seed: u64,
    /// The day on which the first was loaded: ages follow from it, so that it must stay.
    pub today: Date,
    /// How many of each row are there.
    pub count: BTreeMap<String, usize>,
}

impl Loaded {
    /// What the home folder says, or nobody yet.
    pub fn read(home: &Home, seed: u64, today: Date) -> Result<Self> {
        let nobody = Self { seed, today, count: BTreeMap::new() };
        Ok(keep::read_json(&home.people())?.unwrap_or(nobody))
    }

    /// How many are there in all.
    pub fn total(&self) -> usize {
        self.count.values().sum()
    }
}

/// How many of `total` fall to each of `states`, evenly, the first ones taking what is left over.
pub fn shares(total: usize, states: usize) -> Vec<usize> {
    (0..states).map(|i| total / states + usize::from(i < total % states)).collect()
}

/// Where and as whom to load.
pub struct Intake<'a> {
    /// An HTTPS client.
    pub visitor: &'a Visitor,
    /// The router.
    pub url: &'a str,
    /// The bearer token of a role that registers patients.
    pub api_key: &'a str,
}

/// Loads until each state has its share. Says how far it is.
pub async fn load(
    home: &Home,
    intake: &Intake<'_>,
    states: &[Jurisdiction],
    total: usize,
    mut loaded: Loaded,
) -> Result<Loaded> {
    let wanted: Vec<_> = states.iter().copied().zip(shares(total, states.len())).collect();
    let counted = |loaded: &Loaded, state: Jurisdiction| loaded.count.get(state.code()).copied().unwrap_or(0);
    let left: usize = wanted.iter().map(|(state, share)| share.saturating_sub(counted(&loaded, *state))).sum();
    if left == 0 {
        return Ok(loaded);
    }
    let progress = Progress::of(left);
    for (state, share) in wanted {
        let from = counted(&loaded, state);
        if share <= from {
            continue;
        }
        let (seed, today) = (loaded.seed, loaded.today);
        let row = people(seed, state, share, today).enumerate().skip(from);
        let registrations = stream::iter(row).map(|(index, person)| {
            let body = serde_json::to_vec(&person);
            async move {
                register(intake, state, &format!("dev-{seed}-{}-{index}", state.code()), body?.into()).await
            }
        });
        // In order, so that the marker counts a row without gaps.
        let mut done = std::pin::pin!(registrations.buffered(AT_ONCE));
        let mut there = from;
        while let Some(()) = done.try_next().await? {
            there += 1;
            progress.one();
            if there % 64 == 0 || there == share {
                loaded.count.insert(state.code().to_owned(), there);
                keep::write_json(&home.people(), Readers::Owner, &loaded)?;
            }
        }
    }
    progress.end();
    Ok(loaded)
}

async fn register(intake: &Intake<'_>, state: Jurisdiction, key: &str, body: Bytes) -> Result<()> {
    let mut url = format!("{}/v1/patients?{}={}", intake.url, wire::HOME_PARAMETER, state.code());
    for _ in 0..TRIES {
        let request = Request::post(&url)
            .header(header::AUTHORIZATION, format!("Bearer {}", intake.api_key))
            .header(header::CONTENT_TYPE, "application/json")
            .header(wire::PURPOSE_OF_USE, Purpose::Treat.as_str())
            .header(wire::IDEMPOTENCY_KEY, key)
            .body(Full::new(body.clone()))?;
        match intake.visitor.send(request, WITHIN).await {
            Ok(answer) if answer.status == StatusCode::CREATED => return Ok(()),
            // The home's rules may want the caller to come straight to it.
            Ok(answer) if answer.status.is_redirection() => {
                url = location(&answer).context("a redirect without a place to go")?;
            }
            Ok(answer) if !is_passing(answer.status) => {
                // A problem document holds texts of the program only, never what was sent.
                let problem = String::from_utf8_lossy(&answer.body).into_owned();
                bail!("a synthetic patient of {state} was refused with {}: {problem}", answer.status);
            }
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
    bail!("synthetic patients of {state} could not be registered: the region did not answer in time")
}

/// Whether trying again may help.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429 | 502 | 503 | 504)
}

fn location(answer: &Answer) -> Option<String> {
    answer.headers.get(header::LOCATION)?.to_str().ok().map(str::to_owned)
}

/// A bar where someone looks on, and a line now and then where not.
struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    fn of(total: usize) -> Self {
        let lines = !std::io::stderr().is_terminal();
        let target = if lines { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        let style = "synthetic patients {wide_bar} {pos}/{len}  {per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        if lines {
            tell::line(&format!("loading {}", count(total, "synthetic patient", "synthetic patients")));
        }
        Self { bar, lines }
    }

    fn one(&self) {
        self.bar.inc(1);
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(1));
        let tenth = |n: u64| n * 10 / total;
        if self.lines && tenth(done) != tenth(done - 1) {
            tell::line(&format!("  {done} of {total}"));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_add_up() {
        assert_eq!(shares(300, 3), [100, 100, 100]);
        assert_eq!(shares(10, 3), [4, 3, 3]);
        assert_eq!(shares(1, 3), [1, 0, 0]);
        assert_eq!(shares(0, 2), [0, 0]);
    }

    #[test]
    fn a_home_without_a_marker_has_nobody() {
        let dir = tempfile::tempdir().expect("a folder");
        let home = Home::at(Some(dir.path())).expect("a home");
        let loaded = Loaded::read(&home, 1, "2026-11-22".parse().expect("a day")).expect("reads");
        assert_eq!(loaded.total(), 0);
    }
}
