//! The control plane in real processes: whoever is killed, nothing acknowledged is lost, and what was refused was
//! not done. One cluster at a time, each test with its own.

mod all_killed;
mod far_behind;
mod full_disk;
mod leader_kill;
mod membership;
mod node_kill;
mod rolling_restart;
mod snapshot;

use anyhow::Result;
use http::StatusCode;
use serde_json::json;
use tests::client::Client;
use tests::clinic;
use tests::cluster::{Cluster, Wish};
use tests::faults::wait_until;
use tests::operate;

/// The regions of a cluster under fault.
const REGIONS: [&str; 3] = ["ca", "ny", "tx"];

fn start(name: &'static str) -> Cluster {
    Cluster::start(&Wish { name, people: 6, more: Vec::new() }).unwrap_or_else(|e| panic!("{e:#}"))
}

async fn leader(cluster: &Cluster, among: &[&str]) -> Result<String> {
    wait_until("a leader", async || operate::leader(cluster, among).await).await
}

/// Adds an organisation and returns its id and the log index, once the control plane took it.
pub(crate) async fn add_org(admin: &Client, name: &str) -> Result<(String, u64)> {
    let body = json!({"name": name, "type": "provider", "serves": ["US-TX"]});
    let key = clinic::fresh().to_string();
    // The same key each time: a request that was not answered may have been done.
    wait_until("an organisation to be added", async || {
        let asking = admin.ask(http::Method::POST, "/v1/orgs").header("idempotency-key", &key).json(&body);
        let answer = asking.send().await.ok().filter(|a| a.status == StatusCode::CREATED)?;
        let index = answer.header("x-log-index").parse().ok()?;
        Some((answer.json()["id"].as_str()?.to_owned(), index))
    })
    .await
}

/// Waits until a node knows an organisation.
pub(crate) async fn knows(client: &Client, org: &str) -> Result<()> {
    let path = format!("/v1/orgs/{org}");
    wait_until("an organisation to be known", async || {
        client.get(&path).await.ok().filter(|a| a.status == StatusCode::OK).map(|_| ())
    })
    .await
}
