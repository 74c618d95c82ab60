//! The access log over HTTP: each filter, in pages, to whom, in FHIR, and itself recorded.

use residency_policy::{OrgId, PatientId, Role, UserId};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::portal::{ADDRESS, PASSWORD};
use crate::support::{Answer, World, ana, id};

const FROM: &str = "203.0.113.7";

impl World {
    async fn events(&self, who: &str, query: &str) -> Answer {
        let path = format!("/v1/audit/events?home=US-TX&{query}");
        self.ask(who, "GET", &path).header("purpose-of-use", "HOPERAT").send().await
    }

    async fn all_events(&self, query: &str) -> Vec<Value> {
        let page = self.events("auditor", query).await.is(200).json();
        page["data"].as_array().expect("a list").clone()
    }

    async fn recorded(&self, request: &str) -> Vec<String> {
        let sql = "SELECT act || ' ' || action || ' ' || entity || ' ' || outcome FROM access_log
            WHERE request_id::text = $1 ORDER BY 1";
        let rows = self.region.as_superuser().await.query(sql, &[&request]).await.expect("rows");
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// Two patients; the first is read by a clinician from a known address, and by somebody of the staff who has a user; and
/// an encounter is asked for that nobody has.
async fn story(world: &World) -> (String, String) {
    let (first, second) = (id(&world.register(&ana()).await), id(&world.register(&ana()).await));
    let path = format!("/v1/patients/{first}");
    world.ask("provider", "GET", &path).from(FROM).send().await.is(200);
    let user = Some(UserId::random(&TestEntropy::default()));
    world.book.keys.lock().expect("a lock").get_mut("provider_staff").expect("a key").user = user;
    world.ask("provider_staff", "GET", &path).send().await.is(200);
    let none = PatientId::random(&TestEntropy::default());
    world.ask("provider", "GET", &format!("{path}/encounters/{none}")).send().await.is(404);
    (first, second)
}

#[tokio::test]
async fn every_filter_shows_what_it_names_and_nothing_else() {
    let world = World::new().await;
    let (first, _) = story(&world).await;
    let (key, user) = {
        let keys = world.book.keys.lock().expect("a lock");
        (keys["provider"].key, keys["provider_staff"].user.expect("a user"))
    };
    // So that there is something of another purpose.
    world.events("org_admin", "").await.is(200);
    let all = world.all_events("").await;
    for (query, fields) in [
        ("entity=patient".to_owned(), json!({"entity": "patient"})),
        (format!("entity_id={first}"), json!({"entity_id": first})),
        (format!("patient={first}"), json!({"patient_id": first})),
        ("purpose=TREAT".to_owned(), json!({"purpose": "TREAT"})),
        (format!("key={key}"), json!({"key_id": key.to_string()})),
        (format!("user={user}"), json!({"user_id": user.to_string()})),
        ("outcome=not-found".to_owned(), json!({"outcome": "not-found"})),
        ("action=read".to_owned(), json!({"action": "read"})),
        ("action=read&outcome=done".to_owned(), json!({"action": "read", "outcome": "done"})),
    ] {
        let fields = fields.as_object().expect("fields");
        let holds = |event: &&Value| fields.iter().all(|(name, value)| event[name] == *value);
        let expected: Vec<Value> = all.iter().filter(holds).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < all.len(), "{query}: {all:?}");
        assert_eq!(world.all_events(&query).await, expected, "{query}");
    }
    let past = "from=2020-01-01T00:00:00Z&until=2020-01-02T00:00:00Z";
    assert!(world.all_events(past).await.is_empty());
    for wrong in ["action=look", "patient=ana", "from=2001-01-01T00:00:00Z", "nothing=1", "limit=0"] {
        world.events("auditor", wrong).await.is(400).problem("bad-parameter");
    }
}

#[tokio::test]
async fn an_event_says_where_from_by_which_rules_and_in_which_home_it_was() {
    let world = World::new().await;
    let (first, _) = story(&world).await;
    let events = world.all_events(&format!("patient={first}&action=read")).await;
    let with_address: Vec<&Value> = events.iter().filter(|event| event["client_ip"] == FROM).collect();
    let [event] = with_address[..] else { panic!("one read came from there: {events:?}") };
    assert_eq!(
        (&event["home"], &event["category"], &event["role"]),
        (&json!("US-TX"), &json!("general"), &json!("provider"))
    );
    assert!(event["rules"].as_array().is_some_and(|rules| !rules.is_empty()), "{event}");
    assert_eq!(event["salt"].as_str().map(str::len), Some(64));
    assert_eq!(event["act"], "patient.read");
}

#[tokio::test]
async fn one_request_leaves_one_record_and_so_does_the_question_who_asked() {
    let world = World::new().await;
    let (first, _) = story(&world).await;
    let read = world.ask("provider", "GET", &format!("/v1/patients/{first}")).send().await.is(200);
    assert_eq!(world.recorded(read.header("x-request-id")).await, ["patient.read read patient done"]);
    let asked = world.events("org_admin", "action=read").await.is(200);
    let request = asked.header("x-request-id").to_owned();
    assert_eq!(world.recorded(&request).await, ["audit_event.list list audit_event done"]);
    let told = world.all_events("entity=audit_event").await;
    let told =
        told.iter().find(|event| event["request_id"] == *request).expect("it is told to the next who asks");
    assert_eq!((&told["role"], told["query_mac"].as_str().map(str::len)), (&json!("org_admin"), Some(64)));
    // The same question has the same digest, and another has another.
    let again = world.events("org_admin", "action=read").await.is(200).header("x-request-id").to_owned();
    let other = world.events("org_admin", "action=update").await.is(200).header("x-request-id").to_owned();
    let events = world.all_events("entity=audit_event").await;
    let mac = |request: &str| {
        events.iter().find(|event| event["request_id"] == *request).expect("an event")["query_mac"].clone()
    };
    assert_eq!(mac(&request), mac(&again));
    assert_ne!(mac(&request), mac(&other));
}

#[tokio::test]
async fn whoever_is_refused_at_the_door_is_recorded_before_they_are_told() {
    let world = World::new().await;
    let (first, _) = story(&world).await;
    let nobody = PatientId::random(&TestEntropy::default()).to_string();
    for (patient, named) in [(&first, true), (&nobody, false)] {
        let path = format!("/v1/patients/{patient}");
        let refused = world.ask("marketer", "GET", &path).from(FROM).send().await.is(403);
        let request = refused.header("x-request-id").to_owned();
        assert_eq!(world.recorded(&request).await, ["patient.read read patient refused"]);
        let sql = "SELECT patient_id::text, host(client_ip), rules IS NOT NULL, role FROM access_log
            WHERE request_id::text = $1";
        let row = world.region.as_superuser().await.query_one(sql, &[&request]).await.expect("a record");
        // Who lives elsewhere, or nowhere, is not named in this home's log.
        assert_eq!(row.get::<_, Option<String>>(0), named.then(|| patient.clone()));
        assert_eq!((row.get::<_, String>(1), row.get::<_, bool>(2)), (FROM.to_owned(), true));
        assert_eq!(row.get::<_, String>(3), "marketer");
    }
    // Without a purpose nothing is asked for yet, and what is no PHI is no matter of the log.
    let path = format!("/v1/patients/{first}");
    let asked = world.ask("provider", "GET", &path).without("purpose-of-use").send().await.is(403);
    assert_eq!(world.recorded(asked.header("x-request-id")).await, Vec::<String>::new());
}

#[tokio::test]
async fn events_are_read_in_pages_that_go_on_in_their_own_list_only() {
    let world = World::new().await;
    let (first, _) = story(&world).await;
    let whole = world.all_events(&format!("patient={first}&action=read")).await;
    assert_eq!(whole.len(), 3, "two reads, and one of a visit that is not there");
    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!("patient={first}&action=read&limit=1{cursor}");
        let page = world.events("auditor", &query).await.is(200).json();
        walked.extend(page["data"].as_array().expect("a list").clone());
        let Some(next) = page["page"]["next_cursor"].as_str() else { break };
        world.events("auditor", &format!("action=read&limit=1&cursor={next}")).await.is(400);
        world.key("other_auditor", OrgId::random(&TestEntropy::default()), Role::Auditor, &["US-TX"]);
        world
            .events("other_auditor", &format!("patient={first}&action=read&limit=1&cursor={next}"))
            .await
            .is(400);
        cursor = format!("&cursor={next}");
    }
    assert_eq!(walked, whole);
}

#[tokio::test]
async fn nobody_is_shown_what_another_organisation_did_and_only_reviewers_are_shown_anything() {
    let world = World::new().await;
    let (first, _) = story(&world).await;
    world.key("other_auditor", OrgId::random(&TestEntropy::default()), Role::Auditor, &["US-TX"]);
    for query in [String::new(), format!("patient={first}"), "action=read".to_owned()] {
        let page = world.events("other_auditor", &query).await.is(200).json();
        let foreign = page["data"].as_array().expect("a list").iter();
        let foreign: Vec<&Value> = foreign.filter(|e| e["organisation_id"] == world.org.to_string()).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
    }
    assert!(!world.all_events("").await.is_empty(), "the control: their own auditor is shown it");
    for role in ["provider", "provider_staff", "pharmacist", "lab_tech", "marketer"] {
        world.events(role, "").await.is(403).problem("forbidden");
    }
    let path = "/v1/audit/events?home=US-TX";
    world.ask("auditor", "GET", path).header("purpose-of-use", "TREAT").send().await.is(403);
    world.ask("auditor", "GET", "/v1/audit/events").header("purpose-of-use", "HOPERAT").send().await.is(400);
}

#[tokio::test]
async fn a_patient_is_told_who_looked_at_theirs_without_ids_and_addresses() {
    let world = World::new().await;
    let patient = world.portal_patient(ADDRESS).await;
    world.ask("provider", "GET", &format!("/v1/patients/{patient}")).from(FROM).send().await.is(200);
    let other = id(&world.register(&ana()).await);
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    let path = "/v1/audit/events?home=US-TX";
    let page = world.of_own(&token, "GET", path, None).await.is(200);
    for hidden in ["user_id", "key_id", "request_id", "client_ip", FROM, "salt", other.as_str()] {
        assert!(!page.text().contains(hidden), "{hidden}: {}", page.text());
    }
    let page = page.json();
    let events = page["data"].as_array().expect("a list");
    assert!(events.iter().any(|e| e["role"] == "provider" && e["action"] == "read"), "{page}");
    assert!(events.iter().any(|e| e["role"] == "patient" && e["action"] == "sign-in"), "{page}");
    world.of_own(&token, "GET", &format!("{path}&patient={other}"), None).await.is(404);
    let key = world.book.keys.lock().expect("a lock")["provider"].key.to_string();
    world.of_own(&token, "GET", &format!("{path}&key={key}"), None).await.is(403);
    // The control: whoever reviews is told of both.
    let all = world.events("auditor", "").await.is(200);
    assert!(all.text().contains(&other) && all.text().contains(FROM));
}

/// Whether nothing is null or empty: FHIR has neither.
fn whole(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty() && items.iter().all(whole),
        Value::Object(members) => !members.is_empty() && members.values().all(whole),
        _ => true,
    }
}

#[tokio::test]
async fn events_are_given_as_fhir_to_whoever_asks_for_it() {
    let world = World::new().await;
    let (first, _) = story(&world).await;
    let query = format!("/v1/audit/events?home=US-TX&patient={first}&action=read&limit=1");
    let ask = |path: &str| {
        let ask = world.ask("auditor", "GET", path).header("purpose-of-use", "HOPERAT");
        ask.header("accept", "application/fhir+json")
    };
    let answer = ask(&query).send().await.is(200);
    assert_eq!((answer.header("content-type"), answer.header("vary")), ("application/fhir+json", "accept"));
    let bundle = answer.json();
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("searchset")));
    assert_eq!(bundle["link"][0]["relation"], "next");
    let event = &bundle["entry"][0]["resource"];
    assert_eq!(
        (&event["resourceType"], &event["action"], &event["outcome"]),
        (&json!("AuditEvent"), &json!("R"), &json!("0"))
    );
    assert_eq!(event["type"]["code"], "rest");
    assert_eq!(event["subtype"][0]["code"], "read");
    assert_eq!(event["purposeOfEvent"][0]["coding"][0]["code"], "TREAT");
    assert_eq!(event["source"]["site"], "US-TX");
    let agents = event["agent"].as_array().expect("agents");
    assert_eq!(agents.iter().filter(|agent| agent["requestor"] == true).count(), 1);
    let entities = event["entity"].as_array().expect("entities");
    assert!(entities.iter().any(|entity| entity["what"]["reference"] == format!("Patient/{first}")), "{event}");
    assert!(whole(&bundle), "{bundle}");
    let next = bundle["link"][0]["url"].as_str().expect("a path");
    let next = ask(next).send().await.is(200).json();
    assert_ne!(next["entry"][0]["resource"]["id"], event["id"]);
    let none = ask("/v1/audit/events?home=US-TX&action=export").send().await.is(200).json();
    assert_eq!(none, json!({"resourceType": "Bundle", "type": "searchset"}));
    // To a patient no more is said in FHIR than otherwise.
    let patient = world.portal_patient(ADDRESS).await;
    world.ask("provider", "GET", &format!("/v1/patients/{patient}")).from(FROM).send().await.is(200);
    let token = world.portal_token(ADDRESS, PASSWORD).await;
    let own = world.ask(&token, "GET", "/v1/audit/events?home=US-TX").header("purpose-of-use", "PATRQT");
    let own = own.header("accept", "application/fhir+json").send().await.is(200);
    assert!(!own.text().contains("altId") && !own.text().contains(FROM), "{}", own.text());
    assert_eq!(own.json()["entry"][0]["resource"]["resourceType"], "AuditEvent");
}
