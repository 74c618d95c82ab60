//! The subject: three nodes as `domicile dev up` starts them, through their HTTPS API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::super::Options;
use super::super::cpu::Meter;
use super::super::drive::Driver;
use super::super::running::{Running, leader};
use super::super::series::Sample;
use super::super::streams::{Caller, Question, Streams};
use super::{CONNECTIONS, PATIENCE, each};
use crate::client::{self, Address, Client};

/// A cluster takes 100,000 organisations. One that has so many makes place for a new one before the next turn.
const ORGANISATIONS_MAX: u64 = 40_000;
const BODY: &str = r#"{"name":"Lone Star Family Clinic","type":"provider","serves":["US-TX","US-CA"]}"#;

/// Our own side.
pub(super) struct Own<'a> {
    options: &'a Options,
    /// How many clusters there were; keys are never used twice.
    runs: u64,
    living: Option<Living>,
}

/// A cluster, and open connections to the node that leads.
struct Living {
    streams: Vec<(usize, Streams)>,
    caller: Caller,
    org: String,
    added: Arc<AtomicU64>,
    pids: Vec<u32>,
    running: Running,
}

impl<'a> Own<'a> {
    pub(super) fn new(options: &'a Options) -> Self {
        Self { options, runs: 0, living: None }
    }

    pub(super) fn writes(&mut self, driver: &Driver, load: usize, turn: Duration) -> anyhow::Result<Sample> {
        let full = |living: &Living| living.added.load(Ordering::Relaxed) > ORGANISATIONS_MAX;
        if self.living.as_ref().is_some_and(full) {
            // The old one ends before the new one begins.
            self.living = None;
        }
        let run = self.runs;
        let living = self.living(driver)?;
        let added = Arc::clone(&living.added);
        living.turn(driver, load, true, turn, move |_, _| {
            let number = added.fetch_add(1, Ordering::Relaxed);
            let key = Some(format!("bench-{run}-{number}"));
            Question { path: "/v1/orgs".to_owned(), key, body: Bytes::from_static(BODY.as_bytes()) }
        })
    }

    pub(super) fn reads(&mut self, driver: &Driver, load: usize, turn: Duration) -> anyhow::Result<Sample> {
        let living = self.living(driver)?;
        let path = format!("/v1/orgs/{}?consistency=linearizable", living.org);
        living.turn(driver, load, false, turn, move |_, _| Question {
            path: path.clone(),
            key: None,
            body: Bytes::new(),
        })
    }

    fn living(&mut self, driver: &Driver) -> anyhow::Result<&mut Living> {
        if self.living.is_none() {
            self.runs += 1;
            let running = match &self.options.home {
                Some(_) => Running::find(self.options, 0)?,
                None => Running::find(self.options, 0).context("a cluster of our own")?,
            };
            self.living = Some(Living::new(self.options, driver, running)?);
        }
        self.living.as_mut().context("a cluster")
    }
}

impl Living {
    fn new(options: &Options, driver: &Driver, running: Running) -> anyhow::Result<Self> {
        let cluster = &running.cluster;
        let at = leader(options, &running)?.address()?;
        let admin = cluster.credentials.iter().find(|credential| credential.role == "org_admin");
        let api_key = admin.context("a key of an administrator")?.api_key.clone();
        let tls = client::trust(&cluster.ca_cert)?;
        let org = driver.runtime().block_on(own_org(&at, &tls, &api_key))?;
        let nodes: Vec<u32> = cluster.regions.iter().filter_map(|region| region.pid).collect();
        // Where it is the real-time class, what was started from here is in it already; what a supervisor started is not.
        options.class.put(&[nodes.clone(), running.databases()].concat());
        Ok(Self {
            streams: Vec::new(),
            caller: Caller { at, tls, api_key, posts: false, grpc: None },
            org,
            added: Arc::default(),
            pids: nodes,
            running,
        })
    }

    fn turn<F>(
        &mut self,
        driver: &Driver,
        load: usize,
        posts: bool,
        turn: Duration,
        question: F,
    ) -> anyhow::Result<Sample>
    where
        F: Fn(usize, u64) -> Question + Send + Sync + 'static,
    {
        let key = load << 1 | usize::from(posts);
        if !self.streams.iter().any(|(known, _)| *known == key) {
            let caller = Caller { posts, ..self.caller.clone() };
            self.streams.push((key, Streams::open(driver, caller, CONNECTIONS.min(load))?));
        }
        let (_, streams) = self.streams.iter_mut().find(|(known, _)| *known == key).context("connections")?;
        let meter = Meter::start(&self.pids);
        let came = streams.turn(driver, turn, each(load), question)?;
        let sample = came.sample(Some(meter.read()));
        sample.with_context(|| format!("the cluster in {}", self.running.home().display()))
    }
}

/// The organisation that reads are of.
async fn own_org(at: &Address, tls: &Arc<rustls::ClientConfig>, api_key: &str) -> anyhow::Result<String> {
    let client = Client::new(at.clone(), tls.clone(), PATIENCE).with_key(api_key);
    let answer = client.send(client.request(Method::GET, "/v1/orgs?limit=1")).await?;
    ensure!(answer.status == StatusCode::OK, "/v1/orgs: {} {}", answer.status, answer.problem());
    let org = answer.json()["data"][0]["id"].as_str().map(str::to_owned);
    org.context("there is no organisation")
}
