//! The client of benchmarks: so many connections, each with one request in flight at all times (a closed loop).
//!
//! A closed loop measures how much can be done. How long a user waits is what the scenarios measure, which send on
//! a schedule whether the answers come or not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use rustls::ClientConfig;
use tokio::runtime::Runtime;

use super::series::{self, Sample};
use crate::client::{self, Address, Connection};

/// A runtime of its own, with a thread or more.
#[derive(Debug)]
pub struct Driver {
    runtime: Runtime,
}

/// Open connections to one address. They stay open between the turns.
pub struct Connections {
    open: Vec<Connection>,
    at: Address,
    tls: Arc<ClientConfig>,
}

/// What a turn was like for the client.
#[derive(Debug)]
pub struct Driven {
    /// How many answers were good.
    pub operations: u64,
    /// How many were not.
    pub refused: u64,
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long each good answer took, in nanoseconds.
    pub latency: Histogram<u64>,
    /// How long each refusal took, in nanoseconds.
    pub refusals: Histogram<u64>,
}

/// An empty histogram of nanoseconds: three digits, up to a minute.
pub fn histogram() -> anyhow::Result<Histogram<u64>> {
    let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).context("a histogram")?;
    histogram.auto(true);
    Ok(histogram)
}

impl Driven {
    /// Nothing yet.
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self {
            operations: 0,
            refused: 0,
            took: Duration::ZERO,
            latency: histogram()?,
            refusals: histogram()?,
        })
    }

    /// One answer more.
    pub(super) fn count(&mut self, good: bool, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let (number, times) = if good {
            (&mut self.operations, &mut self.latency)
        } else {
            (&mut self.refused, &mut self.refusals)
        };
        *number += 1;
        times.saturating_record(nanos);
    }

    pub(super) fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.operations += other.operations;
        self.refused += other.refused;
        self.took = self.took.max(other.took);
        self.refusals.add(&other.refusals).context("histograms of one kind")?;
        self.latency.add(&other.latency).context("histograms of one kind")
    }

    /// The figures of this turn. A turn in which anything was refused is no measurement.
    pub fn sample(&self, cpu: Option<Duration>) -> anyhow::Result<Sample> {
        ensure!(
            self.refused == 0,
            "{} of {} requests were refused",
            self.refused,
            self.operations + self.refused
        );
        ensure!(self.operations > 0, "nothing was answered");
        let operations = precise(self.operations);
        let micros = |quantile| precise(self.latency.value_at_quantile(quantile)) / 1_000.0;
        let mut sample = Sample::new()
            .with(series::RATE, operations / self.took.as_secs_f64())
            .with(series::P50, micros(0.5))
            .with(series::P95, micros(0.95))
            .with(series::P99, micros(0.99));
        if let Some(cpu) = cpu {
            sample = sample.with(series::CPU, cpu.as_secs_f64() * 1e6 / operations);
        }
        Ok(sample)
    }
}

/// A count as a figure. Below 2^53 nothing is lost.
#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a benchmark are far below 2^53")]
pub fn precise(count: u64) -> f64 {
    count as f64
}

impl Driver {
    /// A client with so many threads.
    pub fn new(threads: usize) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
        Ok(Self { runtime: runtime.context("a runtime")? })
    }

    /// The runtime, for what else the benchmark has to wait for.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Opens connections.
    pub fn connect(&self, at: &Address, tls: &Arc<ClientConfig>, count: usize) -> anyhow::Result<Connections> {
        let open = (0..count).map(|_| client::connect(at, tls));
        let open = self.runtime.block_on(try_join_all(open)).with_context(|| format!("{at:?}"))?;
        Ok(Connections { open, at: at.clone(), tls: tls.clone() })
    }

    /// Sends one request after the other on each connection until the turn is over. `request` gets the number of
    /// the connection and of the request on it.
    pub fn closed<F>(&self, connections: &mut Connections, turn: Duration, request: F) -> anyhow::Result<Driven>
    where
        F: Fn(usize, u64) -> Request<Full<Bytes>> + Send + Sync + 'static,
    {
        let request = Arc::new(request);
        let open = std::mem::take(&mut connections.open);
        let (at, tls) = (connections.at.clone(), connections.tls.clone());
        let turns = open.into_iter().enumerate().map(|(number, connection)| {
            let (request, at, tls) = (request.clone(), at.clone(), tls.clone());
            self.runtime
                .spawn(async move { one(connection, turn, &at, &tls, |sent| request(number, sent)).await })
        });
        let turns: Vec<_> = turns.collect();
        let mut driven = Driven::new()?;
        for done in self.runtime.block_on(try_join_all(turns)).context("a client stopped")? {
            let (connection, part) = done?;
            driven.add(&part)?;
            connections.open.push(connection);
        }
        Ok(driven)
    }
}

async fn one(
    mut connection: Connection,
    turn: Duration,
    at: &Address,
    tls: &Arc<ClientConfig>,
    request: impl Fn(u64) -> Request<Full<Bytes>>,
) -> anyhow::Result<(Connection, Driven)> {
    let mut driven = Driven::new()?;
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < turn {
        let began = Instant::now();
        // Servers close connections after so many requests; the new one is part of what a request costs.
        if connection.ready().await.is_err() {
            connection = client::connect(at, tls).await?;
        }
        let response = connection.send_request(request(sent)).await?;
        let good = response.status().is_success();
        response.into_body().collect().await?;
        sent += 1;
        driven.count(good, began.elapsed());
    }
    driven.took = start.elapsed();
    Ok((connection, driven))
}
