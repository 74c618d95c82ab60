//! What a registration costs: an id and a data key when it is new, and neither when it is repeated or refused.

use futures::future::join_all;
use residency_policy::{Epoch, PlacementState};
use serde_json::{Value, json};

use crate::support::{Answer, World, ana, id};

fn numbered(mrn: &str) -> Value {
    let mut body = ana();
    body["mrn"] = json!(mrn);
    body
}

#[tokio::test]
async fn a_repeated_or_refused_registration_takes_no_id() {
    let world = World::new().await;
    let ask = |key: &str| {
        world
            .ask("provider", "POST", "/v1/patients?home=US-TX")
            .header("idempotency-key", key)
            .json(&numbered("N-1"))
    };
    ask("once").send().await.is(201);
    for number in 0..40 {
        assert_eq!(ask("once").send().await.is(201).header("idempotent-replayed"), "true");
        ask(&format!("other-{number}")).send().await.is(409).problem("already-exists");
        let reused = ask("once").json(&numbered("N-2"));
        reused.send().await.is(422).problem("idempotency-reused");
    }
    assert_eq!(world.ids_left().await, 199);
}

#[tokio::test]
async fn attempts_at_the_same_instant_take_one_id() {
    let world = World::new().await;
    for round in 0..5 {
        let body = numbered(&format!("N-{round}"));
        let ask = |key: String| {
            world.ask("provider", "POST", "/v1/patients?home=US-TX").header("idempotency-key", &key).json(&body)
        };
        // The same attempt, and others with the same number.
        let same = (0..4).map(|_| ask(format!("same-{round}")).send());
        let others = (0..4).map(|n| ask(format!("other-{round}-{n}")).send());
        let (same, others) = futures::join!(join_all(same), join_all(others));
        let statuses = |answers: &[Answer]| -> Vec<u16> { answers.iter().map(|a| a.status.as_u16()).collect() };
        let all = [statuses(&same), statuses(&others)].concat();
        assert!(all.iter().all(|status| [201, 409].contains(status)), "{all:?}");
        assert!(all.contains(&201), "{all:?}");
    }
    assert_eq!(world.ids_left().await, 195);
}

#[tokio::test]
async fn without_claimed_ids_a_repeated_registration_is_still_answered() {
    let world = World::new().await;
    let ask = |key: &str| {
        world
            .ask("provider", "POST", "/v1/patients?home=US-TX")
            .header("idempotency-key", key)
            .json(&numbered("N-1"))
    };
    let first = ask("once").send().await.is(201);
    while world.region.pool.take_id().await.is_ok() {}
    let again = ask("once").send().await.is(201);
    assert_eq!((again.bytes.as_slice(), again.header("idempotent-replayed")), (first.bytes.as_slice(), "true"));
    ask("other").send().await.is(409).problem("already-exists");
    // The control: what is new needs an id.
    ask("new").json(&numbered("N-2")).send().await.is(503).problem("control-unavailable");
}

#[tokio::test]
async fn who_looks_alike_and_whose_change_is_refused_is_in_the_access_log() {
    let world = World::new().await;
    let first = id(&world.register(&numbered("N-1")).await);
    let second = id(&world.register(&numbered("N-2")).await);
    assert_eq!(world.accesses(&first).await, ["create done", "search done"]);
    let path = format!("/v1/patients/{second}");
    let change =
        |tag: &str, body: Value| world.ask("provider", "PATCH", &path).header("if-match", tag).json(&body);
    change("\"9\"", json!({"sex": "other"})).send().await.is(412);
    change("\"1\"", json!({"mrn": "N-1"})).send().await.is(409).problem("already-exists");
    let remove =
        world.ask("provider", "DELETE", &format!("{path}?reason=duplicate")).header("if-match", "\"9\"");
    remove.send().await.is(412);
    assert_eq!(
        world.accesses(&second).await,
        ["create done", "delete refused", "update refused", "update refused"]
    );
    world.ask("provider", "POST", "/v1/patients?home=US-TX").json(&numbered("N-1")).send().await.is(409);
    assert_eq!(world.accesses(&first).await, ["create done", "create refused", "search done"]);
}

#[tokio::test]
async fn who_is_no_longer_served_here_is_neither_listed_nor_found() {
    let world = World::new().await;
    let gone = world.register(&numbered("N-1")).await;
    let names = |answer: Answer| -> Vec<String> {
        answer.is(200).json()["data"].as_array().expect("a list").iter().map(id).collect()
    };
    let list = |key: &'static str| {
        world.ask(key, "GET", "/v1/patients?home=US-TX").header("purpose-of-use", "HOPERAT").send()
    };
    let search =
        || world.ask("provider", "POST", "/v1/patients/search?home=US-TX").json(&json!({"mrn": "N-1"})).send();
    for key in ["provider", "org_admin", "auditor"] {
        assert_eq!(names(list(key).await), [id(&gone)], "the control");
    }
    assert_eq!(names(search().await), [id(&gone)], "the control");
    let patient = id(&gone).parse().expect("an id");
    world.region.pool.raise_fence(patient, Epoch(2), PlacementState::Retired).await.expect("raises");
    for key in ["provider", "org_admin", "auditor"] {
        assert!(names(list(key).await).is_empty(), "{key}");
    }
    assert!(names(search().await).is_empty());
    assert_eq!(world.register(&numbered("N-2")).await["possible_duplicates"], json!([]));
    // As if it never was, for the directory still says that it is here.
    world
        .ask("provider", "GET", &format!("/v1/patients/{}", id(&gone)))
        .send()
        .await
        .is(404)
        .problem("not-found");
}

#[tokio::test]
async fn a_search_by_a_name_in_two_ways_is_refused() {
    let world = World::new().await;
    for two in [
        json!({"name": "Ana Sample", "family_name": "Sample"}),
        json!({"name": "Ana Sample", "given_name": "Ana"}),
    ] {
        let ask = world.ask("provider", "POST", "/v1/patients/search?home=US-TX").json(&two);
        assert_eq!(ask.send().await.is(422).problem("invalid")["errors"][0]["pointer"], "/name");
    }
}
