//! An organisation of one's own, for a test that changes or closes it.

use residency_policy::Role;
use serde_json::json;
use tests::client::Client;
use tests::cluster::shared;
use tests::faults::wait_until;
use tests::operate;

use super::HOME;

/// An organisation that nobody else in this test run touches.
pub(super) struct Tenant {
    pub(super) id: String,
    pub(super) path: String,
    /// The key of its administrator.
    pub(super) key: String,
}

impl Tenant {
    pub(super) async fn new(name: &str) -> Self {
        let founder = shared().client("org_admin", HOME);
        let body = json!({ "name": name, "type": "provider", "serves": [HOME] });
        let added = founder.post("/v1/orgs", &body).await.expect("an answer").expect(201).expect("is added");
        let id = added.json()["id"].as_str().expect("an id").to_owned();
        let (key, _) = operate::mint(shared(), &id, Role::OrgAdmin).await.expect("a key");
        Self { path: format!("/v1/orgs/{id}"), id, key }
    }

    /// Its administrator, at the router and at every node.
    pub(super) fn everywhere(&self) -> Vec<Client> {
        at_every_door(&self.key)
    }

    /// Its administrator, at the router.
    pub(super) fn admin(&self) -> Client {
        shared().nobody().key(&self.key)
    }
}

pub(super) fn at_every_door(key: &str) -> Vec<Client> {
    let nodes = shared().described().regions.iter().map(|region| region.url.clone());
    [shared().nobody().url().to_owned()]
        .into_iter()
        .chain(nodes)
        .map(|at| shared().nobody().at(&at).key(key))
        .collect()
}

/// Waits until the key is refused at every door, or is good at every door.
pub(super) async fn settles(key: &str, status: u16) {
    for client in at_every_door(key) {
        let settled = wait_until("the key to be judged anew", async || {
            client.get("/v1/regions").await.ok().filter(|a| a.status == status).map(|_| ())
        });
        settled.await.unwrap_or_else(|e| panic!("{}: {e}", client.url()));
    }
}
