//! Registering a patient and opening an encounter through the router, each with its audit record, its event and its
//! stored answer in one durable transaction, beside Postgres' own best at less: pgbench's prepared INSERT of one row.

use bytes::Bytes;
use jiff::civil::date;
use serde_json::json;

use super::class::Held;
use super::clinic::{CONNECTIONS, Clinic, Door, PARTS, PEER_CLIENTS, scattered};
use super::peers;
use super::series::{self, Contender, alternate};
use super::streams::{Pace, Question};
use super::{Bench, Goal, Options, Report, Table};

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "write", about: "registrations and encounters, beside pgbench's INSERT of one row", run };

const PEER: &str = "pgbench INSERT, 32 clients";
const REGISTER_64: &str = "registration, 64 in flight";
const REGISTER: &str = "registration, 128 in flight";
const ENCOUNTER_64: &str = "encounter, 64 in flight";
const ENCOUNTER: &str = "encounter, 128 in flight";
const SEED: u64 = 20_261_122;

fn run(options: &Options) -> anyhow::Result<Report> {
    let clinic = Clinic::open(options, "write", options.size(1_000, 20))?;
    let streams = || clinic.streams(Door::Router, true);
    let (mut register_64, mut register) = (streams()?, streams()?);
    let (mut encounter_64, mut encounter) = (streams()?, streams()?);
    let (registrations, encounters) = (registrations(options, &clinic)?, encounters(&clinic));
    let held = Held::new(options.class, &clinic.servers());
    let insert = Clinic::peer_insert();
    let pace = |in_flight: usize| Pace::Closed(in_flight / CONNECTIONS);
    let series = alternate(
        &options.plan,
        vec![
            Contender::new(PEER, |turn| clinic.pgbench(options, &insert, PEER_CLIENTS, turn)),
            Contender::new(REGISTER_64, |turn| {
                clinic.turn(&mut register_64, turn, pace(64), registrations.clone())
            }),
            Contender::new(REGISTER, |turn| clinic.turn(&mut register, turn, pace(128), registrations.clone())),
            Contender::new(ENCOUNTER_64, |turn| {
                clinic.turn(&mut encounter_64, turn, pace(64), encounters.clone())
            }),
            Contender::new(ENCOUNTER, |turn| clinic.turn(&mut encounter, turn, pace(128), encounters.clone())),
        ],
    )?;
    let parts = alternate(
        &options.plan,
        vec![
            Contender::new(REGISTER, |turn| clinic.in_parts(&mut register, turn, registrations.clone())),
            Contender::new(ENCOUNTER, |turn| clinic.in_parts(&mut encounter, turn, encounters.clone())),
        ],
    )?;
    drop(held);

    let mut report = Report::new("Writing");
    report.note(format!(
        "A registration writes the patient's eight sealed fields, seven index rows, an event, the stored answer and \
         access records, and a data key that is durable in the keyring before; an encounter writes one row of sealed \
         text, an event, the stored answer and an access record. Each is fenced, committed with fsync, and answered \
         after that. The peer: {}, prepared, one row of 1 KiB, over a Unix socket, fsync on.",
        peers::version("pgbench", "--version"),
    ));
    report.table(Table::of(&series, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.note("Where the processor time of a request goes:");
    report.table(Table::of(&parts, &PARTS));
    for (what, in_flight, bound) in
        [(REGISTER_64, 64, 0.6), (REGISTER, 128, 0.9), (ENCOUNTER_64, 64, 0.6), (ENCOUNTER, 128, 0.9)]
    {
        let word = what.split(',').next().unwrap_or(what);
        let found = series.ratio(what, PEER, series::RATE);
        report.goal(Goal::at_least(
            format!("{word}: rate at {in_flight} in flight, of pgbench's INSERT"),
            found,
            bound,
        ));
    }
    Ok(report)
}

/// People whom nobody has registered. Their telephone numbers are left out: synthetic ones are few, so that everybody
/// would be taken for everybody.
pub(super) fn registrations(
    options: &Options,
    clinic: &Clinic,
) -> anyhow::Result<impl Fn(usize, u64) -> Question + Send + Sync + Clone + 'static> {
    let code = Clinic::home().parse().map_err(|_| anyhow::anyhow!("a jurisdiction"))?;
    let fresh = clinic.fresh();
    let mark = fresh().1;
    let bodies = (0..options.size(120_000, 2_000)).map(|number| {
        let mut person = loadtest_people::person(SEED, code, 1_000_000 + number, date(2026, 11, 22));
        person.email = format!("load.{}.{number}@example.com", &mark[mark.len() - 12..]);
        let mut body = serde_json::to_value(person)?;
        body["phone"] = serde_json::Value::Null;
        Ok(Bytes::from(body.to_string()))
    });
    let bodies = std::sync::Arc::new(bodies.collect::<anyhow::Result<Vec<Bytes>>>()?);
    let path = format!("/v1/patients?home={}", Clinic::home());
    Ok(move |_: usize, _: u64| {
        let (number, key) = fresh();
        let body = bodies[usize::try_from(number).unwrap_or(0) % bodies.len()].clone();
        Question { path: path.clone(), key: Some(key), body }
    })
}

fn encounters(clinic: &Clinic) -> impl Fn(usize, u64) -> Question + Send + Sync + Clone + 'static {
    let (patients, fresh) = (clinic.patients.clone(), clinic.fresh());
    let body = json!({
        "service_jurisdiction": Clinic::home(),
        "provider_npi": loadtest_people::npi(0).to_string(),
        "reason": "cough",
        "note": "Synthetic: three days of cough, no fever, lungs clear.",
        "diagnoses": ["J06.9"],
    });
    let body = Bytes::from(body.to_string());
    move |connection, sent| {
        let patient = &patients[scattered(connection, sent) % patients.len()];
        let path = format!("/v1/patients/{}/encounters", patient.id);
        Question { path, key: Some(fresh().1), body: body.clone() }
    }
}
