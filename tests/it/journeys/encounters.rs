//! A visit is opened, written up, signed, and added to.

use http::Method;
use serde_json::json;
use tests::client::Client;
use tests::clinic::{self, Record};
use tests::cluster::shared;

use super::{HOME, auditor, doors};

async fn patient(doctor: &Client, seed: u64) -> Record {
    clinic::register(doctor, HOME, &clinic::somebody(HOME, seed)).await.expect("it is registered")
}

#[tokio::test]
async fn a_visit_is_opened_written_up_signed_and_added_to() {
    for (seed, (door, doctor)) in (200..).zip(doors("provider")) {
        let patient = patient(&doctor, seed).await;
        let opened =
            clinic::open_encounter(&doctor, &patient, HOME, "cough", "to be written").await.expect(door);
        assert!(opened.path.starts_with(&format!("{}/encounters/", patient.path)), "{}", opened.path);
        assert_eq!(opened.body["status"], "open");
        let amended = doctor.patch(&opened.path, &opened.etag, &json!({ "note": "line one\nline two" })).await;
        let amended = amended.expect("an answer").expect(200).expect(door);
        assert_eq!(amended.json()["note"], "line one\nline two");
        assert_eq!(amended.json()["reason"], "cough");

        let early = clinic::add_addendum(&doctor, &opened, "too early").await.expect("an answer");
        assert_eq!(early.problem(409).expect("a problem"), "illegal-transition");

        let amended = Record::of(&opened.path, &amended).expect(door);
        let signed = clinic::sign(&doctor, &amended).await.expect(door);
        assert_eq!(signed.body["status"], "signed");
        assert!(signed.body["signed_at"].is_string(), "{}", signed.body);

        // It is as it was signed, whoever asks and however.
        let again =
            doctor.patch(&signed.path, &signed.etag, &json!({ "note": "otherwise" })).await.expect("an answer");
        assert_eq!(again.problem(409).expect("a problem"), "illegal-transition");
        let asking =
            doctor.ask(Method::POST, &format!("{}/sign", signed.path)).header("if-match", &signed.etag);
        let twice = asking.send().await.expect("an answer");
        assert_eq!(twice.problem(409).expect("a problem"), "illegal-transition");
        assert_eq!(clinic::read(&doctor, &signed.path).await.expect(door).body["note"], "line one\nline two");

        let added = clinic::add_addendum(&doctor, &signed, "Called back: better.").await.expect("an answer");
        assert_eq!(added.status, 201, "{}", added.text());
        let read = clinic::read(&doctor, &signed.path).await.expect(door).body;
        assert_eq!(read["addenda"][0]["body"], "Called back: better.", "{read}");
        assert_eq!(read["note"], "line one\nline two");

        let listed = clinic::walk(&doctor, &format!("{}/encounters", patient.path), 1).await.expect(door);
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0]["id"], read["id"]);
    }
}

#[tokio::test]
async fn an_encounter_belongs_to_its_patient_only() {
    let (_, doctor) = &doors("provider")[1];
    let (one, other) = (patient(doctor, 210).await, patient(doctor, 211).await);
    let visit = clinic::open_encounter(doctor, &one, HOME, "cough", "note").await.expect("it is opened");
    let elsewhere = format!("{}/encounters/{}", other.path, visit.id);
    for answer in [
        doctor.get(&elsewhere).await,
        doctor.patch(&elsewhere, &visit.etag, &json!({ "note": "x" })).await,
        doctor.post(&format!("{elsewhere}/addenda"), &json!({ "body": "x" })).await,
    ] {
        assert_eq!(answer.expect("an answer").problem(404).expect("a problem"), "not-found");
    }
    let unknown = doctor.get(&format!("{}/encounters/{}", one.path, clinic::fresh())).await.expect("an answer");
    let foreign = doctor.get(&elsewhere).await.expect("an answer");
    assert_eq!(unknown.without_its_own(), foreign.without_its_own());
}

#[tokio::test]
async fn staff_see_that_a_visit_was_and_not_what_was_said() {
    let (_, doctor) = &doors("provider")[1];
    let patient = patient(doctor, 220).await;
    let visit =
        clinic::open_encounter(doctor, &patient, HOME, "zzphireason", "zzphinote").await.expect("it is opened");
    let staff = shared().client_at("ca", "provider_staff", HOME);
    let auditor = auditor().await.at(&shared().region("ca").url).purpose("HOPERAT");
    for (role, other) in [("staff", staff), ("the auditor", auditor)] {
        for path in [visit.path.clone(), format!("{}/encounters", patient.path)] {
            let answer = other.get(&path).await.expect("an answer").expect(200).expect(role);
            assert!(answer.text().contains(&visit.id) && !answer.text().contains("zzphi"), "{}", answer.text());
        }
        let refused = other.patch(&visit.path, &visit.etag, &json!({ "note": "x" })).await.expect("an answer");
        assert_eq!(refused.problem(403).expect("a problem"), "forbidden");
    }
}

#[tokio::test]
async fn what_is_wrong_in_a_visit_is_named() {
    let (_, doctor) = &doors("provider")[1];
    let patient = patient(doctor, 230).await;
    for (pointer, value) in [
        ("/provider_npi", json!("1234567890")),
        ("/service_jurisdiction", json!("Texas")),
        ("/diagnoses", json!(["not a code"])),
        ("/reason", json!(7)),
        ("/note", json!(" ")),
    ] {
        let mut body = clinic::encounter(HOME, "cough", "note");
        body[&pointer[1..]] = value;
        let answer = doctor.post(&format!("{}/encounters", patient.path), &body).await.expect("an answer");
        assert_eq!(answer.problem(422).expect(pointer), "invalid");
        let errors = answer.json()["errors"].clone();
        assert!(
            errors.as_array().into_iter().flatten().any(|e| e["pointer"] == pointer),
            "{pointer}: {errors}"
        );
    }
}
