//! What must hold after a run, looked at in the cluster itself and in what was noted.

use std::sync::Arc;

use anyhow::Result;
use futures::StreamExt as _;
use http::{Method, StatusCode};

use super::people::Patient;
use super::stage::{Place, Stage};
use crate::history::ledger::Fate;
use crate::history::{bookings, homes};

/// How many records are read again at the same time.
const AT_ONCE: usize = 16;
/// How often a record is asked for before it counts as unreadable.
const TRIES: usize = 20;
/// Of how many patients every region is asked whether it serves them.
const ASKED_EVERYWHERE: usize = 100;

/// What was found out.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// How many acknowledged records were read again.
    pub read_again: usize,
    /// Acknowledged records that are gone or went back.
    pub lost: Vec<String>,
    /// Records that could not be read.
    pub unread: Vec<String>,
    /// Patients with more than one home, or none.
    pub homes: Vec<String>,
    /// Slots with more than one visit.
    pub double: Vec<String>,
}

/// Reads everything again and judges it.
pub async fn judge(stage: &Arc<Stage>) -> Result<Findings> {
    let mut findings = Findings::default();
    for place in &stage.places {
        let patients = place.ward.all();
        let fates = futures::stream::iter(&patients).map(|patient| fate(stage, place, patient));
        let fates: Vec<(&str, Option<Fate>)> = fates.buffer_unordered(AT_ONCE).collect().await;
        for (patient, fate) in fates {
            findings.read_again += 1;
            match fate {
                Some(Fate::Kept) => {}
                Some(Fate::Lost) => findings.lost.push(patient.to_owned()),
                None => findings.unread.push(patient.to_owned()),
            }
        }
        let some = patients.iter().step_by((patients.len() / ASKED_EVERYWHERE).max(1));
        let served = futures::stream::iter(some).map(|patient| served_by(stage, place, patient));
        let served: Vec<Option<String>> = served.buffer_unordered(AT_ONCE).collect().await;
        findings.homes.extend(served.into_iter().flatten());
    }
    let noted = stage.noted();
    findings.homes.extend(homes::violations(&noted.accepted));
    let booked: Vec<bookings::Booking> = noted.bookings.values().cloned().collect();
    findings.double.extend(bookings::violations(&booked, 1));
    Ok(findings)
}

/// What became of a record; none when it cannot be read.
async fn fate<'a>(stage: &Stage, place: &Place, patient: &'a Patient) -> (&'a str, Option<Fate>) {
    for _ in 0..TRIES {
        let request = place.provider.request(Method::GET, &format!("/v1/patients/{}", patient.id));
        match place.provider.send(request).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                let email = answer.json()["email"].as_str().unwrap_or_default().to_owned();
                return (&patient.id, Some(stage.noted().ledger.judge(&patient.id, Some(&email))));
            }
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                return (&patient.id, Some(stage.noted().ledger.judge(&patient.id, None)));
            }
            // A region that was just killed needs a moment.
            _ => tokio::time::sleep(std::time::Duration::from_millis(500)).await,
        }
    }
    (&patient.id, None)
}

/// What is wrong with who serves a patient, when every region's own node is asked.
async fn served_by(stage: &Stage, place: &Place, patient: &Patient) -> Option<String> {
    let mut serving = Vec::new();
    for other in &stage.places {
        // Each node is asked with the key that works at the home: only being no home may make it refuse.
        let client = other.at_node.with_key_of(&place.provider);
        let answer = client.send(client.request(Method::GET, &format!("/v1/patients/{}", patient.id))).await;
        if answer.is_ok_and(|answer| answer.status == StatusCode::OK) {
            serving.push(other.code.as_str());
        }
    }
    let right = serving == [place.code.as_str()] && patient.home == place.code;
    (!right).then(|| format!("{} of {} is served by {serving:?}", patient.id, place.code))
}
