//! A request that is sent twice has one effect; R9.

use http::Method;
use tests::client::Client;
use tests::clinic;
use tests::cluster::shared;
use tests::postgres;

use super::{HOME, doors};

fn create<'c>(client: &'c Client, key: &str, person: &loadtest_people::Person) -> tests::client::Asking<'c> {
    client.ask(Method::POST, &format!("/v1/patients?home={HOME}")).header("idempotency-key", key).json(person)
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_and_has_no_second_effect() {
    for (seed, (door, doctor)) in (400..).zip(doors("provider")) {
        let person = clinic::somebody(HOME, seed);
        let key = clinic::fresh().to_string();
        let first = create(&doctor, &key, &person).send().await.expect("an answer").expect(201).expect(door);
        // The second time through the other door: the record is at the home, not at the door.
        for (_, other) in doors("provider") {
            let again = create(&other, &key, &person).send().await.expect("an answer").expect(201).expect(door);
            assert_eq!(again.body, first.body);
            assert_eq!(
                (again.header("location"), again.header("etag")),
                (first.header("location"), first.header("etag"))
            );
            assert_eq!(again.header("idempotent-replayed"), "true");
        }
        assert_eq!(first.header("idempotent-replayed"), "");

        let another = clinic::somebody(HOME, seed + 50);
        let reused = create(&doctor, &key, &another).send().await.expect("an answer");
        assert_eq!(reused.problem(422).expect("a problem"), "idempotency-reused");
        let missing =
            create(&doctor, &key, &person).without("idempotency-key").send().await.expect("an answer");
        assert_eq!(missing.problem(400).expect("a problem"), "missing-header");
    }
}

#[tokio::test]
async fn of_many_at_once_one_has_the_effect() {
    let (_, doctor) = &doors("provider")[0];
    let person = clinic::somebody(HOME, 420);
    let key = clinic::fresh().to_string();
    let mut askings = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (doctor, person, key) = (doctor.clone(), person.clone(), key.clone());
        askings.spawn(async move { create(&doctor, &key, &person).send().await.expect("an answer") });
    }
    let mut ids = std::collections::BTreeSet::new();
    for answer in askings.join_all().await {
        match answer.status.as_u16() {
            201 => {
                ids.insert(answer.json()["id"].as_str().expect("an id").to_owned());
            }
            409 => assert_eq!(answer.problem(409).expect("a problem"), "idempotency-in-flight"),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
    let client = postgres::inspect(shared().region("ca")).await.expect("the database");
    let created = client
        .query_one(
            "SELECT count(*) FROM access_log WHERE action = 'create' AND entity = 'patient' AND patient_id::text = ANY($1)",
            &[&ids.into_iter().collect::<Vec<_>>()],
        )
        .await
        .expect("the access log");
    assert_eq!(created.get::<_, i64>(0), 1);
}

/// A key belongs to whoever used it: two organisations may use the same one.
#[tokio::test]
async fn a_key_of_another_organisation_is_another_key() {
    let (_, doctor) = &doors("provider")[0];
    let own = &shared().credential("provider", HOME).org;
    let other = shared().described().credentials.iter().find(|c| c.role == "provider" && c.org != *own);
    let stranger = shared().nobody().key(&other.expect("a second clinic").api_key);
    let person = clinic::somebody(HOME, 430);
    let key = clinic::fresh().to_string();
    let ours = create(doctor, &key, &person).send().await.expect("an answer").expect(201).expect("ours");
    let theirs = create(&stranger, &key, &person).send().await.expect("an answer").expect(201).expect("theirs");
    assert_ne!(ours.json()["id"], theirs.json()["id"]);
    assert_eq!(theirs.header("idempotent-replayed"), "");
}

#[tokio::test]
async fn a_change_that_is_repeated_with_its_key_is_made_once() {
    let (_, doctor) = &doors("provider")[0];
    let patient = clinic::register(doctor, HOME, &clinic::somebody(HOME, 440)).await.expect("it is registered");
    let key = clinic::fresh().to_string();
    let change = || {
        doctor
            .ask(Method::PATCH, &patient.path)
            .header("if-match", &patient.etag)
            .header("idempotency-key", &key)
            .json(&serde_json::json!({ "sex": "unknown" }))
            .send()
    };
    let first = change().await.expect("an answer").expect(200).expect("it is changed");
    let again = change().await.expect("an answer").expect(200).expect("the same answer");
    assert_eq!(first.body, again.body);
    assert_eq!(clinic::read(doctor, &patient.path).await.expect("it is there").etag, first.header("etag"));
}
