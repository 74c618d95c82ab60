//! The access policies are exchanged while requests are answered.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use node_access::Sources;
use node_access::policies::{InForce, NotInForce};
use serde_json::{Value, json};

use crate::support::{Answer, World, ana, id, visit};

/// The shipped set without one of its files.
fn without(name: &str, version: u64) -> Arc<InForce> {
    let mut sources = Sources::shipped();
    let before = sources.policies.len();
    sources.policies.retain(|file| file.name != name);
    assert_eq!(sources.policies.len() + 1, before, "{name} is a file of the set");
    Arc::new(InForce { version: Some(version), loaded: sources.load().expect("it loads") })
}

/// Whether a pharmacist may read a prescription that is assigned to the pharmacy.
fn question() -> Value {
    json!({"principal": "pharmacist", "organisation": "pharmacy", "action": "read", "entity": "prescription",
        "purpose": "TREAT", "relationship": "assigned"})
}

fn allowed(answer: Answer) -> bool {
    answer.is(200).json()["allowed"].as_bool().expect("yes or no")
}

#[tokio::test]
async fn while_no_policies_are_proven_nothing_is_decided_and_nothing_is_told() {
    let world = World::new().await;
    let known = id(&world.register(&ana()).await);
    let path = format!("/v1/patients/{known}");
    for refused in [NotInForce::NotSigned, NotInForce::NotInstalled, NotInForce::Unfit] {
        let before = world.here.policies.current().expect("a set decides");
        world.here.policies.put(Err(refused));
        for (method, path) in [("GET", path.as_str()), ("GET", "/v1/orgs"), ("POST", "/v1/policies/test")] {
            let answer = world.ask("org_admin", method, path).json(&question()).send().await.is(503);
            assert_eq!(answer.header("retry-after"), "1");
            answer.problem("policies-unproven");
        }
        let answer = world.ask("provider", "GET", &path).without("purpose-of-use").send().await.is(503);
        assert!(answer.problem("policies-unproven").get("errors").is_none(), "no purpose is named");
        // Who asks comes before what may be done.
        world.ask("nobody-known", "GET", &path).send().await.is(401);
        world.here.policies.put(Ok(before));
        world.ask("provider", "GET", &path).send().await.is(200);
    }
}

#[tokio::test]
async fn other_policies_decide_the_next_request() {
    let world = World::new().await;
    let path = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let shipped = world.here.policies.current().expect("a set decides");
    world.ask("provider", "GET", &path).send().await.is(200);
    world.here.policies.put(Ok(without("care.cedar", 1)));
    world.ask("provider", "GET", &path).send().await.is(403).problem("forbidden");
    world.here.policies.put(Ok(shipped));
    world.ask("provider", "GET", &path).send().await.is(200);
}

/// The policies are exchanged when the body is asked for: the caller was let in by the old set by then, and the
/// question is decided after it.
#[tokio::test]
async fn a_request_is_decided_by_one_set_from_its_beginning_to_its_end() {
    let world = World::new().await;
    let body = Bytes::from(question().to_string());
    let ask = || world.ask("auditor", "POST", "/v1/policies/test").header("content-type", "application/json");
    let exchanging = |next: Arc<InForce>| {
        let (policies, body) = (Arc::clone(&world.here.policies), body.clone());
        Body::from_stream(futures::stream::once(async move {
            policies.put(Ok(next));
            Ok::<_, Infallible>(body)
        }))
    };
    let shipped = world.here.policies.current().expect("a set decides");
    assert!(allowed(ask().stream(exchanging(without("pharmacy.cedar", 1))).await), "by the old set");
    assert_eq!(world.here.policies.current().expect("a set decides").version, Some(1), "the control");
    assert!(!allowed(ask().json(&question()).send().await), "the next one by the new set");
    assert!(!allowed(ask().stream(exchanging(shipped)).await), "by the set of its beginning");
    assert!(allowed(ask().json(&question()).send().await));
}

/// The shipped set, in which those who treat are shown less of what they treat.
fn shown_less() -> Arc<InForce> {
    let mut sources = Sources::shipped();
    let care = sources.policies.iter_mut().find(|file| file.name == "care.cedar").expect("the file of care");
    for id in ["patient-provider", "encounter-provider"] {
        let (before, rest) = care.text.split_once(&format!("@id(\"{id}\")")).expect("the policy");
        let rest = rest.replacen("@shape(\"full\")", "@shape(\"token\")", 1);
        care.text = format!("{before}@id(\"{id}\"){rest}");
    }
    Arc::new(InForce { version: Some(7), loaded: sources.load().expect("it loads") })
}

/// What is answered to a change shows as much as a reading does, so whoever is shown less may not have it.
#[tokio::test]
async fn an_act_whose_answer_shows_everything_is_refused_to_whoever_is_shown_less() {
    let world = World::new().await;
    let known = id(&world.register(&ana()).await);
    let visits = format!("/v1/patients/{known}/encounters");
    let opened = world.ask("provider", "POST", &visits).json(&visit()).send().await.is(201);
    let sign = format!("{}/sign", opened.header("location"));
    world.here.policies.put(Ok(shown_less()));

    let shown = world.ask("provider", "GET", &format!("/v1/patients/{known}")).send().await.is(200).json();
    assert!(shown["family_name"].is_null() && shown["id"] == known.as_str(), "{shown}");
    let shown = world.ask("provider", "GET", opened.header("location")).send().await.is(200).json();
    assert!(shown.get("note").is_none(), "{shown}");
    let search = "/v1/patients/search?home=US-TX";
    for (path, body) in [("/v1/patients?home=US-TX", ana()), (search, json!({"family_name": "Sample"}))] {
        let refused = world.ask("provider", "POST", path).json(&body).send().await.is(403);
        assert_eq!(refused.problem("forbidden")["reason"], "obligation-unmet", "{path}");
    }
    let again = world.ask("provider", "POST", &visits).json(&visit()).send().await.is(403);
    assert_eq!(again.problem("forbidden")["reason"], "obligation-unmet");
    let signing = world.ask("provider", "POST", &sign).header("if-match", "\"1\"").send().await.is(403);
    assert_eq!(signing.problem("forbidden")["reason"], "obligation-unmet");
    let metrics = world.ask("provider", "GET", "/metrics").send().await.is(200).text();
    assert!(metrics.contains("domicile_obligations_unmet_total 4\n"), "each of them is counted");

    // Nothing happened: there is one encounter, and it is open.
    world.here.policies.put(Ok(without("pharmacy.cedar", 8)));
    let listed = world.ask("provider", "GET", &visits).send().await.is(200).json();
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["data"][0]["status"], "open");
}

/// The shipped set, in which one rule's permission has this condition.
fn on_condition(rule: &str, obligation: &str) -> Arc<InForce> {
    let mut sources = Sources::shipped();
    let named = format!("@id(\"{rule}\")");
    let file =
        sources.policies.iter_mut().find(|file| file.text.contains(&named)).expect("the file of the rule");
    file.text = file.text.replacen(&named, &format!("{named}\n@obligation(\"{obligation}\")"), 1);
    Arc::new(InForce { version: Some(9), loaded: sources.load().expect("it loads") })
}

/// Nothing marks, masks, aggregates or asks again in these answers, and nobody is told of them: a version of the policies
/// that allows them on such a condition allows them not at all, whoever looked before.
#[tokio::test]
async fn what_is_allowed_on_a_condition_that_no_answer_meets_is_refused_and_counted() {
    let world = World::new().await;
    let chart = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let read = || world.ask("provider", "GET", &chart);
    read().send().await.is(200);
    let conditions = [
        "watermark",
        "purpose-dialog",
        "mask:birth-date",
        "notify:privacy-officer",
        "aggregate:11",
        "leave-out:contact",
    ];
    for (count, condition) in (1..).zip(conditions) {
        world.here.policies.put(Ok(on_condition("patient-provider", condition)));
        let refused = read().send().await.is(403);
        assert!(!refused.text().contains("Brien"), "{condition}");
        assert_eq!(refused.problem("forbidden")["reason"], "obligation-unmet", "{condition}");
        let metrics = world.ask("provider", "GET", "/metrics").send().await.is(200).text();
        assert!(metrics.contains(&format!("domicile_obligations_unmet_total {count}\n")), "{condition}");
        // What the condition is not of is answered as ever.
        world.ask("provider", "GET", &format!("{chart}/consents")).send().await.is(200);
    }
    // The control: a step up can be met, and is asked for by its own name.
    world.here.policies.put(Ok(on_condition("patient-provider", "step-up:2")));
    assert_eq!(read().send().await.is(403).problem("forbidden")["reason"], "step-up-required");
    world.here.policies.put(Ok(on_condition("patient-provider-staff", "watermark")));
    read().send().await.is(200);
}

/// Which questions of this role about patients were asked, and how often.
fn asked_of_patients(world: &World, role: &str) -> Vec<Value> {
    let all = world.here.policies.recorded().classes();
    let all = all.iter().map(|class| serde_json::to_value(class).expect("it serialises"));
    all.filter(|class| {
        let request = &class["request"];
        request["principal"] == role && request["entity"] == "patient" && request["action"] == "read"
    })
    .collect()
}

#[tokio::test]
async fn what_was_asked_is_counted_by_class_and_names_nobody() {
    let world = World::new().await;
    let patients = [id(&world.register(&ana()).await), id(&world.register(&ana()).await)];
    for patient in &patients {
        world.ask("provider", "GET", &format!("/v1/patients/{patient}")).send().await.is(200);
    }
    let path = format!("/v1/patients/{}", patients[0]);
    world.ask("marketer", "GET", &path).send().await.is(403);
    let read = asked_of_patients(&world, "provider");
    assert_eq!((read.len(), &read[0]["times"]), (1, &json!(2)), "two patients are one class: {read:?}");
    assert_eq!(read[0]["request"]["facts"]["purpose"], "TREAT");
    // What else would have been allowed was looked for, and is nothing that anybody asked.
    let refused = asked_of_patients(&world, "marketer");
    assert_eq!((refused.len(), &refused[0]["times"]), (1, &json!(1)), "{refused:?}");
    let all = serde_json::to_string(&world.here.policies.recorded().classes()).expect("it serialises");
    let org = world.org.to_string();
    for named in patients.iter().chain([&org]) {
        assert!(!all.contains(named.as_str()), "an id is in what is recorded");
    }
    // Another situation is another class.
    world.ask("provider", "GET", &path).header("purpose-of-use", "HOPERAT").send().await.is(200);
    assert_eq!(asked_of_patients(&world, "provider").len(), 2);
}
