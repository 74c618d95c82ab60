//! Appointments at home: through the router and at the home's own node.

use http::Method;
use serde_json::{Value, json};
use tests::calendars::{appointment, coming, doctor, hold};
use tests::client::Client;
use tests::clinic::{self, Record};
use tests::cluster::shared;
use tests::faults::wait_until;

use super::{HOME, auditor, doors};

async fn patient(client: &Client, seed: u64) -> Record {
    clinic::register(client, HOME, &clinic::somebody(HOME, seed)).await.expect("they are registered")
}

async fn a_doctor() -> String {
    doctor(&shared().client("org_admin", HOME), &[HOME]).await.expect("a clinician")
}

#[tokio::test]
async fn an_appointment_is_booked_moved_and_cancelled() {
    for (door, staff) in doors("provider_staff") {
        let (ana, provider) = (patient(&staff, 700).await, a_doctor().await);
        let free = coming(&staff, &provider, 3).await.expect("slots");
        let path = format!("{}/appointments", ana.path);
        let key = clinic::fresh().to_string();
        let body = appointment(&provider, &free[0], HOME, "cough");
        let book = || staff.ask(Method::POST, &path).header("idempotency-key", &key).json(&body);
        let booked = book().send().await.expect("an answer").expect(201).expect(door);
        let shown = booked.json();
        assert_eq!((&shown["status"], &shown["starts_at"]), (&json!("booked"), &json!(free[0])), "{door}");
        assert!(booked.header("x-log-index").parse::<u64>().is_ok(), "{:?}", booked.headers);
        let again = book().send().await.expect("an answer").expect(201).expect(door);
        assert_eq!((again.json(), again.header("idempotent-replayed")), (shown.clone(), "true"), "{door}");
        let one = booked.header("location").to_owned();
        let read = staff.get(&one).await.expect("an answer").expect(200).expect(door);
        assert_eq!((read.json(), read.header("etag")), (shown, booked.header("etag")));

        let moved = staff.post(&format!("{one}/reschedule"), &json!({ "start": free[1] })).await;
        let moved = moved.expect("an answer").expect(200).expect(door);
        assert_eq!(moved.json()["starts_at"], free[1].as_str(), "{door}");
        let after = coming(&staff, &provider, 3).await.expect("slots");
        assert!(after.contains(&free[0]) && !after.contains(&free[1]), "{door}: {after:?}");

        let cancel = json!({ "code": "patient-request", "note": "on holiday" });
        let cancelled =
            staff.post(&format!("{one}/cancel"), &cancel).await.expect("an answer").expect(200).expect(door);
        assert_eq!(cancelled.json()["cancel_note"], "on holiday");
        assert_eq!(
            coming(&staff, &provider, 3).await.expect("slots"),
            free,
            "{door}: all of them are free again"
        );
        let twice = staff.post(&format!("{one}/cancel"), &cancel).await.expect("an answer");
        assert_eq!(twice.problem(409).expect("a problem"), "illegal-transition");
        let listed = clinic::walk(&staff, &path, 1).await.expect(door);
        assert_eq!((listed.len(), &listed[0]["status"]), (1, &json!("cancelled")), "{door}");
    }
}

#[tokio::test]
async fn a_hold_becomes_an_appointment_once() {
    let (_, staff) = &doors("provider_staff")[0];
    let (ana, ben, provider) = (patient(staff, 710).await, patient(staff, 711).await, a_doctor().await);
    let start = coming(staff, &provider, 2).await.expect("slots")[0].clone();
    let held = hold(staff, &provider, &start, HOME).await.expect("an answer").expect(201).expect("it is held");
    let handle = held.json()["handle"].clone();
    let mut body = appointment(&provider, &start, HOME, "cough");
    (body["start"], body["hold"]) = (Value::Null, handle.clone());
    let booked = staff.post(&format!("{}/appointments", ana.path), &body).await.expect("an answer");
    assert_eq!(booked.expect(201).expect("it is booked").json()["starts_at"], start.as_str());
    for other in [&ana, &ben] {
        let again = staff.post(&format!("{}/appointments", other.path), &body).await.expect("an answer");
        assert_eq!(again.problem(409).expect("a problem"), "hold-used");
    }
    let path = format!("/v1/providers/{provider}/holds/{}", handle.as_str().expect("a handle"));
    let kept = staff.ask(Method::DELETE, &path).without("purpose-of-use").send().await.expect("an answer");
    assert_eq!(kept.problem(409).expect("a problem"), "hold-used", "a booking is not released");
}

#[tokio::test]
async fn why_somebody_comes_is_for_those_who_treat_and_their_staff() {
    let (_, staff) = &doors("provider_staff")[1];
    let (ana, ben, provider) = (patient(staff, 720).await, patient(staff, 721).await, a_doctor().await);
    let start = coming(staff, &provider, 2).await.expect("slots")[0].clone();
    let body = appointment(&provider, &start, HOME, "zzphireason");
    let path = format!("{}/appointments", ana.path);
    let booked = staff.post(&path, &body).await.expect("an answer").expect(201).expect("it is booked");
    let one = booked.header("location").to_owned();
    let at_home = |client: Client| client.at(&shared().region("ca").url);
    let checking = at_home(auditor().await).purpose("HOPERAT");
    for seen in [checking.get(&one).await, checking.get(&path).await, staff.get(&path).await] {
        let seen = seen.expect("an answer").expect(200).expect("it is shown");
        assert!(!seen.text().contains("zzphi"), "{}", seen.text());
    }
    for role in ["marketer", "pharmacist", "lab_tech", "org_admin"] {
        let refused = at_home(shared().client(role, HOME)).get(&one).await.expect("an answer");
        assert_eq!(refused.problem(403).expect(role), "forbidden");
    }
    // Beneath another patient it is not there.
    let id = booked.json()["id"].as_str().expect("an id").to_owned();
    let elsewhere = format!("{}/appointments/{id}", ben.path);
    for answer in [
        staff.get(&elsewhere).await,
        staff.post(&format!("{elsewhere}/cancel"), &json!({ "code": "patient-request" })).await,
        staff.post(&format!("{elsewhere}/reschedule"), &json!({ "start": start })).await,
    ] {
        assert_eq!(answer.expect("an answer").problem(404).expect("a problem"), "not-found");
    }
}

#[tokio::test]
async fn who_waits_is_offered_what_gets_free() {
    let (_, staff) = &doors("provider_staff")[0];
    let (ana, ben, provider) = (patient(staff, 730).await, patient(staff, 731).await, a_doctor().await);
    let free = coming(staff, &provider, 2).await.expect("slots");
    let body = appointment(&provider, &free[0], HOME, "cough");
    let booked = staff.post(&format!("{}/appointments", ana.path), &body).await.expect("an answer");
    let one = booked.expect(201).expect("it is booked").header("location").to_owned();
    let wish = json!({
        "provider": provider, "service_jurisdiction": HOME, "from": free[0], "to": free[1]
    });
    let path = format!("{}/waitlist", ben.path);
    staff.post(&path, &wish).await.expect("an answer").expect(201).expect("they wait");
    let wishes = async || {
        let listed = staff.get(&format!("{path}?ended=true")).await.ok()?.json();
        Some(listed["data"][0].clone())
    };
    wait_until("the wish to stand in the order", async || {
        wishes().await.filter(|wish| wish["status"] == "waiting").map(|_| ())
    })
    .await
    .expect("it waits");
    let cancel = json!({ "code": "patient-request" });
    staff
        .post(&format!("{one}/cancel"), &cancel)
        .await
        .expect("an answer")
        .expect(200)
        .expect("it is cancelled");
    let offered = wait_until("the slot to be offered", async || {
        wishes().await.filter(|wish| wish["status"] == "offered")
    })
    .await
    .expect("it is offered");
    assert_eq!(offered["offer"]["starts_at"], free[0].as_str());
    assert!(!coming(staff, &provider, 2).await.expect("slots").contains(&free[0]), "it is held");
    let mut body = appointment(&provider, &free[0], HOME, "cough");
    (body["start"], body["hold"]) = (Value::Null, offered["offer"]["hold"].clone());
    let booked = staff.post(&format!("{}/appointments", ben.path), &body).await.expect("an answer");
    booked.expect(201).expect("it is booked");
    let ended = wait_until("the wish to end", async || wishes().await.filter(|wish| wish["status"] == "ended"))
        .await
        .expect("it ends");
    assert_eq!(ended["outcome"], "booked");
}
