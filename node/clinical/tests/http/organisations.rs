//! Organisations, regions, health: what is not PHI.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn an_organisation_is_added_once_however_often_it_is_sent() {
    let world = World::new().await;
    let body = json!({"name": "Lone Star Family Clinic", "type": "provider", "serves": ["US-TX", "US-CA"]});
    let ask = || {
        world.ask("org_admin", "POST", "/v1/orgs").header("idempotency-key", "one").without("purpose-of-use")
    };
    let made = ask().json(&body).send().await.is(201);
    assert_eq!(made.header("x-log-index"), "1");
    let json = made.json();
    assert_eq!((&json["name"], &json["type"], &json["active"]), (&body["name"], &body["type"], &json!(true)));
    assert_eq!(json["serves"], json!(["US-CA", "US-TX"]));
    let again = ask().json(&body).send().await.is(201);
    assert_eq!((again.header("idempotent-replayed"), again.bytes.clone()), ("true", made.bytes.clone()));
    let other = json!({"name": "Another", "type": "provider", "serves": ["US-TX"]});
    ask().json(&other).send().await.is(422).problem("idempotency-reused");
    let read =
        world.ask("lab_tech", "GET", made.header("location")).without("purpose-of-use").send().await.is(200);
    assert_eq!(read.json(), json);
    let list = world.ask("pharmacist", "GET", "/v1/orgs").without("purpose-of-use").send().await.is(200).json();
    assert!(list["data"].as_array().expect("a list").contains(&json), "{list}");
    for role in ["provider", "provider_staff", "marketer", "pharmacist", "lab_tech", "auditor"] {
        world.ask(role, "POST", "/v1/orgs").json(&other).send().await.is(403).problem("forbidden");
    }
}

#[tokio::test]
async fn without_a_quorum_changes_are_refused_and_reads_go_on() {
    let world = World::new().await;
    world.book.quorum.store(false, Ordering::SeqCst);
    let body = json!({"name": "A", "type": "provider", "serves": ["US-TX"]});
    let refused = world.ask("org_admin", "POST", "/v1/orgs").json(&body).send().await.is(503);
    assert_eq!(refused.header("retry-after"), "2");
    refused.problem("control-unavailable");
    let one = format!("/v1/orgs/{}", residency_policy::OrgId::from_bytes([7; 16]));
    let ask = world.ask("org_admin", "PATCH", &one).header("if-match", "\"1\"").json(&json!({}));
    ask.send().await.is(503).problem("control-unavailable");
    let fresh = world.ask("org_admin", "GET", "/v1/orgs?consistency=linearizable").send().await.is(503);
    fresh.problem("control-unavailable");
    world.ask("org_admin", "GET", "/v1/orgs").send().await.is(200);
    let ready = world.ask("nobody", "GET", "/readyz").send().await.is(503).json();
    assert_eq!((&ready["status"], &ready["database"]["ok"]), (&json!("not-ready"), &json!(true)));
    assert!(ready["control"]["wrong"].as_str().expect("says what").contains("quorum"));
    world.ask("nobody", "GET", "/healthz").send().await.is(200);
}

#[tokio::test]
async fn organisations_and_regions_come_in_pages() {
    let world = World::new().await;
    // And the callers' own.
    for number in 0..3 {
        let body = json!({"name": format!("Clinic {number}"), "type": "provider", "serves": ["US-TX"]});
        world.ask("org_admin", "POST", "/v1/orgs").json(&body).send().await.is(201);
    }
    for (list, key, wanted) in [("/v1/orgs", "id", 4), ("/v1/regions", "name", 3)] {
        let mut seen = Vec::new();
        let mut path = format!("{list}?limit=2");
        loop {
            let answer = world.ask("provider", "GET", &path).send().await.is(200);
            seen.extend(
                answer.json()["data"].as_array().expect("a list").iter().map(|item| item[key].to_string()),
            );
            let Some(next) = answer.header("link").strip_prefix('<').and_then(|l| l.split('>').next()) else {
                break;
            };
            next.clone_into(&mut path);
        }
        seen.dedup();
        assert_eq!(seen.len(), wanted, "{list}");
    }
    let regions = world.ask("provider", "GET", "/v1/regions").send().await.is(200).json();
    let here: Vec<_> =
        regions["data"].as_array().expect("a list").iter().filter(|r| r["here"] == true).collect();
    assert_eq!((here.len(), &here[0]["jurisdiction"]), (1, &json!("US-TX")));
    world.ask("provider", "GET", "/v1/orgs/nonsense").send().await.is(404);
    let none = residency_policy::OrgId::from_bytes([7; 16]);
    world.ask("provider", "GET", &format!("/v1/orgs/{none}")).send().await.is(404);
}

#[tokio::test]
async fn the_documentation_comes_from_here_and_from_nowhere_else() {
    let world = World::new().await;
    let ask = |path: &str| world.ask("nobody", "GET", path).without("authorization");
    assert_eq!(ask("/docs").send().await.is(308).header("location"), "/docs/");
    let page = ask("/docs/").send().await.is(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    for part in page.text().split(['"', ' ']).filter(|part| part.starts_with("./")) {
        ask(&format!("/docs/{}", &part[2..])).send().await.is(200);
    }
    for kind in residency_policy::ProblemKind::ALL {
        let page = ask(&kind.type_uri()).send().await.is(200);
        assert!(page.text().contains(kind.title()) && page.header("content-type").starts_with("text/html"));
    }
    assert!(ask("/problems").send().await.is(200).text().contains("/problems/not-found"));
    ask("/problems/none-such").send().await.is(404).problem("not-found");
    ask("/docs/none-such").send().await.is(404).problem("not-found");
}
