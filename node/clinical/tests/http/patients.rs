//! Patients: what a clinician, an administrator and an auditor do.

use serde_json::{Value, json};

use crate::support::{World, ana, id};

fn without(mut value: Value, names: &[&str]) -> Value {
    for name in names {
        value.as_object_mut().expect("an object").remove(*name);
    }
    value
}

#[tokio::test]
async fn a_registered_patient_is_read_back_as_they_were_sent() {
    let world = World::new().await;
    let made = world.ask("provider", "POST", "/v1/patients?home=US-TX").json(&ana()).send().await.is(201);
    let body = made.json();
    assert_eq!(made.header("location"), format!("/v1/patients/{}", id(&body)));
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!(body["home"], "US-TX");
    assert_eq!(body["address_outside_home"], false);
    assert_eq!(body["possible_duplicates"], json!([]));
    for (name, value) in ana().as_object().expect("an object") {
        assert_eq!(&body[name], value, "{name}");
    }
    let read = world.ask("provider", "GET", made.header("location")).send().await.is(200);
    assert_eq!(read.header("etag"), "\"1\"");
    assert_eq!(read.json(), without(body, &["possible_duplicates"]));
}

#[tokio::test]
async fn an_address_in_another_state_is_recorded_and_changes_no_home() {
    let world = World::new().await;
    let mut body = ana();
    body["address"]["state"] = json!("CA");
    let made = world.register(&body).await;
    assert_eq!((&made["home"], &made["address_outside_home"]), (&json!("US-TX"), &json!(true)));
}

#[tokio::test]
async fn a_repeated_registration_has_one_effect_and_the_same_answer() {
    let world = World::new().await;
    let ask = || world.ask("provider", "POST", "/v1/patients?home=US-TX").header("idempotency-key", "\"same\"");
    let first = ask().json(&ana()).send().await.is(201);
    let again = ask().header("idempotency-key", "same").json(&ana()).send().await.is(201);
    assert_eq!(again.bytes, first.bytes);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!((again.header("idempotent-replayed"), first.header("idempotent-replayed")), ("true", ""));
    let mut other = ana();
    other["given_name"] = json!("Bea");
    ask().json(&other).send().await.is(422).problem("idempotency-reused");
    // The same key of another caller is another key.
    let theirs =
        world.ask("provider_staff", "POST", "/v1/patients?home=US-TX").header("idempotency-key", "same");
    theirs.json(&ana()).send().await.is(201);
    let list = world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(200).json();
    assert_eq!(list["data"].as_array().expect("a list").len(), 2);
}

#[tokio::test]
async fn who_may_be_the_same_person_is_named_and_not_refused() {
    let world = World::new().await;
    let first = world.register(&ana()).await;
    let mut same = ana();
    same["given_name"] = json!("Anna");
    same["family_name"] = json!("OBrien Nunez");
    same["email"] = json!("other@example.com");
    same["phone"] = json!("+15125550101");
    let second = world.register(&same).await;
    assert_eq!(second["possible_duplicates"], json!([id(&first)]));
    let mut twin = same;
    twin["birth_date"] = json!("1981-01-01");
    twin["email"] = Value::Null;
    twin["phone"] = Value::Null;
    assert_eq!(world.register(&twin).await["possible_duplicates"], json!([]));
}

#[tokio::test]
async fn one_number_is_one_patient() {
    let world = World::new().await;
    let mut body = ana();
    body["mrn"] = json!("tx-7");
    assert_eq!(world.register(&body).await["mrn"], "TX-7");
    let again = world.ask("provider", "POST", "/v1/patients?home=US-TX").json(&body).send().await.is(409);
    assert_eq!(again.problem("already-exists")["errors"][0]["pointer"], "/mrn");
    let theirs = world.ask("stranger", "POST", "/v1/patients?home=US-TX").json(&body).send().await;
    theirs.is(201);
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let world = World::new().await;
    let path = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let wanted = json!({"family_name": "Sample", "phone": null, "address": {"city": "Dallas"}});
    let ask = |tag: &str| world.ask("provider", "PATCH", &path).header("if-match", tag).json(&wanted);
    ask("\"1\"").without("if-match").send().await.is(428).problem("precondition-required");
    ask("\"2\"").send().await.is(412).problem("precondition-failed");
    ask("*").send().await.is(400).problem("bad-header");
    let changed = ask("\"1\"").header("content-type", "application/merge-patch+json").send().await.is(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    let body = changed.json();
    assert_eq!((&body["family_name"], &body["phone"]), (&json!("Sample"), &Value::Null));
    assert_eq!((&body["address"]["city"], &body["address"]["state"]), (&json!("Dallas"), &json!("TX")));
    assert_eq!(world.ask("provider", "GET", &path).send().await.is(200).json(), body);
    ask("\"1\"").send().await.is(412);
    // What was replaced is kept.
    let client = world.region.as_superuser().await;
    let kept = client.query_one("SELECT count(*) FROM patients_history", &[]).await.expect("counts");
    assert_eq!(kept.get::<_, i64>(0), 1);
    let wrong = world.ask("provider", "PATCH", &path).header("if-match", "\"2\"").json(&json!({"sex": null}));
    assert_eq!(wrong.send().await.is(422).problem("invalid")["errors"][0]["pointer"], "/sex");
}

#[tokio::test]
async fn a_repeated_change_is_answered_again_and_not_refused_as_stale() {
    let world = World::new().await;
    let path = format!("/v1/patients/{}", id(&world.register(&ana()).await));
    let ask =
        || world.ask("provider", "PATCH", &path).header("if-match", "\"1\"").header("idempotency-key", "k");
    let first = ask().json(&json!({"sex": "other"})).send().await.is(200);
    let again = ask().json(&json!({"sex": "other"})).send().await.is(200);
    assert_eq!((again.bytes, again.headers["etag"].clone()), (first.bytes, first.headers["etag"].clone()));
    ask().json(&json!({"sex": "male"})).send().await.is(422).problem("idempotency-reused");
}

#[tokio::test]
async fn a_deleted_patient_is_not_there_any_more() {
    let world = World::new().await;
    let patient = id(&world.register(&ana()).await);
    let path = format!("/v1/patients/{patient}");
    let ask = |query: &str| {
        world.ask("org_admin", "DELETE", &format!("{path}{query}")).header("purpose-of-use", "HOPERAT")
    };
    ask("").send().await.is(400).problem("bad-parameter");
    ask("?reason=because").send().await.is(400).problem("bad-parameter");
    ask("?reason=duplicate").header("if-match", "\"9\"").send().await.is(412);
    let gone = ask("?reason=duplicate").send().await.is(204);
    assert!(gone.bytes.is_empty());
    ask("?reason=duplicate").send().await.is(404).problem("not-found");
    world.ask("provider", "GET", &path).send().await.is(404);
    world.ask("provider", "GET", &format!("{path}/encounters")).send().await.is(404);
    let found =
        world.ask("provider", "POST", "/v1/patients/search?home=US-TX").json(&json!({"phone": "+15125550100"}));
    assert_eq!(found.send().await.is(200).json()["data"], json!([]));
    let list = world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(200);
    assert_eq!(list.json()["data"], json!([]));
}

#[tokio::test]
async fn a_search_finds_by_what_fits_exactly_and_by_nothing_less() {
    let world = World::new().await;
    let made = world.register(&ana()).await;
    let other = json!({"given_name": "Bo", "family_name": "O'Brien-Núñez", "birth_date": "1990-01-01", "sex": "male",
        "address": ana()["address"]});
    let bo = world.register(&other).await;
    let mrn = made["mrn"].clone();
    for (search, found) in [
        (json!({"family_name": "obrien nunez"}), vec![&bo, &made]),
        (json!({"family_name": "OBRIEN-NUNEZ", "birth_date": "1980-02-29"}), vec![&made]),
        (json!({"family_name": "O'Brien-Núñez", "given_name": "bo"}), vec![&bo]),
        (json!({"name": "Ana O'Brien Nunez"}), vec![&made]),
        (json!({"phone": "+15125550100"}), vec![&made]),
        (json!({"email": "ANA.SAMPLE@example.com"}), vec![&made]),
        (json!({"mrn": mrn, "birth_date": "1980-02-29"}), vec![&made]),
        (json!({"mrn": mrn, "birth_date": "1980-02-28"}), vec![]),
        (json!({"family_name": "O'Brien"}), vec![]),
        (json!({"family_name": "%"}), vec![]),
    ] {
        let ask = world.ask("provider", "POST", "/v1/patients/search?home=US-TX").json(&search);
        let answer = ask.send().await;
        if search["family_name"] == "%" {
            answer.is(422);
            continue;
        }
        let answer = answer.is(200).json();
        let mut ids: Vec<_> = answer["data"].as_array().expect("a list").iter().map(id).collect();
        let mut wanted: Vec<_> = found.into_iter().map(id).collect();
        ids.sort();
        wanted.sort();
        assert_eq!(ids, wanted, "{search}");
    }
    let theirs = world.ask("stranger", "POST", "/v1/patients/search?home=US-TX").json(&json!({"mrn": mrn}));
    assert_eq!(theirs.send().await.is(200).json()["data"], json!([]), "another organisation's");
}

#[tokio::test]
async fn pages_hold_every_patient_once() {
    let world = World::new().await;
    let mut made = Vec::new();
    for number in 0..5 {
        let mut body = ana();
        body["mrn"] = json!(format!("N-{number}"));
        made.push(id(&world.register(&body).await));
    }
    let mut seen = Vec::new();
    let mut path = "/v1/patients?home=US-TX&limit=2".to_owned();
    loop {
        let answer = world.ask("provider", "GET", &path).send().await.is(200);
        let body = answer.json();
        seen.extend(body["data"].as_array().expect("a list").iter().map(id));
        let link = answer.header("link").to_owned();
        assert_eq!(body["page"]["has_more"], !link.is_empty());
        let Some(next) = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")) else {
            break;
        };
        next.clone_into(&mut path);
    }
    assert_eq!(seen.len(), 5);
    seen.sort();
    made.sort();
    assert_eq!(seen, made);
    // A cursor of one caller's list is nothing to another organisation.
    let page = world.ask("provider", "GET", "/v1/patients?home=US-TX&limit=1").send().await.is(200).json();
    let cursor = page["page"]["next_cursor"].as_str().expect("a cursor");
    let theirs = format!("/v1/patients?home=US-TX&cursor={cursor}");
    world.ask("stranger", "GET", &theirs).send().await.is(400).problem("bad-parameter");
    // The search pages too.
    let search = |query: &str| {
        let path = format!("/v1/patients/search?home=US-TX&limit=3{query}");
        world.ask("provider", "POST", &path).json(&json!({"email": "ana.sample@example.com"}))
    };
    let first = search("").send().await.is(200).json();
    let cursor = first["page"]["next_cursor"].as_str().expect("a cursor");
    let rest = search(&format!("&cursor={cursor}")).send().await.is(200).json();
    assert_eq!(
        (first["data"].as_array().map(Vec::len), rest["data"].as_array().map(Vec::len)),
        (Some(3), Some(2))
    );
}

#[tokio::test]
async fn each_role_is_shown_its_own_view() {
    let world = World::new().await;
    let patient = id(&world.register(&ana()).await);
    let names = |value: &Value| -> Vec<String> {
        let mut names: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
        names.sort();
        names
    };
    let list = |key: &'static str| {
        world.ask(key, "GET", "/v1/patients?home=US-TX").header("purpose-of-use", "HOPERAT")
    };
    let admin = list("org_admin").send().await.is(200).json();
    assert_eq!(
        names(&admin["data"][0]),
        ["created_at", "family_name", "given_name", "home", "id", "mrn", "updated_at", "version"]
    );
    let auditor = list("auditor").send().await.is(200).json();
    assert_eq!(names(&auditor["data"][0]), ["created_at", "home", "id", "updated_at"]);
    let one =
        world.ask("auditor", "GET", &format!("/v1/patients/{patient}")).header("purpose-of-use", "HOPERAT");
    assert_eq!(names(&one.send().await.is(200).json()), ["created_at", "home", "id", "updated_at"]);
    assert!(list("provider").send().await.is(200).json()["data"][0]["birth_date"].is_string());
}

#[tokio::test]
async fn every_disclosure_and_change_is_in_the_access_log() {
    let world = World::new().await;
    let patient = id(&world.register(&ana()).await);
    let path = format!("/v1/patients/{patient}");
    world.ask("provider", "GET", &path).send().await.is(200);
    world.ask("stranger", "GET", &path).send().await.is(404);
    world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(200);
    world
        .ask("provider", "PATCH", &path)
        .header("if-match", "\"1\"")
        .json(&json!({"sex": "other"}))
        .send()
        .await
        .is(200);
    world.ask("provider", "DELETE", &format!("{path}?reason=entered-in-error")).send().await.is(204);
    assert_eq!(
        world.accesses(&patient).await,
        ["create done", "delete done", "list done", "read done", "read not-found", "update done"]
    );
}
