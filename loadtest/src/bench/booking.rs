//! Booking appointments through three nodes at once: each is held in the replicated calendar, written at the patient's
//! home, booked in the calendar, and booked at the home, before it is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use residency_control::system::SystemClock;
use residency_policy::{Clock as _, Npi};
use serde_json::json;

use super::class::Held;
use super::cpu::Meter;
use super::drive::{Driven, Driver, precise};
use super::running::Running;
use super::series::{self, Contender, Sample, alternate};
use super::streams::{Caller, Pace, Question, Streams};
use super::{Bench, Goal, Options, Report, Table};
use crate::client::{self, Client};

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "booking", about: "appointments booked through three nodes, a slot each", run };

const FULL: &str = "64 in flight at each node";
const LIGHT: &str = "8 in flight at each node";
const PACED: &str = "1,000 a second on a schedule";
/// What was promised, in bookings a second.
const PROMISED: f64 = 1_000.0;
/// How many connections each node gets.
const CONNECTIONS: usize = 4;
const SLOT_MINUTES: u64 = 5;
/// The last hour of a day is left out: a rule ends on the day on which it begins.
const SLOTS_A_DAY: u64 = 23 * 60 / SLOT_MINUTES;
const PATIENCE: Duration = Duration::from_secs(30);

/// One node, and those who book at it.
struct Desk {
    driver: Driver,
    streams: Streams,
    jurisdiction: String,
    patients: Arc<Vec<String>>,
}

/// Clinicians, and the next slot that nobody has asked for.
#[derive(Clone)]
struct Book {
    clinicians: Arc<Vec<String>>,
    first_day: civil::Date,
    asked: Arc<AtomicU64>,
    run: u128,
}

impl Book {
    /// A slot that is asked for once, as a request for it and a key of its own.
    fn next(&self) -> anyhow::Result<(String, String, String)> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let clinicians = self.clinicians.len() as u64;
        let (clinician, slot) = (number % clinicians, number / clinicians);
        let minutes = (slot % SLOTS_A_DAY) * SLOT_MINUTES;
        let day = i64::try_from(slot / SLOTS_A_DAY)?;
        let date = self.first_day.checked_add(SignedDuration::from_hours(24 * day))?;
        let start = date.at(i8::try_from(minutes / 60)?, i8::try_from(minutes % 60)?, 0, 0);
        let start: Timestamp = start.to_zoned(TimeZone::UTC)?.timestamp();
        let key = format!("{:032x}", self.run.wrapping_add(u128::from(number)));
        Ok((self.clinicians[usize::try_from(clinician)?].clone(), start.to_string(), key))
    }
}

fn run(options: &Options) -> anyhow::Result<Report> {
    let running = Running::find(options, options.size(300, 30))?;
    let setup = Driver::new(1)?;
    let book = setup.runtime().block_on(open_book(&running, options.size(16, 4)))?;
    let mut desks = desks(&running, &setup)?;
    let servers = running.servers();
    let held = Held::new(options.class, &[servers.clone(), running.databases()].concat());
    let pids = [servers, running.databases()].concat();
    let desks = std::cell::RefCell::new(&mut desks);
    let nodes = running.cluster.regions.len();
    let turn = |pace: Pace| {
        let (desks, book, pids) = (&desks, &book, &pids);
        move |time| all(&mut desks.borrow_mut(), book, pids, pace, time)
    };
    let each = precise((nodes * CONNECTIONS) as u64);
    let series = alternate(
        &options.plan,
        vec![
            Contender::new(FULL, turn(Pace::Closed(64 / CONNECTIONS))),
            Contender::new(LIGHT, turn(Pace::Closed(8 / CONNECTIONS))),
            Contender::new(PACED, turn(Pace::Open(PROMISED / each))),
        ],
    )?;
    drop(held);

    let mut report = Report::new("Booking");
    report.note(format!(
        "POST /v1/patients/{{id}}/appointments at {nodes} nodes, each for patients of its own, every request for another \
         slot of {} clinicians. Each answer means: the clinician's authority was checked, a row is durable at the home, the \
         slot is held and then booked by a quorum with fsync, the row is booked and recorded. CPU is that of nodes and \
         databases.",
        book.clinicians.len()
    ));
    report.table(Table::of(&series, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.goal(Goal::at_least("confirmed a second", series.spread(FULL, series::RATE), PROMISED));
    Ok(report)
}

/// All nodes are asked at the same time, by a client of their own each.
fn all(desks: &mut [Desk], book: &Book, pids: &[u32], pace: Pace, time: Duration) -> anyhow::Result<Sample> {
    let meter = Meter::start(pids);
    let came = std::thread::scope(|scope| {
        let asking: Vec<_> = desks
            .iter_mut()
            .map(|desk| {
                let book = book.clone();
                scope.spawn(move || desk.turn(book, pace, time))
            })
            .collect();
        asking
            .into_iter()
            .map(|desk| desk.join().map_err(|_| anyhow::anyhow!("a client stopped"))?)
            .collect::<anyhow::Result<Vec<Driven>>>()
    })?;
    let used = meter.read();
    let mut sum = Driven::new()?;
    for part in &came {
        sum.add(part)?;
    }
    sum.sample(Some(used))
}

impl Desk {
    fn turn(&mut self, book: Book, pace: Pace, time: Duration) -> anyhow::Result<Driven> {
        let (patients, jurisdiction) = (self.patients.clone(), self.jurisdiction.clone());
        self.streams.turn(&self.driver, time, pace, move |connection, sent| {
            let patient = &patients[super::clinic::scattered(connection, sent) % patients.len()];
            let (provider, start, key) = book.next().unwrap_or_default();
            let body = json!({
                "provider": provider, "start": start, "service_jurisdiction": jurisdiction, "kind": "video",
                "reason": "Synthetic: a visit",
            });
            Question {
                path: format!("/v1/patients/{patient}/appointments"),
                key: Some(key),
                body: Bytes::from(body.to_string()),
            }
        })
    }
}

fn desks(running: &Running, setup: &Driver) -> anyhow::Result<Vec<Desk>> {
    let tls = client::trust(&running.cluster.ca_cert)?;
    let desk = |region: &crate::cluster::Region| -> anyhow::Result<Desk> {
        let (at, code) = (region.address()?, region.jurisdiction.clone());
        let key = |role: &str| anyhow::Ok(running.cluster.credential(role, &code)?.api_key.clone());
        let reader = Client::new(at.clone(), tls.clone(), PATIENCE).with_key(&key("provider")?);
        let patients = setup.runtime().block_on(super::clinic::list(&reader, &code, 200))?;
        let driver = Driver::new(1)?;
        let caller = Caller { at, tls: tls.clone(), api_key: key("provider_staff")?, posts: true, grpc: None };
        let streams = Streams::open(&driver, caller, CONNECTIONS)?;
        let patients = Arc::new(patients.into_iter().map(|known| known.id).collect());
        Ok(Desk { driver, streams, jurisdiction: code, patients })
    };
    running.cluster.regions.iter().map(desk).collect()
}

/// Clinicians who may practise in every state of the cluster, and are there day and night.
async fn open_book(running: &Running, clinicians: usize) -> anyhow::Result<Book> {
    let cluster = &running.cluster;
    let first = cluster.regions.first().context("a region")?;
    let key = &cluster.credential("org_admin", &first.jurisdiction)?.api_key;
    let admin = Client::new(cluster.edge()?, client::trust(&cluster.ca_cert)?, PATIENCE).with_key(key);
    let run = super::clinic::another_run();
    let key = |number: u128| format!("{:032x}", run.wrapping_add(u128::MAX / 2).wrapping_add(number));
    let licences: Vec<_> = cluster
        .regions
        .iter()
        .map(|region| {
            json!({
                "jurisdiction": region.jurisdiction, "kind": "full", "status": "active", "from": "2021-01-01",
                "number": format!("{}-1", &region.jurisdiction[3..]), "source": "state-board", "verified": "2026-11-01",
            })
        })
        .collect();
    let mut dice = ChaCha8Rng::seed_from_u64(u64::try_from(run >> 64)?);
    let (mut added, mut tried) = (Vec::new(), 0);
    while added.len() < clinicians {
        tried += 1;
        ensure!(tried < 20 * clinicians, "no number for a clinician is free");
        let npi = Npi::from_nine(180_000_000 + dice.random_range(0..10_000_000)).context("a number")?;
        let body = json!({
            "npi": npi.to_string(), "name": "Robin O'Sample, MD", "taxonomy": ["207Q00000X"], "languages": ["en"],
            "licences": licences, "synthetic": true,
        });
        let request = admin.request(Method::POST, "/v1/providers").without("purpose-of-use").json(&body);
        let answer = admin.send(request.header("idempotency-key", &key(tried as u128))).await?;
        // Somebody of an earlier run may have the number already.
        if answer.status == StatusCode::CONFLICT {
            continue;
        }
        ensure!(answer.status == StatusCode::CREATED, "a clinician: {} {}", answer.status, answer.problem());
        let id = answer.json()["id"].as_str().context("the id of a clinician")?.to_owned();
        let calendar = json!({
            "zone": "UTC", "slot_minutes": SLOT_MINUTES, "horizon_days": 400,
            "weekly": [{
                "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                "from": "00:00", "to": "23:00", "since": "2021-01-01",
            }],
        });
        let path = format!("/v1/providers/{id}/calendar");
        let request = admin.request(Method::PUT, &path).without("purpose-of-use").json(&calendar);
        let answer = admin.send(request.header("if-match", "\"0\"")).await?;
        ensure!(answer.status == StatusCode::OK, "a calendar: {} {}", answer.status, answer.problem());
        added.push(id);
    }
    let tomorrow = SystemClock.now().checked_add(SignedDuration::from_hours(48))?;
    let first_day = tomorrow.to_zoned(TimeZone::UTC).date();
    Ok(Book { clinicians: Arc::new(added), first_day, asked: Arc::default(), run })
}
