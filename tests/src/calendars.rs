//! Clinicians with calendars, and what a scheduler does with them, over HTTP.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use http::Method;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use residency_policy::Npi;
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// The time by this machine's clock, which is the cluster's too.
#[expect(clippy::disallowed_methods, reason = "the cluster goes by this machine's clock, so its slots do")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// So many days from now.
pub fn in_days(days: i64) -> Timestamp {
    now().saturating_add(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MAX)
}

/// NPIs that no other test and no synthetic clinician has.
fn npi() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Two test processes may share a cluster's home one after the other.
    let nine = 191_000_000 + std::process::id() % 100 * 10_000 + NEXT.fetch_add(1, Ordering::SeqCst);
    Npi::from_nine(nine).map(|npi| npi.to_string()).unwrap_or_default()
}

/// Adds a clinician of the caller's organisation who is licensed in these states, and returns their id.
pub async fn clinician(admin: &Client, states: &[&str]) -> Result<String> {
    licensed(admin, states, None).await
}

/// The same with licences that end on a day.
pub async fn licensed(admin: &Client, states: &[&str], until: Option<Date>) -> Result<String> {
    let licence = |state: &&str| {
        json!({
            "jurisdiction": state, "kind": "full", "number": format!("{}-1", &state[3..]), "status": "active",
            "from": "2021-01-01", "until": until.map(|day| day.to_string()), "source": "state-board",
            "verified": "2026-11-01",
        })
    };
    let body = json!({
        "npi": npi(), "name": "Robin O'Sample, MD", "taxonomy": ["207Q00000X"], "languages": ["en"],
        "licences": states.iter().map(licence).collect::<Vec<_>>(), "synthetic": true,
    });
    let added = admin.post("/v1/providers", &body).await?.expect(201)?;
    Ok(added.json()["id"].as_str().context("an id")?.to_owned())
}

/// Hours of every day, by the clock of a zone.
pub fn daily(zone: &str, from: &str, to: &str, slot_minutes: u32) -> Value {
    json!({
        "zone": zone, "slot_minutes": slot_minutes, "horizon_days": 400,
        "weekly": [{
            "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": from, "to": to, "since": "2021-01-01"
        }]
    })
}

/// Puts a calendar that was seen at this version; `"0"` is none.
pub async fn put(admin: &Client, provider: &str, etag: &str, body: &Value) -> Result<Answer> {
    let path = format!("/v1/providers/{provider}/calendar");
    admin.ask(Method::PUT, &path).without("purpose-of-use").header("if-match", etag).json(body).send().await
}

/// A clinician who is there every day from nine to five by the clock of Chicago, half an hour for each visit.
pub async fn doctor(admin: &Client, states: &[&str]) -> Result<String> {
    let id = clinician(admin, states).await?;
    put(admin, &id, "\"0\"", &daily("America/Chicago", "09:00", "17:00", 30)).await?.expect(200)?;
    Ok(id)
}

/// The free slots that begin between two instants, as instants; everything that anybody was told is in it.
pub async fn slots(client: &Client, provider: &str, from: Timestamp, to: Timestamp) -> Result<Vec<String>> {
    let path = format!("/v1/providers/{provider}/slots?from={from}&to={to}&consistency=linearizable");
    let answer = client.ask(Method::GET, &path).without("purpose-of-use").send().await?.expect(200)?;
    let body = answer.json();
    anyhow::ensure!(body["next_from"].is_null(), "more slots than one answer has");
    let slots = body["data"].as_array().context("a list")?;
    Ok(slots.iter().filter_map(|slot| slot["start"].as_str().map(str::to_owned)).collect())
}

/// The free slots of the coming days, tomorrow being the first.
pub async fn coming(client: &Client, provider: &str, days: i64) -> Result<Vec<String>> {
    slots(client, provider, in_days(1), in_days(1 + days)).await
}

/// Holds a slot.
pub async fn hold(client: &Client, provider: &str, start: &str, service: &str) -> Result<Answer> {
    let body = json!({ "start": start, "service_jurisdiction": service });
    let path = format!("/v1/providers/{provider}/holds");
    client.ask(Method::POST, &path).without("purpose-of-use").json(&body).send().await
}

/// The body of an appointment.
pub fn appointment(provider: &str, start: &str, service: &str, reason: &str) -> Value {
    json!({
        "provider": provider, "start": start, "service_jurisdiction": service, "kind": "video", "reason": reason
    })
}
