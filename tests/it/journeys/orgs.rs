//! Organisations and regions: replicated to every node, and no PHI.

use http::Method;
use serde_json::json;
use tests::clinic;
use tests::cluster::shared;
use tests::faults::wait_until;

use super::{HOME, doors};

#[tokio::test]
async fn an_organisation_that_was_added_is_known_everywhere() {
    for (number, (door, admin)) in doors("org_admin").into_iter().enumerate() {
        let body = json!({ "name": format!("Cypress Creek Labs {number}"), "type": "lab", "serves": [HOME] });
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
        let other = json!({ "name": "Another Name", "type": "lab", "serves": [HOME] });
        let asking = admin.ask(Method::POST, "/v1/orgs").header("idempotency-key", &key).json(&other);
        let reused = asking.send().await.expect("an answer");
        assert_eq!(reused.problem(422).expect("a problem"), "idempotency-reused");
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
