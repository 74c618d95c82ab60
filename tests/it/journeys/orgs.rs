//! Organisations and regions: replicated to every node, and no PHI.

use http::Method;
use serde_json::json;
use tests::clinic;
use tests::cluster::{run, shared};
use tests::faults::wait_until;

use super::tenants::{Tenant, settles};
use super::{HOME, doors};

#[tokio::test]
async fn an_organisation_that_was_added_is_known_everywhere() {
    for (number, (door, admin)) in doors("org_admin").into_iter().enumerate() {
        let body = json!({
            "name": format!("Cypress Creek Labs {number}"), "type": "lab", "serves": [HOME], "clia": "00D0000002"
        });
        let key = clinic::fresh().to_string();
        let add = || admin.ask(Method::POST, "/v1/orgs").header("idempotency-key", &key).json(&body).send();
        let added = add().await.expect("an answer").expect(201).expect(door);
        let path = added.header("location").to_owned();
        assert!(added.header("x-log-index").parse::<u64>().is_ok(), "{:?}", added.headers);
        for region in ["ca", "ny", "tx"] {
            let reader = shared().client_at(region, "auditor", HOME);
            let seen = wait_until("the organisation to be known", async || {
                reader.get(&path).await.ok().filter(|a| a.status == 200)
            });
            assert_eq!(seen.await.expect(region).json(), added.json());
        }
        let again = add().await.expect("an answer").expect(201).expect(door);
        assert_eq!((again.json(), again.header("location")), (added.json(), path.as_str()));
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(added.json()["clia"], body["clia"]);
        for (field, value) in [("name", "Another Name"), ("clia", "00D0000003")] {
            let mut other = body.clone();
            other[field] = json!(value);
            let asking = admin.ask(Method::POST, "/v1/orgs").header("idempotency-key", &key).json(&other);
            let reused = asking.send().await.expect("an answer");
            assert_eq!(reused.problem(422).expect("a problem"), "idempotency-reused", "{field}");
        }
    }
}

#[tokio::test]
async fn the_regions_are_listed_with_their_own_addresses() {
    let anyone = shared().client("lab_tech", HOME);
    let regions = clinic::walk(&anyone, "/v1/regions", 1).await.expect("a list");
    assert_eq!(regions.len(), shared().described().regions.len());
    for region in &shared().described().regions {
        let listed = regions.iter().find(|r| r["name"] == region.name.as_str()).expect("it is listed");
        assert_eq!(listed["jurisdiction"], region.jurisdiction.as_str());
        assert_eq!(
            listed["url"].as_str().map(|u| u.trim_end_matches('/')),
            Some(region.url.trim_end_matches('/'))
        );
    }
}

#[tokio::test]
async fn an_organisation_is_changed_by_its_own_administrator() {
    let own = Tenant::new("Alder Street Clinic").await;
    let mut name = "Alder Street Clinic".to_owned();
    for (number, door) in own.everywhere().into_iter().enumerate() {
        let at = door.url().to_owned();
        // Whoever reads what everybody acknowledged sees the change that was made at the door before.
        let before = door.get(&format!("{}?consistency=linearizable", own.path)).await.expect("an answer");
        let before = before.expect(200).expect(&at);
        assert_eq!(before.json()["name"], name.as_str(), "{at}");
        let etag = before.header("etag").to_owned();
        assert_eq!(etag, format!("\"{}\"", number + 1));
        name = format!("Alder Clinic {number}");
        let patch = json!({ "name": name, "serves": [HOME, "US-NY"] });
        let changed = door.patch(&own.path, &etag, &patch).await.expect("an answer").expect(200).expect(&at);
        assert_eq!(changed.json()["name"], name.as_str());
        assert_eq!(
            (&changed.json()["serves"], &changed.json()["type"]),
            (&json!([HOME, "US-NY"]), &json!("provider"))
        );
        assert_eq!(changed.header("etag"), format!("\"{}\"", number + 2));
        let index =
            |answer: &tests::client::Answer| answer.header("x-log-index").parse::<u64>().expect("an index");
        assert!(index(&changed) > index(&before), "{at}");
        let again = door.patch(&own.path, &etag, &json!({ "name": "Other" })).await.expect("an answer");
        assert_eq!(again.problem(412).expect("a problem"), "precondition-failed");
        let nothing = door.patch(&own.path, changed.header("etag"), &json!({})).await.expect("an answer");
        assert_eq!(nothing.expect(200).expect(&at).header("etag"), changed.header("etag"), "nothing changed");
    }
}

#[tokio::test]
async fn a_change_of_an_organisation_is_refused_in_words() {
    let own = Tenant::new("Beech Street Clinic").await;
    let admin = own.admin();
    let etag = "\"1\"";
    let stranger = shared().client("org_admin", HOME);
    let unknown = format!("/v1/orgs/{}", clinic::fresh());
    let right = json!({ "name": "Another" });
    for (who, path, status, slug) in [
        (&stranger, &own.path, 403, "forbidden"),
        (&stranger, &unknown, 404, "not-found"),
        (&admin, &unknown, 404, "not-found"),
        (&shared().client("provider", HOME), &own.path, 403, "forbidden"),
        (&shared().nobody(), &own.path, 401, "unauthenticated"),
    ] {
        let refused = who.patch(path, etag, &right).await.expect("an answer");
        assert_eq!(refused.problem(status).expect("a problem"), slug, "{path}");
        // Who shows one factor is told so of any organisation.
        let (status, slug) = if status == 404 { (403, "forbidden") } else { (status, slug) };
        let closing = format!("{path}?reason=merged");
        let refused = who.delete(&closing, etag).await.expect("an answer");
        assert_eq!(refused.problem(status).expect("a problem"), slug, "{path}");
    }
    let admin = shared().nobody().key(&own.sure().await);
    let closing = format!("{unknown}?reason=merged");
    let refused = admin.delete(&closing, etag).await.expect("an answer");
    assert_eq!(refused.problem(404).expect("a problem"), "not-found");
    for (tag, status, slug) in [
        (Some("*"), 400, "bad-header"),
        (Some("1"), 400, "bad-header"),
        (Some("W/\"1\""), 400, "bad-header"),
        (Some("\"2\""), 412, "precondition-failed"),
        (None, 428, "precondition-required"),
    ] {
        for (method, path) in
            [(Method::PATCH, own.path.clone()), (Method::DELETE, format!("{}?reason=merged", own.path))]
        {
            let mut asking = admin.ask(method.clone(), &path);
            if method == Method::PATCH {
                asking = asking.json(&right);
            }
            if let Some(tag) = tag {
                asking = asking.header("if-match", tag);
            }
            let refused = asking.send().await.expect("an answer");
            assert_eq!(refused.problem(status).expect("a problem"), slug, "{method} {tag:?}");
        }
    }
    for wrong in [
        json!({ "name": null }),
        json!({ "name": "Ana 01/02/1980" }),
        json!({ "serves": [] }),
        json!({ "serves": ["TX"] }),
        json!({ "active": "no" }),
        json!({ "type": "lab" }),
        json!({ "version": 7 }),
    ] {
        let refused = admin.patch(&own.path, etag, &wrong).await.expect("an answer");
        assert_eq!(refused.problem(422).expect("a problem"), "invalid", "{wrong}");
        assert!(!refused.text().contains("Ana"), "{}", refused.text());
    }
    for query in ["", "?reason=", "?reason=bored", "?reason=merged&reason=merged", "?because=merged"] {
        let refused = admin.delete(&format!("{}{query}", own.path), etag).await.expect("an answer");
        assert_eq!(refused.problem(400).expect("a problem"), "bad-parameter", "{query}");
    }
    let bad = admin.get(&format!("{}?consistency=eventual", own.path)).await.expect("an answer");
    assert_eq!(bad.problem(400).expect("a problem"), "bad-parameter");
    let unchanged = admin.get(&own.path).await.expect("an answer").expect(200).expect("it is there");
    assert_eq!((unchanged.header("etag"), &unchanged.json()["name"]), (etag, &json!("Beech Street Clinic")));
}

#[tokio::test]
async fn an_organisation_that_is_set_inactive_is_refused_everywhere_until_its_operator_resumes_it() {
    let own = Tenant::new("Chestnut Street Clinic").await;
    let node = shared().client_at("ny", "org_admin", HOME);
    let config = shared().home().join("regions/tx/node.toml").display().to_string();
    let resume = || run(&["orgs", "resume", &own.id, "--config", &config]);
    assert!(resume().expect("it runs").contains("nothing was changed"));

    let own_at_ny = shared().nobody().at(node.url()).key(&own.key);
    let changed = own_at_ny.patch(&own.path, "\"1\"", &json!({ "active": false })).await.expect("an answer");
    assert_eq!(changed.expect(200).expect("it is set").json()["active"], false);
    let refused = own_at_ny.get(&own.path).await.expect("an answer");
    assert_eq!(refused.problem(401).expect("a problem"), "unauthenticated", "at once where it was answered");
    settles(&own.key, 401).await;
    let shown = node.get(&own.path).await.expect("an answer").expect(200).expect("everybody may look");
    assert_eq!((&shown.json()["active"], shown.header("etag")), (&json!(false), "\"2\""));
    assert!(shown.json()["closed"].is_null(), "it is not closed");

    assert!(resume().expect("it runs").contains("is active again"));
    settles(&own.key, 200).await;
}

#[tokio::test]
async fn an_organisation_that_is_closed_stays_closed_and_its_id_stays() {
    let own = Tenant::new("Dogwood Street Clinic").await;
    let closing = format!("{}?reason=contract-ended", own.path);
    let one_factor = own.admin().delete(&closing, "\"1\"").await.expect("an answer");
    assert_eq!(one_factor.problem(403).expect("a problem"), "forbidden");
    assert_eq!(one_factor.json()["reason"], "step-up-required");
    let sure = shared().nobody().key(&own.sure().await);
    let closed = sure.delete(&closing, "\"1\"").await.expect("an answer").expect(204).expect("is closed");
    assert_eq!((closed.header("etag"), closed.body.len()), ("\"2\"", 0));
    settles(&own.key, 401).await;
    let seen = shared()
        .client("auditor", HOME)
        .get(&own.path)
        .await
        .expect("an answer")
        .expect(200)
        .expect("it is there");
    assert_eq!((&seen.json()["active"], &seen.json()["closed"]), (&json!(false), &json!("contract-ended")));
    let config = shared().home().join("regions/ca/node.toml").display().to_string();
    let refused = run(&["orgs", "resume", &own.id, "--config", &config]).expect_err("nothing opens it");
    assert!(refused.to_string().contains("contract-ended"), "{refused}");
    let unknown = run(&["orgs", "resume", &clinic::fresh().to_string(), "--config", &config]);
    assert!(unknown.expect_err("nobody").to_string().contains("there is no organisation"));
}

#[tokio::test]
async fn what_a_marketing_organisation_rests_on_is_recorded_by_its_operator_and_known_everywhere() {
    let own = Tenant::new("Hickory Street Clinic").await;
    let config = shared().home().join("regions/tx/node.toml").display().to_string();
    let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let record = |org: &str, from: &str, until: &str| {
        let days = ["orgs", "record-basis", org, "--from", from, "--until", until];
        let document = ["--kind", "authorization", "--document-sha256", digest, "--config", &config];
        run(&[&days[..], &document[..]].concat())
    };
    let refused = record(&own.id, "2026-11-22", "2027-11-21").expect_err("a clinic has none");
    assert!(refused.to_string().contains("no marketing organisation"), "{refused}");

    let body = json!({ "name": "Hickory Referrals", "type": "marketing", "serves": [HOME] });
    let added = own.admin().post("/v1/orgs", &body).await.expect("an answer").expect(201).expect("it is added");
    let added = added.json();
    let org = added["id"].as_str().expect("an id");
    let turned = record(org, "2027-11-21", "2026-11-22").expect_err("the days are turned round");
    assert!(turned.to_string().contains("before the first"), "{turned}");
    record(org, "22.11.2026", "2027-11-21").expect_err("no date");
    assert!(record(org, "2026-11-22", "2027-11-21").expect("it runs").contains("is recorded"));
    let reader = shared().client_at("ny", "auditor", HOME);
    let path = format!("/v1/orgs/{org}/legal-basis");
    let status = async |wanted: u16| {
        wait_until("the other regions to know", async || {
            reader.get(&path).await.ok().filter(|answer| answer.status == wanted)
        })
        .await
        .expect("it is known")
    };
    let mut shown = status(200).await.json();
    let at = shown.as_object_mut().expect("an object").remove("recorded_at");
    assert!(at.is_some_and(|at| at.as_str().is_some_and(|at| at.ends_with('Z'))), "when it was recorded");
    let expected = json!({
        "kind": "authorization", "from": "2026-11-22", "until": "2027-11-21", "document_sha256": digest,
        "recorded_by": "operator"
    });
    assert_eq!(shown, expected);
    let taken = run(&["orgs", "remove-basis", org, "--config", &config]).expect("it runs");
    assert!(taken.contains("is taken back"), "{taken}");
    status(404).await;
}
