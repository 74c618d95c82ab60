//! Break-glass: who may, for how long, what it opens, and who is told.

use jiff::ToSpan as _;
use node_access::Credential;
use residency_policy::{Clock as _, KeyId, OrgId, PatientId, Role, UserId};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::consents::{grant, revoke, treatment, world};
use crate::support::{World, ana, id, visit};

/// Lets somebody in with a second factor.
fn stepped_up(world: &World, text: &str, like: &str) {
    let mut keys = world.book.keys.lock().expect("a lock");
    let credential = *keys.get(like).expect("a key");
    let key = KeyId::random(&TestEntropy::default());
    keys.insert(text.to_owned(), Credential { key, assurance: 2, ..credential });
}

pub(crate) async fn ready() -> (World, String) {
    let world = world().await;
    for (text, like) in [("doctor", "provider"), ("colleague", "provider"), ("foreigner", "stranger")] {
        stepped_up(&world, text, like);
    }
    let patient = id(&world.register(&ana()).await);
    (world, patient)
}

fn emergency(categories: &[&str]) -> Value {
    json!({"reason_code": "medical-emergency", "reason": "zzglass7q, unconscious", "categories": categories})
}

pub(crate) async fn broken(world: &World, who: &str, patient: &str, categories: &[&str]) -> Value {
    let path = format!("/v1/patients/{patient}/break-glass");
    let ask = world.ask(who, "POST", &path).header("purpose-of-use", "ETREAT").json(&emergency(categories));
    ask.send().await.is(201).json()
}

/// The status and the reason of reading for an emergency.
async fn reads(world: &World, who: &str, path: &str, purpose: &str) -> (u16, Value) {
    let answer = world.ask(who, "GET", path).header("purpose-of-use", purpose).send().await;
    let reason = if answer.status.is_success() { Value::Null } else { answer.json()["reason"].clone() };
    (answer.status.as_u16(), reason)
}

#[tokio::test]
async fn a_grant_opens_for_an_hour_what_consent_would_not_and_marks_it() {
    let (world, patient) = ready().await;
    let chart = format!("/v1/patients/{patient}");
    let consent = grant(&world, &patient, &treatment("general")).await;
    revoke(&world, &patient, &consent).await;
    assert_eq!(reads(&world, "doctor", &chart, "TREAT").await, (403, json!("consent-revoked")));
    assert_eq!(reads(&world, "doctor", &chart, "ETREAT").await, (403, json!("break-glass-required")));
    let made = broken(&world, "doctor", &patient, &["general"]).await;
    assert_eq!(made["verdict"], Value::Null);
    assert_eq!(reads(&world, "doctor", &chart, "ETREAT").await, (200, Value::Null));
    // Not for another purpose, nor another session, nor another's patient.
    assert_eq!(reads(&world, "doctor", &chart, "BTG").await, (403, json!("break-glass-required")));
    assert_eq!(reads(&world, "doctor", &chart, "TREAT").await, (403, json!("consent-revoked")));
    assert_eq!(reads(&world, "colleague", &chart, "ETREAT").await, (403, json!("break-glass-required")));
    assert_eq!(reads(&world, "foreigner", &chart, "ETREAT").await.0, 404);
    let other = id(&world.register(&ana()).await);
    let elsewhere = format!("/v1/patients/{other}");
    assert_eq!(reads(&world, "doctor", &elsewhere, "ETREAT").await, (403, json!("break-glass-required")));
    // Nothing is changed under a grant.
    let change = world.ask("doctor", "PATCH", &chart).header("purpose-of-use", "ETREAT");
    change.header("if-match", "\"1\"").json(&json!({"sex": "other"})).send().await.is(403);

    let client = world.region.as_superuser().await;
    let sql = "SELECT purpose, outcome FROM access_log WHERE grant_id::text = $1";
    let marked = client.query(sql, &[&id(&made)]).await.expect("rows");
    let marked: Vec<(String, String)> = marked.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(marked, [("ETREAT".to_owned(), "done".to_owned())]);
    let unmarked =
        "SELECT count(*) FROM access_log WHERE purpose = 'ETREAT' AND grant_id IS NULL AND action = 'read'
        AND outcome = 'done'";
    assert_eq!(client.query_one(unmarked, &[]).await.expect("a count").get::<_, i64>(0), 0);

    for (seconds, status) in [(3_599, 200), (1, 403)] {
        world.region.clock.set(world.region.clock.now() + seconds.seconds());
        assert_eq!(reads(&world, "doctor", &chart, "ETREAT").await.0, status);
    }
}

#[tokio::test]
async fn a_grant_opens_although_the_consent_to_emergencies_was_taken_back() {
    let (world, patient) = ready().await;
    let chart = format!("/v1/patients/{patient}");
    let mut emergencies = treatment("general");
    emergencies["purpose"] = json!("ETREAT");
    let consent = grant(&world, &patient, &emergencies).await;
    revoke(&world, &patient, &consent).await;
    assert_eq!(reads(&world, "doctor", &chart, "ETREAT").await, (403, json!("consent-revoked")));
    broken(&world, "doctor", &patient, &["general"]).await;
    assert_eq!(reads(&world, "doctor", &chart, "ETREAT").await, (200, Value::Null));
    assert_eq!(reads(&world, "colleague", &chart, "ETREAT").await, (403, json!("consent-revoked")));
}

#[tokio::test]
async fn nobody_reviews_what_they_did_themselves() {
    let (world, patient) = ready().await;
    let entropy = TestEntropy::default();
    let (somebody, another) = (UserId::random(&entropy), UserId::random(&entropy));
    {
        let mut keys = world.book.keys.lock().expect("a lock");
        let doctor = Credential { user: Some(somebody), ..*keys.get("doctor").expect("a key") };
        let auditor = *keys.get("auditor").expect("a key");
        for (text, credential) in [
            ("doctor", doctor),
            ("same_key", Credential { key: doctor.key, ..auditor }),
            ("same_person", Credential { user: Some(somebody), ..auditor }),
            ("somebody_else", Credential { user: Some(another), ..auditor }),
        ] {
            keys.insert(text.to_owned(), credential);
        }
    }
    let made = broken(&world, "doctor", &patient, &["general"]).await;
    let review = format!("/v1/patients/{patient}/break-glass/{}/review", id(&made));
    let ask = |who: &str| {
        let ask = world.ask(who, "POST", &review).header("purpose-of-use", "HOPERAT");
        ask.json(&json!({"verdict": "justified"}))
    };
    for who in ["same_key", "same_person"] {
        ask(who).send().await.is(409).problem("illegal-transition");
    }
    ask("somebody_else").send().await.is(200);
}

#[tokio::test]
async fn a_segregated_category_is_opened_in_an_emergency_if_the_grant_names_it() {
    let (world, patient) = ready().await;
    let consent = grant(&world, &patient, &treatment("substance-use")).await;
    let list = format!("/v1/patients/{patient}/segregated/substance-use/encounters");
    let made = world.ask("provider", "POST", &list).json(&visit()).send().await.is(201);
    let path = made.header("location").to_owned();
    revoke(&world, &patient, &consent).await;
    broken(&world, "doctor", &patient, &["general"]).await;
    assert_eq!(reads(&world, "doctor", &path, "ETREAT").await, (403, json!("category-without-consent")));
    broken(&world, "doctor", &patient, &["substance-use"]).await;
    assert_eq!(reads(&world, "doctor", &path, "ETREAT").await, (200, Value::Null));
    let other = format!("/v1/patients/{patient}/segregated/reproductive/encounters");
    assert_eq!(reads(&world, "doctor", &other, "ETREAT").await.0, 403);
}

#[tokio::test]
async fn breaking_the_glass_needs_a_second_factor_a_role_and_a_reason() {
    let (world, patient) = ready().await;
    stepped_up(&world, "staff", "provider_staff");
    stepped_up(&world, "admin", "org_admin");
    let path = format!("/v1/patients/{patient}/break-glass");
    let ask = |who: &str, purpose: &str| {
        world.ask(who, "POST", &path).header("purpose-of-use", purpose).json(&emergency(&["general"]))
    };
    let reason = async |who: &str, purpose: &str| {
        ask(who, purpose).send().await.is(403).problem("forbidden")["reason"].clone()
    };
    assert_eq!(reason("provider", "ETREAT").await, "step-up-required");
    assert_eq!(reason("doctor", "TREAT").await, "purpose-not-allowed");
    for who in ["staff", "admin"] {
        reason(who, "ETREAT").await;
    }
    ask("foreigner", "ETREAT").send().await.is(404).problem("not-found");
    for (purpose, change, pointer) in [
        ("ETREAT", json!({"reason_code": "curiosity"}), "/reason_code"),
        ("ETREAT", json!({"reason": null}), "/reason"),
        ("ETREAT", json!({"categories": []}), "/categories"),
        ("ETREAT", json!({"categories": ["everything"]}), "/categories"),
        ("BTG", json!({"categories": ["substance-use"]}), "/categories"),
    ] {
        let mut body = emergency(&["general"]);
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let ask = world.ask("doctor", "POST", &path).header("purpose-of-use", purpose).json(&body);
        let refused = ask.send().await.is(422);
        assert!(!refused.text().contains("zzglass7q"));
        assert_eq!(refused.problem("invalid")["errors"][0]["pointer"], pointer, "{change}");
    }
    let client = world.region.as_superuser().await;
    let count = client.query_one("SELECT count(*) FROM break_glass_grants", &[]).await.expect("a count");
    assert_eq!(count.get::<_, i64>(0), 0, "none of them was given anything");
}

#[tokio::test]
async fn the_privacy_officer_is_told_and_reviews_it_once() {
    let (world, patient) = ready().await;
    let metrics = async || world.ask("provider", "GET", "/metrics").send().await.is(200).text();
    assert!(metrics().await.contains("domicile_break_glass_grants_total 0"));
    let made = broken(&world, "doctor", &patient, &["general"]).await;
    assert!(metrics().await.contains("domicile_break_glass_grants_total 1"));
    let queue = "/v1/break-glass/reviews?home=US-TX";
    let officer =
        |who: &str, method: &str, path: &str| world.ask(who, method, path).header("purpose-of-use", "HOPERAT");
    for who in ["org_admin", "auditor"] {
        assert_eq!(officer(who, "GET", queue).send().await.is(200).json()["data"], json!([made]), "{who}");
    }
    officer("provider", "GET", queue).send().await.is(403);
    let other = OrgId::random(&TestEntropy::default());
    world.key("other_admin", other, Role::OrgAdmin, &["US-TX"]);
    assert_eq!(officer("other_admin", "GET", queue).send().await.is(200).json()["data"], json!([]));

    let review = format!("/v1/patients/{patient}/break-glass/{}/review", id(&made));
    let body = json!({"verdict": "justified", "review": "the paramedics' report says so"});
    officer("other_admin", "POST", &review).json(&body).send().await.is(404);
    officer("provider", "POST", &review).json(&body).send().await.is(403);
    let reviewed = officer("auditor", "POST", &review).json(&body).send().await.is(200).json();
    assert_eq!((&reviewed["verdict"], &reviewed["id"]), (&json!("justified"), &made["id"]));
    officer("org_admin", "POST", &review).json(&body).send().await.is(409).problem("illegal-transition");
    assert_eq!(officer("org_admin", "GET", queue).send().await.is(200).json()["data"], json!([]));
    let nobody = PatientId::random(&TestEntropy::default());
    let wrong = format!("/v1/patients/{nobody}/break-glass/{}/review", id(&made));
    officer("auditor", "POST", &wrong).json(&body).send().await.is(404);
    let client = world.region.as_superuser().await;
    let row = client.query_one("SELECT reason_sealed, review_sealed FROM break_glass_grants", &[]).await;
    let row = row.expect("the row");
    for column in 0..2 {
        let sealed = String::from_utf8_lossy(row.get::<_, &[u8]>(column)).into_owned();
        assert!(!sealed.contains("zzglass7q") && !sealed.contains("paramedics"), "it rests sealed");
    }
    let longer = "UPDATE break_glass_grants SET expires_at = expires_at + interval '1 hour'";
    client.batch_execute(longer).await.expect_err("the schema makes none longer");
}
