//! A patient is registered, read, changed and removed.

use http::Method;
use serde_json::{Value, json};
use tests::clinic::{self, TODAY};
use tests::cluster::shared;
use tests::postgres;

use super::{HOME, auditor, doors};

#[tokio::test]
async fn a_patient_is_registered_read_changed_and_removed() {
    for (seed, (door, doctor)) in (100..).zip(doors("provider")) {
        let person = clinic::somebody(HOME, seed);
        let patient = clinic::register(&doctor, HOME, &person).await.expect(door);
        assert_eq!(patient.uuid().get_version_num(), 4, "an id tells nothing");
        assert_eq!(patient.body["home"], HOME);
        assert!(patient.body["mrn"].as_str().is_some_and(|m| !m.is_empty()), "{}", patient.body);
        for field in ["given_name", "family_name", "birth_date", "sex", "phone", "address"] {
            let sent = serde_json::to_value(&person).expect("JSON");
            assert_eq!(patient.body[field], sent[field], "{field} at {door}");
        }
        for time in ["created_at", "updated_at"] {
            let text = patient.body[time].as_str().expect("a time");
            assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
        }

        let read = doctor.get(&patient.path).await.expect("an answer").expect(200).expect(door);
        assert_eq!(read.header("cache-control"), "no-store");
        assert_eq!(read.header("content-type"), "application/json");
        assert_eq!(read.header("etag"), patient.etag);
        assert_eq!(doctor.http2().get(&patient.path).await.expect("an answer").body, read.body);

        let moved =
            json!({ "address": { "city": "Reno", "state": "NV", "postal_code": "89501" }, "email": null });
        let changed = doctor.patch(&patient.path, &patient.etag, &moved).await.expect("an answer").expect(200);
        let changed = changed.expect(door);
        let body = changed.json();
        assert_eq!(body["home"], HOME, "an address in another state moves nobody");
        assert_eq!((&body["address"]["state"], &body["email"]), (&json!("NV"), &Value::Null));
        assert_eq!(body["address"]["line"], patient.body["address"]["line"], "what the patch leaves out stays");
        assert_ne!(changed.header("etag"), patient.etag);
        assert_eq!(
            clinic::read(&doctor, &patient.path).await.expect(door).body["family_name"],
            json!(person.family_name)
        );

        let path = format!("{}?reason=entered-in-error", patient.path);
        let removed = doctor.delete(&path, changed.header("etag")).await.expect("an answer");
        assert!(removed.status.is_success(), "{}", removed.text());
        let gone = doctor.get(&patient.path).await.expect("an answer");
        assert_eq!(gone.problem(404).expect("a problem"), "not-found");
        let again = doctor.delete(&path, "\"2\"").await.expect("an answer");
        assert_eq!(again.problem(404).expect("a problem"), "not-found");
    }
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    for (seed, (door, doctor)) in (110..).zip(doors("provider")) {
        let patient = clinic::register(&doctor, HOME, &clinic::somebody(HOME, seed)).await.expect(door);
        let patch = json!({ "sex": "unknown" });
        let without = doctor.ask(Method::PATCH, &patient.path).json(&patch).send().await.expect("an answer");
        assert_eq!(without.problem(428).expect("a problem"), "precondition-required");
        let first = doctor.patch(&patient.path, &patient.etag, &patch).await.expect("an answer").expect(200);
        let second =
            doctor.patch(&patient.path, &patient.etag, &json!({ "sex": "other" })).await.expect("an answer");
        assert_eq!(second.problem(412).expect("a problem"), "precondition-failed");
        assert_eq!(
            clinic::read(&doctor, &patient.path).await.expect(door).etag,
            first.expect(door).header("etag")
        );

        // Of many who read the same version, one changes it.
        let read = clinic::read(&doctor, &patient.path).await.expect(door);
        let mut changes = tokio::task::JoinSet::new();
        for number in 0..8 {
            let (doctor, read) = (doctor.clone(), read.clone());
            let patch = json!({ "email": format!("number{number}@example.com") });
            changes.spawn(async move {
                doctor.patch(&read.path, &read.etag, &patch).await.expect("an answer").status
            });
        }
        let mut statuses: Vec<u16> = changes.join_all().await.iter().map(http::StatusCode::as_u16).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412], "{door}");
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_and_never_repeated() {
    let (_, doctor) = &doors("provider")[0];
    let good = serde_json::to_value(clinic::somebody(HOME, 120)).expect("JSON");
    for (pointer, value) in [
        ("/given_name", json!("")),
        ("/family_name", json!("x".repeat(300))),
        ("/birth_date", json!("2026-02-30")),
        ("/birth_date", json!("2199-01-01")),
        ("/sex", json!("zzphiwrong")),
        ("/email", json!("zzphiwrong")),
        ("/phone", json!("555-zzphiwrong")),
        ("/address", json!("zzphiwrong")),
        ("/address/state", json!("ZZ")),
        ("/address/postal_code", json!("zzphiwrong")),
        ("/mrn", json!("zz phi\u{7}wrong")),
    ] {
        let mut body = good.clone();
        match pointer.strip_prefix("/address/") {
            Some(inner) => body["address"][inner] = value,
            None => body[&pointer[1..]] = value,
        }
        let answer = doctor.post(&format!("/v1/patients?home={HOME}"), &body).await.expect("an answer");
        assert_eq!(answer.problem(422).expect(pointer), "invalid");
        let errors = answer.json()["errors"].clone();
        let named = errors.as_array().into_iter().flatten().any(|e| e["pointer"] == pointer);
        assert!(named, "{pointer}: {errors}");
        assert!(!answer.text().contains("zzphi"), "{}", answer.text());
    }
}

#[tokio::test]
async fn people_who_are_hard_to_write_down_are_registered_as_they_are() {
    let (_, doctor) = &doors("provider")[0];
    let place = HOME.parse().expect("a jurisdiction");
    let edge = loadtest_people::edge_cases(place, TODAY);
    assert!(edge.len() >= 8, "{}", edge.len());
    for person in edge {
        let patient = clinic::register(doctor, HOME, &person)
            .await
            .unwrap_or_else(|e| panic!("{:?}: {e:#}", person.note));
        let read = clinic::read(doctor, &patient.path).await.expect("it is there");
        let sent = serde_json::to_value(&person).expect("JSON");
        for field in ["given_name", "family_name", "birth_date", "address"] {
            assert_eq!(read.body[field], sent[field], "{:?}", person.note);
        }
    }
}

#[tokio::test]
async fn each_role_is_shown_its_own_view() {
    let (_, doctor) = &doors("provider")[0];
    let person = clinic::somebody(HOME, 130);
    let patient = clinic::register(doctor, HOME, &person).await.expect("it is registered");
    let auditor = auditor().await.purpose("HOPERAT");
    let token = clinic::read(&auditor, &patient.path).await.expect("a token").body;
    assert_eq!(token["id"], patient.body["id"]);
    for hidden in [&person.given_name, &person.family_name, &person.email, &person.phone] {
        assert!(!token.to_string().contains(hidden.as_str()), "{token}");
    }
    assert!(!token.to_string().contains(&person.birth_date.to_string()), "{token}");
    let admin = shared().client("org_admin", HOME).purpose("HOPERAT");
    let listed = clinic::walk(&admin, &format!("/v1/patients?home={HOME}"), 200).await.expect("a list");
    let row = listed.iter().find(|row| row["id"] == patient.body["id"]).expect("it is listed");
    assert_eq!(row["family_name"], json!(person.family_name));
    for hidden in [&person.email, &person.phone] {
        assert!(!row.to_string().contains(hidden.as_str()), "{row}");
    }
}

/// R5: every disclosure and every change left a record of who, what, why.
#[tokio::test]
async fn every_disclosure_and_change_is_recorded() {
    let (_, doctor) = &doors("provider")[0];
    let patient = clinic::register(doctor, HOME, &clinic::somebody(HOME, 140)).await.expect("it is registered");
    let read = doctor.get(&patient.path).await.expect("an answer").expect(200).expect("it is there");
    doctor.patch(&patient.path, &patient.etag, &json!({ "email": null })).await.expect("an answer");
    doctor.delete(&format!("{}?reason=duplicate", patient.path), "\"2\"").await.expect("an answer");
    let client = postgres::inspect(shared().region("ca")).await.expect("the database");
    // Other tests list this home's patients meanwhile, which is recorded for each of them.
    let rows = client
        .query(
            "SELECT action, purpose, role, request_id, ingress FROM access_log WHERE patient_id = $1 AND action <> 'list' ORDER BY at",
            &[&patient.uuid()],
        )
        .await
        .expect("the access log");
    let actions: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(actions, ["create", "read", "update", "delete"]);
    for row in &rows {
        assert_eq!((row.get::<_, &str>(1), row.get::<_, &str>(2)), ("TREAT", "provider"));
        assert_eq!(row.get::<_, Option<&str>>(4), Some("US-CA"), "where the bytes entered");
    }
    let request: uuid::Uuid = rows[1].get(3);
    assert_eq!(request.to_string(), read.header("x-request-id"), "the record names the request");
    let updates = client.query("SELECT 1 FROM patients_history WHERE id = $1", &[&patient.uuid()]).await;
    assert!(!updates.expect("the history").is_empty(), "history is kept");
}
