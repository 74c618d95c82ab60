//! What people in a clinic do all day, over HTTP.

use anyhow::{Context, Result};
use http::Method;
use jiff::civil::{Date, date};
use loadtest_people::{Person, npi};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// The day on which the synthetic people are as old as they are.
pub const TODAY: Date = date(2026, 11, 22);

/// An id that nobody has: a random UUID (RFC 9562 section 5.4).
#[expect(clippy::disallowed_methods, reason = "two runs against one cluster must not meet, so no seed will do")]
pub fn fresh() -> uuid::Uuid {
    uuid::Uuid::new_v4()
}

/// A clinician of the directory.
#[derive(Debug, Clone, Deserialize)]
pub struct Clinician {
    /// The id.
    pub id: String,
    /// The NPI.
    pub npi: String,
}

/// A synthetic member of the workforce.
#[derive(Debug, Clone, Deserialize)]
pub struct Staff {
    /// Their id.
    pub id: String,
    /// What they sign in with.
    pub login: Option<Login>,
}

/// What somebody signs in with.
#[derive(Debug, Clone, Deserialize)]
pub struct Login {
    /// The login name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// Something that was made or read: where it is and which version it was.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// Where it is shown.
    pub path: String,
    /// The version that was answered.
    pub etag: String,
    /// The answer's body.
    pub body: Value,
}

impl Record {
    /// Reads an answer that shows one record.
    pub fn of(path: &str, answer: &Answer) -> Result<Self> {
        let body = answer.json();
        let id = body["id"].as_str().with_context(|| format!("no id in {}", answer.text()))?.to_owned();
        Ok(Self { id, path: path.to_owned(), etag: answer.header("etag").to_owned(), body })
    }

    /// The id as the type that ids have.
    pub fn uuid(&self) -> uuid::Uuid {
        self.id.parse().unwrap_or_default()
    }
}

/// A synthetic person nobody else in this test run has.
pub fn somebody(home: &str, seed: u64) -> Person {
    let place = home.parse().unwrap_or_else(|_| panic!("{home} is a jurisdiction"));
    loadtest_people::people(seed, place, 1, TODAY).next().unwrap_or_else(|| panic!("nobody"))
}

/// Registers a person and follows the answer's `Location`.
pub async fn register(client: &Client, home: &str, person: &impl Serialize) -> Result<Record> {
    let answer = client.post(&format!("/v1/patients?home={home}"), person).await?.expect(201)?;
    let path = answer.header("location").to_owned();
    let record = Record::of(&path, &answer)?;
    anyhow::ensure!(path == format!("/v1/patients/{}", record.id), "{path}");
    Ok(record)
}

/// Reads a record.
pub async fn read(client: &Client, path: &str) -> Result<Record> {
    Record::of(path, &client.get(path).await?.expect(200)?)
}

/// Opens an encounter of a patient.
pub async fn open_encounter(
    client: &Client,
    patient: &Record,
    home: &str,
    reason: &str,
    note: &str,
) -> Result<Record> {
    let body = encounter(home, reason, note);
    let answer = client.post(&format!("{}/encounters", patient.path), &body).await?.expect(201)?;
    Record::of(answer.header("location"), &answer)
}

/// The body of an encounter with the clinician of the first clinic who is licensed everywhere.
pub fn encounter(home: &str, reason: &str, note: &str) -> Value {
    json!({
        "service_jurisdiction": home,
        "provider_npi": npi(0).to_string(),
        "reason": reason,
        "note": note,
        "diagnoses": ["J06.9"],
    })
}

/// Signs an encounter.
pub async fn sign(client: &Client, encounter: &Record) -> Result<Record> {
    let asking =
        client.ask(Method::POST, &format!("{}/sign", encounter.path)).header("if-match", &encounter.etag);
    Record::of(&encounter.path, &asking.send().await?.expect(200)?)
}

/// Adds to a signed encounter.
pub async fn add_addendum(client: &Client, encounter: &Record, text: &str) -> Result<Answer> {
    client.post(&format!("{}/addenda", encounter.path), &json!({ "body": text })).await
}

/// Every page of a list, walked by its cursor.
pub async fn walk(client: &Client, path: &str, limit: u32) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut next = format!("{path}{separator}limit={limit}");
    loop {
        let answer = client.get(&next).await?.expect(200)?;
        let page = answer.json();
        let items = page["data"].as_array().with_context(|| format!("no data in {page}"))?;
        anyhow::ensure!(items.len() <= limit as usize, "a page of {}", items.len());
        all.extend(items.iter().cloned());
        match page["page"]["next_cursor"].as_str() {
            None => return Ok(all),
            Some(cursor) => {
                let link = answer.header("link");
                anyhow::ensure!(link.contains("rel=\"next\"") && link.contains(cursor), "{link}");
                next = format!("{path}{separator}limit={limit}&cursor={cursor}");
            }
        }
    }
}
