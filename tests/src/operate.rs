//! What only a node's own key may ask, over the peers' door: how its member of the control plane is doing, and
//! changes of what is replicated.

use anyhow::{Context, Result};
use http::Method;
use residency_control::system::SystemEntropy;
use residency_control::{Command, KeyVerifier, keys};
use residency_policy::{KeyId, Role};
use serde_json::Value;

use crate::client::Client;
use crate::cluster::Cluster;
use crate::faults::wait_until;

/// Where a member says how it is doing.
pub const STATUS: &str = "/operate/status";
/// Where commands are proposed.
pub const COMMANDS: &str = "/operate/commands";

/// The peers' door of a region's node, as whoever shows the certificate of `holder`.
pub fn door(cluster: &Cluster, region: &str, holder: &str) -> Result<Client> {
    let text = std::fs::read_to_string(cluster.home().join("plan.json"))?;
    let plan: Value = serde_json::from_str(&text)?;
    let jurisdiction = &cluster.region(region).jurisdiction;
    let port = plan["regions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|planned| planned["region"].as_str() == Some(jurisdiction))
        .and_then(|planned| planned["peer"].as_u64())
        .with_context(|| format!("no peers' door of {region} in the plan"))?;
    let folder = match holder {
        "router" => cluster.home().join("router/tls"),
        region => cluster.home().join("regions").join(region).join("tls"),
    };
    let client = cluster.nobody().at(&format!("https://localhost:{port}")).http2();
    client.identity(&folder.join("peer.pem"), &folder.join("peer.key"))
}

/// How the member of a region's node is doing; an error when it does not answer.
pub async fn status(cluster: &Cluster, region: &str) -> Result<Value> {
    Ok(door(cluster, region, region)?.get(STATUS).await?.expect(200)?.json())
}

/// Proposes commands at a region's node, in order, and returns what came of each.
pub async fn commands(cluster: &Cluster, region: &str, commands: &[Command]) -> Result<Vec<Value>> {
    let door = door(cluster, region, region)?;
    let answer = door.ask(Method::POST, COMMANDS).json(&commands).send().await?.expect(200)?;
    Ok(serde_json::from_slice(&answer.body)?)
}

/// Gives an API key of this role to an organisation, for every jurisdiction that the cluster serves, and returns its
/// text and its id once every region knows it.
pub async fn mint(cluster: &Cluster, org: &str, role: Role) -> Result<(String, KeyId)> {
    let everywhere: Vec<&str> = cluster.described().regions.iter().map(|r| r.jurisdiction.as_str()).collect();
    mint_serving(cluster, org, role, &everywhere).await
}

/// The same, of a key that serves these jurisdictions only.
pub async fn mint_serving(
    cluster: &Cluster,
    org: &str,
    role: Role,
    serves: &[&str],
) -> Result<(String, KeyId)> {
    let minted = keys::mint(&SystemEntropy::new());
    let jurisdictions = serves.iter().filter_map(|code| code.parse().ok()).collect();
    let verifier = KeyVerifier {
        key: minted.key,
        org: org.parse()?,
        role,
        jurisdictions,
        secret_sha256: minted.secret_sha256,
        revoked: false,
        expires: None,
    };
    commands(cluster, &cluster.described().regions[0].name, &[Command::PutKey(verifier)]).await?;
    let text = minted.text.reveal().to_owned();
    for region in &cluster.described().regions {
        let holder = cluster.nobody().at(&region.url).key(&text);
        wait_until("a new key to be known", async || {
            holder.get("/v1/regions").await.ok().filter(|a| a.status == 200).map(|_| ())
        })
        .await?;
    }
    Ok((text, minted.key))
}

/// The region whose node leads, when one of these says so of itself.
pub async fn leader(cluster: &Cluster, regions: &[&str]) -> Option<String> {
    for region in regions {
        if let Ok(status) = status(cluster, region).await
            && status["leader"].is_u64()
            && status["leader"] == status["node"]
        {
            return Some((*region).to_owned());
        }
    }
    None
}
