//! A node that restarts while nobody else is there goes on caring for its own patients, for as long as what it knew of
//! the control plane may count; what needs the others is refused, and says so.

use std::os::unix::fs::PermissionsExt as _;

use http::Method;
use serde_json::json;
use tests::client::Client;
use tests::clinic;
use tests::cluster::{Cluster, Wish, turn};
use tests::faults::{Signal, lives, send, wait_until};
use tests::operate;

const HOME: &str = "US-TX";
const OTHERS: [&str; 2] = ["ca", "ny"];

/// A node does not start on a key that others may read: so the supervisor goes on trying, and it stays away.
fn may_start(cluster: &Cluster, region: &str, may: bool) {
    let key = cluster.home().join("regions").join(region).join("tls/peer.key");
    let mode = if may { 0o600 } else { 0o644 };
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

fn pid(cluster: &Cluster, region: &str) -> u32 {
    let now = cluster.now().expect("cluster.json");
    now.regions.into_iter().find(|r| r.name == region).expect("a region").pid
}

/// Kills Texas's node and waits until the next process of it answers.
async fn restart(cluster: &Cluster) {
    let before = pid(cluster, "tx");
    send(Signal::Kill, before).expect("a signal");
    wait_until("the node of Texas to be another process that answers", async || {
        let now = pid(cluster, "tx");
        let other = now != 0 && now != before && lives(now);
        (other && operate::status(cluster, "tx").await.is_ok()).then_some(())
    })
    .await
    .expect("it is started again");
}

async fn add_org(admin: &Client) -> tests::client::Answer {
    let body = json!({ "name": "Nobody Else", "type": "provider", "serves": [HOME] });
    admin.ask(Method::POST, "/v1/orgs").json(&body).send().await.expect("an answer")
}

#[tokio::test]
async fn a_node_that_restarts_alone_serves_and_registers_its_patients_while_its_view_counts() {
    let _turn = turn().await;
    let cluster =
        Cluster::start(&Wish { name: "restart-alone", people: 6, more: Vec::new() }).expect("it starts");
    let doctor = cluster.client_at("tx", "provider", HOME);
    let admin = cluster.client_at("tx", "org_admin", HOME);
    let before = clinic::register(&doctor, HOME, &clinic::somebody(HOME, 1)).await.expect("it is registered");

    for region in OTHERS {
        may_start(&cluster, region, false);
        send(Signal::Kill, pid(&cluster, region)).expect("a signal");
    }
    restart(&cluster).await;
    for region in OTHERS {
        assert!(operate::status(&cluster, region).await.is_err(), "{region} is away");
    }
    let status = operate::status(&cluster, "tx").await.expect("a status");
    assert!(status["view_age_ms"].as_u64().is_some_and(|age| age < 3_600_000), "{status}");

    let read = clinic::read(&doctor, &before.path).await.expect("a read goes on");
    let patched = doctor.patch(&before.path, &read.etag, &json!({ "email": null })).await.expect("an answer");
    patched.expect(200).expect("a write goes on");
    let alone =
        clinic::register(&doctor, HOME, &clinic::somebody(HOME, 2)).await.expect("registration goes on");
    clinic::open_encounter(&doctor, &alone, HOME, "cough", "none").await.expect("it is opened");
    let refused = add_org(&admin).await;
    assert_eq!(refused.problem(503).expect("a problem"), "control-unavailable");

    // The control: where such a view no longer counts, changes are refused and reads go on.
    let file = cluster.home().join("regions/tx/node.toml");
    let written = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(&file, written.replace("[limits]\n", "[limits]\nview_age_seconds_max = 1\n"))
        .expect("writes");
    restart(&cluster).await;
    clinic::read(&doctor, &alone.path).await.expect("a read goes on");
    let late = doctor.post(&format!("/v1/patients?home={HOME}"), &clinic::somebody(HOME, 3)).await;
    assert_eq!(late.expect("an answer").problem(503).expect("a problem"), "view-unproven");

    // With the others back, all is as it was.
    std::fs::write(&file, written).expect("writes");
    for region in OTHERS {
        may_start(&cluster, region, true);
    }
    restart(&cluster).await;
    wait_until("changes to be taken again", async || (add_org(&admin).await.status == 201).then_some(()))
        .await
        .expect("they are taken");
    clinic::register(&doctor, HOME, &clinic::somebody(HOME, 4)).await.expect("it is registered");
}
