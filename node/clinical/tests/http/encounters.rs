//! Encounters: opened, changed, signed, added to.

use serde_json::{Value, json};

use crate::support::{World, ana, id, visit};

async fn opened(world: &World) -> (String, Value) {
    let patient = id(&world.register(&ana()).await);
    let visits = format!("/v1/patients/{patient}/encounters");
    let made = world.ask("provider", "POST", &visits).json(&visit()).send().await.is(201);
    assert_eq!(made.header("etag"), "\"1\"");
    (made.header("location").to_owned(), made.json())
}

#[tokio::test]
async fn an_encounter_is_opened_and_read_back() {
    let world = World::new().await;
    let (path, made) = opened(&world).await;
    assert_eq!(
        path,
        format!("/v1/patients/{}/encounters/{}", made["patient_id"].as_str().expect("id"), id(&made))
    );
    assert_eq!((&made["status"], &made["category"]), (&json!("open"), &json!("general")));
    for (name, value) in visit().as_object().expect("an object") {
        assert_eq!(&made[name], value, "{name}");
    }
    assert_eq!(world.ask("provider", "GET", &path).send().await.is(200).json(), made);
    let wrong = json!({"provider_npi": "1234567890", "diagnoses": ["?"]});
    let patient = path.rsplit_once('/').expect("a path").0;
    let refused = world.ask("provider", "POST", patient).json(&wrong).send().await.is(422).problem("invalid");
    let named: Vec<_> =
        refused["errors"].as_array().expect("a list").iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(named, ["/service_jurisdiction", "/provider_npi", "/diagnoses"]);
}

#[tokio::test]
async fn an_open_encounter_is_changed_and_a_signed_one_is_not() {
    let world = World::new().await;
    let (path, _) = opened(&world).await;
    let change =
        |tag: &str, body: Value| world.ask("provider", "PATCH", &path).header("if-match", tag).json(&body);
    let changed = change("\"1\"", json!({"note": null, "service_jurisdiction": "US-CA"})).send().await.is(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    let body = changed.json();
    assert_eq!((&body["note"], &body["service_jurisdiction"]), (&Value::Null, &json!("US-CA")));
    change("\"1\"", json!({"reason": "late"})).send().await.is(412);
    change("\"2\"", json!({"status": "signed"})).send().await.is(422);
    change("\"2\"", json!({"signed_by": "me"})).send().await.is(422);

    let addenda = format!("{path}/addenda");
    let early = world.ask("provider", "POST", &addenda).json(&json!({"body": "too early"}));
    early.send().await.is(409).problem("illegal-transition");

    let sign = format!("{path}/sign");
    world.ask("provider", "POST", &sign).header("if-match", "\"1\"").send().await.is(412);
    world.ask("provider_staff", "POST", &sign).send().await.is(403);
    world.ask("provider", "POST", &sign).send().await.is(428).problem("precondition-required");
    let sign = |tag: &str| world.ask("provider", "POST", &sign).header("if-match", tag);
    let ask = || sign("\"2\"").header("idempotency-key", "once");
    let signed = ask().send().await.is(200);
    let body = signed.json();
    assert_eq!((&body["status"], &body["version"]), (&json!("signed"), &json!(3)));
    assert!(body["signed_by"].is_string() && body["signed_at"].is_string());
    assert_eq!(body["content_digest"].as_str().map(str::len), Some(64));
    let again = ask().send().await.is(200);
    assert_eq!((again.bytes.clone(), again.header("idempotent-replayed")), (signed.bytes.clone(), "true"));
    sign("\"3\"").send().await.is(409).problem("illegal-transition");
    for tag in ["\"2\"", "\"3\""] {
        change(tag, json!({"reason": "late"})).send().await.is(409).problem("illegal-transition");
        change(tag, json!({"status": "cancelled"})).send().await.is(409);
    }

    let added = world.ask("provider", "POST", &addenda).json(&json!({"body": "Culture negative."}));
    let added = added.send().await.is(201);
    assert_eq!(added.header("location"), path);
    let read = world.ask("provider", "GET", &path).send().await.is(200).json();
    assert_eq!(read["addenda"], json!([added.json()]));
    assert_eq!(read["content_digest"], body["content_digest"]);
    assert_eq!(read["note"], Value::Null);
    for wrong in [json!({}), json!({"body": ""}), json!({"body": 1}), json!({"body": "a\u{1}"})] {
        world.ask("provider", "POST", &addenda).json(&wrong).send().await.is(422).problem("invalid");
    }
}

#[tokio::test]
async fn a_cancelled_encounter_is_neither_changed_nor_signed() {
    let world = World::new().await;
    let (path, _) = opened(&world).await;
    let change = |tag: &str| {
        world.ask("provider", "PATCH", &path).header("if-match", tag).json(&json!({"status": "cancelled"}))
    };
    assert_eq!(change("\"1\"").send().await.is(200).json()["status"], "cancelled");
    change("\"2\"").send().await.is(409).problem("illegal-transition");
    let sign = world.ask("provider", "POST", &format!("{path}/sign")).header("if-match", "\"2\"");
    sign.send().await.is(409).problem("illegal-transition");
    let patient = path.split('/').nth(3).expect("an id");
    let refused: Vec<_> =
        world.accesses(patient).await.into_iter().filter(|line| line.ends_with("refused")).collect();
    assert_eq!(refused, ["update refused", "update refused"], "the change and the signature");
}

#[tokio::test]
async fn what_was_signed_and_is_altered_below_is_not_shown_as_signed() {
    let world = World::new().await;
    let (path, made) = opened(&world).await;
    let sign = world.ask("provider", "POST", &format!("{path}/sign")).header("if-match", "\"1\"");
    sign.send().await.is(200);
    let client = world.region.as_superuser().await;
    let alter = "ALTER TABLE encounters DISABLE TRIGGER encounters_immutable";
    client.batch_execute(alter).await.expect("a superuser may");
    let sql = "UPDATE encounters SET provider_npi = '1245319599' WHERE id::text = $1";
    assert_eq!(client.execute(sql, &[&id(&made)]).await.expect("alters"), 1);
    let answer = world.ask("provider", "GET", &path).send().await.is(500);
    assert!(!answer.text().contains("cough"));
    answer.problem("internal");
}

#[tokio::test]
async fn staff_and_auditors_see_encounters_without_what_is_clinical() {
    let world = World::new().await;
    let (path, made) = opened(&world).await;
    let list = path.rsplit_once('/').expect("a path").0;
    let staff = world.ask("provider_staff", "GET", &path).send().await.is(200);
    assert!(!staff.text().contains("cough") && staff.json()["note"].is_null());
    assert!(!staff.json().as_object().expect("an object").contains_key("note"));
    let auditor =
        world.ask("auditor", "GET", &path).header("purpose-of-use", "HOPERAT").send().await.is(200).json();
    let mut names: Vec<_> = auditor.as_object().expect("an object").keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["id", "opened_at", "patient_id", "signed_at", "status"]);
    let page = world.ask("provider", "GET", &format!("{list}?limit=1")).send().await.is(200);
    assert!(!page.text().contains("cough"));
    assert_eq!(page.json()["data"][0]["id"], made["id"]);
    world.ask("provider", "POST", list).json(&visit()).send().await.is(201);
    let page = world.ask("provider", "GET", &format!("{list}?limit=1")).send().await.is(200);
    let next = page.header("link").trim_start_matches('<').split('>').next().expect("a link").to_owned();
    let rest = world.ask("provider", "GET", &next).send().await.is(200).json();
    assert_eq!((rest["data"].as_array().map(Vec::len), &rest["page"]["has_more"]), (Some(1), &json!(false)));
}

#[tokio::test]
async fn an_encounter_is_found_beneath_its_own_patient_only() {
    let world = World::new().await;
    let (path, made) = opened(&world).await;
    let other = id(&world.register(&ana()).await);
    let moved = format!("/v1/patients/{other}/encounters/{}", id(&made));
    world.ask("provider", "GET", &moved).send().await.is(404).problem("not-found");
    world.ask("stranger", "GET", &path).send().await.is(404).problem("not-found");
    let list = path.rsplit_once('/').expect("a path").0;
    world.ask("stranger", "POST", list).json(&visit()).send().await.is(404).problem("not-found");
    let patient = list.split('/').nth(3).expect("an id");
    assert!(world.accesses(patient).await.contains(&"create not-found".to_owned()), "it is in the access log");
    world.ask("provider", "GET", &format!("{path}x")).send().await.is(404).problem("not-found");
}
