//! Clinicians with calendars, and many who book the same slots.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use residency_control::system::SystemClock;
use residency_policy::{Clock as _, Npi};
use serde_json::{Value, json};
use uuid::Uuid;

use super::act::judged;
use super::people::Patient;
use super::stage::{Place, Stage};
use super::tally::How;
use crate::client::{Answer, Client};
use crate::history::bookings::Booking;
use crate::history::{Act, Operation, Outcome};

/// How many ask for each slot.
const CROWD: usize = 3;
/// How many days the calendars are looked through for slots, and from how many days on.
const FROM_DAYS: i64 = 2;
const DAYS: i64 = 20;

/// A slot that can be asked for.
#[derive(Debug, Clone)]
pub struct Slot {
    provider: String,
    start: String,
    begins: i64,
    ends: i64,
}

impl Slot {
    fn key(&self) -> String {
        format!("slot {} {}", self.provider, self.start)
    }
}

/// The clinicians of a run, and their slots in the order in which they are asked for.
#[derive(Debug)]
pub struct Clinic {
    slots: Vec<Slot>,
    asked: AtomicUsize,
}

/// A slot that this run booked.
#[derive(Debug, Clone)]
pub struct Booked {
    slot: Slot,
    booking: Uuid,
    path: String,
}

impl Clinic {
    /// Adds so many clinicians who may practise everywhere, with a calendar each, and looks up when they are free.
    pub async fn open(stage: &Stage, clinicians: usize, rng: &mut ChaCha8Rng) -> Result<Self> {
        let place = stage.places.first().context("a place")?;
        let mut slots = Vec::new();
        for _ in 0..clinicians {
            let provider = clinician(stage, place, rng).await?;
            slots.extend(free(place, &provider).await?);
        }
        ensure!(!slots.is_empty(), "the calendars have no free slot");
        // All clinicians have their morning at the same time: asked for by time, they take turns.
        slots.sort_by(|a, b| (a.begins, &a.provider).cmp(&(b.begins, &b.provider)));
        Ok(Self { slots, asked: AtomicUsize::new(0) })
    }

    /// The slot to ask for next. Several ask for each, one right after the other.
    pub fn next(&self) -> Option<Slot> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.slots.get(asked / CROWD).cloned()
    }
}

/// An instant so many days from now.
fn in_days(days: i64) -> Timestamp {
    SystemClock.now().saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
}

async fn clinician(stage: &Stage, place: &Place, rng: &mut ChaCha8Rng) -> Result<String> {
    let licence = |place: &Place| {
        json!({
            "jurisdiction": place.code, "kind": "full", "number": format!("{}-1", &place.code[3..]),
            "status": "active", "from": "2021-01-01", "source": "state-board", "verified": "2026-11-01",
        })
    };
    // Somebody of an earlier run may have the number already.
    for _ in 0..20 {
        let npi =
            Npi::from_nine(180_000_000 + rng.random_range(0..10_000_000)).context("a number of nine digits")?;
        let body = json!({
            "npi": npi.to_string(), "name": "Robin O'Sample, MD", "taxonomy": ["207Q00000X"], "languages": ["en"],
            "licences": stage.places.iter().map(licence).collect::<Vec<_>>(), "synthetic": true,
        });
        let request = place.admin.request(Method::POST, "/v1/providers").without("purpose-of-use");
        let added = place.admin.send(request.idempotent(stage.fresh()).json(&body)).await?;
        if added.status == StatusCode::CONFLICT {
            continue;
        }
        ensure!(added.status == StatusCode::CREATED, "a clinician: {} {}", added.status, added.problem());
        let provider = added.json()["id"].as_str().context("the id of a clinician")?.to_owned();
        let calendar = json!({
            "zone": "America/Chicago", "slot_minutes": 30, "horizon_days": 400,
            "weekly": [{
                "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                "from": "08:00", "to": "18:00", "since": "2021-01-01",
            }],
        });
        let path = format!("/v1/providers/{provider}/calendar");
        let request = place.admin.request(Method::PUT, &path).without("purpose-of-use");
        let put = place.admin.send(request.header("if-match", "\"0\"").json(&calendar)).await?;
        ensure!(put.status == StatusCode::OK, "a calendar: {} {}", put.status, put.problem());
        return Ok(provider);
    }
    anyhow::bail!("no number for a clinician is free")
}

async fn free(place: &Place, provider: &str) -> Result<Vec<Slot>> {
    let (from, to) = (in_days(FROM_DAYS), in_days(FROM_DAYS + DAYS));
    let path = format!("/v1/providers/{provider}/slots?from={from}&to={to}&consistency=linearizable");
    let request = place.staff.request(Method::GET, &path).without("purpose-of-use");
    let answer = place.staff.send(request).await?;
    ensure!(answer.status == StatusCode::OK, "slots: {} {}", answer.status, answer.problem());
    let body = answer.json();
    let data = body["data"].as_array().context("a list of slots")?;
    let instant = |slot: &Value, field: &str| -> Option<i64> {
        Some(slot[field].as_str()?.parse::<Timestamp>().ok()?.as_second())
    };
    let slot = |slot: &Value| {
        Some(Slot {
            provider: provider.to_owned(),
            start: slot["start"].as_str()?.to_owned(),
            begins: instant(slot, "start")?,
            ends: instant(slot, "end")?,
        })
    };
    data.iter().map(slot).collect::<Option<Vec<_>>>().context("slots with a beginning and an end")
}

/// Books a slot for a patient, at the patient's home.
pub async fn book(stage: &Arc<Stage>, place: &Place, patient: &Patient, slot: Slot) -> (How, Option<Booked>) {
    let booking = stage.fresh();
    let body = json!({
        "provider": slot.provider, "start": slot.start, "service_jurisdiction": place.code, "kind": "video",
        "reason": "Synthetic: a visit",
    });
    let process = stage.process();
    let request = place.staff.request(Method::POST, &format!("/v1/patients/{}/appointments", patient.id));
    let operation = stage.recorder.begin(process.number, slot.key(), Act::Book(booking));
    let answer = place.staff.send(request.idempotent(booking).json(&body)).await;
    match (judged(&answer, StatusCode::CREATED), answer) {
        (How::Good, Ok(answer)) => {
            stage.recorder.end(operation, Outcome::Done, answer.log_index());
            let id = answer.json()["id"].as_str().unwrap_or_default().to_owned();
            note(stage, &slot, &id);
            let path = format!("/v1/patients/{}/appointments/{id}", patient.id);
            (How::Good, Some(Booked { slot, booking, path }))
        }
        (_, Ok(answer)) if answer.status == StatusCode::CONFLICT && names(&answer, &slot) => {
            stage.recorder.end(operation, Outcome::Refused, None);
            (How::Expected("somebody else has the slot"), None)
        }
        (how, _) => {
            // It may be booked, and what was begun and not finished may be undone later.
            let undone = Operation { act: Act::Cancel(booking), process: u32::MAX, ..operation.clone() };
            stage.recorder.end(operation, Outcome::Unknown, None);
            stage.recorder.lost(undone);
            (how, None)
        }
    }
}

/// Whether a conflict says which slot somebody else has.
fn names(answer: &Answer, slot: &Slot) -> bool {
    let named = &answer.json()["slot"];
    let start = named["start"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    answer.problem() == "slot-taken"
        && named["provider"] == slot.provider.as_str()
        && start.is_some_and(|start| start.as_second() == slot.begins)
}

fn note(stage: &Stage, slot: &Slot, id: &str) {
    let booking = Booking {
        id: id.to_owned(),
        provider: slot.provider.clone(),
        begins: slot.begins,
        ends: slot.ends,
        booked: stage.recorder.now(),
        cancelled: None,
    };
    stage.noted().bookings.insert(id.to_owned(), booking);
}

/// Cancels what was booked.
pub async fn cancel(stage: &Arc<Stage>, place: &Place, booked: &Booked) -> How {
    let id = booked.path.rsplit('/').next().unwrap_or_default().to_owned();
    let process = stage.process();
    let operation = stage.recorder.begin(process.number, booked.slot.key(), Act::Cancel(booked.booking));
    let called = operation.call;
    if let Some(booking) = stage.noted().bookings.get_mut(&id) {
        booking.cancelled = Some(called);
    }
    let request = place.staff.request(Method::POST, &format!("{}/cancel", booked.path));
    let answer =
        place.staff.send(request.idempotent(stage.fresh()).json(&json!({ "code": "patient-request" }))).await;
    let how = judged(&answer, StatusCode::OK);
    match (&how, answer) {
        (How::Good, Ok(answer)) => stage.recorder.end(operation, Outcome::Done, answer.log_index()),
        _ => stage.recorder.end(operation, Outcome::Unknown, None),
    }
    how
}

/// Whether what was booked is still so.
pub async fn still_booked(client: &Client, booked: &Booked) -> Option<bool> {
    let answer = client.send(client.request(Method::GET, &booked.path)).await.ok()?;
    match answer.status {
        StatusCode::OK => Some(answer.json()["status"] == "booked"),
        StatusCode::NOT_FOUND => Some(false),
        _ => None,
    }
}
