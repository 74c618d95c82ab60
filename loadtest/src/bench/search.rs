//! Searching by blind index through the router, beside a read by id through the same.

use super::class::Held;
use super::clinic::{CONNECTIONS, Clinic, Door, scattered};
use super::series::{self, Contender, alternate};
use super::streams::{Pace, Question};
use super::{Bench, Goal, Options, Report, Table};

/// The benchmark.
pub(super) const BENCH: Bench =
    Bench { name: "search", about: "searching patients by blind index, beside reading one by id", run };

const READ: &str = "read by id";
const SEARCH: &str = "search by family name and birth date";

fn run(options: &Options) -> anyhow::Result<Report> {
    let clinic = Clinic::open(options, "search", options.size(2_000, 20))?;
    let mut reading = clinic.streams(Door::Router, false)?;
    let mut searching = clinic.streams(Door::Router, true)?;
    let held = Held::new(options.class, &clinic.servers());
    let path = format!("/v1/patients/search?home={}", Clinic::home());
    let (patients, fresh) = (clinic.patients.clone(), clinic.fresh());
    let searches = move |connection: usize, sent: u64| {
        let known = &patients[scattered(connection, sent) % patients.len()];
        let body = serde_json::json!({ "family_name": known.family_name, "birth_date": known.birth_date });
        Question { path: path.clone(), key: Some(fresh().1), body: body.to_string().into() }
    };
    let pace = Pace::Closed(256 / CONNECTIONS);
    let series = alternate(
        &options.plan,
        vec![
            Contender::new(READ, |turn| clinic.turn(&mut reading, turn, pace, clinic.reads())),
            Contender::new(SEARCH, |turn| clinic.turn(&mut searching, turn, pace, searches.clone())),
        ],
    )?;
    drop(held);

    let mut report = Report::new("Searching patients");
    report.note(format!(
        "POST /v1/patients/search by family name and birth date among {} patients, mostly one hit, opened and audited; \
         256 in flight through the router, as the read beside it.",
        clinic.patients.len()
    ));
    report.table(Table::of(&series, &[series::RATE, series::CPU, series::P50, series::P95, series::P99]));
    report.goal(Goal::at_least("rate, of a read by id", series.ratio(SEARCH, READ, series::RATE), 0.90));
    Ok(report)
}
