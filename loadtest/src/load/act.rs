//! What clients do, each act measured and noted for the judges.

use std::sync::Arc;

use http::{Method, StatusCode};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::people::{Known, Patient, Turn};
use super::stage::{Place, Stage};
use super::tally::How;
use crate::client::{Answer, Client, Failure};
use crate::history::homes::Accepted;
use crate::history::{Act, Outcome, State};

/// How an answer that should be this status is counted.
pub(super) fn judged(answer: &Result<Answer, Failure>, expected: StatusCode) -> How {
    match answer {
        Ok(answer) if answer.status == expected => How::Good,
        Ok(answer) => How::Refused {
            status: answer.status.as_u16(),
            problem: answer.problem(),
            retry_after: answer.header("retry-after").is_some(),
        },
        // What went wrong on the wire is counted by its kind: texts would make a kind of each.
        Err(Failure::NotSent(_)) => How::Lost("no connection".to_owned()),
        Err(Failure::Unknown(_)) => How::Lost("no answer".to_owned()),
    }
}

/// Whether it is certain that a change did nothing.
fn surely_nothing(answer: &Result<Answer, Failure>) -> bool {
    match answer {
        // 503 is also what the edge says when a home broke off: the change may have been made.
        Ok(answer) => answer.status.is_client_error() && answer.status != StatusCode::REQUEST_TIMEOUT,
        Err(failure) => matches!(failure, Failure::NotSent(_)),
    }
}

fn text(body: &Value, field: &str) -> String {
    body[field].as_str().unwrap_or_default().to_owned()
}

/// Registers somebody.
pub async fn register(stage: &Arc<Stage>, place: &Place) -> How {
    let Ok(person) = stage.somebody(place) else { return How::Lost("no synthetic person".to_owned()) };
    let request = place.provider.request(Method::POST, &format!("/v1/patients?home={}", place.code));
    let call = stage.recorder.now();
    let answer = place.provider.send(request.idempotent(stage.fresh()).json(&person)).await;
    let how = judged(&answer, StatusCode::CREATED);
    if let (Ok(answer), How::Good) = (&answer, &how) {
        let body = answer.json();
        let known = Known {
            etag: answer.header("etag").unwrap_or_default().to_owned(),
            email: text(&person, "email"),
            family_name: text(&person, "family_name"),
            birth_date: text(&person, "birth_date"),
        };
        let patient = Patient::new(text(&body, "id"), text(&body, "home"), known);
        note_accepted(stage, &patient.id, &patient.home, call);
        stage.noted().ledger.acknowledged(&patient.id, &text(&person, "email"));
        place.ward.admit(Arc::new(patient));
    }
    how
}

/// Registers somebody whom nobody else of this run knows, and removes them from view. It is one act of two requests.
pub async fn register_and_remove(stage: &Arc<Stage>, place: &Place) -> How {
    let Ok(person) = stage.somebody(place) else { return How::Lost("no synthetic person".to_owned()) };
    let request = place.provider.request(Method::POST, &format!("/v1/patients?home={}", place.code));
    let answer = place.provider.send(request.idempotent(stage.fresh()).json(&person)).await;
    let how = judged(&answer, StatusCode::CREATED);
    let (Ok(answer), How::Good) = (&answer, &how) else { return how };
    let path = format!("/v1/patients/{}?reason=entered-in-error", text(&answer.json(), "id"));
    let request = place.provider.request(Method::DELETE, &path);
    let answer = place.provider.send(request.idempotent(stage.fresh())).await;
    judged(&answer, StatusCode::NO_CONTENT)
}

/// At most one home: who accepted a change. Patients do not move in these runs, so that there is one epoch.
fn note_accepted(stage: &Stage, patient: &str, home: &str, call: u64) {
    if let Ok(home) = home.parse() {
        let accepted =
            Accepted { patient: patient.to_owned(), home, epoch: 1, call, back: stage.recorder.now() };
        stage.noted().accepted.push(accepted);
    }
}

/// Reads somebody's record, through this client.
pub async fn read(client: &Client, patient: &Patient) -> How {
    let answer = client.send(client.request(Method::GET, &format!("/v1/patients/{}", patient.id))).await;
    let how = judged(&answer, StatusCode::OK);
    match (&answer, how) {
        (Ok(answer), How::Good) if text(&answer.json(), "id") != patient.id => {
            How::Lost("another patient's record".to_owned())
        }
        (_, how) => how,
    }
}

/// Changes somebody's e-mail address. Where the version is not known, because an earlier change got no answer, it is
/// read first, and what was read is judged.
pub async fn change(stage: &Arc<Stage>, place: &Place, Turn(patient): &Turn) -> How {
    let path = format!("/v1/patients/{}", patient.id);
    if patient.known().etag.is_empty() {
        return look_again(stage, place, patient, &path).await;
    }
    let email = stage.email(stage.number());
    let request = place.provider.request(Method::PATCH, &path).header("if-match", &patient.known().etag);
    let call = stage.recorder.now();
    let answer = place.provider.send(request.idempotent(stage.fresh()).json(&json!({ "email": email }))).await;
    let how = judged(&answer, StatusCode::OK);
    match &answer {
        Ok(good) if how == How::Good => {
            let etag = good.header("etag").unwrap_or_default().to_owned();
            patient.learn(|known| (known.etag, known.email) = (etag, email.clone()));
            note_accepted(stage, &patient.id, &text(&good.json(), "home"), call);
            stage.noted().ledger.acknowledged(&patient.id, &email);
        }
        other if surely_nothing(other) => {}
        _ => {
            patient.learn(|known| known.etag.clear());
            stage.noted().ledger.unanswered(&patient.id, &email);
        }
    }
    how
}

async fn look_again(stage: &Stage, place: &Place, patient: &Patient, path: &str) -> How {
    let answer = place.provider.send(place.provider.request(Method::GET, path)).await;
    let how = judged(&answer, StatusCode::OK);
    let (Ok(answer), How::Good) = (&answer, &how) else { return how };
    let email = text(&answer.json(), "email");
    let mut noted = stage.noted();
    if noted.ledger.judge(&patient.id, Some(&email)) == crate::history::ledger::Fate::Lost {
        return How::Lost("an acknowledged change is gone".to_owned());
    }
    // What was shown once may not be taken back, whether its writer heard of it or not.
    noted.ledger.acknowledged(&patient.id, &email);
    drop(noted);
    let etag = answer.header("etag").unwrap_or_default().to_owned();
    patient.learn(|known| (known.etag, known.email) = (etag, email));
    How::Good
}

/// Searches for somebody by what is known, who must be found.
pub async fn search(stage: &Stage, place: &Place, patient: &Patient, by_email: bool) -> How {
    let known = patient.known();
    let query = if by_email {
        json!({ "email": known.email })
    } else {
        json!({ "family_name": known.family_name, "birth_date": known.birth_date })
    };
    let path = format!("/v1/patients/search?home={}&limit=20", place.code);
    let request = place.provider.request(Method::POST, &path);
    let answer = place.provider.send(request.idempotent(stage.fresh()).json(&query)).await;
    let how = judged(&answer, StatusCode::OK);
    let (Ok(answer), How::Good) = (&answer, &how) else { return how };
    let body = answer.json();
    let rows = body["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = rows.iter().any(|row| row["id"] == patient.id.as_str());
    // Many people share a name and a birthday in a large population; an e-mail address belongs to one.
    let may_be_further = !by_email && body["page"]["next_cursor"].is_string();
    // Somebody else may have changed the address between our look at it and the search.
    let changed = by_email && patient.known().email != known.email;
    if found || may_be_further || changed { How::Good } else { How::Lost("not found".to_owned()) }
}

/// Opens an encounter.
pub async fn encounter(stage: &Stage, place: &Place, patient: &Patient) -> How {
    let body = json!({
        "service_jurisdiction": place.code,
        "provider_npi": loadtest_people::npi(0).to_string(),
        "reason": "cough",
        "note": "Synthetic: three days of cough, no fever, lungs clear.",
        "diagnoses": ["J06.9"],
    });
    let request = place.provider.request(Method::POST, &format!("/v1/patients/{}/encounters", patient.id));
    let answer = place.provider.send(request.idempotent(stage.fresh()).json(&body)).await;
    judged(&answer, StatusCode::CREATED)
}

/// Adds an organisation: a change of the control plane, whose answer says where in the log it stands.
pub async fn add_organisation(stage: &Arc<Stage>, place: &Place) -> (How, Option<String>) {
    let value = stage.number();
    let body =
        json!({ "name": organisation_name(&stage.mark, value), "type": "provider", "serves": [place.code] });
    let process = stage.process();
    let operation = stage.recorder.begin(process.number, "", Act::Add(value));
    let request = place.admin.request(Method::POST, "/v1/orgs");
    let answer = place.admin.send(request.idempotent(stage.fresh()).json(&body)).await;
    let how = judged(&answer, StatusCode::CREATED);
    let Ok(answer) = &answer else { return (how, None) };
    // Without an answer its id is not known, and nobody can ask about it.
    let id = text(&answer.json(), "id");
    if how != How::Good {
        return (how, None);
    }
    let operation = crate::history::Operation { key: format!("org {id} {value}"), ..operation };
    stage.recorder.end(operation, Outcome::Done, answer.log_index());
    (how, Some(format!("{id} {value}")))
}

/// A public name with a number in it, in letters: names hold at most three digits.
fn organisation_name(mark: &str, mut number: u64) -> String {
    let mut letters = String::new();
    while number > 0 {
        letters.push(char::from(b'a' + u8::try_from(number % 26).unwrap_or(0)));
        number /= 26;
    }
    format!("Load Lab {mark} {letters}")
}

/// Reads an organisation that was added, at a node that did not add it, through a linearizable read point.
pub async fn read_organisation(stage: &Arc<Stage>, reader: &Client, added: &str) -> How {
    let Some((id, value)) = added.split_once(' ') else { return How::Lost("no organisation".to_owned()) };
    let value = value.parse().unwrap_or_default();
    let process = stage.process();
    let operation = stage.recorder.begin(process.number, format!("org {added}"), Act::Read);
    let path = format!("/v1/orgs/{id}?consistency=linearizable");
    let answer = reader.send(reader.request(Method::GET, &path)).await;
    match &answer {
        Ok(answer) if answer.status == StatusCode::OK => {
            stage.recorder.end(operation, Outcome::Saw(State::Value(value)), answer.log_index());
            How::Good
        }
        Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
            stage.recorder.end(operation, Outcome::Saw(State::Nothing), answer.log_index());
            How::Lost("an organisation that was added is not there".to_owned())
        }
        _ => {
            stage.recorder.end(operation, Outcome::Unknown, None);
            judged(&answer, StatusCode::OK)
        }
    }
}

/// Registers so many people at every place, some at a time, before anything is measured. Who is told to come again later
/// comes again.
pub async fn prepare(stage: &Arc<Stage>, each: usize) -> anyhow::Result<()> {
    const AT_ONCE: usize = 32;
    const AGAIN: usize = 20;
    use futures::StreamExt as _;
    for (at, place) in stage.places.iter().enumerate() {
        let mut last = None;
        for _ in 0..=AGAIN {
            let missing = each.saturating_sub(place.ward.len());
            let registrations = futures::stream::iter(0..missing).map(|_| {
                let stage = stage.clone();
                async move { register(&stage, &stage.places[at]).await }
            });
            let bad: Vec<How> = registrations
                .buffer_unordered(AT_ONCE)
                .filter(|how| futures::future::ready(*how != How::Good))
                .collect()
                .await;
            let later = |how: &How| matches!(how, How::Refused { retry_after: true, .. });
            if let Some(wrong) = bad.iter().find(|how| !later(how)) {
                anyhow::bail!("somebody of {} was not registered: {wrong:?}", place.code);
            }
            last = bad.into_iter().last();
            if last.is_none() {
                break;
            }
        }
        anyhow::ensure!(last.is_none(), "people of {} are still not registered: {last:?}", place.code);
    }
    Ok(())
}

/// Somebody at a place, or why there is nobody.
pub fn anybody(place: &Place, rng: &mut ChaCha8Rng) -> Result<Arc<Patient>, How> {
    place.ward.anybody(rng).ok_or_else(|| How::Lost("nobody is registered".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_organisations_differ_and_hold_no_digit() {
        let names: std::collections::HashSet<String> =
            (1..2_000).map(|n| organisation_name("abcde", n)).collect();
        assert_eq!(names.len(), 1_999);
        assert!(names.iter().all(|name| !name.contains(|c: char| c.is_ascii_digit())));
    }

    #[test]
    fn only_a_caller_s_mistake_and_an_unsent_request_certainly_did_nothing() {
        let answer = |status: u16| {
            let status = StatusCode::from_u16(status).expect("a status");
            Ok(Answer { status, headers: http::HeaderMap::new(), body: bytes::Bytes::new() })
        };
        assert!(surely_nothing(&answer(412)) && surely_nothing(&answer(429)));
        assert!(!surely_nothing(&answer(503)) && !surely_nothing(&answer(408)));
        assert!(surely_nothing(&Err(Failure::NotSent(anyhow::anyhow!("refused")))));
        assert!(!surely_nothing(&Err(Failure::Unknown(anyhow::anyhow!("reset")))));
    }
}
