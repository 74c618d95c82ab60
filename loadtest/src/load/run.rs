//! One run: prepare, load, look at everything again, judge, and write it down.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::judge::{self, Findings};
use super::progress::Progress;
use super::scenarios::{self, Amount, Scenario};
use super::stage::Stage;
use super::tally::{Second, Summary};
use super::verdict::{self, Promise};
use crate::bench::report::machine;
use crate::history::{Recorder, linearize};
use crate::tell::{tell, warn};

/// What is asked for on the command line.
#[derive(Debug, Args)]
pub struct Ask {
    /// Which scenario; without one, says what there is.
    pub scenario: Option<String>,
    /// The home folder of a running cluster: the one `./dev up` started.
    #[arg(long, env = "DOMICILE_HOME", default_value = ".domicile")]
    pub home: PathBuf,
    /// Requests a second, at most. They are sent when they are due, whether earlier ones were answered or not.
    #[arg(long, default_value_t = 30.0)]
    pub rate: f64,
    /// How long, in seconds.
    #[arg(long, default_value_t = 30)]
    pub seconds: u64,
    /// What everything that is asked follows from. What is answered does not.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How many people each state gets before anything is measured.
    #[arg(long, default_value_t = 50)]
    pub people: usize,
    /// Where the report, its plots and the history go; below the home folder when not given.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// A whole run in figures: what a report is written from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Which scenario.
    pub scenario: String,
    /// What it asks.
    pub about: String,
    /// The machine.
    pub machine: String,
    /// The seed.
    pub seed: u64,
    /// Requests a second, at most.
    pub rate: f64,
    /// For how long.
    pub seconds: u64,
    /// How many people each state had before.
    pub people: usize,
    /// Each kind of request.
    pub summaries: Vec<Summary>,
    /// Each group over time.
    pub timeline: Vec<Second>,
    /// Why answers were not simply good: act, reason, how many.
    pub reasons: Vec<(String, String, u64)>,
    /// What was promised.
    pub promises: Vec<Promise>,
    /// What broke a promise, by name. The first ones.
    pub details: Vec<String>,
    /// How many acknowledged records were read again.
    pub read_again: usize,
    /// How many operations the history has.
    pub operations: usize,
}

impl Outcome {
    /// Whether every promise held.
    pub fn held(&self) -> bool {
        self.promises.iter().all(|promise| promise.held)
    }
}

/// Runs what was asked for. False when a promise was broken.
pub fn run(ask: &Ask) -> Result<bool> {
    let Some(name) = &ask.scenario else {
        for scenario in scenarios::ALL {
            tell(&format!("{:<12} {}", scenario.name, scenario.about));
        }
        return Ok(true);
    };
    let scenario = scenarios::ALL.iter().find(|scenario| scenario.name == name);
    let scenario = scenario.with_context(|| format!("there is no scenario {name}"))?;
    ensure!(ask.rate > 0.0 && ask.seconds > 0, "a run has a rate and a length");
    let out = ask.out.clone().unwrap_or_else(|| ask.home.join("loadtest").join(scenario.name));
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("a runtime")?;
    let outcome = runtime.block_on(perform(scenario, ask, &out))?;
    let text = crate::report::write(&outcome, &out)?;
    tell(&text);
    warn(&format!("the report, its plots and the history are in {}", out.display()));
    Ok(outcome.held())
}

async fn perform(scenario: &Scenario, ask: &Ask, out: &Path) -> Result<Outcome> {
    let recorder = Recorder::new(Some(&out.join("history.jsonl")))?;
    let stage = Stage::set(ask.home.clone(), ask.seed, recorder)?;
    let length = Duration::from_secs(ask.seconds);
    let amount = Amount { rate: ask.rate, length, people: ask.people };
    let progress = Progress::show(scenario.name, length, &stage.tally);
    let mut promises = (scenario.run)(stage.clone(), amount).await?;
    drop(progress);

    warn("reading again what was acknowledged");
    let findings = judge::judge(&stage).await?;
    let (summaries, timeline) = (stage.tally.summaries(), stage.tally.seconds());
    let reasons = stage.tally.reasons();
    let stage = Arc::into_inner(stage).context("something of the run is still under way")?;
    let history = stage.recorder.finish()?;
    let violations = linearize::violations(&history);
    promises.extend(verdict::invariants(&findings, &violations));
    Ok(Outcome {
        scenario: scenario.name.to_owned(),
        about: scenario.about.to_owned(),
        machine: machine(),
        seed: ask.seed,
        rate: ask.rate,
        seconds: ask.seconds,
        people: ask.people,
        summaries,
        timeline,
        reasons,
        promises,
        details: details(&findings, &violations),
        read_again: findings.read_again,
        operations: history.len(),
    })
}

/// The first of everything that is wrong.
fn details(findings: &Findings, violations: &[linearize::Violation]) -> Vec<String> {
    const FIRST: usize = 10;
    let named = |what: &str, of: &[String]| -> Vec<String> {
        of.iter().take(FIRST).map(|one| format!("{what}: {one}")).collect()
    };
    let mut all = named("lost", &findings.lost);
    all.extend(named("not read again", &findings.unread));
    all.extend(named("home", &findings.homes));
    all.extend(named("double booking", &findings.double));
    all.extend(violations.iter().take(FIRST).map(|violation| format!("{}: {}", violation.key, violation.what)));
    all
}
