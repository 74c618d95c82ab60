//! A clinic that goes on working whatever is done to the cluster, sends every request once, and writes down each that
//! failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use http::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Answer, Client};
use crate::clinic;
use crate::cluster::Cluster;
use crate::faults::wait_until;

/// More would be worth an investigation of its own.
const FAILURES_MAX: usize = 20;

/// Work that goes on.
pub struct Work {
    stop: watch::Sender<bool>,
    done: Arc<AtomicU64>,
    workers: JoinSet<Vec<String>>,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// Requests that were answered as they must be.
    pub requests: u64,
    /// The others, each with its answer.
    pub failed: Vec<String>,
}

/// Has people work at each of these homes through the router: they register, read, change, look for and list.
pub fn begin(cluster: &Cluster, homes: &[&str], at_each: u64) -> Work {
    let (stop, stopped) = watch::channel(false);
    let done = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for home in homes {
        let (doctor, admin) = (cluster.client("provider", home), cluster.client("org_admin", home));
        for number in 0..at_each {
            let worker = Worker {
                home: (*home).to_owned(),
                doctor: doctor.http2(),
                admin: (number == 0).then(|| admin.clone()),
                seed: 1_000_000 * (number + 1),
                done: Arc::clone(&done),
            };
            workers.spawn(worker.work(stopped.clone()));
        }
    }
    Work { stop, done, workers }
}

impl Work {
    /// Waits until so many more requests were answered.
    pub async fn goes_on(&self, more: u64) -> Result<()> {
        let before = self.done.load(Ordering::Relaxed);
        let went_on = async || (self.done.load(Ordering::Relaxed) >= before + more).then_some(());
        wait_until("the work to go on", went_on).await
    }

    /// Has them finish what they are at.
    pub async fn end(self) -> Done {
        self.stop.send_replace(true);
        let failed = self.workers.join_all().await.concat();
        Done { requests: self.done.load(Ordering::Relaxed), failed }
    }
}

struct Worker {
    home: String,
    doctor: Client,
    /// Who adds an organisation now and then, which asks the control plane.
    admin: Option<Client>,
    seed: u64,
    done: Arc<AtomicU64>,
}

impl Worker {
    async fn work(mut self, stopped: watch::Receiver<bool>) -> Vec<String> {
        let mut failed = Vec::new();
        while !*stopped.borrow() && failed.len() < FAILURES_MAX {
            let began = Instant::now();
            self.seed += 1;
            if let Err(error) = self.round().await {
                failed.push(format!("{} after {:?}: {error:#}", self.home, began.elapsed()));
            }
        }
        failed
    }

    async fn round(&self) -> Result<()> {
        let person = clinic::somebody(&self.home, self.seed);
        let patient = clinic::register(&self.doctor, &self.home, &person).await.context("register")?;
        self.counts();
        let read = clinic::read(&self.doctor, &patient.path).await.context("read")?;
        self.counts();
        self.counted(self.doctor.patch(&patient.path, &read.etag, &json!({ "email": null })).await, 200)?;
        clinic::open_encounter(&self.doctor, &patient, &self.home, "cough", "none").await.context("open")?;
        self.counts();
        let path = format!("/v1/patients/search?home={}", self.home);
        let found = self.counted(
            self.doctor
                .post(&path, &json!({ "family_name": person.family_name, "birth_date": person.birth_date }))
                .await,
            200,
        )?;
        if !found.text().contains(&patient.id) {
            bail!("{} is not found by name: {}", patient.id, found.text());
        }
        self.counted(self.doctor.get(&format!("/v1/patients?home={}&limit=2", self.home)).await, 200)?;
        if let Some(admin) = &self.admin {
            let body = json!({ "name": "Steady Work", "type": "provider", "serves": [self.home] });
            self.counted(admin.ask(Method::POST, "/v1/orgs").json(&body).send().await, 201)?;
        }
        Ok(())
    }

    fn counts(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn counted(&self, answer: Result<Answer>, status: u16) -> Result<Answer> {
        let answer = answer?.expect(status)?;
        self.counts();
        Ok(answer)
    }
}
