//! Segregated categories: a consent of their own, a key of their own, a path of their own.

use residency_policy::PatientId;
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::consents::{grant, revoke, treatment, world};
use crate::support::{World, ana, id, visit};

const SEGREGATED: [&str; 4] = ["psychotherapy-notes", "substance-use", "reproductive", "minor-sensitive"];

fn visits(patient: &str, category: &str) -> String {
    format!("/v1/patients/{patient}/segregated/{category}/encounters")
}

async fn opened(world: &World, patient: &str, category: &str) -> (String, Value) {
    let path = visits(patient, category);
    let made = world.ask("provider", "POST", &path).json(&visit()).send().await.is(201);
    let location = made.header("location").to_owned();
    assert_eq!(location, format!("{path}/{}", id(&made.json())));
    (location, made.json())
}

#[tokio::test]
async fn each_category_needs_a_consent_that_names_it() {
    let world = world().await;
    let patient = id(&world.register(&ana()).await);
    let refused = async |category: &str| {
        let path = visits(&patient, category);
        for ask in [world.ask("provider", "GET", &path), world.ask("provider", "POST", &path).json(&visit())] {
            let answer = ask.send().await.is(403);
            assert_eq!(answer.problem("forbidden")["reason"], "category-without-consent", "{category}");
        }
    };
    for category in SEGREGATED {
        refused(category).await;
    }
    // A general consent is none to these, nor is that of another category.
    grant(&world, &patient, &treatment("general")).await;
    for (at, category) in SEGREGATED.into_iter().enumerate() {
        refused(category).await;
        let consent = grant(&world, &patient, &treatment(category)).await;
        let (path, made) = opened(&world, &patient, category).await;
        assert_eq!(made["category"], category);
        assert_eq!(world.ask("provider", "GET", &path).send().await.is(200).json(), made);
        for other in SEGREGATED.into_iter().skip(at + 1) {
            refused(other).await;
        }
        revoke(&world, &patient, &consent).await;
        let answer = world.ask("provider", "GET", &path).send().await.is(403);
        assert!(!answer.text().contains("cough"));
        assert_eq!(answer.problem("forbidden")["reason"], "consent-revoked", "{category}");
        // What is general rests on its own consent.
        world.ask("provider", "GET", &format!("/v1/patients/{patient}")).send().await.is(200);
    }
}

#[tokio::test]
async fn what_is_segregated_never_appears_among_what_is_not() {
    let world = world().await;
    let patient = id(&world.register(&ana()).await);
    for category in ["substance-use", "reproductive"] {
        grant(&world, &patient, &treatment(category)).await;
    }
    let general = format!("/v1/patients/{patient}/encounters");
    let ordinary = world.ask("provider", "POST", &general).json(&visit()).send().await.is(201).json();
    let (path, made) = opened(&world, &patient, "substance-use").await;
    let listed = async |path: &str| {
        let page = world.ask("provider", "GET", path).send().await.is(200).json();
        page["data"].as_array().expect("a list").iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(listed(&general).await, [id(&ordinary)]);
    assert_eq!(listed(&visits(&patient, "substance-use")).await, [id(&made)]);
    assert_eq!(listed(&visits(&patient, "reproductive")).await, Vec::<String>::new());
    for elsewhere in [
        format!("{general}/{}", id(&made)),
        format!("{}/{}", visits(&patient, "reproductive"), id(&made)),
        format!("{}/{}", visits(&patient, "substance-use"), id(&ordinary)),
        format!("{}/{}", visits(&patient, "general"), id(&ordinary)),
        format!("{}/{}", visits(&patient, "anything"), id(&made)),
    ] {
        world.ask("provider", "GET", &elsewhere).send().await.is(404).problem("not-found");
    }
    // The whole life of an encounter, under the same path.
    let amend =
        world.ask("provider", "PATCH", &path).header("if-match", "\"1\"").json(&json!({"note": "calm"}));
    assert_eq!(amend.send().await.is(200).json()["note"], "calm");
    let sign = world.ask("provider", "POST", &format!("{path}/sign")).header("if-match", "\"2\"");
    assert_eq!(sign.send().await.is(200).json()["status"], "signed");
    let add = world.ask("provider", "POST", &format!("{path}/addenda")).json(&json!({"body": "still calm"}));
    assert_eq!(add.send().await.is(201).header("location"), path);
    let read = world.ask("provider", "GET", &path).send().await.is(200).json();
    assert_eq!(read["addenda"][0]["body"], "still calm");
}

#[tokio::test]
async fn whom_a_caller_may_not_know_of_is_not_told_apart_by_a_category() {
    let world = world().await;
    let patient = id(&world.register(&ana()).await);
    let unknown = PatientId::random(&TestEntropy::default()).to_string();
    let ask = |who: &str, patient: &str| {
        let path = visits(patient, "substance-use");
        let request = "00000000-0000-4000-8000-000000000007";
        world.ask(who, "GET", &path).header("x-request-id", request).send()
    };
    ask("provider", &patient).await.is(403);
    let known = ask("stranger", &patient).await.is(404);
    assert_eq!(known.bytes, ask("stranger", &unknown).await.is(404).bytes);
    let claimed = world.claimed().await.to_string();
    assert_eq!(known.bytes, ask("provider", &claimed).await.is(404).bytes);
    let accesses = world.accesses(&patient).await;
    for line in ["read refused", "read not-found"] {
        assert!(accesses.contains(&line.to_owned()), "{accesses:?}");
    }
}

/// The data key is the category's: with the general one destroyed, or taken for it, nothing opens.
#[tokio::test]
async fn each_category_rests_under_a_key_of_its_own() {
    let world = world().await;
    let patient = id(&world.register(&ana()).await);
    grant(&world, &patient, &treatment("substance-use")).await;
    let (path, _) = opened(&world, &patient, "substance-use").await;
    let client = world.region.as_superuser().await;
    let sql =
        "SELECT note_sealed, reason_sealed, diagnoses_sealed FROM encounters WHERE category = 'substance-use'";
    let row = client.query_one(sql, &[]).await.expect("the row");
    // A byte of layout, then the name of the key.
    let named = |cell: Vec<u8>| cell[1..17].to_vec();
    let own = named(row.get(0));
    assert_eq!((&named(row.get(1)), &named(row.get(2))), (&own, &own), "one key for what is of one category");
    let general = client.query_one("SELECT mrn_sealed FROM patients", &[]).await.expect("the patient");
    assert_ne!(named(general.get(0)), own);
    let stored = "SELECT body_sealed FROM idempotency_records WHERE category = 'substance-use'";
    let body: Vec<u8> = client.query_one(stored, &[]).await.expect("the stored answer").get(0);
    assert_eq!(named(body), own, "the answer that is stored rests under it too");
    // Called general below, it does not open.
    let sql = "ALTER TABLE encounters DISABLE TRIGGER encounters_immutable;
        UPDATE encounters SET category = 'general' WHERE category = 'substance-use'";
    client.batch_execute(sql).await.expect("a superuser may");
    let moved = format!("/v1/patients/{patient}/encounters/{}", path.rsplit_once('/').expect("a path").1);
    let answer = world.ask("provider", "GET", &moved).send().await.is(500);
    assert!(!answer.text().contains("cough"));
}
