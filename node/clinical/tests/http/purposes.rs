//! The ledger of purposes: what it tells, in which order, to whom, and what it leaves out.

use jiff::{Timestamp, ToSpan as _};
use node_clinical::purposes::store::TIMELINE;
use residency_policy::{Clock as _, OrgId, PatientId, Role};
use serde_json::{Value, json};
use storage::testing::{PostgresServer, TestEntropy, TestRegion};
use tokio_postgres::Client;

use crate::break_glass::{broken, ready};
use crate::consents::{grant, revoke, treatment, world};
use crate::support::{Answer, World, ana, id};

impl World {
    fn passes(&self, seconds: i64) -> Timestamp {
        let then = self.region.clock.now() + seconds.seconds();
        self.region.clock.set(then);
        then
    }

    async fn ledger(&self, who: &str, patient: &str, query: &str) -> Answer {
        let path = format!("/v1/patients/{patient}/purposes?{query}");
        self.ask(who, "GET", &path).header("purpose-of-use", "HOPERAT").send().await
    }

    /// The whole ledger up to now, as lines.
    async fn told(&self, patient: &str, query: &str) -> Vec<String> {
        let page = self.ledger("auditor", patient, query).await.is(200).json();
        assert_eq!(page["page"], json!({"next_cursor": null, "has_more": false}));
        page["data"].as_array().expect("a list").iter().map(line).collect()
    }
}

/// An entry as one line.
fn line(entry: &Value) -> String {
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    let words: Vec<String> = match (&entry["access"], &entry["consent"]) {
        (access, Value::Null) => ["role", "action", "entity", "outcome"].map(|key| word(&access[key])).into(),
        (Value::Null, consent) => ["event", "category", "text_version"].map(|key| word(&consent[key])).into(),
        both => panic!("an entry of two sources: {both:?}"),
    };
    format!("{} {}", word(&entry["purpose"]), words.join(" "))
}

/// A patient whose consent was given, used, taken back and missed, a second apart.
async fn story(world: &World) -> String {
    let patient = id(&world.register(&ana()).await);
    let chart = format!("/v1/patients/{patient}");
    world.passes(1);
    let consent = grant(world, &patient, &treatment("general")).await;
    world.passes(1);
    world.ask("provider", "GET", &chart).send().await.is(200);
    world.passes(1);
    revoke(world, &patient, &consent).await;
    world.passes(1);
    world.ask("provider", "GET", &chart).send().await.is(403);
    world.passes(1);
    patient
}

const STORY: [&str; 7] = [
    "TREAT provider read patient refused",
    "TREAT provider_staff update consent done",
    "TREAT revoked general treat-2026-02",
    "TREAT provider read patient done",
    "TREAT granted general treat-2026-02",
    "TREAT provider_staff create consent done",
    "TREAT provider create patient done",
];

/// What happened at one instant is in the order of ids, which are random.
fn sorted(lines: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(Into::into).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn the_ledger_tells_the_last_first_who_asked_why_and_what_the_patient_said() {
    let world = world().await;
    let patient = story(&world).await;
    let page = world.ledger("org_admin", &patient, "").await.is(200);
    assert!(!page.text().contains("zzconsent7q"), "where the evidence is found is no part of it");
    let page = page.json();
    let entries = page["data"].as_array().expect("a list");
    let times: Vec<&str> = entries.iter().map(|entry| entry["at"].as_str().expect("a time")).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert_eq!(sorted(entries.iter().map(line)), sorted(STORY));
    assert_eq!((line(&entries[0]), line(&entries[6])), (STORY[0].to_owned(), STORY[6].to_owned()));
    assert!(entries.iter().all(|entry| entry["organisation_id"] == world.org.to_string()));
    let read = &entries[3]["access"];
    let key = world.book.keys.lock().expect("a lock")["provider"].key;
    assert_eq!((&read["key_id"], &read["user_id"]), (&json!(key), &Value::Null));
    assert_eq!((&read["entity_id"], &read["break_glass"]), (&json!(patient), &json!(false)));
    let mut ids = sorted(entries.iter().map(|entry| entry["id"].to_string()));
    ids.dedup();
    assert_eq!(ids.len(), 7);

    // To look is an access too, and is told to the next who looks.
    world.passes(1);
    let told = world.told(&patient, "purpose=HOPERAT").await;
    assert_eq!(told, ["HOPERAT org_admin list audit_event done"]);
}

#[tokio::test]
async fn the_ledger_is_read_in_pages_and_in_parts() {
    let world = world().await;
    let start = world.region.clock.now();
    let patient = story(&world).await;
    let until = world.region.clock.now();
    let whole = world.ledger("auditor", &patient, &format!("until={until}")).await.is(200).json();
    let (mut walked, mut query) = (Vec::new(), format!("limit=2&until={until}"));
    loop {
        let page = world.ledger("auditor", &patient, &query).await.is(200).json();
        walked.extend(page["data"].as_array().expect("a list").clone());
        let Some(cursor) = page["page"]["next_cursor"].as_str() else { break };
        // A page goes on in its own list only.
        world.ledger("auditor", &patient, &format!("cursor={cursor}")).await.is(400).problem("bad-parameter");
        query = format!("limit=2&until={until}&cursor={cursor}");
    }
    assert_eq!((json!(walked), walked.len()), (whole["data"].clone(), 7));

    let at = |seconds: i64| start + seconds.seconds();
    for (query, expected) in [
        (format!("kind=consent&until={until}"), vec![STORY[2], STORY[4]]),
        (format!("kind=access&until={until}"), vec![STORY[0], STORY[1], STORY[3], STORY[5], STORY[6]]),
        (format!("purpose=TREAT&kind=consent&until={until}"), vec![STORY[2], STORY[4]]),
        (format!("purpose=HPAYMT&until={until}"), vec![]),
        (format!("from={}&until={}", at(2), at(3)), vec![STORY[3]]),
        (format!("from={}&until={}", at(2), at(2)), vec![]),
        (format!("until={}", at(1)), vec![STORY[6]]),
    ] {
        assert_eq!(sorted(world.told(&patient, &query).await), sorted(expected), "{query}");
    }
    for query in ["kind=both", "purpose=treat", "from=yesterday", "until=2026-11-22", "who=me", "limit=0"] {
        world.ledger("auditor", &patient, query).await.is(400).problem("bad-parameter");
    }
}

#[tokio::test]
async fn a_consent_that_ends_by_itself_is_told_when_it_has_ended_and_not_if_it_was_revoked_before() {
    let world = world().await;
    let patient = id(&world.register(&ana()).await);
    let mut brief = treatment("general");
    let ends = world.region.clock.now() + 60.seconds();
    brief["expires_at"] = json!(ends.to_string());
    let kept = grant(&world, &patient, &brief).await;
    let dropped = grant(&world, &patient, &brief).await;
    world.passes(1);
    revoke(&world, &patient, &dropped).await;
    world.passes(58);
    let said = async || {
        let page = world.ledger("auditor", &patient, "kind=consent").await.is(200).json();
        page["data"].as_array().expect("a list").clone()
    };
    let before = said().await;
    assert!(before.iter().all(|entry| entry["consent"]["event"] != "expired"), "{before:?}");
    world.passes(1);
    let after = said().await;
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    let expired = &after[0];
    assert_eq!(expired["consent"]["event"], "expired");
    assert_eq!(expired["at"].as_str().and_then(|at| at.parse().ok()), Some(ends));
    assert_eq!((&expired["consent"]["id"], &expired["consent"]["recorded_by"]), (&kept["id"], &Value::Null));
    // A second time over, it is the same entry.
    world.passes(60);
    assert_eq!(said().await, after);
}

#[tokio::test]
async fn what_was_done_with_broken_glass_is_marked_and_why_is_not_told() {
    let (world, patient) = ready().await;
    let chart = format!("/v1/patients/{patient}");
    broken(&world, "doctor", &patient, &["general"]).await;
    for purpose in ["ETREAT", "TREAT"] {
        world.ask("doctor", "GET", &chart).header("purpose-of-use", purpose).send().await.is(200);
    }
    for who in ["org_admin", "auditor"] {
        let page = world.ledger(who, &patient, "kind=access").await.is(200);
        assert!(!page.text().contains("zzglass7q") && !page.text().contains("medical-emergency"), "{who}");
        let page = page.json();
        let reads = page["data"].as_array().expect("a list").iter();
        let mut reads: Vec<_> = reads
            .filter(|entry| entry["access"]["action"] == "read")
            .map(|entry| (entry["purpose"].to_string(), entry["access"]["break_glass"].clone()))
            .collect();
        reads.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [("\"ETREAT\"", true), ("\"TREAT\"", false)].map(|(p, b)| (p.to_owned(), json!(b)));
        assert_eq!(reads, expected, "{who}");
    }
}

#[tokio::test]
async fn only_those_who_review_read_the_ledger_and_only_of_their_own_organisation() {
    let world = world().await;
    let patient = story(&world).await;
    for role in ["provider", "provider_staff", "pharmacist", "lab_tech", "marketer"] {
        world.ledger(role, &patient, "").await.is(403).problem("forbidden");
    }
    let path = format!("/v1/patients/{patient}/purposes");
    let without = world.ask("auditor", "GET", &path).header("purpose-of-use", "TREAT").send().await.is(403);
    assert_eq!(without.problem("forbidden")["reason"], "purpose-not-allowed");
    let other = OrgId::random(&TestEntropy::default());
    world.key("other_admin", other, Role::OrgAdmin, &["US-TX"]);
    let nobody = PatientId::random(&TestEntropy::default()).to_string();
    let mut said = Vec::new();
    for (who, whose) in [("other_admin", &patient), ("other_admin", &nobody), ("auditor", &nobody)] {
        let mut problem = world.ledger(who, whose, "").await.is(404).problem("not-found");
        problem["request_id"].take();
        said.push(problem);
    }
    assert!(said.windows(2).all(|two| two[0] == two[1]), "{said:?}");
    assert_eq!(
        world.ledger("auditor", &patient, "").await.is(200).json()["data"][0]["access"]["role"],
        "provider"
    );
}

/// The blocks that a prepared statement touches, and its plan.
async fn explained(app: &Client, values: &str) -> (u64, String) {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE timeline({values})");
    let plan: Value = app.query_one(&explain, &[]).await.expect("the statement is explained").get(0);
    let keys = ["Shared Hit Blocks", "Shared Read Blocks"].into_iter();
    (keys.filter_map(|key| plan[0]["Plan"][key].as_u64()).sum(), plan.to_string())
}

#[tokio::test]
async fn a_page_reads_what_it_shows_and_not_the_log() {
    // A server of its own: what others do to a shared one can make it plan anew. And nobody counts.
    let server = PostgresServer::start(&[("autovacuum", "off")]);
    let region = TestRegion::new(&server, "TX").await;
    let options = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan";
    let app = region.config.server.connect("test", options).await.expect("the app connects");
    let [org, patient] = [7, 8].map(|n| uuid::Uuid::from_u128(n).to_string());
    app.batch_execute(&format!(
        "SELECT set_config('app.org_id', '{org}', false), set_config('app.role', 'auditor', false),
             set_config('app.purpose', 'HOPERAT', false), set_config('app.patient_id', '{patient}', false);
         PREPARE timeline AS {TIMELINE}"
    ))
    .await
    .expect("the statement");
    // Half of it is of one patient, who was looked at often.
    let many = format!(
        "INSERT INTO access_log (id, at, org_id, key_id, role, purpose, act, action, entity, outcome, request_id,
             patient_id)
         SELECT gen_random_uuid(), timestamptz '2026-11-22' + n * interval '1 second', '{org}'::uuid, gen_random_uuid(),
             'provider', 'TREAT', 'test', 'read', 'patient', 'done', gen_random_uuid(),
             CASE WHEN n % 2 = 0 THEN '{patient}'::uuid ELSE gen_random_uuid() END
         FROM generate_series(1, 20000) AS n"
    );
    let superuser = region.as_superuser().await;
    superuser.batch_execute(&many).await.expect("records");
    let values = format!(
        "'{org}', '{patient}', 'infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '1970-01-01', 'infinity', NULL, NULL,
         51, now()"
    );
    explained(&app, &values).await;
    let (few, plan) = explained(&app, &values).await;
    assert!(!plan.contains("Seq Scan") && plan.contains("access_log_latest_of_patient"), "{plan}");
    assert!((4..200).contains(&few), "a page touches {few} blocks");
    // The control: without that index it is the whole log.
    // Nor by time, by which half of what is met is this patient's.
    let both = "DROP INDEX access_log_latest_of_patient, access_log_latest_of_org";
    superuser.batch_execute(both).await.expect("a planted fault");
    let (blocks, plan) = explained(&app, &values).await;
    assert!(blocks > 300 && !plan.contains("access_log_latest_of_patient"), "{blocks} blocks: {plan}");
}
