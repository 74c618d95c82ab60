//! A record that was removed is not shown again by a repeated request.

use serde_json::json;

use crate::support::{World, ana, id, visit};

#[tokio::test]
async fn what_was_removed_is_not_answered_with_again() {
    let world = World::new().await;
    let register = || {
        world
            .ask("provider", "POST", "/v1/patients?home=US-TX")
            .header("idempotency-key", "register")
            .json(&ana())
    };
    let patient = id(&register().send().await.is(201).json());
    let path = format!("/v1/patients/{patient}");
    let visits = format!("{path}/encounters");
    let change = || {
        let ask = world.ask("provider", "PATCH", &path).header("idempotency-key", "change");
        ask.header("if-match", "\"1\"").json(&json!({"sex": "other"}))
    };
    let open = || world.ask("provider", "POST", &visits).header("idempotency-key", "open").json(&visit());
    change().send().await.is(200);
    open().send().await.is(201);
    for (again, status) in [(register(), 201), (change(), 200), (open(), 201)] {
        assert_eq!(again.send().await.is(status).header("idempotent-replayed"), "true", "the control");
    }

    let removal = format!("{path}?reason=patient-request");
    let remove = || world.ask("provider", "DELETE", &removal).header("idempotency-key", "remove");
    remove().send().await.is(204);
    for again in [register(), change(), open()] {
        again.send().await.is(404).problem("not-found");
    }
    assert_eq!(remove().send().await.is(204).header("idempotent-replayed"), "true", "the removal's own stays");
}
