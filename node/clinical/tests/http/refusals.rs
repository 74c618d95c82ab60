//! What is refused, and that a refusal says nothing about what is there.

use std::sync::atomic::Ordering;

use residency_policy::{PatientId, Role};
use serde_json::{Value, json};
use storage::testing::TestEntropy;

use crate::support::{Answer, Ask, World, ana, id, random, visit};

const REQUEST: &str = "6a6e7a53-6c0b-4d6e-9b39-2f4f4d3f9a11";

/// Everything a caller could compare.
fn whole(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let headers = answer.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().expect("text").to_owned()));
    let mut headers: Vec<_> = headers.collect();
    headers.sort();
    (answer.status.as_u16(), headers, answer.text())
}

/// Every way to ask for a patient, right and wrong in shape.
fn every_way<'w>(world: &'w World, key: &'w str, patient: &str, encounter: &str) -> Vec<Ask<'w>> {
    let path = format!("/v1/patients/{patient}");
    let visits = format!("{path}/encounters");
    let one = format!("{visits}/{encounter}");
    let ask = |method: &str, path: &str| world.ask(key, method, path).header("x-request-id", REQUEST);
    vec![
        ask("GET", &path),
        ask("GET", &path).without("purpose-of-use"),
        ask("PATCH", &path).header("if-match", "\"1\"").json(&json!({"sex": "other"})),
        ask("PATCH", &path).header("if-match", "\"99\"").json(&json!({"sex": "other"})),
        ask("PATCH", &path).header("if-match", "\"1\"").json(&json!({"sex": "?", "x": 1})),
        ask("PATCH", &path).header("if-match", "\"1\"").raw(b"{".to_vec()),
        ask("PATCH", &path).json(&json!({"sex": "other"})),
        ask("PATCH", &path).header("if-match", "\"1\"").json(&json!({})).header("content-type", "text/plain"),
        ask("DELETE", &format!("{path}?reason=duplicate")),
        ask("DELETE", &format!("{path}?reason=nonsense")),
        ask("GET", &visits),
        ask("GET", &format!("{visits}?limit=0")),
        ask("GET", &format!("{visits}?cursor=AAAA")),
        ask("POST", &visits).json(&visit()),
        ask("POST", &visits).json(&json!({})),
        ask("POST", &visits).json(&visit()).without("idempotency-key"),
        ask("GET", &one),
        ask("PATCH", &one).header("if-match", "\"1\"").json(&json!({"reason": null})),
        ask("POST", &format!("{one}/sign")).header("if-match", "\"1\""),
        ask("POST", &format!("{one}/sign")),
        ask("POST", &format!("{one}/addenda")).json(&json!({"body": "x"})),
        ask("PUT", &path),
    ]
}

#[tokio::test]
async fn who_may_not_see_a_patient_cannot_tell_whether_there_is_one() {
    let world = World::new().await;
    let real = id(&world.register(&ana()).await);
    let visits = format!("/v1/patients/{real}/encounters");
    let encounter = id(&world.ask("provider", "POST", &visits).json(&visit()).send().await.is(201).json());
    let unknown = PatientId::random(&TestEntropy::default());
    let elsewhere = PatientId::random(&TestEntropy::default());
    world.place(elsewhere, "US-NY");
    let claimed = world.claimed().await;
    let removed = id(&world.register(&ana()).await);
    let path = format!("/v1/patients/{removed}?reason=duplicate");
    world.ask("provider", "DELETE", &path).send().await.is(204);
    let never = random::<PatientIdBytes>().0.to_string();

    for key in ["stranger", "elsewhere", "marketer", "pharmacist", "lab_tech", "org_admin", "nobody"] {
        let alike: Vec<String> = match key {
            // Of these the patient in New York is not hidden from the key that works there.
            "elsewhere" => vec![unknown.to_string(), removed.clone(), never.clone()],
            // An administrator may delete, so for them only what is not there is alike.
            "org_admin" => continue,
            _ => vec![
                unknown.to_string(),
                claimed.to_string(),
                elsewhere.to_string(),
                removed.clone(),
                never.clone(),
            ],
        };
        for id in alike {
            let one = every_way(&world, key, &real, &encounter);
            let other = every_way(&world, key, &id, &encounter);
            for (number, (one, other)) in one.into_iter().zip(other).enumerate() {
                let (one, other) = (whole(&one.send().await), whole(&other.send().await));
                assert_eq!(one, other, "{key}, request {number}");
                assert!((400..500).contains(&one.0), "{key}, request {number}: {one:?}");
            }
        }
    }
    // An id that was given to this region and has no patient yet reads like one that nobody ever had.
    for key in ["provider", "provider_staff", "auditor"] {
        for purpose in ["TREAT", "HOPERAT"] {
            let one = every_way(&world, key, &claimed.to_string(), &encounter);
            let other = every_way(&world, key, &unknown.to_string(), &encounter);
            for (number, (one, other)) in one.into_iter().zip(other).enumerate() {
                let one = whole(&one.header("purpose-of-use", purpose).send().await);
                let other = whole(&other.header("purpose-of-use", purpose).send().await);
                assert_eq!(one, other, "{key}, request {number}");
            }
        }
    }
    // The control: who may see it is told another thing.
    let path = format!("/v1/patients/{real}");
    world.ask("provider", "GET", &path).send().await.is(200);
    world.ask("provider", "GET", &format!("/v1/patients/{unknown}")).send().await.is(404).problem("not-found");
    world.ask("provider", "GET", "/v1/patients/not-an-id").send().await.is(404).problem("not-found");
}

struct PatientIdBytes(PatientId);

impl From<[u8; 16]> for PatientIdBytes {
    fn from(bytes: [u8; 16]) -> Self {
        Self(PatientId::from_bytes(bytes))
    }
}

#[tokio::test]
async fn a_node_that_is_not_the_home_says_where_the_home_is_to_who_may_know() {
    let world = World::new().await;
    let elsewhere = PatientId::random(&TestEntropy::default());
    world.place(elsewhere, "US-CA");
    let path = format!("/v1/patients/{elsewhere}");
    let told = world.ask("provider", "GET", &path).send().await.is(421).problem("misdirected");
    assert_eq!((&told["home"], &told["epoch"]), (&json!("US-CA"), &json!(1)));
    world.ask("elsewhere", "GET", &path).send().await.is(404).problem("not-found");
    let named = world.ask("provider", "GET", "/v1/patients?home=US-CA").send().await.is(421);
    assert_eq!(named.problem("misdirected")["home"], "US-CA");
    for home in ["US-NY", "US-WY"] {
        world.ask("provider", "GET", &format!("/v1/patients?home={home}")).send().await.is(404);
    }
    for query in
        ["", "?home=TX", "?home=us-tx", "?home=US-TX&home=US-TX", "?home=US-TX&x=1", "?home=US-TX&limit=201"]
    {
        let refused = world.ask("provider", "GET", &format!("/v1/patients{query}")).send().await.is(400);
        refused.problem("bad-parameter");
    }
}

#[tokio::test]
async fn the_role_the_purpose_and_the_act_decide_before_anything_is_looked_up() {
    let world = World::new().await;
    let real = id(&world.register(&ana()).await);
    let allowed = |role: &str, method: &str, purpose: &str| match (role, method) {
        ("provider", _) | ("provider_staff", "GET" | "PATCH") => matches!(purpose, "TREAT" | "HOPERAT"),
        ("org_admin", "DELETE") | ("auditor", "GET") => purpose == "HOPERAT",
        _ => false,
    };
    for role in residency_policy::Role::ALL {
        for purpose in residency_policy::Purpose::ALL {
            for method in ["GET", "PATCH", "DELETE"] {
                // Wrong in shape, so that nothing is changed where it is allowed.
                let path = match method {
                    "DELETE" => format!("/v1/patients/{real}?reason=none"),
                    _ => format!("/v1/patients/{real}"),
                };
                let ask = world.ask(role.as_str(), method, &path).header("purpose-of-use", purpose.as_str());
                let status = ask.send().await.status.as_u16();
                let expected = match (allowed(role.as_str(), method, purpose.as_str()), method) {
                    (false, _) => 403,
                    (true, "GET") => 200,
                    (true, "PATCH") => 428,
                    (true, _) => 400,
                };
                assert_eq!(status, expected, "{role} {method} {purpose}");
            }
        }
    }
}

/// The purposes that a refusal lists.
fn offered(problem: &Value) -> Vec<&str> {
    let errors = problem["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let listed = errors.iter().filter(|error| error["code"] == "allowed");
    listed
        .filter(|error| error["pointer"] == "purpose-of-use")
        .filter_map(|error| error["detail"].as_str())
        .collect()
}

#[tokio::test]
async fn who_names_no_purpose_or_none_that_there_is_hears_which_would_do() {
    let world = World::new().await;
    let real = id(&world.register(&ana()).await);
    let (chart, visits) = (format!("/v1/patients/{real}"), format!("/v1/patients/{real}/encounters"));
    let segregated = format!("/v1/patients/{real}/segregated/substance-use/encounters");
    world.surely("sure_doctor", world.org, Role::Provider);
    for (who, path, would_do) in [
        ("provider", chart.as_str(), vec!["TREAT", "HOPERAT"]),
        ("provider", visits.as_str(), vec!["TREAT"]),
        ("provider", segregated.as_str(), vec!["TREAT"]),
        ("auditor", chart.as_str(), vec!["HOPERAT"]),
        ("provider", "/v1/patients?home=US-TX", vec!["TREAT", "HOPERAT"]),
        // For an emergency, too, whoever may break the glass.
        ("sure_doctor", chart.as_str(), vec!["TREAT", "ETREAT", "BTG", "HOPERAT"]),
        ("sure_doctor", "/v1/patients?home=US-TX", vec!["TREAT", "HOPERAT"]),
    ] {
        let ask = || world.ask(who, "GET", path);
        let none = ask().without("purpose-of-use").send().await.is(403).problem("forbidden");
        assert_eq!(none["reason"], "purpose-required");
        assert_eq!(offered(&none), would_do, "{who} {path}");
        let wrong = ask().header("purpose-of-use", "treat").send().await.is(400).problem("bad-header");
        assert_eq!(wrong["errors"][0]["code"], "not-a-code");
        assert_eq!(offered(&wrong), would_do, "{who} {path}");
        // A category of its own asks for a consent, which is looked at later.
        let status = ask().header("purpose-of-use", would_do[0]).send().await.status;
        assert_eq!(status.is_success(), path != segregated, "{who} {path}");
    }
    // Whom no purpose helps hears the reason, and a stranger nothing.
    let never = world.ask("lab_tech", "GET", &chart).without("purpose-of-use").send().await.is(403);
    let never = never.problem("forbidden");
    assert_eq!((&never["reason"], offered(&never)), (&json!("not-permitted"), Vec::new()));
    world.ask("nobody", "GET", &chart).without("purpose-of-use").send().await.is(401);
}

#[tokio::test]
async fn a_body_that_is_not_right_is_refused_and_not_repeated() {
    let world = World::new().await;
    let ask = || world.ask("provider", "POST", "/v1/patients?home=US-TX");
    let deep = format!("{}1{}", "[".repeat(50), "]".repeat(50));
    for (body, status, slug) in [
        (b"{\"given_name\": \"zzphi7q\"".to_vec(), 400, "malformed"),
        (b"{\"zzphi7q\": 1, \"zzphi7q\": 2}".to_vec(), 400, "malformed"),
        (b"{\"given_name\": \"zzphi7q\\u0000\"}".to_vec(), 400, "malformed"),
        (format!("{{\"zzphi7q\": {deep}}}").into_bytes(), 400, "malformed"),
        (b"[\"zzphi7q\"]".to_vec(), 422, "invalid"),
        (b"{\"zzphi7q\": 1}".to_vec(), 422, "invalid"),
        (
            json!({"given_name": "zzphi7q", "email": "zzphi7q", "sex": "zzphi7q"}).to_string().into_bytes(),
            422,
            "invalid",
        ),
        (vec![b' '; 300_000], 413, "content-too-large"),
        (b"\xff\xfezzphi7q".to_vec(), 400, "malformed"),
    ] {
        let answer = ask().raw(body).send().await.is(status);
        assert!(!answer.text().contains("zzphi7q"), "{}", answer.text());
        answer.problem(slug);
    }
    for kind in ["text/plain", "application/xml", "application/json; charset=utf-16"] {
        ask().json(&ana()).header("content-type", kind).send().await.is(415).problem("unsupported-media-type");
    }
    ask().json(&ana()).header("content-encoding", "gzip").send().await.is(415);
    ask().json(&ana()).without("idempotency-key").send().await.is(400).problem("missing-header");
    ask().json(&ana()).header("idempotency-key", "a b").send().await.is(400).problem("bad-header");
    let list = world.ask("provider", "GET", "/v1/patients?home=US-TX").send().await.is(200);
    assert_eq!(list.json()["data"], json!([]), "none of them changed anything");
}

#[tokio::test]
async fn a_view_that_is_too_old_serves_reads_and_refuses_changes_and_absence() {
    let world = World::new().await;
    let real = id(&world.register(&ana()).await);
    world.book.stale.store(true, Ordering::SeqCst);
    let path = format!("/v1/patients/{real}");
    world.ask("provider", "GET", &path).send().await.is(200);
    let change =
        world.ask("provider", "PATCH", &path).header("if-match", "\"1\"").json(&json!({"sex": "other"}));
    let refused = change.send().await.is(503);
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem("view-unproven");
    let unknown = PatientId::random(&TestEntropy::default());
    world
        .ask("provider", "GET", &format!("/v1/patients/{unknown}"))
        .send()
        .await
        .is(503)
        .problem("view-unproven");
}

#[tokio::test]
async fn without_claimed_ids_nobody_is_registered_and_everything_else_goes_on() {
    let world = World::new().await;
    let real = id(&world.register(&ana()).await);
    let client = world.region.as_superuser().await;
    client.execute("DELETE FROM id_pool", &[]).await.expect("empties");
    // What the node took before, it may still give.
    while world.region.pool.take_id().await.is_ok() {}
    let answer = world.ask("provider", "POST", "/v1/patients?home=US-TX").json(&ana()).send().await;
    answer.is(503).problem("control-unavailable");
    world.ask("provider", "GET", &format!("/v1/patients/{real}")).send().await.is(200);
}

#[tokio::test]
async fn every_answer_carries_its_id_and_the_headers_that_keep_it_from_being_kept() {
    let world = World::new().await;
    for (ask, same) in [
        (world.ask("provider", "GET", "/v1/regions").header("x-request-id", REQUEST), true),
        (world.ask("provider", "GET", "/nowhere").header("x-request-id", REQUEST), true),
        (world.ask("provider", "GET", "/nowhere").header("x-request-id", "1'; DROP TABLE"), false),
        (world.ask("provider", "TRACE", "/v1/orgs").header("x-request-id", REQUEST), true),
    ] {
        let answer = ask.send().await;
        assert_eq!(answer.header("x-request-id") == REQUEST, same, "{}", answer.text());
        assert_eq!(answer.header("x-request-id").len(), 36);
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
    let wrong = world.ask("provider", "PUT", "/v1/orgs").send().await.is(405);
    assert!(wrong.header("allow").contains("GET") && wrong.header("allow").contains("POST"));
    wrong.problem("method-not-allowed");
}

#[tokio::test]
async fn the_metrics_name_routes_and_never_patients() {
    let world = World::new().await;
    let real = id(&world.register(&ana()).await);
    world.ask("provider", "GET", &format!("/v1/patients/{real}")).send().await.is(200);
    world.ask("provider", "GET", "/zzphi7q").send().await.is(404);
    let text = world.ask("provider", "GET", "/metrics").send().await.is(200).text();
    assert!(text.contains("route=\"/v1/patients/{id}\",status=\"200\""), "{text}");
    assert!(text.contains("route=\"unmatched\",status=\"404\""), "{text}");
    assert!(!text.contains(&real) && !text.contains("zzphi7q"));
}
