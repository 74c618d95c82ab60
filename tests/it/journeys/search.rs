//! Patients are found by what is known of them, exactly, and by nothing in a URL.

use serde_json::{Value, json};
use tests::client::Client;
use tests::clinic::{self, Record};
use tests::cluster::shared;

use super::{HOME, doors};

async fn found(client: &Client, query: &Value) -> Vec<String> {
    let answer = client.post(&format!("/v1/patients/search?home={HOME}"), query).await.expect("an answer");
    let answer = answer.expect(200).unwrap_or_else(|e| panic!("{query}: {e:#}"));
    let rows = answer.json()["data"].as_array().cloned().unwrap_or_default();
    rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn a_patient_is_found_by_each_thing_that_is_known() {
    for (seed, (door, doctor)) in (300..).zip(doors("provider")) {
        let person = clinic::somebody(HOME, seed);
        let patient: Record = clinic::register(&doctor, HOME, &person).await.expect(door);
        for query in [
            json!({ "family_name": person.family_name, "birth_date": person.birth_date }),
            json!({ "given_name": person.given_name, "family_name": person.family_name }),
            json!({ "family_name": person.family_name.to_uppercase() }),
            json!({ "birth_date": person.birth_date, "phone": person.phone }),
            json!({ "phone": person.phone, "email": person.email }),
            json!({ "email": person.email.to_uppercase() }),
            json!({ "mrn": patient.body["mrn"] }),
        ] {
            assert!(found(&doctor, &query).await.contains(&patient.id), "{query} at {door}");
        }
        // Exactly, or not at all.
        let part: String = person.email.chars().skip(1).collect();
        for query in [
            json!({ "email": part }),
            json!({ "email": person.email, "birth_date": "1901-01-01" }),
            json!({ "family_name": format!("{}x", person.family_name) }),
        ] {
            assert!(!found(&doctor, &query).await.contains(&patient.id), "{query} at {door}");
        }
    }
}

#[tokio::test]
async fn a_changed_patient_is_found_by_what_is_true_now_and_a_removed_one_not_at_all() {
    let (_, doctor) = &doors("provider")[0];
    let person = clinic::somebody(HOME, 310);
    let patient = clinic::register(doctor, HOME, &person).await.expect("it is registered");
    let email = "a.new.address.310@example.com";
    let changed =
        doctor.patch(&patient.path, &patient.etag, &json!({ "email": email })).await.expect("an answer");
    assert_eq!(found(doctor, &json!({ "email": email })).await, std::slice::from_ref(&patient.id));
    assert!(!found(doctor, &json!({ "email": person.email })).await.contains(&patient.id));
    doctor
        .delete(&format!("{}?reason=duplicate", patient.path), changed.header("etag"))
        .await
        .expect("an answer");
    assert!(found(doctor, &json!({ "email": email })).await.is_empty());
}

#[tokio::test]
async fn another_organisation_finds_nothing_of_ours() {
    let (_, doctor) = &doors("provider")[0];
    let person = clinic::somebody(HOME, 320);
    clinic::register(doctor, HOME, &person).await.expect("it is registered");
    let own = &shared().credential("provider", HOME).org;
    let other = shared().described().credentials.iter().find(|c| c.role == "provider" && c.org != *own);
    let stranger = shared().nobody().key(&other.expect("a second clinic").api_key);
    assert!(!found(doctor, &json!({ "email": person.email })).await.is_empty());
    assert!(found(&stranger, &json!({ "email": person.email })).await.is_empty());
    // And both may have one person, each with a record of their own.
    let theirs = clinic::register(&stranger, HOME, &person).await.expect("it is registered");
    assert_eq!(found(&stranger, &json!({ "email": person.email })).await, std::slice::from_ref(&theirs.id));
    assert!(!found(doctor, &json!({ "email": person.email })).await.contains(&theirs.id));
}

#[tokio::test]
async fn a_search_names_something_and_a_home() {
    let (_, doctor) = &doors("provider")[0];
    let nothing =
        doctor.post(&format!("/v1/patients/search?home={HOME}"), &json!({})).await.expect("an answer");
    assert_eq!(nothing.problem(422).expect("a problem"), "invalid");
    let nowhere =
        doctor.post("/v1/patients/search", &json!({ "email": "a@example.com" })).await.expect("an answer");
    assert_eq!(nowhere.problem(400).expect("a problem"), "bad-parameter");
}
