//! The facts of a request that neither role nor consent says: where its caller is, where it came in, where the patient is at the
//! visit, and on which device it was sent. Each is seen to decide: by a policy that refuses by that fact and nothing else,
//! beside the same request with another fact.

use std::sync::Arc;

use node_access::Sources;
use node_access::policies::InForce;
use residency_policy::{Ingress, Role};
use serde_json::json;

use crate::appointments::{LATER, START, appointment};
use crate::authenticators::enrolled;
use crate::devices::device;
use crate::signin::text;
use crate::support::{Answer, World, ana, id, jurisdiction, visit};

/// The shipped set, and a rule that refuses everything with these things in this situation.
fn refusing(entity: &str, when: &str) -> Arc<InForce> {
    let mut sources = Sources::shipped();
    let file = sources.policies.iter_mut().find(|file| file.name == "never.cedar").expect("a file");
    file.text.push_str(&format!(
        "\n@id(\"seeded\")\n@citation(\"a test\")\n@reason(\"not-permitted\")\n\
         forbid (principal, action, resource is {entity}) when {{ {when} }};\n"
    ));
    Arc::new(InForce { version: Some(1), loaded: sources.load().expect("it loads") })
}

#[track_caller]
fn refused(answer: Answer) {
    assert_eq!(answer.is(403).problem("forbidden")["reason"], "not-permitted");
}

#[tokio::test]
async fn where_the_caller_says_they_are_decides_and_is_recorded() {
    let world = World::new().await;
    let patient = id(&world.register(&ana()).await);
    let path = format!("/v1/patients/{patient}");
    let ask = || world.ask("provider", "GET", &path);
    let from = |place: &str| ask().header("accessor-jurisdiction", place);
    from("US-NY").send().await.is(200);
    let client = world.region.as_superuser().await;
    let sql = "SELECT accessor FROM access_log WHERE patient_id::text = $1 AND action = 'read'";
    let rows = client.query(sql, &[&patient]).await.expect("rows");
    let said: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(said, [Some("US-NY".to_owned())]);

    world.here.policies.put(Ok(refusing("Patient", "context has accessor && context.accessor == \"US-NY\"")));
    refused(from("US-NY").send().await);
    from("US-TX").send().await.is(200);
    // Who does not say is nowhere: not at home, and not where the bytes came in.
    ask().send().await.is(200);
    world.here.policies.put(Ok(refusing("Patient", "!(context has accessor)")));
    refused(ask().send().await);
    from("US-TX").send().await.is(200);
    for wrong in ["", "NY", "US-XX", "us-ny", "US-NY,US-TX"] {
        let refused = from(wrong).send().await.is(400).problem("bad-header");
        assert_eq!(refused["errors"][0]["pointer"], "accessor-jurisdiction", "{wrong}");
    }
    // A stranger is told that they are one, whatever they say.
    world.ask("nobody", "GET", &path).header("accessor-jurisdiction", "?").send().await.is(401);
}

#[tokio::test]
async fn where_the_bytes_came_in_decides() {
    let world = World::new().await;
    let path = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let via = |place: &str| world.ask("provider", "GET", &path).via(Ingress(jurisdiction(place)));
    world.here.policies.put(Ok(refusing("Patient", "context.ingress == \"US-CA\"")));
    refused(via("US-CA").send().await);
    via("US-NY").send().await.is(200);
    // No header says so, and at its own door it comes in at home.
    world.ask("provider", "GET", &path).header("domicile-ingress", "US-CA").send().await.is(200);
    world.here.policies.put(Ok(refusing("Patient", "context.ingress == \"US-TX\"")));
    refused(world.ask("provider", "GET", &path).send().await);
    via("US-CA").send().await.is(200);
}

#[tokio::test]
async fn where_the_patient_is_at_a_visit_decides() {
    let world = World::new().await;
    let patient = id(&world.register(&ana()).await);
    let mut elsewhere = visit();
    elsewhere["service_jurisdiction"] = json!("US-CA");
    let here = world.open_visit(&patient, &visit()).await.is(201).header("location").to_owned();
    let there = world.open_visit(&patient, &elsewhere).await.is(201).header("location").to_owned();

    let when = "context has service && context.service == \"US-CA\"";
    world.here.policies.put(Ok(refusing("Encounter", when)));
    refused(world.open_visit(&patient, &elsewhere).await);
    world.open_visit(&patient, &visit()).await.is(201);
    let acts = |path: &str, amended: &str| {
        let read = world.ask("provider", "GET", path);
        let amend = world.ask("provider", "PATCH", path).header("if-match", "\"1\"");
        let sign = world.ask("provider", "POST", &format!("{path}/sign")).header("if-match", amended);
        [(200, read), (200, amend.json(&json!({"note": "no fever"}))), (200, sign)]
    };
    for (_, ask) in acts(&there, "\"1\"") {
        refused(ask.send().await);
    }
    for (status, ask) in acts(&here, "\"2\"") {
        ask.send().await.is(status);
    }
    let records = world.accesses(&patient).await;
    assert!(records.contains(&"read refused".to_owned()), "{records:?}");
    assert!(records.contains(&"update refused".to_owned()), "{records:?}");
    // A list has no one place, and none is made up for it.
    world.ask("provider", "GET", &format!("/v1/patients/{patient}/encounters")).send().await.is(200);
}

#[tokio::test]
async fn where_the_patient_will_be_decides_about_an_appointment() {
    let world = World::new().await;
    let (provider, patient) = (world.doctor().await, world.somebody().await);
    let at = |place: &str| {
        refusing("Appointment", &format!("context has service && context.service == \"{place}\""))
    };
    world.here.policies.put(Ok(at("US-TX")));
    refused(world.book(&patient, &appointment(provider, START)).send().await);
    assert_eq!(world.standing(provider), [], "nothing was held for it");
    world.here.policies.put(Ok(at("US-CA")));
    let booked = world.book(&patient, &appointment(provider, START)).send().await.is(201);
    let path = booked.header("location").to_owned();

    let acts = || {
        let of = |act: &str| world.ask("provider", "POST", &format!("{path}/{act}"));
        let moved = of("reschedule").json(&json!({"start": LATER}));
        let cancelled = of("cancel").json(&json!({"code": "patient-request"}));
        [world.ask("provider", "GET", &path), moved, cancelled]
    };
    world.here.policies.put(Ok(at("US-TX")));
    for ask in acts() {
        refused(ask.send().await);
    }
    world.here.policies.put(Ok(at("US-CA")));
    for ask in acts() {
        ask.send().await.is(200);
    }
}

#[tokio::test]
async fn a_known_device_decides_and_a_forged_one_is_unknown() {
    let world = World::new().await;
    let path = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let who = world.staff("robin@elm.example", &[Role::Provider]);
    let (_, secret, _) = enrolled(&world, &who).await;
    let own = device(&world.on(&who, &secret, None, "cookies").await.is(200)).expect("it is bound");
    let token = text(&world.on(&who, &secret, Some(&own), "body").await.is(200), "access_token");
    let ask = || world.ask(&token, "GET", &path);
    ask().send().await.is(200);

    world.here.policies.put(Ok(refusing("Patient", "context.device == Device::\"unknown\"")));
    refused(ask().send().await);
    ask().header("cookie", &own).send().await.is(200);
    let forged = format!("{}{}", &own[..own.len() - 8], "AAAAAAAA");
    refused(ask().header("cookie", &forged).send().await);
    // A key is nobody's device, and somebody else's is not theirs.
    refused(world.ask("provider", "GET", &path).header("cookie", &own).send().await);
    let other = world.staff("kim@elm.example", &[Role::Provider]);
    let (_, secret, _) = enrolled(&world, &other).await;
    let theirs = text(&world.on(&other, &secret, None, "body").await.is(200), "access_token");
    refused(world.ask(&theirs, "GET", &path).header("cookie", &own).send().await);
}
