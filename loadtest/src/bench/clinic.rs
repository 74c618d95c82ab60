//! What the benchmarks of reading, writing and searching share: one home with patients, its peer, and who asks.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::civil::date;
use residency_control::system::SystemEntropy;
use residency_policy::Entropy as _;
use serde_json::Value;

use super::Options;
use super::cpu::Meter;
use super::drive::{Driven, Driver};
use super::peers::{self, Database};
use super::running::Running;
use super::series::Sample;
use super::streams::{Caller, Pace, Question, Streams};
use crate::client::{self, Address, Client};
use crate::cluster::Region;

/// The home that is measured.
const HOME: &str = "US-TX";
/// As many as pgbench does best with on two cores, and as the goals name.
pub(super) const PEER_CLIENTS: usize = 32;
/// How many connections carry the requests.
pub(super) const CONNECTIONS: usize = 8;
/// How large what pgbench reads and writes is: about what a sealed patient is.
const ROW_BYTES: usize = 1_024;
/// The parts of what serves, by their processor time for one operation.
pub(super) const PARTS: [&str; 3] = ["router us", "node us", "Postgres us"];
const PATIENCE: Duration = Duration::from_secs(30);
/// Whom the other clinic of a benchmark reads.
const NEIGHBOURS_PATIENTS: usize = 50;

/// A patient who was read by the list.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) family_name: String,
    pub(super) birth_date: String,
}

/// A running home with patients.
pub(super) struct Clinic {
    pub(super) running: Running,
    pub(super) driver: Driver,
    pub(super) patients: Arc<Vec<Known>>,
    pub(super) folder: PathBuf,
    pub(super) peer: Database,
    region: Region,
    api_key: String,
    runs: u128,
    asked: Arc<AtomicU64>,
}

impl Clinic {
    /// A home with about so many patients, and pgbench's tables in the same server, in a database of their own.
    pub(super) fn open(options: &Options, name: &str, patients: usize) -> anyhow::Result<Self> {
        Self::of(Running::find(options, 3 * patients)?, options, name, patients)
    }

    /// The same of nodes that keep no access records of reads.
    pub(super) fn unaudited(options: &Options, name: &str, patients: usize) -> anyhow::Result<Self> {
        Self::of(Running::unaudited(options, 3 * patients)?, options, name, patients)
    }

    fn of(running: Running, options: &Options, name: &str, patients: usize) -> anyhow::Result<Self> {
        let region = running.cluster.regions.iter().find(|region| region.jurisdiction == HOME);
        let region = region.context("the cluster has no US-TX")?.clone();
        let api_key = running.cluster.credential("provider", HOME)?.api_key.clone();
        let driver = Driver::new(1)?;
        let at = running.cluster.edge()?;
        let tls = client::trust(&running.cluster.ca_cert)?;
        let client = Client::new(at, tls, PATIENCE).with_key(&api_key);
        let patients = driver.runtime().block_on(list(&client, HOME, patients))?;
        // The superuser comes in by the socket, which lies where the data does.
        let peer = Database {
            host: region.data_dir.display().to_string(),
            port: region.postgres.port,
            user: "postgres".to_owned(),
            dbname: "bench_peer".to_owned(),
        };
        let clinic = Self {
            running,
            driver,
            patients: Arc::new(patients),
            folder: options.folder(name)?,
            peer,
            region,
            api_key,
            runs: another_run(),
            asked: Arc::default(),
        };
        clinic.make_peer_tables()?;
        Ok(clinic)
    }

    /// Rows by key to select, and a table to insert into.
    fn make_peer_tables(&self) -> anyhow::Result<()> {
        let there = self.psql("postgres", "SELECT 1 FROM pg_database WHERE datname = 'bench_peer'")?;
        if there.trim().is_empty() {
            self.psql("postgres", "CREATE DATABASE bench_peer")?;
        }
        let rows = self.patients.len();
        self.psql(
            "bench_peer",
            &format!(
                "DROP TABLE IF EXISTS chosen, added;
                CREATE TABLE chosen (id int PRIMARY KEY, body bytea NOT NULL);
                ALTER TABLE chosen ALTER body SET STORAGE PLAIN;
                INSERT INTO chosen SELECT n, decode(repeat(md5(n::text), {}), 'hex') FROM generate_series(1, {rows}) n;
                CREATE TABLE added (id bigserial PRIMARY KEY, body bytea NOT NULL);
                ALTER TABLE added ALTER body SET STORAGE PLAIN;
                VACUUM ANALYZE chosen;",
                ROW_BYTES / 16
            ),
        )?;
        Ok(())
    }

    /// Has the superuser do something.
    pub(super) fn psql(&self, dbname: &str, sql: &str) -> anyhow::Result<String> {
        let Database { host, port, user, .. } = &self.peer;
        let output = Command::new(peers::find("psql")?)
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", &port.to_string(), "-U", user])
            .args(["-d", dbname, "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                let input = child.stdin.take();
                input.map(|mut input| std::io::Write::write_all(&mut input, sql.as_bytes())).transpose()?;
                child.wait_with_output()
            })
            .context("psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One turn of pgbench, with the processor time of its server.
    pub(super) fn pgbench(
        &self,
        options: &Options,
        script: &str,
        clients: usize,
        turn: Duration,
    ) -> anyhow::Result<Sample> {
        let path = self.folder.join("script.sql");
        std::fs::write(&path, script)?;
        peers::pgbench(options, &self.folder, &self.peer, &path, clients, turn)
    }

    /// pgbench's prepared SELECT by key.
    pub(super) fn peer_select(&self) -> String {
        let rows = self.patients.len();
        format!("\\set id random(1, {rows})\nSELECT id, body FROM chosen WHERE id = :id;\n")
    }

    /// pgbench's prepared INSERT of one row.
    pub(super) fn peer_insert() -> String {
        format!("INSERT INTO added (body) VALUES ('\\x{}');\n", "5a".repeat(ROW_BYTES))
    }

    /// Those who ask the edge, or the node itself.
    pub(super) fn streams(&self, door: Door, posts: bool) -> anyhow::Result<Streams> {
        let at = match door {
            Door::Router => self.running.cluster.edge()?,
            Door::Node => self.region.address()?,
        };
        Streams::open(&self.driver, self.caller(at, posts)?, CONNECTIONS)
    }

    fn caller(&self, at: Address, posts: bool) -> anyhow::Result<Caller> {
        let tls = client::trust(&self.running.cluster.ca_cert)?;
        Ok(Caller { at, tls, api_key: self.api_key.clone(), posts, grpc: None })
    }

    /// A clinician of another organisation at the same home: their client, their patients, and requests for these.
    pub(super) fn neighbour(&self) -> anyhow::Result<(Driver, Streams, Vec<Known>)> {
        let cluster = &self.running.cluster;
        let mut others =
            cluster.credentials.iter().filter(|c| c.role == "provider" && c.api_key != self.api_key);
        let other =
            others.find(|c| c.jurisdictions.iter().any(|j| j == HOME)).context("another clinic here")?;
        let driver = Driver::new(1)?;
        let (at, tls) = (cluster.edge()?, client::trust(&cluster.ca_cert)?);
        let client = Client::new(at.clone(), tls.clone(), PATIENCE).with_key(&other.api_key);
        let patients = driver.runtime().block_on(async {
            for number in 0..NEIGHBOURS_PATIENTS {
                register(&client, number).await?;
            }
            list(&client, HOME, NEIGHBOURS_PATIENTS).await
        })?;
        let caller = Caller { at, tls, api_key: other.api_key.clone(), posts: false, grpc: None };
        let streams = Streams::open(&driver, caller, 1)?;
        Ok((driver, streams, patients))
    }

    /// What serves: router, node and database.
    pub(super) fn servers(&self) -> Vec<u32> {
        let own = [self.running.cluster.router.pid, self.region.pid, self.region.postgres.pid];
        own.into_iter().flatten().collect()
    }

    /// One turn of requests, with the processor time of what serves them.
    pub(super) fn turn<F>(
        &self,
        streams: &mut Streams,
        turn: Duration,
        pace: Pace,
        question: F,
    ) -> anyhow::Result<Sample>
    where
        F: Fn(usize, u64) -> Question + Send + Sync + 'static,
    {
        let meter = Meter::start(&self.servers());
        let driven: anyhow::Result<Driven> = streams.turn(&self.driver, turn, pace, question);
        driven?.sample(Some(meter.read()))
    }

    /// What each part of what serves costs with 256 requests in flight. Three meters look more often than one, so that
    /// the rate of such a turn is not used.
    pub(super) fn in_parts<F>(
        &self,
        streams: &mut Streams,
        turn: Duration,
        question: F,
    ) -> anyhow::Result<Sample>
    where
        F: Fn(usize, u64) -> Question + Send + Sync + 'static,
    {
        let parts = [
            (PARTS[0], self.running.cluster.router.pid),
            (PARTS[1], self.region.pid),
            (PARTS[2], self.region.postgres.pid),
        ];
        let meters: Vec<_> =
            parts.into_iter().filter_map(|(name, pid)| Some((name, Meter::start(&[pid?])))).collect();
        let driven = streams.turn(&self.driver, turn, Pace::Closed(256 / CONNECTIONS), question)?;
        let operations = super::drive::precise(driven.operations);
        Ok(meters.into_iter().fold(Sample::new(), |sample, (name, meter)| {
            sample.with(name, meter.read().as_secs_f64() * 1e6 / operations)
        }))
    }

    /// A patient by chance, the same for everybody who asks the same.
    pub(super) fn reads(&self) -> impl Fn(usize, u64) -> Question + Send + Sync + Clone + 'static {
        let patients = Arc::clone(&self.patients);
        move |connection, sent| {
            let chosen = &patients[scattered(connection, sent) % patients.len()];
            Question { path: format!("/v1/patients/{}", chosen.id), key: None, body: Bytes::new() }
        }
    }

    /// A key that nobody has used, and the number that it was made of.
    pub(super) fn fresh(&self) -> impl Fn() -> (u64, String) + Send + Sync + Clone + 'static {
        let (run, asked) = (self.runs, Arc::clone(&self.asked));
        move || {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            (number, format!("{:032x}", run.wrapping_add(u128::from(number))))
        }
    }

    /// The home as a query names it.
    pub(super) fn home() -> &'static str {
        HOME
    }
}

/// Whom requests are sent to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Door {
    Router,
    Node,
}

/// Registers somebody synthetic.
async fn register(client: &Client, number: usize) -> anyhow::Result<()> {
    let code = HOME.parse().ok().context("a jurisdiction")?;
    let person = loadtest_people::person(7, code, number, date(2026, 11, 22));
    let asked = client.request(Method::POST, &format!("/v1/patients?home={HOME}"));
    let key = uuid::Uuid::from_u128(another_run());
    let answer = client.send(asked.idempotent(key).json(&person)).await?;
    ensure!(answer.status == StatusCode::CREATED, "{} {}", answer.status, answer.problem());
    Ok(())
}

/// A number that jumps about, so that neighbours in time are none in the table.
pub(super) fn scattered(connection: usize, sent: u64) -> usize {
    let mixed = (sent + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ (connection as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    usize::try_from(mixed >> 33).unwrap_or(0)
}

/// Patients of a home, page by page.
pub(super) async fn list(client: &Client, home: &str, most: usize) -> anyhow::Result<Vec<Known>> {
    let mut known = Vec::new();
    let mut path = format!("/v1/patients?home={home}&limit=200");
    while known.len() < most {
        let answer = client.send(client.request(Method::GET, &path)).await?;
        ensure!(answer.status == StatusCode::OK, "{path}: {} {}", answer.status, answer.problem());
        let body = answer.json();
        let text = |row: &Value, name: &str| row[name].as_str().map(str::to_owned);
        for row in body["data"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let fields = (text(row, "id"), text(row, "family_name"), text(row, "birth_date"));
            if let (Some(id), Some(family_name), Some(birth_date)) = fields {
                known.push(Known { id, family_name, birth_date });
            }
        }
        let Some(cursor) = body["page"]["next_cursor"].as_str() else { break };
        path = format!("/v1/patients?home={home}&limit=200&cursor={cursor}");
    }
    ensure!(!known.is_empty(), "nobody is registered at {home}");
    Ok(known)
}

/// Two runs against one cluster must not meet, so no seed will do.
pub(super) fn another_run() -> u128 {
    let mut bytes = [0; 16];
    SystemEntropy::new().fill(&mut bytes);
    u128::from_be_bytes(bytes)
}
