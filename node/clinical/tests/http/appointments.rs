//! Appointments at home, over HTTP.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use node_clinical::appointments::reconcile::Desk;
use residency_control::calendar::EntryState;
use residency_control::snapshot::encode;
use residency_policy::ProviderId;
use serde_json::{Value, json};

use crate::support::{Answer, Ask, World, ana, id};

pub(crate) const START: &str = "2026-11-23T15:00:00Z";
pub(crate) const LATER: &str = "2026-11-24T15:00:00Z";

/// The body of an appointment.
pub(crate) fn appointment(provider: ProviderId, start: &str) -> Value {
    json!({
        "provider": provider.to_string(), "start": start, "service_jurisdiction": "US-TX", "kind": "video",
        "reason": "zzphireason"
    })
}

impl World {
    pub(crate) fn book(&self, patient: &str, body: &Value) -> Ask<'_> {
        self.ask("provider_staff", "POST", &format!("/v1/patients/{patient}/appointments")).json(body)
    }

    /// Somebody new.
    pub(crate) async fn somebody(&self) -> String {
        id(&self.register(&ana()).await)
    }

    /// What stands in a calendar: `held` or `booked`, by its beginning.
    pub(crate) fn standing(&self, provider: ProviderId) -> Vec<(String, &'static str)> {
        let state = self.book.state.lock().expect("a lock");
        let entries = state.ledger().book(provider).into_iter().flat_map(|book| book.entries());
        let word = |state| match state {
            EntryState::Held { .. } => "held",
            EntryState::Booked => "booked",
        };
        entries.map(|(start, _, entry)| (start.to_string(), word(entry.state))).collect()
    }

    /// Everything that is left half done is done or undone.
    pub(crate) async fn settle(&self) {
        let client = self.region.as_superuser().await;
        let desk = Desk::new(self.here.clone());
        loop {
            client
                .execute("UPDATE booking_work SET due_at = now() WHERE NOT resting", &[])
                .await
                .expect("expires");
            if desk.round().await.expect("a round") == 0 {
                return;
            }
        }
    }

    /// Where calendars and appointments say different things, as sentences. With what is on its way, if asked.
    pub(crate) async fn diverged(&self) -> Vec<String> {
        let client = self.region.as_superuser().await;
        let sql = "SELECT status, provider_id::text, handle::text FROM appointments ORDER BY 1, 3";
        let rows = client.query(sql, &[]).await.expect("rows");
        let rows: Vec<(String, String, String)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let work: i64 =
            client.query_one("SELECT count(*) FROM booking_work", &[]).await.expect("counts").get(0);
        let mut found = Vec::new();
        if work > 0 {
            found.push(format!("{work} pieces of work are left"));
        }
        let state = self.book.state.lock().expect("a lock");
        for (status, provider, handle) in &rows {
            let book = state.ledger().book(provider.parse().expect("an id"));
            let there = book.and_then(|book| book.find(handle.parse().expect("an id")));
            let booked = there.is_some_and(|(_, entry)| entry.state == EntryState::Booked);
            match status.as_str() {
                "booked" if !booked => found.push(format!("{handle} is booked here and not there")),
                "cancelled" | "failed" if booked => {
                    found.push(format!("{handle} is {status} here and booked there"));
                }
                "pending" | "moving" | "cancelling" => found.push(format!("{handle} is {status} for ever")),
                _ => {}
            }
        }
        for provider in state.providers().iter() {
            for (_, handle, entry) in
                state.ledger().book(provider.id).into_iter().flat_map(|book| book.entries())
            {
                let owners = rows.iter().filter(|row| row.0 == "booked" && row.2 == handle.to_string()).count();
                if entry.state == EntryState::Booked && owners != 1 {
                    found.push(format!("{handle} is booked there and {owners} times here"));
                }
            }
        }
        found
    }
}

fn path_of(answer: &Answer) -> String {
    answer.header("location").to_owned()
}

#[tokio::test]
async fn an_appointment_is_booked_and_why_stays_at_home() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
    let shown = booked.json();
    assert_eq!(shown["status"], "booked");
    assert_eq!((&shown["starts_at"], &shown["ends_at"]), (&json!(START), &json!("2026-11-23T15:30:00Z")));
    assert_eq!(
        (&shown["reason"], &shown["provider_id"]),
        (&json!("zzphireason"), &json!(provider.to_string()))
    );
    assert!(booked.header("x-log-index").parse::<u64>().is_ok());
    let path = path_of(&booked);
    let read = world.ask("provider", "GET", &path).send().await.is(200);
    assert_eq!((read.json(), read.header("etag")), (shown.clone(), booked.header("etag")));
    let listed = world.ask("provider", "GET", &format!("/v1/patients/{patient}/appointments")).send().await;
    let listed = listed.is(200).json();
    assert_eq!(listed["data"][0]["id"], shown["id"]);
    assert!(!listed.to_string().contains("zzphireason"), "a list does not say why");
    let auditor = world.ask("auditor", "GET", &path).header("purpose-of-use", "HOPERAT").send().await.is(200);
    assert_eq!(auditor.json().as_object().expect("an object").len(), 5, "{}", auditor.text());
    world.ask("stranger", "GET", &path).send().await.is(404);
    world.ask("marketer", "GET", &path).send().await.is(403);

    assert_eq!(world.standing(provider), [(START.to_owned(), "booked")]);
    assert_eq!(world.diverged().await, Vec::<String>::new());
    // The control plane knows a handle, and neither who nor why.
    let image = encode(&world.book.state.lock().expect("a lock")).expect("encodes");
    let has = |word: &[u8]| image.windows(word.len()).any(|window| window == word);
    let uuid: residency_policy::PatientId = patient.parse().expect("an id");
    assert!(!has(b"zzphireason") && !has(patient.as_bytes()) && !has(&uuid.to_bytes()));
    assert!(has(&provider.to_bytes()), "the control: what is there is found");
    let client = world.region.as_superuser().await;
    let events = "SELECT name FROM outbox WHERE name LIKE 'appointment%'";
    let events: Vec<String> =
        client.query(events, &[]).await.expect("rows").iter().map(|row| row.get(0)).collect();
    assert_eq!(events, ["appointment.booked"]);
}

#[tokio::test]
async fn the_same_request_again_is_one_appointment() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let body = appointment(provider, START);
    let ask = |key: &str| world.book(&patient, &body).header("idempotency-key", key);
    let first = ask("one").send().await.is(201);
    let again = ask("one").send().await.is(201);
    assert_eq!((again.json(), again.header("idempotent-replayed")), (first.json(), "true"));
    let other =
        world.book(&patient, &appointment(provider, LATER)).header("idempotency-key", "one").send().await;
    other.is(422).problem("idempotency-reused");
    let taken = ask("two").send().await.is(409).problem("slot-taken");
    assert_eq!(taken["slot"], json!({"provider": provider.to_string(), "start": START}));
    assert_eq!(world.standing(provider).len(), 1);
}

#[tokio::test]
async fn fifty_who_book_one_slot_at_once_are_one_who_gets_it() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let body = appointment(provider, START);
    let answers = join_all((0..50).map(|_| world.book(&patient, &body).send())).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.is(409).problem("slot-taken")["slot"]["start"], START);
    }
    assert_eq!(world.standing(provider), [(START.to_owned(), "booked")]);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_hold_is_made_an_appointment_once() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let hold = world.hold(provider, START).await.is(201).json()["handle"].clone();
    let mut body = appointment(provider, START);
    body["start"] = Value::Null;
    body["hold"] = hold.clone();
    let booked = world.book(&patient, &body).send().await.is(201);
    assert_eq!(booked.json()["starts_at"], START);
    world.book(&patient, &body).send().await.is(409).problem("hold-used");
    let shown = format!("/v1/providers/{provider}/holds/{}", hold.as_str().expect("an id"));
    assert_eq!(world.open("provider", "GET", &shown).send().await.is(200).json()["status"], "booked");
    world.open("provider", "DELETE", &shown).send().await.is(409).problem("hold-used");

    let lapsed = world.hold(provider, LATER).await.is(201).json()["handle"].clone();
    world.region.clock.set("2026-11-18T11:11:40Z".parse().expect("an instant"));
    body["hold"] = lapsed;
    world.book(&patient, &body).send().await.is(409).problem("hold-expired");
    // It is taken away by whoever holds anything next, and is over all the same.
    let next = world.hold(provider, LATER).await.is(201).json()["handle"].clone();
    world.book(&patient, &body).send().await.is(409).problem("hold-expired");
    body["hold"] = json!("00000000-0000-4000-8000-000000000000");
    world.book(&patient, &body).send().await.is(409).problem("hold-expired");
    // What is held may not begin before it is booked.
    body["hold"] = next;
    world.region.clock.set(LATER.parse().expect("an instant"));
    world.book(&patient, &body).send().await.is(409).problem("hold-expired");
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_appointment_is_moved_in_one_go() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
    let path = path_of(&booked);
    let reschedule = |body: Value| world.ask("provider", "POST", &format!("{path}/reschedule")).json(&body);
    let ask = || reschedule(json!({"start": LATER})).header("idempotency-key", "one");
    let moved = ask().send().await.is(200);
    assert_eq!((&moved.json()["starts_at"], &moved.json()["status"]), (&json!(LATER), &json!("booked")));
    assert_eq!(ask().send().await.is(200).json(), moved.json());
    assert_eq!(world.standing(provider), [(LATER.to_owned(), "booked")]);
    // A refusal that tells something of the appointment, and that there is such a patient, leaves a record too.
    let refusals = async || {
        let all = world.accesses(&patient).await;
        all.iter().filter(|access| access.ends_with(" refused")).count()
    };
    let before = refusals().await;
    reschedule(json!({"start": LATER})).send().await.is(409).problem("slot-taken");
    assert_eq!(refusals().await, before + 1);
    world.book(&patient, &appointment(provider, LATER)).send().await.is(409).problem("slot-taken");
    assert_eq!(refusals().await, before + 2);
    let stale = reschedule(json!({"start": START})).header("if-match", "\"1\"").send().await;
    stale.is(412).problem("precondition-failed");
    reschedule(json!({"start": "2026-11-23T15:10:00Z"})).send().await.is(422).problem("slot-not-offered");
    reschedule(json!({})).send().await.is(422).problem("invalid");
    // To another provider, by a hold.
    let other = world.doctor().await;
    let hold = world.hold(other, START).await.is(201).json()["handle"].clone();
    let moved = reschedule(json!({"provider": other.to_string(), "hold": hold})).send().await.is(200);
    assert_eq!(moved.json()["provider_id"], other.to_string());
    assert_eq!(world.standing(provider), []);
    assert_eq!(world.standing(other), [(START.to_owned(), "booked")]);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_cancelled_appointment_frees_its_time_and_rests() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let path = path_of(&world.book(&patient, &appointment(provider, START)).send().await.is(201));
    let cancel = || {
        let body = json!({"code": "patient-request", "note": "zzphinote"});
        world.ask("provider", "POST", &format!("{path}/cancel")).json(&body)
    };
    let unknown =
        world.ask("provider", "POST", &format!("{path}/cancel")).json(&json!({"code": "x"})).send().await;
    unknown.is(422).problem("invalid");
    let cancelled = cancel().header("idempotency-key", "one").send().await.is(200);
    let shown = cancelled.json();
    assert_eq!((&shown["status"], &shown["cancel_code"]), (&json!("cancelled"), &json!("patient-request")));
    assert_eq!(shown["cancel_note"], "zzphinote");
    assert_eq!(cancel().header("idempotency-key", "one").send().await.is(200).json(), shown);
    cancel().send().await.is(409).problem("illegal-transition");
    assert_eq!(world.standing(provider), []);
    world.book(&patient, &appointment(provider, START)).send().await.is(201);
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

#[tokio::test]
async fn without_a_quorum_nothing_is_half_booked() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let path = path_of(&world.book(&patient, &appointment(provider, START)).send().await.is(201));
    world.book.quorum.store(false, Ordering::SeqCst);
    let body = appointment(provider, LATER);
    let ask = || world.book(&patient, &body).header("idempotency-key", "one");
    let refused = ask().send().await.is(503);
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    refused.problem("control-unavailable");
    let moving = || {
        let ask = world.ask("provider", "POST", &format!("{path}/reschedule"));
        ask.header("idempotency-key", "two").json(&json!({"start": LATER}))
    };
    moving().send().await.is(503).problem("control-unavailable");
    let cancelling = || {
        let ask = world.ask("provider", "POST", &format!("{path}/cancel"));
        ask.header("idempotency-key", "three").json(&json!({"code": "patient-request"}))
    };
    cancelling().send().await.is(503).problem("control-unavailable");
    assert_eq!(world.diverged().await, Vec::<String>::new());
    world.ask("provider", "GET", &path).send().await.is(200);
    world.somebody().await;

    world.book.quorum.store(true, Ordering::SeqCst);
    // The same requests again.
    moving().send().await.is(200);
    ask().send().await.is(409).problem("slot-taken");
    cancelling().send().await.is(200);
    assert_eq!(
        ask().send().await.is(201).json()["status"],
        "booked",
        "what came to nothing may be tried again"
    );
    assert_eq!(world.diverged().await, Vec::<String>::new());
}

#[tokio::test]
async fn who_may_not_practise_there_is_not_booked() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let mut body = appointment(provider, START);
    body["service_jurisdiction"] = json!("US-NY");
    let missing = world.book(&patient, &body).send().await.is(409).problem("no-authority");
    assert_eq!(missing["licence"]["service_jurisdiction"], "US-NY");
    // A hold that was taken for Texas is not good for New York either.
    body["hold"] = world.hold(provider, START).await.is(201).json()["handle"].clone();
    body["start"] = Value::Null;
    world.book(&patient, &body).send().await.is(409).problem("no-authority");
    body["service_jurisdiction"] = json!("US-TX");
    world.book(&patient, &body).send().await.is(201);
}

#[tokio::test]
async fn who_is_removed_from_view_keeps_no_time() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let path = path_of(&world.book(&patient, &appointment(provider, START)).send().await.is(201));
    let remove = format!("/v1/patients/{patient}?reason=entered-in-error");
    world.ask("provider", "DELETE", &remove).header("if-match", "\"1\"").send().await.is(204);
    world.ask("provider", "GET", &path).send().await.is(404);
    world.settle().await;
    assert_eq!(world.standing(provider), []);
    assert_eq!(world.diverged().await, Vec::<String>::new());
    world.book(&patient, &appointment(provider, START)).send().await.is(404);
    assert_eq!(world.standing(provider), [], "nothing is taken for somebody who is not there");
}
